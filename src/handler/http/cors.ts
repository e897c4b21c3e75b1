// CORS (Fetch standard): lets pages of the origins in CORS_ORIGINS call the API and read its answers.
// Credentials mode stays off, because tokens come in a header and never in a cookie.
import type { HttpRequest, Reply } from './endpoint.ts'

export type Cors = {
  /** The headers to add to every answer, errors included. */
  headers(request: HttpRequest): Record<string, string>
  /**
   * @param methods those that the path supports
   * @returns undefined if the request is not a preflight of an allowed origin
   */
  preflight(request: HttpRequest, methods: string[]): Reply | undefined
}

// API Gateway uses the same lists for its own answers (infra/constructs/cors.ts).
export const exposedHeaders = 'Age, ETag, Location, Link, X-Cache, X-Request-Id, Retry-After'
export const acceptedHeaders =
  'Authorization, Cache-Control, Content-Type, If-Match, If-None-Match, X-Request-Id'
// The longest time that Chrome caches a preflight.
const preflightSeconds = '7200'

/** @returns undefined without origins, so that answers carry no CORS headers */
export function openCors(origins: string[]): Cors | undefined {
  if (origins.length === 0) return undefined
  const vary = { Vary: 'Origin' }
  const allowed = new Map(
    origins.map((origin) => [
      origin,
      { ...vary, 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': exposedHeaders },
    ]),
  )
  const find = (request: HttpRequest) => allowed.get(request.header('origin') ?? '')
  return {
    headers: (request) => find(request) ?? vary,
    preflight: (request, methods) => {
      const isPreflight =
        request.method === 'OPTIONS' && request.header('access-control-request-method') !== undefined
      if (!isPreflight || !find(request)) return undefined
      return {
        status: 204,
        headers: {
          'Access-Control-Allow-Methods': methods.join(', '),
          'Access-Control-Allow-Headers': acceptedHeaders,
          'Access-Control-Max-Age': preflightSeconds,
        },
      }
    },
  }
}
