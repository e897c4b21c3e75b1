ALTER TABLE "console_sessions" ADD COLUMN IF NOT EXISTS "person" "bytea";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "console_sessions_person";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "console_sessions_person" ON "console_sessions" USING btree ("person","created_at");
