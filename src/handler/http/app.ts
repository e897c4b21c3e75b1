// Runs each request: authenticates, authorizes, validates and calls the endpoint.
// Lambda and the Node server share it; only they differ in how a token is verified.
// Why there is no framework: docs/adr/0006-an-app-without-a-framework.md.

import type { Claims } from '../../model/claims.ts'
import { type Fault, invalid, invalidToken, missingToken } from '../../model/errors.ts'
import type { ServiceContext } from '../../services/context.ts'
import { authorize, type Caller } from '../../services/identity/access.ts'
import { type CallerLookup, createCallerLookup } from '../../services/identity/callers.ts'
import { checkPrecondition, type Precondition } from '../../services/users/precondition.ts'
import { createUserReader } from '../../services/users/read.ts'
import { bearerToken } from './bearer-token.ts'
import type { Cors } from './cors.ts'
import {
  type Call,
  type Endpoint,
  type HttpRequest,
  jsonHeaders,
  type PublicRoute,
  type Reply,
  type RequestLog,
} from './endpoint.ts'
import { checkBody, checkId, checkQuery, takeValue } from './input.ts'
import { readPrecondition } from './preconditions.ts'
import { MethodNotAllowed, routeNotFound } from './problem.ts'
import { createResponder, type MetricFields, type Observe } from './respond.ts'
import { createRouter } from './router.ts'
import { endpoints } from './routes/index.ts'

/** Never rejects: errors become problem documents. */
export type App<Request extends HttpRequest> = (request: Request) => Promise<Reply>

type AppOptions<Request extends HttpRequest> = {
  publicRoutes?: PublicRoute[]
  /** Throws ServiceError for a request that this server must not answer. */
  checkRequest?: (request: Request) => void
  metricFields?: MetricFields
  observe?: Observe
  cors?: Cors | undefined
  /** Shared with others that find callers. Absent: its own. */
  callers?: CallerLookup
}

/**
 * @param authenticate returns the claims of the request's token, or undefined without a valid token. Throws
 *   ServiceError `unavailable` if the token cannot be verified now.
 */
export function createApp<Request extends HttpRequest>(
  connections: ServiceContext,
  authenticate: (request: Request) => Promise<Claims | undefined>,
  {
    publicRoutes = [],
    checkRequest,
    metricFields,
    observe,
    cors,
    callers = createCallerLookup(connections),
  }: AppOptions<Request> = {},
): App<Request> {
  const ctx = { ...connections, callers }
  const reader = createUserReader(ctx)
  const findRoute = createRouter<Endpoint | PublicRoute>([...endpoints, ...publicRoutes])

  const respond = createResponder<Request>({ logger: ctx.logger, metricFields, observe, cors })
  return (request) => respond(request, answer)

  function answer(request: Request, log: RequestLog): Promise<Reply> {
    checkRequest?.(request)
    const found = findRoute(request.method, request.path)
    if ('methods' in found) {
      if (found.methods.length === 0) throw routeNotFound()
      const preflight = cors?.preflight(request, found.methods)
      if (preflight) return Promise.resolve(preflight)
      throw new MethodNotAllowed(found.methods)
    }
    const { route, parameters } = found
    // The pattern, because a path may contain personal data.
    log.route = `${route.method} ${route.path}`
    if (!('action' in route)) return route.handle(request, parameters)
    return handle(route, request, { id: parameters[0], log })
  }

  async function handle(
    endpoint: Endpoint,
    request: Request,
    { id, log }: { id: string | undefined; log: RequestLog },
  ): Promise<Reply> {
    const caller = await findCaller(request)
    log.caller = caller.role
    ctx.db.noteCaller(caller.key)
    authorize(caller, endpoint.action, id)

    // All faults are collected for one answer. The body comes last, because reading it may be expensive.
    const faults: Fault[] = []
    const checkedId = id === undefined ? '' : takeValue(checkId(id), faults)
    const query = takeValue(checkQuery(endpoint.query && (await endpoint.query()), request), faults)
    const precondition = takeValue(readPrecondition(request), faults)
    if (endpoint.body || endpoint.unparsedBody) request.bodyOwner = caller.key
    const body = endpoint.body && takeValue(await checkBody(endpoint, request), faults)
    if (faults.length > 0) throw invalid(...faults)
    const call: Call<unknown, unknown> = {
      // A read by id is mostly served from the cache and should not pay for a database view per caller.
      ctx: endpoint.action === 'user.read' ? ctx : { ...ctx, db: ctx.db.of(caller.key) },
      reader,
      caller,
      request,
      id: checkedId ?? '',
      query,
      body,
      precondition,
      log,
    }
    // Versioned endpoints compare where they read the version.
    if (precondition && !endpoint.isVersioned) return handleWithoutVersion(endpoint, call, precondition)
    return endpoint.handle(call)
  }

  async function findCaller(request: Request): Promise<Caller> {
    const claims = await authenticate(request)
    const caller = claims && (await callers.find(claims))
    if (!caller) throw bearerToken(request) === undefined ? missingToken() : invalidToken()
    return caller
  }
}

/** Evaluates the conditions of a request for something without a version, such as a list or a job. */
async function handleWithoutVersion(
  endpoint: Endpoint,
  call: Call<unknown, unknown>,
  precondition: Precondition,
): Promise<Reply> {
  // RFC 9110, section 13.2.1: an error comes before the conditions. Only a read can be tried without effect.
  const reply = endpoint.method === 'GET' ? await endpoint.handle(call) : undefined
  if (reply && precondition(undefined) === 'If-None-Match') return notModified
  checkPrecondition(precondition, undefined)
  return reply ?? endpoint.handle(call)
}

const notModified: Reply = { status: 304, headers: { 'Cache-Control': jsonHeaders['Cache-Control'] } }
