ALTER TABLE "outbox" ADD COLUMN "bus_attempts" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "bus_due_at" timestamp (3) with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
CREATE INDEX "outbox_pool_due" ON "outbox" USING btree ("due_at","id") WHERE "outbox"."pool_pending";--> statement-breakpoint
CREATE INDEX "outbox_bus_due" ON "outbox" USING btree ("bus_due_at","id") WHERE "outbox"."bus_pending";--> statement-breakpoint
CREATE INDEX "outbox_pool_user" ON "outbox" USING btree ("user_id","id") WHERE "outbox"."pool_pending";--> statement-breakpoint
CREATE INDEX "outbox_bus_user" ON "outbox" USING btree ("user_id","id") WHERE "outbox"."bus_pending";