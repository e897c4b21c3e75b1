// How PostgreSQL is addressed and the caller proves who it is.
import pg from 'pg'
import { databaseToken } from './iam-token.ts'

/** What a client adds for a session; on an RDS Proxy, which takes none of it, its role's settings do it. */
type Session = Pick<pg.ClientConfig, 'statement_timeout' | 'idle_in_transaction_session_timeout' | 'options'>

/** @param url a postgres:// URL; with `?auth=iam` each connection gets a freshly signed password, over TLS */
export function clientConfig(url: string, session: Session = {}): pg.ClientConfig {
  const { hostname: host, port: portText, username, pathname, searchParams } = new URL(url)
  if (searchParams.get('auth') !== 'iam') return { connectionString: url, ...session }
  const port = Number(portText || 5432)
  const user = decodeURIComponent(username)
  return {
    host,
    port,
    user,
    database: decodeURIComponent(pathname.slice(1)),
    // The proxy's certificate is of a public authority, which Node knows.
    ssl: true,
    password: () => databaseToken(host, port, user),
  }
}

/** Ends what could not be set up: pg leaves its socket open where a hand-shake fails on this side, for want of a password say. */
export class Client extends pg.Client {
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
      // Null when all went well, whatever the type says.
      if (error) drop()
      callback(error)
    })
    return undefined
  }
}
