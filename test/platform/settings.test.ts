// The settings: defaults, combinations, and faults that reject a start.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { readSettings, settingNames } from '../../src/platform/settings.ts'
import { readTraceSettings, traceSettingNames } from '../../src/platform/trace-settings.ts'

const read = (env: Record<string, string>) => readSettings(env, '/data')
const cognito = { COGNITO_USER_POOL_ID: 'eu-west-1_AbCdEfGhI', COGNITO_CLIENT_ID: 'one' }
const production = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgres://db/users',
  REDIS_URL: 'rediss://cache:6379',
  AVATAR_BUCKET: 'avatars.example',
  ...cognito,
}

describe('settings', () => {
  it('are all listed in README.md and .env.example', () => {
    const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
    for (const name of [...settingNames, ...traceSettingNames]) {
      expect(read('.env.example'), name).toMatch(new RegExp(`^#${name}=`, 'm'))
      expect(read('README.md')).toContain(name)
    }
  })

  it('have a default for everything', () => {
    expect(read({})).toEqual({
      port: 3000,
      databaseUrl: undefined,
      redisUrl: undefined,
      avatarBucket: undefined,
      avatarPathStyle: false,
      avatarBaseUrl: 'http://localhost:3000',
      tokens: { kind: 'local' },
      console: { origin: 'http://localhost:3000', clientId: undefined, clientSecret: undefined },
      corsOrigins: [],
      workers: 1,
      metricsPort: undefined,
      shutdownDelaySeconds: 0,
      userPoolFunction: undefined,
      openIdProviderFunction: undefined,
      eventBus: undefined,
      logLevel: 'info',
      dataDirectory: '/data',
    })
  })

  it('send traces only to an address, with the samplers of the specification', () => {
    expect(
      readTraceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTEL_TRACES_SAMPLER: 'always_on' }),
    ).toBeUndefined()
    const collector = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318/' }
    expect(readTraceSettings(collector)).toEqual({
      exporter: { url: 'http://collector:4318/v1/traces', headers: {} },
      sampler: { ratio: 1, followsParent: true },
      serviceName: 'user-directory',
    })
    const own = {
      ...collector,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a=b, x-team=one',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_SERVICE_NAME: 'directory',
      OTEL_TRACES_SAMPLER: 'traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.25',
    }
    expect(readTraceSettings(own)).toEqual({
      exporter: {
        url: 'http://collector:4318/v1/traces',
        headers: { authorization: 'Bearer a=b', 'x-team': 'one' },
      },
      sampler: { ratio: 0.25, followsParent: false },
      serviceName: 'directory',
    })
    const samplerOf = (sampler: string) =>
      readTraceSettings({ ...own, OTEL_TRACES_SAMPLER: sampler })?.sampler
    expect(samplerOf('always_off')).toEqual({ ratio: 0, followsParent: false })
    expect(samplerOf('parentbased_always_on')).toEqual({ ratio: 1, followsParent: true })
    for (const [name, value] of Object.entries({
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:password@collector:4318',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization',
      OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
      OTEL_TRACES_SAMPLER: 'jaeger_remote',
      OTEL_TRACES_SAMPLER_ARG: '1.5',
    }))
      expect(() => readTraceSettings({ [name]: value }), name).toThrow(`${name} must`)
    for (const headers of ['a b=c', 'a=%zz', 'a=%0d%0ab', '=c'])
      expect(() => readTraceSettings({ OTEL_EXPORTER_OTLP_HEADERS: headers }), headers).toThrow(
        'must be name=value',
      )
  })

  it('allow several workers only without parts that belong to one process', () => {
    expect(read({ ...production, WORKERS: '4' }).workers).toBe(4)
    expect(read({ ...production, WORKERS: 'auto' }).workers).toBe(Math.min(32, availableParallelism()))
    expect(read({ WORKERS: '1' }).workers).toBe(1)
    for (const WORKERS of ['2', 'auto'])
      expect(() => read({ WORKERS })).toThrow(
        /REDIS_URL is required with WORKERS, because a cache in each process .*\n.*DATABASE_URL is required .*\n.*COGNITO_USER_POOL_ID is required \(or JWT_ISSUER\)/,
      )
    for (const WORKERS of ['0', '33', '1.5', 'all', '-1'])
      expect(() => read({ ...production, WORKERS })).toThrow('WORKERS must be auto or a number from 1 to 32')
    for (const SHUTDOWN_DELAY of ['-1', '301', '5s'])
      expect(() => read({ SHUTDOWN_DELAY })).toThrow('SHUTDOWN_DELAY must be a number of seconds')
    expect(read({ SHUTDOWN_DELAY: '300' }).shutdownDelaySeconds).toBe(300)
  })

  it('that are empty or blank count as unset', () => {
    expect(read({ PORT: '', DATABASE_URL: ' ', REDIS_URL: '', JWT_ISSUER: '', LOG_LEVEL: '\t' })).toEqual(
      read({}),
    )
  })

  it('accept all that production needs', () => {
    expect(read({ ...production, PORT: '8080', AVATAR_BASE_URL: 'https://cdn.example/a//' })).toMatchObject({
      port: 8080,
      databaseUrl: 'postgres://db/users',
      avatarBaseUrl: 'https://cdn.example/a',
      tokens: { kind: 'cognito', userPoolId: 'eu-west-1_AbCdEfGhI', clientIds: ['one'] },
    })
  })

  it('accept several client ids, separated by commas', () => {
    expect(read({ ...cognito, COGNITO_CLIENT_ID: ' one, two ,' }).tokens).toMatchObject({
      clientIds: ['one', 'two'],
    })
  })

  it("accept the console's client, whose tokens are then valid", () => {
    const client = { CONSOLE_CLIENT_ID: 'console', CONSOLE_URL: 'https://users.example/' }
    const settings = read({ ...cognito, ...client, CONSOLE_CLIENT_SECRET: 's e=c&r;t' })
    expect(settings.console).toEqual({
      origin: 'https://users.example',
      clientId: 'console',
      clientSecret: 's e=c&r;t',
    })
    expect(settings.tokens).toMatchObject({ clientIds: ['one', 'console'] })
    expect(read({ JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'us', ...client }).tokens).toMatchObject({
      audience: ['us'],
    })
    expect(read(cognito).console).toBeUndefined()
    expect(read({ CONSOLE_URL: 'http://127.0.0.1:8080' }).console?.origin).toBe('http://127.0.0.1:8080')
  })

  it('accept CORS origins as browsers send them, and nothing else', () => {
    const origins = ['https://app.example.com', 'http://localhost:5173', 'https://xn--bcher-kva.example:8443']
    expect(read({ CORS_ORIGINS: origins.join(' , ') }).corsOrigins).toEqual(origins)
    for (const wrong of [
      '*',
      'null',
      'app.example.com',
      'https://app.example.com/',
      'https://app.example.com/x',
      'https://*.example.com',
      'https://App.example.com',
      'https://app.example.com:443',
      'https://user@app.example.com',
      'ftp://app.example.com',
      'https://app.example.com https://b.example.com',
    ])
      expect(() => read({ CORS_ORIGINS: `https://ok.example,${wrong}` }), wrong).toThrow(
        'CORS_ORIGINS must be origins',
      )
  })

  it('accept an event bus by name or ARN', () => {
    for (const bus of ['default', 'users', 'arn:aws:events:eu-west-1:123456789012:event-bus/users'])
      expect(read({ EVENT_BUS: bus }).eventBus).toBe(bus)
  })

  it('accept another issuer, and derive its key URL', () => {
    const issuer = { JWT_ISSUER: 'https://id.example/', JWT_AUDIENCE: 'us' }
    expect(read(issuer).tokens).toEqual({
      kind: 'issuer',
      issuer: 'https://id.example/',
      jwksUri: 'https://id.example/.well-known/jwks.json',
      audience: ['us'],
    })
    expect(read({ ...issuer, JWT_JWKS_URI: 'https://keys.example/' }).tokens).toMatchObject({
      jwksUri: 'https://keys.example/',
    })
  })

  it('address an S3-compatible endpoint by path', () => {
    for (const name of ['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_S3'])
      expect(read({ AVATAR_BUCKET: 'avatars', [name]: 'http://127.0.0.1:9000' }).avatarPathStyle).toBe(true)
  })
})

