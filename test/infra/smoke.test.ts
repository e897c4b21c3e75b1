// The smoke test as a command against a real server, with a proxy between them that falsifies answers.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { serverBundle } from '../../tools/server-bundle.mjs'
import { startAws } from '../support/aws.ts'
import { atEnd } from '../support/cleanup.ts'
import { freshDatabase } from '../support/database.ts'
import { startIssuer, tokenSettings } from '../support/issuer.ts'
import { freePort } from '../support/port.ts'
import { until } from '../support/wait.ts'

const issuer = await startIssuer()
afterAll(issuer.close)
const admin = await issuer.machineToken('users/write')
let api = ''

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'user-directory-smoke-'))
  const port = await freePort()
  const server = spawn(process.execPath, [serverBundle()], {
    cwd: folder,
    env: {
      PATH: process.env.PATH ?? '',
      PORT: String(port),
      DATABASE_URL: await freshDatabase(),
      ...tokenSettings(issuer.rules),
    },
  })
  atEnd(async () => {
    await ended(server)
    await rm(folder, { recursive: true, force: true })
  })
  let output = ''
  server.stdout.on('data', (chunk: Buffer) => (output += chunk))
  server.stderr.on('data', (chunk: Buffer) => (output += chunk))
  await until('the server to start', () => output.includes('"message":"started"'), 30_000)
  api = `http://localhost:${port}`
})

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode
  const exit = new Promise<number | null>((done) => child.once('exit', done))
  child.kill('SIGTERM')
  return exit
}

function smoke(
  options: string[],
  env: Record<string, string> = { TOKEN: admin },
): { child: ChildProcess; done: Promise<{ code: number | null; output: string }> } {
  const child = spawn(process.execPath, ['infra/scripts/smoke.ts', ...options], {
    env: { PATH: process.env.PATH ?? '', ...env },
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk))
  return {
    child,
    done: new Promise((done) => child.once('close', (code) => done({ code, output }))),
  }
}

async function usersLeft(): Promise<unknown> {
  const response = await fetch(`${api}/user?count=exact`, { headers: { authorization: `Bearer ${admin}` } })
  return ((await response.json()) as { total: number }).total
}

type Spoilt = { status?: number; headers?: Record<string, string>; body?: string }

