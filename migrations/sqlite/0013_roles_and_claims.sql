ALTER TABLE `clients` ADD `access_token_claims` text;--> statement-breakpoint
ALTER TABLE `users` ADD `roles` text;