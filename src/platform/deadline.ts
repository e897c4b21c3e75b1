// Waits with a time limit.
import { setTimeout as pause } from 'node:timers/promises'

/** Waits for `work` for at most `ms`. @throws the error of `work` within that time */
export async function waitWithin(work: Promise<void>, ms: number): Promise<void> {
  const end = new AbortController()
  await Promise.race([work, pause(ms, undefined, { signal: end.signal }).catch(() => {})])
  end.abort()
}
