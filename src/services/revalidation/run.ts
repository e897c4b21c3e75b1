// The daily revalidation: walks what is cached and compares it with the database, and what is stored of
// avatars with what users have. The cache's protocol says that there is no drift; this job is there to find
// out if it should be wrong, and to mend it.

import { setTimeout as pause } from 'node:timers/promises'
import { eq, inArray, sql } from 'drizzle-orm'
import { type CachedName, type CachedVersion, usernameKey } from '../../connection/cache/cache.ts'
import { ServiceError } from '../../model/errors.ts'
import { jobCheckpoints, users } from '../../model/tables.ts'
import { metricFields } from '../../platform/metrics.ts'
import type { ServiceContext } from '../context.ts'
import { findDriftedNames } from '../identity/callers.ts'
import { removeUnusedAvatar } from '../users/write.ts'

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
const triesMax = 5
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
export async function revalidate(ctx: ServiceContext, options: Options = {}): Promise<Revalidation> {
  const startedAt = performance.now()
  // It is in use when it answers and what recorded writes ask for has been removed from it.
  await ctx.cache.check()
  let state = (await loadCheckpoint(ctx)) ?? beginning
  const total = await ctx.cache.size()
  const isOver = () => options.signal?.aborted === true || performance.now() >= (options.stopAt ?? Infinity)
  let savedAt = performance.now()
  const step = async (next: State, isLast = false) => {
    options.onProgress?.(next, total)
    if (!isLast && performance.now() - savedAt < checkpointMs) return
    await saveCheckpoint(ctx, next)
    savedAt = performance.now()
  }

  const pace = createPace()
  if (state.phase === 'entries') state = await walkEntries(ctx, state, isOver, step, pace)
  if (state.phase === 'avatars')
    state = await walkAvatars(ctx, state, options.removeMost ?? false, isOver, step, pace)
  const isFinished = state.phase === 'avatars' && state.next === done
  if (isFinished)
    await ctx.db.query((queries) => queries.delete(jobCheckpoints).where(eq(jobCheckpoints.job, job)))

  const { phase: _, next: __, ...counts } = state
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

/** Told how many things a step looked at, and how long it took. */
type Pace = (count: number, tookMs: number) => Promise<void>

/** Waits as long as a step took when each thing cost far more than in the quickest: others are at work. */
export function createPace(): Pace {
  let quickestMs = Infinity
  return async (count, tookMs) => {
    // Of a step with few things most is overhead.
    if (count < fullStep) return
    quickestMs = Math.min(quickestMs, tookMs / count)
    if (tookMs / count > quickestMs * 4) await pause(Math.min(tookMs, 1_000))
  }
}

/** An entry that is not what the database says. */
type Suspect = {
  place: string
  /** What it begins with as long as it is that entry. */
  begin: string | Buffer
  /** There is no such user any more. */
  isGone: boolean
  isBeingWritten: boolean
  /** What the log tells of it: a username is nobody's business there. */
  told: Record<string, unknown>
}

/** Entries that were looked at together. */
type Part = {
  /** Where the walk goes on behind it. */
  next: string | undefined
  count: number
  repaired: number
  dropped: number
  /** Those of whom a write is under way, and when they were seen. */
  unsettled: Suspect[]
  seenAt: number
}

async function walkEntries(
  ctx: ServiceContext,
  from: State,
  isOver: () => boolean,
  step: (state: State, isLast?: boolean) => Promise<void>,
  pace: Pace,
): Promise<State> {
  // What is settled of the walk, from its beginning without a gap: a checkpoint loses nothing behind it.
  let state = from
  const parts: Part[] = []
  let unsettled = 0
  const settle = async (isLast: boolean) => {
    for (let part = parts[0]; part; part = parts[0]) {
      if (part.unsettled.length > 0) {
        const waitMs = part.seenAt + graceMs - performance.now()
        if (waitMs > 0) {
          if (!isLast && unsettled < suspectsMax) return
          await pause(waitMs)
        }
        count(part, await mend(ctx, part.unsettled))
        unsettled -= part.unsettled.length
      }
      parts.shift()
      state = {
        ...state,
        next: part.next,
        scanned: state.scanned + part.count,
        repaired: state.repaired + part.repaired,
        dropped: state.dropped + part.dropped,
        fresh: state.fresh + part.count - part.repaired - part.dropped,
      }
    }
  }

  for await (const { found, next, suspects, seenAt, tookMs } of ahead(compared(ctx, state.next))) {
    if (isOver()) {
      await step(state, true)
      return state
    }
    const unsettledHere = suspects.filter(({ isBeingWritten }) => isBeingWritten)
    const part = { next, count: found, repaired: 0, dropped: 0, unsettled: unsettledHere, seenAt }
    count(
      part,
      await mend(
        ctx,
        suspects.filter(({ isBeingWritten }) => !isBeingWritten),
      ),
    )
    unsettled += part.unsettled.length
    parts.push(part)
    await settle(false)
    await step(state)
    await pace(part.count, tookMs)
  }
  await settle(true)
  state = { ...state, phase: 'avatars', next: undefined }
  await step(state, true)
  return state
}

function count(part: Part, mended: Suspect[]): void {
  const dropped = mended.filter(({ isGone }) => isGone).length
  part.dropped += dropped
  part.repaired += mended.length - dropped
}

/** Entries that the database has been asked about. */
type Compared = {
  next: string | undefined
  found: number
  suspects: Suspect[]
  seenAt: number
  /** What the cache and the database took for it. */
  tookMs: number
}

/** Three that each are a step ahead of the next: which entries there are, what they say, what the database says. */
async function* compared(ctx: ServiceContext, from: string | undefined): AsyncGenerator<Compared> {
  for await (const { users, names, next, readMs } of ahead(read(ctx, from))) {
    const startedAt = performance.now()
    const suspects = [...(await compareUsers(ctx, users)), ...(await compareNames(ctx, names))]
    // When the database has told of a write: what has begun before has its time from then.
    const seenAt = performance.now()
    const tookMs = readMs + seenAt - startedAt
    yield { next, found: users.length + names.length, suspects, seenAt, tookMs }
  }
}

async function* read(ctx: ServiceContext, from: string | undefined) {
  for await (const { places, next } of ahead(scanned(ctx, from))) {
    const startedAt = performance.now()
    const versions = await patiently(ctx, () => ctx.cache.versions(places))
    yield { ...versions, next, readMs: performance.now() - startedAt }
  }
}

async function* scanned(ctx: ServiceContext, from: string | undefined) {
  let at = from
  do {
    const scanned = await patiently(ctx, () => ctx.cache.scan(at))
    at = scanned.next
    yield scanned
  } while (at !== undefined)
}

/** The same, the next of which is made while one is used. */
async function* ahead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next()
  try {
    for (;;) {
      const made = await next
      if (made.done) return
      next = source.next()
      // Whoever ends early does not hear of it.
      next.catch(() => {})
      yield made.value
    }
  } finally {
    await source.return(undefined)
  }
}

