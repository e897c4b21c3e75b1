// Erases a user with contacts, avatar and cache entries.
import { eq } from 'drizzle-orm'
import { users } from '../../model/tables.ts'
import { removeFormerAvatar } from '../avatars/remove.ts'
import type { WriteContext } from '../context.ts'
import { recordChange } from '../outbox/record.ts'
import { releaseUsernames } from './released-usernames.ts'
import { type ChangeRequest, inWriteTransaction, lockUser, toApiUser } from './write-transaction.ts'

/** @throws ServiceError `not_found`, `version_mismatch`, `unavailable`, `overloaded` */
export async function eraseUser(ctx: WriteContext, request: ChangeRequest): Promise<void> {
  const { id, caller } = request
  const avatar = await inWriteTransaction(ctx, request, async (queries, usernames) => {
    const current = await lockUser(ctx, queries, request)
    usernames.add(current.usernameFolded)
    await queries.delete(users).where(eq(users.id, id))
    await releaseUsernames(queries, [current.usernameFolded])
    await recordChange(queries, ctx.outbox, {
      before: toApiUser(ctx, current),
      after: undefined,
      isPasswordNew: false,
    })
    return current.avatar
  })
  if (avatar !== null) await removeFormerAvatar(ctx, { userId: id, key: avatar, share: caller.key })
}
