// npm run smoke: creates, changes and erases one user through the API, and leaves nothing behind.
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { runCommand } from '../../src/cli/command.ts'
import { explain, stageOf } from './stage.ts'

const usage = `Takes one user through the API: create, read, list, change, avatar, block, erase.

  npm run smoke -- --stage dev                     a stage on AWS, with a token of its machine client
  npm run smoke -- --url http://localhost:3000     a server, with an administrator's token in TOKEN
`

// Enough for a cold start in the VPC and a new database connection.
const callMsMax = 15_000
// One pixel, to test the native codec and the bucket.
const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

type Answer = { status: number; headers: Headers; text: string; body: Record<string, unknown> }

type Expected = {
  status: number
  headers?: Record<string, string | RegExp>
  body?: Record<string, unknown>
}

await runCommand(async () => {
  const { values } = parseArgs({
    options: {
      stage: { type: 'string' },
      url: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return void process.stdout.write(usage)
  if (values.url && values.stage) throw new Error('Pass either --url or --stage, not both.')
  const { url, token } = values.url ? server(values.url) : await deployed(values.stage)

  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stop.abort(new Error(`stopped by ${signal}`)))
  await smoke(url.replace(/\/+$/, ''), token, stop.signal)
})

type Target = { url: string; token: string }

function server(url: string): Target {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new Error(`--url must be an http:// or https:// URL, but is: ${url}`)
  const token = process.env.TOKEN
  if (!token)
    throw new Error(
      "Set TOKEN to an administrator's token, or a machine client's with users/write: TOKEN=… npm run smoke -- --url …",
    )
  // `fetch` would reject it with an error that contains the token.
  if (!/^[\w.~+/=-]+$/.test(token))
    throw new Error('TOKEN is not a token: it contains spaces or other characters. Set the token only.')
  return { url, token }
}

async function deployed(stage: string | undefined): Promise<Target> {
  if (!stage) throw new Error('Pass --stage STAGE or --url URL')
  const name = stageOf(stage)
  // Loaded here, because AWS's clients load slowly.
  const { machineToken, readOutputs } = await import('./outputs.ts')
  try {
    const outputs = await readOutputs(name)
    if (!outputs.ApiUrl) throw new Error(`The stacks of ${name} have no output ApiUrl. Deploy them first.`)
    return { url: outputs.ApiUrl, token: await machineToken(outputs) }
  } catch (error) {
    throw explain(error)
  }
}

/** @throws Error with the step that failed, and the expected and actual answers */
async function smoke(api: string, token: string, stopped: AbortSignal): Promise<void> {
  const startedAt = performance.now()
  const call = async (
    method: string,
    path: string,
    {
      json,
      headers,
      signal,
    }: { json?: unknown; headers?: Record<string, string | null>; signal?: AbortSignal } = {},
  ): Promise<Answer> => {
    const response = await fetch(path.startsWith('/') ? api + path : path, {
      method,
      headers: Object.entries({
        authorization: `Bearer ${token}`,
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      }).flatMap(([name, value]) => (value === null ? [] : [[name, value] as [string, string]])),
      ...(json !== undefined && { body: JSON.stringify(json) }),
      redirect: 'error',
      signal: AbortSignal.any([AbortSignal.timeout(callMsMax), ...(signal ? [signal] : [])]),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, text, body: asObject(text) }
  }
  /** Prints one line for each step. */
  const step = async (name: string, work: () => Promise<Answer>, expected: Expected): Promise<Answer> => {
    const from = performance.now()
    const answer = await work().catch((error: unknown) => {
      throw new Error(`✗ ${name}: ${reason(error)}`)
    })
    const faults = faultsOf(answer, expected)
    if (faults.length > 0)
      throw new Error(
        `✗ ${name}: ${faults.join('; ')}\n  ${answer.text.slice(0, 500)}\n  request ${answer.headers.get('x-request-id')}`,
      )
    process.stdout.write(`✓ ${name} (${Math.round(performance.now() - from)} ms)\n`)
    return answer
  }
  const ask = (method: string, path: string, options: Parameters<typeof call>[2] = {}) =>
    call(method, path, { ...options, signal: stopped })

  const username = `smoke-test.${randomBytes(8).toString('hex')}`
  let id: string | undefined
  let mayExist = false
  try {
    await step(
      'reject a request without a token',
      () => ask('GET', '/user?limit=1', { headers: { authorization: null } }),
      {
        status: 401,
      },
    )
    mayExist = true
    const created = await step(
      'create',
      () =>
        ask('POST', '/user', {
          json: {
            username,
            name: 'Smoke Test',
            password: randomBytes(24).toString('base64url'),
            contacts: [{ contact_type: 'WORK', value: 'smoke@example.com' }],
          },
        }),
      {
        status: 201,
        headers: { etag: '"1"', location: /\/user\/[0-9a-f-]{36}$/, 'content-type': /^application\/json/ },
        body: { username, status: 'ACTIVE', version: 1, password: undefined },
      },
    )
    id = String(created.body.id)
    const path = `/user/${id}`
    const read = (version: number, body: Record<string, unknown>) => ({
      status: 200,
      headers: { etag: `"${version}"`, 'x-cache': /^(hit|miss)$/, 'x-request-id': /./ },
      body: { ...body, id, username, version },
    })
    // On API Gateway's own host the path starts with the stage.
    const { pathname } = new URL(created.headers.get('location') ?? '', api)
    // On the same host, because the token must go nowhere else.
    const location = new URL(pathname, api).href
    await step('read', () => ask('GET', location), read(1, { name: 'Smoke Test' }))
    // Usually a hit at once, unless another reader got the lease.
    await step(
      'read from the cache',
      async () => {
        for (let tries = 1; ; tries++) {
          const answer = await ask('GET', path)
          if (answer.headers.get('x-cache') === 'hit' || tries === 5) return answer
          await delay(200, undefined, { signal: stopped })
        }
      },
      { status: 200, headers: { etag: '"1"', 'x-cache': 'hit' }, body: created.body },
    )
    await step('read an unmodified user', () => ask('GET', path, { headers: { 'if-none-match': '"1"' } }), {
      status: 304,
    })
    await step('list', () => ask('GET', `/user?username=${username}&count=exact`), {
      status: 200,
      body: { total: 1, next_cursor: null, items: [created.body] },
    })
    await step(
      'change',
      () => ask('PATCH', path, { json: { name: 'Changed' }, headers: { 'if-match': '"1"' } }),
      { status: 200, headers: { etag: '"2"' }, body: { name: 'Changed', version: 2 } },
    )
    await step('read the change', () => ask('GET', path), read(2, { name: 'Changed' }))
    await step(
      'reject a change of an older version',
      () => ask('PATCH', path, { json: { name: 'Lost' }, headers: { 'if-match': '"1"' } }),
      { status: 412, headers: { 'content-type': /^application\/problem\+json/ } },
    )
    const uploaded = await step(
      'upload an avatar',
      () => ask('POST', `/upload/${id}`, { json: { image_data: pixel } }),
      {
        status: 200,
        headers: { etag: '"3"' },
      },
    )
    // Avatars are public, so no token is sent.
    await step(
      'fetch the avatar',
      () => ask('GET', String(uploaded.body.avatar_url), { headers: { authorization: null } }),
      { status: 200, headers: { 'content-type': 'image/webp', 'x-content-type-options': 'nosniff' } },
    )
    await step('block', () => ask('PATCH', path, { json: { status: 'BLOCKED' } }), {
      status: 200,
      body: { status: 'BLOCKED', version: 4 },
    })
    await step('read the block', () => ask('GET', path), read(4, { status: 'BLOCKED' }))
    await step('erase', () => ask('DELETE', path), { status: 204 })
    mayExist = false
    await step('read the erased user', () => ask('GET', path), { status: 404 })
    process.stdout.write(`All steps passed in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.\n`)
  } finally {
    if (mayExist) await erase(username, id, call)
  }
}

/** Also searches for the user by name, because the answer to its creation may have been lost. */
async function erase(
  username: string,
  knownId: string | undefined,
  call: (method: string, path: string) => Promise<Answer>,
): Promise<void> {
  try {
    const found = knownId ? undefined : await call('GET', `/user?username=${username}`)
    // A token without read permission cannot have created a user.
    if (found?.status === 401 || found?.status === 403) return
    if (found && found.status !== 200) throw new Error(`GET answered ${found.status}`)
    const items = found ? (found.body.items as { id: string }[]) : [{ id: knownId }]
    for (const { id } of items) {
      const { status } = await call('DELETE', `/user/${id}`)
      if (status !== 204 && status !== 404) throw new Error(`DELETE answered ${status}`)
    }
  } catch (error) {
    process.stderr.write(`The user ${username} may still exist. Erase it. ${reason(error)}\n`)
  }
}

function faultsOf({ status, headers, body }: Answer, expected: Expected): string[] {
  // A wrong status explains all other differences.
  if (status !== expected.status) return [`answered ${status}, not ${expected.status}`]
  const faults: string[] = []
  for (const [name, wanted] of Object.entries(expected.headers ?? {})) {
    const value = headers.get(name)
    if (value === null || (wanted instanceof RegExp ? !wanted.test(value) : value !== wanted))
      faults.push(`${name} is ${value}, not ${wanted}`)
  }
  for (const [name, wanted] of Object.entries(expected.body ?? {}))
    if (!isDeepStrictEqual(body[name], wanted))
      faults.push(`${name} is ${JSON.stringify(body[name])}, not ${JSON.stringify(wanted)}`)
  return faults
}

function asObject(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}

/** `fetch` hides the reason in the error's cause. */
function reason(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}