// Both in one statement, which sees one state of the database.
const comparison = `
  SELECT cached.id, cached.version, coalesce(users.version, 0) AS present,
    cached.id IN (SELECT user_id FROM cache_invalidations) AS "isBeingWritten"
  FROM unnest($1::uuid[], $2::int[]) AS cached(id, version) LEFT JOIN users ON users.id = cached.id
  WHERE coalesce(users.version, 0) <> cached.version`

/**
 * Which entries are not what the database says, and whether a write of that user has recorded what it must
 * remove from the cache and not taken the record back. One that has taken it back, or that has been worked
 * off, has removed the entry before: where there is no record and the entry is still there, it has drifted.
 */
async function compareUsers({ db }: ServiceContext, entries: CachedVersion[]): Promise<Suspect[]> {
  if (entries.length === 0) return []
  // PostgreSQL's own form of an array: the driver's way to it takes longer than the comparison.
  const list = (values: (string | number)[]) => `{${values.join()}}`
  const rows = await db.query((queries) =>
    queries.prepared<CachedVersion & { present: number; isBeingWritten: boolean }>(
      'cached-versions',
      comparison,
      [list(entries.map(({ id }) => id)), list(entries.map(({ version }) => version))],
    ),
  )
  return rows.map(({ id, version, present, isBeingWritten }) => ({
    place: id,
    begin: `${version}\n`,
    isGone: present === 0,
    isBeingWritten,
    told: { user_id: id, cached: version, present },
  }))
}

