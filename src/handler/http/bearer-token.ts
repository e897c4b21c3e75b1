import type { HttpRequest } from './endpoint.ts'

const scheme = 'bearer '

/** Reads the token from the Authorization header only (RFC 6750, section 2.1). */
export function bearerToken(request: HttpRequest): string | undefined {
  const header = request.header('authorization') ?? ''
  return header.slice(0, scheme.length).toLowerCase() === scheme
    ? header.slice(scheme.length).trim()
    : undefined
}
