// The request directive max-stale (RFC 9111, section 5.2.1.2): how old an answer the caller accepts.

/** The service's own bound, which also stands for a directive without a value. */
export const staleSecondsMax = 60

/**
 * @param cacheControl the request's header. `no-cache`, or a malformed `max-stale`, means that the caller accepts none
 * @returns whole seconds; 0 unless the caller accepts stale answers
 */
export function readMaxStale(cacheControl = ''): number {
  const directives = cacheControl.split(',').map((directive) => directive.trim().toLowerCase())
  if (directives.includes('no-cache')) return 0
  const accepted = directives.filter((directive) => directive.startsWith('max-stale')).map(secondsOf)
  return accepted.length === 0 ? 0 : Math.min(...accepted)
}

/** The argument may also be a quoted string (section 5.2). */
function secondsOf(directive: string): number {
  const [, token, quoted] = /^max-stale(?:=(?:(\d+)|"(\d+)"))?$/.exec(directive) ?? [undefined, '0']
  return Math.min(Number(token ?? quoted ?? staleSecondsMax), staleSecondsMax)
}
