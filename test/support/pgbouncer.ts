// A real PgBouncer for tests, from the PATH or the distribution's packages.
import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { atEnd } from './cleanup.ts'
import { fetchProgram, findOnPath } from './debian.ts'
import { freePort } from './port.ts'
import { until } from './wait.ts'

const packages = [
  'pgbouncer',
  'libc-ares2',
  'libcares2',
  'libevent-2.1-7',
  'libevent-2.1-7t64',
  'libpam0g',
  'libssl3',
  'libssl3t64',
  'libsystemd0',
]

/**
 * Starts PgBouncer with its defaults except for the mode, until the test or the file ends.
 * @param databaseUrl the database and its login
 * @returns the URL of the same database through PgBouncer
 */
export async function startPgBouncer(databaseUrl: string, mode: 'session' | 'transaction'): Promise<string> {
  const onPath = await findOnPath('pgbouncer')
  const { command, env } = onPath
    ? { command: onPath, env: {} }
    : await fetchProgram({ name: 'pgbouncer', program: 'usr/sbin/pgbouncer', packages }).catch(
        (error: Error) => {
          throw new Error(`The tests need PgBouncer. Install pgbouncer. (${error.message})`, { cause: error })
        },
      )
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-pgbouncer-'))
  const { hostname, port: serverPort, username, password } = new URL(databaseUrl)
  const port = await freePort()
  const settings = `
[databases]
* = host=${hostname} port=${serverPort} user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
`
  await writeFile(join(directory, 'pgbouncer.ini'), settings)
  // PgBouncer does not run as root.
  const options = process.geteuid?.() === 0 ? ['-u', 'nobody'] : []
  await chmod(directory, 0o755)
  const child = spawn(command, [...options, join(directory, 'pgbouncer.ini')], {
    stdio: 'ignore',
    env: { ...process.env, ...env },
  })
  const gone = new Promise<void>((done) => child.once('exit', () => done()))
  child.once('error', () => {})
  atEnd(async () => {
    child.kill('SIGKILL')
    await gone
    await rm(directory, { recursive: true, force: true })
  })
  const url = Object.assign(new URL(databaseUrl), { port: String(port) }).href
  await until('PgBouncer to answer', async () => {
    if (child.exitCode !== null) throw new Error(`pgbouncer stopped with ${child.exitCode}`)
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => {})
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    )
  })
  return url
}
