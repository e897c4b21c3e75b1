// The database schema. Invariants are constraints; every filter, sort and search of the API has an index.
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
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { Attributes } from './attributes.ts'
import { instant } from './instant-column.ts'

// Text in the order of its code points. Keyset paging needs an order that is total and the same on every server, so the
// locale must not matter.
const plainText = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' })

const int4multirange = customType<{ data: string }>({ dataType: () => 'int4multirange' })

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' })

export const eventTypes = [
  'user.created',
  'user.updated',
  'user.blocked',
  'user.unblocked',
  'user.erased',
] as const

/**
 * Tasks for the user pool. `status` enables or disables the user, and each later task includes the earlier ones.
 * `groups` restores the groups of a user who was removed from the pool and came back; it is not an event.
 */
export const poolTasks = ['groups', 'status', 'password', 'remove'] as const

export const users = pgTable(
  'users',
  {
    id: uuid('id').primaryKey(),
    username: text('username').notNull(),
    usernameFolded: plainText('username_folded').notNull(),
    name: text('name'),
    /** See `sortKey` in search-text.ts. */
    nameFolded: plainText('name_folded').notNull(),
    /** null: the user cannot sign in with a password. */
    passwordHash: text('password_hash'),
    status: text('status', { enum: ['ACTIVE', 'BLOCKED'] }).notNull(),
    avatar: text('avatar'),
    externalId: plainText('external_id'),
    attributes: jsonb('attributes').$type<Attributes>().notNull().default({}),
    version: integer('version').notNull(),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
    /** Username, name, contact values and external id, see `searchText` in search-text.ts. */
    searchText: text('search_text').notNull(),
    /** The last block or password change. Earlier sessions are rejected. */
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
    // Serves the daily revalidation, which compares millions of versions, as an index-only scan.
    index('users_version').on(users.id, users.version),
    // Every search reads the pending list, which takes 0.15 ms at 256 kB and 1.7 ms at the default of 4 MB.
    index('users_search')
      .using('gin', users.searchText.op('gin_trgm_ops'))
      .with({ gin_pending_list_limit: 256 }),
    uniqueIndex('users_external_id')
      .on(users.externalId)
      .concurrently()
      .where(sql`${users.externalId} IS NOT NULL`),
    // Users without attributes have no entries. Its pending list is short for the same reason as that of the search.
    index('users_attributes')
      .using('gin', users.attributes.op('jsonb_path_ops'))
      .concurrently()
      .with({ gin_pending_list_limit: 256 })
      .where(sql`${users.attributes} <> '{}'`),
    check('users_status_known', sql`${users.status} IN ('ACTIVE', 'BLOCKED')`),
    check('users_version_positive', sql`${users.version} > 0`),
    check('users_username_length', sql`char_length(${users.username}) BETWEEN 1 AND 128`),
    check('users_name_length', sql`char_length(${users.name}) <= 200`),
    check(
      'users_password_hashed',
      sql`${users.passwordHash} ~ '^\\$(argon2(id|i|d)|2[aby]|(firebase-)?scrypt|pbkdf2-sha(1|256|512))\\$'`,
    ),
    check('users_external_id_length', sql`char_length(${users.externalId}) BETWEEN 1 AND 255`),
    check('users_attributes_object', sql`jsonb_typeof(${users.attributes}) = 'object'`),
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
    contactType: text('contact_type', { enum: ['PHONE', 'WORK', 'WHATSAPP', 'EMAIL'] }).notNull(),
    value: text('value').notNull(),
  },
  (contacts) => [
    // Detects two concurrent writers that would mix their contacts.
    uniqueIndex('contacts_user_position').on(contacts.userId, contacts.position),
    index('contacts_value').on(contacts.value, contacts.contactType, contacts.userId),
    index('contacts_type').on(contacts.contactType, contacts.userId),
    check('contacts_type_known', sql`${contacts.contactType} IN ('PHONE', 'WORK', 'WHATSAPP', 'EMAIL')`),
    check('contacts_value_length', sql`char_length(${contacts.value}) BETWEEN 1 AND 256`),
    check('contacts_position_bounded', sql`${contacts.position} BETWEEN 0 AND 49`),
  ],
)

