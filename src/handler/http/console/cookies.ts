// The console's cookies (RFC 6265bis): the session, and a sign-in under way.
import type { HttpRequest } from '../endpoint.ts'

export type ConsoleCookie = {
  read(request: HttpRequest): string | undefined
  /** @returns the value of Set-Cookie */
  write(value: string): string
  clear(): string
}

const signInSeconds = 600

/** @param origin the console's own; over http it is on this machine */
export function consoleCookies(origin: string): { session: ConsoleCookie; signIn: ConsoleCookie } {
  const { protocol, port } = new URL(origin)
  // Safari keeps no Secure cookie from http://localhost, and a __Host- cookie must be Secure. Cookies ignore ports, so the
  // name has it.
  const [prefix, suffix, secure] =
    protocol === 'https:' ? ['__Host-', '', ' Secure;'] : ['', `-${port || '80'}`, '']
  const cookie = (purpose: string, attributes: string): ConsoleCookie => {
    const name = `${prefix}directory-${purpose}${suffix}`
    const write = (value: string, more: string) => `${name}=${value}; Path=/;${secure} HttpOnly; ${more}`
    return {
      read: (request) => readCookie(request, name),
      write: (value) => write(value, attributes),
      clear: () => write('', `${attributes.replace(/; Max-Age=\d+/, '')}; Max-Age=0`),
    }
  }
  return {
    session: cookie('console', 'SameSite=Strict'),
    // The provider's redirect back comes from another site, so a Strict cookie would not arrive.
    signIn: cookie('console-sign-in', `SameSite=Lax; Max-Age=${signInSeconds}`),
  }
}

function readCookie(request: HttpRequest, name: string): string | undefined {
  for (const pair of (request.header('cookie') ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return undefined
}
