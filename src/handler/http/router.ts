// Finds what a path leads to. A path is compared part by part as it was sent, each part decoded once:
// what is encoded in a part stays in it, and dots lead nowhere.

export type Route = { method: string; path: string }
export type Found<R> =
  | { route: R; parameters: string[] }
  /** The path exists, but takes these methods only; none when it does not exist. */
  | { methods: string[] }

type Place<R> = { parts: string[]; routes: Map<string, R>; methods: string[] }

/** @param routes their paths as OpenAPI writes them, where a part is a text or a parameter in braces */
export function createRouter<R extends Route>(routes: R[]): (method: string, path: string) => Found<R> {
  const places = new Map<string, Place<R>>()
  for (const route of routes) {
    const place: Place<R> = places.get(route.path) ?? {
      parts: route.path.split('/').map((part) => (part.startsWith('{') ? '' : part)),
      routes: new Map(),
      methods: [],
    }
    places.set(route.path, place)
    // Whoever answers GET answers HEAD: the same without the body.
    for (const method of route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]) {
      place.routes.set(method, route)
      place.methods.push(method)
    }
  }

  const list = [...places.values()]

  return (method, path) => {
    const parts = path.split('/')
    if (path.includes('%')) for (const [at, part] of parts.entries()) parts[at] = decode(part)
    for (const place of list) {
      const parameters = match(place.parts, parts)
      if (!parameters) continue
      const route = place.routes.get(method)
      return route ? { route, parameters } : { methods: place.methods }
    }
    return { methods: [] }
  }
}

/** @returns the parameters; undefined where the parts do not match */
function match(pattern: string[], parts: string[]): string[] | undefined {
  if (pattern.length !== parts.length) return undefined
  const parameters: string[] = []
  // The first part is what stands before the first slash: nothing.
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at] ?? ''
    if (at > 0 && pattern[at] === '') {
      if (part === '') return undefined
      parameters.push(part)
    } else if (part !== pattern[at]) return undefined
  }
  return parameters
}

// What is not well encoded stands for itself, and will be no id.
function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
