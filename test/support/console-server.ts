// A server whose console signs people in at an OpenID provider, on a service's database.
import { openTokenVerifier } from '../../src/connection/tokens/token-verifier.ts'
import { startNodeServer } from '../../src/handler/node/http-server.ts'
import { createTokenPolicy } from '../../src/services/identity/token-policy.ts'
import { type Browser, openBrowser } from './browser.ts'
import { atEnd } from './cleanup.ts'
import { consoleClient, type TestProvider } from './openid-provider.ts'
import type { Service } from './service.ts'

/** Where browsers reach the servers: behind a proxy with TLS. */
export const consoleOrigin = 'https://directory.example'

export type ConsoleServer = { url: string; browser(): Browser; close(): Promise<void> }

/** @param options.client absent: `consoleClient`; null: the settings name none */
export async function startConsoleServer(
  { connections }: Service,
  provider: TestProvider,
  options: { clock?: () => number; isCognito?: boolean; client?: typeof consoleClient | null } = {},
): Promise<ConsoleServer> {
  const { clock, isCognito = false, client = consoleClient } = options
  const { rules } = provider
  const server = await startNodeServer(connections, openTokenVerifier(createTokenPolicy(rules)), {
    port: 0,
    host: '127.0.0.1',
    corsOrigins: ['https://office.example'],
    console: client
      ? { origin: consoleOrigin, isLocal: false, provider: { ...client, issuer: rules.issuer, isCognito } }
      : undefined,
    ...(clock && { clock }),
  })
  atEnd(server.close)
  const url = `http://127.0.0.1:${server.port}`
  return { url, browser: () => openBrowser(consoleOrigin, url), close: server.close }
}
