// The cache in Redis or Valkey, over TLS with rediss://. Leases: docs/adr/0008-leases-in-the-cache.md. When Redis is
// trusted, and the eras that keep entries of different servers apart: docs/adr/0002-trust-in-the-cache.md.
import { setTimeout as pause } from 'node:timers/promises'
import { unavailable } from '../../model/errors.ts'
import { waitWithin } from '../../platform/deadline.ts'
import type { Logger } from '../../platform/logger.ts'
import type { Database } from '../postgres/database.ts'
import { addressOf } from '../redis/address.ts'
import { openRedis, script } from '../redis/client.ts'
import { RedisError, type Reply } from '../redis/protocol.ts'
import {
  type Cache,
  type CachedName,
  type CachedVersion,
  entryTtlMs,
  isNegative,
  leaseTtlMs,
  negativeTtlMs,
  usernameKey,
  usernameOfKey,
} from './cache.ts'
import { openCacheRegistry, recordInvalidation } from './registry.ts'
import { createCacheTrust, renewEveryMs } from './trust.ts'

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

/** A server that the cache cannot use, whatever happens later: the message says why and what to do. */
export class UnsupportedCacheServer extends Error {}

/**
 * @param options.isFunction nothing runs between two calls, since a function is frozen there: trust is renewed by the
 *   read that needs it, and a removal's record is deleted before the write is answered
 */
