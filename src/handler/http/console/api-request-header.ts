// The headers of a console's request as those of the API's request that it stands for.
import type { HttpRequest } from '../endpoint.ts'

/** @param token the session's, in the place of its cookie */
export function apiRequestHeader(request: HttpRequest, token: string, name: string): string | undefined {
  if (name === 'authorization') return `Bearer ${token}`
  // The API knows no cookies, and answers of the console have no CORS headers.
  return name === 'cookie' || name === 'origin' ? undefined : request.header(name)
}
