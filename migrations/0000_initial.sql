CREATE EXTENSION IF NOT EXISTS pg_trgm;--> statement-breakpoint
CREATE TABLE "cache_invalidations" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "cache_invalidations_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"user_id" uuid NOT NULL,
	"names" text[],
	"created_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "cache_servers" (
	"is_current" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"run_id" text NOT NULL,
	"era" uuid NOT NULL,
	CONSTRAINT "cache_servers_one_row" CHECK ("cache_servers"."is_current")
);
--> statement-breakpoint
CREATE TABLE "contacts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"position" smallint NOT NULL,
	"contact_type" text NOT NULL,
	"value" text NOT NULL,
	CONSTRAINT "contacts_type_known" CHECK ("contacts"."contact_type" IN ('PHONE', 'WORK', 'WHATSAPP')),
	CONSTRAINT "contacts_value_length" CHECK (char_length("contacts"."value") BETWEEN 1 AND 256),
	CONSTRAINT "contacts_position_bounded" CHECK ("contacts"."position" BETWEEN 0 AND 49)
);
--> statement-breakpoint
CREATE TABLE "job_checkpoints" (
	"job" text PRIMARY KEY NOT NULL,
	"state" jsonb NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL
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
	"pool_attempts" integer DEFAULT 0 NOT NULL,
	"pool_due_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	"bus_attempts" integer DEFAULT 0 NOT NULL,
	"bus_due_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "outbox_type_known" CHECK ("outbox"."type" IN ('user.created', 'user.updated', 'user.blocked', 'user.unblocked', 'user.erased')),
	CONSTRAINT "outbox_pool_task_known" CHECK ("outbox"."pool_task" IN ('groups', 'status', 'password', 'remove')),
	CONSTRAINT "outbox_pool_task_whole" CHECK (num_nulls("outbox"."pool_task", "outbox"."pool_username", "outbox"."pool_username_folded") IN (0, 3)),
	CONSTRAINT "outbox_pool_pending_task" CHECK (NOT "outbox"."pool_pending" OR "outbox"."pool_task" IS NOT NULL)
);
--> statement-breakpoint
CREATE TABLE "pending_user_migrations" (
	"username_sha256" "bytea" PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"sessions_valid_from" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "pool_groups" (
	"user_id" uuid PRIMARY KEY NOT NULL,
	"groups" text[] NOT NULL,
	"saved_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "released_usernames" (
	"username_sha256" "bytea" PRIMARY KEY NOT NULL,
	"released_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" uuid PRIMARY KEY NOT NULL,
	"username" text NOT NULL,
	"username_folded" text COLLATE "C" NOT NULL,
	"name" text,
	"name_folded" text COLLATE "C" NOT NULL,
	"password_hash" text NOT NULL,
	"status" text NOT NULL,
	"avatar" text,
	"version" integer NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"search_text" text NOT NULL,
	"sessions_valid_from" timestamp (3) with time zone,
	CONSTRAINT "users_status_known" CHECK ("users"."status" IN ('ACTIVE', 'BLOCKED')),
	CONSTRAINT "users_version_positive" CHECK ("users"."version" > 0),
	CONSTRAINT "users_username_length" CHECK (char_length("users"."username") BETWEEN 1 AND 64),
	CONSTRAINT "users_name_length" CHECK (char_length("users"."name") <= 200),
	CONSTRAINT "users_password_hashed" CHECK ("users"."password_hash" ~ '^\$(argon2(id|i|d)|2[aby]|scrypt|pbkdf2-sha(256|512))\$')
);
--> statement-breakpoint
ALTER TABLE "contacts" ADD CONSTRAINT "contacts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pool_groups" ADD CONSTRAINT "pool_groups_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "contacts_user_position" ON "contacts" USING btree ("user_id","position");--> statement-breakpoint
CREATE INDEX "contacts_value" ON "contacts" USING btree ("value","contact_type","user_id");--> statement-breakpoint
CREATE INDEX "contacts_type" ON "contacts" USING btree ("contact_type","user_id");--> statement-breakpoint
CREATE INDEX "outbox_pool_due" ON "outbox" USING btree ("pool_due_at","id") WHERE "outbox"."pool_pending";--> statement-breakpoint
CREATE INDEX "outbox_bus_due" ON "outbox" USING btree ("bus_due_at","id") WHERE "outbox"."bus_pending";--> statement-breakpoint
CREATE INDEX "outbox_pool_user" ON "outbox" USING btree ("user_id","id") WHERE "outbox"."pool_pending";--> statement-breakpoint
CREATE INDEX "outbox_bus_user" ON "outbox" USING btree ("user_id","id") WHERE "outbox"."bus_pending";--> statement-breakpoint
CREATE INDEX "outbox_pool_username" ON "outbox" USING btree ("pool_username_folded","id");--> statement-breakpoint
CREATE INDEX "released_usernames_released_at" ON "released_usernames" USING btree ("released_at");--> statement-breakpoint
CREATE UNIQUE INDEX "users_username_folded" ON "users" USING btree ("username_folded");--> statement-breakpoint
CREATE INDEX "users_created_at" ON "users" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "users_updated_at" ON "users" USING btree ("updated_at","id");--> statement-breakpoint
CREATE INDEX "users_name" ON "users" USING btree ("name_folded","id");--> statement-breakpoint
CREATE INDEX "users_status_created_at" ON "users" USING btree ("status","created_at","id");--> statement-breakpoint
CREATE INDEX "users_status_updated_at" ON "users" USING btree ("status","updated_at","id");--> statement-breakpoint
CREATE INDEX "users_status_username" ON "users" USING btree ("status","username_folded");--> statement-breakpoint
CREATE INDEX "users_status_name" ON "users" USING btree ("status","name_folded","id");--> statement-breakpoint
CREATE INDEX "users_version" ON "users" USING btree ("id","version");--> statement-breakpoint
CREATE INDEX "users_search" ON "users" USING gin ("search_text" gin_trgm_ops) WITH (gin_pending_list_limit=256);