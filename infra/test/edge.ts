// CloudFront for tests: it serves a stage's distribution, as its template describes it, with TLS on this machine.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { extname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { atEnd } from '../../test/support/cleanup.ts'
import { consoleEvent, type GatewayReply } from '../../test/support/console-function.ts'
import { restEvent } from '../../test/support/lambda.ts'
import { runEdge } from './run-edge.ts'
import type { StageTemplates } from './stage-templates.ts'

type Parts = {
  templates: StageTemplates
  port: number
  /** The API's function. */
  invoke(event: unknown): Promise<unknown>
  /** The built console. */
  folder: string
  /** An S3 server, in the place of the bucket's host. */
  store: string
}
type Answer = { status: number; headers: Record<string, string | string[]>; body: string | Buffer }

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
}
const tls = (name: string) => readFileSync(new URL(`../../test/support/tls/${name}`, import.meta.url))

/** The viewer's address is always 192.0.2.1. */
export async function startEdge({ templates, port, invoke, folder, store }: Parts): Promise<void> {
  const { properties, service } = templates
  const [{ DistributionConfig } = {}] = properties('AWS::CloudFront::Distribution')
  const { CacheBehaviors, DefaultCacheBehavior } = DistributionConfig as {
    CacheBehaviors: Record<string, unknown>[]
    DefaultCacheBehavior: Record<string, unknown>
  }
  const behaviorOf = (path: string) =>
    CacheBehaviors.find(({ PathPattern }) =>
      new RegExp(`^${String(PathPattern).replaceAll('*', '.*')}$`).test(path),
    ) ?? DefaultCacheBehavior
  const policyHeaders = ({ ResponseHeadersPolicyId }: Record<string, unknown>): Record<string, string> => {
    const { Ref } = ResponseHeadersPolicyId as { Ref: string }
    const config = service.toJSON().Resources[Ref].Properties.ResponseHeadersPolicyConfig
    const security = config.SecurityHeadersConfig
    const policy = security.ContentSecurityPolicy
    const custom = (config.CustomHeadersConfig?.Items ?? []) as { Header: string; Value: string }[]
    return {
      ...(policy && {
        'content-security-policy': spell(policy.ContentSecurityPolicy).replace(
          /https:\/\/[^ ]*-avatars-[^ ;]*/,
          store,
        ),
      }),
      ...(security.ContentTypeOptions && { 'x-content-type-options': 'nosniff' }),
      ...(security.ReferrerPolicy && { 'referrer-policy': security.ReferrerPolicy.ReferrerPolicy }),
      ...Object.fromEntries(custom.map(({ Header, Value }) => [Header, Value])),
    }
  }

  const fromGateway = async (request: Request, path: string): Promise<Answer> => {
    const event = path.startsWith('/console/') ? consoleEvent(request) : restEvent(request, undefined)
    const { statusCode, headers, multiValueHeaders, body } = (await invoke(await event)) as GatewayReply
    return { status: statusCode, headers: { ...headers, ...multiValueHeaders }, body }
  }
  const fromFiles = (path: string): Answer => {
    try {
      const body = readFileSync(join(folder, path.slice('/console/'.length)))
      const caching = path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
      return {
        status: 200,
        headers: { 'content-type': types[extname(path)] ?? '', 'cache-control': caching },
        body,
      }
    } catch {
      return { status: 404, headers: {}, body: '' }
    }
  }
  const fromBucket = async (path: string): Promise<Answer> => {
    const object = await fetch(`${store}/avatars${path}`)
    const type = object.headers.get('content-type') ?? ''
    return {
      status: object.status,
      headers: { 'content-type': type },
      body: Buffer.from(await object.arrayBuffer()),
    }
  }

  const server = createServer(
    { key: tls('server-key.pem'), cert: tls('server.pem') },
    (incoming, response) => {
      const answer = async (): Promise<void> => {
        const { method = '', url = '' } = incoming
        const { pathname, search } = new URL(url, 'https://edge')
        const behavior = behaviorOf(pathname)
        const isFile = JSON.stringify(behavior).includes('SitePage')
        const isAvatar = behavior.PathPattern === '/avatars/*'
        const request = { uri: pathname, headers: {} as Record<string, { value: string }> }
        const file = isFile ? 'page.js' : 'viewer.js'
        const edged = isAvatar ? request : runEdge(file, { viewer: { ip: '192.0.2.1' }, request })
        if ('statusCode' in edged) return void response.writeHead(302, { location: '/console/' }).end()
        const body = await buffer(incoming)
        const origin = new Request(`https://gateway${pathname}${search}`, {
          method,
          ...(body.length > 0 && { body: new Uint8Array(body) }),
        })
        for (const [name, value] of Object.entries(incoming.headers))
          if (name !== 'host') origin.headers.set(name, String(value))
        origin.headers.set('x-forwarded-prefix', '/')
        const found = isFile
          ? fromFiles(String(edged.uri))
          : isAvatar
            ? await fromBucket(pathname)
            : await fromGateway(origin, pathname)
        response.writeHead(found.status, { ...found.headers, ...policyHeaders(behavior) }).end(found.body)
      }
      answer().catch((error: unknown) => response.writeHead(502).end(String(error)))
    },
  )
  await new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
  atEnd(
    () =>
      new Promise<void>((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  )
}

/** A template's value as text, with the names of its references. */
function spell(value: unknown): string {
  if (typeof value === 'string') return value
  const join = (value as { 'Fn::Join'?: [string, unknown[]] })['Fn::Join']
  return join ? join[1].map(spell).join(join[0]) : 'reference'
}
