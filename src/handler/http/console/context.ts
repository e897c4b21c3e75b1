// The settings and parts that the console's routes share.
import type { Connections } from '../../../connection/open.ts'
import type { OpenIdProvider } from '../../../connection/tokens/openid-provider.ts'
import type { TokenVerifier } from '../../../connection/tokens/token-verifier.ts'
import { ServiceError } from '../../../model/errors.ts'
import type { RequestCounts } from '../../../platform/request-counts.ts'
import type { ConsoleSession, ConsoleSessions } from '../../../services/console/sessions.ts'
import type { Caller } from '../../../services/identity/access.ts'
import type { CallerLookup } from '../../../services/identity/callers.ts'
import type { HttpRequest } from '../endpoint.ts'
import type { ConsoleCookie } from './cookies.ts'

export type ConsoleContext = {
  connections: Connections
  callers: CallerLookup
  counts: RequestCounts
  verifier: TokenVerifier
  provider: OpenIdProvider
  sessions: ConsoleSessions
  cookies: { session: ConsoleCookie; signIn: ConsoleCookie }
  /** Where browsers reach the console. */
  origin: string
  /** People sign in at the local issuer. */
  isLocal: boolean
}

/** A session whose access token is still good. */
export type LiveSession = { session: ConsoleSession; token: string }

/** @throws ServiceError `unauthenticated` without a session, `unavailable` */
export async function findLiveSession(
  { cookies, sessions }: ConsoleContext,
  request: HttpRequest,
): Promise<LiveSession> {
  const cookie = cookies.session.read(request)
  const session = cookie === undefined ? undefined : await sessions.find(cookie)
  const token = session && (await sessions.accessToken(session))
  if (!session || token === undefined) throw noSession()
  return { session, token }
}

/**
 * Finds the person, as the API does for each request. Ends the session if the API would reject its token.
 * @throws ServiceError `unauthenticated` without a session, `unavailable`
 */
export async function findPerson(
  ctx: ConsoleContext,
  request: HttpRequest,
): Promise<LiveSession & { caller: Caller }> {
  const live = await findLiveSession(ctx, request)
  const claims = await ctx.verifier.verify(live.token)
  const caller = claims && (await ctx.callers.find(claims))
  if (caller) return { ...live, caller }
  await ctx.sessions.end(live.session)
  throw noSession()
}

function noSession(): ServiceError {
  return new ServiceError('unauthenticated', 'The session has ended, or there is none. Sign in again.', {
    isTokenMissing: true,
  })
}
