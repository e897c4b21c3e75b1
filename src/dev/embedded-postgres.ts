// The embedded database: a real PostgreSQL in a process of its own, shared by all processes of a checkout.
// Why it is not run by the package's own class: docs/adr/0010-embedded-postgresql.md.
import { resolve } from 'node:path'
import { initialise, logTail, openCluster } from './postgres/cluster.ts'
import { findRunning, startMsMax, startServer, urlOf } from './postgres/server-process.ts'
import { databaseName, joinCluster, leaveCluster } from './postgres/sharing.ts'

const startsMax = 5

export type EmbeddedPostgres = {
  url: string
  /** Whether this call started it. Otherwise it joined a running one. */
  startedHere: boolean
  /** Stops PostgreSQL, unless another process uses it. */
  stop(): Promise<void>
}

export type EmbeddedOptions = {
  /** This process is the checkout's one server. Rejected while there is another. */
  exclusive?: boolean
  /** false: faster, but loses data in a power failure. For tests. */
  durable?: boolean
  /** Called with messages for the operator, such as the loss of the connection. */
  log?: (message: string) => void
}

/**
 * @param directory holds the data, the password and the log; created on first use
 * @throws Error that says what to do
 */
export async function startEmbeddedPostgres(
  directory: string,
  { exclusive = false, durable = true, log = () => {} }: EmbeddedOptions = {},
): Promise<EmbeddedPostgres> {
  const home = resolve(directory)
  const cluster = await openCluster(home, { durable })
  const giveUpAt = performance.now() + startMsMax
  for (let starts = 0; performance.now() < giveUpAt && starts < startsMax; ) {
    let port = await findRunning(cluster)
    const startedHere = port === undefined
    if (port === undefined) {
      starts++
      await initialise(cluster)
      port = await startServer(cluster)
    }
    // Another process may have stopped it before this one joined; then try again.
    const joined = port === undefined ? undefined : await joinCluster(cluster, port, { exclusive })
    if (!joined || port === undefined) continue
    const reportLoss = () =>
      log('the connection to the embedded PostgreSQL was lost; if requests keep failing, restart this server')
    // Once: pg emits an error for the announced shutdown and another for the end of the connection.
    joined.once('error', reportLoss)
    let stopping: Promise<void> | undefined
    const stop = () => {
      joined.off('error', reportLoss)
      stopping ??= leaveCluster(cluster, joined)
      return stopping
    }
    return { url: urlOf(cluster, port, databaseName), startedHere, stop }
  }
  throw new Error(
    `The embedded PostgreSQL in ${home} did not start. Fix the cause in its log, or set DATABASE_URL. The end of the log:\n${await logTail(home)}`,
  )
}