/** The same for what is known of callers' names. */
async function compareNames(ctx: ServiceContext, names: CachedName[]): Promise<Suspect[]> {
  const drifted = await findDriftedNames(ctx, names)
  return drifted.map(({ cached, userId, isBeingWritten }) => ({
    place: usernameKey(cached.usernameFolded),
    begin: cached.entry,
    isGone: userId === undefined,
    isBeingWritten,
    told: { user_id: userId, cached: 'name' },
  }))
}

/**
 * Removes the entries that still are what they were when the database was asked. It cannot harm: whoever
 * removes an entry makes the next reader load it anew, and one that was written since, by the protocol, has
 * another version and is left alone.
 * @returns those that it has removed
 */
async function mend(ctx: ServiceContext, suspects: Suspect[]): Promise<Suspect[]> {
  if (suspects.length === 0) return []
  // What a try has removed whose answer was lost, nobody knows: rather an alarm too many than one too few.
  let isSure = true
  const places = await patiently(
    ctx,
    () => ctx.cache.remove(suspects),
    () => {
      isSure = false
    },
  )
  const removed = new Set(places)
  const drifted = isSure ? suspects.filter(({ place }) => removed.has(place)) : suspects
  if (drifted.length > 0)
    ctx.logger.error('cached users had drifted from the database', {
      count: drifted.length,
      examples: drifted.slice(0, 3).map(({ told }) => told),
    })
  return drifted
}

/** Tries again what a busy cache has not answered in time, as long as it answers at all. */
async function patiently<T>(
  { cache }: ServiceContext,
  ask: () => Promise<T>,
  onFailure: () => void = () => {},
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== 'unavailable' || tries === triesMax) throw error
    }
    onFailure()
    await cache.check()
  }
}

async function walkAvatars(
  ctx: ServiceContext,
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
    const startedAt = performance.now()
    const { found, next = done } = await ctx.avatars.list(state.next)
    const old = found.filter(({ storedAt }) => Date.now() - storedAt.getTime() > orphanAgeMs)
    const rows = await ctx.db.query((queries) =>
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
    for (const { key } of orphans) await removeUnusedAvatar(ctx, userOf(key), key)
    state = { ...state, next, orphans: state.orphans + orphans.length }
    await step(state)
    await pace(found.length, performance.now() - startedAt)
  }
  return state
}

/** `avatars/<user id>/<sha256>.webp` */
function userOf(key: string): string {
  return key.split('/')[1] ?? ''
}

async function loadCheckpoint({ db }: ServiceContext): Promise<State | undefined> {
  const [row] = await db.query((queries) =>
    queries.select({ state: jobCheckpoints.state }).from(jobCheckpoints).where(eq(jobCheckpoints.job, job)),
  )
  return row?.state as State | undefined
}

async function saveCheckpoint({ db }: ServiceContext, state: State): Promise<void> {
  await db.query((queries) =>
    queries
      .insert(jobCheckpoints)
      .values({ job, state })
      .onConflictDoUpdate({ target: jobCheckpoints.job, set: { state, updatedAt: sql`clock_timestamp()` } }),
  )
}
