// Refuses requests when more of them come than the event loop can answer in good time, so that those it takes are
// answered quickly still, and nearly as many of them as at its best. Callers have equal shares of what is taken: one
// that asks on hundreds of connections is refused, and the others go on.
//
// Overload is a queue that stands, in contrast to a burst, which is worked off: the loop has had no rest for a while
// (as in CoDel, RFC 8289, and 'Fail at Scale', ACM Queue 13/8). Then each of its turns takes so many requests and
// refuses what else is there. It is a number and no time, since a turn is also long where a collection of garbage or
// another process is in the way; and it is of requests that come in, not of those under way: what waits for a hash or
// for the database is bounded there, and keeps nobody from the loop.
//
// To refuse is to read, to parse and to write, more than half of what a cached read costs. So a connection that has
// been refused is not read for a while and costs nothing meanwhile: however many there are that do not wait, as
// `Retry-After` tells them, only so many are heard a second. What such a one has sent before it was heard again is
// late already, and refused. When the overload is over all are heard at once.
import type { Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import type { Logger } from '../connection/logger.ts'
import type { HttpRequest } from './endpoint.ts'

export type Admission = {
  /** What is to be done with a request that has just come in on this connection. */
  judge(connection: Socket, request: HttpRequest): 'answer' | 'refuse' | 'refuse and close'
  /** To be called when the client has been told. */
  refused(connection: Socket): void
  close(): void
}

const watchMs = 100
/** With less rest than this in `watchMs` the loop is overloaded, and for a while after: it must not waver. */
const restMsMin = 5
const overloadedMsMin = 500
// Two or three turns are what a cached read takes: with so many requests in each it takes some 5 ms. A client that is
// answered asks again in a later turn, so that fewer connections than this are never refused.
const requestsPerTurn = 50
// Not many more than a second are refused, so that it takes less than a twentieth of the loop's time.
const wakeMs = 10
const wakenMax = 5
// The last of them is heard after two seconds, as it was told. That its client has gone is not seen before: with more of
// them, those who make a connection for each request would use up all that there may be.
const restingMax = 1_000
// A line for each refusal would cost as much as the refusal.
const reportMs = 1_000

/** @param callerOf whose share a request counts to; asked only while there is an overload */
export function openAdmission(logger: Logger, callerOf: (request: HttpRequest) => string): Admission {
  let isOverloaded = false
  let overloadedUntil = 0
  let refusals = 0
  let reportAt = 0
  let before = performance.eventLoopUtilization()
  const watch = setInterval(() => {
    const now = performance.now()
    const utilization = performance.eventLoopUtilization()
    if (utilization.idle - before.idle < restMsMin) overloadedUntil = now + overloadedMsMin
    before = utilization
    isOverloaded = now < overloadedUntil
    callersBefore = callers.size
    callers.clear()
    if (refusals === 0 || now < reportAt) return
    logger.warn('overloaded', { refused: refusals })
    refusals = 0
    reportAt = now + reportMs
  }, watchMs).unref()

  let taken = 0
  const takenOf = new Map<string, number>()
  const endTurn = (): void => {
    taken = 0
    takenOf.clear()
  }

  /** Those heard since the last look, and how many there were before it. */
  const callers = new Set<string>()
  let callersBefore = 0
  /** With half of an equal share, one that asks without end gets no more than all others together. */
  const isWithinShare = (caller: string): boolean => {
    callers.add(caller)
    const active = Math.max(callers.size, callersBefore)
    const most = active === 1 ? requestsPerTurn : Math.ceil(requestsPerTurn / (2 * active))
    const own = takenOf.get(caller) ?? 0
    if (own >= most) return false
    takenOf.set(caller, own + 1)
    return true
  }

  /** Connections that are not read, from the first that was refused to the last. */
  const resting = new Set<Socket>()
  /** Those that are read again since the last look: what comes was waiting. */
  const woken = new Set<Socket>()
  let waking: NodeJS.Timeout | undefined
  const wake = (): void => {
    woken.clear()
    for (const connection of resting) {
      if (isOverloaded && woken.size >= wakenMax) return
      resting.delete(connection)
      woken.add(connection)
      connection.resume()
    }
    if (woken.size > 0) return
    clearInterval(waking)
    waking = undefined
  }

  return {
    judge: (connection, request) => {
      if (!isOverloaded) return 'answer'
      const isLate = woken.delete(connection)
      if (!isLate && taken < requestsPerTurn && isWithinShare(callerOf(request))) {
        if (taken++ === 0) setImmediate(endTurn)
        return 'answer'
      }
      refusals++
      if (isLate) return 'refuse'
      if (resting.size >= restingMax) return 'refuse and close'
      resting.add(connection)
      return 'refuse'
    },
    refused: (connection) => {
      if (!resting.has(connection)) return
      // Its client has asked for no other request.
      if (connection.writableEnded) return void resting.delete(connection)
      connection.pause()
      waking ??= setInterval(wake, wakeMs).unref()
    },
    close: () => {
      clearInterval(watch)
      clearInterval(waking)
    },
  }
}
