// The entry of the Node server: opens the connections, listens, and closes everything on a signal.
import { resolve } from 'node:path'
import { UnsupportedCacheServer } from '../../connection/cache/trust-renewal.ts'
import { openConnections } from '../../connection/open.ts'
import { openLocalIssuer } from '../../connection/tokens/local-issuer.ts'
import { openTokenVerifier } from '../../connection/tokens/token-verifier.ts'
import { type Prepared, prepareDatabase } from '../../dev/prepare-database.ts'
import { seedSamples } from '../../dev/samples.ts'
import { openLogger } from '../../platform/logger.ts'
import { readSettings, type Settings } from '../../platform/settings.ts'
import { createTokenPolicy, tokenRules } from '../../services/identity/token-policy.ts'
import { runJobs } from '../../services/jobs/run.ts'
import { runDelivery } from '../../services/outbox/relay.ts'
import { sampleAdministrator } from '../http/routes/local-issuer/sample-administrator.ts'
import { consoleSite } from './console-site.ts'
import { type NodeServer, startNodeServer } from './http-server.ts'

const sampleUsers = 100

async function main(): Promise<void> {
  const settings = readSettings(process.env, resolve('.data'))
  const logger = openLogger(settings.logLevel)
  const prepared = await prepareDatabase(settings, logger)
  const connections = openConnections({ ...settings, databaseUrl: prepared.databaseUrl }, logger)

  let server: NodeServer | undefined
  let background: Promise<unknown> | undefined
  const backgroundStop = new AbortController()
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= stopAll()
    return stopping
  }
  const stopAll = async (): Promise<void> => {
    await server?.close()
    backgroundStop.abort()
    await background
    await connections.close()
    await prepared.close()
    logger.info('stopped')
    await logger.flush()
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      // A second signal exits without waiting.
      if (stopping !== undefined) process.exit(1)
      logger.info('stopping', { signal })
      stop().then(
        () => process.exit(0),
        (error: unknown) => fail(error),
      )
    })

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
    server = await startNodeServer(connections, verifier, {
      port: settings.port,
      ...(host && { host }),
      localIssuer: issuer,
      corsOrigins: settings.corsOrigins,
      console: consoleSite(settings, rules.issuer),
    })
    const { pool, bus } = connections.outbox
    const { signal } = backgroundStop
    background = Promise.all([
      ...(pool || bus ? [runDelivery(connections, signal)] : []),
      runJobs(connections, signal),
    ])
    const token = await issuer?.token(sampleAdministrator)
    process.stdout.write(greeting(settings, prepared, token))
    logger.info('started', { port: settings.port })
  } catch (error) {
    await stop()
    throw error
  }
}

function greeting(settings: Settings, prepared: Prepared, token: string | undefined): string {
  const url = `http://localhost:${settings.port}`
  const lines = [
    '',
    `  User directory   ${url}`,
    ...(settings.console ? [`  Console          ${settings.console.origin}/console/`] : []),
    `  Documentation    ${url}/docs`,
    `  Database         ${settings.databaseUrl ? 'from DATABASE_URL' : `embedded PostgreSQL, ${prepared.databaseUrl.replace(/:[^:@]*@/, '@')}`}`,
    `  Cache            ${settings.redisUrl ? 'from REDIS_URL' : 'in this process'}`,
    `  Avatars          ${settings.avatarBucket ? `bucket ${settings.avatarBucket}` : 'in .data/avatars'}`,
  ]
  if (token)
    lines.push(
      '',
      `  An administrator's token, valid for a day (for others: ${settings.port === 3000 ? '' : `PORT=${settings.port} `}npm run token):`,
      '',
      `TOKEN=${token}`,
      '',
      '  and a request to try:',
      '',
      `curl -s -H "Authorization: Bearer $TOKEN" '${url}/user?limit=3'`,
    )
  return `${lines.join('\n')}\n\n`
}

function fail(error: unknown): never {
  const { code, message } = error as NodeJS.ErrnoException
  const { PORT = '3000' } = process.env
  process.stderr.write(
    code === 'EADDRINUSE'
      ? `Port ${PORT} is in use by another program. Set PORT to a free one: PORT=3001 npm start\n`
      : `${message}\n`,
  )
  process.exit(1)
}

await main().catch(fail)
