// Serves in this process: opens the connections, listens, and closes everything on a signal.
import { setTimeout as pause } from 'node:timers/promises'
import { UnsupportedCacheServer } from '../../connection/cache/trust-renewal.ts'
import { type Connections, openConnections } from '../../connection/open.ts'
import { openLocalIssuer } from '../../connection/tokens/local-issuer.ts'
import { openTokenVerifier } from '../../connection/tokens/token-verifier.ts'
import { prepareDatabase } from '../../dev/prepare-database.ts'
import { seedSamples } from '../../dev/samples.ts'
import { type Logger, openLogger } from '../../platform/logger.ts'
import type { Settings } from '../../platform/settings.ts'
import type { TraceSettings } from '../../platform/trace-settings.ts'
import type { Tracer } from '../../platform/tracing/tracer.ts'
import { workerPlace } from '../../platform/worker-place.ts'
import { createTokenPolicy, tokenRules } from '../../services/identity/token-policy.ts'
import { runJobs } from '../../services/jobs/run.ts'
import { runDelivery } from '../../services/outbox/relay.ts'
import { sampleAdministrator } from '../http/routes/local-issuer/sample-administrator.ts'
import { consoleSite } from './console-site.ts'
import { greeting } from './greeting.ts'
import { type NodeServer, startNodeServer } from './http-server.ts'
import type { ServerMetrics } from './metrics.ts'
import { onStop } from './on-stop.ts'
import { untilNoneAccepts } from './stop-together.ts'
import type { RequestTracing } from './trace-requests.ts'

const sampleUsers = 100

type Metrics = ServerMetrics & { close(): Promise<void> }

/** @throws Error that says what to do, if a part cannot start */
export async function serve(settings: Settings, traces: TraceSettings | undefined): Promise<void> {
  const log = openLogger(settings.logLevel, { isShared: workerPlace !== undefined })
  const tracing = await openConfiguredTracing(settings, traces, log)
  const logger = tracing?.logger ?? log
  const prepared = await prepareDatabase(settings, logger)
  const opened = openConnections({ ...settings, databaseUrl: prepared.databaseUrl }, logger, tracing)
  const connections = tracing ? tracing.connections(opened) : opened

  let metrics: Metrics | undefined
  let server: NodeServer | undefined
  let background: Promise<unknown> | undefined
  const backgroundStop = new AbortController()
  const stopAll = async (delayMs: number): Promise<void> => {
    if (server && delayMs > 0) {
      server.announceStop()
      await pause(delayMs)
    }
    await server?.close({ isPatient: true, untilEnd: workerPlace && untilNoneAccepts })
    backgroundStop.abort()
    await background
    await metrics?.close()
    await tracing?.tracer.close()
    await connections.close()
    await prepared.close()
    logger.info('stopped')
    await log.flush()
  }
  const stop = onStop(stopAll, { logger, delayMs: settings.shutdownDelaySeconds * 1_000 })

  try {
    if (prepared.isNew) {
      process.stdout.write(`First start: creating ${sampleUsers} sample users …\n`)
      await seedSamples(connections, sampleUsers, { suffix: '' })
    }
    const { tokens } = settings
    const issuer =
      tokens.kind === 'local' ? await openLocalIssuer(settings.dataDirectory, settings.port) : undefined
    const rules = issuer?.rules ?? tokenRules(tokens)
    const verifier = openTokenVerifier(createTokenPolicy(rules))
    // The local issuer is for development, so no other machine may reach it.
    const host = issuer ? '127.0.0.1' : undefined
    // Connect before the first request: until then this process cannot invalidate entries, and other processes would do so
    // a little later. The server starts without the cache, too.
    await connections.cache.check().catch((error: unknown) => {
      if (error instanceof UnsupportedCacheServer) throw error
      logger.warn('cache unavailable', { error })
    })
    // One worker does the work in the background for all. Leases protect it from a second one, during a replacement or on
    // another machine.
    const isInBackground = !workerPlace || workerPlace.slot === 0
    metrics = await openConfiguredMetrics(settings, connections, {
      readsDatabase: isInBackground,
      host,
      tracer: tracing?.tracer,
    })
    server = await startNodeServer(connections, verifier, {
      port: settings.port,
      ...(host && { host }),
      localIssuer: issuer,
      corsOrigins: settings.corsOrigins,
      console: consoleSite(settings, rules.issuer),
      metrics,
      tracing: tracing?.requests,
    })
    if (isInBackground) {
      const { pool, bus } = connections.outbox
      const { signal } = backgroundStop
      background = Promise.all([
        ...(pool || bus ? [runDelivery(connections, signal)] : []),
        runJobs(connections, signal),
      ])
    }
    if (workerPlace) return logger.info('worker started', { slot: workerPlace.slot, pid: process.pid })
    const token = await issuer?.token(sampleAdministrator)
    const embeddedDatabase = settings.databaseUrl ? undefined : prepared.databaseUrl
    process.stdout.write(greeting(settings, { embeddedDatabase, token }))
    logger.info('started', { port: settings.port })
  } catch (error) {
    await stop()
    throw error
  }
}

/** Serves the metrics on their port, or reports them to the primary process. Loads nothing if none are configured. */
async function openConfiguredMetrics(
  { metricsPort, databaseReadUrl }: Settings,
  connections: Connections,
  { host, ...others }: { readsDatabase: boolean; host: string | undefined; tracer: Tracer | undefined },
): Promise<Metrics | undefined> {
  if (metricsPort === undefined) return undefined
  const options = { ...others, hasReplica: databaseReadUrl !== undefined }
  const metrics = (await import('./metrics.ts')).openMetrics(connections, options)
  if (workerPlace) return { ...metrics, close: (await import('./worker-metrics.ts')).reportMetrics(metrics) }
  const { serveMetrics } = await import('./metrics-server.ts')
  return {
    ...metrics,
    ...(await serveMetrics({ port: metricsPort, host }, metrics.text, connections.logger)),
  }
}

type Tracing = {
  tracer: Tracer
  logger: Logger
  requests: RequestTracing
  connections(opened: Connections): Connections
}

/** Loads nothing if no collector is configured. */
async function openConfiguredTracing(
  settings: Settings,
  traces: TraceSettings | undefined,
  log: Logger,
): Promise<Tracing | undefined> {
  if (!traces) return undefined
  const { openTracer } = await import('../../platform/tracing/tracer.ts')
  const { traceConnections } = await import('../../connection/trace-connections.ts')
  const { traceLogger, traceRequests } = await import('./trace-requests.ts')
  const tracer = openTracer(traces, log)
  return {
    tracer,
    logger: traceLogger(log, tracer),
    requests: traceRequests(tracer),
    connections: (opened) => traceConnections(opened, settings, tracer),
  }
}
