// The pool of connections to PostgreSQL: a bounded number, a time limit on everything, and a quick no while it
// cannot be reached.
import { DrizzleQueryError } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'
import { type ServiceError, unavailable } from '../model/errors.ts'
import { fairQueue } from './limits.ts'
import type { Logger } from './logger.ts'
import type { Database, Queries } from './postgres.ts'
import { batched, type Keyed } from './postgres-batches.ts'
import { Client, clientConfig } from './postgres-client.ts'

const connectionsMax = 10
// One caller's slow statements, or writes that wait for one row, leave the other half to the others.
const connectionsPerShare = connectionsMax / 2
// With the time for a connection these stay under two seconds, the longest a caller waits for a no.
const connectMsMax = 1_000
const queryMsMax = 1_500
// The requests that may wait for a connection, and how long. Each holds a parsed request, so some tens of megabytes.
const waitingMax = 20_000
const waitMsMax = 1_000
// After a failure to reach PostgreSQL the next try is made this much later; until then the answer is no.
const restMs = 250

/** A `Database` whose work says in which share it waits. */
export type Pool = Pick<Database, 'readByKey' | 'close'> & {
  of(share: string): Pick<Database, 'query' | 'transaction' | 'check'>
}

export function openPool(url: string, logger: Logger): Pool {
  const pool = new pg.Pool({
    Client,
    ...clientConfig(url, {
      // The server gives up as well, so that what nobody waits for does not go on using it.
      statement_timeout: queryMsMax,
      idle_in_transaction_session_timeout: 10_000,
    }),
    connectionTimeoutMillis: connectMsMax,
    keepAlive: true,
    application_name: 'user-directory',
    max: connectionsMax,
    query_timeout: queryMsMax,
    idleTimeoutMillis: 60_000,
  })
  // An idle connection that breaks is replaced on the next use, and one in use fails its next statement;
  // without a listener, either would end the process.
  pool.on('error', (error) => logger.warn('a database connection was lost', { error }))
  pool.on('connect', (client) => void client.on('error', () => {}))

  const queriesOf = new WeakMap<pg.PoolClient, Queries>()
  const bind = (client: pg.PoolClient): Queries => {
    const known = queriesOf.get(client)
    if (known) return known
    const queries = Object.assign(drizzle({ client }), {
      named: async <Row extends pg.QueryResultRow>(name: string, text: string, values: unknown[]) =>
        (await onWire(client.query<Row>({ name, text, values }))).rows,
      planned: async <Row extends pg.QueryResultRow>(text: string, values: unknown[]) =>
        (await onWire(client.query<Row>(text, values))).rows,
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
  let lastAnswerAt = 0

  const failed = (startedAt: number, cause: unknown): ServiceError => {
    // One slow statement is no outage: others were answered since it began.
    if (lastAnswerAt < startedAt) restUntil = performance.now() + restMs
    return unavailable('The database', cause)
  }

  const refuseAfterFailure = (): void => {
    if (performance.now() < restUntil) throw unavailable('The database')
  }

  const withClient = async <T>(share: string, work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    refuseAfterFailure()
    return limit(share, async () => {
      // It may have waited while another call failed.
      refuseAfterFailure()
      const startedAt = performance.now()
      const client = await pool.connect().catch((error: unknown) => {
        throw failed(startedAt, noConnection(error))
      })
      try {
        const result = await work(client)
        lastAnswerAt = performance.now()
        client.release()
        return result
      } catch (error) {
        const wire = wireError(error)
        // A connection that failed is in a state nobody knows; PostgreSQL rolls back what it had begun.
        client.release(wire !== undefined)
        if (wire) throw failed(startedAt, wire.cause)
        lastAnswerAt = performance.now()
        throw error
      }
    })
  }

  /** By the statements' names. */
  const readers = new Map<string, (key: string) => Promise<Keyed | undefined>>()
  const readerOf = <Row extends Keyed>(name: string, text: string) => {
    const known = readers.get(name) as ((key: string) => Promise<Row | undefined>) | undefined
    if (known) return known
    const reader = batched(
      (keys) => withClient(`reads of ${name}`, (client) => bind(client).named<Row>(name, text, [keys])),
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
            if (!wireError(error)) await onWire(client.query('ROLLBACK'))
            throw error
          }
        }),
      check: () => withClient(share, async (client) => void (await onWire(client.query('SELECT 1')))),
    }),
    close: () => pool.end(),
  }
}

/** Why there is no connection, and what to do, for the log. */
function noConnection(cause: unknown): Error {
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

/** The connection failed, as against PostgreSQL having refused a statement. */
class WireError extends Error {}

async function onWire<T>(call: Promise<T>): Promise<T> {
  try {
    return await call
  } catch (error) {
    throw isRefusal(error) ? error : new WireError('the database connection failed', { cause: error })
  }
}

function wireError(error: unknown): WireError | undefined {
  if (error instanceof WireError) return error
  if (error instanceof DrizzleQueryError && !isRefusal(error.cause))
    return new WireError('the database connection failed', { cause: error.cause })
  return undefined
}

// SQLSTATEs that PostgreSQL sends about itself, not about a statement: connection exceptions (08),
// too many connections, shutting down, starting up, and a statement cancelled for its time.
const unavailableStates = /^(08...|53300|57P0[1-3]|57014)$/

function isRefusal(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && !unavailableStates.test(error.code ?? '')
}

/** The constraint that a statement broke, when it broke a unique one (SQLSTATE 23505). */
export function brokenUniqueConstraint(error: unknown): string | undefined {
  const cause = error instanceof DrizzleQueryError ? error.cause : error
  return cause instanceof pg.DatabaseError && cause.code === '23505' ? cause.constraint : undefined
}
