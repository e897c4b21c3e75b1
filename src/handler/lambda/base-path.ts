// Finds the base path of an API Gateway event: that of a custom domain, or the stage of an HTTP API. It compares the path with
// the matched route. `$default` has no path, so an HTTP API with a base path needs the route `ANY /{proxy+}`.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html

import { isConsolePath } from '../http/console/path.ts'

export type Routed = {
  path: string
  /** The route that the gateway matched, such as `/user/{id}`, `/{proxy+}` or `$default`, if the event has it. */
  route: string | undefined
  parameters: Record<string, string | undefined> | null | undefined
  stage: string | undefined
}

/** @returns the base path without a trailing slash; empty if there is none */
export function basePathOf({ path, route, parameters, stage }: Routed): string {
  if (route === '$default') return stage !== undefined && path.startsWith(`/${stage}/`) ? `/${stage}` : ''
  if (!route?.startsWith('/')) return ''
  const rest = parameters?.[/\{([^{}]+)\+\}$/.exec(route)?.[1] ?? '']
  if (rest === undefined) return beforeLast(segmentsOf(route), path)
  // Unlike other fixed parts of a greedy route, this one belongs to our path.
  const own = isConsolePath(route) ? '/console' : ''
  return beforeRest(`${own}/${rest}`, path)
}

function segmentsOf(path: string): number {
  return path.split('/').filter(Boolean).length
}

/** @returns the path before its last `count` segments. A trailing slash does not start a segment. */
function beforeLast(count: number, path: string): string {
  let end = path.replace(/\/+$/, '').length
  for (let segment = 0; segment < count; segment++) end = path.lastIndexOf('/', end - 1)
  return end <= 0 ? '' : path.slice(0, end)
}

/** @returns the path before the value of a greedy parameter, which the gateway may have decoded */
function beforeRest(rest: string, path: string): string {
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1))
    if (isSame(path.slice(at), rest)) return path.slice(0, at)
  return ''
}

function isSame(encoded: string, given: string): boolean {
  const [path, value] = [withoutSlash(encoded), withoutSlash(given)]
  return path === value || decode(path) === value
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
