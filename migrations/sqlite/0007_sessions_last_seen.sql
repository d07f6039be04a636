ALTER TABLE `sessions` ADD `seen_before_at` integer;--> statement-breakpoint
ALTER TABLE `sessions` ADD `ip_before` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `user_agent_before` text;--> statement-breakpoint
ALTER TABLE `sessions` ADD `retried_elsewhere_at` integer;