// The HTTP app: a request id, the caller, access, validation, one handler, one log line. It runs behind
// API Gateway and on the Node server alike; they differ in who has checked the token.

import type { Claims } from '../../connection/tokens/claims.ts'
import { type Fault, invalid, invalidToken, missingToken, ServiceError } from '../../model/errors.ts'
import { readUuid } from '../../model/uuid.ts'
import { type Checked, check, textFault } from '../../model/validate.ts'
import type { ServiceContext } from '../../services/context.ts'
import { authorize, type Caller } from '../../services/identity/access.ts'
import { createCallerLookup } from '../../services/identity/callers.ts'
import { checkPrecondition } from '../../services/users/precondition.ts'
import { createUserReader } from '../../services/users/read.ts'
import { mediaType, parseJson, readBytes } from './body.ts'
import type { Cors } from './cors.ts'
import {
  type Endpoint,
  type HttpRequest,
  jsonHeaders,
  type OpenRoute,
  type Reply,
  type RequestLog,
  type Schema,
} from './endpoint.ts'
import { readPrecondition } from './preconditions.ts'
import { noSuchRoute, problemReply } from './problem.ts'
import { readQueryString } from './query-string.ts'
import { createRouter } from './router.ts'
import { avatarEndpoints } from './routes/avatars.ts'
import { userEndpoints } from './routes/users.ts'

export const endpoints: Endpoint[] = [...userEndpoints, ...avatarEndpoints]

/** What is asked is answered, also what is refused and what fails: the promise is never rejected. */
export type App<Request extends HttpRequest> = (request: Request) => Promise<Reply>

/** What is known of a request at its end. */
export type Outcome = { status: number; durationMs: number; cache: unknown }

/**
 * @param identify tells what the caller's token says, undefined when there is no valid one; it throws
 *   ServiceError `unavailable` when nobody can tell
 * @param more.routes those outside the protected API
 * @param more.check throws ServiceError for a request that this server must not answer
 * @param more.measure gives a request's log line more fields
 */
export function createApp<Request extends HttpRequest>(
  connections: ServiceContext,
  identify: (request: Request) => Promise<Claims | undefined>,
  more: {
    routes?: OpenRoute[]
    measure?: (outcome: Outcome) => Record<string, unknown>
    check?: (request: Request) => void
    cors?: Cors | undefined
  } = {},
): App<Request> {
  const callers = createCallerLookup(connections)
  const ctx = { ...connections, callers }
  const reader = createUserReader(ctx)
  const find = createRouter<Endpoint | OpenRoute>([...endpoints, ...(more.routes ?? [])])

  return async (request) => {
    const startedAt = performance.now()
    const requestId = readRequestId(request.header('x-request-id'))
    const log: RequestLog = { route: 'none', caller: undefined, cache: undefined }
    let reply: Reply
    try {
      reply = await answer(request, log)
    } catch (error) {
      report(error, requestId)
      reply = problemReply(error, requestId)
    }
    const { status = 200 } = reply
    const durationMs = Math.round((performance.now() - startedAt) * 100) / 100
    ctx.logger.info('request', {
      request_id: requestId,
      xray_trace_id: readTraceId(request.header('x-amzn-trace-id')),
      method: request.method,
      route: log.route,
      status,
      duration_ms: durationMs,
      caller: log.caller,
      cache: log.cache,
      ...more.measure?.({ status, durationMs, cache: log.cache }),
    })
    return withCommonHeaders(reply, requestId, more.cors?.headers(request))
  }

  function answer(request: Request, log: RequestLog): Promise<Reply> {
    more.check?.(request)
    const found = find(request.method, request.path)
    if ('methods' in found) {
      if (found.methods.length === 0) throw noSuchRoute()
      const preflight = more.cors?.preflight(request, found.methods)
      if (preflight) return Promise.resolve(preflight)
      const allow = found.methods.join(', ')
      throw new ServiceError('method_not_allowed', `This path takes ${allow}.`, { allow })
    }
    const { route, parameters } = found
    // The pattern, never the path: that may hold anything.
    log.route = `${route.method} ${route.path}`
    return 'action' in route ? handle(route, request, parameters[0], log) : route.handle(request, parameters)
  }

  function report(error: unknown, requestId: string): void {
    const { code } = error instanceof ServiceError ? error : { code: 'internal' }
    if (code === 'internal') ctx.logger.error('a request failed', { request_id: requestId, error })
    else if (error instanceof ServiceError && error.cause !== undefined && code !== 'conflict')
      ctx.logger.warn('a request was refused', { request_id: requestId, code, error })
  }

  async function handle(
    definition: Endpoint,
    request: Request,
    id: string | undefined,
    log: RequestLog,
  ): Promise<Reply> {
    const caller = await identifyCaller(request)
    log.caller = caller.role
    authorize(caller, definition.action, id)

    // Every fault is collected before the first is answered; the body, which may be large, comes last.
    const faults: Fault[] = []
    const take = <T>(checked: Checked<T>): T | undefined => {
      if ('value' in checked) return checked.value
      faults.push(...checked.faults)
      return undefined
    }
    const attempt = async <T>(read: () => T | Promise<T>): Promise<T | undefined> => {
      try {
        return await read()
      } catch (error) {
        // Without a place in the input there is nothing to collect: the request itself is malformed.
        if (!(error instanceof ServiceError) || error.code !== 'invalid' || error.faults.length === 0)
          throw error
        faults.push(...error.faults)
        return undefined
      }
    }
    const checkedId = id === undefined ? '' : take(checkId(id))
    const query = take(checkQuery(definition.query && (await definition.query()), request))
    const precondition = take(readPrecondition(request))
    if (definition.body || definition.ownBody) request.holder = caller.key
    const body = definition.body && (await attempt(() => readJson(definition, request)))
    if (faults.length > 0) throw invalid(...faults)
    // Neither the list nor a user to be created has a version; others are compared where the version is read.
    if (precondition && id === undefined) {
      if (definition.method === 'GET' && precondition(undefined) === 'If-None-Match') return notModified
      checkPrecondition(precondition, undefined)
    }
    return definition.handle({
      // A read by id is mostly answered from the cache and needs no database: it must not pay for a view of it.
      ctx: definition.action === 'user.read' ? ctx : { ...ctx, db: ctx.db.of(caller.key) },
      reader,
      caller,
      request,
      id: checkedId ?? '',
      query,
      body,
      precondition,
      log,
    })
  }

  async function identifyCaller(request: Request): Promise<Caller> {
    const claims = await identify(request)
    const caller = claims && (await callers.find(claims))
    if (!caller) throw bearerToken(request) === undefined ? missingToken() : invalidToken()
    return caller
  }
}

