CREATE TABLE "leases" (
	"name" text COLLATE "C" PRIMARY KEY NOT NULL,
	"holder" text NOT NULL,
	"until" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhooks" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"url" text NOT NULL,
	"types" text,
	"secrets" text NOT NULL,
	"created_at" bigint NOT NULL,
	"disabled_at" bigint,
	"after_id" bigint,
	"after_at" bigint,
	"attempts" bigint NOT NULL,
	"failing_since" bigint,
	"next_attempt_at" bigint,
	"last_error" text,
	"failed_at" bigint
);
