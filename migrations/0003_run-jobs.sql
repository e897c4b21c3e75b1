CREATE TABLE "job_created_users" (
	"job_id" uuid NOT NULL,
	"chunk" bigint NOT NULL,
	"user_ids" uuid[] NOT NULL,
	"versions" integer[] NOT NULL,
	CONSTRAINT "job_created_users_job_id_chunk_pk" PRIMARY KEY("job_id","chunk")
);
--> statement-breakpoint
CREATE TABLE "job_errors" (
	"job_id" uuid NOT NULL,
	"number" bigint NOT NULL,
	"line" bigint NOT NULL,
	"pointer" text NOT NULL,
	"message" text NOT NULL,
	CONSTRAINT "job_errors_job_id_number_pk" PRIMARY KEY("job_id","number")
);
--> statement-breakpoint
CREATE TABLE "job_files" (
	"id" uuid PRIMARY KEY NOT NULL,
	"job_id" uuid NOT NULL,
	"role" text NOT NULL,
	"key" "bytea" NOT NULL,
	"bytes" bigint,
	"created_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	CONSTRAINT "job_files_role_known" CHECK ("job_files"."role" IN ('source', 'hashes', 'options', 'result'))
);
--> statement-breakpoint
CREATE TABLE "jobs" (
	"id" uuid PRIMARY KEY NOT NULL,
	"kind" text NOT NULL,
	"state" text NOT NULL,
	"format" text,
	"options" jsonb NOT NULL,
	"undoes" uuid,
	"created_by" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL,
	"started_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	"error" text,
	"lease_token" uuid,
	"leased_until" timestamp (3) with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"bytes_read" bigint DEFAULT 0 NOT NULL,
	"rows_read" bigint DEFAULT 0 NOT NULL,
	"created" bigint DEFAULT 0 NOT NULL,
	"updated" bigint DEFAULT 0 NOT NULL,
	"unchanged" bigint DEFAULT 0 NOT NULL,
	"skipped" bigint DEFAULT 0 NOT NULL,
	"refused" bigint DEFAULT 0 NOT NULL,
	"erased" bigint DEFAULT 0 NOT NULL,
	"position" text,
	"worked_ms" bigint DEFAULT 0 NOT NULL,
	CONSTRAINT "jobs_kind_known" CHECK ("jobs"."kind" IN ('import', 'export', 'undo')),
	CONSTRAINT "jobs_state_known" CHECK ("jobs"."state" IN ('waiting', 'running', 'done', 'failed', 'cancelled')),
	CONSTRAINT "jobs_ended" CHECK (("jobs"."ended_at" IS NOT NULL) = ("jobs"."state" IN ('done', 'failed', 'cancelled')))
);
--> statement-breakpoint
ALTER TABLE "cache_invalidations" ADD COLUMN "more_user_ids" uuid[];--> statement-breakpoint
ALTER TABLE "job_created_users" ADD CONSTRAINT "job_created_users_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_errors" ADD CONSTRAINT "job_errors_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "job_files" ADD CONSTRAINT "job_files_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "job_files_role" ON "job_files" USING btree ("job_id","role") WHERE "job_files"."bytes" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "job_files_job" ON "job_files" USING btree ("job_id");--> statement-breakpoint
CREATE INDEX "jobs_open" ON "jobs" USING btree ("started_at") WHERE "jobs"."ended_at" IS NULL;--> statement-breakpoint
CREATE UNIQUE INDEX "jobs_undoes" ON "jobs" USING btree ("undoes") WHERE "jobs"."state" NOT IN ('failed', 'cancelled');