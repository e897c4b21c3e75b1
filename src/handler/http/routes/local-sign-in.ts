// Signing in on a laptop: the local issuer's token endpoint, which checks passwords as the user pool's trigger does.
// The password grant of OAuth 2.0 (RFC 6749, section 4.3), since everybody's tools know it.
import type { Connections } from '../../../connection/open.ts'
import type { LocalIssuer } from '../../../connection/tokens/local-issuer.ts'
import { checkPassword } from '../../../services/identity/check-password.ts'
import { waitForNewSession } from '../../../services/identity/session-start.ts'
import { mediaType, readBytes } from '../body.ts'
import type { HttpRequest, Reply } from '../endpoint.ts'

const bytesMax = 8 * 1024
const lifetimeSeconds = 3_600

/** @throws ServiceError as `checkPassword`, and `too_large` */
export async function signInLocally(
  connections: Connections,
  issuer: LocalIssuer,
  request: HttpRequest,
): Promise<Reply> {
  if (mediaType(request) !== 'application/x-www-form-urlencoded')
    return refusal('invalid_request', 'The body must be application/x-www-form-urlencoded.')
  const form = new URLSearchParams(Buffer.from(await readBytes(request, bytesMax)).toString())
  // Section 3.2: none more than once.
  const given = (name: string) => (form.getAll(name).length === 1 ? form.get(name) : null)
  const [grant, username, password] = [given('grant_type'), given('username'), given('password')]
  if (grant === null) return refusal('invalid_request', 'grant_type must be given, once.')
  if (grant !== 'password') return refusal('unsupported_grant_type', 'grant_type must be password.')
  if (username === null || password === null)
    return refusal('invalid_request', 'username and password must be given, once each.')

  const { source } = request
  const user = await checkPassword(connections, {
    username,
    password,
    ...(source !== undefined && { source }),
  })
  if (!user) return refusal('invalid_grant', 'Incorrect username or password.')
  await waitForNewSession(connections, user.username)
  const token = await issuer.token({ username: user.username, lifetimeSeconds })
  return answer(200, { access_token: token, token_type: 'Bearer', expires_in: lifetimeSeconds })
}

function refusal(error: string, description: string): Reply {
  return answer(400, { error, error_description: description })
}

function answer(status: number, body: object): Reply {
  // RFC 6749, section 5.1.
  const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }
  return { status, headers, body: JSON.stringify(body) }
}
