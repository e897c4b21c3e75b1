// Bounds on work that runs side by side. A burst waits in a queue of known length, callers take turns, and a
// call whose answer would come too late is refused.
import { LRUCache } from 'lru-cache'
import { overloaded } from '../model/errors.ts'

/**
 * Runs the work when its turn comes.
 * @param share whose work it is: a `Caller`'s key, or a constant where callers are not told apart
 * @throws ServiceError `overloaded`, at once when the queue is too long already; at its turn when that came too late
 */
export type Limit = <T>(share: string, work: () => Promise<T>) => Promise<T>

type Task = { beginUntil: number; begin: () => void; refuse: () => void }

type Share = {
  key: string
  running: number
  waiting: Task[]
  /** The level of `ready` that it is in. */
  level: Set<Share> | undefined
}

/** Weight of the last call in the mean duration of a share's calls: the mean follows within some ten calls. */
const newestWeight = 0.2
/** Mean durations are remembered for so many shares. */
const meansMax = 1_000

/**
 * Runs at most `running` calls at once. The share with the fewest running calls goes next, and equal ones take
 * turns, so that a share's long queue and its slow calls delay its own calls and not those of others.
 * @param bounds.waiting how many calls may wait. When the queue is full, the newest call of the longest share is refused
 * @param bounds.waitMsMax the longest that a call may wait, estimated from its share's queue and recent durations
 * @param bounds.runningPerShare how many calls of one share may run at once
 */
export function fairQueue(
  running: number,
  {
    waiting: waitingMax,
    waitMsMax = Number.POSITIVE_INFINITY,
    runningPerShare = running,
  }: { waiting: number; waitMsMax?: number; runningPerShare?: number },
): Limit {
  /** Only those that have work, so their number is bounded by the calls'. */
  const shares = new Map<string, Share>()
  /** Shares that may begin a call, by the number that they run: the first of the lowest level is next. */
  const ready = Array.from({ length: runningPerShare }, () => new Set<Share>())
  // Counted as sizes: with `max`, room for all of them would be allocated at the start.
  const meanMsOf = new LRUCache<string, number>({ maxSize: meansMax, sizeCalculation: () => 1 })
  let underWay = 0
  let waiting = 0

  const place = (share: Share): void => {
    share.level?.delete(share)
    // There is no level for a share that runs as many as it may.
    share.level = share.waiting.length > 0 ? ready[share.running] : undefined
    share.level?.add(share)
    if (share.running === 0 && share.waiting.length === 0) shares.delete(share.key)
  }

  const run = async <T>(share: Share, work: () => Promise<T>): Promise<T> => {
    underWay++
    share.running++
    place(share)
    const begunAt = performance.now()
    try {
      const result = await work()
      // A failure says nothing of durations: it may have come early, or after a time limit.
      const ms = performance.now() - begunAt
      const meanMs = meanMsOf.get(share.key) ?? ms
      meanMsOf.set(share.key, meanMs + (ms - meanMs) * newestWeight)
      return result
    } finally {
      underWay--
      share.running--
      place(share)
      beginNext()
    }
  }

  const beginNext = (): void => {
    while (underWay < running) {
      const share = ready
        .find(({ size }) => size > 0)
        ?.values()
        .next().value
      const task = share?.waiting.shift()
      if (!share || !task) return
      waiting--
      if (performance.now() > task.beginUntil) {
        place(share)
        task.refuse()
      } else task.begin()
    }
  }

  /** @returns false if the call itself must be refused, because no share waits with more calls than its own */
  const makeRoomFor = (share: Share): boolean => {
    let longest = share
    for (const other of shares.values())
      if (other.waiting.length > Math.max(longest.waiting.length, share.waiting.length + 1)) longest = other
    const newest = longest === share ? undefined : longest.waiting.pop()
    if (!newest) return false
    waiting--
    newest.refuse()
    return true
  }

  const estimatedWaitMs = (share: Share): number => {
    const slots = Math.min(runningPerShare, running / Math.max(1, shares.size))
    return (share.waiting.length * (meanMsOf.get(share.key) ?? 0)) / slots
  }

  return (key, work) => {
    const share = shares.get(key) ?? { key, running: 0, waiting: [], level: undefined }
    shares.set(key, share)
    if (underWay < running && share.running < runningPerShare) return run(share, work)
    const isRefused = estimatedWaitMs(share) > waitMsMax || (waiting >= waitingMax && !makeRoomFor(share))
    if (isRefused) {
      place(share)
      return Promise.reject(overloaded())
    }
    return new Promise((resolve, reject) => {
      waiting++
      share.waiting.push({
        beginUntil: performance.now() + waitMsMax,
        begin: () => resolve(run(share, work)),
        refuse: () => reject(overloaded()),
      })
      if (share.waiting.length === 1) place(share)
    })
  }
}
