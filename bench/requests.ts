// Benchmarks single kinds of requests, each in turn with its baseline.
import type { ChildProcess } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { median } from './figures.ts'
import { load } from './load.ts'
import { pgbench, preparePgbench } from './pgbench.ts'
import type { Target } from './servers.ts'

export type Figures = { perSecond: number; p99Ms: number; cpuUs: number }

export type Floor = { name: string; measure(connections: number): Promise<Figures> }

export type Row = {
  name: string
  connections: number
  request: () => string
  floor: Floor
  before?(): Promise<unknown>
  /** Gets the number of answered requests. @throws Error if they did not measure what the row is about */
  after?(answered: number): Promise<void>
}

type Load = { connections: number; seconds: number; request: () => string }

export async function benchRequests(
  service: Target,
  rows: Row[],
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<void> {
  print('', 'per second', 'CPU µs', 'p50 ms', 'p99 ms', 'of floor', "p99's", 'floor')
  for (const { name, connections, request, floor, before, after } of rows) {
    const measured: { ours: Figures & { p50Ms: number }; floor: Figures }[] = []
    // The first round warms up and is not counted.
    for (let round = 0; round <= rounds; round++) {
      await before?.()
      const ours = await measure(service, { connections, seconds, request })
      await after?.(ours.answered)
      const theirs = await floor.measure(connections)
      if (round > 0) measured.push({ ours, floor: theirs })
    }
    const middle = (figure: (round: (typeof measured)[number]) => number, digits: number) =>
      median(measured.map(figure)).toFixed(digits)
    print(
      name,
      middle(({ ours }) => ours.perSecond, 0),
      middle(({ ours }) => ours.cpuUs, 1),
      middle(({ ours }) => ours.p50Ms, 2),
      middle(({ ours }) => ours.p99Ms, 2),
      middle(({ ours, floor }) => ours.perSecond / floor.perSecond, 2),
      middle(({ ours, floor }) => ours.p99Ms / floor.p99Ms, 2),
      `${floor.name}: ${middle(({ floor }) => floor.perSecond, 0)}/s, CPU ${middle(({ floor }) => floor.cpuUs, 1)} µs, p99 ${middle(({ floor }) => floor.p99Ms, 2)} ms`,
    )
  }
}

/** @throws Error if an answer was not 2xx */
export async function measure(target: Target, { connections, seconds, request }: Load) {
  const before = await cpuTicks(target.process)
  const done = await load({ port: target.port, connections, seconds }, request)
  const ticks = (await cpuTicks(target.process)) - before
  if (done.bad + done.rejected > 0) throw new Error(`${done.bad + done.rejected} answers were not 2xx`)
  const answered = Math.round(done.perSecond * seconds)
  // Linux reports processor time in hundredths of a second.
  return { ...done, answered, cpuUs: (ticks * 10_000) / answered }
}

/** @returns the processor time of a process, or NaN without /proc */
async function cpuTicks({ pid }: ChildProcess): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // Skips the process name in brackets, which may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** Uses a database of its own on the server of `url`. */
export async function pgbenchFloor(url: string, seconds: number): Promise<Floor> {
  const own = Object.assign(new URL(url), { pathname: '/pgbench' }).href
  const admin = new pg.Client({ connectionString: url })
  await admin.connect()
  await admin.query('CREATE DATABASE pgbench')
  await admin.end()
  await preparePgbench(own)
  return {
    name: 'pgbench, prepared select',
    measure: async (connections) => ({
      ...(await pgbench(own, { connections, seconds })),
      p99Ms: Number.NaN,
      cpuUs: Number.NaN,
    }),
  }
}

function print(name: string, ...cells: string[]): void {
  const figures = cells.slice(0, -1).map((cell) => cell.padStart(11))
  process.stdout.write(`${name.padEnd(18)}${figures.join('')}   ${cells.at(-1)}\n`)
}
