// Walks the cache and removes entries that differ from the database.
import { setTimeout as pause } from 'node:timers/promises'
import type { ServiceContext } from '../context.ts'
import type { Progress } from './checkpoint.ts'
import { compareEntries, type Suspect } from './compare.ts'
import { prefetch } from './prefetch.ts'
import { withRetry } from './retry.ts'
import type { Walk } from './walk.ts'

// After this time a concurrent write has invalidated its entry: servers do so before they answer, and the sweep
// completes the records of a stopped server within two seconds.
const graceMs = 4_000
// Suspects that may await their second check; they use some ten megabytes.
const suspectsMax = 50_000

/** Entries that were compared together. */
type Batch = {
  /** The position behind the batch. */
  next: string | undefined
  count: number
  repaired: number
  dropped: number
  /** Suspects with a concurrent write, which are checked again after `graceMs`. */
  unsettled: Suspect[]
  comparedAt: number
}

/** @throws ServiceError `unavailable`, `overloaded` */
export async function walkCache({ ctx, isOver, step, pace }: Walk, from: Progress): Promise<Progress> {
  // Counts only settled batches without a gap, so that a checkpoint loses nothing.
  let progress = from
  const batches: Batch[] = []
  let unsettled = 0
  const settle = async (isLast: boolean) => {
    for (let batch = batches[0]; batch; batch = batches[0]) {
      if (batch.unsettled.length > 0) {
        const waitMs = batch.comparedAt + graceMs - performance.now()
        if (waitMs > 0) {
          if (!isLast && unsettled < suspectsMax) return
          await pause(waitMs)
        }
        countRemoved(batch, await repair(ctx, batch.unsettled))
        unsettled -= batch.unsettled.length
      }
      batches.shift()
      progress = {
        ...progress,
        next: batch.next,
        scanned: progress.scanned + batch.count,
        repaired: progress.repaired + batch.repaired,
        dropped: progress.dropped + batch.dropped,
        fresh: progress.fresh + batch.count - batch.repaired - batch.dropped,
      }
    }
  }

  for await (const compared of prefetch(compareEntries(ctx, progress.next))) {
    if (isOver()) {
      await step(progress, true)
      return progress
    }
    const { next, count, suspects, comparedAt, tookMs } = compared
    const drifted = suspects.filter(({ isBeingWritten }) => !isBeingWritten)
    const undecided = suspects.filter(({ isBeingWritten }) => isBeingWritten)
    const batch = { next, count, repaired: 0, dropped: 0, unsettled: undecided, comparedAt }
    countRemoved(batch, await repair(ctx, drifted))
    unsettled += batch.unsettled.length
    batches.push(batch)
    await settle(false)
    await step(progress)
    await pace(count, tookMs)
  }
  await settle(true)
  progress = { ...progress, phase: 'avatars', next: undefined }
  await step(progress, true)
  return progress
}

function countRemoved(batch: Batch, removed: Suspect[]): void {
  const dropped = removed.filter(({ isErased }) => isErased).length
  batch.dropped += dropped
  batch.repaired += removed.length - dropped
}

/**
 * Removes suspects that are unchanged since the comparison. This is safe: the next read loads the entry again, and an
 * entry written since has another version and stays.
 * @returns the removed entries
 */
async function repair(ctx: ServiceContext, suspects: Suspect[]): Promise<Suspect[]> {
  if (suspects.length === 0) return []
  // An attempt without an answer may have removed any of them; then all are reported, because a missed drift is worse.
  let isSure = true
  const keys = await withRetry(
    ctx,
    () => ctx.cache.remove(suspects),
    () => {
      isSure = false
    },
  )
  const removed = new Set(keys)
  const drifted = isSure ? suspects.filter(({ key }) => removed.has(key)) : suspects
  if (drifted.length > 0)
    ctx.logger.error('cached users had drifted from the database', {
      count: drifted.length,
      examples: drifted.slice(0, 3).map(({ logFields }) => logFields),
    })
  return drifted
}
