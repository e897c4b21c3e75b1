// Public routes of the Node server: probes, the API reference, avatars, and the local issuer.

import type { Connections } from '../../../connection/open.ts'
import { ReadOnlyDatabase } from '../../../connection/postgres/database.ts'
import type { LocalIssuer } from '../../../connection/tokens/local-issuer.ts'
import { avatarPrefix } from '../../../model/avatar-key.ts'
import { ServiceError } from '../../../model/errors.ts'
import { lagSecondsMax, outboxState } from '../../../services/outbox/state.ts'
import { docsFile, docsPage } from '../docs.ts'
import type { PublicRoute, Reply } from '../endpoint.ts'
import { routeNotFound } from '../problem.ts'
import { localIssuerRoutes } from './local-issuer/routes.ts'

const checkMsMax = 1_500

export function nodeRoutes(connections: Connections, localIssuer: LocalIssuer | undefined): PublicRoute[] {
  const routes: PublicRoute[] = [
    // Liveness: restarting the process would not bring a dependency back, so none is checked.
    { method: 'GET', path: '/health', handle: async () => json({ status: 'up' }) },
    { method: 'GET', path: '/ready', handle: () => ready(connections) },
    {
      method: 'GET',
      path: '/openapi.json',
      handle: async () => {
        const { openApiDocument } = await import('../openapi.ts')
        return json(await openApiDocument())
      },
    },
    { method: 'GET', path: '/docs', handle: async () => docsPage },
    { method: 'GET', path: '/docs/{file}', handle: (_request, [file = '']) => docsFile(file) },
    {
      method: 'GET',
      path: '/avatars/{user}/{file}',
      handle: async (_request, [user, file]) => {
        const bytes = await connections.avatars.read(`${avatarPrefix}${user}/${file}`)
        if (!bytes) throw routeNotFound()
        const headers = {
          'Content-Type': 'image/webp',
          // The path contains the hash of the content.
          'Cache-Control': 'public, max-age=31536000, immutable',
          'Content-Security-Policy': "default-src 'none'; sandbox",
          'Cross-Origin-Resource-Policy': 'cross-origin',
        }
        return { headers, body: bytes }
      },
    },
  ]
  if (localIssuer) routes.push(...localIssuerRoutes(connections, localIssuer))
  return routes
}

function json(value: unknown, status = 200): Reply {
  return { status, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) }
}

async function ready(connections: Connections): Promise<Reply> {
  const { db, cache, avatars } = connections
  const outbox = describeOutbox(connections)
  const states = await Promise.all(
    Object.entries({ database: db, cache, avatars }).map(
      async ([name, dependency]) => [name, await stateOf(() => dependency.check())] as const,
    ),
  )
  const dependencies = Object.fromEntries(states)
  // Without the cache reads are slower, and without the avatar store uploads fail. Only the database is essential.
  const isReady = dependencies.database === 'up'
  const status = isReady ? 'ready' : 'not ready'
  return json({ status, dependencies, outbox: await outbox }, isReady ? 200 : 503)
}

/** The backlog for the user pool and the event bus. It does not make the server unready. */
async function describeOutbox(connections: Connections): Promise<object | undefined> {
  const { pool, bus } = connections.outbox
  if (!pool && !bus) return undefined
  try {
    const { pending, lagSeconds } = await outboxState(connections)
    const state = lagSeconds > lagSecondsMax ? 'lagging' : 'up'
    return { state, pending, oldest_seconds: Math.round(lagSeconds) }
  } catch {
    return { state: 'unknown' }
  }
}

type State = 'up' | 'read-only' | 'down'

async function stateOf(check: () => Promise<void>): Promise<State> {
  const timeout = AbortSignal.timeout(checkMsMax)
  return Promise.race([
    check().then(
      () => 'up' as const,
      (error: unknown): State => {
        if (!(error instanceof ServiceError)) return 'down'
        if (error.cause instanceof ReadOnlyDatabase) return 'read-only'
        // An overloaded dependency still works; removing this server from the balancer would not help.
        return error.code === 'overloaded' ? 'up' : 'down'
      },
    ),
    new Promise<'down'>((resolve) => timeout.addEventListener('abort', () => resolve('down'))),
  ])
}
