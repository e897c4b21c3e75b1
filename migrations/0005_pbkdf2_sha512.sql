ALTER TABLE "users" DROP CONSTRAINT "users_password_hashed";--> statement-breakpoint
-- NOT VALID as before: the rule only takes more than the one that is dropped.
ALTER TABLE "users" ADD CONSTRAINT "users_password_hashed" CHECK ("users"."password_hash" ~ '^\$(argon2(id|i|d)|2[aby]|scrypt|pbkdf2-sha(256|512))\$') NOT VALID;
