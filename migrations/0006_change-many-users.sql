CREATE TABLE "job_chunks" (
	"job_id" uuid NOT NULL,
	"number" integer NOT NULL,
	"user_ids" uuid[] NOT NULL,
	"versions" integer[],
	"restores" jsonb,
	CONSTRAINT "job_chunks_job_id_number_pk" PRIMARY KEY("job_id","number")
);
--> statement-breakpoint
ALTER TABLE "jobs" DROP CONSTRAINT "jobs_kind_known";--> statement-breakpoint
ALTER TABLE "jobs" ADD COLUMN "rows_total" bigint;--> statement-breakpoint
ALTER TABLE "job_chunks" ADD CONSTRAINT "job_chunks_job_id_jobs_id_fk" FOREIGN KEY ("job_id") REFERENCES "public"."jobs"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_kind_known" CHECK ("jobs"."kind" IN ('import', 'export', 'undo', 'bulk', 'bulk_undo'));