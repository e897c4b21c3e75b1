// The sessions of the console: their limits, and the access token that each request needs.
// Why PostgreSQL holds them: docs/adr/0023-console-sessions-in-postgresql.md.
import { hash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { OpenIdProvider, ProviderTokens } from '../../connection/tokens/openid-provider.ts'
import { unavailable } from '../../model/errors.ts'
import type { ServiceContext } from '../context.ts'
import {
  keysOf,
  newCookieValue,
  type SessionKeys,
  type SessionTokens,
  seal,
  unseal,
} from './sealed-tokens.ts'
import { createSessionRows, type SessionRow } from './session-rows.ts'

export type ConsoleSession = {
  keys: SessionKeys
  tokens: SessionTokens
  lastUsedAtMs: number
  /** When the session ends however it is used, in epoch milliseconds. */
  expiresAtMs: number
  /** When it ends without further use. */
  idleExpiresAtMs: number
}

export type ConsoleSessions = {
  /**
   * Ends the person's oldest sessions beyond a limit.
   * @param person the caller's key; undefined if it does not name one person
   * @returns the value of the session's cookie
   * @throws ServiceError `unavailable`
   */
  start(person: string | undefined, tokens: ProviderTokens): Promise<string>
  /** @returns undefined unless the cookie belongs to a session that has not ended @throws ServiceError `unavailable` */
  find(cookieValue: string): Promise<ConsoleSession | undefined>
  /**
   * Refreshes the access token shortly before it expires.
   * @returns undefined if the provider refuses, which ends the session
   * @throws ServiceError `unavailable` if the provider cannot be reached and the present token has expired
   */
  accessToken(session: ConsoleSession): Promise<string | undefined>
  /** Counts as use, for the idle limit. */
  touch(session: ConsoleSession): Promise<void>
  /** Ends the session here, and revokes its refresh token at the provider if it can be reached. */
  end(session: ConsoleSession): Promise<void>
}

const idleMsMax = 30 * 60_000
const absoluteMsMax = 12 * 3_600_000
// Fewer writes: a session ends up to this much earlier than the idle limit.
const touchEveryMs = 60_000
const refreshBeforeMs = 60_000
/** Enough for a request that follows at once. */
const usableMsMin = 5_000
/** Longer than the provider's time limit. A server that dies during a refresh delays the next one by this. */
const leaseMs = 15_000
const pollMs = 100

/** @param clock epoch milliseconds */
export function createConsoleSessions(
  { db, logger }: Pick<ServiceContext, 'db' | 'logger'>,
  provider: OpenIdProvider,
  clock: () => number,
): ConsoleSessions {
  const rows = createSessionRows(db)

  const read = (keys: SessionKeys, row: SessionRow): ConsoleSession => ({
    keys,
    tokens: unseal(row.sealed, keys),
    lastUsedAtMs: row.lastUsedAtMs,
    expiresAtMs: row.createdAtMs + absoluteMsMax,
    idleExpiresAtMs: Math.min(row.lastUsedAtMs + idleMsMax, row.createdAtMs + absoluteMsMax),
  })
  const toSessionTokens = ({
    accessToken,
    refreshToken,
    lifetimeSeconds,
  }: ProviderTokens): SessionTokens => ({
    accessToken,
    refreshToken,
    expiresAtMs: clock() + lifetimeSeconds * 1_000,
  })
  const isUsable = ({ expiresAtMs }: SessionTokens) => expiresAtMs - clock() > usableMsMin
  const isFresh = ({ expiresAtMs }: SessionTokens) => expiresAtMs - clock() > refreshBeforeMs

  /** @returns the current tokens, from this or another server; undefined if the session has ended */
  const refresh = async ({ keys, tokens }: ConsoleSession): Promise<SessionTokens | undefined> => {
    const giveUpAt = performance.now() + leaseMs
    for (;;) {
      const nowMs = clock()
      const sealed = await rows.leaseRefresh(keys.id, { nowMs, untilMs: nowMs + leaseMs })
      if (sealed) return refreshUnderLease(keys, unseal(sealed, keys))
      const row = await rows.find(keys.id)
      if (!row) return undefined
      const current = unseal(row.sealed, keys)
      // Another server has refreshed them, or is about to while the present ones are still good.
      if (isFresh(current) || isUsable(tokens)) return current
      if (performance.now() > giveUpAt) throw unavailable('The sign-in provider')
      await pause(pollMs)
    }
  }

  const refreshUnderLease = async (
    keys: SessionKeys,
    current: SessionTokens,
  ): Promise<SessionTokens | undefined> => {
    let next: SessionTokens | undefined
    try {
      if (isFresh(current)) return current
      const answer =
        current.refreshToken === undefined ? undefined : await provider.refresh(current.refreshToken)
      if (!answer) {
        await rows.remove(keys.id)
        return undefined
      }
      next = toSessionTokens(answer)
      return next
    } catch (error) {
      if (!isUsable(current)) throw error
      logger.warn('refreshing a console session failed; its present token is still valid', { error })
      return current
    } finally {
      await rows.endRefresh(keys.id, next && seal(next, keys))
    }
  }

  /** The refreshes in flight in this process, by session. */
  const refreshing = new Map<string, Promise<SessionTokens | undefined>>()
  const refreshOnce = (session: ConsoleSession): Promise<SessionTokens | undefined> => {
    const id = session.keys.id.toString('hex')
    let running = refreshing.get(id)
    if (!running) {
      running = refresh(session).finally(() => refreshing.delete(id))
      refreshing.set(id, running)
    }
    return running
  }

  return {
    start: async (person, tokens) => {
      const cookieValue = newCookieValue()
      const keys = keysOf(cookieValue)
      if (!keys) throw new Error('a new cookie value must be valid')
      const nowMs = clock()
      await rows.insert(keys.id, {
        sealed: seal(toSessionTokens(tokens), keys),
        person: person === undefined ? undefined : hash('sha256', person, 'buffer'),
        nowMs,
      })
      await rows.removeUnused(nowMs - idleMsMax)
      return cookieValue
    },
    find: async (cookieValue) => {
      const keys = keysOf(cookieValue)
      const row = keys && (await rows.find(keys.id))
      if (!keys || !row) return undefined
      try {
        const session = read(keys, row)
        if (clock() < session.idleExpiresAtMs) return session
      } catch (error) {
        logger.error('the tokens of a console session cannot be decrypted; the session ends', { error })
      }
      await rows.remove(keys.id)
      return undefined
    },
    accessToken: async (session) => {
      const { tokens, keys } = session
      if (isFresh(tokens)) return tokens.accessToken
      if (tokens.refreshToken !== undefined) return (await refreshOnce(session))?.accessToken
      if (tokens.expiresAtMs > clock()) return tokens.accessToken
      await rows.remove(keys.id)
      return undefined
    },
    touch: async ({ keys, lastUsedAtMs }) => {
      const nowMs = clock()
      if (nowMs - lastUsedAtMs >= touchEveryMs) await rows.touch(keys.id, nowMs)
    },
    end: async ({ keys, tokens }) => {
      await rows.remove(keys.id)
      if (tokens.refreshToken === undefined) return
      try {
        await provider.revoke(tokens.refreshToken)
      } catch (error) {
        logger.warn('revoking a refresh token failed; it stays valid at the provider', { error })
      }
    },
  }
}
