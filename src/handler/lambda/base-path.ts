// Where our path begins in that of an API Gateway event: after the base path of a custom domain, or the stage of an HTTP
// API. The route that the gateway has matched tells; `$default` does not, so that an HTTP API with a base path needs
// the route `ANY /{proxy+}`. https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html

export type Routed = {
  path: string
  /** The resource that the gateway has matched, such as `/user/{id}`, `/{proxy+}` or `$default`; undefined where it does not say. */
  route: string | undefined
  parameters: Record<string, string | undefined> | null | undefined
  stage: string | undefined
}

/** @returns what comes before our path, without a slash at its end; empty when nothing does */
export function basePathOf({ path, route, parameters, stage }: Routed): string {
  if (route === '$default') return stage !== undefined && path.startsWith(`/${stage}/`) ? `/${stage}` : ''
  if (!route?.startsWith('/')) return ''
  const rest = parameters?.[/\{([^{}]+)\+\}$/.exec(route)?.[1] ?? '']
  return rest === undefined ? beforeLast(partsOf(route), path) : beforeRest(`/${rest}`, path)
}

function partsOf(path: string): number {
  return path.split('/').filter(Boolean).length
}

/** Before the last `count` parts, which are those that the route has. A slash at the end makes no part. */
function beforeLast(count: number, path: string): string {
  let end = path.replace(/\/+$/, '').length
  for (let part = 0; part < count; part++) end = path.lastIndexOf('/', end - 1)
  return end <= 0 ? '' : path.slice(0, end)
}

/** Before what a greedy parameter holds, which the gateway may have decoded. */
function beforeRest(rest: string, path: string): string {
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1))
    if (isSame(path.slice(at), rest)) return path.slice(0, at)
  return ''
}

function isSame(encoded: string, given: string): boolean {
  const [one, other] = [withoutSlash(encoded), withoutSlash(given)]
  return one === other || decode(one) === other
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}
