// The embedded PostgreSQL: real clusters in folders of their own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import pg from 'pg'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import {
  type EmbeddedOptions,
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../src/dev/embedded-postgres.ts'
import { copyCluster } from '../support/cluster-copy.ts'
import { until } from '../support/wait.ts'

const startMsMax = 40_000

/** A folder that only its owner may enter, as a checkout under /root is. */
async function folder(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'user-directory-embedded-'))
  onTestFinished(async () => {
    // A test that failed may have left it running.
    const pid = await pidOf(home)
    if (pid !== undefined && isAlive(pid)) {
      process.kill(pid, 'SIGQUIT')
      await until('PostgreSQL to end', () => !isAlive(pid))
    }
    await rm(home, { recursive: true, force: true, maxRetries: 3 })
  })
  return home
}

/** A folder with the data of an earlier start, because the first start takes seconds. */
async function usedFolder(): Promise<string> {
  const home = await folder()
  await copyCluster(home)
  return home
}

async function start(home: string, options: EmbeddedOptions = {}): Promise<EmbeddedPostgres> {
  const postgres = await startEmbeddedPostgres(home, { durable: false, ...options })
  onTestFinished(() => postgres.stop())
  return postgres
}

type Owner = { process: ChildProcess; startedHere: boolean; url: string }

/** Another process that uses the cluster, until it is killed. */
function spawnOwner(home: string, options: EmbeddedOptions = {}): ChildProcess {
  const module = JSON.stringify(resolve('src/dev/embedded-postgres.ts'))
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { startEmbeddedPostgres } from ${module}
      const { url, startedHere } = await startEmbeddedPostgres(${JSON.stringify(home)}, ${JSON.stringify({ durable: false, ...options })})
      process.stdout.write(JSON.stringify({ url, startedHere }) + '\\n')
      setInterval(() => {}, 1_000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  onTestFinished(() => killed(child))
  return child
}

async function owner(home: string, options: EmbeddedOptions = {}): Promise<Owner> {
  const child = spawnOwner(home, options)
  let output = ''
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk))
  await until(
    'the other process to start',
    () => {
      if (child.exitCode !== null) throw new Error('the other process ended')
      return output.includes('\n')
    },
    startMsMax,
  )
  return { process: child, ...(JSON.parse(output) as { url: string; startedHere: boolean }) }
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

