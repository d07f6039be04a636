CREATE TABLE "last_start" (
	"id" bigint PRIMARY KEY NOT NULL,
	"issuer" text NOT NULL
);
--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "name" text;--> statement-breakpoint
INSERT INTO last_start (id, issuer) SELECT 1, '' WHERE EXISTS (SELECT 1 FROM signing_keys);
