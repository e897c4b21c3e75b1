// The local issuer's token endpoint (RFC 6749, section 3.2). Beside codes and refresh tokens it supports the password grant
// (section 4.3), which common tools can send. It checks passwords like the user pool's migration trigger.
import { checkPassword, isSignInCurrent } from '../../../../services/identity/check-password.ts'
import { waitForNewSession } from '../../../../services/identity/session-start.ts'
import { mediaType, readBytes } from '../../body.ts'
import type { HttpRequest, Reply } from '../../endpoint.ts'
import { type LocalIssuerContext, singleValue } from './context.ts'
import type { LocalSession } from './grants.ts'
import { sampleAdministrator } from './sample-administrator.ts'

const bytesMax = 8 * 1024
const lifetimeSeconds = 3_600

type Grant = (ctx: LocalIssuerContext, form: URLSearchParams, request: HttpRequest) => Promise<Reply>

const grants = new Map<string, Grant>([
  ['authorization_code', redeemCode],
  ['refresh_token', redeemRefreshToken],
  ['password', checkGivenPassword],
])

/** @throws ServiceError like `checkPassword`, and `too_large` */
export async function issueLocalToken(ctx: LocalIssuerContext, request: HttpRequest): Promise<Reply> {
  if (mediaType(request) !== 'application/x-www-form-urlencoded')
    return rejection('invalid_request', 'The body must be application/x-www-form-urlencoded.')
  const form = new URLSearchParams(Buffer.from(await readBytes(request, bytesMax)).toString())
  const type = singleValue(form, 'grant_type')
  if (type === null) return rejection('invalid_request', 'Send grant_type exactly once.')
  const grant = grants.get(type)
  if (!grant)
    return rejection('unsupported_grant_type', `grant_type must be ${[...grants.keys()].join(' or ')}.`)
  return grant(ctx, form, request)
}

async function checkGivenPassword(
  { connections, issuer }: LocalIssuerContext,
  form: URLSearchParams,
  { source }: HttpRequest,
): Promise<Reply> {
  const [username, password] = [singleValue(form, 'username'), singleValue(form, 'password')]
  if (username === null || password === null)
    return rejection('invalid_request', 'Send username and password exactly once each.')
  const credentials = { username, password, ...(source !== undefined && { source }) }
  const user = await checkPassword(connections, credentials)
  if (!user) return rejection('invalid_grant', 'Incorrect username or password.')
  await waitForNewSession(connections, user.username)
  const token = await issuer.token({ username: user.username, lifetimeSeconds })
  return answer(200, { access_token: token, token_type: 'Bearer', expires_in: lifetimeSeconds })
}

async function redeemCode(ctx: LocalIssuerContext, form: URLSearchParams): Promise<Reply> {
  const values = ['code', 'client_id', 'redirect_uri', 'code_verifier'].map((name) => singleValue(form, name))
  const [code, clientId, redirectUri, verifier] = values
  if (code == null || clientId == null || redirectUri == null || verifier == null)
    return rejection(
      'invalid_request',
      'Send code, client_id, redirect_uri and code_verifier exactly once each.',
    )
  const session = ctx.grants.redeemCode(code, { clientId, redirectUri, verifier })
  return session && (await isCurrent(ctx, session))
    ? sessionTokens(ctx, session)
    : rejection(
        'invalid_grant',
        'The code is unknown, used or expired, or of another client, redirect_uri or code_verifier.',
      )
}

async function redeemRefreshToken(ctx: LocalIssuerContext, form: URLSearchParams): Promise<Reply> {
  const [token, clientId] = [singleValue(form, 'refresh_token'), singleValue(form, 'client_id')]
  if (token === null || clientId === null)
    return rejection('invalid_request', 'Send refresh_token and client_id exactly once each.')
  const session = ctx.grants.redeemRefreshToken(token, clientId)
  return session && (await isCurrent(ctx, session))
    ? sessionTokens(ctx, session)
    : rejection(
        'invalid_grant',
        'The refresh token is unknown, used or expired, or its user may no longer sign in.',
      )
}

async function isCurrent({ connections }: LocalIssuerContext, { user }: LocalSession): Promise<boolean> {
  return user === undefined || (await isSignInCurrent(connections, user))
}

async function sessionTokens({ issuer, grants }: LocalIssuerContext, session: LocalSession): Promise<Reply> {
  const { user, clientId, scope, nonce, signedInAtSeconds } = session
  const person = user
    ? { subject: user.id, username: user.username, groups: [] }
    : { subject: sampleAdministrator.username, ...sampleAdministrator }
  const { accessToken, idToken } = await issuer.signInTokens(
    { ...person, clientId, signedInAtSeconds },
    { scope, nonce, lifetimeSeconds },
  )
  return answer(200, {
    access_token: accessToken,
    ...(idToken !== undefined && { id_token: idToken }),
    refresh_token: grants.issueRefreshToken(session),
    token_type: 'Bearer',
    expires_in: lifetimeSeconds,
    scope,
  })
}

function rejection(error: string, description: string): Reply {
  return answer(400, { error, error_description: description })
}

function answer(status: number, body: object): Reply {
  // RFC 6749, section 5.1, requires no-store.
  const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }
  return { status, headers, body: JSON.stringify(body) }
}
