-- Not dropped and built again, as drizzle-kit would have it.
ALTER INDEX "users_search" SET (gin_pending_list_limit = 256);
