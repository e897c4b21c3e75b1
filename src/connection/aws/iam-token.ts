// Passwords that are signed with AWS credentials and good for a quarter of an hour, instead of stored ones:
// IAM authentication to RDS (Proxy) and to ElastiCache. Asked for in the URLs of the settings:
// postgres://user@host:5432/name?auth=iam and rediss://user@host:6379?iam_cache=<replication group>.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
// CommonJS module; Node cannot detect its named exports.
import aws4 from 'aws4'

const secondsMax = 900
const credentialsMsMax = 800

type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string | undefined }

/** @throws Error if there is no AWS_REGION, or no credentials are found */
export function databaseToken(host: string, port: number, user: string): Promise<string> {
  return token('rds-db', `${host}:${port}`, { Action: 'connect', DBUser: user })
}

/** @throws Error as `databaseToken` */
export function cacheToken(cacheName: string, user: string): Promise<string> {
  return token('elasticache', cacheName, { Action: 'connect', User: user })
}

async function token(service: string, host: string, query: Record<string, string>): Promise<string> {
  const region = process.env.AWS_REGION
  if (!region) throw new Error('AWS_REGION is required for IAM authentication')
  const { accessKeyId, secretAccessKey, sessionToken } = await findCredentials()
  const parameters = new URLSearchParams({ ...query, 'X-Amz-Expires': String(secondsMax) })
  const { path } = aws4.sign(
    { service, region, host, path: `/?${parameters}`, signQuery: true },
    { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) },
  )
  return `${host}${path}`
}

let chain: (() => Promise<Credentials>) | undefined

async function findCredentials(): Promise<Credentials> {
  const {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  } = process.env
  // As on Lambda, where loading the SDK's chain would take longer than the rest of a function's start.
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, sessionToken }
  if (!chain) {
    const { defaultProvider } = await import('@aws-sdk/credential-provider-node')
    // It keeps what it finds until that expires. One try, so that it ends before the connection's time limit.
    chain = defaultProvider({ timeout: credentialsMsMax, maxRetries: 0 })
  }
  try {
    return await chain()
  } catch (cause) {
    throw new Error(
      'no AWS credentials were found for IAM authentication: give the task, the pod or the instance a role',
      { cause },
    )
  }
}
