CREATE TABLE `pending_imports` (
	`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`seen_at` integer NOT NULL,
	`first_row` integer NOT NULL,
	`lost` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `users` ADD `import_id` integer;