// Creating, changing and erasing users. PostgreSQL decides every race: a change locks its row first, so
// that what it read is what it replaces; what must happen after the commit happens after it.

import { asc, eq, inArray, lt, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Queries } from '../../connection/postgres/database.ts'
import { violatedUniqueConstraint } from '../../connection/postgres/sqlstates.ts'
import { type Fault, invalid, ServiceError } from '../../model/errors.ts'
import { derivedColumns } from '../../model/search-text.ts'
import { contacts, releasedUsernames, users } from '../../model/tables.ts'
import type {
  Contact,
  ContactInput,
  CreateUser,
  PatchUser,
  ReplaceUser,
  Status,
  User,
} from '../../model/user.ts'
import { fairQueue } from '../../platform/queue.ts'
import { decodeBase64Image, isDataUri } from '../avatars/base64-image.ts'
import { toAvatar } from '../avatars/encode.ts'
import type { ServiceContext, WriteContext } from '../context.ts'
import { type Caller, forbidden, mayChangeStanding, mustProvePassword } from '../identity/access.ts'
import { usernameHash } from '../identity/callers.ts'
import { hashPassword } from '../identity/passwords.ts'
import { checkOwnPassword } from '../identity/sign-in.ts'
import { record } from '../outbox/record.ts'
import { deliverNow } from '../outbox/relay.ts'
import { checkPrecondition, type Precondition } from './precondition.ts'
import { noSuchUser } from './read.ts'
import { toUser } from './record.ts'

/** The context of a write: also the means to see that its caller still may when it is committed. */

/** A new password, hashed but not stored. */
type NewPassword = {
  plain: string
  hash: string
  /** The state of the user when the present password was given and right; undefined where it was not needed. */
  proof: Pick<StoredUser, 'sessionsValidFrom'> | undefined
}

/** An avatar that has been decoded and re-encoded but not stored. */
type NewAvatar = Awaited<ReturnType<typeof toAvatar>>
/** What a write does with the avatar; text is a path that must be the present one. */
type AvatarChange = NewAvatar | string | null

/** What can be changed of a user. */
type Draft = {
  username: string
  name: string | null
  status: Status
  contacts: ContactInput[]
  avatar: AvatarChange
  passwordHash: string
}

/** The user that a write is on, and who asks for it. */
type Target = { id: string; caller: Caller }

type StoredUser = typeof users.$inferSelect & { contacts: Contact[] }

// Longer than a session lasts: a refreshed token tells when its session began, and Cognito's begin anew after
// 30 days unless a pool says otherwise.
const formerDaysMax = 31
const formerExpiredMax = 100

// A write that stores an avatar keeps its connection meanwhile: a slow store must not take them all, nor one caller
// all of these.
const avatarWrites = fairQueue(4, { waiting: 500, waitMsMax: 5_000, runningPerShare: 2 })

/** @throws ServiceError `invalid`, `conflict`, `unsupported_media_type`, `too_large`, `undecodable`, `unavailable`, `overloaded` */
export async function createUser(ctx: WriteContext, caller: Caller, body: CreateUser): Promise<User> {
  refuseRepeatedContacts(body.contacts)
  const avatar = await readAvatar(body.avatar ?? null, caller.key)
  if (typeof avatar === 'string') throw foreignAvatar()
  const passwordHash = await hashOf(ctx, caller, body)

  const id = uuidv7()
  const draft: Draft = {
    username: body.username,
    name: body.name ?? null,
    status: body.status ?? 'ACTIVE',
    contacts: body.contacts ?? [],
    avatar,
    passwordHash,
  }
  const target = { id, caller, avatar: draft.avatar }
  return write(ctx, target, undefined, async (queries) => {
    await ctx.callers.confirm(queries, caller)
    const [row] = await queries
      .insert(users)
      .values({
        id,
        ...columns(draft),
        avatar: avatarKey(id, draft.avatar),
        version: 1,
        createdAt: sql`now()`,
        updatedAt: sql`now()`,
      })
      .returning()
    return { row, contacts: await storeContacts(queries, id, [], draft.contacts) }
  })
}

async function hashOf(
  ctx: ServiceContext,
  caller: Caller,
  { password, password_hash }: CreateUser,
): Promise<string> {
  if (password_hash !== undefined) return password_hash
  if (password !== undefined) return makeHash(ctx, caller, password)
  throw invalid({ pointer: '/password', message: 'is required' })
}

/** A hash is much work: none is made, and queued for, while there is nowhere to store it. */
async function makeHash({ db }: ServiceContext, caller: Caller, password: string): Promise<string> {
  await db.check()
  return hashPassword(caller.key, password)
}

