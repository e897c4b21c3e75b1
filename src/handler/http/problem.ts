// The one error writer: what went wrong, as an RFC 9457 problem document.
import { type ErrorCode, ServiceError } from '../../model/errors.ts'
import type { Problem } from '../../model/problem.ts'
import type { Reply } from './endpoint.ts'

const problems: Record<ErrorCode | 'internal', { status: number; title: string }> = {
  invalid: { status: 400, title: 'Bad request' },
  unauthenticated: { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  timed_out: { status: 408, title: 'Request timeout' },
  conflict: { status: 409, title: 'Conflict' },
  version_mismatch: { status: 412, title: 'Version mismatch' },
  too_large: { status: 413, title: 'Too large' },
  uri_too_long: { status: 414, title: 'URI too long' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  misdirected: { status: 421, title: 'Misdirected request' },
  undecodable: { status: 422, title: 'Undecodable image' },
  overloaded: { status: 429, title: 'Overloaded' },
  headers_too_large: { status: 431, title: 'Header fields too large' },
  not_implemented: { status: 501, title: 'Not implemented' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
  version_not_supported: { status: 505, title: 'HTTP version not supported' },
  internal: { status: 500, title: 'Internal error' },
}

/** @param error anything thrown; what is not a ServiceError is answered as 500 without its text */
export function problemReply(error: unknown, requestId: string): Reply {
  const known = error instanceof ServiceError ? error : undefined
  const code = known?.code ?? 'internal'
  const { status, title } = problems[code]
  const headers: Record<string, string> = {
    'Content-Type': 'application/problem+json',
    'Cache-Control': 'no-store',
  }
  if (known?.retryAfterSeconds !== undefined) headers['Retry-After'] = String(known.retryAfterSeconds)
  if (known?.allow !== undefined) headers.Allow = known.allow
  if (known?.version !== undefined) headers.ETag = `"${known.version}"`
  if (code === 'unauthenticated' || code === 'forbidden')
    headers['WWW-Authenticate'] = challenge(code, known?.isTokenMissing === true)
  const document: Problem = {
    type: `urn:problem:${code.replaceAll('_', '-')}`,
    title,
    status,
    detail: known?.message ?? 'Something went wrong on our side. It has been logged under the request id.',
    request_id: requestId,
    ...(known?.version !== undefined && { version: known.version }),
    ...(known && known.faults.length > 0 && { errors: known.faults }),
  }
  return { status, headers, body: JSON.stringify(document) }
}

/** RFC 6750, section 3: a request without a token gets no error code, since it may not have known that it needs one. */
function challenge(code: 'unauthenticated' | 'forbidden', isTokenMissing: boolean): string {
  const scheme = 'Bearer realm="user-directory"'
  if (isTokenMissing) return scheme
  return `${scheme}, error="${code === 'forbidden' ? 'insufficient_scope' : 'invalid_token'}"`
}

export function noSuchRoute(): ServiceError {
  return new ServiceError('not_found', 'There is no such route.')
}
