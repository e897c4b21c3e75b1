// The app on Node's own HTTP server: it checks tokens itself, and has routes for people and probes.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Connections } from '../../connection/open.ts'
import type { LocalIssuer } from '../../connection/tokens/local-issuer.ts'
import type { TokenVerifier } from '../../connection/tokens/token-verifier.ts'
import type { Claims } from '../../model/claims.ts'
import { overloaded } from '../../model/errors.ts'
import { createApp, withCommonHeaders } from '../http/app.ts'
import { bearerToken } from '../http/bearer-token.ts'
import { type Cors, openCors } from '../http/cors.ts'
import type { Reply } from '../http/endpoint.ts'
import { problemReply } from '../http/problem.ts'
import { readRequestId } from '../http/request-id.ts'
import { nodeRoutes } from '../http/routes/node.ts'
import { bodyMsMax } from './body.ts'
import { createHostCheck } from './host.ts'
import { openLoadShedding } from './load-shedding.ts'
import { answerMalformedRequests, headerBytesMax } from './malformed-request.ts'
import { NodeRequest, sendReply } from './request.ts'

type Arrival = {
  request: NodeRequest
  incoming: IncomingMessage
  outgoing: ServerResponse
  connection: Socket
}

export type NodeServer = {
  port: number
  /** Takes no new requests, waits for those under way, up to `drainMsMax`. Connections stay open for them. */
  close(): Promise<void>
}

const drainMsMax = 10_000
const headersMsMax = 10_000
// Longer than the idle time of AWS load balancers (60 s), so that the balancer closes first.
const keepAliveMs = 65_000
// Some hundred megabytes, if all are in use. Beyond them a connection is closed as soon as it is made.
const connectionsMax = 10_000
// Connections that come in one turn of the event loop. Those beyond would be tried again by their clients after seconds.
const backlog = 4_096
// A client that takes nothing of its answer for so long is cut off, also one whose answer takes so long: none does.
const stallMsMax = 60_000

/** Always served: a busy server must not be taken for a dead one. */
const probes = new Set(['/health', '/ready'])

/**
 * @param options.host the address to listen on; all when absent
 * @param options.localIssuer the server is this machine's alone
 * @throws Error when the port is taken
 */
export async function startNodeServer(
  connections: Connections,
  verifier: TokenVerifier,
  options: { port: number; host?: string; localIssuer?: LocalIssuer | undefined; corsOrigins?: string[] },
): Promise<NodeServer> {
  const { localIssuer, corsOrigins = [], ...where } = options
  const cors = openCors(corsOrigins)
  const app = createApp<NodeRequest>(connections, identifyByToken(verifier), {
    publicRoutes: nodeRoutes(connections, localIssuer),
    checkRequest: createHostCheck(localIssuer !== undefined),
    cors,
  })
  let isClosing = false
  const serve = ({ request, incoming, outgoing }: Arrival): Promise<void> =>
    app(request).then(
      (reply) => {
        request.release()
        // A connection that is kept alive would otherwise bring its next request to a server that is going.
        sendReply(incoming, outgoing, reply, isClosing || request.isLast)
      },
      (error: unknown) => {
        request.release()
        connections.logger.error('an answer could not be made', { error })
        outgoing.destroy()
      },
    )
  const shareOf = shareByToken(verifier)
  const loadShedding = openLoadShedding<Arrival>({
    logger: connections.logger,
    callerOf: ({ request }) => shareOf(request),
    serve,
    refuse: ({ request, incoming, outgoing }, isLast, sent) => {
      outgoing.once('finish', sent)
      sendReply(incoming, outgoing, refusal(request, cors), isClosing || isLast)
    },
  })
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    const request = new NodeRequest(incoming)
    const arrival = { request, incoming, outgoing, connection: incoming.socket }
    if (probes.has(request.path)) void serve(arrival)
    else loadShedding.decide(arrival)
  }
  const server = createServer(
    {
      keepAliveTimeout: keepAliveMs,
      headersTimeout: headersMsMax,
      // For what is never read; `readBody` is stricter.
      requestTimeout: headersMsMax + bodyMsMax + 5_000,
      // Both times are looked at no more often than this.
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: headerBytesMax,
      // A problem document says so: `createHostCheck`.
      requireHostHeader: false,
      // Of two tokens neither is taken, instead of the first.
      joinDuplicateHeaders: true,
    },
    answer,
  )
  // RFC 9110, section 10.1.1: expectations that are not known may be ignored.
  server.on('checkExpectation', answer)
  answerMalformedRequests(server, connections.logger)
  server.maxConnections = connectionsMax
  server.timeout = stallMsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...where, backlog }, resolve)
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
      loadShedding.close()
      clearInterval(sweep)
      clearTimeout(late)
    },
  }
}

// Made once: a stack is not for nothing.
const busy = overloaded()

/** Neither the token nor the body is looked at, nor is a line logged: it must cost less than an answer. */
function refusal(request: NodeRequest, cors: Cors | undefined): Reply {
  const requestId = readRequestId(request.header('x-request-id'))
  return withCommonHeaders(problemReply(busy, requestId), requestId, cors?.headers(request))
}

/** The caller of a token that was verified before, else the address. It does no work that an attacker could ask for. */
function shareByToken(verifier: TokenVerifier): (request: NodeRequest) => string {
  // Joined once for each token: a string that is made anew is hashed anew by each map that it is looked up in.
  const keys = new WeakMap<Claims, string>()
  return (request) => {
    const token = bearerToken(request)
    const claims = token === undefined ? undefined : verifier.cached(token)
    if (!claims) return request.source ?? ''
    let key = keys.get(claims)
    if (key === undefined) {
      key = `${claims.client} ${claims.username}`
      keys.set(claims, key)
    }
    return key
  }
}

const nobody = Promise.resolve(undefined)

function identifyByToken(verifier: TokenVerifier): (request: NodeRequest) => Promise<Claims | undefined> {
  return (request) => {
    const token = bearerToken(request)
    return token === undefined ? nobody : verifier.verify(token)
  }
}
