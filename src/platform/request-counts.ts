// Counts the requests of the last hour, minute by minute, in this process. Counting one allocates nothing.

/** Milliseconds; the highest class also holds everything above. */
const durationMsMin = 0.1
/** Each class is wider than the one before by a fifth, so the middle of a class is off by a tenth at most. */
const classesPerDoubling = 4
const classes = 80

const minutes = 60
const msPerMinute = 60_000

export type MinuteCounts = {
  /** The start of the minute, in epoch milliseconds. */
  startMs: number
  requests: number
  /** Answers with a status of 500 or more, and requests rejected by load shedding. */
  errors: number
  /** The 95th percentile of the durations in milliseconds; null without an answer. */
  p95Ms: number | null
  hits: number
  misses: number
  bypasses: number
}

export type RequestCounts = {
  /** @param cache how the cache answered, if the request asked it */
  add(status: number, durationMs: number, cache: 'hit' | 'miss' | 'bypass' | undefined): void
  /** Counts a request that load shedding rejected. It has no duration. */
  addRejected(): void
  /** @returns the last 60 minutes, oldest first, with the present one */
  lastHour(): MinuteCounts[]
}

/** @param clock epoch milliseconds */
export function createRequestCounts(clock: () => number = Date.now): RequestCounts {
  /** The minute that a slot counts, since the epoch. */
  const minuteOf = new Float64Array(minutes)
  const requests = new Uint32Array(minutes)
  const errors = new Uint32Array(minutes)
  const hits = new Uint32Array(minutes)
  const misses = new Uint32Array(minutes)
  const bypasses = new Uint32Array(minutes)
  const durations = new Uint32Array(minutes * classes)

  const currentSlot = (): number => {
    const minute = Math.floor(clock() / msPerMinute)
    const slot = minute % minutes
    if (minuteOf[slot] === minute) return slot
    minuteOf[slot] = minute
    for (const counts of [requests, errors, hits, misses, bypasses]) counts[slot] = 0
    durations.fill(0, slot * classes, (slot + 1) * classes)
    return slot
  }

  const increment = (counts: Uint32Array, at: number): void => {
    counts[at] = (counts[at] ?? 0) + 1
  }

  const describe = (minute: number): MinuteCounts => {
    const slot = minute % minutes
    const isCounted = minuteOf[slot] === minute
    const count = (counts: Uint32Array): number => (isCounted ? (counts[slot] ?? 0) : 0)
    return {
      startMs: minute * msPerMinute,
      requests: count(requests),
      errors: count(errors),
      p95Ms: isCounted ? percentile95(durations.subarray(slot * classes, (slot + 1) * classes)) : null,
      hits: count(hits),
      misses: count(misses),
      bypasses: count(bypasses),
    }
  }

  return {
    add: (status, durationMs, cache) => {
      const slot = currentSlot()
      increment(requests, slot)
      increment(durations, slot * classes + classOf(durationMs))
      if (status >= 500) increment(errors, slot)
      if (cache === 'hit') increment(hits, slot)
      else if (cache === 'miss') increment(misses, slot)
      else if (cache === 'bypass') increment(bypasses, slot)
    },
    addRejected: () => {
      const slot = currentSlot()
      increment(requests, slot)
      increment(errors, slot)
    },
    lastHour: () => {
      const now = Math.floor(clock() / msPerMinute)
      return Array.from({ length: minutes }, (_, index) => describe(now - minutes + 1 + index))
    },
  }
}

function classOf(durationMs: number): number {
  if (!(durationMs > durationMsMin)) return 0
  return Math.min(classes - 1, Math.floor(Math.log2(durationMs / durationMsMin) * classesPerDoubling))
}

/** @param counts of the classes @returns the middle of the class that holds the percentile */
function percentile95(counts: Uint32Array): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let seen = 0
  const at = counts.findIndex((count) => {
    seen += count
    return seen >= total * 0.95
  })
  return durationMsMin * 2 ** ((at + 0.5) / classesPerDoubling)
}
