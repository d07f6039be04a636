CREATE TABLE `factors` (
	`id` text PRIMARY KEY NOT NULL,
	`user_id` text NOT NULL,
	`kind` text NOT NULL,
	`name` text,
	`created_at` integer NOT NULL,
	`used_at` integer,
	`data` text NOT NULL,
	`counter` integer NOT NULL,
	`handle` text,
	FOREIGN KEY (`user_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `factors_handle_unique` ON `factors` (`handle`);--> statement-breakpoint
CREATE INDEX `factors_user_id` ON `factors` (`user_id`);--> statement-breakpoint
CREATE INDEX `factors_kind` ON `factors` (`kind`,`id`);--> statement-breakpoint
ALTER TABLE `clients` ADD `require_factor` integer;--> statement-breakpoint
ALTER TABLE `clients` ADD `first_party` integer;