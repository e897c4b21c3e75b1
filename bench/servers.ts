// Starts the processes that the benchmark measures.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { freePort } from '../test/support/port.ts'
import { until } from '../test/support/wait.ts'
import { serverBundle } from '../tools/server-bundle.mjs'
import { median, residentMegabytes } from './figures.ts'
import type { Undo } from './undo.ts'

/** As `npm start`: see docs/benchmarks.md. */
const nodeOptions = ['--max-semi-space-size=16']

export type Target = { port: number; process: ChildProcess }

type Setting = {
  env: Record<string, string>
  cwd: string
  undo: Undo
  /** By default the server writes its log to a sink. */
  log?: 'pipe'
}

export async function startFloors({ env, undo }: Setting): Promise<Target> {
  const child = spawn(process.execPath, [resolve('bench/floors.ts')], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  undo.push(() => stop(child))
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
  return { port: Number(chunk.toString()), process: child }
}

export async function startService(
  { env, cwd, undo, log }: Setting,
  program = [serverBundle()],
): Promise<Target> {
  const port = Number(env.PORT ?? (await freePort()))
  const child = spawn(process.execPath, [...nodeOptions, ...program], {
    cwd,
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', log ?? 'ignore', 'inherit'],
  })
  undo.push(() => stop(child))
  await until('the service to start', () => isUp(port), 30_000)
  return { port, process: child }
}

/** Measures `npm start` until its first answer. The first round may build the bundle or create the database. */
export async function benchServerStart(
  name: string,
  cwd: string,
  { env, rounds }: { env: Record<string, string>; rounds: number },
): Promise<void> {
  const figures: { seconds: number; megabytes: number }[] = []
  for (let start = 0; start <= rounds; start++) {
    const port = await freePort()
    const startedAt = performance.now()
    const child = spawn(process.execPath, [...nodeOptions, resolve('tools/start.mjs')], {
      cwd,
      env: { ...env, PORT: String(port) },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    await until('the first answer', () => isUp(port), 60_000)
    const seconds = (performance.now() - startedAt) / 1000
    figures.push({ seconds, megabytes: await residentMegabytes(child) })
    await stop(child)
  }
  const [first, ...later] = figures
  const seconds = median(later.map(({ seconds }) => seconds)).toFixed(2)
  const megabytes = median(later.map(({ megabytes }) => megabytes)).toFixed(0)
  process.stdout.write(
    `start of the server, ${name}: first ${first?.seconds.toFixed(2)} s, later ${seconds} s, resident ${megabytes} MB\n`,
  )
}

async function isUp(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/health`).then(
    ({ ok }) => ok,
    () => false,
  )
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  await exit
}
