ALTER TABLE `users` ADD `username_fold` text;--> statement-breakpoint
CREATE INDEX `users_username_fold` ON `users` (`username_fold`) WHERE "users"."username_fold" is not null;--> statement-breakpoint
-- The names that there are. `username_fold()` is a function of the program (src/storage/sqlite.ts); what is ASCII without a space is its own form.
UPDATE `users` SET `username_fold` = nullif(username_fold(`username_key`), '') WHERE `username_key` GLOB '*[^!-~]*' AND username_fold(`username_key`) <> `username_key`;
