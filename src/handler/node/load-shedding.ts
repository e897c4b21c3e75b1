// Load shedding: serves requests in turns when more of them arrive than the event loop can answer, and rejects the
// rest. The reasons and figures are in docs/adr/0003-serve-callers-in-turns-under-overload.md.
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Logger } from '../../platform/logger.ts'

export type LoadShedding<Arrival> = {
  /** Serves the request now or in a later turn of the event loop, or rejects it. */
  decide(arrival: Arrival): void
  close(): void
}

type HasConnection = { connection: Socket }

export type LoadSheddingOptions<Arrival> = {
  logger: Logger
  /** Returns the caller in whose share the request counts. Called only during an overload. */
  callerOf: (arrival: Arrival) => string
  /** Resolves when the request has been answered; never rejects. */
  serve: (arrival: Arrival) => Promise<void>
  /**
   * @param isLast close the connection after the answer
   * @param onSent call it when the whole answer has been sent
   */
  reject: (arrival: Arrival, isLast: boolean, onSent: () => void) => void
}

const sampleMs = 100
/** The event loop is overloaded if it idles for less than this in `sampleMs`. */
const idleMsMin = 5
/** The shortest overload, so that the state does not flap. */
const overloadedMsMin = 500
// A cached read takes two or three turns. With this many requests each turn takes some 5 ms.
const servedPerTurn = 50
// Applies while there are several callers. A caller's share of the event loop follows its number of requests in flight,
// and a caller with a few connections has fewer than this.
const runningPerCaller = 4
// A request that takes longer waits for its body, a hash or PostgreSQL, and takes nothing from the event loop.
const runningMsMax = 20
// A little more than one turn. Requests that wait longer are too late for their clients.
const waitingMax = 60
// At most 500 rejections a second, which take less than 5 % of the event loop's time.
const resumeEveryMs = 10
const resumedMax = 5
// The last paused connection resumes after two seconds, as `Retry-After` says. A closed connection is noticed only then,
// so a higher limit would let clients that connect for each request exhaust all connections.
const pausedMax = 1_000
const reportEveryMs = 1_000

