// Reads of one row by its key, many to a statement: what is asked while others are answered goes out with the next
// statement. The more ask at once, the less each costs PostgreSQL and this process.
import { overloaded } from '../../model/errors.ts'

/** A row says which of the keys it was asked for by. */
export type Keyed = { key: string }

type Waiting<Row> = {
  key: string
  beginUntil: number
  resolve: (row: Row | undefined) => void
  reject: (error: unknown) => void
}

// Two, so that PostgreSQL has work while an answer is read here.
const underWayMax = 2
/** What one statement asks for at most: its answer must not hold up the event loop. */
const keysMax = 100

/**
 * @param run reads the rows of the keys, each of which is there once
 * @param bounds.waiting how many may wait for their statement to begin, and `waitMsMax` how long
 * @returns reads one: undefined when there is none.
 *   @throws what `run` throws; ServiceError `overloaded` when too many wait, or for too long
 */
export function createDataloader<Row extends Keyed>(
  run: (keys: string[]) => Promise<Row[]>,
  { waiting: waitingMax, waitMsMax }: { waiting: number; waitMsMax: number },
): (key: string) => Promise<Row | undefined> {
  let waiting: Waiting<Row>[] = []
  let underWay = 0
  let isPlanned = false

  /** After what else this turn of the event loop brings. */
  const plan = (): void => {
    if (isPlanned || waiting.length === 0 || underWay === underWayMax) return
    isPlanned = true
    setImmediate(() => {
      isPlanned = false
      void begin()
    })
  }

  const begin = async (): Promise<void> => {
    const batch = waiting.slice(0, keysMax)
    waiting = waiting.slice(keysMax)
    underWay++
    plan()
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
      // Who has waited for too long by now has waited for this.
      const failedAt = performance.now()
      waiting = waiting.filter(({ beginUntil, reject }) => failedAt <= beginUntil || reject(error))
    }
    underWay--
    plan()
  }

  return (key) => {
    if (waiting.length >= waitingMax) return Promise.reject(overloaded())
    return new Promise((resolve, reject) => {
      waiting.push({ key, beginUntil: performance.now() + waitMsMax, resolve, reject })
      plan()
    })
  }
}
