// The settings: environment variables, read and checked once, at the door.

export type Tokens =
  | { kind: 'local' }
  | {
      kind: 'cognito'
      userPoolId: string
      clientIds: string[]
      /** Where an emulator's tokens come from; absent: from the pool itself. */
      issuer?: string | undefined
      jwksUri?: string | undefined
    }
  | { kind: 'issuer'; issuer: string; jwksUri: string; audience: string[] }

export type Settings = {
  port: number
  /** Absent: the embedded PostgreSQL in `dataDirectory`. */
  databaseUrl: string | undefined
  /** For migrations that run as the tables' owner: the role that servers log in as. */
  databaseServiceRole: string | undefined
  /** Absent: the in-process cache. */
  redisUrl: string | undefined
  /** Absent: a directory in `dataDirectory`. */
  avatarBucket: string | undefined
  /** An S3-compatible endpoint is addressed by path, since its host name has no bucket in it. */
  avatarPathStyle: boolean
  /** What `avatar_url` starts with, without a slash at its end. */
  avatarBaseUrl: string
  tokens: Tokens
  /** The origins whose pages may call the API from a browser. */
  corsOrigins: string[]
  /** The EventBridge bus that events go to. Absent: none are published. */
  eventBus: string | undefined
  /** The function that calls the pool for this one. Absent: the pool is called directly. */
  userPoolFunction: string | undefined
  logLevel: (typeof logLevels)[number]
  /** Where the embedded parts keep their files. */
  dataDirectory: string
}

/** @returns what is wrong with the value, undefined when nothing is */
type Rule = (text: string) => string | undefined

const matches =
  (pattern: RegExp, complaint: string): Rule =>
  (text) =>
    pattern.test(text) ? undefined : complaint

const url =
  (protocols: string[], what: string): Rule =>
  (text) =>
    URL.canParse(text) && protocols.includes(new URL(text).protocol) ? undefined : `must be ${what}`

const web = url(['http:', 'https:'], 'an http:// or https:// URL')

const list: Rule = (text) => (itemsOf(text).length > 0 ? undefined : 'must hold at least one value')

const origins: Rule = (text) =>
  itemsOf(text).every(
    (item) => !item.includes('*') && web(item) === undefined && new URL(item).origin === item,
  )
    ? undefined
    : 'must be origins by comma, such as https://app.example.com: in lower case, without a path, and no *'

function itemsOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}

const portNumber: Rule = (text) =>
  /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535
    ? undefined
    : 'must be a port number from 1 to 65535'

const redisUrl: Rule = (text) => {
  const complaint = url(['redis:', 'rediss:'], 'a redis:// or rediss:// URL')(text)
  if (complaint !== undefined) return complaint
  const address = new URL(text)
  if (!/^\/?\d{0,4}$/.test(address.pathname)) return "must have a database's number as its path, or none"
  return isReadable(address) ? undefined : 'must have a host, and its user and password percent-encoded'
}

function isReadable({ hostname, username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return hostname !== ''
  } catch {
    return false
  }
}

export const logLevels = ['debug', 'info', 'warn', 'error'] as const

// Plain rules: a schema would take a function longer to make than everything else of its start.
const rules = {
  PORT: portNumber,
  DATABASE_URL: url(['postgres:', 'postgresql:'], 'a postgres:// URL'),
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
  USER_POOL_FUNCTION: matches(/^[A-Za-z0-9:_-]{1,170}$/, 'must be the name or ARN of a Lambda function'),
  EVENT_BUS: matches(
    /^(arn:aws[a-z-]*:events:[a-z0-9-]+:\d{12}:event-bus\/)?[\w./-]{1,256}$/,
    "must be an EventBridge bus's name or ARN",
  ),
  CORS_ORIGINS: origins,
  JWT_ISSUER: web,
  JWT_JWKS_URI: web,
  JWT_AUDIENCE: list,
  // Read in metrics.ts, where it is a dimension of every metric.
  STAGE: matches(/^[a-z][a-z0-9-]{0,31}$/, 'must be the name of a stage: a-z, 0-9 and -'),
  LOG_LEVEL: matches(new RegExp(`^(${logLevels.join('|')})$`), 'must be debug, info, warn or error'),
} satisfies Record<string, Rule>

