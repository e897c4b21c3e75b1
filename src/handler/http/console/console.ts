// The console in the browser: its files, the sign-in, and the API for the person of the session.
// A backend for the frontend (RFC 10017): no token ever reaches the browser.
import { LRUCache } from 'lru-cache'
import type { Connections } from '../../../connection/open.ts'
import type { OpenIdProvider, OpenIdProviderOptions } from '../../../connection/tokens/openid-provider.ts'
import type { TokenVerifier } from '../../../connection/tokens/token-verifier.ts'
import type { Claims } from '../../../model/claims.ts'
import { ServiceError } from '../../../model/errors.ts'
import type { RequestCounts } from '../../../platform/request-counts.ts'
import { sessionId } from '../../../services/console/sealed-tokens.ts'
import { createConsoleSessions } from '../../../services/console/sessions.ts'
import type { CallerLookup } from '../../../services/identity/callers.ts'
import type { App } from '../app.ts'
import type { HttpRequest, PublicRoute, Reply, RequestLog } from '../endpoint.ts'
import { withPathPrefix } from '../path-prefix.ts'
import { MethodNotAllowed, routeNotFound } from '../problem.ts'
import { createResponder, type MetricFields, type Observe } from '../respond.ts'
import { createRouter } from '../router.ts'
import { findLiveSession, type LiveSession } from './context.ts'
import { consoleCookies } from './cookies.ts'
import { createConsoleFiles } from './files.ts'
import { providerAddresses } from './provider-addresses.ts'
import { authorizeLook, consoleRoutes } from './routes.ts'
import { checkChange, checkRead } from './same-origin.ts'
import { securityHeaders } from './security-headers.ts'

export type ConsoleSite = {
  /** Where browsers reach the console. */
  origin: string
  isLocal: boolean
  provider: Omit<OpenIdProviderOptions, 'redirectUri' | 'afterSignOutUri'>
}

export type ConsoleOptions<Request extends HttpRequest> = {
  connections: Connections
  callers: CallerLookup
  counts: RequestCounts
  /** Observes the answers that the API does not give. */
  observe?: Observe | undefined
  metricFields?: MetricFields | undefined
  verifier: TokenVerifier
  /** Undefined if the settings name no client for the console. */
  site: ConsoleSite | undefined
  openProvider: (options: OpenIdProviderOptions) => OpenIdProvider
  /** Whether this process serves the built files. */
  servesFiles: boolean
  /** Throws ServiceError for a request that this server must not answer. */
  checkRequest: (request: Request) => void
  /** Calls the API. */
  callApi: (request: Request, as: { path: string; token: string }) => Promise<Reply>
  /** Epoch milliseconds. */
  clock?: (() => number) | undefined
}

export type Console<Request extends HttpRequest> = {
  /** Answers requests whose path `isConsolePath`. */
  answer: App<Request>
  /** @returns the claims with which the session of this request last called the API, for fair shares */
  recentClaims(request: Request): Claims | undefined
}

const noAnswer: Reply = { status: 204, headers: { 'Cache-Control': 'no-store' } }
const apiPrefix = '/console/api'
const recentMax = 1_000

export function createConsole<Request extends HttpRequest>(
  options: ConsoleOptions<Request>,
): Console<Request> {
  const { connections, site, checkRequest, observe, metricFields } = options
  const respond = createResponder<Request>({ logger: connections.logger, observe, metricFields })
  if (site) return createConfiguredConsole({ ...options, site }, respond)
  return {
    recentClaims: () => undefined,
    answer: (request) =>
      respond(request, async (checked) => {
        checkRequest(checked)
        throw new ServiceError(
          'not_found',
          'The console is not configured. Set CONSOLE_CLIENT_ID and CONSOLE_URL, and start the server again.',
        )
      }),
  }
}

