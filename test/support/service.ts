// Starts the service for tests and calls it over HTTP: a real Node server with its own database, or the built function
// behind a gateway.
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { inject } from 'vitest'
import { type Connections, openConnections } from '../../src/connection/open.ts'
import { openTokenVerifier } from '../../src/connection/tokens/token-verifier.ts'
import type { GatewayReply } from '../../src/handler/lambda/gateway-event.ts'
import { startNodeServer } from '../../src/handler/node/http-server.ts'
import type { User } from '../../src/model/user.ts'
import type { Logger } from '../../src/platform/logger.ts'
import { readSettings } from '../../src/platform/settings.ts'
import { createTokenPolicy } from '../../src/services/identity/token-policy.ts'
import { atEnd } from './cleanup.ts'
import { freshDatabase } from './database.ts'
import { packagedFunctions } from './functions.ts'
import { type Issuer, startIssuer, tokenSettings } from './issuer.ts'
import { httpEvent, restEvent, startFunction } from './lambda.ts'
import { until } from './wait.ts'

export type LogLine = { level: string; message: string; fields: Record<string, unknown> }

export type Answer<T = unknown> = { status: number; headers: Headers; body: T; text: string }

export type CallOptions = {
  /** The administrator's if absent; null sends none. */
  token?: string | null
  headers?: Record<string, string>
  /** Sent as JSON. */
  json?: unknown
  /** Sent unchanged. */
  body?: string | Uint8Array<ArrayBuffer> | FormData
  /** Does not retry a request rejected by overload. */
  isLast?: boolean
}

export type Service = {
  url: string
  databaseUrl: string
  connections: Connections
  issuer: Issuer
  tokens: { admin: string; reader: string }
  /** The folder of avatars, without a bucket. */
  avatarDirectory: string
  /** The log so far. */
  log: LogLine[]
  call<T = User>(method: string, path: string, options?: CallOptions): Promise<Answer<T>>
  /** Creates a user with a unique username and the password `a-good-password`. */
  makeUser(fields?: Record<string, unknown>): Promise<User>
  close(): Promise<void>
}

type Entry = 'node' | 'rest' | 'http'
let entry: Entry = 'node'

/** Chooses the entry for services started from now on. */
export function useEntry(chosen: Entry): void {
  entry = chosen
}

/** @returns a username that no other test uses */
export function uniqueName(prefix = 'user'): string {
  return `${prefix}.${randomBytes(6).toString('hex')}`
}

/**
 * Starts a service and closes it when the test or the file ends.
 * @param env settings besides the embedded defaults; `beside` shares another service's database and issuer
 */