describe('a start is rejected, by variable name, for', () => {
  it.each([
    ['PORT', { PORT: '0' }],
    ['PORT', { PORT: '65536' }],
    ['PORT', { PORT: '3000x' }],
    ['PORT', { PORT: '-1' }],
    ['PORT', { PORT: '0x10' }],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://x' }],
    ['DATABASE_URL', { DATABASE_URL: 'localhost:5432' }],
    ['DATABASE_READ_URL', { ...production, DATABASE_READ_URL: 'replica:5432' }],
    ['DATABASE_URL', { DATABASE_READ_URL: 'postgres://replica/directory' }],
    ['REDIS_URL', { REDIS_URL: 'http://x' }],
    ['REDIS_URL', { REDIS_URL: 'redis://x/users' }],
    ['REDIS_URL', { REDIS_URL: 'redis://:p%ZZ@x' }],
    ['REDIS_URL', { REDIS_URL: 'redis://' }],
    ['REDIS_URL', { REDIS_URL: 'redis://x/3?cluster=true' }],
    ['COGNITO_USER_POOL_ID', { USER_POOL_FUNCTION: 'user-pool' }],
    ['CONSOLE_CLIENT_ID', { ...cognito, OPENID_PROVIDER_FUNCTION: 'openid-provider' }],
    ['AVATAR_BUCKET', { AVATAR_BUCKET: 'No Bucket' }],
    ['AVATAR_BUCKET', { AVATAR_BUCKET: 'x/../y' }],
    ['AVATAR_BASE_URL', { AVATAR_BASE_URL: '/avatars' }],
    ['AVATAR_BASE_URL', { AVATAR_BASE_URL: 'javascript:alert(1)' }],
    ['AWS_ENDPOINT_URL_S3', { AWS_ENDPOINT_URL_S3: 'minio:9000' }],
    ['COGNITO_USER_POOL_ID', { ...cognito, COGNITO_USER_POOL_ID: 'pool' }],
    ['COGNITO_USER_POOL_ID', { COGNITO_CLIENT_ID: 'one' }],
    ['COGNITO_CLIENT_ID', { COGNITO_USER_POOL_ID: cognito.COGNITO_USER_POOL_ID }],
    ['COGNITO_CLIENT_ID', { ...cognito, COGNITO_CLIENT_ID: ' , ' }],
    ['JWT_ISSUER', { JWT_AUDIENCE: 'us' }],
    ['JWT_ISSUER', { JWT_JWKS_URI: 'https://id.example/keys' }],
    ['JWT_ISSUER', { JWT_ISSUER: 'id.example', JWT_AUDIENCE: 'us' }],
    ['JWT_AUDIENCE', { JWT_ISSUER: 'https://id.example' }],
    ['USER_POOL_FUNCTION', { ...cognito, USER_POOL_FUNCTION: 'a b' }],
    ['JWT_AUDIENCE', { ...cognito, JWT_ISSUER: 'https://id.example', JWT_AUDIENCE: 'us' }],
    ['CONSOLE_URL', { CONSOLE_URL: 'http://users.example' }],
    ['CONSOLE_URL', { CONSOLE_URL: 'https://users.example/console' }],
    ['CONSOLE_URL', { CONSOLE_URL: 'http://localhost.example' }],
    ['CONSOLE_URL', { ...cognito, CONSOLE_CLIENT_ID: 'console' }],
    ['CONSOLE_CLIENT_ID', { ...cognito, CONSOLE_URL: 'https://users.example' }],
    ['CONSOLE_CLIENT_ID', { ...cognito, CONSOLE_CLIENT_SECRET: 'secret' }],
    ['CONSOLE_CLIENT_ID', { ...cognito, CONSOLE_URL: 'https://users.example', CONSOLE_CLIENT_ID: 'a b' }],
    ['COGNITO_USER_POOL_ID', { CONSOLE_URL: 'https://users.example', CONSOLE_CLIENT_ID: 'console' }],
    ['EVENT_BUS', { EVENT_BUS: 'https://bus.example' }],
    ['EVENT_BUS', { EVENT_BUS: 'a bus' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'INFO' }],
  ])('%s: %j', (name, env) => {
    expect(() => read(env as unknown as Record<string, string>)).toThrow(new RegExp(`^  ${name} `, 'm'))
  })

  it('each variable that production requires', () => {
    for (const name of ['DATABASE_URL', 'REDIS_URL', 'AVATAR_BUCKET', 'COGNITO_USER_POOL_ID'] as const) {
      const { [name]: _, ...rest } = production
      expect(() => read(rest)).toThrow(new RegExp(`^  ${name} `, 'm'))
    }
    expect(() => read(production)).not.toThrow()
  })

  it('missing together with invalid variables', () => {
    const { DATABASE_URL: _, ...rest } = production
    expect(() => read({ ...rest, REDIS_URL: 'x' })).toThrow(/REDIS_URL must .*DATABASE_URL is required/s)
  })

  it('all faults at once, without values', () => {
    let message = ''
    try {
      read({ PORT: 'hunter2', DATABASE_URL: 'hunter2', REDIS_URL: 'hunter2', JWT_AUDIENCE: 'hunter2' })
    } catch (error) {
      message = (error as Error).message
    }
    for (const name of ['PORT', 'DATABASE_URL', 'REDIS_URL', 'JWT_ISSUER']) expect(message).toContain(name)
    expect(message).not.toContain('hunter2')
  })
})
