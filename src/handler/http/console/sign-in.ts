// Signs people in to the console: leads to the provider's sign-in page, and takes them back with a new session.
import { RejectedSignIn } from '../../../connection/tokens/rejected-sign-in.ts'
import { fairQueue } from '../../../platform/queue.ts'
import { newCookieValue } from '../../../services/console/sealed-tokens.ts'
import { signInSecrets } from '../../../services/console/sign-in-secrets.ts'
import type { HttpRequest, Reply } from '../endpoint.ts'
import { plainPage } from '../plain-page.ts'
import type { ConsoleContext } from './context.ts'
import { readReturnTo } from './return-to.ts'

// Each calls the provider. Without a limit, anybody could make this server send it any number of requests.
const redemptions = fairQueue(10, { waiting: 200, waitMsMax: 5_000, runningPerShare: 5 })

/** @throws ServiceError `invalid`, `unavailable` */
export async function startSignIn(
  { provider, cookies, origin }: ConsoleContext,
  request: HttpRequest,
): Promise<Reply> {
  const returnTo = readReturnTo(request.query, origin)
  const elsewhere = ownAddress(request, origin)
  // Cookies of 127.0.0.1 do not arrive at localhost, where the provider leads back to.
  if (elsewhere) return redirect(`${origin}/console/sign-in?${new URLSearchParams({ return_to: returnTo })}`)
  const key = newCookieValue()
  const address = await provider.signInUrl(signInSecrets(key))
  const cookie = `${key}.${Buffer.from(returnTo).toString('base64url')}`
  return { ...redirect(address), cookies: [cookies.signIn.write(cookie)] }
}

/** On this machine, the server answers for several hosts. Elsewhere a proxy may have changed the host. */
function ownAddress(request: HttpRequest, origin: string): boolean {
  const host = request.header('host')
  const own = new URL(origin)
  if (own.protocol !== 'http:' || host === undefined || !URL.canParse(`http://${host}`)) return false
  return new URL(`http://${host}`).hostname !== own.hostname
}

/** The provider's redirect back. @throws ServiceError `unavailable`, `overloaded` */
export async function finishSignIn(ctx: ConsoleContext, request: HttpRequest): Promise<Reply> {
  const { provider, sessions, cookies, verifier, callers, connections } = ctx
  const [key = '', encodedReturnTo = ''] = (cookies.signIn.read(request) ?? '').split('.')
  const clear = cookies.signIn.clear()
  if (key === '')
    return failure('This sign-in has expired, or another tab has finished or replaced it.', clear)
  const returnTo = Buffer.from(encodedReturnTo, 'base64url').toString()
  try {
    const tokens = await redemptions(request.source ?? '', () =>
      provider.redeem(new URLSearchParams(request.query), signInSecrets(key)),
    )
    const claims = await verifier.verify(tokens.accessToken)
    if (!claims) {
      connections.logger.error(
        'the access token of a sign-in is not accepted; see docs/console.md for the settings of the provider',
      )
      return failure(
        'This server does not accept the tokens of the sign-in provider. Tell the operator.',
        clear,
      )
    }
    const caller = await callers.find(claims)
    if (!caller) return failure('Your account may not sign in.', clear)
    // Callers without a username have one key in common.
    const person = claims.username === undefined ? undefined : caller.key
    const cookie = await sessions.start(person, tokens)
    // The path was checked when the sign-in started, but the cookie comes from the browser.
    const path = readReturnTo(String(new URLSearchParams({ return_to: returnTo })), ctx.origin)
    return { ...redirect(path), cookies: [cookies.session.write(cookie), clear] }
  } catch (error) {
    if (!(error instanceof RejectedSignIn)) throw error
    connections.logger.warn('a sign-in to the console was rejected', { error })
    return failure(error.isDenied ? 'The sign-in was cancelled.' : 'The sign-in failed.', clear)
  }
}

function failure(message: string, clear: string): Reply {
  const body = `<p role="alert">${message}</p>
    <p><a href="/console/">Open the console</a></p>`
  return { ...plainPage({ title: 'Not signed in', body, status: 400 }), cookies: [clear] }
}

function redirect(address: string): Reply {
  return { status: 302, headers: { Location: address, 'Cache-Control': 'no-store' } }
}
