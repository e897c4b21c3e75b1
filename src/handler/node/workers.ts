// The primary process of several workers: starts, replaces and stops them. It serves no request itself.
// Why the workers share one listening socket: docs/adr/0025-workers-that-share-a-socket.md.
import cluster, { type Worker } from 'node:cluster'
import { isatty } from 'node:tty'
import { openLogger } from '../../platform/logger.ts'
import type { Settings } from '../../platform/settings.ts'
import { placeVariables } from '../../platform/worker-place.ts'
import { greeting } from './greeting.ts'
import { onStop } from './on-stop.ts'
import { stopTogether } from './stop-together.ts'

// A worker that lived this long had started well, so its end is the first failure again.
const steadyMs = 10_000
const restartMsMin = 250
// With the pauses between them, the starts of a slot may fail for a quarter of a minute.
const failuresMax = 6

/** @throws Error if the first worker cannot start, after it has printed why */
export async function runWorkers(settings: Settings): Promise<void> {
  const logger = openLogger(settings.logLevel, { isShared: true })
  const workers: Worker[] = []
  const failures: number[] = Array.from({ length: settings.workers }, () => 0)
  let isStopping = false
  let isReplacing = false

  const stopAll = async (delayMs: number): Promise<void> => {
    isStopping = true
    await stopTogether(
      Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined),
      delayMs,
    )
    logger.info('stopped')
    await logger.flush()
  }
  const stop = onStop(stopAll, { logger, delayMs: settings.shutdownDelaySeconds * 1_000 })

  const fork = (slot: number): Worker => {
    const worker = cluster.fork(placeVariables({ slot, of: settings.workers }))
    const startedAt = performance.now()
    worker.once('exit', (code, signal) => {
      if (isStopping || workers[slot] !== worker) return
      const isSteady = performance.now() - startedAt >= steadyMs
      const count = isSteady ? 1 : (failures[slot] ?? 0) + 1
      failures[slot] = count
      logger.error('worker ended', { slot, code, signal, failures: count })
      if (count < failuresMax) setTimeout(restart, restartMsMin * 2 ** (count - 1), slot, worker)
      else void giveUp(slot)
    })
    return worker
  }

  const restart = (slot: number, ended: Worker): void => {
    if (!isStopping && workers[slot] === ended) workers[slot] = fork(slot)
  }

  const giveUp = async (slot: number): Promise<never> => {
    await stop()
    process.stderr.write(
      `Worker ${slot} ended ${failuresMax} times right after its start, so the server stops. Look for the reason above.\n`,
    )
    process.exit(1)
  }

  /** Replaces the workers one by one. Each new one accepts requests before the old one stops. */
  const replaceAll = async (): Promise<void> => {
    if (isReplacing || isStopping) return
    isReplacing = true
    logger.info('replacing the workers')
    for (const slot of workers.keys()) {
      const next = fork(slot)
      if (!(await isListening(next))) {
        if (!isStopping) logger.error('a new worker did not start; the others stay', { slot })
        break
      }
      const old = workers[slot]
      workers[slot] = next
      failures[slot] = 0
      if (old && !isStopping) await stopTogether([old], 0)
    }
    isReplacing = false
    if (!isStopping) logger.info('replaced the workers')
  }
  // A closed terminal sends this signal too, and must end the server.
  if (!isatty(0)) process.on('SIGHUP', () => void replaceAll())

  if (settings.metricsPort !== undefined) {
    const { gatherMetrics } = await import('./worker-metrics.ts')
    const { serveMetrics } = await import('./metrics-server.ts')
    await serveMetrics({ port: settings.metricsPort }, gatherMetrics(), logger)
  }

  // All accept from one socket. By default the primary would accept and pass each connection on.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  const start = async (slot: number): Promise<void> => {
    if (isStopping) return
    const worker = fork(slot)
    if (await isListening(worker)) workers[slot] = worker
    else if (!isStopping) await exitWithoutStart()
  }
  const exitWithoutStart = async (): Promise<never> => {
    await stop()
    process.exit(1)
  }
  // The first alone, so that a reason not to start is printed once.
  await start(0)
  await Promise.all(failures.slice(1).map((_, index) => start(index + 1)))
  if (isStopping) return
  process.stdout.write(greeting(settings))
  logger.info('started', { port: settings.port, workers: settings.workers })
}

/** @returns false if the worker ended before it accepted connections */
function isListening(worker: Worker): Promise<boolean> {
  return new Promise((resolve) => {
    worker.once('listening', () => resolve(true))
    worker.once('exit', () => resolve(false))
  })
}
