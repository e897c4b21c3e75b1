// Serves the app with Node's HTTP server, which verifies tokens itself and has public routes.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'
import type { Connections } from '../../connection/open.ts'
import type { LocalIssuer } from '../../connection/tokens/local-issuer.ts'
import type { TokenVerifier } from '../../connection/tokens/token-verifier.ts'
import type { Claims } from '../../model/claims.ts'
import { overloaded } from '../../model/errors.ts'
import { createRequestCounts } from '../../platform/request-counts.ts'
import { createCallerLookup } from '../../services/identity/callers.ts'
import { createApp } from '../http/app.ts'
import { bearerToken } from '../http/bearer-token.ts'
import type { Console, ConsoleSite } from '../http/console/console.ts'
import { isConsolePath } from '../http/console/path.ts'
import { type Cors, openCors } from '../http/cors.ts'
import { countRequest } from '../http/count-request.ts'
import type { HttpRequest, Reply } from '../http/endpoint.ts'
import { problemReply } from '../http/problem.ts'
import { readRequestId } from '../http/request-id.ts'
import { type Observe, withCommonHeaders } from '../http/respond.ts'
import { nodeRoutes } from '../http/routes/node.ts'
import { ApiRequest } from './api-request.ts'
import { uploadMsMax } from './body-stream.ts'
import { compressReply } from './compress-reply.ts'
import { createHostCheck, type HostedRequest } from './host.ts'
import { openLoadShedding } from './load-shedding.ts'
import { answerMalformedRequests, headerBytesMax } from './malformed-request.ts'
import type { ServerMetrics } from './metrics.ts'
import { NodeRequest, sendReply } from './request.ts'
import type { RequestTracing } from './trace-requests.ts'

type Arrival = {
  request: NodeRequest
  incoming: IncomingMessage
  outgoing: ServerResponse
  connection: Socket
}

export type NodeServer = {
  port: number
  /** Makes `/ready` answer 503 from now on, so that load balancers send no more requests. */
  announceStop(): void
  /**
   * Stops accepting connections and waits at most `drainMsMax` for the requests in flight.
   * @param options.untilEnd ends connections only after this, called when the server accepts no more
   * @param options.isPatient waits for requests that may be on their way on idle connections of active clients
   */
  close(options?: { isPatient?: boolean; untilEnd?: (() => Promise<void>) | undefined }): Promise<void>
}

const drainMsMax = 10_000
// A client that sends more often gets `Connection: close` with its next answer, and so loses no request.
const quietMsMin = 3_000
const headersMsMax = 10_000
// Longer than the idle timeout of AWS load balancers (60 s), so that the balancer closes idle connections first.
const keepAliveMs = 65_000
// Takes some hundred megabytes if all are in use. Node closes further connections at once.
const connectionsMax = 10_000
// Connections accepted in one turn of the event loop. Clients beyond it would retry only after seconds.
const backlog = 4_096
// Disconnects clients that stop reading their answer. No answer takes this long to produce.
const idleSocketMsMax = 60_000

/** Always served, because a busy server must not look dead. */
const probes = new Set(['/health', '/ready'])

/**
 * @param options.host the address to listen on; all addresses if absent
 * @param options.localIssuer if present, the server is for this machine only
 * @param options.console absent if the settings name no client for it; `clock` measures its sessions, in epoch milliseconds
 * @throws Error if the port is in use
 */
