// Slows a long job down while other work uses the cache, the database or the avatar store.
import { setTimeout as pause } from 'node:timers/promises'

/** @param tookMs the duration of a step that examined `count` things */
export type Pace = (count: number, tookMs: number) => Promise<void>

const fullStep = 200
const slowdownMin = 4
const pauseMsMax = 1_000

/** Pauses for as long as a step took if each thing took far longer than in the fastest step. */
export function createPace(): Pace {
  let fastestMs = Infinity
  return async (count, tookMs) => {
    // Overhead dominates a short step.
    if (count < fullStep) return
    fastestMs = Math.min(fastestMs, tookMs / count)
    if (tookMs / count > fastestMs * slowdownMin) await pause(Math.min(tookMs, pauseMsMax))
  }
}
