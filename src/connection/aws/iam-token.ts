// Signs short-lived passwords with AWS credentials: IAM authentication to RDS and ElastiCache.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html

// CommonJS module; Node cannot detect its named exports.
import aws4 from 'aws4'

const secondsMax = 900
const credentialsMsMax = 800

type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken?: string | undefined }

/** @throws Error if AWS_REGION is missing or no credentials are found */
export function databaseToken(host: string, port: number, user: string): Promise<string> {
  return token('rds-db', `${host}:${port}`, { Action: 'connect', DBUser: user })
}

/** @throws as `databaseToken` */
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
  // On Lambda, loading the SDK's provider chain would take longer than the rest of a function's start.
  if (accessKeyId && secretAccessKey) return { accessKeyId, secretAccessKey, sessionToken }
  if (!chain) {
    const { defaultProvider } = await import('@aws-sdk/credential-provider-node')
    // The provider caches credentials until they expire. No retries, so that it ends before the connection's timeout.
    chain = defaultProvider({ timeout: credentialsMsMax, maxRetries: 0 })
  }
  try {
    return await chain()
  } catch (cause) {
    throw new Error(
      'no AWS credentials were found for IAM authentication: assign a role to the task, pod or instance',
      { cause },
    )
  }
}
