// Batches reads by key: reads that arrive while a statement is in flight go into the next statement.
import { overloaded } from '../../model/errors.ts'

/** A row with the key that it was read by. */
export type Keyed = { key: string }

type Waiting<Row> = {
  key: string
  beginUntil: number
  resolve: (row: Row | undefined) => void
  reject: (error: unknown) => void
}

// Two, so that PostgreSQL is busy while this process reads a result.
const inFlightMax = 2
/** The most keys in one statement, so that its result does not block the event loop for long. */
const keysMax = 100

/**
 * @param run reads the rows of distinct keys
 * @param limits.waiting the most reads that may wait for their statement; `waitMsMax` is the longest wait
 * @returns a function that reads one row, or undefined. It rejects with the errors of `run`, and with ServiceError
 *   `overloaded` when a limit is reached
 */
export function createDataloader<Row extends Keyed>(
  run: (keys: string[]) => Promise<Row[]>,
  { waiting: waitingMax, waitMsMax }: { waiting: number; waitMsMax: number },
): (key: string) => Promise<Row | undefined> {
  let waiting: Waiting<Row>[] = []
  let inFlight = 0
  let isScheduled = false

  /** Starts the next batch after all reads of this turn of the event loop have arrived. */
  const schedule = (): void => {
    if (isScheduled || waiting.length === 0 || inFlight === inFlightMax) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      void begin()
    })
  }

  const begin = async (): Promise<void> => {
    const batch = waiting.slice(0, keysMax)
    waiting = waiting.slice(keysMax)
    inFlight++
    schedule()
    const now = performance.now()
    const timely = batch.filter(({ beginUntil, reject }) => now <= beginUntil || reject(overloaded()))
    try {
      if (timely.length > 0) {
        const rows = await run([...new Set(timely.map(({ key }) => key))])
        const rowOf = new Map(rows.map((row) => [row.key, row]))
        for (const { key, resolve } of timely) resolve(rowOf.get(key))
      }
    } catch (error) {
      for (const { reject } of timely) reject(error)
      // Reads whose time is over have waited for the failed statement, so they fail for the same reason.
      const failedAt = performance.now()
      waiting = waiting.filter(({ beginUntil, reject }) => failedAt <= beginUntil || reject(error))
    }
    inFlight--
    schedule()
  }

  return (key) => {
    if (waiting.length >= waitingMax) return Promise.reject(overloaded())
    return new Promise((resolve, reject) => {
      waiting.push({ key, beginUntil: performance.now() + waitMsMax, resolve, reject })
      schedule()
    })
  }
}
