// Counts requests that fail during restarts under load: of the workers of one server, and of two servers behind HAProxy.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../test/support/port.ts'
import { type SteadyClients, startSteadyClients } from '../test/support/steady-clients.ts'
import { until } from '../test/support/wait.ts'
import { startService, type Target } from './servers.ts'
import type { Undo } from './undo.ts'

type Setting = { env: Record<string, string>; cwd: string; undo: Undo }
/** `isUp` says whether the proxy sends requests to the server at this index. */
type Proxy = { port: number; isUp: (at: number) => Promise<boolean> }
type Read = { path: string; token: string }

// Each sends a request some 10 ms after its last answer: at most 6,000 a second in all.
const load = { clients: 64, pauseMs: 10 }
const warmUpAnswers = 5_000
const startMsMax = 60_000

export async function benchRestarts(setting: Setting, read: Read, rounds: number): Promise<void> {
  await restartWorkers(setting, read, rounds)
  await restartServers(setting, read, rounds)
}

async function restartWorkers(setting: Setting, read: Read, rounds: number): Promise<void> {
  const server = await startService({ ...setting, env: { ...setting.env, WORKERS: '2' } })
  await underLoad('replacement of two workers', { ...read, port: server.port }, async () => {
    for (let round = 0; round < rounds; round++) {
      const before = await childrenOf(server.process)
      server.process.kill('SIGHUP')
      await until(
        'the replacement',
        async () => {
          const now = await childrenOf(server.process)
          return now.length === before.length && !now.some((pid) => before.includes(pid))
        },
        startMsMax,
      )
    }
  })
}

/** @returns the process ids */
async function childrenOf({ pid }: ChildProcess): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean)
}

async function restartServers(setting: Setting, read: Read, rounds: number): Promise<void> {
  const ports = [await freePort(), await freePort()]
  const start = (port: number) =>
    startService({ ...setting, env: { ...setting.env, SHUTDOWN_DELAY: '3', PORT: String(port) } })
  const servers: Target[] = []
  for (const port of ports) servers.push(await start(port))
  const proxy = await startHaproxy(setting, ports)
  if (proxy === undefined) return print('restart of two servers: HAProxy is not on the PATH')
  await underLoad('restart of two servers behind HAProxy', { ...read, port: proxy.port }, async () => {
    for (let round = 0; round < rounds; round++)
      for (const [at, server] of servers.entries()) {
        const exit = once(server.process, 'exit')
        server.process.kill('SIGTERM')
        await exit
        servers[at] = await start(server.port)
        await until('HAProxy to use the server', () => proxy.isUp(at), startMsMax)
      }
  })
}

async function underLoad(
  name: string,
  target: Read & { port: number },
  restart: () => Promise<void>,
): Promise<void> {
  const clients = startSteadyClients(target, load)
  await until('the warm-up', () => answers(clients) > warmUpAnswers, startMsMax)
  const before = answers(clients)
  const startedAt = performance.now()
  await restart()
  const rate = (answers(clients) - before) / ((performance.now() - startedAt) / 1_000)
  await clients.stop()
  const failed = [...clients.failures, ...[...clients.statuses].filter(([status]) => status !== 200)]
  const refused = clients.refused()
  print(
    `${name}: ${answers(clients)} answers, ${rate.toFixed(0)}/s; failed: ${failed.map(([why, count]) => `${count} ${why}`).join(', ') || 0}, refused: ${refused}`,
  )
  if (failed.length > 0 || refused > 0) process.exitCode = 1
}

function answers({ statuses }: SteadyClients): number {
  return statuses.get(200) ?? 0
}

/** @returns undefined without HAProxy */
async function startHaproxy({ cwd, undo }: Setting, servers: number[]): Promise<Proxy | undefined> {
  const port = await freePort()
  const statsPort = await freePort()
  const lines = servers.map((to, at) => `  server s${at} 127.0.0.1:${to} check inter 500ms fall 2 rise 1`)
  const file = join(cwd, 'haproxy.cfg')
  await writeFile(
    file,
    `defaults
  mode http
  timeout connect 2s
  timeout client 30s
  timeout server 30s
  timeout check 2s
listen stats
  bind 127.0.0.1:${statsPort}
  stats enable
  stats uri /
listen servers
  bind 127.0.0.1:${port}
  option httpchk GET /ready
${lines.join('\n')}
`,
  )
  const isUp = async (at: number): Promise<boolean> => {
    const answer = await fetch(`http://127.0.0.1:${statsPort}/;csv`).catch(() => undefined)
    return new RegExp(`^servers,s${at},.*,UP,`, 'm').test((await answer?.text()) ?? '')
  }
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' })
  const exit = new Promise<void>((done) => {
    child.once('error', () => done())
    child.once('exit', () => done())
  })
  undo.push(async () => {
    child.kill('SIGTERM')
    await exit
  })
  const isRunning = await Promise.race([
    exit.then(() => false),
    until('HAProxy to start', async () => (await isUp(0)) && (await isUp(1))),
  ])
  return isRunning ? { port, isUp } : undefined
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
