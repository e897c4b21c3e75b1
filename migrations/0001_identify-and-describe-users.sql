ALTER TABLE "users"
	ALTER COLUMN "password_hash" DROP NOT NULL,
	ADD COLUMN IF NOT EXISTS "external_id" text COLLATE "C",
	ADD COLUMN IF NOT EXISTS "attributes" jsonb DEFAULT '{}'::jsonb NOT NULL,
	DROP CONSTRAINT IF EXISTS "users_username_length",
	DROP CONSTRAINT IF EXISTS "users_password_hashed",
	DROP CONSTRAINT IF EXISTS "users_external_id_length",
	DROP CONSTRAINT IF EXISTS "users_attributes_object",
	ADD CONSTRAINT "users_username_length" CHECK (char_length("users"."username") BETWEEN 1 AND 128) NOT VALID,
	ADD CONSTRAINT "users_password_hashed" CHECK ("users"."password_hash" ~ '^\$(argon2(id|i|d)|2[aby]|(firebase-)?scrypt|pbkdf2-sha(1|256|512))\$') NOT VALID,
	ADD CONSTRAINT "users_external_id_length" CHECK (char_length("users"."external_id") BETWEEN 1 AND 255) NOT VALID,
	ADD CONSTRAINT "users_attributes_object" CHECK (jsonb_typeof("users"."attributes") = 'object') NOT VALID;--> statement-breakpoint
ALTER TABLE "contacts"
	DROP CONSTRAINT IF EXISTS "contacts_type_known",
	ADD CONSTRAINT "contacts_type_known" CHECK ("contacts"."contact_type" IN ('PHONE', 'WORK', 'WHATSAPP', 'EMAIL')) NOT VALID;--> statement-breakpoint
ALTER TABLE "users"
	VALIDATE CONSTRAINT "users_username_length",
	VALIDATE CONSTRAINT "users_password_hashed",
	VALIDATE CONSTRAINT "users_external_id_length",
	VALIDATE CONSTRAINT "users_attributes_object";--> statement-breakpoint
ALTER TABLE "contacts" VALIDATE CONSTRAINT "contacts_type_known";--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "users_external_id";--> statement-breakpoint
CREATE UNIQUE INDEX CONCURRENTLY "users_external_id" ON "users" USING btree ("external_id") WHERE "users"."external_id" IS NOT NULL;--> statement-breakpoint
DROP INDEX CONCURRENTLY IF EXISTS "users_attributes";--> statement-breakpoint
CREATE INDEX CONCURRENTLY "users_attributes" ON "users" USING gin ("attributes" jsonb_path_ops) WITH (gin_pending_list_limit=256) WHERE "users"."attributes" <> '{}';
