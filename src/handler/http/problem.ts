// Turns anything thrown into an RFC 9457 problem document.
import { ServiceError } from '../../model/errors.ts'
import type { Problem } from '../../model/problem.ts'
import type { Reply } from './endpoint.ts'
import { type ProblemCode, problemTypes } from './problem-types.ts'

/** RFC 9110, section 15.5.6: the answer lists the methods that the path supports. */
export class MethodNotAllowed extends ServiceError {
  readonly allow: string

  constructor(methods: string[]) {
    const allow = methods.join(', ')
    super('method_not_allowed', `This path supports ${allow} only. Use one of these methods.`)
    this.allow = allow
  }
}

export function routeNotFound(): ServiceError {
  return new ServiceError('not_found', 'No route has this path. Check it against the API reference.')
}

/** @param error any value; anything but a ServiceError becomes a 500 without the error's text */
export function problemReply(error: unknown, requestId: string): Reply {
  const known = error instanceof ServiceError ? error : undefined
  const code: ProblemCode = known?.code ?? 'internal'
  const { status, title } = problemTypes[code]
  const headers: Record<string, string> = {
    'Content-Type': 'application/problem+json',
    'Cache-Control': 'no-store',
  }
  if (known?.retryAfterSeconds !== undefined) headers['Retry-After'] = String(known.retryAfterSeconds)
  if (known instanceof MethodNotAllowed) headers.Allow = known.allow
  if (known?.version !== undefined) headers.ETag = `"${known.version}"`
  if (code === 'unauthenticated' || code === 'forbidden')
    headers['WWW-Authenticate'] = challenge(code, known?.isTokenMissing === true)
  const document: Problem = {
    type: `urn:problem:${code.replaceAll('_', '-')}`,
    title,
    status,
    detail:
      known?.message ??
      'The service failed to handle this request. If a retry fails too, report the request id to the operator.',
    request_id: requestId,
    ...(known?.version !== undefined && { version: known.version }),
    ...(known && known.faults.length > 0 && { errors: known.faults }),
  }
  return { status, headers, body: JSON.stringify(document) }
}

/** RFC 6750, section 3: a challenge to a request without a token carries no error code. */
function challenge(code: 'unauthenticated' | 'forbidden', isTokenMissing: boolean): string {
  const scheme = 'Bearer realm="user-directory"'
  if (isTokenMissing) return scheme
  return `${scheme}, error="${code === 'forbidden' ? 'insufficient_scope' : 'invalid_token'}"`
}
