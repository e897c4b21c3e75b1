// The cache in Redis or Valkey, over TLS with rediss://. The protocol of leases is told in cache.ts; here
// is what makes it hold when Redis fails.
//
// - A write records in its own transaction what it must remove from the cache, and takes the record back
//   when it has. Every process looks for records that are left, removes what they name, and deletes them: so
//   a writer that died, or could not reach Redis, is caught up with within some two seconds.
// - A process that has failed to reach Redis trusts nothing in it until it answers again and all records
//   that are left have been worked off. Other processes may trust it meanwhile: so a write that cannot
//   remove its entry waits for that, as long as there is a connection (and not for ever).
// - After a lost connection a process trusts Redis only when all others have had the time to find it again.
// - Keys carry the server's run id, which is another after each restart and on each replica: what a
//   restarted Redis read from an old dump, or a replica had not yet heard, is never looked at.
import { setTimeout as pause } from 'node:timers/promises'
import { unavailable } from '../model/errors.ts'
import {
  type Cache,
  type CachedName,
  type CachedVersion,
  entryTtlMs,
  isUnknown,
  leaseTtlMs,
  namePlace,
  unknownTtlMs,
  usernameAt,
} from './cache.ts'
import type { Logger } from './logger.ts'
import type { Database } from './postgres.ts'
import { addressOf } from './redis-address.ts'
import { openRedis, script } from './redis-client.ts'
import { RedisError, type Reply } from './redis-protocol.ts'
import { waitWithin } from './wait.ts'

// Raised whenever the stored form changes, so that two versions of the service can run side by side.
const prefix = 'user-directory:1'
// What begins a user's place in a key; a name's has a mark of its own.
const userMark = 'user:'
// What begins a lease; an entry begins with a digit.
const leaseMark = 'L'.charCodeAt(0)

const retryMs = 200
// No server that can reach Redis takes longer to connect again: a pause between tries and a hand-shake.
const reunionMs = 500
// When to look whether another process has loaded what is missing; then it is loaded here.
const loadPausesMs = [2, 4, 8, 16, 20]
// How long a write waits with its answer for its entry's removal.
const forgetMsMax = 750
const checkMsMax = 1_000
const sweepMs = 1_000
const sweepRowsMax = 1_000
// Records that are taken back together. More than this are left to the sweep.
const doneMax = 10_000

// Keys that one step of a walk looks at.
const scannedMax = 500
// Whole entries in one command cost both ends less than the first bytes of each by a command of its own. But a user's
// may have 85 kB, and as many of those must still be a reply that is taken.
const readMax = 40
// Whatever else lies under our keys is none of our entries.
const uuidForm = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

const fillScript = script(`
local place = redis.call('GET', KEYS[1])
if place == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return ARGV[2]
end
return place`)

// Removes the places that begin with what is given for each, and tells which others there are, counted from one.
// Entries are small: DEL takes less time than UNLINK.
const removeScript = script(`
local call, keys, others = redis.call, {}, {}
for at, key in ipairs(KEYS) do
  local begin = ARGV[at]
  if call('GETRANGE', key, 0, #begin - 1) == begin then keys[#keys + 1] = key else others[#others + 1] = at end
end
if #keys > 0 then call('DEL', unpack(keys)) end
return others`)

// Plain statements: Drizzle is not loaded for them.
type Invalidation = { id: string; user_id: string; names: string[] | null }
const invalidation = 'INSERT INTO cache_invalidations (user_id, names) VALUES ($1, $2) RETURNING id'
const invalidationsLeft = `
SELECT id, user_id, names FROM cache_invalidations
WHERE created_at <= clock_timestamp() - $1 * interval '1 millisecond' ORDER BY id LIMIT $2`
const invalidationsDone = 'DELETE FROM cache_invalidations WHERE id = ANY($1::bigint[])'

