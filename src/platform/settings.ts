// Reads and validates the settings from environment variables, once at the start.
import { availableParallelism } from 'node:os'
import { itemsOf, list, matches, type Rule, url, web } from './setting-rules.ts'

export type TokenSettings =
  | { kind: 'local' }
  | {
      kind: 'cognito'
      userPoolId: string
      clientIds: string[]
      /** The issuer of an emulator. Absent: the pool itself. */
      issuer?: string | undefined
      jwksUri?: string | undefined
    }
  | { kind: 'issuer'; issuer: string; jwksUri: string; audience: string[] }

export type ConsoleSettings = {
  /** Where browsers reach the server: scheme, host and port, without a path. */
  origin: string
  /** The console's client at the OpenID provider. Absent: the local issuer's. */
  clientId: string | undefined
  /** Absent: a public client. */
  clientSecret: string | undefined
}

export type Settings = {
  port: number
  /** Absent: the embedded PostgreSQL in `dataDirectory`. */
  databaseUrl: string | undefined
  /** A read replica, for lists that may be stale. Absent: the primary answers them too. */
  databaseReadUrl: string | undefined
  /** The role that servers log in as, for migrations that run as the tables' owner. */
  databaseServiceRole: string | undefined
  /** Absent: the in-process cache. */
  redisUrl: string | undefined
  /** Absent: a directory in `dataDirectory`. */
  avatarBucket: string | undefined
  /** Puts the bucket into the path, because an S3-compatible endpoint's host name does not contain it. */
  avatarPathStyle: boolean
  /** The base of `avatar_url`, without a trailing slash. */
  avatarBaseUrl: string
  tokens: TokenSettings
  /** Absent with an issuer of tokens that has no client for the console. */
  console: ConsoleSettings | undefined
  /** The origins of web pages that may call the API. */
  corsOrigins: string[]
  /** The processes of the Node server that answer requests. */
  workers: number
  /** Where Prometheus reads metrics. Absent: none are kept. */
  metricsPort: number | undefined
  /** From the signal to stop until connections are refused, for load balancers that read `/ready` meanwhile. */
  shutdownDelaySeconds: number
  /** The EventBridge bus for events. Absent: none are published. */
  eventBus: string | undefined
  /** The Lambda function that calls the user pool. Absent: the pool is called directly. */
  userPoolFunction: string | undefined
  /** The Lambda function that calls the console's OpenID provider. Absent: the provider is called directly. */
  openIdProviderFunction: string | undefined
  logLevel: (typeof logLevels)[number]
  /** The folder of the embedded parts' files. */
  dataDirectory: string
}

/** Browsers keep the session's cookie on HTTPS only, or on this machine. */
const consoleOrigin: Rule = (text) => {
  const isOrigin = web(text) === undefined && new URL(text).origin === text.replace(/\/$/, '')
  const isSafe = /^https:|^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:|\/?$)/.test(text)
  return isOrigin && isSafe
    ? undefined
    : 'must be an https:// origin without a path, such as https://directory.example.com (or http://localhost:3000)'
}

const origins: Rule = (text) =>
  itemsOf(text).every(
    (item) => !item.includes('*') && web(item) === undefined && new URL(item).origin === item,
  )
    ? undefined
    : 'must be origins separated by commas, such as https://app.example.com: in lower case, without a path or *'

const portNumber: Rule = (text) =>
  /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535
    ? undefined
    : 'must be a port number from 1 to 65535'

const workersMax = 32

const workerCount: Rule = (text) =>
  text === 'auto' || (/^\d{1,2}$/.test(text) && Number(text) >= 1 && Number(text) <= workersMax)
    ? undefined
    : `must be auto or a number from 1 to ${workersMax}`

const redisUrl: Rule = (text) => {
  const fault = url(['redis:', 'rediss:'], 'a redis:// or rediss:// URL')(text)
  if (fault !== undefined) return fault
  const address = new URL(text)
  if (!/^\/?\d{0,4}$/.test(address.pathname)) return 'must have a database number or nothing as its path'
  if (address.searchParams.get('cluster') === 'true' && !/^\/?0?$/.test(address.pathname))
    return 'must have no database number as its path with cluster=true'
  return isReadable(address) ? undefined : 'must have a host, and a percent-encoded user and password'
}

function isReadable({ hostname, username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return hostname !== ''
  } catch {
    return false
  }
}

const postgresUrl = url(['postgres:', 'postgresql:'], 'a postgres:// URL')

const functionName = matches(/^[A-Za-z0-9:_-]{1,170}$/, 'must be the name or ARN of a Lambda function')

export const logLevels = ['debug', 'info', 'warn', 'error'] as const