/** The environment variables that the service reads; README.md and .env.example list them. */
export const settingNames = Object.keys(rules)

type Given = Partial<Record<keyof typeof rules, string>>

/**
 * @param env the process's environment; an empty value counts as not set
 * @throws Error whose message names every variable that is wrong or missing; values, which may be
 *   secrets, are not repeated
 */
export function readSettings(env: NodeJS.ProcessEnv, dataDirectory: string): Settings {
  const given: Given & { NODE_ENV?: string } = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value?.trim()),
  )
  const faults = Object.entries<Rule>(rules).flatMap(([name, rule]) => {
    const value = given[name as keyof Given]
    const complaint = value === undefined ? undefined : rule(value)
    return complaint === undefined ? [] : [`${name} ${complaint}`]
  })
  const need = (name: keyof Given, reason: string) => {
    if (given[name] === undefined) faults.push(`${name} is required ${reason}`)
  }
  if (given.COGNITO_USER_POOL_ID) need('COGNITO_CLIENT_ID', 'with COGNITO_USER_POOL_ID')
  if (given.USER_POOL_FUNCTION) need('COGNITO_USER_POOL_ID', 'with USER_POOL_FUNCTION')
  if (given.COGNITO_CLIENT_ID) need('COGNITO_USER_POOL_ID', 'with COGNITO_CLIENT_ID')
  if (given.JWT_ISSUER && !given.COGNITO_USER_POOL_ID) need('JWT_AUDIENCE', 'with JWT_ISSUER')
  if (given.JWT_JWKS_URI || given.JWT_AUDIENCE) need('JWT_ISSUER', 'with JWT_JWKS_URI and JWT_AUDIENCE')
  if (given.COGNITO_USER_POOL_ID && given.JWT_AUDIENCE)
    faults.push('JWT_AUDIENCE cannot be used together with COGNITO_USER_POOL_ID: COGNITO_CLIENT_ID says it')

  // What is meant for a laptop must not come up in production because a variable was forgotten.
  if (given.NODE_ENV === 'production') {
    need('DATABASE_URL', 'with NODE_ENV=production')
    need('REDIS_URL', 'with NODE_ENV=production')
    need('AVATAR_BUCKET', 'with NODE_ENV=production')
    if (!given.JWT_ISSUER) need('COGNITO_USER_POOL_ID', '(or JWT_ISSUER) with NODE_ENV=production')
  }
  if (faults.length > 0)
    throw new Error(
      `The settings are not usable:\n${[...new Set(faults)].map((fault) => `  ${fault}`).join('\n')}`,
    )

  const port = Number(given.PORT ?? 3000)
  return {
    port,
    databaseUrl: given.DATABASE_URL,
    databaseServiceRole: given.DATABASE_SERVICE_ROLE,
    redisUrl: given.REDIS_URL,
    avatarBucket: given.AVATAR_BUCKET,
    avatarPathStyle: Boolean(given.AWS_ENDPOINT_URL_S3 ?? given.AWS_ENDPOINT_URL),
    avatarBaseUrl: (given.AVATAR_BASE_URL ?? `http://localhost:${port}`).replace(/\/+$/, ''),
    tokens: tokens(given),
    corsOrigins: itemsOf(given.CORS_ORIGINS ?? ''),
    eventBus: given.EVENT_BUS,
    userPoolFunction: given.USER_POOL_FUNCTION,
    logLevel: logLevels.find((level) => level === given.LOG_LEVEL) ?? 'info',
    dataDirectory,
  }
}

/** A function's, which always runs as in production. @throws as `readSettings` */
export function readFunctionSettings(): Settings & { databaseUrl: string } {
  const settings = readSettings({ NODE_ENV: 'production', ...process.env }, '/tmp')
  const { databaseUrl } = settings
  if (databaseUrl === undefined) throw new Error('DATABASE_URL is required')
  return { ...settings, databaseUrl }
}

function tokens(given: Given): Tokens {
  if (given.COGNITO_USER_POOL_ID && given.COGNITO_CLIENT_ID)
    return {
      kind: 'cognito',
      userPoolId: given.COGNITO_USER_POOL_ID,
      clientIds: itemsOf(given.COGNITO_CLIENT_ID),
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
