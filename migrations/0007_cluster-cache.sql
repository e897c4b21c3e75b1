CREATE TABLE "cache_primaries" (
	"server" text PRIMARY KEY NOT NULL,
	"epoch" bigint NOT NULL,
	"slots" "int4multirange" NOT NULL,
	"lost" "int4multirange" DEFAULT '{}' NOT NULL,
	"era" uuid NOT NULL
);
--> statement-breakpoint
ALTER TABLE "cache_invalidations" ADD COLUMN "slot" smallint;