// Plain functions, because building a zod schema would take longer than the rest of a function's start.
const rules = {
  PORT: portNumber,
  DATABASE_URL: postgresUrl,
  DATABASE_READ_URL: postgresUrl,
  DATABASE_SERVICE_ROLE: matches(
    /^[a-z_][a-z0-9_]{0,62}$/,
    'must be the name of a PostgreSQL role: a-z, 0-9 and _',
  ),
  REDIS_URL: redisUrl,
  AVATAR_BUCKET: matches(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of an S3 bucket'),
  AWS_ENDPOINT_URL: web,
  AWS_ENDPOINT_URL_S3: web,
  AVATAR_BASE_URL: web,
  COGNITO_USER_POOL_ID: matches(
    /^[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]+$/,
    'must be a user pool id such as eu-west-1_AbCdEfGhI',
  ),
  COGNITO_CLIENT_ID: list,
  USER_POOL_FUNCTION: functionName,
  OPENID_PROVIDER_FUNCTION: functionName,
  EVENT_BUS: matches(
    /^(arn:aws[a-z-]*:events:[a-z0-9-]+:\d{12}:event-bus\/)?[\w./-]{1,256}$/,
    "must be an EventBridge bus's name or ARN",
  ),
  CORS_ORIGINS: origins,
  WORKERS: workerCount,
  METRICS_PORT: portNumber,
  SHUTDOWN_DELAY: matches(
    /^([0-9]|[1-9][0-9]|[12][0-9][0-9]|300)$/,
    'must be a number of seconds from 0 to 300',
  ),
  JWT_ISSUER: web,
  CONSOLE_CLIENT_ID: matches(/^[\x21-\x7e]{1,255}$/, 'must be the id of an OpenID client, without spaces'),
  CONSOLE_CLIENT_SECRET: matches(/^[\x20-\x7e]{1,1024}$/, 'must be printable ASCII characters'),
  CONSOLE_URL: consoleOrigin,
  JWT_JWKS_URI: web,
  JWT_AUDIENCE: list,
  // metrics.ts reads it; it is a dimension of every metric.
  STAGE: matches(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a stage: a-z, 0-9 and -'),
  LOG_LEVEL: matches(new RegExp(`^(${logLevels.join('|')})$`), 'must be debug, info, warn or error'),
} satisfies Record<string, Rule>

/** The environment variables that the service reads; README.md and .env.example list them. */
export const settingNames = Object.keys(rules)

type Given = Partial<Record<keyof typeof rules, string>>

/**
 * @param env the environment; an empty value means unset
 * @throws Error that names every invalid or missing variable, but no values, which may be secrets
 */
export function readSettings(env: NodeJS.ProcessEnv, dataDirectory: string): Settings {
  const given: Given & { NODE_ENV?: string } = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value?.trim()),
  )
  const faults = Object.entries<Rule>(rules).flatMap(([name, rule]) => {
    const value = given[name as keyof Given]
    const fault = value === undefined ? undefined : rule(value)
    return fault === undefined ? [] : [`${name} ${fault}`]
  })
  const need = (name: keyof Given, reason: string) => {
    if (given[name] === undefined) faults.push(`${name} is required ${reason}`)
  }
  if (given.DATABASE_READ_URL) need('DATABASE_URL', 'with DATABASE_READ_URL')
  if (given.COGNITO_USER_POOL_ID) need('COGNITO_CLIENT_ID', 'with COGNITO_USER_POOL_ID')
  if (given.USER_POOL_FUNCTION) need('COGNITO_USER_POOL_ID', 'with USER_POOL_FUNCTION')
  if (given.OPENID_PROVIDER_FUNCTION) need('CONSOLE_CLIENT_ID', 'with OPENID_PROVIDER_FUNCTION')
  if (given.COGNITO_CLIENT_ID) need('COGNITO_USER_POOL_ID', 'with COGNITO_CLIENT_ID')
  if (given.JWT_ISSUER && !given.COGNITO_USER_POOL_ID) need('JWT_AUDIENCE', 'with JWT_ISSUER')
  if (given.JWT_JWKS_URI || given.JWT_AUDIENCE) need('JWT_ISSUER', 'with JWT_JWKS_URI and JWT_AUDIENCE')
  if (given.COGNITO_USER_POOL_ID && given.JWT_AUDIENCE)
    faults.push('JWT_AUDIENCE cannot be combined with COGNITO_USER_POOL_ID: use COGNITO_CLIENT_ID instead')
  const isLocal = !given.COGNITO_USER_POOL_ID && !given.JWT_ISSUER
  if (given.CONSOLE_CLIENT_ID) {
    need('CONSOLE_URL', 'with CONSOLE_CLIENT_ID')
    if (isLocal) need('COGNITO_USER_POOL_ID', '(or JWT_ISSUER) with CONSOLE_CLIENT_ID')
  }
  if (given.CONSOLE_CLIENT_SECRET) need('CONSOLE_CLIENT_ID', 'with CONSOLE_CLIENT_SECRET')
  if (given.CONSOLE_URL && !isLocal) need('CONSOLE_CLIENT_ID', 'with CONSOLE_URL')

  if (given.METRICS_PORT !== undefined && Number(given.METRICS_PORT) === Number(given.PORT ?? 3000))
    faults.push('METRICS_PORT must be another port than PORT')
  if (given.WORKERS !== undefined && given.WORKERS !== '1') {
    const why = 'with WORKERS, because'
    need('REDIS_URL', `${why} a cache in each process would miss the writes of the others`)
    need('DATABASE_URL', `${why} the embedded PostgreSQL belongs to one process`)
    if (!given.JWT_ISSUER)
      need('COGNITO_USER_POOL_ID', `(or JWT_ISSUER) ${why} the local issuer keeps sign-ins in one process`)
  }

  // A forgotten variable must not start an embedded part in production.
  if (given.NODE_ENV === 'production') {
    need('DATABASE_URL', 'with NODE_ENV=production')
    need('REDIS_URL', 'with NODE_ENV=production')
    need('AVATAR_BUCKET', 'with NODE_ENV=production')
    if (!given.JWT_ISSUER) need('COGNITO_USER_POOL_ID', '(or JWT_ISSUER) with NODE_ENV=production')
  }
  if (faults.length > 0)
    throw new Error(
      `The settings are invalid:\n${[...new Set(faults)].map((fault) => `  ${fault}`).join('\n')}`,
    )

  const port = Number(given.PORT ?? 3000)
  return {
    port,
    databaseUrl: given.DATABASE_URL,
    databaseReadUrl: given.DATABASE_READ_URL,
    databaseServiceRole: given.DATABASE_SERVICE_ROLE,
    redisUrl: given.REDIS_URL,
    avatarBucket: given.AVATAR_BUCKET,
    avatarPathStyle: Boolean(given.AWS_ENDPOINT_URL_S3 ?? given.AWS_ENDPOINT_URL),
    avatarBaseUrl: (given.AVATAR_BASE_URL ?? `http://localhost:${port}`).replace(/\/+$/, ''),
    tokens: tokenSettings(given),
    console: consoleSettings(given, port),
    corsOrigins: itemsOf(given.CORS_ORIGINS ?? ''),
    workers:
      given.WORKERS === 'auto' ? Math.min(workersMax, availableParallelism()) : Number(given.WORKERS ?? 1),
    metricsPort: given.METRICS_PORT === undefined ? undefined : Number(given.METRICS_PORT),
    shutdownDelaySeconds: Number(given.SHUTDOWN_DELAY ?? 0),
    eventBus: given.EVENT_BUS,
    userPoolFunction: given.USER_POOL_FUNCTION,
    openIdProviderFunction: given.OPENID_PROVIDER_FUNCTION,
    logLevel: logLevels.find((level) => level === given.LOG_LEVEL) ?? 'info',
    dataDirectory,
  }
}

