ALTER TABLE "clients" ADD COLUMN "access_token_claims" text;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "roles" text;