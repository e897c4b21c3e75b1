// The tables. PostgreSQL is the truth: what must hold is a constraint here, and every filter, sort and
// search that the API accepts has an index here.
import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
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

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

// Milliseconds, as the API shows them: a cursor made from an answer must name the row exactly.
const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'date' })

export const eventTypes = [
  'user.created',
  'user.updated',
  'user.blocked',
  'user.unblocked',
  'user.erased',
] as const

/**
 * `standing`: enabled or not, as the status says; each after it includes what those before it do. `groups` are put
 * back where the user has come back, which is no change of the user and no event.
 */
export const poolTasks = ['groups', 'standing', 'password', 'remove'] as const

export const users = pgTable(
  'users',
  {
    id: uuid('id').primaryKey(),
    username: text('username').notNull(),
    usernameFolded: folded('username_folded').notNull(),
    name: text('name'),
    /** See `sortKey` in search-text.ts. */
    nameFolded: folded('name_folded').notNull(),
    passwordHash: text('password_hash').notNull(),
    status: text('status', { enum: ['ACTIVE', 'BLOCKED'] }).notNull(),
    avatar: text('avatar'),
    version: integer('version').notNull(),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
    /** Username, name and contact values, see `searchText` in search-text.ts. */
    searchText: text('search_text').notNull(),
    /** The last block or change of password: who signed in before it must do so again. */
    sessionsValidFrom: instant('sessions_valid_from'),
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
    // The daily revalidation compares versions by the million, from this index alone.
    index('users_version').on(users.id, users.version),
    // Entries that are not merged into the index yet are read by every search: at 256 kB that costs it 0.15 ms instead of 1.7 ms at
    // PostgreSQL's 4 MB, and a creation no more than before.
    index('users_search')
      .using('gin', users.searchText.op('gin_trgm_ops'))
      .with({ gin_pending_list_limit: 256 }),
    check('users_status_known', sql`${users.status} IN ('ACTIVE', 'BLOCKED')`),
    check('users_version_positive', sql`${users.version} > 0`),
    check('users_username_length', sql`char_length(${users.username}) BETWEEN 1 AND 64`),
    check('users_name_length', sql`char_length(${users.name}) <= 200`),
    check(
      'users_password_hashed',
      sql`${users.passwordHash} ~ '^\\$(argon2(id|i|d)|2[aby]|scrypt|pbkdf2-sha(256|512))\\$'`,
    ),
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
  /** The folded usernames whose entries go too. */
  names: text('names').array(),
  createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
})

/**
 * The cache server that all processes share, and the era of the entries in it. Whoever finds another server behind
 * the same name begins a new era: entries and invalidations of different servers never mix. One row.
 */
export const cacheServers = pgTable(
  'cache_servers',
  {
    isCurrent: boolean('is_current').primaryKey().default(true),
    /** The `run_id` of `INFO server`. */
    runId: text('run_id').notNull(),
    era: uuid('era').notNull(),
  },
  (servers) => [check('cache_servers_one_row', sql`${servers.isCurrent}`)],
)

/**
 * Usernames that were given up, by a rename or an erasure: tokens from before that are nobody's, and not those
 * of whoever takes the name next. A hash, since the person behind an erased name must not be kept.
 */
export const formerUsernames = pgTable(
  'former_usernames',
  {
    /** Of the folded username, as UTF-8. */
    usernameSha256: bytea('username_sha256').primaryKey(),
    freedAt: instant('freed_at').notNull(),
  },
  (former) => [index('former_usernames_freed_at').on(former.freedAt)],
)

/**
 * What others must be told of a change: the user pool and the event bus. Written in the change's own
 * transaction, worked off after it; a row goes when nothing of it is left to do.
 */
export const outbox = pgTable(
  'outbox',
  {
    /** Per user, and per username, the order of the commits. */
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    /** What consumers recognise a repeated event by. */
    eventId: uuid('event_id').notNull(),
    /** No reference: an erased user's row has gone. */
    userId: uuid('user_id').notNull(),
    type: text('type', { enum: eventTypes }).notNull(),
    /** `{ user, changed }`: the user as it is answered, and the names of the fields that changed. */
    data: jsonb('data').notNull(),
    /** What the pool needs, the strongest of what this change asks for. */
    poolTask: text('pool_task', { enum: poolTasks }),
    /** Whom the pool knows by this name: the one from before the change. */
    poolUsername: text('pool_username'),
    poolUsernameFolded: folded('pool_username_folded'),
    poolPending: boolean('pool_pending').notNull(),
    busPending: boolean('bus_pending').notNull(),
    /** Of the pool; the bus has its own: what one must be told does not wait for the other. */
    attempts: integer('attempts').notNull().default(0),
    dueAt: instant('due_at').notNull().default(sql`clock_timestamp()`),
    busAttempts: integer('bus_attempts').notNull().default(0),
    busDueAt: instant('bus_due_at').notNull().default(sql`now()`),
    createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
  },
  (outbox) => [
    index('outbox_pool_due').on(outbox.dueAt, outbox.id).where(sql`${outbox.poolPending}`),
    index('outbox_bus_due').on(outbox.busDueAt, outbox.id).where(sql`${outbox.busPending}`),
    // A row waits for earlier ones of its user and of its username.
    index('outbox_pool_user').on(outbox.userId, outbox.id).where(sql`${outbox.poolPending}`),
    index('outbox_bus_user').on(outbox.userId, outbox.id).where(sql`${outbox.busPending}`),
    index('outbox_pool_username').on(outbox.poolUsernameFolded, outbox.id),
    // For the version before migration 0008. To be dropped when it has gone.
    index('outbox_user').on(outbox.userId, outbox.id),
    index('outbox_due').on(outbox.dueAt, outbox.id),
    check(
      'outbox_type_known',
      sql`${outbox.type} IN ('user.created', 'user.updated', 'user.blocked', 'user.unblocked', 'user.erased')`,
    ),
    check('outbox_pool_task_known', sql`${outbox.poolTask} IN ('groups', 'standing', 'password', 'remove')`),
    check(
      'outbox_pool_task_whole',
      sql`num_nulls(${outbox.poolTask}, ${outbox.poolUsername}, ${outbox.poolUsernameFolded}) IN (0, 3)`,
    ),
    check('outbox_pool_pending_task', sql`NOT ${outbox.poolPending} OR ${outbox.poolTask} IS NOT NULL`),
  ],
)

/** The groups of a user who was taken out of the pool and comes back with the next sign-in. */
export const poolGroups = pgTable('pool_groups', {
  userId: uuid('user_id')
    .primaryKey()
    .references(() => users.id, { onDelete: 'cascade' }),
  groups: text('groups').array().notNull(),
  savedAt: instant('saved_at').notNull().default(sql`clock_timestamp()`),
})

/**
 * Who is about to come into the pool: the directory has said yes to a password, and the pool makes the user after that.
 * A change in between reaches the pool too early; the next token for that name finds out by this. A hash of the name,
 * as in `former_usernames`.
 */
export const poolArrivals = pgTable('pool_arrivals', {
  usernameSha256: bytea('username_sha256').primaryKey(),
  /** No reference: the user may be erased before. */
  userId: uuid('user_id').notNull(),
  /** As it was when the password was checked. */
  sessionsValidFrom: instant('sessions_valid_from'),
})

/** Where a job that walks much stopped, so that its next run goes on there. */
export const jobCheckpoints = pgTable('job_checkpoints', {
  job: text('job').primaryKey(),
  state: jsonb('state').notNull(),
  updatedAt: instant('updated_at').notNull().default(sql`clock_timestamp()`),
})
