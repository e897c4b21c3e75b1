// Waits for a condition, never for a time.
import { setTimeout as pause } from 'node:timers/promises'

/** Polls until `condition` gives something truthy. @throws Error naming what was waited for, after `timeoutMs` */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<NonNullable<T>> {
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > giveUpAt) throw new Error(`waited ${timeoutMs} ms in vain for ${what}`)
    await pause(10)
  }
}
