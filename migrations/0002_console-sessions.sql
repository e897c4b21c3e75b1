CREATE TABLE "console_sessions" (
	"id" "bytea" PRIMARY KEY NOT NULL,
	"sealed" "bytea" NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"last_used_at" timestamp (3) with time zone NOT NULL,
	"refreshing_until" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE INDEX "console_sessions_last_used_at" ON "console_sessions" USING btree ("last_used_at");