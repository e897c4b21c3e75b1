// Workers that stop end connections only when none accepts any more. A client whose connection ended opens another, which
// would wait in the shared socket and be reset when the last worker closes that.

import type { Worker } from 'node:cluster'
import { once } from 'node:events'
import type { AcceptsNoMore, EndConnections, StopOrder } from './worker-messages.ts'

// Above the time for requests in flight and for giving back a job.
const stopMsMax = 30_000
// After it a worker ends its connections whatever the others do.
const togetherMsMax = 5_000

/** In the primary process: stops these workers after the delay, and kills those that take too long. */
export async function stopTogether(workers: Worker[], stopAfterMs: number): Promise<void> {
  const alive = workers.filter((worker) => !worker.isDead())
  const accepting = new Set(alive)
  const acceptsNoMore = (worker: Worker): void => {
    if (!accepting.delete(worker) || accepting.size > 0) return
    for (const each of alive) send(each, { endConnections: true })
  }
  await Promise.all(
    alive.map(async (worker) => {
      const ended = once(worker, 'exit')
      worker.on('message', (message: Partial<AcceptsNoMore>) => {
        if (message.acceptsNoMore) acceptsNoMore(worker)
      })
      send(worker, { stopAfterMs })
      const tooLate = setTimeout(() => worker.process.kill('SIGKILL'), stopAfterMs + stopMsMax)
      await ended
      clearTimeout(tooLate)
      acceptsNoMore(worker)
    }),
  )
}

function send(worker: Worker, message: StopOrder | EndConnections): void {
  // Fails if the worker is ending by itself.
  if (worker.isConnected()) worker.send(message, () => {})
}

/** In a worker that has closed its socket: waits until those that stop with it have done so too. */
export function untilNoneAccepts(): Promise<void> {
  return new Promise((resolve) => {
    const limit = setTimeout(resolve, togetherMsMax)
    const report: AcceptsNoMore = { acceptsNoMore: true }
    process.on('message', ({ stopAfterMs, endConnections }: Partial<StopOrder & EndConnections>) => {
      // The primary process did not hear a report from before its order, as after a signal to all processes.
      if (stopAfterMs !== undefined) process.send?.(report)
      if (!endConnections) return
      clearTimeout(limit)
      resolve()
    })
    process.send?.(report)
  })
}
