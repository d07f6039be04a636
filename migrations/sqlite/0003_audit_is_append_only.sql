ALTER TABLE `audit_events` ADD `count` integer;--> statement-breakpoint
CREATE TRIGGER `audit_events_never_change` BEFORE UPDATE ON `audit_events` BEGIN
	SELECT RAISE(ABORT, 'the audit trail is append-only');
END;
--> statement-breakpoint
CREATE TRIGGER `audit_events_oldest_first` BEFORE DELETE ON `audit_events` WHEN OLD.id > (SELECT min(id) FROM `audit_events`) BEGIN
	SELECT RAISE(ABORT, 'the audit trail is append-only: nothing but its oldest event can go');
END;