async function pidOf(home: string): Promise<number | undefined> {
  const text = await readFile(join(home, 'data', 'postmaster.pid'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : Number(text.split('\n')[0])
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

const alive = [{ one: 1 }]
const isUp = (url: string) => query(url, 'SELECT 1 AS one')

describe('the cluster', () => {
  it('keeps its data over a restart', async () => {
    const home = await usedFolder()
    const first = await start(home)
    expect(first.startedHere).toBe(true)
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer')
    await first.stop()
    await expect(isUp(first.url)).rejects.toThrow('ECONNREFUSED')

    const second = await start(home)
    expect(second.startedHere).toBe(true)
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }])
  })

  it('classifies letters by Unicode, so that words of every script are searched by index', async () => {
    const { url } = await start(await usedFolder())
    await query(url, 'CREATE EXTENSION pg_trgm')
    expect(
      await query(url, "SELECT 'Ж' ~ '[[:alpha:]]' AS letter, cardinality(show_trgm('高橋')) AS trigrams"),
    ).toEqual([{ letter: true, trigrams: 3 }])
  })

  it('is reachable only on the loopback address, with its password', async () => {
    const home = await usedFolder()
    const { url } = await start(home)
    expect(
      await query(
        url,
        `SELECT name, setting FROM pg_settings
        WHERE name IN ('listen_addresses', 'unix_socket_directories', 'password_encryption') ORDER BY name`,
      ),
    ).toEqual([
      { name: 'listen_addresses', setting: '127.0.0.1' },
      { name: 'password_encryption', setting: 'scram-sha-256' },
      { name: 'unix_socket_directories', setting: '' },
    ])
    const wrong = Object.assign(new URL(url), { password: 'wrong' }).href
    await expect(isUp(wrong)).rejects.toMatchObject({ code: '28P01' })
    expect((await stat(join(home, 'password'))).mode & 0o777).toBe(0o600)
  })

  it('writes durably unless configured otherwise', async () => {
    const settings = `SELECT current_setting('fsync') AS fsync,
      current_setting('synchronous_commit') AS commits, current_setting('full_page_writes') AS pages`
    const home = await usedFolder()
    const durable = await start(home, { durable: true })
    expect(await query(durable.url, settings)).toEqual([{ fsync: 'on', commits: 'on', pages: 'on' }])
    await durable.stop()
    const quick = await start(home)
    expect(await query(quick.url, settings)).toEqual([{ fsync: 'off', commits: 'off', pages: 'off' }])
  })

  it('runs as an ordinary user in a folder that only its owner may enter, also for root', async () => {
    const parent = await folder()
    const home = join(parent, 'deeper', 'postgres')
    await mkdir(join(parent, 'deeper'), { mode: 0o700 })
    const { url, stop } = await start(home)
    expect(await isUp(url)).toEqual(alive)
    // PostgreSQL itself insists on running as the owner of its data.
    const { uid } = await stat(join(home, 'data'))
    const own = process.geteuid?.()
    if (own === 0) expect(uid).not.toBe(0)
    else expect(uid).toBe(own)
    await stop()
  })

  it('is not affected by a cluster in another folder', async () => {
    const [left, right] = await Promise.all([usedFolder(), usedFolder()])
    const [one, other] = await Promise.all([
      start(left, { exclusive: true }),
      start(right, { exclusive: true }),
    ])
    expect([one.startedHere, other.startedHere]).toEqual([true, true])
    expect(one.url).not.toBe(other.url)
    await one.stop()
    expect(await isUp(other.url)).toEqual(alive)
    await expect(isUp(one.url)).rejects.toThrow('ECONNREFUSED')
  })
})

describe('several processes of one checkout', () => {
  it('share one cluster when they start at the same moment, and only the last stops it', async () => {
    const home = await folder()
    const [here, there] = await Promise.all([start(home), owner(home)])
    expect(there.url).toBe(here.url)
    expect([here.startedHere, there.startedHere].toSorted()).toEqual([false, true])
    await here.stop()
    expect(await isUp(there.url)).toEqual(alive)

    await killed(there.process)
    const last = await start(home)
    expect(last).toMatchObject({ url: there.url, startedHere: false })
    await last.stop()
    await expect(isUp(last.url)).rejects.toThrow('ECONNREFUSED')
  })

  it('have one server: of two that start at once, one is rejected', async () => {
    const home = await usedFolder()
    const results = await Promise.allSettled([
      start(home, { exclusive: true }),
      start(home, { exclusive: true }),
    ])
    const started = results.filter((result) => result.status === 'fulfilled')
    const refused = results.filter((result) => result.status === 'rejected')
    expect([started.length, refused.length]).toEqual([1, 1])
    expect(refused[0]?.reason).toMatchObject({
      message: expect.stringMatching(/already running.*stop it first/),
    })
    expect(await isUp(started[0]?.value.url ?? '')).toEqual(alive)
    // Processes other than servers may still join.
    expect(await start(home)).toMatchObject({ url: started[0]?.value.url, startedHere: false })
  })

  it('join the cluster of a killed process, and stop it in the end', async () => {
    const home = await usedFolder()
    const first = await owner(home, { exclusive: true })
    await killed(first.process)
    expect(await isUp(first.url)).toEqual(alive)

    const second = await start(home, { exclusive: true })
    expect(second).toMatchObject({ url: first.url, startedHere: false })
    await second.stop()
    await expect(isUp(second.url)).rejects.toThrow('ECONNREFUSED')
    expect(await pidOf(home)).toBeUndefined()
  })

  it('survive the loss of their connection, report it, and still stop the cluster', async () => {
    const home = await usedFolder()
    const log = vi.fn<(message: string) => void>()
    const postgres = await start(home, { log })
    await query(
      postgres.url,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'",
    )
    await until('the loss to be noted', () => log.mock.calls.length > 0)
    expect(log.mock.calls).toEqual([[expect.stringContaining('was lost')]])
    await postgres.stop()
    await expect(isUp(postgres.url)).rejects.toThrow('ECONNREFUSED')
  })

  it('may stop twice, and after the server was killed', async () => {
    const home = await usedFolder()
    const postgres = await start(home)
    const pid = await pidOf(home)
    if (pid === undefined) throw new Error('it has no process id')
    process.kill(pid, 'SIGQUIT')
    await until('PostgreSQL to end', () => !isAlive(pid))
    await Promise.all([postgres.stop(), postgres.stop()])
    const again = await start(home)
    expect(again.startedHere).toBe(true)
  })
})

