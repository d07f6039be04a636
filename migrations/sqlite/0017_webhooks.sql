CREATE TABLE `leases` (
	`name` text PRIMARY KEY NOT NULL,
	`holder` text NOT NULL,
	`until` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `webhooks` (
	`id` text PRIMARY KEY NOT NULL,
	`url` text NOT NULL,
	`types` text,
	`secrets` text NOT NULL,
	`created_at` integer NOT NULL,
	`disabled_at` integer,
	`after_id` integer,
	`after_at` integer,
	`attempts` integer NOT NULL,
	`failing_since` integer,
	`next_attempt_at` integer,
	`last_error` text,
	`failed_at` integer
);
