// The local issuer's token endpoint. It checks passwords like the user pool's migration trigger, and supports the password
// grant (RFC 6749, section 4.3), which common tools can send.
import type { Connections } from '../../../connection/open.ts'
import type { LocalIssuer } from '../../../connection/tokens/local-issuer.ts'
import { checkPassword } from '../../../services/identity/check-password.ts'
import { waitForNewSession } from '../../../services/identity/session-start.ts'
import { mediaType, readBytes } from '../body.ts'
import type { HttpRequest, Reply } from '../endpoint.ts'

const bytesMax = 8 * 1024
const lifetimeSeconds = 3_600

/** @throws ServiceError like `checkPassword`, and `too_large` */
export async function issueLocalToken(
  connections: Connections,
  issuer: LocalIssuer,
  request: HttpRequest,
): Promise<Reply> {
  if (mediaType(request) !== 'application/x-www-form-urlencoded')
    return rejection('invalid_request', 'The body must be application/x-www-form-urlencoded.')
  const form = new URLSearchParams(Buffer.from(await readBytes(request, bytesMax)).toString())
  // Section 3.2: no parameter may be repeated.
  const single = (name: string) => (form.getAll(name).length === 1 ? form.get(name) : null)
  const [grant, username, password] = [single('grant_type'), single('username'), single('password')]
  if (grant === null) return rejection('invalid_request', 'Send grant_type exactly once.')
  if (grant !== 'password') return rejection('unsupported_grant_type', 'grant_type must be password.')
  if (username === null || password === null)
    return rejection('invalid_request', 'Send username and password exactly once each.')

  const { source } = request
  const user = await checkPassword(connections, {
    username,
    password,
    ...(source !== undefined && { source }),
  })
  if (!user) return rejection('invalid_grant', 'Incorrect username or password.')
  await waitForNewSession(connections, user.username)
  const token = await issuer.token({ username: user.username, lifetimeSeconds })
  return answer(200, { access_token: token, token_type: 'Bearer', expires_in: lifetimeSeconds })
}

function rejection(error: string, description: string): Reply {
  return answer(400, { error, error_description: description })
}

function answer(status: number, body: object): Reply {
  // RFC 6749, section 5.1, requires no-store.
  const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }
  return { status, headers, body: JSON.stringify(body) }
}
