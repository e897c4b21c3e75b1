// Creates a user.
import { sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import { invalid } from '../../model/errors.ts'
import { users } from '../../model/tables.ts'
import type { CreateUser, User } from '../../model/user.ts'
import { avatarKeyAfter, foreignAvatar, readAvatarField } from '../avatars/change.ts'
import type { WriteContext } from '../context.ts'
import type { Caller } from '../identity/access.ts'
import { checkContactIds, storeContacts } from './contacts.ts'
import { hashNewPassword } from './password-change.ts'
import { draftColumns, saveUser, type UserDraft } from './write-transaction.ts'

/** @throws ServiceError `invalid`, `conflict`, `unsupported_media_type`, `too_large`, `undecodable`, `unavailable`, `overloaded` */
export async function createUser(ctx: WriteContext, caller: Caller, body: CreateUser): Promise<User> {
  checkContactIds(body.contacts)
  const avatar = await readAvatarField(body.avatar ?? null, caller.key)
  if (typeof avatar === 'string') throw foreignAvatar()
  const passwordHash = await hashOf(ctx, caller, body)

  const id = uuidv7()
  const draft: UserDraft = {
    username: body.username,
    name: body.name ?? null,
    status: body.status ?? 'ACTIVE',
    contacts: body.contacts ?? [],
    externalId: body.external_id ?? null,
    attributes: body.attributes ?? {},
    avatar,
    passwordHash,
  }
  return saveUser(ctx, { id, caller, avatar }, async (queries) => {
    await ctx.callers.confirm(queries, caller)
    const [row] = await queries
      .insert(users)
      .values({
        id,
        ...draftColumns(draft),
        avatar: avatarKeyAfter(id, avatar),
        version: 1,
        createdAt: sql`now()`,
        updatedAt: sql`now()`,
      })
      .returning()
    const contacts = await storeContacts(queries, id, { current: [], wanted: draft.contacts })
    return { row, contacts }
  })
}

async function hashOf(
  ctx: WriteContext,
  caller: Caller,
  { password, password_hash }: CreateUser,
): Promise<string | null> {
  if (password_hash !== undefined) return password_hash
  if (password === null) return null
  if (password !== undefined) return hashNewPassword(ctx, caller, password)
  throw invalid({ pointer: '/password', message: 'is required' })
}