async function readPassword(
  ctx: WriteContext,
  caller: Caller,
  id: string,
  { password, current_password: present }: Pick<PatchUser, 'password' | 'current_password'>,
): Promise<NewPassword | undefined> {
  const pointer = '/current_password'
  if (password === undefined) {
    if (present === undefined) return undefined
    throw invalid({ pointer, message: 'must not be given without a new password' })
  }
  if (present === undefined) {
    if (mustProvePassword(caller)) throw invalid({ pointer, message: 'is required with a new password' })
    return { plain: password, hash: await makeHash(ctx, caller, password), proof: undefined }
  }
  const [proof] = await ctx.db.query(async (queries) => {
    // A session that has ended must not find out whether a password is right.
    await ctx.callers.confirm(queries, caller)
    return queries
      .select({ passwordHash: users.passwordHash, sessionsValidFrom: users.sessionsValidFrom })
      .from(users)
      .where(eq(users.id, id))
  })
  if (!proof) throw noSuchUser()
  if (!(await checkOwnPassword(ctx, id, proof.passwordHash, present))) throw wrongPassword()
  return { plain: password, hash: await makeHash(ctx, caller, password), proof }
}

/** Input that is wrong: the token is good, and allows the change to whoever knows the password. */
function wrongPassword(): ServiceError {
  return invalid({ pointer: '/current_password', message: 'is not the present password' })
}

/** @throws ServiceError as `createUser`, and `not_found`, `version_mismatch`, `forbidden` */
export async function replaceUser(
  ctx: WriteContext,
  caller: Caller,
  id: string,
  precondition: Precondition | undefined,
  body: ReplaceUser,
): Promise<User> {
  refuseOtherId(id, body.id)
  refuseRepeatedContacts(body.contacts)
  const avatar = await readAvatar(body.avatar ?? null, caller.key)
  const password = await readPassword(ctx, caller, id, body)
  return change(ctx, caller, id, precondition, avatar, password, (current) => ({
    username: body.username,
    name: body.name ?? null,
    // Like a password, a status cannot be cleared: what is not named stays.
    status: body.status ?? current.status,
    contacts: body.contacts ?? [],
    avatar,
    passwordHash: password?.hash ?? current.passwordHash,
  }))
}

/** Changes the named fields only. @throws ServiceError as `replaceUser` */
export async function patchUser(
  ctx: WriteContext,
  caller: Caller,
  id: string,
  precondition: Precondition | undefined,
  body: PatchUser,
): Promise<User> {
  refuseOtherId(id, body.id)
  refuseRepeatedContacts(body.contacts)
  const avatar = body.avatar === undefined ? undefined : await readAvatar(body.avatar, caller.key)
  const password = await readPassword(ctx, caller, id, body)
  return change(ctx, caller, id, precondition, avatar, password, (current) => ({
    username: body.username ?? current.username,
    name: body.name === undefined ? current.name : body.name,
    status: body.status ?? current.status,
    contacts: body.contacts === undefined ? current.contacts : (body.contacts ?? []),
    avatar: avatar === undefined ? current.avatar : avatar,
    passwordHash: password?.hash ?? current.passwordHash,
  }))
}

/** @throws ServiceError as `replaceUser` */
export async function uploadAvatar(
  ctx: WriteContext,
  caller: Caller,
  id: string,
  precondition: Precondition | undefined,
  bytes: Uint8Array,
): Promise<User> {
  const avatar = await toAvatar(bytes, caller.key)
  return change(ctx, caller, id, precondition, avatar, undefined, (current) => ({ ...current, avatar }))
}

/** @throws ServiceError `not_found`, `version_mismatch`, `unavailable`, `overloaded` */
export async function eraseUser(
  ctx: WriteContext,
  caller: Caller,
  id: string,
  precondition: Precondition | undefined,
): Promise<void> {
  const avatar = await commit(ctx, { id, caller }, async (queries, names) => {
    const current = await lockUser(ctx, queries, { id, caller, precondition })
    names.add(current.usernameFolded)
    await queries.delete(users).where(eq(users.id, id))
    await freeUsername(queries, current.usernameFolded)
    await record(queries, ctx.outbox, {
      before: answered(ctx, current),
      after: undefined,
      isPasswordNew: false,
    })
    return current.avatar
  })
  if (avatar !== null) await removeAvatar(ctx, { id, caller }, avatar)
}

