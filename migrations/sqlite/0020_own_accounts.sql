CREATE INDEX `audit_events_user_id` ON `audit_events` (`user_id`,`id`) WHERE "audit_events"."user_id" is not null;--> statement-breakpoint
CREATE INDEX `reserved_usernames_user_id` ON `reserved_usernames` (`user_id`);--> statement-breakpoint
CREATE INDEX `reserved_usernames_until` ON `reserved_usernames` (`until`);