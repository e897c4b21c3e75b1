// Answers reads that may be stale from a read replica, as long as its lag is known: docs/adr/0032-read-replicas-for-lists.md.
import pg from 'pg'
import type { Logger } from '../../platform/logger.ts'
import { fairQueue } from '../../platform/queue.ts'
import type { Tracer } from '../../platform/tracing/tracer.ts'
import { processes } from '../../platform/worker-place.ts'
import { Client, clientConfig, isManaged } from './client.ts'
import { type Database, type Queries, type ReplicaState, type StaleRead, serviceShare } from './database.ts'
import { openHeartbeats } from './heartbeats.ts'
import { bindQueries } from './queries.ts'
import { prepareSession } from './session.ts'
import { failureOf, onWire } from './sqlstates.ts'

const connectionsMax = Math.max(2, Math.min(6, Math.floor(24 / processes)))
const connectionsPerShare = Math.floor(connectionsMax / 2)
const waitingMax = 2_000
const waitMsMax = 1_000

const connectMsMax = 500
// A replica that hangs is noticed by then. A busy event loop must not look like one.
const checkMsMax = 500
// Half of the primary's limits, because the primary may have to answer afterwards.
const statementMsMax = 750
const queryMsMax = 800
/** From a failure until one call tries the replica again. */
const avoidedMs = 2_000
/** A longer lag is logged. */
const lagMsMax = 5_000

export type Replica = {
  /**
   * @returns undefined if the primary must answer
   * @throws ServiceError `overloaded`
   */
  read<T>(call: StaleCall<T>): Promise<StaleRead<T> | undefined>
  state(): Promise<ReplicaState>
  close(): Promise<void>
}

type StaleCall<T> = { share: string; secondsMax: number; work: (queries: Queries) => Promise<T> }

