// A connection of its own for a job that moves many rows, so that it occupies none of those that requests share.
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { Client, clientConfig, isManaged } from './client.ts'
import type { BulkQueries, Session } from './database.ts'
import { databaseFailure, withRetries } from './failures.ts'
import { bindQueries } from './queries.ts'
import { prepareSession } from './session.ts'
import { failureOf, onWire } from './sqlstates.ts'

const connectMsMax = 5_000
/** A statement of a chunk takes some hundred milliseconds; a busy server may need far longer. */
const statementMsMax = 60_000
// Above PostgreSQL's own limit, whose error proves that the server is alive.
const queryMsMax = statementMsMax + 5_000
// Local to the transaction, because a pooler's sessions are shared.
const limits = `SET LOCAL statement_timeout = '${statementMsMax}ms'`

export async function openOwnSession<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  const client = new Client({
    ...clientConfig(url),
    connectionTimeoutMillis: connectMsMax,
    query_timeout: queryMsMax,
    keepAlive: true,
    application_name: 'user-directory job',
  })
  // The next statement reports a lost connection; without a listener the event would end the process.
  client.on('error', () => {})
  const managed = isManaged(url)
  let queries: BulkQueries
  try {
    await client.connect()
    const { isPooled } = await prepareSession(client, { isManaged: managed, msMax: connectMsMax })
    queries = Object.assign(bindQueries(client, isPooled && !managed), copies(client))
  } catch (error) {
    await client.end().catch(() => {})
    throw databaseFailure(error)
  }
  try {
    return await work({ transaction: (work) => transact(client, queries, work) })
  } finally {
    await client.end().catch(() => {})
  }
}

function copies(client: Client): Pick<BulkQueries, 'copyIn' | 'copyOut'> {
  return {
    copyIn: async (text, rows) => {
      const stream = client.query(copyFrom(text))
      stream.end(rows)
      await onWire(finished(stream))
    },
    copyOut: (text) => Readable.from(client.query(copyTo(text))),
  }
}

async function transact<T>(
  client: Client,
  queries: BulkQueries,
  work: (queries: BulkQueries) => Promise<T>,
): Promise<T> {
  try {
    return await withRetries(async () => {
      await onWire(client.query('BEGIN'))
      try {
        await onWire(client.query(limits))
        const result = await work(queries)
        await onWire(client.query('COMMIT'))
        return result
      } catch (error) {
        if (failureOf(error)?.kind !== 'lost') await onWire(client.query('ROLLBACK'))
        throw error
      }
    })
  } catch (error) {
    throw failureOf(error) ? databaseFailure(error) : error
  }
}