async function change(
  ctx: WriteContext,
  caller: Caller,
  id: string,
  precondition: Precondition | undefined,
  avatar: AvatarChange | undefined,
  password: NewPassword | undefined,
  decide: (current: StoredUser) => Draft,
): Promise<User> {
  let oldAvatar: string | null = null
  const user = await write(ctx, { id, caller, avatar }, password?.plain, async (queries) => {
    const current = await lockUser(ctx, queries, { id, caller, precondition })
    // A new password that came in between has made the one that was proved an old one.
    if (
      password?.proof &&
      password.proof.sessionsValidFrom?.getTime() !== current.sessionsValidFrom?.getTime()
    )
      throw wrongPassword()
    const draft = decide(current)
    if (
      !mayChangeStanding(caller) &&
      (draft.status !== current.status || draft.username !== current.username)
    )
      throw forbidden()
    if (typeof draft.avatar === 'string' && draft.avatar !== current.avatar) throw foreignAvatar()

    const isBlocked = draft.status === 'BLOCKED' && current.status !== 'BLOCKED'
    const isPasswordNew = draft.passwordHash !== current.passwordHash
    const [row] = await queries
      .update(users)
      .set({
        ...columns(draft),
        avatar: avatarKey(id, draft.avatar),
        version: current.version + 1,
        // The clock may have been set back since the last change.
        updatedAt: sql`greatest(clock_timestamp(), ${users.updatedAt})`,
        ...((isBlocked || isPasswordNew) && {
          // Never twice the same: a check that has begun before sees that something has changed.
          sessionsValidFrom: sql`greatest(clock_timestamp(), ${users.sessionsValidFrom} + interval '1 ms')`,
        }),
      })
      .where(eq(users.id, id))
      .returning()
    if (row && row.usernameFolded !== current.usernameFolded)
      await freeUsername(queries, current.usernameFolded)
    oldAvatar = current.avatar
    return {
      before: current,
      row,
      contacts: await storeContacts(queries, id, current.contacts, draft.contacts),
    }
  })
  if (oldAvatar !== null && oldAvatar !== user.avatar) await removeAvatar(ctx, { id, caller }, oldAvatar)
  return user
}

/** Commits a write; its new avatar is stored last before that, so that a write that is refused stores nothing. */
async function write(
  ctx: WriteContext,
  { id, caller, avatar }: Target & { avatar: AvatarChange | undefined },
  password: string | undefined,
  work: (queries: Queries) => Promise<{
    /** Absent for a new user. */
    before?: StoredUser
    row: typeof users.$inferSelect | undefined
    contacts: Contact[]
  }>,
): Promise<User> {
  let recorded: number | undefined
  const transact = () =>
    commit(ctx, { id, caller }, async (queries, names) => {
      const { before, row, contacts } = await work(queries)
      if (!row) throw new Error('the statement returned no row')
      for (const user of before ? [before, row] : [row]) names.add(user.usernameFolded)
      const user = answered(ctx, { ...row, contacts })
      recorded = await record(queries, ctx.outbox, {
        before: before && answered(ctx, before),
        after: user,
        isPasswordNew: row.passwordHash !== before?.passwordHash,
      })
      if (isNew(avatar)) await ctx.avatars.put(avatarKeyOf(id, avatar), avatar.bytes)
      return user
    })
  const user = await (isNew(avatar) ? avatarWrites(caller.key, transact) : transact())
  if (recorded !== undefined && password !== undefined) await deliverNow(ctx, recorded, password)
  return user
}

function answered({ avatarBaseUrl }: ServiceContext, user: StoredUser): User {
  return toUser({ ...user, created_at: user.createdAt, updated_at: user.updatedAt }, avatarBaseUrl)
}

/** A write's transaction, with the removal of the user's cache entry recorded in it and done after it. */
async function commit<T>(
  ctx: WriteContext,
  { id, caller }: Target,
  /** @param names takes the folded usernames from before and after */
  work: (queries: Queries, names: Set<string>) => Promise<T>,
): Promise<T> {
  let noted: number | undefined
  const names = new Set<string>()
  try {
    const result = await ctx.db.transaction(async (queries) => {
      const result = await work(queries, names)
      noted = await ctx.cache.recordInvalidation(queries, id, [...names])
      return result
    })
    // A change that ends the caller's own session waits for the lock on the caller's row, so that no own change outlives it.
    if (id !== caller.userId) ctx.callers.committed(caller)
    await ctx.cache.invalidate(id, noted, [...names])
    return result
  } catch (error) {
    // Nobody knows whether it was committed. If it was, so was the record, which is left to be worked off.
    if (error instanceof ServiceError && error.code === 'unavailable')
      await ctx.cache.invalidate(id, undefined, [...names])
    if (violatedUniqueConstraint(error) === 'users_username_folded')
      throw new ServiceError('conflict', 'The username is taken.', {
        faults: [{ pointer: '/username', message: 'is taken' }],
        cause: error,
      })
    throw error
  }
}

// Statements of their own: sub-selects would see contacts and caller as they were before the wait for the lock.
async function lockUser(
  { callers }: WriteContext,
  queries: Queries,
  { id, caller, precondition }: Target & { precondition: Precondition | undefined },
): Promise<StoredUser> {
  const [row] = await queries.select().from(users).where(eq(users.id, id)).for('update')
  await callers.confirm(queries, caller)
  if (!row) throw noSuchUser()
  checkPrecondition(precondition, row.version)
  const kept = await queries
    .select({ id: contacts.id, contact_type: contacts.contactType, value: contacts.value })
    .from(contacts)
    .where(eq(contacts.userId, id))
    .orderBy(asc(contacts.position))
  return { ...row, contacts: kept }
}

