CREATE TABLE `remembered_ids` (
	`id` text PRIMARY KEY NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `remembered_ids_expires_at` ON `remembered_ids` (`expires_at`);--> statement-breakpoint
ALTER TABLE `clients` ADD `authentication_methods` text DEFAULT 'client_secret_basic client_secret_post' NOT NULL;--> statement-breakpoint
ALTER TABLE `clients` ADD `jwks` text;--> statement-breakpoint
ALTER TABLE `clients` ADD `jwks_uri` text;--> statement-breakpoint
ALTER TABLE `clients` ADD `audience` text;--> statement-breakpoint
ALTER TABLE `clients` ADD `access_token_lifetime` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `refresh_idle_lifetime` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `refresh_absolute_lifetime` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `cors_origins` text;--> statement-breakpoint
UPDATE `clients` SET `authentication_methods` = 'none' WHERE `secret_digest` IS NULL;
