CREATE TABLE "factors" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"user_id" text COLLATE "C" NOT NULL,
	"kind" text COLLATE "C" NOT NULL,
	"name" text,
	"created_at" bigint NOT NULL,
	"used_at" bigint,
	"data" text NOT NULL,
	"counter" bigint NOT NULL,
	"handle" text COLLATE "C",
	CONSTRAINT "factors_handle" UNIQUE("handle")
);
--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "require_factor" bigint;--> statement-breakpoint
ALTER TABLE "clients" ADD COLUMN "first_party" bigint;--> statement-breakpoint
ALTER TABLE "factors" ADD CONSTRAINT "factors_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "factors_user_id" ON "factors" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "factors_kind" ON "factors" USING btree ("kind","id");