// Limits how many large bodies of one caller are read and held at once. The others wait unread in their sockets, so that
// one caller's uploads cannot occupy the event loop with reading.
import type { ServiceError } from '../../model/errors.ts'
import { fairQueue } from '../../platform/queue.ts'

/** Smaller bodies do not queue: reading one costs less than parsing its request. */
export const largeBytesMin = 64 * 1024
// As many as one caller's images can be decoded within the decoders' queue (services/avatars/encode.ts).
const readPerCaller = 8
const waitMsMax = 5_000

// The memory for bodies limits all callers together (body-memory.ts), so the total is out of reach.
const largeBodies = fairQueue(10_000, { waiting: 2_000, waitMsMax, runningPerShare: readPerCaller })

/**
 * Waits until the caller may send another large body.
 * @param tooLate creates the error after a wait of five seconds
 * @returns a function that ends the caller's turn
 * @throws ServiceError `overloaded`
 */
export function waitForLargeBody(caller: string, tooLate: () => ServiceError): Promise<() => void> {
  return new Promise((resolve, reject) => {
    let isLate = false
    // The queue itself rejects only when a turn ends, and a slow body may hold its turn for a minute.
    const timer = setTimeout(() => {
      isLate = true
      reject(tooLate())
    }, waitMsMax)
    const begin = (): Promise<void> => {
      clearTimeout(timer)
      return isLate ? Promise.resolve() : new Promise<void>((end) => resolve(end))
    }
    largeBodies(caller, begin).catch((error: unknown) => {
      clearTimeout(timer)
      reject(error)
    })
  })
}
