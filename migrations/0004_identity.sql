CREATE TABLE "former_usernames" (
	"username_sha256" "bytea" PRIMARY KEY NOT NULL,
	"freed_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"event_id" uuid NOT NULL,
	"user_id" uuid NOT NULL,
	"type" text NOT NULL,
	"data" jsonb NOT NULL,
	"pool_task" text,
	"pool_username" text,
	"pool_username_folded" text COLLATE "C",
	"pool_pending" boolean NOT NULL,
	"bus_pending" boolean NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"due_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "outbox_type_known" CHECK ("outbox"."type" IN ('user.created', 'user.updated', 'user.blocked', 'user.unblocked', 'user.erased')),
	CONSTRAINT "outbox_pool_task_known" CHECK ("outbox"."pool_task" IN ('standing', 'password', 'remove')),
	CONSTRAINT "outbox_pool_task_whole" CHECK (num_nulls("outbox"."pool_task", "outbox"."pool_username", "outbox"."pool_username_folded") IN (0, 3)),
	CONSTRAINT "outbox_pool_pending_task" CHECK (NOT "outbox"."pool_pending" OR "outbox"."pool_task" IS NOT NULL)
);
--> statement-breakpoint
CREATE TABLE "pool_groups" (
	"user_id" uuid PRIMARY KEY NOT NULL,
	"groups" text[] NOT NULL,
	"saved_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
ALTER TABLE "users" DROP CONSTRAINT "users_password_hashed";--> statement-breakpoint
ALTER TABLE "cache_invalidations" ADD COLUMN "names" text[];--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "sessions_valid_from" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "pool_groups" ADD CONSTRAINT "pool_groups_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "former_usernames_freed_at" ON "former_usernames" USING btree ("freed_at");--> statement-breakpoint
CREATE INDEX "outbox_user" ON "outbox" USING btree ("user_id","id");--> statement-breakpoint
CREATE INDEX "outbox_pool_username" ON "outbox" USING btree ("pool_username_folded","id");--> statement-breakpoint
CREATE INDEX "outbox_due" ON "outbox" USING btree ("due_at","id");--> statement-breakpoint
-- NOT VALID spares a scan of all rows under the lock: each of them met the narrower rule that is dropped above.
ALTER TABLE "users" ADD CONSTRAINT "users_password_hashed" CHECK ("users"."password_hash" ~ '^\$(argon2(id|i|d)|2[aby]|scrypt|pbkdf2-sha256)\$') NOT VALID;
