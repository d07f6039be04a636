CREATE TABLE "relaxed_rules" (
	"rule" text COLLATE "C" PRIMARY KEY NOT NULL
);
--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "email_key" text COLLATE "C";--> statement-breakpoint
CREATE INDEX "users_email_key" ON "users" USING btree ("email_key") WHERE "users"."email_key" is not null;--> statement-breakpoint
-- Whatever was there before this migration may have addresses that several users share. No SQL has Unicode's forms: who turns the rule on fills
-- the column in short steps first (src/storage/postgres/unique_emails.ts), while nodes of the release before go on.
INSERT INTO relaxed_rules (rule) SELECT 'unique_email' WHERE EXISTS (SELECT 1 FROM users) OR EXISTS (SELECT 1 FROM signing_keys) OR EXISTS (SELECT 1 FROM audit_events);
