// The daily revalidation: walks what is cached and compares it with the database, and what is stored of
// avatars with what users have. The cache's protocol says that there is no drift; this job is there to find
// out if it should be wrong, and to mend it.
import { setTimeout as pause } from 'node:timers/promises'
import { eq, inArray, sql } from 'drizzle-orm'
import type { CachedVersion } from '../connection/cache.ts'
import { metricFields } from '../connection/metrics.ts'
import { unavailable } from '../model/errors.ts'
import { jobCheckpoints, users } from '../model/tables.ts'
import type { World } from './users/record.ts'
import { removeUnusedAvatar } from './users/write.ts'

export type Revalidation = {
  /** Entries that were looked at. */
  scanned: number
  /** Entries that said what the database says. */
  fresh: number
  /** Entries that were not the database's version, removed: the next read loads them anew. */
  repaired: number
  /** Entries of users who are no more, removed. */
  dropped: number
  /** Avatars that no user has, removed. */
  orphans: number
  durationMs: number
  /** Everything was walked, in this run or in those that it went on from. */
  isFinished: boolean
}

type State = Omit<Revalidation, 'durationMs' | 'isFinished'> & {
  phase: 'entries' | 'avatars'
  next: string | undefined
}

type Options = {
  /** When to stop, on the clock of `performance.now()`; the next run goes on there. */
  stopAt?: number
  /** Told after each step. `total` is how many entries there are, about. */
  onProgress?: (state: State, total: number) => void
  signal?: AbortSignal
  /** Removes orphans also where most avatars are some. */
  removeMost?: boolean
}

const job = 'revalidation'
// A write that is under way has removed its entry by then: servers do so before they answer, and what a
// dead one has left is worked off within two seconds.
const graceMs = 4_000
// Suspects that may wait for their second look: some ten megabytes.
const suspectsMax = 50_000
const mendedMax = 1_000
// Among this many avatars or more it is no accident when most belong to nobody, but another database's bucket.
const plausibleMin = 20
// An upload stores its object before it commits.
const orphanAgeMs = 3_600_000
const fullStep = 200
// What a killed run has done since its last checkpoint is done again.
const checkpointMs = 1_000

/**
 * Logs what it has found, as a line that CloudWatch makes metrics of.
 * @throws Error when the database, the cache or the avatar store cannot be reached; the next run goes on there
 */
