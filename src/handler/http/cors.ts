// Browsers on other origins (the Fetch standard's CORS protocol): those in CORS_ORIGINS may call the API and read
// its answers. Tokens come in a header, never in a cookie, so no credentials are allowed.
import type { HttpRequest, Reply } from './endpoint.ts'

export type Cors = {
  /** Headers that every answer to the request has, refusals too. */
  headers(request: HttpRequest): Record<string, string>
  /**
   * @param methods those that the path has
   * @returns undefined for what is no preflight of an allowed origin
   */
  preflight(request: HttpRequest, methods: string[]): Reply | undefined
}

// API Gateway has the same lists for what it answers itself (infra/constructs/cors.ts).
export const exposedHeaders = 'ETag, Location, Link, X-Cache, X-Request-Id, Retry-After'
export const acceptedHeaders = 'Authorization, Content-Type, If-Match, If-None-Match, X-Request-Id'
// The longest that Chrome remembers a preflight for.
const preflightSeconds = '7200'

/** @returns undefined without origins: no answer has a header of CORS */
export function openCors(origins: string[]): Cors | undefined {
  if (origins.length === 0) return undefined
  const other = { Vary: 'Origin' }
  const allowed = new Map(
    origins.map((origin) => [
      origin,
      { ...other, 'Access-Control-Allow-Origin': origin, 'Access-Control-Expose-Headers': exposedHeaders },
    ]),
  )
  const find = (request: HttpRequest) => allowed.get(request.header('origin') ?? '')
  return {
    headers: (request) => find(request) ?? other,
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
