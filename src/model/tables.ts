// The tables. PostgreSQL is the truth: what must hold is a constraint here, and every filter, sort and
// search that the API accepts has an index here.
import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  smallint,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'

// Folded text is compared by code point, whatever the database's locale: keyset paging needs an order
// that is total and the same on every server.
const folded = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' })

// Milliseconds, as the API shows them: a cursor made from an answer must name the row exactly.
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })

export const users = pgTable(
  'users',
  {
    id: uuid('id').primaryKey(),
    username: text('username').notNull(),
    usernameFolded: folded('username_folded').notNull(),
    name: text('name'),
    nameFolded: folded('name_folded').notNull(),
    passwordHash: text('password_hash').notNull(),
    status: text('status', { enum: ['ACTIVE', 'BLOCKED'] }).notNull(),
    avatar: text('avatar'),
    version: integer('version').notNull(),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
    /** Username, name and contact values, see `searchText` in text.ts. */
    searchText: text('search_text').notNull(),
  },
  (users) => [
    uniqueIndex('users_username_folded').on(users.usernameFolded),
    index('users_created_at').on(users.createdAt, users.id),
    index('users_updated_at').on(users.updatedAt, users.id),
    index('users_name').on(users.nameFolded, users.id),
    index('users_status_created_at').on(users.status, users.createdAt, users.id),
    index('users_status_updated_at').on(users.status, users.updatedAt, users.id),
    index('users_status_username').on(users.status, users.usernameFolded),
    index('users_status_name').on(users.status, users.nameFolded, users.id),
    index('users_search').using('gin', users.searchText.op('gin_trgm_ops')),
    check('users_status_known', sql`${users.status} IN ('ACTIVE', 'BLOCKED')`),
    check('users_version_positive', sql`${users.version} > 0`),
    check('users_username_length', sql`char_length(${users.username}) BETWEEN 1 AND 64`),
    check('users_name_length', sql`char_length(${users.name}) <= 200`),
    check('users_password_hashed', sql`${users.passwordHash} LIKE '$argon2id$%'`),
  ],
)

export const contacts = pgTable(
  'contacts',
  {
    id: uuid('id').primaryKey(),
    userId: uuid('user_id')
      .notNull()
      .references(() => users.id, { onDelete: 'cascade' }),
    position: smallint('position').notNull(),
    contactType: text('contact_type', { enum: ['PHONE', 'WORK', 'WHATSAPP'] }).notNull(),
    value: text('value').notNull(),
  },
  (contacts) => [
    // Two writers that mixed their contacts would collide here.
    uniqueIndex('contacts_user_position').on(contacts.userId, contacts.position),
    index('contacts_value').on(contacts.value, contacts.contactType, contacts.userId),
    index('contacts_type').on(contacts.contactType, contacts.userId),
    check('contacts_type_known', sql`${contacts.contactType} IN ('PHONE', 'WORK', 'WHATSAPP')`),
    check('contacts_value_length', sql`char_length(${contacts.value}) BETWEEN 1 AND 256`),
    check('contacts_position_bounded', sql`${contacts.position} BETWEEN 0 AND 49`),
  ],
)

/**
 * What a write must have removed from the cache, recorded in the write's own transaction, so that it is
 * done also when the writer dies or cannot reach the cache. Rows live for moments.
 */
export const cacheInvalidations = pgTable('cache_invalidations', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  userId: uuid('user_id').notNull(),
  createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
})

/** Where a job that walks much stopped, so that its next run goes on there. */
export const jobCheckpoints = pgTable('job_checkpoints', {
  job: text('job').primaryKey(),
  state: jsonb('state').notNull(),
  updatedAt: instant('updated_at').notNull().default(sql`clock_timestamp()`),
})