export function openRedisCache(
  url: string,
  { db, logger, isFunction = false }: { db: Database; logger: Logger; isFunction?: boolean },
): Cache {
  const { address, password } = addressOf(url)
  let connections = 0
  let readyAt = 0
  let failedAt = Number.NEGATIVE_INFINITY
  /** When the cache became unavailable. */
  let lostAt = 0
  let isClosed = false
  let isTold = false
  /** Ends the pause before the next renewal. */
  let wake = () => {}
  let unsupported: UnsupportedCacheServer | undefined
  /** What begins the leases of this process. Made by the first: the random numbers take their time to load. */
  let ownMark: string | undefined
  const ownLeases = (): string => {
    ownMark ??= `L${crypto.randomUUID()}:`
    return ownMark
  }
  let leases = 0
  const awaited = new Map<string, Promise<void>>()

  const redis = openRedis(address, {
    ...(password && { password }),
    onReady: () => {
      readyAt = performance.now()
      wake()
    },
    // Another server may be behind the next connection, or the same one restarted.
    onLost: (reason) => {
      connections++
      trust.disconnected()
      if (!isClosed) distrust(lost(reason))
    },
  })

  const keysOf = (era: string): string => `${prefix}:${era}:`
  const key = (place: string, era: string): string =>
    `${keysOf(era)}${usernameOfKey(place) === undefined ? userMark : ''}${place}`

  const registry = openCacheRegistry(db)
  const trust = createCacheTrust(
    {
      connection: () => connections,
      identify: async () => runIdOf(textOf(await redis.send('INFO', 'server'))),
      remove: async (era, places) =>
        void (await redis.send('UNLINK', `${keysOf(era)}probe`, ...places.map((place) => key(place, era)))),
      reconnect: redis.reconnect,
    },
    registry,
  )

  const distrust = (reason: unknown): void => {
    trust.distrust()
    report(reason)
    wake()
  }

  /** Warns once, until the cache is in use again. */
  const report = (reason: unknown): void => {
    if (isTold) {
      logger.debug('cache still unavailable', { error: reason })
      return
    }
    logger.warn('cache unavailable; reads fall back to PostgreSQL', { error: reason })
    isTold = true
    lostAt = performance.now()
  }

  const renew = async (): Promise<void> => {
    if (!redis.isReady()) return
    // After a lost connection others may be on their way back too, with writes that they could not remove.
    const reunionMsLeft = connections === 0 ? 0 : readyAt + reunionMs - performance.now()
    if (reunionMsLeft > 0) {
      if (isFunction) return
      await pause(reunionMsLeft, undefined, { ref: false })
    }
    const wasReadable = trust.readable() !== undefined
    try {
      await trust.renew()
      if (!wasReadable && (isTold || !isFunction)) logger.info('cache in use')
      isTold = false
    } catch (error) {
      if (error instanceof UnsupportedCacheServer) unsupported = error
      failedAt = performance.now()
      if (!isClosed && trust.readable() === undefined) report(error)
    }
  }

  const keepTrust = async (): Promise<void> => {
    while (!isClosed) {
      await renew()
      settled()
      const pauseMs = trust.readable() === undefined ? retryMs : renewEveryMs
      await new Promise<void>((done) => {
        wake = done
        setTimeout(done, pauseMs).unref()
      })
    }
  }

  /** Resolves when the next attempt to renew has ended. */
  let settled = () => {}
  let nextAttempt: Promise<void> | undefined
  const attemptEnds = (): Promise<void> => {
    if (isFunction) return renew()
    nextAttempt ??= new Promise<void>((done) => {
      settled = () => {
        nextAttempt = undefined
        settled = () => {}
        done()
      }
    })
    return nextAttempt
  }

  if (!isFunction) void keepTrust()

  /** The era to read from, renewed first where nothing does it in the background. */
  const readable = async (): Promise<string | undefined> => {
    const era = trust.readable()
    if (era !== undefined || !isFunction || performance.now() - failedAt < retryMs) return era
    await renew()
    return trust.readable()
  }

  // A write is refused for want of memory: what is there may still be read and removed.
  const isFull = (error: unknown): boolean => error instanceof RedisError && error.code === 'OOM'

  // `look` writes out what every read does: each further promise costs as much as finding the token.
  const attempt = async <T>(work: (era: string) => Promise<T>): Promise<T | undefined> => {
    const era = trust.readable()
    if (era === undefined) return undefined
    try {
      return await work(era)
    } catch (error) {
      if (!isFull(error)) distrust(error)
      return undefined
    }
  }

  /** For work that cannot do without the cache. @throws ServiceError `unavailable` */
  const demand = async <T>(work: (era: string) => Promise<T>): Promise<T> => {
    if (isFunction && trust.known() === undefined) await renew()
    const era = trust.known()
    if (era === undefined) throw unavailable('The cache')
    try {
      return await work(era)
    } catch (error) {
      throw unavailable('The cache', error)
    }
  }

  /** What is in the place, or the lease that is put there. */
  const look = async (id: string): Promise<Buffer | undefined> => {
    const era = trust.readable() ?? (isFunction ? await readable() : undefined)
    if (era === undefined) return undefined
    try {
      const place = key(id, era)
      const found = bytesOf(await redis.send('GET', place))
      if (found) return found
      const lease = `${ownLeases()}${++leases}`
      // What another reader has put there in between, entry or lease, stays and is answered.
      const there = await redis.send('SET', place, lease, 'NX', 'GET', 'PX', leaseTtlMs)
      return bytesOf(there) ?? Buffer.from(lease)
    } catch (error) {
      if (!isFull(error)) distrust(error)
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
        const place = await attempt(async (era) => bytesOf(await redis.send('GET', key(id, era))))
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
      const ttlMs = Math.round(isNegative(entry) ? negativeTtlMs : entryTtlMs())
      const place = await attempt(async (era) =>
        bytesOf(await redis.run(fillScript, [key(id, era)], [lease, entry, ttlMs])),
      )
      return place && place[0] !== leaseMark ? place : undefined
    },
    recordInvalidation: (queries, id, names = []) => recordInvalidation(queries, id, names),
    invalidate: async (id, noted, names = []) => {
      const places = [id, ...names.map(usernameKey)]
      const giveUpAt = performance.now() + forgetMsMax
      for (;;) {
        const era = trust.known()
        if (era !== undefined) {
          try {
            await redis.send('UNLINK', ...places.map((place) => key(place, era)))
            if (noted === undefined) return
            if (isFunction) await registry.complete([noted], era).catch(() => {})
            else trust.done(noted, era)
            return
          } catch (error) {
            distrust(error)
          }
        }
        // Without a connection, or with one that has refused removals for a while, nothing is gained by waiting:
        // the record stays, and ends the others' trust if they cannot do it either.
        const now = performance.now()
        if (!redis.isReady() || now >= giveUpAt || now - lostAt > forgetMsMax) return
        await waitWithin(attemptEnds(), giveUpAt - now)
      }
    },
    scan: (from) =>
      demand(async (era) => {
        // A cursor is good for the server that gave it: in another era the walk begins anew.
        const [fromEra, cursor = '0'] = from?.split(':') ?? []
        const start = fromEra === era ? cursor : '0'
        const begin = keysOf(era)
        const [next, keys] = listOf(
          await redis.send('SCAN', start, 'MATCH', `${begin}*`, 'COUNT', scannedMax),
        )
        const places = listOf(keys).map((key) => {
          const place = textOf(key).slice(begin.length)
          return place.startsWith(userMark) ? place.slice(userMark.length) : place
        })
        return { places, next: textOf(next) === '0' ? undefined : `${era}:${textOf(next)}` }
      }),
    versions: (places) =>
      demand(async (era) => {
        const users: CachedVersion[] = []
        const names: CachedName[] = []
        const parts: string[][] = []
        for (let from = 0; from < places.length; from += readMax)
          parts.push(places.slice(from, from + readMax))
        const read = parts.map(async (part) => {
          const entries = listOf(await redis.send('MGET', ...part.map((place) => key(place, era))))
          for (const [at, place] of part.entries()) {
            const entry = bytesOf(entries[at])
            const version = versionOf(entry)
            if (entry === undefined || version === undefined) continue
            const usernameFolded = usernameOfKey(place)
            if (usernameFolded !== undefined) names.push({ usernameFolded, entry })
            else if (uuidForm.test(place)) users.push({ id: place, version })
          }
        })
        await Promise.all(read)
        return { users, names }
      }),
    remove: (entries) =>
      demand(async (era) => {
        const others = await redis.run(
          removeScript,
          entries.map(({ place }) => key(place, era)),
          entries.map(({ begin }) => begin),
        )
        const left = new Set(listOf(others))
        return entries.filter((_, at) => !left.has(at + 1)).map(({ place }) => place)
      }),
    size: () => demand(async () => Number(await redis.send('DBSIZE'))),
    check: async () => {
      const giveUpAt = performance.now() + checkMsMax
      while ((await readable()) === undefined) {
        if (unsupported) throw unsupported
        if (performance.now() > giveUpAt) throw unavailable('The cache')
        await pause(10)
      }
      await demand(() => redis.send('PING'))
    },
    close: async () => {
      isClosed = true
      wake()
      // Deletes the records of what was removed.
      if (!isFunction && trust.known() !== undefined) await trust.renew().catch(() => {})
      redis.close()
    },
  }
}

/** @throws UnsupportedCacheServer for a server in cluster mode */
function runIdOf(info: string): string {
  // Valkey says `server_mode` where it does not imitate Redis.
  if (/^(?:redis|server)_mode:cluster/m.test(info))
    throw new UnsupportedCacheServer(
      'REDIS_URL leads to a server in cluster mode, which is not supported: use one with cluster mode disabled',
    )
  const [, runId] = /^run_id:(\w+)/m.exec(info) ?? []
  if (runId === undefined) throw new Error('the cache does not tell its run_id')
  return runId
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
