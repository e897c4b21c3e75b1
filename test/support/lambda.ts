// Runs a function like AWS: the built package as a process that gets its events from the runtime API. If the process ends,
// its invocation fails, and the next event starts a new process.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, resolve } from 'node:path'
import { createInterface } from 'node:readline'

type Invocation = {
  event: unknown
  timeoutMs: number
  done: (result: unknown) => void
  failed: (error: Error) => void
}

// Lambda's limit for one call, in bytes of JSON. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const eventBytesMax = 6 * 1024 * 1024

export type LambdaFunction = {
  /** The running process, if any. */
  process(): ChildProcess | undefined
  /**
   * @param timeoutMs the remaining time that the function sees; 30 s if absent
   * @throws Error as the function threw it
   */
  invoke(event: unknown, timeoutMs?: number): Promise<unknown>
  close(): Promise<void>
}

/**
 * @param entry a built file that exports `handler`
 * @param onLine receives each line of standard output
 */
export async function startFunction(
  entry: string,
  env: Record<string, string>,
  onLine: (line: string) => void,
): Promise<LambdaFunction> {
  const waiting: Invocation[] = []
  const running = new Map<string, Invocation>()
  let asking: ServerResponse | undefined
  let initError: string | undefined

  const give = (): void => {
    if (!asking) return
    const invocation = waiting.shift()
    if (!invocation) return
    const id = randomUUID()
    running.set(id, invocation)
    const response = asking
    asking = undefined
    response.setHeader('Lambda-Runtime-Aws-Request-Id', id)
    response.setHeader('Lambda-Runtime-Deadline-Ms', String(Date.now() + invocation.timeoutMs))
    response.end(JSON.stringify(invocation.event))
  }

  const server = createServer((request, response) => {
    const [, id, what] = /invocation\/([^/]+)\/(response|error)$/.exec(request.url ?? '') ?? []
    if (request.url?.endsWith('/invocation/next')) {
      asking = response
      give()
      return
    }
    readJson(request).then(
      (body) => {
        if (request.url?.endsWith('/init/error')) initError = describe(body)
        const invocation = running.get(id ?? '')
        running.delete(id ?? '')
        if (what === 'response') invocation?.done(body)
        else invocation?.failed(new Error(describe(body)))
        response.writeHead(202).end()
      },
      () => response.writeHead(400).end(),
    )
  })
  // A function may be stopped between two requests for longer than Node keeps an idle connection.
  server.keepAliveTimeout = 0
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))

  let child: ChildProcess | undefined
  let exited: Promise<void> | undefined
  const init = (): void => {
    const started = spawn(process.execPath, [resolve('test/support/lambda-runtime.mjs'), entry], {
      cwd: dirname(entry),
      // Like on AWS, without this process's environment.
      env: { AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${(server.address() as AddressInfo).port}`, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    child = started
    createInterface({ input: started.stdout }).on('line', onLine)
    exited = new Promise((done) => {
      started.once('exit', () => {
        child = undefined
        asking = undefined
        const error = new Error(initError ?? 'the function has ended')
        initError = undefined
        for (const { failed } of [...running.values(), ...waiting.splice(0)]) failed(error)
        running.clear()
        done()
      })
    })
  }
  init()

  return {
    process: () => child,
    invoke: (event, timeoutMs = 30_000) =>
      new Promise((done, failed) => {
        if (Buffer.byteLength(JSON.stringify(event)) > eventBytesMax)
          return failed(new Error('RequestEntityTooLargeException'))
        waiting.push({ event, timeoutMs, done, failed })
        if (!child) init()
        give()
      }),
    close: async () => {
      child?.kill('SIGKILL')
      await exited
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    },
  }
}

function describe(error: unknown): string {
  return (error as { errorMessage: string }).errorMessage
}

async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString())
}

/** The claims of a token that the gateway's authorizer accepted. */
type TokenClaims = Record<string, unknown>

/** Claims as the authorizer passes them: all as text. */
function asTexts(claims: TokenClaims, joinList: (members: unknown[]) => string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(claims).map(([name, value]) => [
      name,
      Array.isArray(value) ? joinList(value) : String(value),
    ]),
  )
}

/** REST APIs pass times as `Tue May 08 18:27:47 UTC 2018`. */
function asDates(claims: TokenClaims): Record<string, string> {
  const dates = ['iat', 'exp'].flatMap((name) => {
    const seconds = claims[name]
    if (typeof seconds !== 'number') return []
    const [, day, month, date, year, time] =
      /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/
        .exec(new Date(seconds * 1_000).toUTCString())
        ?.map((part, at, all) => (at === 2 ? all[3] : at === 3 ? all[2] : part)) ?? []
    return [[name, `${day} ${month} ${date} ${time} UTC ${year}`]]
  })
  return Object.fromEntries(dates)
}

/** Converts a request to the event of a REST API, like API Gateway. */
export async function restEvent(request: Request, claims: TokenClaims | undefined): Promise<unknown> {
  const url = new URL(request.url)
  const headers = Object.fromEntries(request.headers)
  const query = (last: boolean) => {
    const names = [...new Set(url.searchParams.keys())]
    if (names.length === 0) return null
    return Object.fromEntries(
      names.map((name) => {
        const values = url.searchParams.getAll(name)
        return [name, last ? values.at(-1) : values]
      }),
    )
  }
  return {
    resource: '/{proxy+}',
    path: url.pathname,
    httpMethod: request.method,
    headers,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    queryStringParameters: query(true),
    multiValueQueryStringParameters: query(false),
    pathParameters: { proxy: url.pathname.slice(1) },
    stageVariables: null,
    ...(await bodyOf(request)),
    requestContext: {
      requestId: randomUUID(),
      stage: 'live',
      httpMethod: request.method,
      path: `/live${url.pathname}`,
      identity: { sourceIp: '192.0.2.1' },
      ...(claims && {
        authorizer: { claims: { ...asTexts(claims, (members) => members.join(',')), ...asDates(claims) } },
      }),
    },
  }
}

/** Converts a request to the event of an HTTP API with a named stage. */
export async function httpEvent(request: Request, claims: TokenClaims | undefined): Promise<unknown> {
  const url = new URL(request.url)
  return {
    version: '2.0',
    routeKey: '$default',
    rawPath: `/live${decoded(url.pathname)}`,
    rawQueryString: url.search.slice(1),
    headers: Object.fromEntries(request.headers),
    ...(url.search && { queryStringParameters: Object.fromEntries(url.searchParams) }),
    ...(await bodyOf(request)),
    requestContext: {
      requestId: randomUUID(),
      stage: 'live',
      http: {
        method: request.method,
        path: `/live${url.pathname}`,
        protocol: 'HTTP/1.1',
        sourceIp: '192.0.2.1',
      },
      ...(claims && {
        authorizer: { jwt: { claims: asTexts(claims, (members) => `[${members.join(' ')}]`), scopes: null } },
      }),
    },
  }
}

/** HTTP APIs pass paths decoded, despite the field's name. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

async function bodyOf(request: Request): Promise<{ body: string | null; isBase64Encoded: boolean }> {
  if (!request.body) return { body: null, isBase64Encoded: false }
  const bytes = Buffer.from(await request.arrayBuffer())
  // The gateway passes media types that are configured as binary in base64.
  const isText = /json/.test(request.headers.get('content-type') ?? '')
  return { body: bytes.toString(isText ? 'utf8' : 'base64'), isBase64Encoded: !isText }
}
