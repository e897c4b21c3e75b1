CREATE TABLE "replica_heartbeats" (
	"process" uuid PRIMARY KEY NOT NULL,
	"sent_at_ms" bigint NOT NULL,
	"written_at" timestamp (3) with time zone NOT NULL
);