/**
 * Cache invalidations that are still to be done. A write records them in its own transaction, so that they survive
 * a crash of the writer and an outage of the cache. Rows are short-lived.
 */
export const cacheInvalidations = pgTable('cache_invalidations', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  userId: uuid('user_id').notNull(),
  /** The folded usernames whose entries are invalidated too. */
  names: text('names').array(),
  /** The other users of a bulk write. */
  moreUserIds: uuid('more_user_ids').array(),
  /** The hash slot of all these entries in a cluster; null with a single server. */
  slot: smallint('slot'),
  createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
})

/**
 * The cache server that all processes share, and the era of its entries, in one row. A process that finds another
 * server behind the same name begins a new era, so that entries of different servers never mix.
 */
export const cacheServers = pgTable(
  'cache_servers',
  {
    isCurrent: boolean('is_current').primaryKey().default(true),
    /** The `run_id` of `INFO server`, or `cluster`. */
    runId: text('run_id').notNull(),
    era: uuid('era').notNull(),
  },
  (servers) => [check('cache_servers_one_row', sql`${servers.isCurrent}`)],
)

/** The primaries of the cluster that all processes share. Each slot belongs to at most one of them. */
export const cachePrimaries = pgTable('cache_primaries', {
  /** Its `run_id` and the epoch, which changes whenever it takes a slot from another primary. */
  server: text('server').primaryKey(),
  epoch: bigint('epoch', { mode: 'number' }).notNull(),
  slots: int4multirange('slots').notNull(),
  /** Slots that it had in this era, and that another primary has taken. Their old entries must not be read. */
  lost: int4multirange('lost').notNull().default(sql`'{}'`),
  era: uuid('era').notNull(),
})

/** One row for each process with a read replica, which shows it how old the replica's data is. */
export const replicaHeartbeats = pgTable('replica_heartbeats', {
  process: uuid('process').primaryKey(),
  /** On the monotonic clock of that process, before it sent the statement. */
  sentAtMs: bigint('sent_at_ms', { mode: 'number' }).notNull(),
  writtenAt: instant('written_at').notNull(),
})

/**
 * Usernames released by a rename or an erasure. Tokens issued before the release must not identify the next owner
 * of the name. Stored as a hash, because personal data of an erased user must not be kept.
 */
export const releasedUsernames = pgTable(
  'released_usernames',
  {
    /** SHA-256 of the folded username in UTF-8. */
    usernameSha256: bytea('username_sha256').primaryKey(),
    releasedAt: instant('released_at').notNull(),
  },
  (released) => [index('released_usernames_released_at').on(released.releasedAt)],
)

/**
 * Changes to deliver to the user pool and the event bus (transactional outbox). A row is written in the change's
 * transaction and deleted once both targets have it.
 */