/** Starts a proxy; `spoil` returns the answer to send instead, or undefined. @returns the proxy's URL */
async function between(
  spoil: (
    request: IncomingMessage,
    answer: { status: number; headers: Headers; body: string },
    response: ServerResponse,
  ) => Promise<Spoilt | undefined> | Spoilt | undefined,
): Promise<string> {
  const forward: RequestListener = async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { host: _, connection: __, ...headers } = request.headers as Record<string, string>
    const real = await fetch(api + request.url, {
      method: request.method ?? 'GET',
      headers,
      ...(chunks.length > 0 && { body: Buffer.concat(chunks) }),
    })
    const answer = { status: real.status, headers: real.headers, body: await real.text() }
    const spoilt = await spoil(request, answer, response)
    if (response.destroyed) return
    const names = ['etag', 'location', 'content-type', 'x-cache', 'x-request-id']
    for (const name of names)
      if (real.headers.has(name)) response.setHeader(name, real.headers.get(name) ?? '')
    for (const [name, value] of Object.entries(spoilt?.headers ?? {})) response.setHeader(name, value)
    response.writeHead(spoilt?.status ?? answer.status)
    response.end(spoilt?.body ?? (answer.body || undefined))
  }
  const server = createServer((request, response) => {
    void Promise.resolve(forward(request, response)).catch(() => response.destroy())
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  atEnd(async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('npm run smoke', () => {
  it('passes on a healthy server, and leaves no user behind', async () => {
    const { code, output } = await smoke(['--url', `${api}/`]).done
    expect(output).toMatch(/All steps passed in [\d.]+ s\.\n$/)
    for (const step of ['create', 'read from the cache', 'list', 'change', 'block', 'erase'])
      expect(output).toMatch(new RegExp(`^✓ ${step} \\(\\d+ ms\\)$`, 'm'))
    expect(code).toBe(0)
    expect(output).not.toContain(admin)
    expect(await usersLeft()).toBe(0)
  })

  it('reports an unexpected answer, and still erases its user', async () => {
    const url = await between((request) =>
      request.method === 'PATCH' ? { status: 500, body: '{"detail":"broken"}' } : undefined,
    )
    const { code, output } = await smoke(['--url', url]).done
    expect(code).toBe(1)
    expect(output).toContain('✗ change: answered 500, not 200')
    expect(output).toContain('{"detail":"broken"}')
    expect(await usersLeft()).toBe(0)
  })

  it('detects a stale read', async () => {
    let first: string | undefined
    const url = await between((request, { body }) => {
      if (request.method !== 'GET' || !/^\/user\/[^/]+$/.test(request.url ?? '')) return undefined
      first ??= body
      return { headers: { etag: '"1"', 'x-cache': 'hit' }, body: first }
    })
    const { code, output } = await smoke(['--url', url]).done
    expect(code).toBe(1)
    expect(output).toContain('✗ read the change: etag is "1", not "2"; name is')
    expect(await usersLeft()).toBe(0)
  })

  it('detects a bypassed cache', async () => {
    const url = await between((request) =>
      request.url?.startsWith('/user/') ? { headers: { 'x-cache': 'bypass' } } : undefined,
    )
    const { code, output } = await smoke(['--url', url]).done
    expect(code).toBe(1)
    expect(output).toContain('✗ read: x-cache is bypass, not /^(hit|miss)$/')
  })

  it('detects an API that accepts requests without a token', async () => {
    const url = await between((request) =>
      request.headers.authorization ? undefined : { status: 200, body: '{}' },
    )
    const { code, output } = await smoke(['--url', url]).done
    expect(code).toBe(1)
    expect(output).toContain('✗ reject a request without a token: answered 200, not 401')
  })

  it('erases its user even if the answer to its creation was lost', async () => {
    const url = await between((request, _answer, response) => {
      if (request.method === 'POST') response.destroy()
      return undefined
    })
    const { code, output } = await smoke(['--url', url]).done
    expect(code).toBe(1)
    expect(output).toMatch(/✗ create: fetch failed: /)
    expect(await usersLeft()).toBe(0)
  })

  it('erases its user when interrupted', async () => {
    let interrupt = async () => {}
    const url = await between(async (request) => {
      if (request.method === 'PATCH') await interrupt()
      return undefined
    })
    const { child, done } = smoke(['--url', url])
    interrupt = async () => {
      child.kill('SIGINT')
      await done
    }
    const { code, output } = await done
    expect(code).toBe(1)
    expect(output).toContain('stopped by SIGINT')
    expect(await usersLeft()).toBe(0)
  })

  it('reports a user that it could not erase', async () => {
    const url = await between((request) =>
      request.method === 'PATCH' || request.method === 'DELETE' ? { status: 503, body: '{}' } : undefined,
    )
    const { code, output } = await smoke(['--url', url]).done
    expect(code).toBe(1)
    expect(output).toMatch(/The user smoke-test\.[0-9a-f]{16} may still exist. Erase it. DELETE answered 503/)
  })

  it('finds a deployed stage, and gets a token of its machine client', async () => {
    const aws = await startAws()
    const scopes: string[] = []
    aws.machine.issue = (scope) => {
      scopes.push(scope)
      return issuer.machineToken(scope)
    }
    aws.stacks.set('user-directory-dev-data', {
      UserPoolId: aws.machine.poolId,
      MachineClientId: aws.machine.clientId,
      TokenUrl: `${aws.env.AWS_ENDPOINT_URL}/oauth2/token`,
    })
    aws.stacks.set('user-directory-dev-service', { ApiUrl: `${api}/` })
    const [well, absent] = await Promise.all([
      smoke(['--stage', 'dev'], aws.env).done,
      smoke(['--stage', 'prod'], aws.env).done,
    ])
    expect(well.output).toMatch(/All steps passed in [\d.]+ s\.\n$/)
    expect(well.code).toBe(0)
    expect(scopes).toEqual(['users/write'])
    expect(well.output).not.toContain(aws.machine.secret)
    expect(absent.output).toBe(
      'Is the stage deployed in this account and region?\n  Stack with id user-directory-prod-data does not exist\n',
    )
    expect(absent.code).toBe(1)
    expect(await usersLeft()).toBe(0)
  })

  it('reports what is wrong with its token, URL or options', async () => {
    const reader = await issuer.machineToken('users/read')
    const nowhere = `http://127.0.0.1:${await freePort()}`
    const [noToken, readsOnly, noServer, noUrl, badUrl, both, brokenToken] = await Promise.all([
      smoke(['--url', api], {}).done,
      smoke(['--url', api], { TOKEN: reader }).done,
      smoke(['--url', nowhere]).done,
      smoke([]).done,
      smoke(['--url', 'example']).done,
      smoke(['--url', api, '--stage', 'dev']).done,
      smoke(['--url', api], { TOKEN: `${reader}\n` }).done,
    ])
    expect(noToken.output).toMatch(/^Set TOKEN to /)
    expect(readsOnly.output).toContain('✗ create: answered 403, not 201')
    expect(readsOnly.output).not.toContain('may still exist')
    expect(noServer.output).toMatch(/fetch failed: connect ECONNREFUSED/)
    expect(noServer.output).not.toContain('may still exist')
    expect(noUrl.output).toContain('Pass --stage STAGE or --url URL')
    expect(badUrl.output).toContain('--url must be an http:// or https:// URL, but is: example')
    expect(both.output).toContain('either --url or --stage')
    expect(brokenToken.output).toContain('TOKEN is not a token')
    expect(brokenToken.output).not.toContain(reader)
    for (const { code } of [noToken, readsOnly, noServer, noUrl, badUrl, both, brokenToken])
      expect(code).toBe(1)
  })
})
