// The connection pool: bounded, with a time limit on every step, and failing fast while PostgreSQL is unreachable.
import pg from 'pg'
import { ServiceError, unavailable } from '../../model/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import { fairQueue } from '../../platform/queue.ts'
import { processes } from '../../platform/worker-place.ts'
import { Client, clientConfig, isManaged } from './client.ts'
import type { Contention } from './contention.ts'
import { type Database, type Queries, ReadOnlyDatabase, serviceShare } from './database.ts'
import { createDataloader, type Keyed } from './dataloader.ts'
import { temporaryFailure, withRetries } from './failures.ts'
import { openOwnSession } from './own-session.ts'
import { bindQueries } from './queries.ts'
import { prepareSession, UnusableSession } from './session.ts'
import { failureOf, onWire } from './sqlstates.ts'

// With many workers fewer each, so that all of them stay within PostgreSQL's default of a hundred.
const connectionsMax = Math.max(2, Math.min(10, Math.floor(48 / processes)))
// Bounds the connections that one caller's slow statements can occupy. With five, ten concurrent slow lists took more
// than half of two processors.
const connectionsPerShare = Math.min(3, connectionsMax - 1)
// While several callers are active and PostgreSQL shares this machine's processors with the server.
const connectionsPerShareContended = 1
const connectMsMax = 1_000
// Above PostgreSQL's own limit (session.ts), whose error proves that the server is alive and keeps the connection.
const queryMsMax = 1_600
// Each waiting request is parsed, so that all of them take some tens of megabytes.
const waitingMax = 20_000
const waitMsMax = 1_000
// Calls fail immediately for this long after PostgreSQL could not be reached.
const failFastMs = 250
// A newer connection that rejects writes already leads to the current server.
const readOnlyMsMin = 1_000

// Firewalls drop idle connections silently, and a frozen function misses their end. So a connection that was idle for
// this long is probed before it gets work that cannot be repeated.
const idleMsMax = 1_000
const probeMsMax = 300

/** A `Database` whose work must name its share. */
export type Pool = Pick<Database, 'readByKey' | 'ownSession' | 'usage' | 'close'> & {
  of(share: string): Pick<Database, 'query' | 'transaction' | 'check'>
}