export async function openReplica(
  url: string,
  {
    primary,
    logger,
    isFunction,
    tracer,
  }: { primary: Pick<Database, 'query'>; logger: Logger; isFunction: boolean; tracer: Tracer | undefined },
): Promise<Replica> {
  const { traceClient } = tracer ? await import('./trace-client.ts') : {}
  const heartbeats = openHeartbeats(primary.query, { isFunction })
  const queriesOf = new WeakMap<pg.ClientBase, Queries>()
  const managed = isManaged(url)
  const pool = new pg.Pool({
    Client,
    ...clientConfig(url),
    connectionTimeoutMillis: connectMsMax,
    keepAlive: true,
    application_name: 'user-directory reads',
    max: connectionsMax,
    query_timeout: queryMsMax,
    idleTimeoutMillis: 60_000,
    onConnect: async (client) => {
      const { isPooled } = await prepareSession(client, {
        isManaged: managed,
        msMax: connectMsMax,
        allowsStandby: true,
      })
      if (tracer) traceClient?.(client, tracer)
      queriesOf.set(client, bindQueries(client as pg.PoolClient, isPooled && !managed))
    },
  })
  // The next call reports a lost connection; without listeners the event would end the process.
  pool.on('error', () => {})
  pool.on('connect', (client) => void client.on('error', () => {}))
  const limit = fairQueue(connectionsMax, {
    waiting: waitingMax,
    waitMsMax,
    runningPerShare: connectionsPerShare,
  })

  let fault: 'unusable' | 'lags' | undefined
  let avoidedUntil = Number.NEGATIVE_INFINITY
  const noteUnusable = (error: unknown): void => {
    avoidedUntil = performance.now() + avoidedMs
    if (fault !== 'unusable') logger.warn('read replica unavailable; the primary answers', { error })
    fault = 'unusable'
  }
  const noteLag = (lagMs: number): void => {
    avoidedUntil = Number.NEGATIVE_INFINITY
    if (lagMs <= lagMsMax) {
      if (fault) logger.info('read replica in use again')
      fault = undefined
      return
    }
    if (fault !== 'lags')
      logger.warn('read replica lags, or follows another database; the primary answers', {
        lag_seconds: Math.round(lagMs / 1_000),
      })
    fault = 'lags'
  }

  /** @returns a time before which every change was committed that the connection's snapshot lacks */
  const readHeartbeat = async (client: pg.PoolClient): Promise<number> => {
    const statement: pg.QueryConfig & { query_timeout: number } = {
      text: heartbeat,
      values: [heartbeats.process],
      query_timeout: checkMsMax,
    }
    const { rows } = await onWire(client.query<{ isStandby: boolean; sentAtMs: string | null }>(statement))
    const [row] = rows
    if (!row?.isStandby) throw new Error('DATABASE_READ_URL leads to a server that is no standby')
    if (row.sentAtMs !== null) {
      noteLag(performance.now() - Number(row.sentAtMs))
      return Number(row.sentAtMs)
    }
    const firstSentAt = heartbeats.firstSentAt()
    if (firstSentAt !== undefined) noteLag(performance.now() - firstSentAt)
    return Number.NEGATIVE_INFINITY
  }

  const readWithin = <T>(
    share: string,
    ageMsMax: number,
    work: (queries: Queries) => Promise<T>,
  ): Promise<{ value: T; ageMs: number } | undefined> =>
    limit(share, async () => {
      const now = performance.now()
      if (now < avoidedUntil) return undefined
      // After a failure one call tries again, and the others go to the primary meanwhile.
      if (fault === 'unusable') avoidedUntil = now + avoidedMs
      let client: pg.PoolClient | undefined
      let isChecked = false
      try {
        client = await pool.connect()
        const answer = await readInSnapshot(client, async (client) => {
          const sentAtMs = await readHeartbeat(client)
          isChecked = true
          const queries = queriesOf.get(client)
          if (!queries || performance.now() - sentAtMs > ageMsMax) return undefined
          const value = await work(queries)
          const ageMs = performance.now() - sentAtMs
          return ageMs > ageMsMax ? undefined : { value, ageMs }
        })
        client.release()
        return answer
      } catch (error) {
        // A later statement that fails or takes too long says nothing about the replica.
        const isUnusable = !isChecked || failureOf(error)?.kind === 'lost'
        client?.release(isUnusable)
        if (isUnusable) noteUnusable(failureOf(error)?.cause ?? error)
        return undefined
      }
    })

  let answered = 0
  let passed = 0
  return {
    read: async ({ share, secondsMax, work }) => {
      if (isFunction) await heartbeats.renew()
      const answer = await readWithin(share, secondsMax * 1_000, work)
      if (!answer) {
        passed++
        return undefined
      }
      answered++
      return { value: answer.value, ageSeconds: Math.ceil(answer.ageMs / 1_000) }
    },
    state: async () => {
      const measured = await readWithin(serviceShare, Number.MAX_VALUE, async () => {}).catch(() => undefined)
      return { answered, passed, lagSeconds: measured && measured.ageMs / 1_000 }
    },
    close: async () => {
      await heartbeats.close()
      await pool.end()
    },
  }
}

// One snapshot for the heartbeat and for the statements after it, on one server, whatever is between.
const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = ${statementMsMax}`

// A server that is promoted later was a standby when the snapshot was taken.
const heartbeat = `SELECT pg_is_in_recovery() AS "isStandby",
  (SELECT sent_at_ms FROM replica_heartbeats WHERE process = $1) AS "sentAtMs"`

async function readInSnapshot<T>(
  client: pg.PoolClient,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const statement: pg.QueryConfig & { query_timeout: number } = { text: begin, query_timeout: checkMsMax }
  await onWire(client.query(statement))
  try {
    const result = await work(client)
    await onWire(client.query('COMMIT'))
    return result
  } catch (error) {
    if (failureOf(error)?.kind !== 'lost') await onWire(client.query('ROLLBACK'))
    throw error
  }
}
