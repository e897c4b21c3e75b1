// The local issuer's authorization endpoint (RFC 6749, section 3.1) with PKCE (RFC 7636). The sign-in page posts to its own
// address, so the request's parameters stay in the query.
import { type ErrorCode, ServiceError } from '../../../../model/errors.ts'
import { checkPassword, type SignedIn } from '../../../../services/identity/check-password.ts'
import { waitForNewSession } from '../../../../services/identity/session-start.ts'
import { readBytes } from '../../body.ts'
import type { HttpRequest, Reply } from '../../endpoint.ts'
import { problemTypes } from '../../problem-types.ts'
import { isClient, isRedirectOf } from './clients.ts'
import { type LocalIssuerContext, singleValue } from './context.ts'
import { errorPage, signInPage } from './sign-in-page.ts'

const bytesMax = 8 * 1024

type Authorization = {
  clientId: string
  redirectUri: string
  state: string | null
  scope: string
  nonce: string | undefined
  codeChallenge: string
}

/** @returns the page, or the answer to a request that is not valid */
export function showSignIn(ctx: LocalIssuerContext, request: HttpRequest): Reply {
  const checked = checkAuthorization(ctx, request)
  return 'reply' in checked ? checked.reply : signInPage(checked)
}

/** Handles the buttons of the page. @throws ServiceError `too_large` */
export async function authorizeByForm(ctx: LocalIssuerContext, request: HttpRequest): Promise<Reply> {
  const checked = checkAuthorization(ctx, request)
  if ('reply' in checked) return checked.reply
  const { redirectUri } = checked
  if (!isSameOrigin(request)) return errorPage('The form must be sent from the sign-in page.')
  const form = new URLSearchParams(Buffer.from(await readBytes(request, bytesMax)).toString())
  switch (singleValue(form, 'action')) {
    case 'cancel':
      return redirect(ctx, checked, { error: 'access_denied' })
    case 'administrator':
      return redirectWithCode(ctx, checked, undefined)
  }
  try {
    const user = await checkForm(ctx, form, request)
    return user
      ? await redirectWithCode(ctx, checked, user)
      : signInPage({ redirectUri, status: 400, message: 'Incorrect username or password.' })
  } catch (error) {
    if (!(error instanceof ServiceError) || !temporary.has(error.code)) throw error
    return signInPage({ redirectUri, status: problemTypes[error.code].status, message: error.message })
  }
}

const temporary = new Set<ErrorCode>(['overloaded', 'unavailable'])

async function checkForm(
  { connections }: LocalIssuerContext,
  form: URLSearchParams,
  { source }: HttpRequest,
): Promise<SignedIn | undefined> {
  const [username, password] = [singleValue(form, 'username'), singleValue(form, 'password')]
  if (username === null || password === null) return undefined
  const credentials = { username, password, ...(source !== undefined && { source }) }
  const user = await checkPassword(connections, credentials)
  if (user) await waitForNewSession(connections, user.username)
  return user
}

async function redirectWithCode(
  ctx: LocalIssuerContext,
  request: Authorization,
  user: SignedIn | undefined,
): Promise<Reply> {
  const { clientId, scope, nonce, redirectUri, codeChallenge } = request
  const signedInAtSeconds = Math.floor(Date.now() / 1_000)
  const session = { clientId, user, scope, nonce, signedInAtSeconds }
  return redirect(ctx, request, { code: ctx.grants.issueCode(session, { redirectUri, codeChallenge }) })
}

/** RFC 6749, section 4.1.2.1: without a valid client and redirect address, the browser is not sent anywhere. */
function checkAuthorization(
  ctx: LocalIssuerContext,
  { query }: HttpRequest,
): Authorization | { reply: Reply } {
  const parameters = new URLSearchParams(query)
  const single = (name: string) => singleValue(parameters, name)
  const [clientId, redirectUri, state] = [single('client_id'), single('redirect_uri'), single('state')]
  if (!isClient(clientId)) return { reply: errorPage('client_id must name a client of the local issuer.') }
  if (redirectUri === null || !isRedirectOf(clientId, redirectUri))
    return {
      reply: errorPage('redirect_uri must be one of this client: a loopback address with its path.'),
    }
  const reject = (error: string, description: string) => ({
    reply: redirect(ctx, { redirectUri, state }, { error, error_description: description }),
  })

  const repeated = [...new Set(parameters.keys())].find((name) => parameters.getAll(name).length > 1)
  if (repeated !== undefined) return reject('invalid_request', 'Send each parameter only once.')
  const responseType = single('response_type')
  if (responseType === null) return reject('invalid_request', 'Send response_type=code.')
  if (responseType !== 'code') return reject('unsupported_response_type', 'response_type must be code.')
  if ((single('response_mode') ?? 'query') !== 'query')
    return reject('invalid_request', 'response_mode must be query.')
  const codeChallenge = single('code_challenge')
  if (single('code_challenge_method') !== 'S256' || !/^[\w-]{43}$/.test(codeChallenge ?? ''))
    return reject('invalid_request', 'Send code_challenge with code_challenge_method=S256 (RFC 7636).')
  const scope = single('scope') ?? ''
  if (scope !== '' && scope !== 'openid') return reject('invalid_scope', 'scope must be openid.')
  // OpenID Connect Core, section 3.1.2.6: no session of the browser is kept.
  if (single('prompt') === 'none') return reject('login_required', 'The user must sign in.')
  return {
    clientId,
    redirectUri,
    state,
    scope,
    nonce: single('nonce') ?? undefined,
    codeChallenge: codeChallenge ?? '',
  }
}

/** A page of another origin must not sign its visitor in. Browsers send the origin with every form. */
function isSameOrigin(request: HttpRequest): boolean {
  const origin = request.header('origin')
  return origin === undefined || origin === `http://${request.header('host')}`
}

function redirect(
  { issuer }: LocalIssuerContext,
  { redirectUri, state }: Pick<Authorization, 'redirectUri' | 'state'>,
  parameters: Record<string, string>,
): Reply {
  const target = new URL(redirectUri)
  for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value)
  if (state !== null) target.searchParams.set('state', state)
  // RFC 9207: names the issuer, so that a client of several issuers cannot confuse them.
  target.searchParams.set('iss', issuer.rules.issuer)
  return { status: 303, headers: { Location: target.href, 'Cache-Control': 'no-store' } }
}
