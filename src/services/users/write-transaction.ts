// The transaction of a write: locks the user, records the event and the cache invalidation, and commits.
// PostgreSQL decides every race, and calls to other systems follow the commit.
import { eq } from 'drizzle-orm'
import type { InvalidationRecord } from '../../connection/cache/cache.ts'
import type { Queries } from '../../connection/postgres/database.ts'
import { violatedUniqueConstraint } from '../../connection/postgres/sqlstates.ts'
import type { Attributes } from '../../model/attributes.ts'
import { ServiceError } from '../../model/errors.ts'
import { derivedColumns } from '../../model/search-text.ts'
import { users } from '../../model/tables.ts'
import type { Contact, ContactInput, Status, User } from '../../model/user.ts'
import { type AvatarChange, avatarKeyOf, isNewAvatar } from '../avatars/change.ts'
import { avatarStoreQueue } from '../avatars/store-queue.ts'
import { setPasswordNow } from '../cognito/sync.ts'
import type { ServiceContext, WriteContext } from '../context.ts'
import type { Caller } from '../identity/access.ts'
import { recordChange } from '../outbox/record.ts'
import { readContacts } from './contacts.ts'
import { checkPrecondition, type Precondition } from './precondition.ts'
import { noSuchUser } from './read.ts'
import { toUser } from './user-row.ts'

/** The user that a request writes, and the caller who sends it. */
export type WriteRequest = { id: string; caller: Caller }
/** A request to change or erase an existing user. */
export type ChangeRequest = WriteRequest & { precondition: Precondition | undefined }

export type StoredUser = typeof users.$inferSelect & { contacts: Contact[] }

/** All fields of a user that a request can set. */
export type UserDraft = {
  username: string
  name: string | null
  status: Status
  contacts: ContactInput[]
  externalId: string | null
  attributes: Attributes
  avatar: AvatarChange
  /** null: no password. */
  passwordHash: string | null
}

type WrittenUser = {
  /** Undefined for a new user. */
  before?: StoredUser
  row: typeof users.$inferSelect | undefined
  contacts: Contact[]
}

/**
 * Commits a new or changed user. A new avatar is stored last, so that a rejected write stores nothing.
 * @param request.newPassword in plain text, for the user pool
 * @returns the user as the API returns it
 */
export async function saveUser(
  ctx: WriteContext,
  request: WriteRequest & { avatar: AvatarChange | undefined; newPassword?: string | undefined },
  work: (queries: Queries) => Promise<WrittenUser>,
): Promise<User> {
  const { id, caller, avatar, newPassword } = request
  let passwordTaskId: number | undefined
  const save = () =>
    inWriteTransaction(ctx, request, async (queries, usernames) => {
      const { before, row, contacts } = await work(queries)
      if (!row) throw new Error('the statement returned no row')
      for (const user of before ? [before, row] : [row]) usernames.add(user.usernameFolded)
      const user = toApiUser(ctx, { ...row, contacts })
      passwordTaskId = await recordChange(queries, ctx.outbox, {
        before: before && toApiUser(ctx, before),
        after: user,
        isPasswordNew: row.passwordHash !== before?.passwordHash,
      })
      if (isNewAvatar(avatar)) await ctx.avatars.put(avatarKeyOf(id, avatar), avatar.bytes)
      return user
    })
  const user = await (isNewAvatar(avatar) ? avatarStoreQueue(caller.key, save) : save())
  if (passwordTaskId !== undefined && newPassword !== undefined)
    await setPasswordNow(ctx, { outboxId: passwordTaskId, username: user.username, password: newPassword })
  return user
}

/**
 * Runs `work` in a transaction that also records the cache invalidation, and invalidates after the commit.
 * @param work adds the folded usernames from before and after the write to `usernames`
 */
export async function inWriteTransaction<T>(
  ctx: WriteContext,
  { id, caller }: WriteRequest,
  work: (queries: Queries, usernames: Set<string>) => Promise<T>,
): Promise<T> {
  let recorded: InvalidationRecord[] | undefined
  const usernames = new Set<string>()
  try {
    const result = await ctx.db.transaction(async (queries) => {
      const result = await work(queries, usernames)
      recorded = await ctx.cache.recordInvalidation(queries, id, [...usernames])
      return result
    })
    // A change that ends the caller's own session waits for the caller's row lock, so no own change outlives it.
    if (id !== caller.userId) ctx.callers.committed(caller)
    await ctx.cache.invalidate(id, recorded, [...usernames])
    return result
  } catch (error) {
    // The commit may have succeeded without a confirmation. Its record then stays for the sweep.
    if (error instanceof ServiceError && error.code === 'unavailable')
      await ctx.cache.invalidate(id, undefined, [...usernames])
    throw conflictOf(error) ?? error
  }
}

/** Unique fields, by the index that guards each. */
const uniqueFields: Record<string, { pointer: string; detail: string }> = {
  users_username_folded: { pointer: '/username', detail: 'The username is already taken. Choose another.' },
  users_external_id: {
    pointer: '/external_id',
    detail: 'Another user has this external_id. Change that user, or send another external_id.',
  },
}

/** @returns undefined unless the error is that of a value that another user has */
function conflictOf(error: unknown): ServiceError | undefined {
  const { pointer, detail } = uniqueFields[violatedUniqueConstraint(error) ?? ''] ?? {}
  if (pointer === undefined || detail === undefined) return undefined
  return new ServiceError('conflict', detail, {
    faults: [{ pointer, message: 'is already taken' }],
    cause: error,
  })
}

/**
 * Locks a user for a change, and confirms the caller and the precondition.
 * @throws ServiceError `unauthenticated`, `not_found`, `version_mismatch`
 */
export async function lockUser(
  { callers }: WriteContext,
  queries: Queries,
  { id, caller, precondition }: ChangeRequest,
): Promise<StoredUser> {
  // Separate statements, because sub-selects would see the caller and the contacts from before the wait for the lock.
  const [row] = await queries.select().from(users).where(eq(users.id, id)).for('update')
  await callers.confirm(queries, caller)
  if (!row) throw noSuchUser()
  checkPrecondition(precondition, row.version)
  return { ...row, contacts: await readContacts(queries, id) }
}

/** @returns the columns of a draft, except the avatar */
export function draftColumns(draft: UserDraft) {
  return {
    username: draft.username,
    name: draft.name,
    passwordHash: draft.passwordHash,
    status: draft.status,
    externalId: draft.externalId,
    attributes: draft.attributes,
    ...derivedColumns(draft),
  }
}

export function toApiUser({ avatarBaseUrl }: ServiceContext, user: StoredUser): User {
  const { createdAt: created_at, updatedAt: updated_at, externalId: external_id } = user
  return toUser({ ...user, created_at, updated_at, external_id }, avatarBaseUrl)
}
