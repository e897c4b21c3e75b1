// Starts a separate server process for load tests, with the suite's Redis and a fresh database.
import { tmpdir } from 'node:os'
import { inject } from 'vitest'
import { atEnd } from './cleanup.ts'
import { freshDatabase } from './database.ts'
import { startIssuer, tokenSettings } from './issuer.ts'
import { startServer } from './started-server.ts'

/** @param settings additional settings */
export async function startLoadedServer(settings: Record<string, string> = {}) {
  const issuer = await startIssuer()
  atEnd(issuer.close)
  const server = await startServer(tmpdir(), {
    PATH: process.env.PATH ?? '',
    DATABASE_URL: await freshDatabase(),
    REDIS_URL: inject('redisUrl'),
    ...tokenSettings(issuer.rules),
    ...settings,
  })
  atEnd(server.stop)
  return { issuer, server, admin: await issuer.machineToken('users/write') }
}
