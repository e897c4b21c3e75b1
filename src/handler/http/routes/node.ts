// Public routes of the Node server: probes, the API reference, avatars, and the local issuer.

import type { Connections } from '../../../connection/open.ts'
import type { LocalIssuer } from '../../../connection/tokens/local-issuer.ts'
import { avatarPrefix } from '../../../model/avatar-key.ts'
import { docsFile, docsPage } from '../docs.ts'
import type { HttpRequest, PublicRoute, Reply } from '../endpoint.ts'
import { routeNotFound } from '../problem.ts'
import { readiness } from '../readiness.ts'
import { localIssuerRoutes } from './local-issuer/routes.ts'

/** @param options.isStopping the server is about to end */
export function nodeRoutes(
  connections: Connections,
  { localIssuer, isStopping }: { localIssuer: LocalIssuer | undefined; isStopping: () => boolean },
): PublicRoute[] {
  const routes: PublicRoute[] = [
    { method: 'GET', path: '/', handle: async (request) => toConsole(request) },
    // Liveness: restarting the process would not bring a dependency back, so none is checked.
    { method: 'GET', path: '/health', handle: async () => json({ status: 'up' }) },
    { method: 'GET', path: '/ready', handle: () => ready(connections, isStopping()) },
    { method: 'GET', path: '/openapi.json', handle: apiDocument },
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

/** Leads browsers to the console. */
function toConsole(request: HttpRequest): Reply {
  if (!(request.header('accept') ?? '').includes('text/html')) throw routeNotFound()
  return { status: 302, headers: { Location: '/console/', Vary: 'Accept' } }
}

// Serialized and encoded once: it takes milliseconds, and callers need no token.
let apiDocumentBytes: Uint8Array | undefined

async function apiDocument(): Promise<Reply> {
  const { openApiDocument } = await import('../openapi.ts')
  apiDocumentBytes ??= Buffer.from(JSON.stringify(await openApiDocument()))
  return { headers: jsonType, body: apiDocumentBytes }
}

const jsonType = { 'Content-Type': 'application/json' }

function json(value: unknown, status = 200): Reply {
  return { status, headers: jsonType, body: JSON.stringify(value) }
}

async function ready(connections: Connections, isStopping: boolean): Promise<Reply> {
  if (isStopping) return json({ status: 'stopping' }, 503)
  const answer = await readiness(connections)
  return json(answer, answer.status === 'ready' ? 200 : 503)
}
