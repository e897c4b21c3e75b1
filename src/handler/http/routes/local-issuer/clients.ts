// The clients of the local issuer, and where each may have the browser sent back to.
import {
  commandLineClientId,
  consoleClientId,
  localClientId,
} from '../../../../connection/tokens/local-issuer.ts'

/** The redirect addresses by client id, without a port. All are public clients, which have no secret. */
const redirects = new Map([
  // Tools that send a username and a password. They have no redirect.
  [localClientId, []],
  [commandLineClientId, ['http://127.0.0.1/callback', 'http://[::1]/callback']],
  [consoleClientId, ['localhost', '127.0.0.1', '[::1]'].map((host) => `http://${host}/console/callback`)],
])

export function isClient(clientId: string | null): clientId is string {
  return clientId !== null && redirects.has(clientId)
}

/** RFC 8252, section 7.3: a loopback address matches with any port, and all else must be equal. */
export function isRedirectOf(clientId: string, redirectUri: string): boolean {
  const withoutPort = redirectUri.replace(/^(http:\/\/[^/:]+|http:\/\/\[::1\]):([1-9]\d{0,4})(?=\/)/, '$1')
  // A port above 65,535 is no address at all.
  return URL.canParse(redirectUri) && (redirects.get(clientId) ?? []).includes(withoutPort)
}
