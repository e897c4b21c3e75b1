// Ends the process in order, once, on a signal or by order of the primary process.
import type { Logger } from '../../platform/logger.ts'
import { workerPlace } from '../../platform/worker-place.ts'
import type { StopOrder } from './worker-messages.ts'

/**
 * @param work closes everything; `delayMs` is the time that load balancers get before
 * @returns does the work at once and does not end the process
 */
export function onStop(
  work: (delayMs: number) => Promise<void>,
  { logger, delayMs }: { logger: Logger; delayMs: number },
): () => Promise<void> {
  let stopping: Promise<void> | undefined
  const stop = (delayMs: number): Promise<void> => {
    stopping ??= work(delayMs)
    return stopping
  }
  const end = (delayMs: number): void => {
    stop(delayMs).then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`Stopping failed: ${error instanceof Error ? error.message : error}\n`)
        process.exit(1)
      },
    )
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      // A second signal exits without waiting.
      if (stopping !== undefined) process.exit(1)
      logger.info('stopping', { signal })
      end(delayMs)
    })
  if (workerPlace) {
    process.on('message', ({ stopAfterMs }: Partial<StopOrder>) => {
      if (stopAfterMs !== undefined) end(stopAfterMs)
    })
    // The primary decides about restarts; a signal to the whole process group must not end its workers.
    process.on('SIGHUP', () => {})
  }
  return () => stop(0)
}
