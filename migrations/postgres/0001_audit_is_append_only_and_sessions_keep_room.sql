-- A rotated row finds room in its own page, and vacuum comes before many of its old versions have gathered.
ALTER TABLE "sessions" SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
--> statement-breakpoint
CREATE FUNCTION "audit_events_never_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
--> statement-breakpoint
CREATE TRIGGER "audit_events_never_change" BEFORE UPDATE OR TRUNCATE ON "audit_events"
	FOR EACH STATEMENT EXECUTE FUNCTION "audit_events_never_change"();
--> statement-breakpoint
CREATE FUNCTION "audit_events_oldest_first"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT min(id) FROM audit_events) < (SELECT max(id) FROM removed) THEN
		RAISE EXCEPTION 'the audit trail is append-only: nothing but its oldest events can go'
			USING ERRCODE = 'integrity_constraint_violation';
	END IF;
	RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER "audit_events_oldest_first" AFTER DELETE ON "audit_events" REFERENCING OLD TABLE AS "removed"
	FOR EACH STATEMENT EXECUTE FUNCTION "audit_events_oldest_first"();
