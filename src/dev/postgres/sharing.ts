// Shares one cluster between the processes of a checkout, by advisory locks: the last process stops the server.
// PostgreSQL releases the locks of a connection that ends, even when its process is killed.
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import type { Cluster } from './cluster.ts'
import { codeOf } from './error-code.ts'
import { readPidFile } from './process-id.ts'
import { connect, pollMs, stopServer } from './server-process.ts'

export const databaseName = 'directory'

/** Held as a shared lock by each process that uses the cluster. */
const inUseKey = 7_301_440
/** Held by the checkout's one server. */
const serverKey = 7_301_441
// The connection of a killed process, and its locks, may outlive it for a moment.
const lockMsMax = 500

/**
 * Registers this process as a user of the cluster.
 * @param options.exclusive this process is the checkout's one server
 * @returns undefined if the server went away meanwhile
 * @throws Error that says what to do, when another server is running or the cluster cannot be used
 */
export async function joinCluster(
  cluster: Cluster,
  port: number,
  { exclusive }: { exclusive: boolean },
): Promise<pg.Client | undefined> {
  const client = await connect(cluster, port)
  if (!client) return undefined
  try {
    await client.query('SELECT pg_advisory_lock_shared($1)', [inUseKey])
    if (exclusive && !(await becomeServer(client))) {
      await client.end()
      throw new AlreadyRunning(
        'A server of this checkout is already running. Use that one, or stop it first. Another checkout can run beside it.',
      )
    }
    await createDatabase(client)
    return client
  } catch (error) {
    if (error instanceof AlreadyRunning) throw error
    // An error such as a full disk would come again, unlike a shutdown (57P…) or a lost connection.
    if (error instanceof pg.DatabaseError && !error.code?.startsWith('57P')) {
      await leaveCluster(cluster, client)
      throw new Error(`The embedded PostgreSQL in ${cluster.home} cannot be used: ${error.message}`, {
        cause: error,
      })
    }
    await client.end().catch(() => {})
    return undefined
  }
}

/** Stops the server if no other process uses it, including one whose last user was killed. */
export async function leaveCluster(cluster: Cluster, joined: pg.Client): Promise<void> {
  const last = await releaseUse(joined).catch(async () => {
    // The connection and its lock are lost, but PostgreSQL may still be running.
    const port = (await readPidFile(cluster.data))?.port
    const client = port === undefined ? undefined : await connect(cluster, port)
    return client ? releaseUse(client).catch(() => undefined) : undefined
  })
  try {
    if (last) await stopServer(cluster)
  } finally {
    await last?.end().catch(() => {})
  }
}

class AlreadyRunning extends Error {}

/** @returns whether this process is now the checkout's one server */
async function becomeServer(client: pg.Client): Promise<boolean> {
  for (const giveUpAt = performance.now() + lockMsMax; ; await pause(pollMs)) {
    if (await tryLock(client, serverKey)) return true
    if (performance.now() > giveUpAt) return false
  }
}

/**
 * Holding the exclusive lock proves that no other process uses the cluster, and keeps others from joining it.
 * @returns the connection, still open and holding that lock, for the last user
 */
async function releaseUse(client: pg.Client): Promise<pg.Client | undefined> {
  let isLast = false
  try {
    await client.query('SELECT pg_advisory_unlock_shared($1)', [inUseKey])
    isLast = await tryLock(client, inUseKey)
  } finally {
    if (!isLast) await client.end().catch(() => {})
  }
  return isLast ? client : undefined
}

async function tryLock(client: pg.Client, key: number): Promise<boolean> {
  const { rows } = await client.query<{ isLocked: boolean }>(
    'SELECT pg_try_advisory_lock($1) AS "isLocked"',
    [key],
  )
  return rows[0]?.isLocked === true
}

async function createDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [databaseName])
  if (rowCount) return
  await client.query(`CREATE DATABASE ${databaseName}`).catch((error: unknown) => {
    // Another process has created it: duplicate_database, or unique_violation in the catalogue.
    if (!['42P04', '23505'].includes(codeOf(error) ?? '')) throw error
  })
}
