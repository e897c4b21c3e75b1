// The pool of connections to PostgreSQL: a bounded number, a time limit on everything, and a quick no while it
// cannot be reached.
import { setTimeout as pause } from 'node:timers/promises'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { ServiceError, unavailable } from '../../model/errors.ts'
import type { Logger } from '../../platform/logger.ts'
import { fairQueue } from '../../platform/queue.ts'
import { Client, clientConfig, isManaged } from './client.ts'
import { type Database, type Queries, ReadOnlyDatabase } from './database.ts'
import { createDataloader, type Keyed } from './dataloader.ts'
import { prepareSession, UnusableSession } from './session.ts'
import { type FailureKind, failureOf, onWire } from './sqlstates.ts'

const connectionsMax = 10
// One caller's slow statements, or writes that wait for one row, leave the others to the others. With five, ten slow
// lists at once took more than half of the processor from all others' requests, on two cores.
const connectionsPerShare = 3
// With the time for a connection these stay under two seconds, the longest a caller waits for a no.
const connectMsMax = 1_000
// Later than PostgreSQL's own limit (postgres-session.ts), whose answer says that it is there and keeps the connection.
const queryMsMax = 1_600
// The requests that may wait for a connection, and how long. Each holds a parsed request, so some tens of megabytes.
const waitingMax = 20_000
const waitMsMax = 1_000
// After a failure to reach PostgreSQL the next try is made this much later; until then the answer is no.
const restMs = 250
// How often work is done that met a deadlock or a conflict with other transactions, and what it waits in between.
const attemptsMax = 3
const attemptPauseMs = 20
// A newer connection that takes no writes has found the server as it is.
const readOnlyMsMin = 1_000

// A firewall forgets idle connections silently, and a function that was frozen has not heard of their end: after this
// time a connection must answer once, quickly, before it is given work that cannot be repeated.
const idleMsMax = 1_000
const probeMsMax = 300

/** A `Database` whose work says in which share it waits. */
export type Pool = Pick<Database, 'readByKey' | 'close'> & {
  of(share: string): Pick<Database, 'query' | 'transaction' | 'check'>
}

export function openPool(url: string, logger: Logger): Pool {
  /** Those that lead through a pooler, which may have other servers' prepared statements. */
  const pooled = new WeakSet<pg.ClientBase>()
  const connectedAtMs = new WeakMap<pg.ClientBase, number>()
  const usedAtMs = new WeakMap<pg.ClientBase, number>()
  const managed = isManaged(url)
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
      connectedAtMs.set(client, performance.now())
    },
  })
  // An idle connection that breaks is replaced on the next use, and one in use fails its next statement;
  // without a listener, either would end the process.
  pool.on('error', (error) => logger.warn('a database connection was lost', { error }))
  pool.on('connect', (client) => void client.on('error', () => {}))

  const queriesOf = new WeakMap<pg.PoolClient, Queries>()
  const bind = (client: pg.PoolClient): Queries => {
    const known = queriesOf.get(client)
    if (known) return known
    const unprepared = async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) =>
      (await onWire(client.query<Row>(text, values))).rows
    const queries = Object.assign(drizzle({ client }), {
      prepared: async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) =>
        pooled.has(client)
          ? unprepared<Row>(text, values)
          : (await onWire(client.query<Row>({ name, text, values }))).rows,
      unprepared,
    })
    queriesOf.set(client, queries)
    return queries
  }

  const limit = fairQueue(connectionsMax, {
    waiting: waitingMax,
    waitMsMax,
    runningPerShare: connectionsPerShare,
  })
  let restUntil = 0
  /** The last failure was that there is a standby only. */
  let standby: ReadOnlyDatabase | undefined
  let lastAnswerAt = 0
  /** Connections from before lead to a server that took no writes when it was last asked. */
  let staleBefore = Number.NEGATIVE_INFINITY

  const failed = (startedAt: number, cause: unknown): ServiceError => {
    // A connection that PostgreSQL ended with a reason is no outage, nor is one while others were answered.
    if (!(cause instanceof pg.DatabaseError) && lastAnswerAt < startedAt) {
      restUntil = performance.now() + restMs
      standby = cause instanceof ReadOnlyDatabase ? cause : undefined
    }
    return cause instanceof ReadOnlyDatabase
      ? refused('read-only', cause)
      : unavailable('The database', cause)
  }

  const refuseAfterFailure = (): void => {
    if (performance.now() < restUntil)
      throw standby ? refused('read-only', standby) : unavailable('The database')
  }

  const isStale = (client: pg.PoolClient): boolean => (connectedAtMs.get(client) ?? 0) < staleBefore

  /** After a failover, the name leads to another server, and only new connections follow it. */
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
        // Those made before have most likely met the same end: they are not probed one by one.
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
    refuseAfterFailure()
    return limit(share, async () => {
      // It may have waited while another call failed.
      refuseAfterFailure()
      const startedAt = performance.now()
      const client = await connect().catch((error: unknown) => {
        throw failed(startedAt, noConnection(error))
      })
      try {
        const result = await repeated(() => work(client))
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
        // A connection that failed is in a state nobody knows; PostgreSQL rolls back what it had begun.
        release(client, failure?.kind === 'lost' || isStale(client))
        if (failure?.kind === 'lost') throw failed(startedAt, failure.cause)
        lastAnswerAt = performance.now()
        throw failure ? refused(failure.kind, failure.cause) : error
      }
    }).catch((error: unknown) => {
      // It waited for too long because there was no answer, not because there was much to do.
      if (error instanceof ServiceError && error.code === 'overloaded') refuseAfterFailure()
      throw error
    })
  }

  /** By the statements' names. */
  const readers = new Map<string, (key: string) => Promise<Keyed | undefined>>()
  const readerOf = <Row extends Keyed>(name: string, text: string) => {
    const known = readers.get(name) as ((key: string) => Promise<Row | undefined>) | undefined
    if (known) return known
    const reader = createDataloader(
      (keys) => withClient(`reads of ${name}`, (client) => bind(client).prepared<Row>(name, text, [keys])),
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
    close: () => pool.end(),
  }
}

// A server that has become a standby under an open connection, or whose operator lets nothing be written.
const isReadOnly = `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS "isReadOnly"`

/** Does work again that other transactions have kept from being done. */
async function repeated<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await work()
    } catch (error) {
      if (failureOf(error)?.kind !== 'again' || attempt === attemptsMax) throw error
      // Two that have met once must not meet again.
      await pause(Math.random() * attemptPauseMs * attempt)
    }
}

/** Of a database that has answered, and could not do what was asked. */
function refused(kind: Exclude<FailureKind, 'lost'>, cause: unknown): ServiceError {
  const message = {
    again: 'Others are changing the same in the database. Try again shortly.',
    later: 'The database cannot do this at the moment. Try again shortly.',
    'read-only': 'The database takes no writes at the moment. Try again shortly.',
  }
  return new ServiceError('unavailable', message[kind], { retryAfterSeconds: 1, cause })
}

/** Why there is no connection, and what to do, for the log. */
function noConnection(cause: unknown): Error {
  if (cause instanceof UnusableSession || cause instanceof ReadOnlyDatabase) return cause
  const { code = '' } = cause instanceof pg.DatabaseError ? cause : {}
  return new Error(
    code.startsWith('28')
      ? "PostgreSQL does not let us in: check DATABASE_URL's user and password"
      : code === '3D000'
        ? 'PostgreSQL has no such database: check what DATABASE_URL ends with'
        : 'no connection to PostgreSQL: check DATABASE_URL, that it runs there, and that nothing on the way refuses us',
    { cause },
  )
}
