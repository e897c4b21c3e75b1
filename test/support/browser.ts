// A browser for tests: it keeps cookies, sends the headers that browsers add, and follows redirects on demand.

export type Page = { status: number; headers: Headers; text: string; location: string | undefined }

export type Browser = {
  /** By name. */
  cookies: Map<string, string>
  /** All headers and bodies received so far. */
  received(): string
  /** Opens an address like a person or a redirect does. */
  open(address: string): Promise<Page>
  /** Sends a request like a script of the console. */
  send(path: string, init?: RequestInit): Promise<Page>
  /** Signs in as the provider's person, or at the local issuer as the sample administrator or a user. @returns the last page */
  signIn(as?: { username: string; password: string }): Promise<Page>
}

/** @param url where the server listens, if a proxy is before it */
export function openBrowser(origin: string, url = origin): Browser {
  const cookies = new Map<string, string>()
  let received = ''
  const request = async (address: string, init: RequestInit): Promise<Page> => {
    const headers = new Headers(init.headers)
    if (cookies.size > 0 && !headers.has('cookie'))
      headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    const absolute = new URL(address, origin).href
    const response = await fetch(absolute.replace(origin, url), { ...init, headers, redirect: 'manual' })
    const text = await response.text()
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    for (const [name, value] of response.headers) received += `${name}: ${value}\n`
    received += `${text}\n`
    const location = response.headers.get('location')
    return {
      status: response.status,
      headers: response.headers,
      text,
      location: location === null ? undefined : new URL(location, absolute).href,
    }
  }
  const open = (address: string) =>
    request(address, {
      headers: { accept: 'text/html', 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
    })
  const browser: Browser = {
    cookies,
    received: () => received,
    open,
    send: (path, init = {}) => {
      const isRead = (init.method ?? 'GET') === 'GET'
      return request(path, {
        ...init,
        headers: {
          'sec-fetch-site': 'same-origin',
          ...(!isRead && { 'x-console': '1', origin }),
          ...(init.headers as Record<string, string>),
        },
      })
    },
    signIn: async (as) => {
      const { location: signInPage = '' } = await open('/console/sign-in?return_to=/console/users')
      const page = await request(signInPage, { headers: { cookie: '' } })
      // The test provider asks nothing.
      if (page.location !== undefined) return open(page.location)
      const form = as ? { action: 'sign-in', ...as } : { action: 'administrator' }
      const { location: callback = '' } = await request(signInPage, {
        method: 'POST',
        body: new URLSearchParams(form),
        headers: { origin, cookie: '' },
      })
      return open(callback)
    },
  }
  return browser
}
