// Waits for a condition instead of a fixed time.
import { setTimeout as delay } from 'node:timers/promises'

/** Polls until `condition` returns a truthy value. @throws Error that names the goal, after `timeoutMs` */
export async function until<T>(
  goal: string,
  condition: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`timed out after ${timeoutMs} ms waiting for ${goal}`)
    await delay(10)
  }
}
