CREATE TABLE "cache_servers" (
	"is_current" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"run_id" text NOT NULL,
	"era" uuid NOT NULL,
	CONSTRAINT "cache_servers_one_row" CHECK ("cache_servers"."is_current")
);
