// Calls the API with the caller's token. The typed calls go through openapi-fetch, and files past it.
import createClient, { type Client } from 'openapi-fetch'
import type { paths } from './api-types.ts'
import { problemOf } from './errors.ts'
import { send } from './send.ts'

export type Options = {
  /** The service's address, such as `https://directory.example.com`. */
  url: string
  /** An access token, or a function that returns one and runs for each call. */
  token: string | (() => string | Promise<string>)
  /** For one attempt, 30 seconds by default. */
  timeoutMs?: number
  /** For one file, an hour by default. */
  fileTimeoutMs?: number
  /** Four by default. */
  attemptsMax?: number
  fetch?: (request: Request) => Promise<Response>
}

export type CallOptions = { signal?: AbortSignal | undefined }

export type FileBody = Uint8Array<ArrayBuffer> | Blob | ReadableStream<Uint8Array>

export type Connection = {
  api: Client<paths>
  /**
   * Sends a file. A stream is sent only once; its size must be known where the store behind the address asks for it.
   * @param file.url relative to the service, which gets the token; or the whole address of a store, which does not
   * @throws ProblemError, ConnectionError
   */
  sendFile(
    file: { method: 'POST' | 'PUT'; url: string; body: FileBody; headers?: Record<string, string> },
    options: CallOptions,
  ): Promise<Response>
  /** @throws ProblemError, ConnectionError. Reading the body has the time limit of files, too */
  readFile(path: string, options: CallOptions): Promise<Response>
}

export function openConnection(options: Options): Connection {
  const { token, timeoutMs = 30_000, fileTimeoutMs = 3_600_000, attemptsMax = 4 } = options
  const url = options.url.replace(/\/+$/, '')
  const fetch = options.fetch ?? ((request: Request) => globalThis.fetch(request))
  const authorization = async () => `Bearer ${typeof token === 'function' ? await token() : token}`
  const common = { fetch, timeoutMs, attemptsMax }

  const api = createClient<paths>({
    baseUrl: url,
    // The API redirects nowhere, and a token must not follow a redirect.
    redirect: 'error',
    // The keys of `attribute` are names of parameters.
    querySerializer: { object: { style: 'form', explode: true } },
    fetch: async (request) => {
      request.headers.set('authorization', await authorization())
      return send(() => request.clone(), common)
    },
  })

  const sendFile: Connection['sendFile'] = async ({ method, url: target, body, headers }, { signal }) => {
    const isOwn = target.startsWith('/')
    const isStream = body instanceof ReadableStream
    const init = {
      method,
      body,
      headers: { ...headers, ...(isOwn && { authorization: await authorization() }) },
      redirect: 'error' as const,
      ...(signal && { signal }),
      ...(isStream && { duplex: 'half' as const }),
    }
    const response = await send(() => new Request(isOwn ? url + target : target, init), {
      fetch,
      timeoutMs: fileTimeoutMs,
      attemptsMax: isStream ? 1 : attemptsMax,
    })
    if (!response.ok) throw await problemOf(response)
    return response
  }

  const readFile: Connection['readFile'] = async (path, { signal }) => {
    const headers = { authorization: await authorization() }
    // A store behind the API may have the file. `fetch` sends no token to another origin.
    const init = { headers, redirect: 'follow' as const, ...(signal && { signal }) }
    const response = await send(() => new Request(url + path, init), {
      ...common,
      timeoutMs: fileTimeoutMs,
      isStreamed: true,
    })
    if (!response.ok) throw await problemOf(response)
    return response
  }

  return { api, sendFile, readFile }
}

/**
 * @returns the data of a successful call
 * @throws ProblemError
 */
export async function dataOf<T>(
  call: Promise<{ data?: T; response: Response; error?: unknown }>,
): Promise<T> {
  const { data, response, error } = await call
  if (!response.ok) {
    const { status, headers } = response
    // openapi-fetch has read the body.
    throw await problemOf(new Response(JSON.stringify(error ?? null), { status, headers }))
  }
  return data as T
}
