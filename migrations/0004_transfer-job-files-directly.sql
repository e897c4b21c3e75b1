ALTER TABLE "job_files" ALTER COLUMN "key" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "job_files" ADD COLUMN "etag" text;