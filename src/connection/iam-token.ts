// Passwords that are signed with the function's role and good for a quarter of an hour, instead of kept ones:
// IAM authentication to RDS (Proxy) and to ElastiCache. Asked for in the URLs of the settings:
// postgres://user@host:5432/name?auth=iam and rediss://user@host:6379?iam_cache=<replication group>.
// https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
// CommonJS without names that Node can see.
import aws4 from 'aws4'

const secondsMax = 900

/** @throws Error that names what is missing in the environment, which Lambda sets */
export function databaseToken(host: string, port: number, user: string): string {
  return token('rds-db', `${host}:${port}`, { Action: 'connect', DBUser: user })
}

/** @throws Error that names what is missing in the environment, which Lambda sets */
export function cacheToken(cacheName: string, user: string): string {
  return token('elasticache', cacheName, { Action: 'connect', User: user })
}

function token(service: string, host: string, query: Record<string, string>): string {
  const need = (name: string): string => {
    const value = process.env[name]
    if (!value) throw new Error(`${name} is required for IAM authentication; on Lambda it is always set`)
    return value
  }
  const parameters = new URLSearchParams({ ...query, 'X-Amz-Expires': String(secondsMax) })
  const sessionToken = process.env.AWS_SESSION_TOKEN
  const { path } = aws4.sign(
    { service, region: need('AWS_REGION'), host, path: `/?${parameters}`, signQuery: true },
    {
      accessKeyId: need('AWS_ACCESS_KEY_ID'),
      secretAccessKey: need('AWS_SECRET_ACCESS_KEY'),
      ...(sessionToken && { sessionToken }),
    },
  )
  return `${host}${path}`
}
