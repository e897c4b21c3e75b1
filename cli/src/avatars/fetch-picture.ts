// Fetches a picture from an address that another system's export names, so the address is not to be trusted.
import { lookup as resolve } from 'node:dns'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent, get } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { isPublicAddress } from './public-address.ts'

/** The limit of the service. */
export const pictureBytesMax = 5 * 1024 * 1024
const timeoutMs = 20_000

/** Why a picture is not taken. The message completes "The picture …". */
export class PictureError extends Error {}

export const tooLarge = 'is larger than 5 MB; scale it down'

export type PictureFetcher = {
  /**
   * Follows no redirect, since the next address would come from a stranger.
   * @throws PictureError; the reason of `signal`
   */
  fetch(address: string, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>
  close(): void
}

/**
 * @param options.allowsPrivate also fetches from private networks and this machine
 * @param options.ca of the servers, instead of the authorities that Node trusts
 */
export function openPictureFetcher({
  allowsPrivate,
  limitMs = timeoutMs,
  ca,
}: {
  allowsPrivate: boolean
  limitMs?: number
  ca?: Buffer
}): PictureFetcher {
  // Its connections are reused, so all of them must have been checked.
  const agent = new Agent({
    keepAlive: true,
    ...(ca && { ca }),
    ...(!allowsPrivate && { lookup: lookUpPublic }),
  })
  return {
    fetch: async (address, signal) => {
      const url = toUrl(address)
      const host = url.hostname.replace(/^\[|\]$/g, '')
      // Names are checked when they are resolved.
      if (!allowsPrivate && isIP(host) !== 0 && !isPublicAddress(host)) throw isPrivate()
      const limit = AbortSignal.timeout(limitMs)
      const request = get(url, {
        agent,
        signal: AbortSignal.any([signal, limit]),
        headers: { accept: 'image/*', 'accept-encoding': 'identity', 'user-agent': 'user-directory' },
      })
      // The response reports an error that comes after its head, too.
      request.on('error', () => {})
      try {
        const [response] = (await once(request, 'response')) as [IncomingMessage]
        return await readBody(response)
      } catch (error) {
        request.destroy()
        signal.throwIfAborted()
        if (error instanceof PictureError) throw error
        throw new PictureError(limit.aborted ? 'takes too long to arrive' : reasonOf(error))
      }
    },
    close: () => agent.destroy(),
  }
}

function toUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol !== 'https:') throw new PictureError('must have an address that begins with https://')
  if (url.username !== '' || url.password !== '')
    throw new PictureError('must have an address without a name and a password')
  return url
}

/** The connection is made to the addresses that are checked here, and never resolves the name again. */
const lookUpPublic: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    const [first] = addresses ?? []
    if (error || !first) return callback(error ?? new Error('no address'), '')
    if (!addresses.every(({ address }) => isPublicAddress(address))) return callback(isPrivate(), '')
    if (options.all) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}

async function readBody(response: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const { statusCode = 0, headers } = response
  if (statusCode >= 300 && statusCode < 400)
    throw new PictureError('redirects to another address; give that one')
  if (statusCode !== 200) throw new PictureError(`cannot be fetched; the answer has the status ${statusCode}`)
  if (Number(headers['content-length'] ?? 0) > pictureBytesMax) throw new PictureError(tooLarge)
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of response as AsyncIterable<Uint8Array>) {
    bytes += part.length
    if (bytes > pictureBytesMax) throw new PictureError(tooLarge)
    parts.push(part)
  }
  return new Uint8Array(Buffer.concat(parts))
}

function isPrivate(): PictureError {
  return new PictureError('has an address in a private network; --allow-private fetches it')
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return `cannot be fetched (${code})`
}
