// The headers that isolate the console's pages and files from other origins.

/**
 * @param origins.avatars absent: the console's own
 * @param origins.issuer the sign-in page's, to which a form may lead
 * @param origins.uploads of the store that takes files, if the API does not
 * @returns the headers of every file of the console
 */
export function securityHeaders(origins: {
  avatars?: string
  issuer: string
  uploads?: string
}): Record<string, string> {
  const sources = (...list: (string | undefined)[]) => list.filter((source) => source !== undefined).join(' ')
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src ${sources("'self'", 'data:', 'blob:', origins.avatars)}`,
    `connect-src ${sources("'self'", origins.uploads)}`,
    "font-src 'self'",
    `form-action 'self' ${origins.issuer}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ]
  return {
    'Content-Security-Policy': policy.join('; '),
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()',
  }
}
