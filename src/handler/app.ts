// The HTTP app: a request id, the caller, access, validation, one handler, one log line. It runs behind
// API Gateway and on the Node server alike; they differ in who has checked the token.
import { randomUUID } from 'node:crypto'
import { Hono } from 'hono'
import { routePath } from 'hono/route'
import type { Claims } from '../connection/claims.ts'
import { type Fault, invalid, ServiceError } from '../model/errors.ts'
import { uuid } from '../model/user.ts'
import { type Checked, check, textFault } from '../model/validate.ts'
import { authorize, type Caller } from '../services/access.ts'
import { createCallerLookup } from '../services/callers.ts'
import { createUserReader } from '../services/users/read.ts'
import type { World } from '../services/users/record.ts'
import { mediaType, parseJson, readBytes } from './body.ts'
import type { Endpoint, Reply } from './endpoint.ts'
import { readIfMatch } from './preconditions.ts'
import { commonHeaders, problemResponse } from './problem.ts'
import { avatarEndpoints } from './routes/avatars.ts'
import { userEndpoints } from './routes/users.ts'

export const endpoints: Endpoint[] = [...userEndpoints, ...avatarEndpoints]

/**
 * Tells what the caller's token says.
 * @returns undefined when there is no valid token
 * @throws ServiceError `unavailable` when nobody can tell
 */
export type Identify = (request: Request, bindings: unknown) => Promise<Claims | undefined>

/** What a request carries: the id it is known by, and the fields of its log line. */
type RequestLog = Record<string, unknown>
export type App = Hono<{ Variables: { requestId: string; log: RequestLog } }>

/** What is known of a request at its end. */
export type Outcome = { status: number; durationMs: number; cache: unknown }

/**
 * @param extend adds routes outside the protected API
 * @param measure gives a request's log line more fields
 */
export function createApp(
  world: World,
  identify: Identify,
  extend: (app: App) => void = () => {},
  measure: (outcome: Outcome) => Record<string, unknown> = () => ({}),
): App {
  const callers = createCallerLookup(world)
  const reader = createUserReader(world)
  const app: App = new Hono()

  const handle = async (
    definition: Endpoint,
    request: Request,
    id: string,
    bindings: unknown,
    log: RequestLog,
  ): Promise<Reply> => {
    const caller = await identifyCaller(request, bindings)
    log.caller = caller.role
    authorize(caller, definition.action, id === '' ? undefined : id)

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
        if (!(error instanceof ServiceError) || error.code !== 'invalid') throw error
        faults.push(...error.faults)
        return undefined
      }
    }
    const checkedId = id === '' ? '' : take(checkId(id))
    const query = take(checkQuery(definition, request))
    const ifMatch = definition.takesIfMatch ? await attempt(() => readIfMatch(request)) : undefined
    const body = definition.body && (await attempt(() => readJson(definition, request)))
    if (faults.length > 0) throw invalid(...faults)
    return definition.handle({
      world,
      reader,
      caller,
      request,
      id: checkedId ?? '',
      query,
      body,
      ifMatch,
      log,
    })
  }

  const identifyCaller = async (request: Request, bindings: unknown): Promise<Caller> => {
    const claims = await identify(request, bindings)
    const caller = claims && (await callers.find(claims))
    if (!caller)
      throw new ServiceError('unauthenticated', 'A valid token is needed: Authorization: Bearer <token>.')
    return caller
  }

  app.use(async (context, next) => {
    const startedAt = performance.now()
    const requestId = readRequestId(context.req.header('x-request-id'))
    const log: RequestLog = {}
    context.set('log', log)
    context.set('requestId', requestId)
    await next()
    const { status } = context.res
    const durationMs = Math.round((performance.now() - startedAt) * 100) / 100
    world.logger.info('request', {
      request_id: requestId,
      xray_trace_id: readTraceId(context.req.header('x-amzn-trace-id')),
      method: context.req.method,
      route: log.route ?? nodeRoute(routePath(context, -1)),
      status,
      duration_ms: durationMs,
      ...log,
      ...measure({ status, durationMs, cache: log.cache }),
    })
  })

  for (const definition of endpoints) {
    const route = `${definition.method} ${definition.path}`
    app.on(definition.method, definition.path.replace('{id}', ':id'), async (context) => {
      const log = context.get('log')
      log.route = route
      const id = context.req.param('id') ?? ''
      const { status = 200, headers, body } = await handle(definition, context.req.raw, id, context.env, log)
      // Made once, from plain objects: a Response that is changed later costs as much as the rest of a read.
      return new Response(body ?? null, {
        status,
        headers: { ...headers, ...commonHeaders(context.get('requestId')) },
      })
    })
  }

  app.use(async (context, next) => {
    for (const [name, value] of Object.entries(commonHeaders(context.get('requestId'))))
      context.header(name, value)
    await next()
  })
  extend(app)

  app.notFound((context) => {
    const methods = methodsOf(context.req.path)
    const error =
      methods.length > 0
        ? new ServiceError('method_not_allowed', `This path takes ${methods.join(', ')}.`, {
            allow: methods.join(', '),
          })
        : new ServiceError('not_found', 'There is no such route.')
    return problemResponse(error, context.get('requestId'))
  })

  app.onError((error, context) => {
    const requestId: string = context.get('requestId')
    const { code } = error instanceof ServiceError ? error : { code: 'internal' }
    if (code === 'internal') world.logger.error('a request failed', { request_id: requestId, error })
    else if (error.cause !== undefined && code !== 'conflict')
      world.logger.warn('a request was refused', { request_id: requestId, code, error })
    return problemResponse(error, requestId)
  })
  return app
}

