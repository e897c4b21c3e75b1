// Compares the processor time of a cached read on the service's Redis client and on ioredis.
// The servers take turns in short slices, so that other work on the machine affects all of them equally.
import type { ChildProcess } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { quantile } from './figures.ts'
import { load } from './load.ts'
import type { Target } from './servers.ts'

const connections = 32
const sliceSeconds = 0.25
const slicesPerRound = 20
const warmUpSeconds = 3

/** @param servers by name; ratios are relative to the first */
export async function benchClients(
  servers: Map<string, Target>,
  cachedRead: () => string,
  rounds: number,
): Promise<void> {
  for (const { port } of servers.values())
    await load({ port, connections, seconds: warmUpSeconds }, cachedRead)
  const measured = [...servers].map(([name, server]) => ({ name, server, cpuUs: [] as number[] }))
  for (let slice = 0; slice < rounds * slicesPerRound; slice++) {
    for (const { server, cpuUs } of slice % 2 === 0 ? measured : measured.toReversed())
      cpuUs.push(await cpuOfRead(server, cachedRead))
  }
  for (const { name, cpuUs } of measured) {
    const ratios = cpuUs.map((us, slice) => us / (measured[0]?.cpuUs[slice] ?? Number.NaN))
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(2))
    process.stdout.write(
      `${name.padEnd(20)}CPU ${quantile(cpuUs, 0.5).toFixed(1).padStart(6)} µs, ratio ${middle} (${low} to ${high})\n`,
    )
  }
}

async function cpuOfRead(server: Target, cachedRead: () => string): Promise<number> {
  const before = await cpuNs(server.process)
  const done = await load({ port: server.port, connections, seconds: sliceSeconds }, cachedRead)
  if (done.bad + done.rejected > 0) throw new Error(`${done.bad + done.rejected} answers were not 2xx`)
  return ((await cpuNs(server.process)) - before) / 1_000 / (done.perSecond * sliceSeconds)
}

/** @returns the processor time of all live threads in nanoseconds. Linux only. */
async function cpuNs({ pid }: ChildProcess): Promise<number> {
  const tasks = await readdir(`/proc/${pid}/task`)
  const stats = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/schedstat`, 'utf8').catch(() => '0')),
  )
  return stats.reduce((sum, stat) => sum + Number(stat.split(' ')[0]), 0)
}
