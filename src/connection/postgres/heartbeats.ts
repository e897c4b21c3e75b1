// Writes this process's clock into the primary twice a second. The value that a replica shows tells how old its data is at
// most: docs/adr/0032-read-replicas-for-lists.md.
import { randomUUID } from 'node:crypto'
import type { Database } from './database.ts'

export type Heartbeats = {
  /** Identifies the row. */
  process: string
  /** When the first heartbeat was sent, on `performance.now()`'s clock; undefined before. */
  firstSentAt(): number | undefined
  /** Sends one if the last one is too old, and waits for it. Never rejects. */
  renew(): Promise<void>
  close(): Promise<void>
}

const everyMs = 500

const write = `
INSERT INTO replica_heartbeats (process, sent_at_ms, written_at) VALUES ($1, $2, now())
ON CONFLICT (process) DO UPDATE SET sent_at_ms = excluded.sent_at_ms, written_at = excluded.written_at`

// The rows of processes that have ended. Another process's next heartbeat restores a row that was removed too early.
const cleanUp = `DELETE FROM replica_heartbeats WHERE written_at < now() - interval '1 day'`

/** @param options.isFunction a Lambda function, which must not work in the background and calls `renew` */
export function openHeartbeats(
  query: Database['query'],
  { isFunction }: { isFunction: boolean },
): Heartbeats {
  const process = randomUUID()
  let firstSentAt: number | undefined
  let lastSentAt = Number.NEGATIVE_INFINITY
  let inFlight: Promise<void> | undefined

  const send = async (): Promise<void> => {
    // Taken before the statement waits for a connection: whatever was committed by now is older.
    lastSentAt = performance.now()
    const sentAt = lastSentAt
    const isFirst = firstSentAt === undefined
    firstSentAt ??= sentAt
    await query(async (queries) => {
      await queries.prepared('replica-heartbeat', write, [process, Math.floor(sentAt)])
      if (isFirst) await queries.unprepared(cleanUp, [])
    })
  }
  const beat = (): Promise<void> => {
    // Without heartbeats the age grows, so a failure needs no other reaction.
    inFlight ??= send()
      .catch(() => {})
      .finally(() => {
        inFlight = undefined
      })
    return inFlight
  }
  const timer = isFunction ? undefined : setInterval(() => void beat(), everyMs).unref()
  return {
    process,
    firstSentAt: () => firstSentAt,
    renew: async () => {
      if (performance.now() - lastSentAt > everyMs) await beat()
    },
    close: async () => {
      clearInterval(timer)
      await inFlight
    },
  }
}
