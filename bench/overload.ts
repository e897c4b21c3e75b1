// The part of the benchmark on more load than can be served: cached reads by as many clients as the server answers at
// its best, then by ten times as many, none of which waits before it asks again, whatever it was told, then by the
// first again. The server has one core of its own, so that it is the server that has too much to do; the clients and
// Redis have another.
import { type ChildProcess, execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { residentMegabytes } from './figures.ts'
import { type Load, load } from './load.ts'

type Bench = {
  rounds: number
  seconds: number
  service: { port: number; process: ChildProcess }
  redis: ChildProcess
  cachedRead: () => string
}

type Measured = {
  calm: Load
  many: Load
  after: Load
  /** Before, at the most while there were many, and after. */
  memory: [number, number, number]
}

const calmConnections = 32
const manyConnections = 10 * calmConnections
// A burst is worked off, not refused: it takes some tenths of a second until an overload is one.
const onsetMs = 500

export async function benchOverload({ rounds, seconds, service, redis, cachedRead }: Bench): Promise<void> {
  if (process.platform !== 'linux' || availableParallelism() < 2)
    throw new Error('this needs Linux and two cores: one is the server’s alone')
  await pin(service.process, 0)
  await pin(redis, 1)
  await pin(process, 1)
  const read = async (connections: number, skipMs = 0) => {
    const done = await load({ port: service.port, connections, seconds, skipMs }, cachedRead)
    if (done.bad > 0) throw new Error(`${done.bad} answers were neither 2xx nor a refusal`)
    return done
  }
  const round = async (): Promise<Measured> => {
    const before = await residentMegabytes(service.process)
    const calm = await read(calmConnections)
    const highest = watchMemory(service.process)
    const many = await read(manyConnections, onsetMs)
    const during = await highest()
    const after = await read(calmConnections)
    return { calm, many, after, memory: [before, during, await residentMegabytes(service.process)] }
  }

  for (let warm = 0; warm < 3; warm++) await read(calmConnections)
  await read(manyConnections)
  const measured: Measured[] = []
  while (measured.length < rounds) measured.push(await round())

  // Before and after, so that what else the machine does meanwhile weighs less.
  const calmly = (round: Measured, figure: (load: Load) => number) =>
    (figure(round.calm) + figure(round.after)) / 2
  const served = ({ perSecond }: Load) => perSecond
  const p99 = ({ p99Ms }: Load) => p99Ms
  const print = (name: string, figure: (round: Measured) => number, digits = 2) => {
    const figures = measured.map(figure).sort((a, b) => a - b)
    const [lowest = 0, middle = 0, highest = 0] = [0, figures.length >> 1, figures.length - 1].map(
      (at) => figures[at],
    )
    process.stdout.write(
      `${name.padEnd(58)}${middle.toFixed(digits).padStart(9)}   (${lowest.toFixed(digits)} to ${highest.toFixed(digits)})\n`,
    )
  }
  const refused = (load: Load) => load.refused / seconds
  process.stdout.write(`${measured.length} rounds, the middle one (the least to the most)\n`)
  print(`${calmConnections} clients: answered a second`, (round) => calmly(round, served), 0)
  print('  refused a second', (round) => calmly(round, refused), 0)
  print('  p99 ms', (round) => calmly(round, p99))
  print(
    `${manyConnections} clients: answered, as a share of that`,
    (round) => round.many.perSecond / calmly(round, served),
  )
  print('  refused a second', ({ many }) => refused(many), 0)
  print('  p99 of those answered, as a multiple', (round) => round.many.p99Ms / calmly(round, p99))
  print('after: answered, as a share of before', ({ calm, after }) => after.perSecond / calm.perSecond)
  print('  p99, as a multiple', ({ calm, after }) => after.p99Ms / calm.p99Ms)
  print('resident memory before, MB', ({ memory }) => memory[0], 0)
  print('  at the most, under overload', ({ memory }) => memory[1], 0)
  print('  after', ({ memory }) => memory[2], 0)
}

async function pin({ pid }: { pid?: number | undefined }, core: number): Promise<void> {
  // With all its threads.
  await promisify(execFile)('taskset', ['-a', '-c', '-p', String(core), String(pid)])
}

/** @returns what ends it, and tells the most that there was */
function watchMemory(child: ChildProcess): () => Promise<number> {
  let highest = 0
  let isOver = false
  const watch = (async () => {
    while (!isOver) {
      highest = Math.max(highest, await residentMegabytes(child))
      await pause(50)
    }
  })()
  return async () => {
    isOver = true
    await watch
    return highest
  }
}
