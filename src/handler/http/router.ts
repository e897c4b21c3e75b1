// Finds the route of a path. It compares segment by segment, each decoded once, so that an encoded slash stays within its
// segment. Dot segments are not resolved.

export type Route = { method: string; path: string }
export type Found<R> =
  | { route: R; parameters: string[] }
  /** The methods that the path supports instead; empty if no route has the path. */
  | { methods: string[] }

const parameter = '{}'

/** The routes of one path, with `parameter` for the segment of each parameter. */
type PathRoutes<R> = { segments: string[]; routes: Map<string, R>; methods: string[] }

/** @param routes with OpenAPI path templates, whose segments are literal text or one parameter in braces */
export function createRouter<R extends Route>(routes: R[]): (method: string, path: string) => Found<R> {
  const byPath = new Map<string, PathRoutes<R>>()
  for (const route of routes) {
    const entry: PathRoutes<R> = byPath.get(route.path) ?? {
      segments: route.path.split('/').map((segment) => (segment.startsWith('{') ? parameter : segment)),
      routes: new Map(),
      methods: [],
    }
    byPath.set(route.path, entry)
    // HEAD is served like GET, and the entries leave out the body.
    for (const method of route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]) {
      entry.routes.set(method, route)
      entry.methods.push(method)
    }
  }

  const entries = [...byPath.values()]

  return (method, path) => {
    const segments = path.split('/')
    if (path.includes('%')) for (const [at, segment] of segments.entries()) segments[at] = decode(segment)
    for (const entry of entries) {
      const parameters = match(entry.segments, segments)
      if (!parameters) continue
      const route = entry.routes.get(method)
      return route ? { route, parameters } : { methods: entry.methods }
    }
    return { methods: [] }
  }
}

/** @returns the parameters, or undefined if the segments do not match */
function match(pattern: string[], segments: string[]): string[] | undefined {
  if (pattern.length !== segments.length) return undefined
  const parameters: string[] = []
  for (let at = 0; at < segments.length; at++) {
    const segment = segments[at] ?? ''
    if (pattern[at] === parameter) {
      if (segment === '') return undefined
      parameters.push(segment)
    } else if (segment !== pattern[at]) return undefined
  }
  return parameters
}

// A segment with invalid encoding stays as it is, and fails the check of ids later.
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