function createConfiguredConsole<Request extends HttpRequest>(
  options: ConsoleOptions<Request> & { site: ConsoleSite },
  respond: ReturnType<typeof createResponder<Request>>,
): Console<Request> {
  const { connections, site, checkRequest, callApi, clock = Date.now } = options
  const { origin } = site
  const provider = options.openProvider({ ...site.provider, ...providerAddresses(origin) })
  const cookies = consoleCookies(origin)
  const ctx = {
    ...options,
    ...site,
    provider,
    sessions: createConsoleSessions(connections, provider, clock),
    cookies,
  }
  const findRoute = createRouter<PublicRoute>(consoleRoutes(ctx))
  const file = createConsoleFiles(
    securityHeaders({
      avatars: new URL(connections.avatarBaseUrl).origin,
      issuer: new URL(site.provider.issuer).origin,
    }),
  )
  const recentClaims = new LRUCache<string, Claims>({ max: recentMax })

  const check = (request: Request): void => {
    checkRequest(request)
    if (isRead(request)) return
    checkChange(request, origin)
  }

  const answerPage = async (request: Request, log: RequestLog): Promise<Reply> => {
    check(request)
    const found = findRoute(request.method, request.path)
    if ('route' in found) {
      log.route = `${found.route.method} ${found.route.path}`
      return found.route.handle(request, found.parameters)
    }
    if (found.methods.length > 0) throw new MethodNotAllowed(found.methods)
    if (!isRead(request)) throw new MethodNotAllowed(['GET', 'HEAD'])
    log.route = 'GET /console/*'
    if (!options.servesFiles) throw routeNotFound()
    if (request.path === '/console') return { status: 302, headers: { Location: '/console/' } }
    return file(request, request.path.slice('/console/'.length))
  }

  const answerApi = async (request: Request, path: string): Promise<Reply> => {
    let live: LiveSession
    try {
      check(request)
      checkRead(request)
      live = await (isEarly(request) ? authorizeLook : findLiveSession)(ctx, request)
      if (!isPoll(request)) await ctx.sessions.touch(live.session)
    } catch (error) {
      return respond(request, (_request, log) => {
        log.route = `${request.method} ${apiPrefix}/*`
        return isEarly(request) && isDenied(error) ? Promise.resolve(noAnswer) : Promise.reject(error)
      })
    }
    const { session, token } = live
    const reply = await callApi(request, { path, token })
    const claims = options.verifier.cached(token)
    if (claims) recentClaims.set(session.keys.id.toString('hex'), claims)
    // The user was blocked, or may no longer use this sign-in.
    if (reply.status === 401)
      await ctx.sessions.end(session).catch((error: unknown) => {
        connections.logger.error('ending a console session failed', { error })
      })
    return { ...reply, headers: apiHeaders(reply.headers) }
  }

  return {
    answer: (request) => {
      const { path } = request
      return path.startsWith(`${apiPrefix}/`)
        ? answerApi(request, path.slice(apiPrefix.length))
        : respond(request, answerPage)
    },
    recentClaims: (request) => {
      const id = sessionId(cookies.session.read(request) ?? '')
      return id && recentClaims.get(id.toString('hex'))
    },
  }
}

function isRead({ method }: HttpRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}

/** A page that a person left open must not keep the session in use. */
function isPoll(request: HttpRequest): boolean {
  return request.header('x-console-poll') === '1'
}

/** The page asks for its list before it knows the session. For a person who may not see it, this is no fault. */
function isEarly(request: HttpRequest): boolean {
  return request.method === 'GET' && request.header('x-console-early') === '1'
}

function isDenied(error: unknown): boolean {
  return error instanceof ServiceError && (error.code === 'unauthenticated' || error.code === 'forbidden')
}

function apiHeaders(headers: Record<string, string> = {}): Record<string, string> {
  const result: Record<string, string> = { 'Cross-Origin-Resource-Policy': 'same-origin' }
  for (const [name, value] of Object.entries(headers))
    result[name] = withPathPrefix({ name, value }, apiPrefix)
  return result
}
