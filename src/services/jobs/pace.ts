// Slows a job down while requests use most of the event loop. A step mostly runs in PostgreSQL, which may share its
// processors with this process, so the job then rests for several times as long as a step took.
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { createPace, type Pace } from '../pace.ts'

// The job's own part is a third at most.
const busy = 0.8
/** Requests get this many times the job's time while there are many. */
const othersShare = 3
const pauseMsMax = 3_000

export function createJobPace(): Pace {
  const pace = createPace()
  let before = performance.eventLoopUtilization()
  return async (count, tookMs) => {
    if (performance.eventLoopUtilization(before).utilization > busy)
      await pause(Math.min(tookMs * othersShare, pauseMsMax))
    else await pace(count, tookMs)
    before = performance.eventLoopUtilization()
  }
}
