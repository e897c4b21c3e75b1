// The one error writer: what went wrong, as an RFC 9457 problem document.
import * as z from 'zod/mini'
import { type ErrorCode, ServiceError } from '../model/errors.ts'
import type { Reply } from './endpoint.ts'

const problems: Record<ErrorCode | 'internal', { status: number; title: string }> = {
  invalid: { status: 400, title: 'Bad request' },
  unauthenticated: { status: 401, title: 'Not authenticated' },
  forbidden: { status: 403, title: 'Not allowed' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'Method not allowed' },
  conflict: { status: 409, title: 'Conflict' },
  version_mismatch: { status: 412, title: 'Version mismatch' },
  too_large: { status: 413, title: 'Too large' },
  unsupported_media_type: { status: 415, title: 'Unsupported media type' },
  undecodable: { status: 422, title: 'Undecodable image' },
  overloaded: { status: 429, title: 'Overloaded' },
  unavailable: { status: 503, title: 'Temporarily unavailable' },
  internal: { status: 500, title: 'Internal error' },
}

/** Shared by every route in the OpenAPI document. */
export const problemSchema = z.object({
  type: z.string().register(z.globalRegistry, {
    description: 'A URN that names the kind of problem.',
    examples: ['urn:problem:invalid'],
  }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  request_id: z
    .string()
    .register(z.globalRegistry, { description: 'The same as in the log and the X-Request-Id header.' }),
  version: z.optional(z.int()).register(z.globalRegistry, { description: 'The present version, with 412.' }),
  errors: z.optional(
    z.array(
      z.object({
        message: z.string(),
        pointer: z
          .optional(z.string())
          .register(z.globalRegistry, { description: 'RFC 6901 pointer into the body.' }),
        parameter: z.optional(z.string()),
        header: z.optional(z.string()),
      }),
    ),
  ),
})

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
  // RFC 6750, section 3. The same for every token that is not taken: nothing tells why.
  if (code === 'unauthenticated') headers['WWW-Authenticate'] = 'Bearer realm="user-directory"'
  const document: z.infer<typeof problemSchema> = {
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

export function noSuchRoute(): ServiceError {
  return new ServiceError('not_found', 'There is no such route.')
}
