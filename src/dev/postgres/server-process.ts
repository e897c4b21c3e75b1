// Starts, finds and stops the server process of a cluster.
import { spawn } from 'node:child_process'
import { closeSync, constants, fchownSync, openSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import pg from 'pg'
import { type Cluster, logPath, superuser } from './cluster.ts'
import { isAlive, isPostgres, pidPath, readPidFile, sendSignal } from './process-id.ts'
import { commandFor } from './run-as.ts'

export const startMsMax = 30_000
const stopMsMax = 15_000
export const pollMs = 25

/** @returns the port; undefined if it stopped again, because another process started one or took the port */
export async function startServer(cluster: Cluster): Promise<number | undefined> {
  const port = await freePort()
  const { command, options, identity } = commandFor(cluster.runAs, cluster.binaries.postgres, [
    '-D',
    cluster.data,
    ...Object.entries({
      listen_addresses: '127.0.0.1',
      port,
      // No socket file: its path would be too long in some checkouts.
      unix_socket_directories: '',
      max_connections: 100,
      shared_buffers: '256MB',
      jit: 'off',
      timezone: 'UTC',
      log_timezone: 'UTC',
      // Keeps users' data out of the log.
      log_error_verbosity: 'terse',
      log_min_error_statement: 'panic',
      ...(cluster.durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ])
  // Truncated, but opened for appending: of two servers that start at once, one writes why it gave up.
  const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants
  const log = openSync(logPath(cluster.home), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
  // Lets the data's owner start it next time without root.
  if (cluster.runAs) fchownSync(log, cluster.runAs.uid, cluster.runAs.gid)
  // Detached, so that Ctrl-C in a terminal reaches only the Node server, which stops PostgreSQL last.
  const child = spawn(command, options, {
    ...identity,
    cwd: cluster.home,
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let isGone = false
  let failure: Error | undefined
  child.once('exit', () => {
    isGone = true
  })
  child.once('error', (error) => {
    isGone = true
    failure = error
  })
  child.unref()
  // A slower server is recovering from a crash. It keeps running, and the next start finds it.
  const giveUpAt = performance.now() + startMsMax
  while (!isGone && performance.now() < giveUpAt) {
    if ((await readPidFile(cluster.data))?.port === port && (await isAnswering(cluster, port))) return port
    await pause(pollMs)
  }
  if (failure)
    throw new Error(`PostgreSQL cannot be run: ${failure.message}. Set DATABASE_URL.`, { cause: failure })
  return undefined
}

/** @returns the port of this cluster's running server, once it answers; undefined if there is none */
export async function findRunning(cluster: Cluster): Promise<number | undefined> {
  const giveUpAt = performance.now() + startMsMax
  for (;;) {
    const file = await readPidFile(cluster.data)
    if (!file || !isAlive(file.pid)) return undefined
    if (!(await isPostgres(file.pid))) {
      // After a crash, another program may have that process id. PostgreSQL would take it for its own server.
      await rm(pidPath(cluster.data), { force: true })
      return undefined
    }
    // The password is unique to this cluster, so a server that accepts it is the right one.
    if (file.port !== undefined && (await isAnswering(cluster, file.port))) return file.port
    // It is starting or stopping.
    if (performance.now() > giveUpAt)
      throw new Error(
        `The embedded PostgreSQL does not answer. If process ${file.pid} is not PostgreSQL, delete ${pidPath(cluster.data)}.`,
      )
    await pause(pollMs)
  }
}

export async function stopServer({ data }: Cluster): Promise<void> {
  const file = await readPidFile(data)
  if (!file) return
  // SIGINT rolls back open transactions; SIGQUIT exits immediately.
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (!sendSignal(file.pid, signal)) return
    const giveUpAt = performance.now() + stopMsMax
    while (performance.now() < giveUpAt) {
      // The pid file is removed before the process ends, so its absence does not suffice: the next server would
      // find the shared memory in use.
      if (!isAlive(file.pid) || !(await isPostgres(file.pid))) return
      await pause(pollMs)
    }
  }
  throw new Error(`The embedded PostgreSQL does not stop. Kill process ${file.pid}.`)
}

export async function connect(cluster: Cluster, port: number): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    connectionString: urlOf(cluster, port, 'postgres'),
    connectionTimeoutMillis: 5_000,
    query_timeout: startMsMax,
  })
  // The connection ends with PostgreSQL; without a listener the event would end this process too.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch {
    return undefined
  }
}

export function urlOf({ password }: Cluster, port: number, database: string): string {
  return `postgres://${superuser}:${password}@127.0.0.1:${port}/${database}`
}

async function isAnswering(cluster: Cluster, port: number): Promise<boolean> {
  const client = await connect(cluster, port)
  await client?.end()
  return client !== undefined
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done, fail) => {
    server.once('error', fail)
    server.listen(0, '127.0.0.1', done)
  })
  const address = server.address()
  await new Promise((done) => server.close(done))
  if (address === null || typeof address === 'string') throw new Error('there is no free port')
  return address.port
}
