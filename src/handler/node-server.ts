// The app on Node's own HTTP server: it checks tokens itself, and has routes for people and probes.
import { createServer } from 'node:http'
import type { Claims } from '../connection/claims.ts'
import type { LocalIssuer } from '../connection/local-issuer.ts'
import type { Connections } from '../connection/open.ts'
import type { TokenVerifier } from '../connection/token-verifier.ts'
import { createApp } from './app.ts'
import type { HttpRequest } from './endpoint.ts'
import { NodeRequest, sendReply } from './node-request.ts'
import { nodeRoutes } from './routes/node.ts'

export type NodeServer = {
  port: number
  /** Takes no new requests, waits for those under way, up to `drainMsMax`. Connections stay open for them. */
  close(): Promise<void>
}

const drainMsMax = 10_000
// Longer than the idle time of AWS load balancers (60 s), so that the balancer closes first.
const keepAliveMs = 65_000

/**
 * @param host the address to listen on; all when absent
 * @throws Error when the port is taken
 */
export async function startNodeServer(
  connections: Connections,
  verifier: TokenVerifier,
  where: { port: number; host?: string },
  localIssuer?: LocalIssuer,
): Promise<NodeServer> {
  const app = createApp(connections, identifyByToken(verifier), {
    routes: nodeRoutes(connections, localIssuer),
  })
  let isClosing = false
  const server = createServer(
    {
      keepAliveTimeout: keepAliveMs,
      headersTimeout: 10_000,
      // The whole request, its body included, must have arrived by then.
      requestTimeout: 30_000,
      maxHeaderSize: 16 * 1024,
      // Of two tokens neither is taken, instead of the first.
      joinDuplicateHeaders: true,
    },
    (incoming, outgoing) => {
      app(new NodeRequest(incoming)).then(
        // A connection that is kept alive would otherwise bring its next request to a server that is going.
        (reply) => sendReply(incoming, outgoing, reply, isClosing),
        (error: unknown) => {
          connections.logger.error('an answer could not be made', { error })
          outgoing.destroy()
        },
      )
    },
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where.port, where.host, resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')

  return {
    port: address.port,
    close: async () => {
      isClosing = true
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const sweep = setInterval(() => server.closeIdleConnections(), 50)
      const late = setTimeout(() => server.closeAllConnections(), drainMsMax)
      await closed
      clearInterval(sweep)
      clearTimeout(late)
    },
  }
}

const scheme = 'bearer '
const nobody = Promise.resolve(undefined)

/** RFC 6750, section 2.1: the Authorization header is the only place where a token is looked for. */
function identifyByToken(verifier: TokenVerifier): (request: HttpRequest) => Promise<Claims | undefined> {
  return (request) => {
    const header = request.header('authorization') ?? ''
    return header.slice(0, scheme.length).toLowerCase() === scheme
      ? verifier.verify(header.slice(scheme.length).trim())
      : nobody
  }
}
