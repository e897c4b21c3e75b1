// Reads the cache's entries batch by batch, and compares them with the database.
import { type CachedName, type CachedVersion, usernameKey } from '../../connection/cache/cache.ts'
import type { ServiceContext } from '../context.ts'
import { findDriftedNames } from './drifted-names.ts'
import { prefetch } from './prefetch.ts'
import { withRetry } from './retry.ts'

/** An entry that differs from the database. */
export type Suspect = {
  key: string
  /** The start of the entry, by which it is recognised later. */
  prefix: string | Buffer
  isErased: boolean
  /** A write has recorded the invalidation of the entry, so it need not have drifted. */
  isBeingWritten: boolean
  /** Fields for the log, without the username. */
  logFields: Record<string, unknown>
}

export type ComparedBatch = {
  /** The position behind the batch. */
  next: string | undefined
  count: number
  suspects: Suspect[]
  /** When the database had answered, on the clock of `performance.now()`. */
  comparedAt: number
  /** Time spent on the cache and the database. */
  tookMs: number
}

/** Scans, reads and compares in a pipeline: each stage works on the batch after the next stage's. */
export async function* compareEntries(
  ctx: ServiceContext,
  from: string | undefined,
): AsyncGenerator<ComparedBatch> {
  for await (const { users, names, next, readMs } of prefetch(readEntries(ctx, from))) {
    const startedAt = performance.now()
    const suspects = [...(await compareUsers(ctx, users)), ...(await compareNames(ctx, names))]
    const comparedAt = performance.now()
    const tookMs = readMs + comparedAt - startedAt
    yield { next, count: users.length + names.length, suspects, comparedAt, tookMs }
  }
}

async function* readEntries(ctx: ServiceContext, from: string | undefined) {
  for await (const { keys, next } of prefetch(scanKeys(ctx, from))) {
    const startedAt = performance.now()
    const versions = await withRetry(ctx, () => ctx.cache.versions(keys))
    yield { ...versions, next, readMs: performance.now() - startedAt }
  }
}

async function* scanKeys(ctx: ServiceContext, from: string | undefined) {
  let at = from
  do {
    const scanned = await withRetry(ctx, () => ctx.cache.scan(at))
    at = scanned.next
    yield scanned
  } while (at !== undefined)
}

// One statement, which sees one state of the database.
const comparison = `
  SELECT cached.id, cached.version, coalesce(users.version, 0) AS present,
    cached.id IN (SELECT user_id FROM cache_invalidations) AS "isBeingWritten"
  FROM unnest($1::uuid[], $2::int[]) AS cached(id, version) LEFT JOIN users ON users.id = cached.id
  WHERE coalesce(users.version, 0) <> cached.version`

/**
 * Finds entries of users whose version differs. A write deletes its record only after it has invalidated the entry, so
 * a differing entry without a record has drifted.
 */
async function compareUsers({ db }: ServiceContext, entries: CachedVersion[]): Promise<Suspect[]> {
  if (entries.length === 0) return []
  // Array literals, because the driver's conversion of arrays takes longer than the comparison.
  const list = (values: (string | number)[]) => `{${values.join()}}`
  const rows = await db.query((queries) =>
    queries.prepared<CachedVersion & { present: number; isBeingWritten: boolean }>(
      'cached-versions',
      comparison,
      [list(entries.map(({ id }) => id)), list(entries.map(({ version }) => version))],
    ),
  )
  return rows.map(({ id, version, present, isBeingWritten }) => ({
    key: id,
    prefix: `${version}\n`,
    isErased: present === 0,
    isBeingWritten,
    logFields: { user_id: id, cached: version, present },
  }))
}

async function compareNames(ctx: ServiceContext, names: CachedName[]): Promise<Suspect[]> {
  const drifted = await findDriftedNames(ctx, names)
  return drifted.map(({ cached, userId, isBeingWritten }) => ({
    key: usernameKey(cached.usernameFolded),
    prefix: cached.entry,
    isErased: userId === undefined,
    isBeingWritten,
    logFields: { user_id: userId, cached: 'name' },
  }))
}