/** The settings of a Lambda function, which always runs as in production. @throws as `readSettings` */
export function readFunctionSettings(): Settings & { databaseUrl: string } {
  const settings = readSettings({ NODE_ENV: 'production', ...process.env }, '/tmp')
  const { databaseUrl } = settings
  if (databaseUrl === undefined) throw new Error('DATABASE_URL is required')
  return { ...settings, databaseUrl }
}

function consoleSettings(given: Given, port: number): ConsoleSettings | undefined {
  const { kind } = tokenSettings(given)
  if (kind !== 'local' && !given.CONSOLE_CLIENT_ID) return undefined
  return {
    origin: new URL(given.CONSOLE_URL ?? `http://localhost:${port}`).origin,
    clientId: given.CONSOLE_CLIENT_ID,
    clientSecret: given.CONSOLE_CLIENT_SECRET,
  }
}

function tokenSettings(given: Given): TokenSettings {
  if (given.COGNITO_USER_POOL_ID && given.COGNITO_CLIENT_ID)
    return {
      kind: 'cognito',
      userPoolId: given.COGNITO_USER_POOL_ID,
      clientIds: itemsOf(`${given.COGNITO_CLIENT_ID},${given.CONSOLE_CLIENT_ID ?? ''}`),
      issuer: given.JWT_ISSUER,
      jwksUri: given.JWT_JWKS_URI,
    }
  if (given.JWT_ISSUER && given.JWT_AUDIENCE)
    return {
      kind: 'issuer',
      issuer: given.JWT_ISSUER,
      jwksUri: given.JWT_JWKS_URI ?? `${given.JWT_ISSUER.replace(/\/+$/, '')}/.well-known/jwks.json`,
      audience: itemsOf(given.JWT_AUDIENCE),
    }
  return { kind: 'local' }
}
