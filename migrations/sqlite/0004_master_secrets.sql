CREATE TABLE `master_secrets` (
	`name` text PRIMARY KEY NOT NULL,
	`used_since` integer NOT NULL
);
