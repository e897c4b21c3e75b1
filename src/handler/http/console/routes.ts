// The routes of the console besides its files and the API.
import manifest from '../../../../package.json' with { type: 'json' }
import { authorize } from '../../../services/identity/access.ts'
import type { HttpRequest, PublicRoute, Reply } from '../endpoint.ts'
import { type ConsoleContext, findPerson, type LiveSession } from './context.ts'
import { readHealth } from './health.ts'
import { checkRead } from './same-origin.ts'
import { finishSignIn, startSignIn } from './sign-in.ts'

export function consoleRoutes(ctx: ConsoleContext): PublicRoute[] {
  return [
    { method: 'GET', path: '/console/sign-in', handle: (request) => startSignIn(ctx, request) },
    { method: 'GET', path: '/console/callback', handle: (request) => finishSignIn(ctx, request) },
    { method: 'GET', path: '/console/session', handle: (request) => describeSession(ctx, request) },
    { method: 'POST', path: '/console/sign-out', handle: (request) => signOut(ctx, request) },
    { method: 'GET', path: '/console/health', handle: (request) => describeHealth(ctx, request) },
    {
      method: 'GET',
      path: '/console/session-end/{user}',
      handle: (request, [userId = '']) => describeSessionEnd(ctx, request, userId),
    },
  ]
}

async function describeSession(ctx: ConsoleContext, request: HttpRequest): Promise<Reply> {
  checkRead(request)
  const { session, caller } = await findPerson(ctx, request)
  const { role, userId, claims } = caller
  return json({
    user: {
      username: claims.username ?? null,
      // Others may at most change their own record, for which the console has no page.
      role: role === 'admin' || role === 'reader' ? role : null,
      user_id: userId ?? null,
    },
    expires_at: new Date(session.expiresAtMs).toISOString(),
    idle_expires_at: new Date(session.idleExpiresAtMs).toISOString(),
    api: { version: manifest.version },
    is_local: ctx.isLocal,
  })
}

/** Succeeds without a session, too, so that a sign-out can be repeated. */
async function signOut(
  { cookies, sessions, provider, connections }: ConsoleContext,
  request: HttpRequest,
): Promise<Reply> {
  const cookie = cookies.session.read(request)
  const session = cookie === undefined ? undefined : await sessions.find(cookie)
  if (session) await sessions.end(session)
  const address = await provider.signOutUrl().catch((error: unknown) => {
    connections.logger.warn('the sign-out page of the provider is unknown', { error })
    return undefined
  })
  return { ...json({ sign_out_url: address ?? null }), cookies: [cookies.session.clear()] }
}

async function describeHealth(ctx: ConsoleContext, request: HttpRequest): Promise<Reply> {
  await authorizeLook(ctx, request)
  return json(await readHealth(ctx))
}

/** When this process refused the last session of a user, and how much later than its end; null if it knows of none. */
async function describeSessionEnd(ctx: ConsoleContext, request: HttpRequest, userId: string): Promise<Reply> {
  await authorizeLook(ctx, request)
  const end = ctx.callers.ends.latest(userId)
  return json({
    session_end: end
      ? { refused_at: new Date(end.refusedAtMs).toISOString(), outlived_ms: end.outlivedMs }
      : null,
  })
}

/** @throws ServiceError `unauthenticated`, `forbidden` unless the person may look at all users */
export async function authorizeLook(ctx: ConsoleContext, request: HttpRequest): Promise<LiveSession> {
  checkRead(request)
  const { caller, ...live } = await findPerson(ctx, request)
  authorize(caller, 'user.list', undefined)
  return live
}

function json(value: object): Reply {
  const headers = {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'Cross-Origin-Resource-Policy': 'same-origin',
  }
  return { headers, body: JSON.stringify(value) }
}
