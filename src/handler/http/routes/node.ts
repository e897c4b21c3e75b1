// Routes of the Node server only: probes, the API's description, avatars, and the local issuer's keys.

import type { Connections } from '../../../connection/open.ts'
import { ReadOnlyDatabase } from '../../../connection/postgres/database.ts'
import { type LocalIssuer, localIssuerPath } from '../../../connection/tokens/local-issuer.ts'
import { avatarPrefix } from '../../../model/avatar-key.ts'
import { ServiceError } from '../../../model/errors.ts'
import { lagSecondsMax, outboxState } from '../../../services/outbox/state.ts'
import { docsFile, docsPage } from '../docs.ts'
import type { PublicRoute, Reply } from '../endpoint.ts'
import { routeNotFound } from '../problem.ts'
import { signInLocally } from './local-sign-in.ts'

const checkMsMax = 1_500

export function nodeRoutes(connections: Connections, localIssuer: LocalIssuer | undefined): PublicRoute[] {
  const routes: PublicRoute[] = [
    // Liveness: the process answers. That a dependency is down is no reason to restart it.
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
          // The path holds the hash of the content.
          'Cache-Control': 'public, max-age=31536000, immutable',
          'Content-Security-Policy': "default-src 'none'; sandbox",
          'Cross-Origin-Resource-Policy': 'cross-origin',
        }
        return { headers, body: bytes }
      },
    },
  ]
  if (localIssuer) {
    const path = `${localIssuerPath}/.well-known/jwks.json`
    routes.push({ method: 'GET', path, handle: async () => json(localIssuer.jwks) })
    routes.push({
      method: 'POST',
      path: `${localIssuerPath}/oauth2/token`,
      handle: (request) => signInLocally(connections, localIssuer, request),
    })
  }
  return routes
}

function json(value: unknown, status = 200): Reply {
  return { status, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) }
}

async function ready(connections: Connections): Promise<Reply> {
  const { db, cache, avatars } = connections
  const behind = describeOutbox(connections)
  const states = await Promise.all(
    Object.entries({ database: db, cache, avatars }).map(
      async ([name, dependency]) => [name, await stateOf(() => dependency.check())] as const,
    ),
  )
  const dependencies = Object.fromEntries(states)
  // Without the cache reads are slower, without avatars uploads fail; without the database nothing works.
  const isReady = dependencies.database === 'up'
  const status = isReady ? 'ready' : 'not ready'
  return json({ status, dependencies, outbox: await behind }, isReady ? 200 : 503)
}

/** How far the user pool and the event bus are behind: no reason to send no traffic here. */
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
  const late = AbortSignal.timeout(checkMsMax)
  return Promise.race([
    check().then(
      () => 'up' as const,
      (error: unknown): State => {
        if (!(error instanceof ServiceError)) return 'down'
        if (error.cause instanceof ReadOnlyDatabase) return 'read-only'
        // It has more to do than it can: a reason to send less, none to send nothing.
        return error.code === 'overloaded' ? 'up' : 'down'
      },
    ),
    new Promise<'down'>((resolve) => late.addEventListener('abort', () => resolve('down'))),
  ])
}
