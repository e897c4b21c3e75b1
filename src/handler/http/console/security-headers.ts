// The headers that isolate the console's pages and files from other origins.

/**
 * @param origins.issuer the sign-in page's, to which a form may lead
 * @returns the headers of every file of the console
 */
export function securityHeaders(origins: { avatars: string; issuer: string }): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    `img-src 'self' data: blob: ${origins.avatars}`,
    "connect-src 'self'",
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
