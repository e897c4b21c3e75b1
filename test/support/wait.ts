// Waits for a condition instead of a fixed time.
import { setTimeout as delay } from 'node:timers/promises'

const pollMs = 10
const pollMsMax = 30

/** Polls until `condition` returns a truthy value. @throws Error that names the goal, after `timeoutMs` */
export async function until<T>(
  goal: string,
  condition: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<NonNullable<T>> {
  const startedAt = performance.now()
  for (;;) {
    const value = await condition()
    if (value) return value
    const waitedMs = performance.now() - startedAt
    if (waitedMs > timeoutMs) throw new Error(`timed out after ${timeoutMs} ms waiting for ${goal}`)
    // A long wait polls less often, because a condition may cost as much processor time as the awaited work.
    await delay(Math.min(pollMs + waitedMs / 100, pollMsMax))
  }
}
