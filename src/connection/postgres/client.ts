// How PostgreSQL is addressed and the caller proves who it is.
import pg from 'pg'
import { databaseToken } from '../aws/iam-token.ts'

/** @param url a postgres:// URL; with `?auth=iam` each connection gets a freshly signed password, over TLS */
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
    // The proxy's certificate is signed by a public authority, which Node knows. RDS's own authority is in the file
    // that NODE_EXTRA_CA_CERTS names.
    ssl: true,
    password: () => databaseToken(host, port, user),
  }
}

/** Whether the URL leads to RDS, through its proxy. */
export function isManaged(url: string): boolean {
  return new URL(url).searchParams.get('auth') === 'iam'
}

/** Ends what could not be set up: pg leaves its socket open where a hand-shake fails on this side, for want of a password say. */
export class Client extends pg.Client {
  /** Of the server's process, as it said when it let us in; the types do not know it. */
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
      // Null when all went well, whatever the type says.
      if (error) drop()
      callback(error)
    })
    return undefined
  }
}