/**
 * Remembers that a username was given up, so that older tokens of that name are neither nobody's nor the next
 * owner's; and forgets what no token can be as old as.
 */
async function freeUsername(queries: Queries, usernameFolded: string): Promise<void> {
  const now = sql`clock_timestamp()`
  await queries
    .insert(releasedUsernames)
    .values({ usernameSha256: usernameHash(usernameFolded), releasedAt: now })
    .onConflictDoUpdate({ target: releasedUsernames.usernameSha256, set: { releasedAt: now } })
  const expired = queries
    .select({ usernameSha256: releasedUsernames.usernameSha256 })
    .from(releasedUsernames)
    .where(lt(releasedUsernames.releasedAt, sql`now() - make_interval(days => ${formerDaysMax})`))
    .orderBy(releasedUsernames.releasedAt)
    .limit(formerExpiredMax)
    .for('update', { skipLocked: true })
  await queries.delete(releasedUsernames).where(inArray(releasedUsernames.usernameSha256, expired))
}

/** A contact keeps its id when it is this user's; any other is given a new one. */
async function storeContacts(
  queries: Queries,
  userId: string,
  current: Contact[],
  wanted: ContactInput[],
): Promise<Contact[]> {
  const known = new Set(current.map((contact) => contact.id))
  const next = wanted.map(({ id, contact_type, value }) => ({
    id: id !== undefined && known.has(id) ? id : uuidv7(),
    contact_type,
    value,
  }))
  if (JSON.stringify(next) === JSON.stringify(current)) return current
  if (current.length > 0) await queries.delete(contacts).where(eq(contacts.userId, userId))
  if (next.length > 0)
    await queries.insert(contacts).values(
      next.map(({ id, contact_type, value }, position) => ({
        id,
        userId,
        position,
        contactType: contact_type,
        value,
      })),
    )
  return next
}

function columns(draft: Draft) {
  return {
    username: draft.username,
    name: draft.name,
    passwordHash: draft.passwordHash,
    status: draft.status,
    ...derivedColumns(draft),
  }
}

async function readAvatar(avatar: string | null, share: string): Promise<AvatarChange> {
  if (avatar === null || !isDataUri(avatar)) return avatar
  const bytes = decodeBase64Image(avatar, 'data-uri')
  if (!bytes) throw invalid({ pointer: '/avatar', message: 'must be a base64 data URI of an image' })
  return toAvatar(bytes, share)
}

function isNew(avatar: AvatarChange | undefined): avatar is NewAvatar {
  return typeof avatar === 'object' && avatar !== null
}

function avatarKey(id: string, avatar: AvatarChange): string | null {
  return isNew(avatar) ? avatarKeyOf(id, avatar) : avatar
}

function avatarKeyOf(id: string, avatar: NewAvatar): string {
  return `avatars/${id}/${avatar.sha256}.webp`
}

/** What cannot be removed now is an orphan for the daily job. */
async function removeAvatar(ctx: ServiceContext, { id, caller }: Target, key: string): Promise<void> {
  try {
    await avatarWrites(caller.key, () => removeUnusedAvatar(ctx, id, key))
  } catch (error) {
    ctx.logger.warn('an avatar that is no longer used could not be removed', { user_id: id, error })
  }
}

/**
 * Removes an object unless the user's row names it. The row stays locked meanwhile: an upload of the same
 * image again stores the same key, and must not lose it.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export function removeUnusedAvatar(ctx: ServiceContext, id: string, key: string): Promise<void> {
  return ctx.db.transaction(async (queries) => {
    const [row] = await queries
      .select({ avatar: users.avatar })
      .from(users)
      .where(eq(users.id, id))
      .for('update')
    if (row?.avatar !== key) await ctx.avatars.remove(key)
  })
}

function refuseOtherId(id: string, sent: string | undefined): void {
  if (sent !== undefined && sent !== id) throw invalid({ pointer: '/id', message: "must be the path's id" })
}

function refuseRepeatedContacts(sent: ContactInput[] | null | undefined): void {
  const seen = new Set<string>()
  const faults: Fault[] = []
  for (const [at, { id }] of (sent ?? []).entries()) {
    if (id === undefined) continue
    if (seen.has(id)) faults.push({ pointer: `/contacts/${at}/id`, message: 'is given twice' })
    seen.add(id)
  }
  if (faults.length > 0) throw invalid(...faults)
}

function foreignAvatar(): ServiceError {
  return invalid({
    pointer: '/avatar',
    message: "must be an image as a data URI, the user's present path, or null",
  })
}