describe('the remains of a killed process', () => {
  it('an unfinished initialisation is removed by the next start', async () => {
    const home = await folder()
    const child = spawnOwner(home)
    await until(
      'the initialisation to be under way',
      async () => {
        if (child.exitCode !== null) throw new Error('the other process ended')
        const draft = (await readdir(home)).find((name) => /^draft-.*(?<!\.password)$/.test(name))
        return draft && (await stat(join(home, draft, 'base')).catch(() => undefined))
      },
      startMsMax,
    )
    await killed(child)
    expect(await readdir(home)).not.toContain('data')

    const { url, stop } = await start(home)
    expect(await isUp(url)).toEqual(alive)
    await stop()
    // The killed one's initdb may have been writing still when the first start looked.
    await until(
      'the leftovers to be gone',
      async () => {
        await (await start(home)).stop()
        return !(await readdir(home)).some((name) => name.startsWith('draft-'))
      },
      startMsMax,
    )
  })

  it('an empty data folder is used', async () => {
    const home = await folder()
    await mkdir(join(home, 'data'), { mode: 0o700 })
    expect(await isUp((await start(home)).url)).toEqual(alive)
  })

  it('a process id that another program has now does not prevent a start', async () => {
    const home = await usedFolder()
    const other = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1_000)'], { stdio: 'ignore' })
    onTestFinished(() => killed(other))
    // Its lines: process, folder, start, port, sockets' folder, address, memory, state.
    const stale = [other.pid, join(home, 'data'), 1, 1, '', '127.0.0.1', '', 'ready', ''].join('\n')
    await writeFile(join(home, 'data', 'postmaster.pid'), stale)
    const { url, startedHere } = await start(home)
    expect(startedHere).toBe(true)
    expect(await isUp(url)).toEqual(alive)
    expect(other.exitCode ?? other.signalCode).toBeNull()
  })
})

describe('a start that cannot succeed says what to do', () => {
  it('names the folder if another user owns the data', async () => {
    const home = await usedFolder()
    const { uid } = await stat(join(home, 'data'))
    vi.spyOn(process, 'geteuid').mockReturnValue(uid + 1)
    onTestFinished(() => {
      vi.restoreAllMocks()
    })
    await expect(startEmbeddedPostgres(home)).rejects.toThrow(
      new RegExp(`${home} .*belongs to another user.*DATABASE_URL`),
    )
  })

  it('shows the end of the log if PostgreSQL rejects the data', async () => {
    const home = await usedFolder()
    await writeFile(join(home, 'data', 'PG_VERSION'), '12\n')
    await expect(startEmbeddedPostgres(home)).rejects.toThrow(
      /DATABASE_URL.*\n.*database files are incompatible with server/,
    )
  })

  it('names the password file if it is missing but the data exists', async () => {
    const home = await usedFolder()
    await rm(join(home, 'password'))
    await expect(startEmbeddedPostgres(home)).rejects.toThrow(join(home, 'password'))
  })

  it('shows why the data cannot be initialised, and does not touch existing files', async () => {
    const home = await folder()
    await mkdir(join(home, 'data'), { mode: 0o700 })
    await writeFile(join(home, 'data', 'notes.txt'), 'mine')
    await expect(startEmbeddedPostgres(home)).rejects.toThrow(/cannot be initialised.*DATABASE_URL/)
    expect(await readFile(join(home, 'data', 'notes.txt'), 'utf8')).toBe('mine')
    expect(await readdir(home)).not.toContainEqual(expect.stringMatching(/^draft-/))
  })
})
