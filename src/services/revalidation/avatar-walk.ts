// Walks the stored avatars and removes those that no user has.
import { inArray } from 'drizzle-orm'
import { avatarPrefix, userOfAvatarKey } from '../../model/avatar-key.ts'
import { users } from '../../model/tables.ts'
import { removeUnusedAvatar } from '../avatars/remove.ts'
import type { Progress } from './checkpoint.ts'
import type { Walk } from './walk.ts'

/** The position behind every key of an avatar. */
export const avatarsEnd = `${avatarPrefix}~`

// If most of this many avatars or more are orphans, the bucket probably belongs to another database.
const plausibleMin = 20
// An upload stores its object before it commits.
const orphanAgeMs = 3_600_000

/**
 * @param options.removeMost removes orphans even if most avatars are orphans
 * @throws Error if most avatars are orphans, and as the avatar store and the database do
 */
export async function walkAvatars(
  { ctx, isOver, step, pace }: Walk,
  from: Progress,
  { removeMost }: { removeMost: boolean },
): Promise<Progress> {
  let progress = from
  while (progress.next !== avatarsEnd) {
    if (isOver()) {
      await step(progress, true)
      return progress
    }
    const startedAt = performance.now()
    const { found, next = avatarsEnd } = await ctx.avatars.list(progress.next)
    const old = found.filter(({ storedAt }) => Date.now() - storedAt.getTime() > orphanAgeMs)
    const rows = await ctx.db.query((queries) =>
      queries
        .select({ avatar: users.avatar })
        .from(users)
        .where(inArray(users.id, [...new Set(old.map(({ key }) => userOfAvatarKey(key)))])),
    )
    const used = new Set(rows.map(({ avatar }) => avatar))
    const orphans = old.filter(({ key }) => !used.has(key))
    if (!removeMost && old.length >= plausibleMin && orphans.length > old.length / 2)
      throw new Error(
        `${orphans.length} of ${old.length} avatars belong to no user of this database. Check that AVATAR_BUCKET and DATABASE_URL belong together. If they do, run: npm run refresh -- --remove-most`,
      )
    for (const { key } of orphans) await removeUnusedAvatar(ctx, userOfAvatarKey(key), key)
    progress = { ...progress, next, orphans: progress.orphans + orphans.length }
    await step(progress)
    await pace(found.length, performance.now() - startedAt)
  }
  return progress
}
