// PostgreSQL and S3 servers that are killed and started again at the same address, with their data.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { startEmbeddedPostgres } from '../../src/dev/embedded-postgres.ts'
import { readPidFile } from '../../src/dev/postgres/process-id.ts'
import { freePort } from './port.ts'
import { startProxy } from './proxy.ts'
import { s3Settings } from './s3.ts'
import { until } from './wait.ts'

const recoveryMsMax = 600_000

type Killable = {
  /** Kills every process of the server with SIGKILL. */
  kill(): Promise<void>
  /** Starts the server again after a kill. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** @param directory holds the data */
export async function startKillablePostgres(
  directory: string,
): Promise<Killable & { url: string; freeze(): Promise<void>; thaw(): Promise<void> }> {
  // Durable, because a killed server would otherwise lose what it has confirmed.
  let postgres = await startEmbeddedPostgres(directory)
  const address = () => ({ host: '127.0.0.1', port: Number(new URL(postgres.url).port) })
  // Each start takes another port. The proxy keeps the address.
  const proxy = await startProxy(address())
  const signalAll = async (signal: NodeJS.Signals): Promise<number> => {
    const { pid } = (await readPidFile(join(directory, 'data'))) ?? {}
    if (pid === undefined) throw new Error('PostgreSQL is not running')
    for (const one of [pid, ...(await childrenOf(pid))]) send(one, signal)
    return pid
  }
  return {
    url: Object.assign(new URL(postgres.url), { port: String(proxy.port) }).href,
    kill: async () => {
      const pid = await signalAll('SIGKILL')
      await until('PostgreSQL to end', async () => !(await isRunning(pid)))
    },
    freeze: async () => void (await signalAll('SIGSTOP')),
    thaw: async () => void (await signalAll('SIGCONT')),
    start: async () => {
      // A recovery may outlast one attempt.
      postgres = await until(
        'PostgreSQL to recover',
        () => startEmbeddedPostgres(directory).catch(() => undefined),
        recoveryMsMax,
      )
      await proxy.leadTo(address())
    },
    stop: async () => {
      await proxy.close()
      await postgres.stop()
    },
  }
}

/** @param directory holds the objects; it must exist */
export async function startKillableS3(
  directory: string,
): Promise<Killable & { env: Record<string, string> }> {
  const port = await freePort()
  const launch = async () => {
    const script = resolve('test/support/s3-process.ts')
    const child = spawn(process.execPath, [script, directory, String(port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    const isReady = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)])
    if (!isReady) throw new Error('the S3 server does not start')
    return async () => {
      child.kill('SIGKILL')
      await exited
    }
  }
  let end = await launch()
  return {
    env: s3Settings(port),
    kill: () => end(),
    start: async () => {
      end = await launch()
    },
    stop: () => end(),
  }
}

/** A zombie has ended. */
async function isRunning(pid: number): Promise<boolean> {
  return !['', 'Z'].includes((await statOf(pid)).state)
}

async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0)
  const stats = await Promise.all(pids.map(async (pid) => ({ pid, ...(await statOf(pid)) })))
  return stats.filter((stat) => stat.parent === parent).map(({ pid }) => pid)
}

async function statOf(pid: number): Promise<{ state: string; parent: number }> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name before them is in parentheses, and may hold any character.
  const [state = '', parent] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state, parent: Number(parent) }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended already.
  }
}