// The pattern that matched, never the path: that may hold anything. `/*` is the middleware's own.
function nodeRoute(path: string): string {
  return path === '/*' ? 'none' : path
}

/** An inbound id is taken when it cannot be mistaken for anything else in a log. */
function readRequestId(given: string | undefined): string {
  return given !== undefined && /^[A-Za-z0-9._-]{8,64}$/.test(given) ? given : randomUUID()
}

/** The part that names the trace, of what AWS's load balancers, gateways and functions hand on. */
function readTraceId(header: string | undefined): string | undefined {
  return header === undefined
    ? undefined
    : /(?:^|;)Root=(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;|$)/.exec(header)?.[1]
}

function methodsOf(path: string): string[] {
  const methods = endpoints
    .filter((definition) => new RegExp(`^${definition.path.replace('{id}', '[^/]+')}$`).test(path))
    .map(({ method }) => method)
  return methods.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
}

function checkId(id: string): Checked<string> {
  const checked = check(uuid, id, 'parameter')
  return 'faults' in checked ? { faults: [{ parameter: 'id', message: 'must be a UUID' }] } : checked
}

function checkQuery(definition: Endpoint, request: Request): Checked<unknown> {
  const start = request.url.indexOf('?')
  if (start === -1 && !definition.query) return { value: undefined }
  const parameters = new URLSearchParams(start === -1 ? '' : request.url.slice(start + 1))
  const faults: Fault[] = []
  // Without a prototype: a parameter may be called anything.
  const given: Record<string, string> = Object.create(null)
  for (const [name, value] of parameters) {
    const message =
      name === '__proto__'
        ? 'unknown parameter'
        : name in given
          ? 'is given more than once'
          : textFault(value)
    if (message) faults.push({ parameter: name.slice(0, 100), message })
    else given[name] = value
  }
  if (!definition.query) {
    const unknown = Object.keys(given).map((name) => ({
      parameter: name.slice(0, 100),
      message: 'unknown parameter',
    }))
    return unknown.length > 0 ? { faults: unknown } : { value: undefined }
  }
  const checked = check(definition.query, { ...given }, 'parameter')
  if ('faults' in checked) return { faults: [...faults, ...checked.faults] }
  return faults.length > 0 ? { faults } : checked
}

async function readJson(definition: Endpoint, request: Request): Promise<unknown> {
  const { body } = definition
  if (!body) return undefined
  if (!body.mediaTypes.includes(mediaType(request)))
    throw new ServiceError(
      'unsupported_media_type',
      `The body's Content-Type must be ${body.mediaTypes.join(' or ')}.`,
    )
  return parseJson(await readBytes(request, body.bytesMax), body.schema)
}
