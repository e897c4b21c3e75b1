CREATE TABLE "pool_arrivals" (
	"username_sha256" "bytea" PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"sessions_valid_from" timestamp (3) with time zone
);
