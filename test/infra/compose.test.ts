// Rules for compose.yaml. `npm run test:image` runs its services.
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { readSettings, settingNames } from '../../src/platform/settings.ts'

type Service = {
  image: string
  build?: string
  profiles?: string[]
  ports?: string[]
  read_only?: boolean
  cap_drop?: string[]
  environment?: Record<string, string>
  depends_on?: Record<string, { condition: string }>
}

const { services } = parse(readFileSync('compose.yaml', 'utf8'), { merge: true }) as {
  services: Record<string, Service>
}
const own = Object.entries(services).filter(([, { image }]) => image === 'user-directory')
/** Variables of the AWS SDK and of Node, and the forwarder's own. */
const others = ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'NODE_ENV', 'SERVER_PORT']

it('only settings that the service has are set', () => {
  const names = own.flatMap(([, { environment = {} }]) => Object.keys(environment))
  expect(names.length).toBeGreaterThan(30)
  expect(names.filter((name) => !settingNames.includes(name) && !others.includes(name))).toEqual([])
})

it('without a provider the server refuses to start, and with one it starts as in production', () => {
  const environment = Object.fromEntries(
    Object.entries(services.server?.environment ?? {}).map(([name, value]) => [name, resolved(value)]),
  )
  const settings = { NODE_ENV: 'production', ...environment }
  expect(() => readSettings(settings, '/app/.data')).toThrow('(or JWT_ISSUER) with NODE_ENV=production')
  const provider = { JWT_ISSUER: 'https://issuer.example.com', JWT_AUDIENCE: 'user-directory' }
  expect(readSettings({ ...settings, ...provider }, '/app/.data').tokens.kind).toBe('issuer')
})

it('the local issuer starts only when asked for by name', () => {
  const local = own.filter(([, { environment }]) => environment?.NODE_ENV === '' && !environment.JWT_ISSUER)
  const serving = local.filter(([name]) => name !== 'migrate')
  expect(serving.map(([name, { profiles }]) => [name, profiles])).toEqual([['local-server', ['local']]])
})

it('ports are published on 127.0.0.1 only, and only those of the service', () => {
  for (const [name, { ports = [] }] of Object.entries(services)) {
    for (const port of ports) expect([name, port.startsWith('127.0.0.1:')]).toEqual([name, true])
    if (ports.length > 0) expect(name).toMatch(/^(local-)?server$/)
  }
})

it('images of others have a version and a digest, and the own one runs read-only without capabilities', () => {
  for (const { image, build } of Object.values(services))
    if (build === undefined) expect(image).toMatch(/^[\w./-]+:v?\d[\w.-]+@sha256:[0-9a-f]{64}$/)
  for (const [name, { read_only: isReadOnly, cap_drop: dropped }] of own)
    expect([name, isReadOnly, dropped]).toEqual([name, true, ['ALL']])
})

it('nothing starts before the parts that it needs', () => {
  expect(services.migrate?.depends_on).toEqual({ postgres: { condition: 'service_healthy' } })
  for (const name of ['server', 'local-server'])
    expect(services[name]?.depends_on).toEqual({
      migrate: { condition: 'service_completed_successfully' },
      valkey: { condition: 'service_healthy' },
      s3: { condition: 'service_healthy' },
    })
})

/** @returns a value without variables of the environment, so with their defaults */
function resolved(value: string): string {
  const next = value.replace(/\$\{\w+:-([^${}]*)\}/g, '$1')
  return next === value ? value : resolved(next)
}