export const outbox = pgTable(
  'outbox',
  {
    /** Increases in the order of the commits of one user and of one username. */
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    /** Lets consumers detect duplicates. */
    eventId: uuid('event_id').notNull(),
    /** No foreign key: events of erased users remain. */
    userId: uuid('user_id').notNull(),
    type: text('type', { enum: eventTypes }).notNull(),
    /** `{ user, changed }`: the user as the API returns it, and the names of the changed fields. */
    data: jsonb('data').notNull(),
    /** The strongest of the tasks that this change needs. */
    poolTask: text('pool_task', { enum: poolTasks }),
    /** The username in the pool, from before the change. */
    poolUsername: text('pool_username'),
    poolUsernameFolded: plainText('pool_username_folded'),
    poolPending: boolean('pool_pending').notNull(),
    busPending: boolean('bus_pending').notNull(),
    // Each target has its own retries, so that a failing one does not delay the other.
    poolAttempts: integer('pool_attempts').notNull().default(0),
    poolDueAt: instant('pool_due_at').notNull().default(sql`clock_timestamp()`),
    busAttempts: integer('bus_attempts').notNull().default(0),
    busDueAt: instant('bus_due_at').notNull().default(sql`clock_timestamp()`),
    createdAt: instant('created_at').notNull().default(sql`clock_timestamp()`),
  },
  (outbox) => [
    index('outbox_pool_due').on(outbox.poolDueAt, outbox.id).where(sql`${outbox.poolPending}`),
    index('outbox_bus_due').on(outbox.busDueAt, outbox.id).where(sql`${outbox.busPending}`),
    // A row waits for earlier rows of its user and of its username.
    index('outbox_pool_user').on(outbox.userId, outbox.id).where(sql`${outbox.poolPending}`),
    index('outbox_bus_user').on(outbox.userId, outbox.id).where(sql`${outbox.busPending}`),
    index('outbox_pool_username').on(outbox.poolUsernameFolded, outbox.id),
    check(
      'outbox_type_known',
      sql`${outbox.type} IN ('user.created', 'user.updated', 'user.blocked', 'user.unblocked', 'user.erased')`,
    ),
    check('outbox_pool_task_known', sql`${outbox.poolTask} IN ('groups', 'status', 'password', 'remove')`),
    check(
      'outbox_pool_task_whole',
      sql`num_nulls(${outbox.poolTask}, ${outbox.poolUsername}, ${outbox.poolUsernameFolded}) IN (0, 3)`,
    ),
    check('outbox_pool_pending_task', sql`NOT ${outbox.poolPending} OR ${outbox.poolTask} IS NOT NULL`),
  ],
)

/** The groups of a user who was removed from the pool and returns with the next sign-in. */
export const poolGroups = pgTable('pool_groups', {
  userId: uuid('user_id')
    .primaryKey()
    .references(() => users.id, { onDelete: 'cascade' }),
  groups: text('groups').array().notNull(),
  savedAt: instant('saved_at').notNull().default(sql`clock_timestamp()`),
})

/**
 * Users whom the directory has let in and the pool is about to create. A change in between reaches the pool before
 * the user exists there; the first token for the name detects that by this row. The name is hashed as in
 * `released_usernames`.
 */
export const pendingUserMigrations = pgTable('pending_user_migrations', {
  usernameSha256: bytea('username_sha256').primaryKey(),
  /** No foreign key: the user may be erased before that. */
  userId: uuid('user_id').notNull(),
  /** The value when the password was checked. */
  sessionsValidFrom: instant('sessions_valid_from'),
})

/** The sessions of the console. Neither the cookie nor the tokens can be read from a row: docs/adr/0023-console-sessions-in-postgresql.md. */
export const consoleSessions = pgTable(
  'console_sessions',
  {
    /** SHA-256 of the cookie's value. */
    id: bytea('id').primaryKey(),
    /** The tokens, encrypted under a key from the cookie's value. */
    sealed: bytea('sealed').notNull(),
    /** SHA-256 of the caller's key, to limit the sessions of one person. */
    person: bytea('person'),
    createdAt: instant('created_at').notNull(),
    lastUsedAt: instant('last_used_at').notNull(),
    /** Until then, one server refreshes the tokens and the others wait. */
    refreshingUntil: instant('refreshing_until'),
  },
  (sessions) => [
    index('console_sessions_last_used_at').on(sessions.lastUsedAt),
    index('console_sessions_person').on(sessions.person, sessions.createdAt).concurrently(),
  ],
)

/** The position where a long job stopped, from which its next run continues. */
export const jobCheckpoints = pgTable('job_checkpoints', {
  job: text('job').primaryKey(),
  state: jsonb('state').notNull(),
  updatedAt: instant('updated_at').notNull().default(sql`clock_timestamp()`),
})
