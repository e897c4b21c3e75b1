// Removes stored avatars that no user has.
import { eq } from 'drizzle-orm'
import { users } from '../../model/tables.ts'
import type { ServiceContext } from '../context.ts'
import { avatarStoreQueue } from './store-queue.ts'

/**
 * Removes the avatar that a user had before a write. If that fails, the daily revalidation removes the object as an orphan.
 * @param avatar.share the key of the caller
 */
export async function removeFormerAvatar(
  ctx: ServiceContext,
  { userId, key, share }: { userId: string; key: string; share: string },
): Promise<void> {
  try {
    await avatarStoreQueue(share, () => removeUnusedAvatar(ctx, userId, key))
  } catch (error) {
    ctx.logger.warn('an avatar no longer in use could not be removed', { user_id: userId, error })
  }
}

/**
 * Removes an object unless the user's row names it. The row stays locked during the removal, because a new upload
 * of the same image stores the same key.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export function removeUnusedAvatar(ctx: ServiceContext, userId: string, key: string): Promise<void> {
  return ctx.db.transaction(async (queries) => {
    const [row] = await queries
      .select({ avatar: users.avatar })
      .from(users)
      .where(eq(users.id, userId))
      .for('update')
    if (row?.avatar !== key) await ctx.avatars.remove(key)
  })
}
