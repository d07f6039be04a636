CREATE TABLE `attempt_counters` (
	`id` text PRIMARY KEY NOT NULL,
	`empty_at` integer NOT NULL,
	`ready_at` integer NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `attempt_counters_expires_at` ON `attempt_counters` (`expires_at`);--> statement-breakpoint
CREATE TABLE `known_networks` (
	`who` text NOT NULL,
	`network` text NOT NULL,
	`expires_at` integer NOT NULL,
	PRIMARY KEY(`who`, `network`)
);
--> statement-breakpoint
CREATE INDEX `known_networks_expires_at` ON `known_networks` (`expires_at`);