export function openRedisCache(url: string, db: Database, logger: Logger): Cache {
  const { address, password } = addressOf(url)
  const redis = openRedis(address, {
    ...(password && { password }),
    onReady: () => {
      readyAt = performance.now()
      wake()
    },
    // Another server may be behind the next connection, or the same one restarted.
    onLost: (reason) => {
      connections++
      if (!isClosed) distrust(lost(reason))
    },
  })

  /** Undefined while nothing in the cache is trusted. */
  let runId: string | undefined
  /** Counts connections: what was learnt of one says nothing of the next. */
  let connections = 0
  let readyAt = 0
  let isClosed = false
  let isTold = false
  /** Ends the pause between two tries to use the cache again. */
  let wake = () => {}
  let recovery: Promise<void> | undefined
  const done: number[] = []
  /** What begins the leases of this process. Made by the first: the random numbers take their time to load. */
  let ownMark: string | undefined
  const ownLeases = (): string => {
    ownMark ??= `L${crypto.randomUUID()}:`
    return ownMark
  }
  let leases = 0
  const awaited = new Map<string, Promise<void>>()

  const keysOf = (run: string): string => `${prefix}:${run}:`
  const key = (place: string, run: string): string =>
    `${keysOf(run)}${usernameAt(place) === undefined ? userMark : ''}${place}`

  /** Tells once why the cache is not used, until it is again. */
  const tell = (reason: unknown): void => {
    if (isTold) logger.debug('the cache is still bypassed', { error: reason })
    else logger.warn('the cache is bypassed', { error: reason })
    isTold = true
  }

  const distrust = (reason: unknown): void => {
    if (reason !== undefined) tell(reason)
    runId = undefined
    recovery ??= recover()
  }

  const recover = async (): Promise<void> => {
    while (runId === undefined && !isClosed) {
      try {
        if (redis.isReady()) {
          const connection = connections
          if (connection > 0)
            await pause(Math.max(0, readyAt + reunionMs - performance.now()), undefined, { ref: false })
          const [, run] = /^run_id:(\w+)/m.exec(textOf(await redis.send('INFO', 'server'))) ?? []
          if (run === undefined) throw new Error('the cache does not tell its run_id')
          while ((await workOff(run, 0)) === sweepRowsMax);
          if (connection !== connections) continue
          runId = run
          isTold = false
          logger.info('the cache is in use')
          break
        }
      } catch (error) {
        if (!isClosed) tell(error)
      }
      await new Promise<void>((done) => {
        wake = done
        setTimeout(done, retryMs).unref()
      })
    }
    recovery = undefined
  }

  /** Does what recorded invalidations ask for. @returns how many there were, at most `sweepRowsMax` */
  const workOff = async (run: string, ageMs: number): Promise<number> => {
    const left = await db.query((queries) =>
      queries.named<Invalidation>('invalidations-left', invalidationsLeft, [ageMs, sweepRowsMax]),
    )
    if (left.length === 0) return 0
    const places = left.flatMap(({ user_id, names }) => [user_id, ...(names ?? []).map(namePlace)])
    await redis.send('UNLINK', ...places.map((place) => key(place, run)))
    await takeBack(left.map(({ id }) => Number(id)))
    return left.length
  }

  const takeBack = (ids: number[]): Promise<unknown> =>
    db.query((queries) => queries.named('invalidations-done', invalidationsDone, [ids]))

  const sweep = async (): Promise<void> => {
    if (done.length > 0) await takeBack(done.splice(0))
    if (runId !== undefined) await workOff(runId, sweepMs)
  }
  const sweeps = setInterval(() => {
    sweep().catch((error: unknown) => logger.debug('the sweep of invalidations failed', { error }))
  }, sweepMs).unref()

  distrust(undefined)

  // What every read does is written out in `look`: each promise on its way costs as much as finding the token.
  const attempt = async <T>(work: (run: string) => Promise<T>): Promise<T | undefined> => {
    const run = runId
    if (run === undefined) return undefined
    try {
      return await work(run)
    } catch (error) {
      // At the first failure: reads do not pay for more, and what other servers have removed in vain
      // meanwhile is worked off before the cache is trusted again.
      distrust(error)
      return undefined
    }
  }

  /** For who cannot do without the cache. @throws ServiceError `unavailable` */
  const demand = async <T>(work: (run: string) => Promise<T>): Promise<T> => {
    const run = runId
    if (run === undefined) throw unavailable('The cache')
    try {
      return await work(run)
    } catch (error) {
      throw unavailable('The cache', error)
    }
  }

  /** What is in the place, or the lease that is put there. */
  const look = async (id: string): Promise<Buffer | undefined> => {
    const run = runId
    if (run === undefined) return undefined
    try {
      const place = key(id, run)
      const found = bytesOf(await redis.send('GET', place))
      if (found) return found
      const lease = `${ownLeases()}${++leases}`
      // What another reader has put there in between, entry or lease, stays and is answered.
      const there = await redis.send('SET', place, lease, 'NX', 'GET', 'PX', leaseTtlMs)
      return bytesOf(there) ?? Buffer.from(lease)
    } catch (error) {
      distrust(error)
      return undefined
    }
  }

  const isOthers = (place: Buffer): boolean =>
    place[0] === leaseMark && place.toString('latin1', 0, ownLeases().length) !== ownLeases()

  /** Waits a little while another process loads what is missing, so that not all of them ask the database. */
  const othersLoad = (id: string, lease: Buffer): Promise<void> => {
    const known = awaited.get(id)
    if (known !== undefined) return known
    const waiting = (async () => {
      for (const pauseMs of loadPausesMs) {
        await pause(pauseMs)
        const place = await attempt(async (run) => bytesOf(await redis.send('GET', key(id, run))))
        if (!place?.equals(lease)) return
      }
    })().finally(() => awaited.delete(id))
    awaited.set(id, waiting)
    return waiting
  }

  return {
    read: async (id) => {
      let place = await look(id)
      if (place && isOthers(place)) {
        await othersLoad(id, place)
        // Looked at anew by each reader: what a wait that began before it has seen may be older than its question.
        place = await look(id)
      }
      if (!place) return { kind: 'bypass' }
      if (place[0] === leaseMark) return { kind: 'miss', lease: place.toString('latin1') }
      return { kind: 'hit', entry: place }
    },
    fill: async (id, lease, entry) => {
      const ttlMs = Math.round(isUnknown(entry) ? unknownTtlMs : entryTtlMs())
      const place = await attempt(async (run) =>
        bytesOf(await redis.run(fillScript, [key(id, run)], [lease, entry, ttlMs])),
      )
      return place && place[0] !== leaseMark ? place : undefined
    },
    note: async (queries, id, names = []) => {
      const [row] = await queries.named<{ id: string }>('invalidation', invalidation, [id, names])
      return row && Number(row.id)
    },
    forget: async (id, noted, names = []) => {
      const places = [id, ...names.map(namePlace)]
      const giveUpAt = performance.now() + forgetMsMax
      for (;;) {
        const run = runId
        if (run !== undefined) {
          try {
            await redis.send('UNLINK', ...places.map((place) => key(place, run)))
            if (noted !== undefined && done.length < doneMax) done.push(noted)
            return
          } catch (error) {
            distrust(error)
          }
        }
        const left = giveUpAt - performance.now()
        // Without a connection there is nothing to wait for: whoever else trusts Redis has lost it too, or will
        // find the record.
        if (recovery === undefined || !redis.isReady() || left <= 0) return
        await waitWithin(recovery, left)
      }
    },
    scan: (from) =>
      demand(async (run) => {
        // A cursor is good for the server that gave it: after a restart the walk begins anew.
        const [fromRun, cursor = '0'] = from?.split(':') ?? []
        const start = fromRun === run ? cursor : '0'
        const begin = keysOf(run)
        const [next, keys] = listOf(
          await redis.send('SCAN', start, 'MATCH', `${begin}*`, 'COUNT', scannedMax),
        )
        const places = listOf(keys).map((key) => {
          const place = textOf(key).slice(begin.length)
          return place.startsWith(userMark) ? place.slice(userMark.length) : place
        })
        return { places, next: textOf(next) === '0' ? undefined : `${run}:${textOf(next)}` }
      }),
    versions: (places) =>
      demand(async (run) => {
        const users: CachedVersion[] = []
        const names: CachedName[] = []
        const parts: string[][] = []
        for (let from = 0; from < places.length; from += readMax)
          parts.push(places.slice(from, from + readMax))
        const read = parts.map(async (part) => {
          const entries = listOf(await redis.send('MGET', ...part.map((place) => key(place, run))))
          for (const [at, place] of part.entries()) {
            const entry = bytesOf(entries[at])
            const version = versionOf(entry)
            if (entry === undefined || version === undefined) continue
            const usernameFolded = usernameAt(place)
            if (usernameFolded !== undefined) names.push({ usernameFolded, entry })
            else if (uuidForm.test(place)) users.push({ id: place, version })
          }
        })
        await Promise.all(read)
        return { users, names }
      }),
    remove: (entries) =>
      demand(async (run) => {
        const others = await redis.run(
          removeScript,
          entries.map(({ place }) => key(place, run)),
          entries.map(({ begin }) => begin),
        )
        const left = new Set(listOf(others))
        return entries.filter((_, at) => !left.has(at + 1)).map(({ place }) => place)
      }),
    size: () => demand(async () => Number(await redis.send('DBSIZE'))),
    check: async () => {
      const giveUpAt = performance.now() + checkMsMax
      while (runId === undefined) {
        if (performance.now() > giveUpAt) throw unavailable('The cache')
        await pause(10)
      }
      await demand(() => redis.send('PING'))
    },
    close: async () => {
      isClosed = true
      clearInterval(sweeps)
      if (done.length > 0) await takeBack(done.splice(0)).catch(() => {})
      redis.close()
    },
  }
}

function lost(reason: Error): Error {
  const isRefused = reason instanceof RedisError && /^(WRONGPASS|NOAUTH|NOPERM)$/.test(reason.code)
  return new Error(
    isRefused
      ? "the cache does not let us in: check REDIS_URL's user and password, and what that user may do"
      : 'the connection to the cache was lost, or could not be made',
    { cause: reason },
  )
}

/** @returns undefined for a place without an entry */
function versionOf(place: Buffer | undefined): number | undefined {
  // Version, line feed, JSON; a lease begins with a letter.
  const end = place?.indexOf(0x0a) ?? -1
  return place && end > 0 && place[0] !== leaseMark ? Number(place.toString('latin1', 0, end)) : undefined
}

// A server that answers with something else than the command gives is not one to trust.

function bytesOf(reply: Reply | undefined): Buffer | undefined {
  if (reply === null) return undefined
  if (!Buffer.isBuffer(reply)) throw new Error('the cache answered something else than bytes')
  return reply
}

function textOf(reply: Reply | undefined): string {
  return bytesOf(reply)?.toString() ?? ''
}

function listOf(reply: Reply | undefined): Reply[] {
  if (!Array.isArray(reply)) throw new Error('the cache answered something else than a list')
  return reply
}
