// A server with the local issuer, as `npm start` runs it, on a service's database.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLocalIssuer } from '../../src/connection/tokens/local-issuer.ts'
import { openTokenVerifier } from '../../src/connection/tokens/token-verifier.ts'
import { consoleSite } from '../../src/handler/node/console-site.ts'
import { startNodeServer } from '../../src/handler/node/http-server.ts'
import { readSettings } from '../../src/platform/settings.ts'
import { createTokenPolicy } from '../../src/services/identity/token-policy.ts'
import { atEnd } from './cleanup.ts'
import { freePort } from './port.ts'
import type { Service } from './service.ts'

/** @param options.clock of the console's sessions @returns its address, with the name that the issuer has */
export async function startLocalServer(
  { connections }: Service,
  { clock }: { clock?: () => number } = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'user-directory-issuer-'))
  atEnd(() => rm(folder, { recursive: true, force: true }))
  const port = await freePort()
  const issuer = await openLocalIssuer(folder, port)
  const verifier = openTokenVerifier(createTokenPolicy(issuer.rules))
  const server = await startNodeServer(connections, verifier, {
    port,
    host: '127.0.0.1',
    localIssuer: issuer,
    console: consoleSite(readSettings({ PORT: String(port) }, folder), issuer.rules.issuer),
    ...(clock && { clock }),
  })
  atEnd(server.close)
  return `http://localhost:${port}`
}
