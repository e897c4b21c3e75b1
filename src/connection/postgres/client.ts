// Connects to PostgreSQL, with a password or by IAM.
import pg from 'pg'
import { databaseToken } from '../aws/iam-token.ts'

/** @param url a postgres:// URL; with `?auth=iam` each connection uses TLS and a newly signed password */
export function clientConfig(url: string): pg.ClientConfig {
  const { hostname: host, port: portText, username, pathname } = new URL(url)
  if (!isManaged(url)) return { connectionString: url }
  const port = Number(portText || 5432)
  const user = decodeURIComponent(username)
  return {
    host,
    port,
    user,
    database: decodeURIComponent(pathname.slice(1)),
    // Node trusts the public authority of RDS Proxy's certificate. RDS's own authority comes from NODE_EXTRA_CA_CERTS.
    ssl: true,
    password: () => databaseToken(host, port, user),
  }
}

/** Whether the URL leads to RDS with IAM authentication, usually through RDS Proxy. */
export function isManaged(url: string): boolean {
  return new URL(url).searchParams.get('auth') === 'iam'
}

/** Closes its socket if connecting fails: pg leaves it open after an error on this side, such as a missing password. */
export class Client extends pg.Client {
  /** The server process's id, from the start of the connection. Missing in the types of pg. */
  declare processID: number | null

  override connect(): Promise<pg.Client>
  override connect(callback: (error: Error) => void): void
  override connect(callback?: (error: Error) => void): Promise<pg.Client> | undefined {
    const drop = (): void => void this.end().catch(() => {})
    if (!callback)
      return super.connect().catch((error: unknown) => {
        drop()
        throw error
      })
    super.connect((error: Error) => {
      // Null on success, although the type does not say so.
      if (error) drop()
      callback(error)
    })
    return undefined
  }
}