export async function revalidate(world: World, options: Options = {}): Promise<Revalidation> {
  const startedAt = performance.now()
  // It is in use when it answers and what recorded writes ask for has been removed from it.
  await world.cache.check()
  let state = (await loadCheckpoint(world)) ?? beginning
  const total = await world.cache.size()
  const isOver = () => options.signal?.aborted === true || performance.now() >= (options.stopAt ?? Infinity)
  let savedAt = performance.now()
  const step = async (next: State, isLast = false) => {
    options.onProgress?.(next, total)
    if (!isLast && performance.now() - savedAt < checkpointMs) return
    await saveCheckpoint(world, next)
    savedAt = performance.now()
  }

  const pace = createPace()
  if (state.phase === 'entries') state = await walkEntries(world, state, isOver, step, pace)
  if (state.phase === 'avatars')
    state = await walkAvatars(world, state, options.removeMost ?? false, isOver, step, pace)
  const isFinished = state.phase === 'avatars' && state.next === done
  if (isFinished)
    await world.db.query((queries) => queries.delete(jobCheckpoints).where(eq(jobCheckpoints.job, job)))

  const { phase: _, next: __, ...counts } = state
  const result = { ...counts, durationMs: Math.round(performance.now() - startedAt), isFinished }
  world.logger.info(
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

const beginning: State = {
  phase: 'entries',
  next: undefined,
  scanned: 0,
  fresh: 0,
  repaired: 0,
  dropped: 0,
  orphans: 0,
}
// Behind every key of an avatar.
const done = 'avatars/~'

/** Runs a step, which tells how many things it looked at. */
type Pace = (work: () => Promise<number>) => Promise<void>

/** Waits as long as a step took when each thing cost far more than in the quickest: others are at work. */
function createPace(): Pace {
  let quickestMs = Infinity
  return async (work) => {
    const startedAt = performance.now()
    const count = await work()
    const tookMs = performance.now() - startedAt
    // Of a step with few things most is overhead.
    if (count < fullStep) return
    quickestMs = Math.min(quickestMs, tookMs / count)
    if (tookMs / count > quickestMs * 4) await pause(Math.min(tookMs, 1_000))
  }
}

type Suspect = CachedVersion & { seenAt: number }

async function walkEntries(
  world: World,
  from: State,
  isOver: () => boolean,
  step: (state: State, isLast?: boolean) => Promise<void>,
  pace: Pace,
): Promise<State> {
  let state = from
  // Those whose entry was older than the row. A write may be about to remove it: looked at once more later.
  let suspects: Suspect[] = []
  const settle = async (all: boolean) => {
    while (suspects.length > 0) {
      const oldest = suspects[0]?.seenAt ?? 0
      const waitMs = oldest + graceMs - performance.now()
      if (waitMs > 0) {
        if (!all && suspects.length < suspectsMax) return
        await pause(waitMs)
      }
      const due = suspects.slice(0, mendedMax)
      suspects = suspects.slice(mendedMax)
      const { repaired, dropped } = await mend(world, due)
      state = {
        ...state,
        repaired: state.repaired + repaired,
        dropped: state.dropped + dropped,
        fresh: state.fresh + due.length - repaired - dropped,
      }
    }
  }

  // The next part is fetched while the database is asked about this one.
  const fetch = (from: string | undefined) => {
    const walking = world.cache.walk(from)
    walking.catch(() => {})
    return walking
  }
  let ahead = fetch(state.next)
  do {
    if (isOver()) {
      await settle(true)
      await step(state, true)
      return state
    }
    await pace(async () => {
      const { found, next } = await ahead
      if (next !== undefined) ahead = fetch(next)
      const present = await presentVersions(
        world,
        found.map(({ id }) => id),
      )
      const seenAt = performance.now()
      const drifted = found.filter(({ id, version }) => (present.get(id) ?? 0) !== version)
      suspects.push(...drifted.map((entry) => ({ ...entry, seenAt })))
      state = {
        ...state,
        next,
        scanned: state.scanned + found.length,
        fresh: state.fresh + found.length - drifted.length,
      }
      return found.length
    })
    await settle(false)
    // A checkpoint behind unsettled suspects would lose them to a kill.
    if (suspects.length === 0) await step(state)
  } while (state.next !== undefined)
  await settle(true)
  state = { ...state, phase: 'avatars', next: undefined }
  await step(state, true)
  return state
}

/** What the database says; absent are the users who are no more. */
async function presentVersions({ db }: World, ids: string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map()
  const rows = await db.query((queries) =>
    queries.named<CachedVersion>(
      'versions-by-ids',
      'SELECT id, version FROM users WHERE id = ANY($1::uuid[])',
      [ids],
    ),
  )
  return new Map(rows.map(({ id, version }) => [id, version]))
}

/** Looks once more at entries that were older than their rows, and mends those that still are. */
async function mend(world: World, suspects: Suspect[]): Promise<{ repaired: number; dropped: number }> {
  const cached = await world.cache.versions(suspects.map(({ id }) => id))
  const present = await presentVersions(
    world,
    suspects.map(({ id }) => id),
  )
  // One that holds another version than it did has been written anew meanwhile, by the protocol.
  const drifted = suspects.filter(
    ({ id, version }, at) => cached[at] === version && (present.get(id) ?? 0) !== version,
  )
  if (drifted.length > 0)
    world.logger.error('cached users had drifted from the database', {
      count: drifted.length,
      examples: drifted
        .slice(0, 3)
        .map(({ id, version }) => ({ user_id: id, cached: version, present: present.get(id) ?? 0 })),
    })
  await Promise.all(drifted.map(({ id }) => world.cache.forget(id, undefined)))
  // A removal never throws: nothing is counted as mended that is still there.
  const left = await world.cache.versions(drifted.map(({ id }) => id))
  if (drifted.some(({ version }, at) => left[at] === version))
    throw unavailable('The cache', new Error('an entry could not be removed'))

  const repaired = drifted.filter(({ id }) => present.has(id)).length
  return { repaired, dropped: drifted.length - repaired }
}

async function walkAvatars(
  world: World,
  from: State,
  removeMost: boolean,
  isOver: () => boolean,
  step: (state: State, isLast?: boolean) => Promise<void>,
  pace: Pace,
): Promise<State> {
  let state = from
  while (state.next !== done) {
    if (isOver()) {
      await step(state, true)
      return state
    }
    await pace(async () => {
      const { found, next = done } = await world.avatars.list(state.next)
      const old = found.filter(({ storedAt }) => Date.now() - storedAt.getTime() > orphanAgeMs)
      const rows = await world.db.query((queries) =>
        queries
          .select({ avatar: users.avatar })
          .from(users)
          .where(inArray(users.id, [...new Set(old.map(({ key }) => userOf(key)))])),
      )
      const used = new Set(rows.map(({ avatar }) => avatar))
      const orphans = old.filter(({ key }) => !used.has(key))
      if (!removeMost && old.length >= plausibleMin && orphans.length > old.length / 2)
        throw new Error(
          `Of ${old.length} avatars ${orphans.length} belong to no user of this database. Is it the avatars' own? If so: npm run refresh -- --remove-most`,
        )
      for (const { key } of orphans) await removeUnusedAvatar(world, userOf(key), key)
      state = { ...state, next, orphans: state.orphans + orphans.length }
      return found.length
    })
    await step(state)
  }
  return state
}

/** `avatars/<user id>/<sha256>.webp` */
function userOf(key: string): string {
  return key.split('/')[1] ?? ''
}

async function loadCheckpoint({ db }: World): Promise<State | undefined> {
  const [row] = await db.query((queries) =>
    queries.select({ state: jobCheckpoints.state }).from(jobCheckpoints).where(eq(jobCheckpoints.job, job)),
  )
  return row?.state as State | undefined
}

async function saveCheckpoint({ db }: World, state: State): Promise<void> {
  await db.query((queries) =>
    queries
      .insert(jobCheckpoints)
      .values({ job, state })
      .onConflictDoUpdate({ target: jobCheckpoints.job, set: { state, updatedAt: sql`clock_timestamp()` } }),
  )
}