export async function startService(
  options: { env?: Record<string, string>; beside?: Service; databaseUrl?: string } = {},
): Promise<Service> {
  const databaseUrl = options.databaseUrl ?? options.beside?.databaseUrl ?? (await freshDatabase())
  const directory = await mkdtemp(join(tmpdir(), 'user-directory-test-'))
  const issuer = options.beside?.issuer ?? (await startIssuer())
  const log: LogLine[] = []
  const write =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      void log.push({ level, message, fields })
  const logger: Logger = {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  }

  const env = { ...(entry !== 'node' && realServices()), ...options.env }
  const settings = readSettings(env, directory)
  const connections = openConnections({ ...settings, databaseUrl }, logger)
  const server =
    entry === 'node'
      ? await startNode(connections, issuer, settings.corsOrigins)
      : await startLambda(entry, { ...env, DATABASE_URL: databaseUrl }, issuer, log)
  await until('the cache', () =>
    connections.cache.check().then(
      () => true,
      () => false,
    ),
  )

  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= (async () => {
      await server.close()
      await connections.close()
      if (!options.beside) await issuer.close()
      await rm(directory, { recursive: true, force: true })
    })()
    return closing
  }
  atEnd(close)

  const tokens = options.beside?.tokens ?? {
    admin: await issuer.token({ username: uniqueName('admin'), 'cognito:groups': ['admins'] }),
    reader: await issuer.token({ username: uniqueName('reader'), 'cognito:groups': ['readers'] }),
  }
  const callOnce = async <T>(method: string, path: string, options: CallOptions): Promise<Answer<T>> => {
    const { token = tokens.admin, headers = {}, json, body } = options
    const response = await server.send(path, {
      method,
      headers: {
        ...(token !== null && { authorization: `Bearer ${token}` }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json !== undefined ? { body: JSON.stringify(json) } : body !== undefined && { body }),
      redirect: 'manual',
    })
    const text = await response.text()
    const isJson = text !== '' && response.headers.get('content-type')?.includes('json')
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson ? JSON.parse(text) : text) as T,
      text,
    }
  }
  // Retries after an overload, because here the server shares its process with its clients on a possibly slow machine. A
  // rejected request has no effect; overload.test.ts tests that with a separate process.
  const call = async <T = User>(
    method: string,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer<T>> => {
    for (;;) {
      const answer = await callOnce<T>(method, path, options)
      if (options.isLast || !answer.text.includes('urn:problem:overloaded')) return answer
      await pause(Math.random() * 200)
    }
  }
  const makeUser = async (fields: Record<string, unknown> = {}): Promise<User> => {
    // Hashing costs more than the rest of a creation, so the default password comes hashed.
    const password = 'password' in fields ? {} : { password_hash: inject('passwordHash') }
    const answer = await call('POST', '/user', { json: { username: uniqueName(), ...password, ...fields } })
    if (answer.status !== 201) throw new Error(`creating a user failed: ${answer.status} ${answer.text}`)
    return answer.body
  }
  const avatarDirectory = join(directory, 'avatars')
  return {
    url: server.url,
    databaseUrl,
    avatarDirectory,
    connections,
    issuer,
    tokens,
    log,
    call,
    makeUser,
    close,
  }
}

type Server = {
  /** Empty for a function, which listens nowhere. */
  url: string
  send(path: string, init: RequestInit): Promise<Response>
  close(): Promise<void>
}

async function startNode(
  connections: Connections,
  { rules }: Issuer,
  corsOrigins: string[],
): Promise<Server> {
  const server = await startNodeServer(connections, openTokenVerifier(createTokenPolicy(rules)), {
    port: 0,
    host: '127.0.0.1',
    corsOrigins,
  })
  const url = `http://127.0.0.1:${server.port}`
  return { url, send: (path, init) => fetch(url + path, init), close: server.close }
}

/** The package behind a gateway whose authorizer verifies tokens like API Gateway. */
async function startLambda(
  kind: 'rest' | 'http',
  env: Record<string, string>,
  { rules }: Issuer,
  log: LogLine[],
): Promise<Server> {
  const { folder } = await packagedFunctions()
  const settings = {
    ...env,
    NODE_ENV: 'production',
    ...tokenSettings(rules),
  }
  const { invoke, close } = await startFunction(join(folder, 'api.js'), settings, (line) => {
    const { level, message, timestamp: _, service: __, ...fields } = JSON.parse(line)
    log.push({ level: level.toLowerCase(), message, fields })
  })
  const verifier = openTokenVerifier(createTokenPolicy(rules))
  const claimsOf = async (request: Request) => {
    const [, token = ''] = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
    return (await verifier.verify(token)) && decodeJwt(token)
  }
  return {
    url: '',
    send: async (path, init) => {
      const request = new Request(`https://gateway${path}`, init)
      const claims = await claimsOf(request)
      const answer = (await invoke(
        await (kind === 'rest' ? restEvent(request, claims) : httpEvent(request, claims)),
      )) as GatewayReply
      // Clients of this helper use paths relative to the stage, so its prefix is removed.
      const headers = Object.entries(answer.headers).map(([name, value]): [string, string] => [
        name,
        value.replace(/^(<?)\/live\//, '$1/'),
      ])
      return new Response(answer.body || null, { status: answer.statusCode, headers })
    },
    close,
  }
}

/** Settings that replace the embedded parts by real servers. */
export function realServices(): Record<string, string> {
  // The AWS SDK reads its own variables from the process.
  Object.assign(process.env, inject('s3Env'))
  return { REDIS_URL: inject('redisUrl'), ...inject('s3Env') }
}
