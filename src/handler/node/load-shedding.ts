// Load shedding: serves requests in turns when more of them arrive than the event loop can answer, and rejects the
// rest. The reasons and figures are in docs/adr/0003-serve-callers-in-turns-under-overload.md.
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Logger } from '../../platform/logger.ts'

export type LoadShedding<Arrival> = {
  /** Serves the request now or in a later turn of the event loop, or refuses it. */
  decide(arrival: Arrival): void
  close(): void
}

type Arrives = { connection: Socket }

export type LoadSheddingOptions<Arrival> = {
  logger: Logger
  /** Whose share the request counts to. Called only during an overload. */
  callerOf: (arrival: Arrival) => string
  /** Resolves when the request has been answered, and is never rejected. */
  serve: (arrival: Arrival) => Promise<void>
  /**
   * @param isLast close the connection after the answer
   * @param sent to be called when the client has the whole answer
   */
  refuse: (arrival: Arrival, isLast: boolean, sent: () => void) => void
}

const watchMs = 100
/** The event loop is overloaded when it idles less than this in `watchMs`. */
const idleMsMin = 5
/** An overload lasts at least this long, so that the state does not flap. */
const overloadedMsMin = 500
// A cached read takes two or three turns. With this many requests each turn takes some 5 ms.
const servedPerTurn = 50
// While there are several callers. A caller's share of the event loop follows the number of its requests under way, and
// one that reads by a few connections has fewer than this.
const runningPerCaller = 4
// A turn and a little: what waits longer is late for its client.
const waitingMax = 60
// Refuses at most 500 requests a second, which takes less than a twentieth of the event loop's time.
const resumeEveryMs = 10
const resumedMax = 5
// The last one is read again after two seconds, as `Retry-After` says. A lost connection is noticed only then, so more
// of them would let clients that connect for each request use up all connections.
const pausedMax = 1_000
const reportEveryMs = 1_000

export function openLoadShedding<Arrival extends Arrives>({
  logger,
  callerOf,
  serve,
  refuse,
}: LoadSheddingOptions<Arrival>): LoadShedding<Arrival> {
  let isOverloaded = false
  let overloadedUntil = 0
  let refusals = 0
  let reportAt = 0
  let before = performance.eventLoopUtilization()
  const watch = setInterval(() => {
    const now = performance.now()
    const utilization = performance.eventLoopUtilization()
    if (utilization.idle - before.idle < idleMsMin) overloadedUntil = now + overloadedMsMin
    before = utilization
    isOverloaded = now < overloadedUntil
    callersBefore = callers.size
    callers.clear()
    if (waiting > 0) scheduleTurn()
    // One line for all, because a line for each refusal would cost as much as the refusal.
    if (refusals === 0 || now < reportAt) return
    logger.warn('overloaded', { refused: refusals })
    refusals = 0
    reportAt = now + reportEveryMs
  }, watchMs).unref()

  const paused = createPausedConnections(() => isOverloaded)
  const refuseArrival = (arrival: Arrival, isLate: boolean): void => {
    refusals++
    const { connection } = arrival
    const isLast = !isLate && !paused.add(connection)
    refuse(arrival, isLast, () => paused.pause(connection))
  }

  /** Seen since the last look, and their number before it. */
  const callers = new Set<string>()
  let callersBefore = 0
  const isAlone = (): boolean => callers.size <= 1 && callersBefore <= 1

  /** Of the requests that waited, how many are under way, by caller. */
  const running = new Map<string, number>()
  const run = async (caller: string, arrival: Arrival): Promise<void> => {
    running.set(caller, (running.get(caller) ?? 0) + 1)
    await serve(arrival)
    const left = (running.get(caller) ?? 0) - 1
    if (left > 0) running.set(caller, left)
    else running.delete(caller)
    if (queues.has(caller)) scheduleTurn()
  }

  /** The requests that wait, by caller. The first caller is the next to be served. */
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
  }

  const wait = (arrival: Arrival): void => {
    const caller = callerOf(arrival)
    callers.add(caller)
    const own = queues.get(caller) ?? []
    if (waiting >= waitingMax) {
      const longest = longestOf(queues.values())
      if (longest.length <= own.length) {
        refuseArrival(arrival, false)
        return
      }
      const last = longest.pop()
      waiting--
      if (last) refuseArrival(last, false)
    }
    if (own.push(arrival) === 1) queues.set(caller, own)
    waiting++
    scheduleTurn()
  }

  return {
    decide: (arrival) => {
      if (!isOverloaded) void serve(arrival)
      else if (paused.hasResumed(arrival.connection)) refuseArrival(arrival, true)
      else wait(arrival)
    },
    close: () => {
      clearInterval(watch)
      clearImmediate(turn)
      paused.close()
    },
  }
}

/** @param queues at least one, none of them empty */
function longestOf<Arrival>(queues: Iterable<Arrival[]>): Arrival[] {
  let longest: Arrival[] = []
  for (const queue of queues) if (queue.length > longest.length) longest = queue
  return longest
}

/** Connections whose last request was refused. They are not read for a while, so that they cost nothing. */
function createPausedConnections(isOverloaded: () => boolean) {
  /** From the first that was refused to the last. */
  const paused = new Set<Socket>()
  /** Read again since the last step: the request that comes has waited in the socket, and its client too. */
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
    /** @returns whether the connection was resumed so lately that its request was sent before */
    hasResumed: (connection: Socket) => resumed.delete(connection),
    /** @returns false when there are too many already */
    add: (connection: Socket): boolean => {
      if (paused.size >= pausedMax) return false
      paused.add(connection)
      return true
    },
    /** To be called when the answer was sent. */
    pause: (connection: Socket): void => {
      if (!paused.has(connection)) return
      // The client has closed its side, so no other request comes.
      if (connection.writableEnded) return void paused.delete(connection)
      connection.pause()
      resuming ??= setInterval(resume, resumeEveryMs).unref()
    },
    close: () => clearInterval(resuming),
  }
}
