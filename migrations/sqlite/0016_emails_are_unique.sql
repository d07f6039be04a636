CREATE TABLE `relaxed_rules` (
	`rule` text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
ALTER TABLE `users` ADD `email_key` text;--> statement-breakpoint
CREATE INDEX `users_email_key` ON `users` (`email_key`) WHERE "users"."email_key" is not null;--> statement-breakpoint
-- The addresses that there are; `username_fold()` is a function of the program (src/storage/sqlite/migrate.ts).
UPDATE `users` SET `email_key` = nullif(username_fold(`email`), '') WHERE `email` IS NOT NULL;--> statement-breakpoint
-- Whatever was there before this migration may have addresses that several users share.
INSERT INTO relaxed_rules (rule) SELECT 'unique_email' WHERE EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM signing_keys) OR EXISTS (SELECT 1 FROM audit_events);
