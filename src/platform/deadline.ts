// Waiting, but not for ever.
import { setTimeout as pause } from 'node:timers/promises'

/** Waits for `work`, but no longer than `ms`. @throws what `work` does in that time */
export async function waitWithin(work: Promise<void>, ms: number): Promise<void> {
  const end = new AbortController()
  await Promise.race([work, pause(ms, undefined, { signal: end.signal }).catch(() => {})])
  end.abort()
}
