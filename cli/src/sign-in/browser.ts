// Signs a person in with the browser: the authorization code flow with PKCE.
import { spawn } from 'node:child_process'
import * as oauth from 'oauth4webapi'
import type { Credentials } from '../credentials.ts'
import { CommandError } from '../exit-codes.ts'
import { listenForRedirect } from './loopback.ts'
import { type Provider, reportFaults, toCredentials } from './provider.ts'

export type BrowserSignIn = {
  scope: string
  /** Where the provider sends the browser; a free port if absent. */
  redirectUri: string | undefined
  opensBrowser: boolean
  signal: AbortSignal
  /** Shows the address to open. */
  show: (address: string) => void
}

/** @throws CommandError */
export async function signInWithBrowser(provider: Provider, options: BrowserSignIn): Promise<Credentials> {
  const { server, client, auth, request } = provider
  if (server.authorization_endpoint === undefined)
    throw new CommandError('failed', `${server.issuer} has no sign-in page.`)
  const loopback = await listenForRedirect(options.redirectUri, options.signal)
  try {
    const verifier = oauth.generateRandomCodeVerifier()
    const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()]
    const isOpenId = options.scope.split(' ').includes('openid')
    const address = new URL(server.authorization_endpoint)
    const parameters = {
      client_id: client.client_id,
      redirect_uri: loopback.redirectUri,
      response_type: 'code',
      scope: options.scope,
      state,
      ...(isOpenId && { nonce }),
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    }
    for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value)
    options.show(address.href)
    if (options.opensBrowser) openBrowser(address.href)
    const redirected = await loopback.redirected
    return await reportFaults(server.issuer, async () => {
      const answer = oauth.validateAuthResponse(server, client, redirected, state)
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        auth,
        answer,
        loopback.redirectUri,
        verifier,
        request(),
      )
      const tokens = await oauth.processAuthorizationCodeResponse(server, client, response, {
        ...(isOpenId && { expectedNonce: nonce, requireIdToken: true }),
      })
      return toCredentials(provider, tokens)
    })
  } finally {
    loopback.close()
  }
}

/** Without a browser nothing happens; the address is on the terminal. */
function openBrowser(address: string): void {
  const [command, ...options] =
    process.platform === 'darwin'
      ? ['open']
      : process.platform === 'win32'
        ? ['rundll32', 'url.dll,FileProtocolHandler']
        : ['xdg-open']
  const browser = spawn(command ?? '', [...options, address], { stdio: 'ignore', detached: true })
  browser.on('error', () => {})
  browser.unref()
}
