// Benchmarks overload: cached reads from as many clients as the server serves best, then from ten times as many without
// any backoff, then from the first number again. The server has its own core, so that only it is overloaded.
import { type ChildProcess, execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
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
  /** Before, the peak during the overload, and after. */
  memory: [number, number, number]
}

const calmConnections = 32
const manyConnections = 10 * calmConnections
// The server absorbs bursts and detects an overload only after some tenths of a second.
const onsetMs = 500

export async function benchOverload({ rounds, seconds, service, redis, cachedRead }: Bench): Promise<void> {
  if (process.platform !== 'linux' || availableParallelism() < 2)
    throw new Error('This part needs Linux and two cores, one of them for the server.')
  await pin(service.process, 0)
  await pin(redis, 1)
  await pin(process, 1)
  const read = async (connections: number, skipMs = 0) => {
    const done = await load({ port: service.port, connections, seconds, skipMs }, cachedRead)
    if (done.bad > 0) throw new Error(`${done.bad} answers were neither 2xx nor a rejection`)
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

  // The mean of before and after, so that other work on the machine matters less.
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
  const rejected = (load: Load) => load.rejected / seconds
  process.stdout.write(`${measured.length} rounds: median (minimum to maximum)\n`)
  print(`${calmConnections} clients: answered a second`, (round) => calmly(round, served), 0)
  print('  rejected a second', (round) => calmly(round, rejected), 0)
  print('  p99 ms', (round) => calmly(round, p99))
  print(
    `${manyConnections} clients: answered, as a share of that`,
    (round) => round.many.perSecond / calmly(round, served),
  )
  print('  rejected a second', ({ many }) => rejected(many), 0)
  print('  p99 of those answered, as a multiple', (round) => round.many.p99Ms / calmly(round, p99))
  print('after: answered, as a share of before', ({ calm, after }) => after.perSecond / calm.perSecond)
  print('  p99, as a multiple', ({ calm, after }) => after.p99Ms / calm.p99Ms)
  print('resident memory before, MB', ({ memory }) => memory[0], 0)
  print('  peak during the overload', ({ memory }) => memory[1], 0)
  print('  after', ({ memory }) => memory[2], 0)
}

async function pin({ pid }: { pid?: number | undefined }, core: number): Promise<void> {
  // -a includes all threads.
  await promisify(execFile)('taskset', ['-a', '-c', '-p', String(core), String(pid)])
}

/** @returns a function that stops watching and returns the peak */
function watchMemory(child: ChildProcess): () => Promise<number> {
  let highest = 0
  let isOver = false
  const watch = (async () => {
    while (!isOver) {
      highest = Math.max(highest, await residentMegabytes(child))
      await delay(50)
    }
  })()
  return async () => {
    isOver = true
    await watch
    return highest
  }
}
