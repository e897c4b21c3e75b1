// Several workers behind one port: replacement, restarts, and their end.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { beforeAll, expect, inject, it } from 'vitest'
import { atEnd } from '../../support/cleanup.ts'
import { freshDatabase } from '../../support/database.ts'
import { startIssuer, tokenSettings } from '../../support/issuer.ts'
import { freePort } from '../../support/port.ts'
import { type Run, run, started } from '../../support/server-process.ts'
import { uniqueName } from '../../support/service.ts'
import { startSteadyClients } from '../../support/steady-clients.ts'
import { until } from '../../support/wait.ts'

let env: Record<string, string>
let token: string
/** Shared by tests that replace its workers at most. */
let shared: Run

beforeAll(async () => {
  const issuer = await startIssuer()
  token = await issuer.machineToken('users/write')
  env = {
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: inject('redisUrl'),
    ...tokenSettings(issuer.rules),
  }
  shared = await startWorkers()
  return issuer.close
})

async function startWorkers(settings: Record<string, string> = {}): Promise<Run> {
  const server = await run(tmpdir(), { ...env, WORKERS: '2', ...settings })
  await started(server)
  return server
}

async function makeUser(server: Run): Promise<string> {
  const answer = await fetch(`${server.url}/user`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ username: uniqueName(), password: null }),
  })
  expect(answer.status).toBe(201)
  return ((await answer.json()) as { id: string }).id
}

/** Reads a user from 32 clients, often enough that each worker always has requests in flight. */
async function startLoad(server: Run, pauseMs = 10) {
  const path = `/user/${await makeUser(server)}`
  const load = startSteadyClients({ port: server.port, path, token }, { clients: 32, pauseMs })
  atEnd(load.stop)
  await until('the first answers', () => (load.statuses.get(200) ?? 0) > 100)
  return load
}

/** The process ids of the workers so far, in the order of their starts. */
function workersOf(server: Run, slot?: number): number[] {
  return lines(server)
    .filter((line) => line.message === 'worker started' && (slot === undefined || line.slot === slot))
    .map(({ pid }) => Number(pid))
}

function lines(server: Run): Record<string, unknown>[] {
  return server
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
}

function isStopping({ message }: Record<string, unknown>): boolean {
  return message === 'stopping'
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

it('one worker runs the background work', async () => {
  const answer = await fetch(`${shared.url}/export`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ format: 'ndjson' }),
  })
  expect(answer.status).toBe(201)
  await until('the export', () => shared.output().includes('"job done"'), 30_000)
  expect(shared.output().match(/"job started"/g)).toHaveLength(1)
})

it('a reason not to start is printed once, and ends the whole', async () => {
  const { port } = shared
  const second = await run(tmpdir(), { ...env, WORKERS: '2', PORT: String(port) })
  expect(await second.exit).toBe(1)
  expect(second.output().match(/in use by another program/g)).toHaveLength(1)
})

it('a replacement of all workers fails no request', async () => {
  const before = workersOf(shared)
  expect(before.filter(isRunning)).toHaveLength(2)
  const load = await startLoad(shared)
  shared.process.kill('SIGHUP')
  await until('the replacement', () => shared.output().includes('"replaced the workers"'), 60_000)
  await load.stop()
  expect([...load.failures, load.refused()]).toEqual([0])
  expect([...load.statuses.keys()]).toEqual([200])
  expect(workersOf(shared)).toHaveLength(before.length + 2)
  expect(before.filter(isRunning)).toEqual([])
})

it('a killed worker costs at most the requests on its connections, and is replaced', async () => {
  const load = await startLoad(shared)
  const before = workersOf(shared, 1)
  process.kill(Number(before.at(-1)), 'SIGKILL')
  await until('another worker', () => workersOf(shared, 1).length > before.length)
  await load.stop()
  const failed = [...load.failures.values()].reduce((sum, count) => sum + count, 0)
  expect(failed).toBeLessThanOrEqual(32)
  expect(load.refused()).toBe(0)
  expect([...load.statuses.keys()]).toEqual([200])
  expect(lines(shared)).toContainEqual(
    expect.objectContaining({ message: 'worker ended', slot: 1, signal: 'SIGKILL' }),
  )
})

