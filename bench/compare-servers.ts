// Compares cached reads on several servers: processor time, throughput, and cores in use.
// The servers take turns in short slices, so that other work on the machine affects all of them equally.
import { readdir, readFile } from 'node:fs/promises'
import { quantile } from './figures.ts'
import { load } from './load.ts'
import type { Target } from './servers.ts'

const defaultConnections = 32

export type Compared = Target & { connections?: number }

const sliceSeconds = 0.25
const slicesPerRound = 20
const warmUpSeconds = 3

/** @param servers by name; ratios are relative to the first */
export async function compareServers(
  servers: Map<string, Compared>,
  cachedRead: () => string,
  rounds: number,
): Promise<void> {
  for (const { port, connections = defaultConnections } of servers.values())
    await load({ port, connections, seconds: warmUpSeconds }, cachedRead)
  const measured = [...servers].map(([name, server]) => ({ name, server, slices: [] as Slice[] }))
  for (let slice = 0; slice < rounds * slicesPerRound; slice++) {
    for (const { server, slices } of slice % 2 === 0 ? measured : measured.toReversed())
      slices.push(await measureSlice(server, cachedRead))
  }
  for (const { name, slices } of measured) {
    const figures = (['cpuUs', 'perSecond', 'cores'] as const).map((figure) => {
      const own = slices.map((slice) => slice[figure])
      const ratios = own.map((value, slice) => value / (measured[0]?.slices[slice]?.[figure] ?? Number.NaN))
      const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(2))
      return `${labels[figure]} ${quantile(own, 0.5).toFixed(digits[figure])}, ratio ${middle} (${low} to ${high})`
    })
    process.stdout.write(`${name.padEnd(20)}${figures.join('; ')}\n`)
  }
}

const labels = { cpuUs: 'CPU µs', perSecond: 'per second', cores: 'cores' }
const digits = { cpuUs: 1, perSecond: 0, cores: 2 }

/** `cores` is the processor time of a second. */
type Slice = { cpuUs: number; perSecond: number; cores: number }

async function measureSlice(server: Compared, cachedRead: () => string, attempts = 5): Promise<Slice> {
  const before = await cpuNs(server.process)
  const startedAt = performance.now()
  const { port, connections = defaultConnections } = server
  const done = await load({ port, connections, seconds: sliceSeconds }, cachedRead)
  // On a busy machine a slice may meet load shedding, and then says nothing.
  if (done.bad + done.rejected > 0) {
    if (done.bad > 0 || attempts === 1) throw new Error(`${done.bad + done.rejected} answers were not 2xx`)
    return measureSlice(server, cachedRead, attempts - 1)
  }
  const usedNs = (await cpuNs(server.process)) - before
  const elapsedMs = performance.now() - startedAt
  return {
    cpuUs: usedNs / 1_000 / (done.perSecond * sliceSeconds),
    perSecond: done.perSecond,
    cores: usedNs / 1_000_000 / elapsedMs,
  }
}

/** @returns the processor time of all live threads of the process and its workers in nanoseconds. Linux only. */
async function cpuNs({ pid }: { pid?: number | undefined }): Promise<number> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const tasks = await readdir(`/proc/${pid}/task`)
  const stats = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/schedstat`, 'utf8').catch(() => '0')),
  )
  const own = stats.reduce((sum, stat) => sum + Number(stat.split(' ')[0]), 0)
  const others = await Promise.all(
    children
      .split(' ')
      .filter(Boolean)
      .map((child) => cpuNs({ pid: Number(child) })),
  )
  return own + others.reduce((sum, ns) => sum + ns, 0)
}