/** @param options.onClient called with each new connection before its use */
export function openPostgresPool(
  url: string,
  logger: Logger,
  {
    contention,
    onClient,
  }: { contention: Contention; onClient?: ((client: pg.ClientBase) => void) | undefined },
): Pool {
  /** Connections through a pooler, whose sessions may lack our prepared statements. */
  const pooled = new WeakSet<pg.ClientBase>()
  const connectedAtMs = new WeakMap<pg.ClientBase, number>()
  const usedAtMs = new WeakMap<pg.ClientBase, number>()
  const managed = isManaged(url)
  const sharesProcessors = isLoopback(url)
  const pool = new pg.Pool({
    Client,
    ...clientConfig(url),
    connectionTimeoutMillis: connectMsMax,
    keepAlive: true,
    application_name: 'user-directory',
    max: connectionsMax,
    query_timeout: queryMsMax,
    idleTimeoutMillis: 60_000,
    onConnect: async (client) => {
      const { isPooled } = await prepareSession(client, { isManaged: managed, msMax: connectMsMax })
      if (isPooled && !managed) pooled.add(client)
      onClient?.(client)
      connectedAtMs.set(client, performance.now())
    },
  })
  // A broken connection is replaced, or fails its next statement; without listeners the event would end the process.
  pool.on('error', (error) => logger.warn('a database connection was lost', { error }))
  pool.on('connect', (client) => void client.on('error', () => {}))

  const queriesOf = new WeakMap<pg.PoolClient, Queries>()
  const bind = (client: pg.PoolClient): Queries => {
    const known = queriesOf.get(client)
    if (known) return known
    const queries = bindQueries(client, pooled.has(client))
    queriesOf.set(client, queries)
    return queries
  }

  // Background work and batched reads serve all callers.
  const ownShares = new Set([serviceShare])
  const limit = fairQueue(connectionsMax, {
    waiting: waitingMax,
    waitMsMax,
    runningPerShare: connectionsPerShare,
    runningNow: (share) =>
      sharesProcessors && contention.isContended() && !ownShares.has(share)
        ? connectionsPerShareContended
        : connectionsPerShare,
  })
  let failFastUntil = 0
  /** The reason, if the last failure was that only a standby was found. */
  let standby: ReadOnlyDatabase | undefined
  let lastAnswerAt = 0
  /** Older connections may lead to a server that rejects writes, or may be broken. */
  let staleBefore = Number.NEGATIVE_INFINITY

  const failed = (startedAt: number, cause: unknown): ServiceError => {
    // It is not an outage if PostgreSQL ended the connection with a reason, or if other calls succeeded meanwhile.
    if (!(cause instanceof pg.DatabaseError) && lastAnswerAt < startedAt) {
      failFastUntil = performance.now() + failFastMs
      standby = cause instanceof ReadOnlyDatabase ? cause : undefined
    }
    return cause instanceof ReadOnlyDatabase
      ? temporaryFailure('read-only', cause)
      : unavailable('The database', cause)
  }

  const failFast = (): void => {
    if (performance.now() < failFastUntil)
      throw standby ? temporaryFailure('read-only', standby) : unavailable('The database')
  }

  const isStale = (client: pg.PoolClient): boolean => (connectedAtMs.get(client) ?? 0) < staleBefore

  /** Skips stale connections: after a failover, only new ones lead to the new server. */
  const connect = async (): Promise<pg.PoolClient> => {
    for (;;) {
      const client = await pool.connect()
      if (!isStale(client) && (await isAlive(client))) return client
      client.release(true)
    }
  }

  const isAlive = async (client: pg.PoolClient): Promise<boolean> => {
    const sinceMs = usedAtMs.get(client)
    if (sinceMs === undefined || performance.now() - sinceMs < idleMsMax) return true
    const probe: pg.QueryConfig & { query_timeout: number } = { text: 'SELECT 1', query_timeout: probeMsMax }
    return client.query(probe).then(
      () => true,
      () => {
        // Older connections are most likely broken too, so they are not probed one by one.
        staleBefore = performance.now()
        return false
      },
    )
  }

  const release = (client: pg.PoolClient, isBroken: boolean): void => {
    usedAtMs.set(client, performance.now())
    client.release(isBroken)
  }

  const withClient = async <T>(share: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    failFast()
    return limit(share, async () => {
      // Another call may have failed while this one waited.
      failFast()
      const startedAt = performance.now()
      const client = await connect().catch((error: unknown) => {
        throw failed(startedAt, connectionError(error))
      })
      try {
        const result = await withRetries(() => work(client))
        lastAnswerAt = performance.now()
        release(client, isStale(client))
        return result
      } catch (error) {
        const failure = failureOf(error)
        if (
          failure?.kind === 'read-only' &&
          (connectedAtMs.get(client) ?? 0) < performance.now() - readOnlyMsMin
        )
          staleBefore = performance.now()
        // The state of a lost connection is unknown; PostgreSQL rolls back its transaction.
        release(client, failure?.kind === 'lost' || isStale(client))
        if (failure?.kind === 'lost') throw failed(startedAt, failure.cause)
        lastAnswerAt = performance.now()
        throw failure ? temporaryFailure(failure.kind, failure.cause) : error
      }
    }).catch((error: unknown) => {
      // The wait may have been too long because of an outage, not because of the load.
      if (error instanceof ServiceError && error.code === 'overloaded') failFast()
      throw error
    })
  }

  /** By statement name. */
  const readers = new Map<string, (key: string) => Promise<Keyed | undefined>>()
  const readerOf = <Row extends Keyed>(name: string, text: string) => {
    const known = readers.get(name) as ((key: string) => Promise<Row | undefined>) | undefined
    if (known) return known
    const share = `reads of ${name}`
    ownShares.add(share)
    const reader = createDataloader(
      (keys) => withClient(share, (client) => bind(client).prepared<Row>(name, text, [keys])),
      { waiting: waitingMax, waitMsMax },
    )
    readers.set(name, reader)
    return reader
  }

  return {
    readByKey: <Row extends Keyed>(name: string, text: string, key: string) => readerOf<Row>(name, text)(key),
    of: (share) => ({
      query: (work) => withClient(share, (client) => work(bind(client))),
      transaction: (work) =>
        withClient(share, async (client) => {
          await onWire(client.query('BEGIN'))
          try {
            const result = await work(bind(client))
            await onWire(client.query('COMMIT'))
            return result
          } catch (error) {
            if (failureOf(error)?.kind !== 'lost') await onWire(client.query('ROLLBACK'))
            throw error
          }
        }),
      check: () =>
        withClient(share, async (client) => {
          const { rows } = await onWire(client.query<{ isReadOnly: boolean }>(isReadOnly))
          if (rows[0]?.isReadOnly) throw new ReadOnlyDatabase('read-only')
        }),
    }),
    ownSession: (work) => openOwnSession(url, work),
    usage: () => ({
      connections: pool.totalCount,
      busy: pool.totalCount - pool.idleCount,
      waiting: limit.waiting(),
    }),
    close: () => pool.end(),
  }
}

function isLoopback(url: string): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(new URL(url).hostname)
}

// True for a server that became a standby under an open connection, and for read-only sessions.
const isReadOnly = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS "isReadOnly"`

/** An error for the log that says why there is no connection, and what to do. */
function connectionError(cause: unknown): Error {
  if (cause instanceof UnusableSession || cause instanceof ReadOnlyDatabase) return cause
  const { code = '' } = cause instanceof pg.DatabaseError ? cause : {}
  return new Error(
    code.startsWith('28')
      ? "PostgreSQL rejected the login: check DATABASE_URL's user and password"
      : code === '3D000'
        ? 'PostgreSQL has no such database: check the name at the end of DATABASE_URL'
        : 'no connection to PostgreSQL: check DATABASE_URL, that the server runs there, and that no firewall blocks it',
    { cause },
  )
}
