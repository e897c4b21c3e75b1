// Receives the browser's redirect on this machine (RFC 8252, section 7.3).
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { CommandError } from '../exit-codes.ts'

export type Loopback = {
  redirectUri: string
  /** Resolves with the address that the browser was sent to. */
  redirected: Promise<URL>
  close(): void
}

const waitMsMax = 5 * 60_000

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>User directory</title>
<p>The command line has its answer. You can close this window.</p></html>`

/**
 * Listens on a free port, or at the given redirect address. On a terminal it also takes the address as text, because the
 * browser may run on another machine.
 * @throws CommandError if the address is in use
 */
export async function listenForRedirect(given: string | undefined, signal: AbortSignal): Promise<Loopback> {
  const { hostname, port, pathname } = new URL(given ?? 'http://127.0.0.1:0/callback')
  let resolve: (url: URL) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const redirected = new Promise<URL>((done, fail) => {
    resolve = done
    reject = fail
  })
  // It may fail before the caller awaits it.
  redirected.catch(() => {})

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', redirectUri)
    const isAnswer =
      url.pathname === pathname && (url.searchParams.has('code') || url.searchParams.has('error'))
    response.writeHead(isAnswer ? 200 : 404, {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-store',
      Connection: 'close',
    })
    response.end(isAnswer ? page : '')
    if (isAnswer) resolve(url)
  })
  await new Promise<void>((done, fail) => {
    server.once('error', () =>
      fail(new CommandError('failed', `The port ${port} of the redirect is in use.`)),
    )
    server.listen(Number(port), hostname.replace(/[[\]]/g, ''), done)
  })
  const redirectUri = given ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`

  const lines = process.stdin.isTTY ? createInterface({ input: process.stdin }) : undefined
  lines?.on('line', (line) => {
    if (URL.canParse(line.trim())) resolve(new URL(line.trim()))
  })
  const timer = setTimeout(
    () => reject(new CommandError('failed', 'The sign-in took more than five minutes. Start it again.')),
    waitMsMax,
  )
  const stop = () => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  return {
    redirectUri,
    redirected,
    close: () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      lines?.close()
      server.close()
      // Browsers open connections in advance, which would keep the command running.
      server.closeAllConnections()
    },
  }
}