export function openLoadShedding<Arrival extends HasConnection>({
  logger,
  callerOf,
  serve,
  reject,
}: LoadSheddingOptions<Arrival>): LoadShedding<Arrival> {
  let isOverloaded = false
  let overloadedUntil = 0
  let rejections = 0
  let reportAt = 0
  let before = performance.eventLoopUtilization()
  const sampler = setInterval(() => {
    const now = performance.now()
    const utilization = performance.eventLoopUtilization()
    if (utilization.idle - before.idle < idleMsMin) overloadedUntil = now + overloadedMsMin
    before = utilization
    isOverloaded = now < overloadedUntil
    callersBefore = callers.size
    callers.clear()
    // One line for all, because a line for each rejection would cost as much as the rejection.
    if (rejections === 0 || now < reportAt) return
    logger.warn('overloaded', { rejected: rejections })
    rejections = 0
    reportAt = now + reportEveryMs
  }, sampleMs).unref()

  const paused = createPausedConnections(() => isOverloaded)
  const rejectArrival = (arrival: Arrival, isLate: boolean): void => {
    rejections++
    const { connection } = arrival
    const isLast = !isLate && !paused.add(connection)
    reject(arrival, isLast, () => paused.pause(connection))
  }

  /** The callers seen since the last sample. */
  const callers = new Set<string>()
  /** Their number in the sample before. */
  let callersBefore = 0
  const isAlone = (): boolean => callers.size <= 1 && callersBefore <= 1

  /** The number of requests in flight that left their queue lately, by caller. */
  let running = new Map<string, number>()
  const run = async (caller: string, arrival: Arrival): Promise<void> => {
    const counts = running
    counts.set(caller, (counts.get(caller) ?? 0) + 1)
    await serve(arrival)
    counts.set(caller, (counts.get(caller) ?? 1) - 1)
    if (queues.has(caller)) scheduleTurn()
  }

  /** The waiting requests by caller, in the order in which callers are served. */
  const queues = new Map<string, Arrival[]>()
  let waiting = 0
  let turn: NodeJS.Immediate | undefined
  const scheduleTurn = (): void => {
    turn ??= setImmediate(serveTurn)
  }
  const serveTurn = (): void => {
    turn = undefined
    let left = servedPerTurn
    for (const [caller, queue] of [...queues]) {
      const room = isAlone() ? left : Math.min(left, runningPerCaller - (running.get(caller) ?? 0))
      if (room <= 0) continue
      queues.delete(caller)
      const batch = queue.splice(0, room)
      if (queue.length > 0) queues.set(caller, queue)
      left -= batch.length
      waiting -= batch.length
      for (const arrival of batch) if (!arrival.connection.destroyed) void run(caller, arrival)
    }
    if (left <= 0) scheduleTurn()
    else if (waiting > 0) forgetRunning ??= setTimeout(serveWithoutRunning, runningMsMax).unref()
  }
  let forgetRunning: NodeJS.Timeout | undefined
  const serveWithoutRunning = (): void => {
    forgetRunning = undefined
    running = new Map()
    scheduleTurn()
  }

  const wait = (arrival: Arrival): void => {
    const caller = callerOf(arrival)
    callers.add(caller)
    const own = queues.get(caller) ?? []
    if (waiting >= waitingMax) {
      const longest = longestOf(queues.values())
      if (longest.length <= own.length) {
        rejectArrival(arrival, false)
        return
      }
      const last = longest.pop()
      waiting--
      if (last) rejectArrival(last, false)
    }
    if (own.push(arrival) === 1) queues.set(caller, own)
    waiting++
    scheduleTurn()
  }

  return {
    decide: (arrival) => {
      if (!isOverloaded) void serve(arrival)
      else if (paused.hasResumed(arrival.connection)) rejectArrival(arrival, true)
      else wait(arrival)
    },
    close: () => {
      clearInterval(sampler)
      clearImmediate(turn)
      clearTimeout(forgetRunning)
      paused.close()
    },
  }
}

/** @param queues at least one, and none empty */
function longestOf<Arrival>(queues: Iterable<Arrival[]>): Arrival[] {
  let longest: Arrival[] = []
  for (const queue of queues) if (queue.length > longest.length) longest = queue
  return longest
}

/** Pauses reading from connections whose last request was rejected, so that their retries cost nothing for a while. */
function createPausedConnections(isOverloaded: () => boolean) {
  /** In the order of their rejections. */
  const paused = new Set<Socket>()
  /** Resumed in the last step. Their next request may have waited in the socket. */
  const resumed = new Set<Socket>()
  let resuming: NodeJS.Timeout | undefined
  const resume = (): void => {
    resumed.clear()
    for (const connection of paused) {
      if (isOverloaded() && resumed.size >= resumedMax) return
      paused.delete(connection)
      resumed.add(connection)
      connection.resume()
    }
    if (resumed.size > 0) return
    clearInterval(resuming)
    resuming = undefined
  }
  return {
    /** @returns whether the connection was resumed so recently that its request may have been sent earlier */
    hasResumed: (connection: Socket) => resumed.delete(connection),
    /** @returns false if too many connections are paused */
    add: (connection: Socket): boolean => {
      if (paused.size >= pausedMax) return false
      paused.add(connection)
      return true
    },
    /** Call it when the answer has been sent. */
    pause: (connection: Socket): void => {
      if (!paused.has(connection)) return
      // The client has closed its side, so no further request follows.
      if (connection.writableEnded) return void paused.delete(connection)
      connection.pause()
      resuming ??= setInterval(resume, resumeEveryMs).unref()
    },
    close: () => clearInterval(resuming),
  }
}