it('a stop answers all requests on open connections, and ends every process', async () => {
  const server = await startWorkers()
  const load = await startLoad(server)
  server.process.kill('SIGTERM')
  expect(await server.exit).toBe(0)
  await load.stop()
  expect([...load.failures]).toEqual([])
  expect([...load.statuses.keys()]).toEqual([200])
  expect(workersOf(server).filter(isRunning)).toEqual([])
})

it('a stop ends connections only when no worker accepts new ones', async () => {
  const server = await startWorkers()
  const load = await startLoad(server)
  const answers = () => load.statuses.get(200) ?? 0
  const [slow = 0] = workersOf(server, 1)
  // It keeps the shared socket open, but accepts nothing.
  process.kill(slow, 'SIGSTOP')
  try {
    server.process.kill('SIGTERM')
    await until('the stop', () => server.output().includes('"stopping"'))
    const before = answers()
    await until('answers on kept connections', () => answers() > before + 200)
  } finally {
    process.kill(slow, 'SIGCONT')
  }
  expect(await server.exit).toBe(0)
  await load.stop()
  expect([...load.failures]).toEqual([])
})

it('workers that got the signal before the primary process do not wait for it', async () => {
  const server = await startWorkers()
  // As Ctrl-C does, which signals all processes of the terminal.
  for (const pid of workersOf(server)) process.kill(pid, 'SIGINT')
  await until('the workers to stop', () => lines(server).filter(isStopping).length === 2)
  const signalledAt = performance.now()
  server.process.kill('SIGINT')
  expect(await server.exit).toBe(0)
  // The workers' own limit is five seconds.
  expect(performance.now() - signalledAt).toBeLessThan(4_000)
})

it('before a stop /ready answers 503 for the set delay, while requests are still served', async () => {
  const server = await startWorkers({ SHUTDOWN_DELAY: '2' })
  const load = await startLoad(server, 50)
  const stoppedAt = performance.now()
  server.process.kill('SIGTERM')
  await until('/ready to fail', async () => (await fetch(`${server.url}/ready`)).status === 503)
  expect((await fetch(`${server.url}/health`)).status).toBe(200)
  expect(load.refused()).toBe(0)
  expect(await server.exit).toBe(0)
  expect(performance.now() - stoppedAt).toBeGreaterThan(2_000)
  await load.stop()
  expect([...load.failures]).toEqual([])
})

it('a worker that ends right after each start ends the whole, with the reason', async () => {
  const server = await startWorkers()
  const killed = new Set<number>()
  let isOver = false
  void server.exit.then(() => {
    isOver = true
  })
  await until(
    'the end of the server',
    () => {
      for (const pid of workersOf(server, 1))
        if (!killed.has(pid)) {
          killed.add(pid)
          process.kill(pid, 'SIGKILL')
        }
      return isOver
    },
    60_000,
  )
  expect(await server.exit).toBe(1)
  expect(killed.size).toBe(6)
  expect(server.output()).toContain('Worker 1 ended 6 times right after its start')
  expect(workersOf(server).filter(isRunning)).toEqual([])
})

it('workers end with a killed primary process', async () => {
  const server = await startWorkers()
  server.process.kill('SIGKILL')
  await server.exit
  await until('the workers to end', () => workersOf(server).every((pid) => !isRunning(pid)))
})

it('SIGTERM to npm start ends the server before npm', async () => {
  const port = await freePort()
  const npm = spawn('npm', ['start'], {
    env: { ...process.env, ...env, WORKERS: '2', PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  npm.stdout.on('data', (chunk: Buffer) => (output += chunk))
  const exit = once(npm, 'exit')
  atEnd(async () => {
    npm.kill('SIGTERM')
    await exit
  })
  await until('the server to start', () => output.includes('"message":"started"'), 120_000)
  npm.kill('SIGTERM')
  await exit
  expect(output).toContain('"message":"stopped"')
  await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow()
})
