// Limits concurrency with a bounded, fair queue. Callers take turns, and calls that would wait too long are rejected.
import { LRUCache } from 'lru-cache'
import { overloaded } from '../model/errors.ts'

/**
 * Runs the work when its turn comes.
 * @param share the caller's key, or a constant if callers are not distinguished
 * @throws ServiceError `overloaded`, immediately if the queue is too long, or at its turn if that comes too late
 */
export type Limit = {
  <T>(share: string, work: () => Promise<T>): Promise<T>
  /** The calls that wait now. */
  waiting(): number
}

type Task = { beginUntil: number; begin: () => void; reject: () => void }

type Share = {
  key: string
  running: number
  waiting: Task[]
  /** The set in `ready` that contains it. */
  level: Set<Share> | undefined
}

/** The weight of the latest call in a share's mean duration, which adapts within about ten calls. */
const newestWeight = 0.2
/** The number of shares whose mean durations are kept. */
const meansMax = 1_000

/**
 * Runs at most `running` calls at once. The share with the fewest running calls is next, and equal shares take turns,
 * so that a share's long queue and slow calls delay only its own calls.
 * @param limits.waiting the most calls that may wait. A full queue rejects the newest call of the longest share
 * @param limits.waitMsMax the longest wait of a call, estimated from its share's queue and recent durations
 * @param limits.runningPerShare the most calls of one share that run at once
 * @param limits.runningNow the same for a share at the moment; from 1 to `runningPerShare`
 */
export function fairQueue(
  running: number,
  {
    waiting: waitingMax,
    waitMsMax = Number.POSITIVE_INFINITY,
    runningPerShare = running,
    runningNow = () => runningPerShare,
  }: {
    waiting: number
    waitMsMax?: number
    runningPerShare?: number
    runningNow?: (share: string) => number
  },
): Limit {
  /** Shares with work, so their number is bounded by that of the calls. */
  const shares = new Map<string, Share>()
  /** Shares that may start a call, indexed by their running calls. The first share of the first set is next. */
  const ready = Array.from({ length: runningPerShare }, () => new Set<Share>())
  // Bounded by size, because with `max` LRUCache would allocate all slots at the start.
  const meanMsOf = new LRUCache<string, number>({ maxSize: meansMax, sizeCalculation: () => 1 })
  let inFlight = 0
  let waiting = 0

  const reposition = (share: Share): void => {
    share.level?.delete(share)
    // There is no set for a share that runs as many calls as it may.
    share.level = share.waiting.length > 0 ? ready[share.running] : undefined
    share.level?.add(share)
    if (share.running === 0 && share.waiting.length === 0) shares.delete(share.key)
  }

  const run = async <T>(share: Share, work: () => Promise<T>): Promise<T> => {
    inFlight++
    share.running++
    reposition(share)
    const begunAt = performance.now()
    try {
      const result = await work()
      // Failures are ignored, because they may come early or only after a time limit.
      const ms = performance.now() - begunAt
      const meanMs = meanMsOf.get(share.key) ?? ms
      meanMsOf.set(share.key, meanMs + (ms - meanMs) * newestWeight)
      return result
    } finally {
      inFlight--
      share.running--
      reposition(share)
      beginNext()
    }
  }

  const nextShare = (): Share | undefined => {
    for (const [level, shares] of ready.entries())
      for (const share of shares) if (level === 0 || level < runningNow(share.key)) return share
    return undefined
  }

  const beginNext = (): void => {
    while (inFlight < running) {
      const share = nextShare()
      const task = share?.waiting.shift()
      if (!share || !task) return
      waiting--
      if (performance.now() > task.beginUntil) {
        reposition(share)
        task.reject()
      } else task.begin()
    }
  }

  /** @returns false if no share has more waiting calls than this one, whose call must then be rejected */
  const makeRoomFor = (share: Share): boolean => {
    let longest = share
    for (const other of shares.values())
      if (other.waiting.length > Math.max(longest.waiting.length, share.waiting.length + 1)) longest = other
    const newest = longest === share ? undefined : longest.waiting.pop()
    if (!newest) return false
    waiting--
    newest.reject()
    return true
  }

  const estimatedWaitMs = (share: Share): number => {
    const slots = Math.min(runningNow(share.key), running / Math.max(1, shares.size))
    return (share.waiting.length * (meanMsOf.get(share.key) ?? 0)) / slots
  }

  const call = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const share = shares.get(key) ?? { key, running: 0, waiting: [], level: undefined }
    shares.set(key, share)
    if (inFlight < running && share.running < runningNow(key)) return run(share, work)
    const isRejected = estimatedWaitMs(share) > waitMsMax || (waiting >= waitingMax && !makeRoomFor(share))
    if (isRejected) {
      reposition(share)
      return Promise.reject(overloaded())
    }
    return new Promise((resolve, reject) => {
      waiting++
      share.waiting.push({
        beginUntil: performance.now() + waitMsMax,
        begin: () => resolve(run(share, work)),
        reject: () => reject(overloaded()),
      })
      if (share.waiting.length === 1) reposition(share)
    })
  }
  return Object.assign(call, { waiting: () => waiting })
}
