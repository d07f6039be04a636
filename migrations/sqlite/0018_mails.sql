CREATE TABLE `mails` (
	`id` text PRIMARY KEY NOT NULL,
	`purpose` text NOT NULL,
	`user_id` text,
	`address` text,
	`language` text,
	`about` text,
	`created_at` integer NOT NULL,
	`next_attempt_at` integer NOT NULL,
	`attempts` integer NOT NULL,
	`last_error` text
);
--> statement-breakpoint
CREATE INDEX `mails_next_attempt_at` ON `mails` (`next_attempt_at`);--> statement-breakpoint
CREATE TABLE `reserved_usernames` (
	`fold` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`until` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `trail_readers` (
	`name` text PRIMARY KEY NOT NULL,
	`after_id` integer NOT NULL,
	`after_at` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `clients` ADD `sign_up` integer;--> statement-breakpoint
ALTER TABLE `users` ADD `email_verified_at` integer;--> statement-breakpoint
ALTER TABLE `users` ADD `verified_email_key` text;--> statement-breakpoint
ALTER TABLE `users` ADD `language` text;--> statement-breakpoint
ALTER TABLE `users` ADD `delete_at` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `users_verified_email` ON `users` (`verified_email_key`) WHERE "users"."verified_email_key" is not null;--> statement-breakpoint
CREATE INDEX `users_delete_at` ON `users` (`delete_at`) WHERE "users"."delete_at" is not null;