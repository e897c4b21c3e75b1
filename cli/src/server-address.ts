// Finds the server that a command is for.
import { readCredentials } from './credentials.ts'
import { CommandError } from './exit-codes.ts'

export type ServerOptions = { server?: string; allowHttp?: boolean }

const localServer = 'http://localhost:3000'

/** @throws CommandError for an address that is not valid, or that would send the token in the clear */
export async function findServer({ server, allowHttp }: ServerOptions): Promise<string> {
  const given =
    server ?? process.env.USER_DIRECTORY_SERVER ?? (await readCredentials()).default_server ?? localServer
  return checkAddress(given, { name: 'The server', isHttpAllowed: allowHttp === true })
}

export function checkAddress(
  given: string,
  { name, isHttpAllowed }: { name: string; isHttpAllowed: boolean },
): string {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash)
    throw new CommandError('usage', `${name} must be an address such as https://directory.example.com.`)
  if (url.protocol === 'http:' && !isLoopback(url) && !isHttpAllowed)
    throw new CommandError(
      'usage',
      `${name} must use https, because http would send the token in the clear. To send it all the same, use --allow-http.`,
    )
  return url.href.replace(/\/+$/, '')
}

export function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
}
