// Shares the event loop between a long computation and requests.
import { setTimeout as pause, setImmediate as yieldOnce } from 'node:timers/promises'

const sliceMs = 2
// A turn of an idle loop takes far less.
const busyTurnMs = 1
/** Requests get this many times the computation's time while there are any. */
const othersShare = 3

export type Turns = {
  /** Whether the computation must let others run. Call it between small steps. */
  isOver(): boolean
  letOthersRun(): Promise<void>
}

export function createTurns(): Turns {
  let startedAt = performance.now()
  return {
    isOver: () => performance.now() - startedAt >= sliceMs,
    letOthersRun: async () => {
      const yieldedAt = performance.now()
      await yieldOnce()
      // Not longer after a longer time, in which the computation waited for something.
      if (performance.now() - yieldedAt > busyTurnMs) await pause(sliceMs * othersShare)
      startedAt = performance.now()
    },
  }
}
