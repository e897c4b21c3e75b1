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
	CONSTRAINT "users_status_known" CHECK ("users"."status" IN ('ACTIVE', 'BLOCKED')),
	CONSTRAINT "users_version_positive" CHECK ("users"."version" > 0),
	CONSTRAINT "users_username_length" CHECK (char_length("users"."username") BETWEEN 1 AND 64),
	CONSTRAINT "users_name_length" CHECK (char_length("users"."name") <= 200),
	CONSTRAINT "users_password_hashed" CHECK ("users"."password_hash" LIKE '$argon2id$%')
);
--> statement-breakpoint
ALTER TABLE "contacts" ADD CONSTRAINT "contacts_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "contacts_user_position" ON "contacts" USING btree ("user_id","position");--> statement-breakpoint
CREATE INDEX "contacts_value" ON "contacts" USING btree ("value","contact_type","user_id");--> statement-breakpoint
CREATE INDEX "contacts_type" ON "contacts" USING btree ("contact_type","user_id");--> statement-breakpoint
CREATE UNIQUE INDEX "users_username_folded" ON "users" USING btree ("username_folded");--> statement-breakpoint
CREATE INDEX "users_created_at" ON "users" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "users_updated_at" ON "users" USING btree ("updated_at","id");--> statement-breakpoint
CREATE INDEX "users_name" ON "users" USING btree ("name_folded","id");--> statement-breakpoint
CREATE INDEX "users_status_created_at" ON "users" USING btree ("status","created_at","id");--> statement-breakpoint
CREATE INDEX "users_status_updated_at" ON "users" USING btree ("status","updated_at","id");--> statement-breakpoint
CREATE INDEX "users_status_username" ON "users" USING btree ("status","username_folded");--> statement-breakpoint
CREATE INDEX "users_status_name" ON "users" USING btree ("status","name_folded","id");--> statement-breakpoint
CREATE INDEX "users_search" ON "users" USING gin ("search_text" gin_trgm_ops);