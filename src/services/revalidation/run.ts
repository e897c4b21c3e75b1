// The daily revalidation: compares the cache and the stored avatars with the database, and repairs differences.
// The cache's protocol promises that there are none; this job finds out if that promise is broken.
import { metricFields } from '../../platform/metrics.ts'
import type { ServiceContext } from '../context.ts'
import { createPace } from '../pace.ts'
import { avatarsEnd, walkAvatars } from './avatar-walk.ts'
import { walkCache } from './cache-walk.ts'
import {
  type Counts,
  clearCheckpoint,
  loadCheckpoint,
  type Progress,
  saveCheckpoint,
  start,
} from './checkpoint.ts'
import { saveLastRun } from './last-run.ts'
import type { Walk } from './walk.ts'

export type Revalidation = Counts & {
  durationMs: number
  /** Everything was walked, in this run and those that it continued. */
  isFinished: boolean
}

type Options = {
  /** When to stop, on the clock of `performance.now()`. */
  stopAt?: number
  /** Called after each step. `total` is about the number of entries. */
  onProgress?: (progress: Progress, total: number) => void
  signal?: AbortSignal
  /** Removes orphaned avatars even if most avatars are orphans. */
  removeMost?: boolean
}

// A stopped run repeats what it did after its last checkpoint.
const checkpointMs = 1_000

/**
 * Runs until everything was walked, or until it must stop. Logs the result as metrics.
 * @throws Error if the database, the cache or the avatar store cannot be reached; the next run continues there
 */
export async function revalidate(ctx: ServiceContext, options: Options = {}): Promise<Revalidation> {
  const startedAt = performance.now()
  // The cache answers once it has completed the recorded invalidations.
  await ctx.cache.check()
  let progress = (await loadCheckpoint(ctx)) ?? start
  const total = await ctx.cache.size()
  let savedAt = performance.now()
  const walk: Walk = {
    ctx,
    isOver: () => options.signal?.aborted === true || performance.now() >= (options.stopAt ?? Infinity),
    step: async (next, isLast = false) => {
      options.onProgress?.(next, total)
      if (!isLast && performance.now() - savedAt < checkpointMs) return
      await saveCheckpoint(ctx, next)
      savedAt = performance.now()
    },
    pace: createPace(),
  }

  if (progress.phase === 'entries') progress = await walkCache(walk, progress)
  if (progress.phase === 'avatars')
    progress = await walkAvatars(walk, progress, { removeMost: options.removeMost ?? false })
  const isFinished = progress.phase === 'avatars' && progress.next === avatarsEnd
  const { phase: _, next: __, ...counts } = progress
  if (isFinished) {
    await saveLastRun(ctx, counts)
    await clearCheckpoint(ctx)
  }
  const result = { ...counts, durationMs: Math.round(performance.now() - startedAt), isFinished }
  ctx.logger.info(
    'revalidation',
    metricFields('revalidation', {
      Scanned: counts.scanned,
      Fresh: counts.fresh,
      Repaired: counts.repaired,
      Dropped: counts.dropped,
      Orphans: counts.orphans,
      Finished: isFinished ? 1 : 0,
      Duration: result.durationMs,
    }),
  )
  return result
}