const notModified: Reply = { status: 304, headers: { 'Cache-Control': jsonHeaders['Cache-Control'] } }

const scheme = 'bearer '

/** RFC 6750, section 2.1: the Authorization header is the only place where a token is looked for. */
export function bearerToken(request: HttpRequest): string | undefined {
  const header = request.header('authorization') ?? ''
  return header.slice(0, scheme.length).toLowerCase() === scheme
    ? header.slice(scheme.length).trim()
    : undefined
}

/** @param cors the headers that browsers on other origins need, where any are allowed */
export function withCommonHeaders(reply: Reply, requestId: string, cors?: Record<string, string>): Reply {
  const common = { ...reply.headers, 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' }
  return { ...reply, headers: cors ? { ...common, ...cors } : common }
}

/** An inbound id is taken when it cannot be mistaken for anything else in a log. */
export function readRequestId(given: string | undefined): string {
  if (given !== undefined && /^[A-Za-z0-9._-]{8,64}$/.test(given)) return given
  processId ??= crypto.randomUUID().slice(0, 24)
  return processId + (++requests).toString(16).padStart(12, '0')
}

// Of its own ids a process counts the end only: that costs a fifth of another random one.
let processId: string | undefined
let requests = 0

/** The part that names the trace, of what AWS's load balancers, gateways and functions hand on. */
function readTraceId(header: string | undefined): string | undefined {
  return header === undefined
    ? undefined
    : /(?:^|;)Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)/.exec(header)?.[1]
}

function checkId(text: string): Checked<string> {
  const id = readUuid(text)
  return id === undefined ? { faults: [{ parameter: 'id', message: 'must be a UUID' }] } : { value: id }
}

function checkQuery(schema: Schema | undefined, { query }: HttpRequest): Checked<unknown> {
  if (query === '' && !schema) return { value: undefined }
  const faults: Fault[] = []
  // Without a prototype: a parameter may be called anything.
  const given: Record<string, string> = Object.create(null)
  for (const { name, value } of readQueryString(query)) {
    const message =
      name === '__proto__'
        ? 'unknown parameter'
        : name in given
          ? 'is given more than once'
          : value === undefined
            ? 'must be percent-encoded UTF-8; write % as %25'
            : textFault(value)
    if (message !== undefined) faults.push({ parameter: name.slice(0, 100), message })
    else if (value !== undefined) given[name] = value
  }
  if (!schema) {
    const unknown = Object.keys(given).map((name) => ({
      parameter: name.slice(0, 100),
      message: 'unknown parameter',
    }))
    return unknown.length > 0 ? { faults: unknown } : { value: undefined }
  }
  const checked = check(schema, { ...given }, 'parameter')
  if ('faults' in checked) return { faults: [...faults, ...checked.faults] }
  return faults.length > 0 ? { faults } : checked
}

async function readJson(definition: Endpoint, request: HttpRequest): Promise<unknown> {
  const { body } = definition
  if (!body) return undefined
  if (!body.mediaTypes.includes(mediaType(request)))
    throw new ServiceError(
      'unsupported_media_type',
      `The body's Content-Type must be ${body.mediaTypes.join(' or ')}.`,
    )
  return parseJson(await readBytes(request, body.bytesMax), await body.schema())
}
