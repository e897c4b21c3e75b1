// Routes of the Node server only: probes, the API's description, avatars, and the local issuer's keys.
import { type LocalIssuer, localIssuerPath } from '../../connection/local-issuer.ts'
import type { Connections } from '../../connection/open.ts'
import type { App } from '../app.ts'
import { docsFile, docsPage } from '../docs.ts'

const checkMsMax = 1_500

export function addNodeRoutes(
  app: App,
  connections: Connections,
  localIssuer: LocalIssuer | undefined,
): void {
  // Liveness: the process answers. That a dependency is down is no reason to restart it.
  app.get('/health', (context) => context.json({ status: 'up' }))

  app.get('/ready', async (context) => {
    const { db, cache, avatars } = connections
    const states = await Promise.all(
      Object.entries({ database: db, cache, avatars }).map(
        async ([name, dependency]) => [name, await stateOf(() => dependency.check())] as const,
      ),
    )
    const dependencies = Object.fromEntries(states)
    // Without the cache reads are slower, without avatars uploads fail; without the database nothing works.
    const isReady = dependencies.database === 'up'
    return context.json({ status: isReady ? 'ready' : 'not ready', dependencies }, isReady ? 200 : 503)
  })

  app.get('/openapi.json', async (context) => {
    const { openApiDocument } = await import('../openapi.ts')
    return context.json(openApiDocument())
  })

  app.get('/docs', docsPage)
  app.get('/docs/:file', (context) => docsFile(context, context.req.param('file')))

  app.get('/avatars/:user/:file', async (context) => {
    const key = `avatars/${context.req.param('user')}/${context.req.param('file')}`
    const bytes = await connections.avatars.read(key)
    if (!bytes) return context.notFound()
    return context.body(Buffer.from(bytes), 200, {
      'Content-Type': 'image/webp',
      // The path holds the hash of the content.
      'Cache-Control': 'public, max-age=31536000, immutable',
      'Content-Security-Policy': "default-src 'none'; sandbox",
      'Cross-Origin-Resource-Policy': 'cross-origin',
    })
  })

  if (localIssuer) {
    app.get(`${localIssuerPath}/.well-known/jwks.json`, (context) => context.json(localIssuer.jwks))
  }
}

async function stateOf(check: () => Promise<void>): Promise<'up' | 'down'> {
  const late = AbortSignal.timeout(checkMsMax)
  return Promise.race([
    check().then(() => 'up' as const),
    new Promise<'down'>((resolve) => late.addEventListener('abort', () => resolve('down'))),
  ]).catch(() => 'down')
}
