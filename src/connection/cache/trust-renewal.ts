// Connects to the cache's Redis server and renews the trust in it: docs/adr/0002-trust-in-the-cache.md.
import { setTimeout as pause } from 'node:timers/promises'
import { unavailable } from '../../model/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import { addressOf } from '../redis/address.ts'
import { openRedis, type RedisClient } from '../redis/client.ts'
import { RedisError } from '../redis/protocol.ts'
import { type CacheRegistry, type CacheTrust, createCacheTrust, renewEveryMs } from './trust.ts'

const retryMs = 200
// Covers a pause between connection attempts and a handshake: the time in which every other server reconnects.
const reconnectMsMax = 500

/** A server that the cache can never use. The message says why and what to do. */
export class UnsupportedCacheServer extends Error {}

/** How to talk to the server. */
export type ServerProtocol = {
  /** @returns its identity, which differs after a restart, and wherever old entries must not be read */
  identify(redis: RedisClient): Promise<string>
  /** Removes the entries of an era, if there are any. */
  remove(redis: RedisClient, era: string, keys: string[]): Promise<void>
  /** A key that any server of this kind accepts. It proves that removals are executed. */
  probe(): string
  /** A renewal has succeeded. */
  renewed?(): void
}

export type TrustedServer = {
  redis: RedisClient
  trust: CacheTrust
  /** Removes the entries of an era. @throws if the server did not confirm that */
  remove(era: string, keys: string[]): Promise<void>
  /** Deletes, at the latest with the next renewal, the record of an invalidation that was done in `era`. */
  done(recordId: number, era: string): Promise<void>
  /** Renews as soon as possible. */
  wake(): void
  /** The era to read from. A function, which runs nothing in the background, renews an expired trust first. */
  readableEra(): Promise<string | undefined>
  /** Runs work that needs the cache. @throws ServiceError `unavailable` */
  withEra<T>(work: (era: string) => Promise<T>): Promise<T>
  /** Ends the trust after a failed command, and renews it as soon as possible. */
  distrust(reason: unknown): void
  /** Resolves when the next renewal has succeeded or failed. */
  nextRenewal(): Promise<void>
  /** When the cache became unavailable, on `performance.now()`'s clock. */
  unavailableSince(): number
  /** The reason, if the server can never be used. */
  unsupported(): UnsupportedCacheServer | undefined
  close(): Promise<void>
}

/** @param options.isFunction a Lambda function, which is frozen between two calls and must not work in the background */
export function openTrustedServer(
  url: string,
  {
    registry,
    protocol,
    logger,
    isFunction,
  }: { registry: CacheRegistry; protocol: ServerProtocol; logger: Logger; isFunction: boolean },
): TrustedServer {
  const { address, password } = addressOf(url)
  let connections = 0
  let readyAt = 0
  let failedAt = Number.NEGATIVE_INFINITY
  let unavailableAt = 0
  let isClosed = false
  let isReported = false
  /** Ends the pause before the next renewal. */
  let wake = () => {}
  let unsupported: UnsupportedCacheServer | undefined

  const redis = openRedis(address, {
    ...(password && { password }),
    onReady: () => {
      readyAt = performance.now()
      wake()
    },
    // The next connection may lead to another server, or to the same one after a restart.
    onLost: (reason) => {
      connections++
      trust.disconnected()
      if (!isClosed) distrust(connectionError(reason))
    },
  })

  const trust = createCacheTrust(
    {
      connection: () => connections,
      identify: () => protocol.identify(redis),
      remove: (era, keys) => protocol.remove(redis, era, [protocol.probe(), ...keys]),
      reconnect: redis.reconnect,
    },
    registry,
  )

  const distrust = (reason: unknown): void => {
    trust.distrust()
    reportUnavailable(reason)
    wake()
  }

  /** Warns once, until the cache is in use again. */
  const reportUnavailable = (reason: unknown): void => {
    if (isReported) {
      logger.debug('cache still unavailable', { error: reason })
      return
    }
    logger.warn('cache unavailable; reads fall back to PostgreSQL', { error: reason })
    isReported = true
    unavailableAt = performance.now()
  }

  const renew = async (): Promise<void> => {
    if (!redis.isReady()) return
    // Other servers may be reconnecting too, after writes whose entries they could not invalidate.
    const waitMs = connections === 0 ? 0 : readyAt + reconnectMsMax - performance.now()
    if (waitMs > 0) {
      if (isFunction) return
      await pause(waitMs, undefined, { ref: false })
    }
    const wasReadable = trust.readable() !== undefined
    try {
      await trust.renew()
      protocol.renewed?.()
      if (!wasReadable && (isReported || !isFunction)) logger.info('cache in use')
      isReported = false
    } catch (error) {
      if (error instanceof UnsupportedCacheServer) unsupported = error
      failedAt = performance.now()
      if (!isClosed && trust.readable() === undefined) reportUnavailable(error)
    }
  }

  const keepTrust = async (): Promise<void> => {
    while (!isClosed) {
      await renew()
      renewalEnded()
      const pauseMs = trust.readable() === undefined ? retryMs : renewEveryMs
      await new Promise<void>((done) => {
        wake = done
        setTimeout(done, pauseMs).unref()
      })
    }
  }

  let renewalEnded = () => {}
  let nextRenewal: Promise<void> | undefined

  if (!isFunction) void keepTrust()

  return {
    redis,
    trust,
    remove: (era, keys) => protocol.remove(redis, era, keys),
    done: async (recordId, era) => {
      if (isFunction) await registry.complete([recordId], era).catch(() => {})
      else trust.done(recordId, era)
    },
    wake: () => wake(),
    readableEra: async () => {
      const era = trust.readable()
      if (era !== undefined || !isFunction || performance.now() - failedAt < retryMs) return era
      await renew()
      return trust.readable()
    },
    withEra: async (work) => {
      if (isFunction && trust.known() === undefined) await renew()
      const era = trust.known()
      if (era === undefined) throw unavailable('The cache')
      try {
        return await work(era)
      } catch (error) {
        throw unavailable('The cache', error)
      }
    },
    distrust,
    nextRenewal: () => {
      if (isFunction) return renew()
      nextRenewal ??= new Promise<void>((done) => {
        renewalEnded = () => {
          nextRenewal = undefined
          renewalEnded = () => {}
          done()
        }
      })
      return nextRenewal
    },
    unavailableSince: () => unavailableAt,
    unsupported: () => unsupported,
    close: async () => {
      isClosed = true
      wake()
      // A last renewal deletes the records of completed invalidations.
      if (!isFunction && trust.known() !== undefined) await trust.renew().catch(() => {})
      redis.close()
    },
  }
}

export function connectionError(cause: Error): Error {
  const isRejected = cause instanceof RedisError && /^(WRONGPASS|NOAUTH|NOPERM)$/.test(cause.code)
  return new Error(
    isRejected
      ? "the cache rejected the login: check REDIS_URL's user and password, and that user's permissions"
      : 'the connection to the cache was lost or could not be made',
    { cause },
  )
}
