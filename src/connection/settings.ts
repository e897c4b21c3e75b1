// The settings: environment variables, read and checked once, at the door.
import * as z from 'zod/mini'

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
  /** The EventBridge bus that events go to. Absent: none are published. */
  eventBus: string | undefined
  /** The function that calls the pool for this one. Absent: the pool is called directly. */
  userPoolFunction: string | undefined
  logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** Where the embedded parts keep their files. */
  dataDirectory: string
}

const url = (protocols: string[], what: string) =>
  z.string().check(
    z.refine((text: string) => URL.canParse(text) && protocols.includes(new URL(text).protocol), {
      error: `must be ${what}`,
    }),
  )
function isReadable({ hostname, username, password }: URL): boolean {
  try {
    decodeURIComponent(username + password)
    return hostname !== ''
  } catch {
    return false
  }
}
const web = url(['http:', 'https:'], 'an http:// or https:// URL')
const list = z.pipe(
  z.string(),
  z.pipe(
    z.transform((text: string) =>
      text
        .split(',')
        .map((item) => item.trim())
        .filter(Boolean),
    ),
    z.array(z.string()).check(z.minLength(1, 'must hold at least one value')),
  ),
)

const environment = z.object({
  PORT: z.optional(
    z.string().check(
      z.refine((text: string) => /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535, {
        error: 'must be a port number from 1 to 65535',
      }),
    ),
  ),
  DATABASE_URL: z.optional(url(['postgres:', 'postgresql:'], 'a postgres:// URL')),
  DATABASE_SERVICE_ROLE: z.optional(
    z
      .string()
      .check(z.regex(/^[a-z_][a-z0-9_]{0,62}$/, 'must be the name of a PostgreSQL role: a-z, 0-9 and _')),
  ),
  REDIS_URL: z.optional(
    url(['redis:', 'rediss:'], 'a redis:// or rediss:// URL').check(
      z.refine((text: string) => !URL.canParse(text) || /^\/?\d{0,4}$/.test(new URL(text).pathname), {
        error: "must have a database's number as its path, or none",
      }),
      z.refine((text: string) => !URL.canParse(text) || isReadable(new URL(text)), {
        error: 'must have a host, and its user and password percent-encoded',
      }),
    ),
  ),
  AVATAR_BUCKET: z.optional(
    z.string().check(z.regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of an S3 bucket')),
  ),
  AWS_ENDPOINT_URL: z.optional(web),
  AWS_ENDPOINT_URL_S3: z.optional(web),
  AVATAR_BASE_URL: z.optional(web),
  COGNITO_USER_POOL_ID: z.optional(
    z
      .string()
      .check(
        z.regex(/^[a-z]{2}(-[a-z]+)+-\d_[A-Za-z0-9]+$/, 'must be a user pool id such as eu-west-1_AbCdEfGhI'),
      ),
  ),
  COGNITO_CLIENT_ID: z.optional(list),
  USER_POOL_FUNCTION: z.optional(
    z.string().check(z.regex(/^[A-Za-z0-9:_-]{1,170}$/, 'must be the name or ARN of a Lambda function')),
  ),
  EVENT_BUS: z.optional(
    z
      .string()
      .check(
        z.regex(
          /^(arn:aws[a-z-]*:events:[a-z0-9-]+:\d{12}:event-bus\/)?[\w./-]{1,256}$/,
          "must be an EventBridge bus's name or ARN",
        ),
      ),
  ),
  JWT_ISSUER: z.optional(web),
  JWT_JWKS_URI: z.optional(web),
  JWT_AUDIENCE: z.optional(list),
  LOG_LEVEL: z.optional(z.enum(['debug', 'info', 'warn', 'error'], 'must be debug, info, warn or error')),
})

/**
 * @param env the process's environment; an empty value counts as not set
 * @throws Error whose message names every variable that is wrong or missing; values, which may be
 *   secrets, are not repeated
 */
export function readSettings(env: NodeJS.ProcessEnv, dataDirectory: string): Settings {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value?.trim()))
  const read = z.safeParse(environment, given)
  const faults = read.success
    ? []
    : read.error.issues.map((issue) => `${String(issue.path[0])} ${issue.message}`)
  const value = read.data ?? {}

  const need = (name: keyof typeof value, reason: string) => {
    if (!(name in given)) faults.push(`${name} is required ${reason}`)
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

  const port = Number(value.PORT ?? 3000)
  return {
    port,
    databaseUrl: value.DATABASE_URL,
    databaseServiceRole: value.DATABASE_SERVICE_ROLE,
    redisUrl: value.REDIS_URL,
    avatarBucket: value.AVATAR_BUCKET,
    avatarPathStyle: Boolean(value.AWS_ENDPOINT_URL_S3 ?? value.AWS_ENDPOINT_URL),
    avatarBaseUrl: (value.AVATAR_BASE_URL ?? `http://localhost:${port}`).replace(/\/+$/, ''),
    tokens: tokens(value),
    eventBus: value.EVENT_BUS,
    userPoolFunction: value.USER_POOL_FUNCTION,
    logLevel: value.LOG_LEVEL ?? 'info',
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

function tokens(value: Partial<z.infer<typeof environment>>): Tokens {
  if (value.COGNITO_USER_POOL_ID && value.COGNITO_CLIENT_ID)
    return {
      kind: 'cognito',
      userPoolId: value.COGNITO_USER_POOL_ID,
      clientIds: value.COGNITO_CLIENT_ID,
      issuer: value.JWT_ISSUER,
      jwksUri: value.JWT_JWKS_URI,
    }
  if (value.JWT_ISSUER && value.JWT_AUDIENCE)
    return {
      kind: 'issuer',
      issuer: value.JWT_ISSUER,
      jwksUri: value.JWT_JWKS_URI ?? `${value.JWT_ISSUER.replace(/\/+$/, '')}/.well-known/jwks.json`,
      audience: value.JWT_AUDIENCE,
    }
  return { kind: 'local' }
}