export async function startNodeServer(
  connections: Connections,
  verifier: TokenVerifier,
  options: {
    port: number
    host?: string
    localIssuer?: LocalIssuer | undefined
    corsOrigins?: string[]
    console?: ConsoleSite | undefined
    clock?: () => number
    metrics?: ServerMetrics | undefined
    tracing?: RequestTracing | undefined
  },
): Promise<NodeServer> {
  const { localIssuer, corsOrigins = [], console: site, clock, metrics, tracing, ...where } = options
  const cors = openCors(corsOrigins)
  const callers = createCallerLookup(connections)
  metrics?.countSessionEnds(callers.ends)
  const checkRequest = createHostCheck(localIssuer !== undefined)
  const counts = createRequestCounts()
  let isStopping = false
  const observe: Observe = (log, status, durationMs) => {
    metrics?.observe(log, status, durationMs)
    tracing?.observe(log, status, durationMs)
  }
  const app = createApp<HttpRequest & HostedRequest>(connections, verifyToken(verifier), {
    publicRoutes: nodeRoutes(connections, { localIssuer, isStopping: () => isStopping }),
    checkRequest,
    observe: (log, status, durationMs) => {
      countRequest(counts, log, { status, durationMs })
      observe(log, status, durationMs)
    },
    cors,
    callers,
  })
  let console: Console<NodeRequest> | undefined
  // Loaded by its first request, so that servers without a console's user do not pay for it.
  const answerConsole = async (request: NodeRequest): Promise<Reply> => {
    if (!console) {
      const [{ createConsole }, { openOpenIdProvider }] = await Promise.all([
        import('../http/console/console.ts'),
        import('../../connection/tokens/openid-provider.ts'),
      ])
      console ??= createConsole<NodeRequest>({
        connections,
        callers,
        counts,
        observe,
        verifier,
        site,
        openProvider: openOpenIdProvider,
        servesFiles: true,
        checkRequest,
        callApi: async (request, as) =>
          compressReply(await app(new ApiRequest(request, as)), request.header('accept-encoding')),
        clock,
      })
    }
    return console.answer(request)
  }
  const untracedReply = (request: NodeRequest): Promise<Reply> =>
    isConsolePath(request.path) ? answerConsole(request) : app(request)
  const replyTo = tracing ? tracing.trace(untracedReply) : untracedReply
  let isClosing = false
  const serve = ({ request, incoming, outgoing }: Arrival): Promise<void> =>
    replyTo(request).then(
      (reply) => {
        request.release()
        // While closing, keep-alive connections would bring further requests.
        sendReply(incoming, outgoing, { reply, isLast: isClosing || request.isLast })
      },
      (error: unknown) => {
        request.release()
        connections.logger.error('sending an answer failed', { error })
        outgoing.destroy()
      },
    )
  const callerKey = callerKeyByClaims((request) => {
    if (isConsolePath(request.path)) return console?.recentClaims(request)
    const token = bearerToken(request)
    // Unverified tokens cause no work, because attackers could send many.
    return token === undefined ? undefined : verifier.cached(token)
  })
  const loadShedding = openLoadShedding<Arrival>({
    logger: connections.logger,
    callerOf: ({ request }) => callerKey(request),
    serve,
    reject: ({ request, incoming, outgoing }, isLast, sent) => {
      counts.addRejected()
      metrics?.requestShed()
      outgoing.once('finish', sent)
      sendReply(incoming, outgoing, { reply: rejection(request, cors), isLast: isClosing || isLast })
    },
  })
  let usedAt = 0
  const answer = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    usedAt = performance.now()
    const request = new NodeRequest(incoming)
    const arrival = { request, incoming, outgoing, connection: incoming.socket }
    if (probes.has(request.path)) void serve(arrival)
    else loadShedding.decide(arrival)
  }
  const server = createServer(
    {
      keepAliveTimeout: keepAliveMs,
      headersTimeout: headersMsMax,
      // For the longest upload. `readBody` is stricter, and a body that no endpoint reads is discarded after the answer.
      requestTimeout: headersMsMax + uploadMsMax + 5_000,
      // How often Node checks both timeouts.
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: headerBytesMax,
      // `createHostCheck` rejects such requests with a problem document.
      requireHostHeader: false,
      // Joins two Authorization headers to an invalid one, instead of accepting the first.
      joinDuplicateHeaders: true,
    },
    answer,
  )
  // RFC 9110, section 10.1.1: a server may ignore unknown expectations.
  server.on('checkExpectation', answer)
  server.on('connection', () => {
    usedAt = performance.now()
  })
  answerMalformedRequests(server, connections.logger)
  server.maxConnections = connectionsMax
  server.timeout = idleSocketMsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ ...where, backlog }, resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no TCP port')

  return {
    port: address.port,
    announceStop: () => {
      isStopping = true
    },
    close: async ({ isPatient = false, untilEnd } = {}) => {
      // The method of http.Server would also close idle connections, on which requests may be on their way.
      const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()))
      await untilEnd?.()
      isClosing = true
      const closeIdle = (): void => {
        if (!isPatient || performance.now() - usedAt >= quietMsMin) server.closeIdleConnections()
      }
      closeIdle()
      const closing = setInterval(closeIdle, 50)
      const timeout = setTimeout(() => server.closeAllConnections(), drainMsMax)
      await closed
      loadShedding.close()
      clearInterval(closing)
      clearTimeout(timeout)
    },
  }
}

// Created once, because capturing a stack trace is expensive.
const overloadError = overloaded()

/** Ignores token and body and writes no log line, so that a rejection costs much less than an answer. */
function rejection(request: NodeRequest, cors: Cors | undefined): Reply {
  const requestId = readRequestId(request.header('x-request-id'))
  return withCommonHeaders(problemReply(overloadError, requestId), requestId, cors?.headers(request))
}

/**
 * Identifies callers for fair shares: by the claims of a token that was verified before, otherwise by address.
 *
 * @param claimsOf returns undefined for an unknown caller
 */
function callerKeyByClaims(
  claimsOf: (request: NodeRequest) => Claims | undefined,
): (request: NodeRequest) => string {
  // One string for each token, because V8 caches a string's hash and every new string is hashed again.
  const keys = new WeakMap<Claims, string>()
  return (request) => {
    const claims = claimsOf(request)
    if (!claims) return request.source ?? ''
    let key = keys.get(claims)
    if (key === undefined) {
      key = `${claims.client} ${claims.username}`
      keys.set(claims, key)
    }
    return key
  }
}

// Shared, so that requests without a token allocate no promise.
const noClaims = Promise.resolve(undefined)

function verifyToken(verifier: TokenVerifier): (request: HttpRequest) => Promise<Claims | undefined> {
  return (request) => {
    const token = bearerToken(request)
    return token === undefined ? noClaims : verifier.verify(token)
  }
}
