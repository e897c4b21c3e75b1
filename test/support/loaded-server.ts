// Starts a separate server process for load tests, with the suite's Redis and a fresh database.
import { tmpdir } from 'node:os'
import { afterAll, inject } from 'vitest'
import { freshDatabase } from './database.ts'
import { startIssuer } from './issuer.ts'
import { startServer } from './torture.ts'

/** @param settings additional settings */
export async function startLoadedServer(settings: Record<string, string> = {}) {
  const issuer = await startIssuer()
  afterAll(issuer.close)
  const server = await startServer(tmpdir(), {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: inject('redisUrl'),
    JWT_ISSUER: issuer.rules.issuer,
    JWT_JWKS_URI: issuer.rules.jwksUri,
    JWT_AUDIENCE: issuer.rules.audience.join(),
    ...settings,
  })
  afterAll(server.stop)
  return { issuer, server, admin: await issuer.machineToken('users/write') }
}
