// The console for tests: a real server with a real sign-in, opened in Chromium.
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect } from 'vitest'
import { openTokenVerifier } from '../../../src/connection/tokens/token-verifier.ts'
import { startNodeServer } from '../../../src/handler/node/http-server.ts'
import { createTokenPolicy } from '../../../src/services/identity/token-policy.ts'
import { atEnd } from '../../../test/support/cleanup.ts'
import { consoleClient, startProvider } from '../../../test/support/openid-provider.ts'
import { freePort } from '../../../test/support/port.ts'
import { type Service, startService, uniqueName } from '../../../test/support/service.ts'
import { buildConsole } from '../../../tools/built-console.mjs'
import { startChromium } from './chromium.ts'

type Role = 'admins' | 'readers' | 'none'

export type Console = {
  service: Service
  browser: Browser
  /** Signs a person in, by default a new one, and opens a page of the console. */
  open(
    path: string,
    options?: { role?: Role; username?: string; context?: BrowserContextOptions },
  ): Promise<Page>
}

export async function startConsole(): Promise<Console> {
  expect(buildConsole()).toBe(true)
  const service = await startService()
  const provider = await startProvider()
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const { connections } = service
  const server = await startNodeServer(connections, openTokenVerifier(createTokenPolicy(provider.rules)), {
    port,
    host: '127.0.0.1',
    console: {
      origin,
      isLocal: false,
      provider: { ...consoleClient, issuer: provider.rules.issuer, isCognito: false },
    },
  })
  atEnd(server.close)
  const browser = await startChromium()
  return {
    service,
    browser,
    open: async (path, { role = 'admins', username = uniqueName('person'), context: options = {} } = {}) => {
      const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options })
      context.setDefaultTimeout(30_000)
      atEnd(() => context.close())
      const person = { username }
      provider.person = role === 'none' ? person : { ...person, 'cognito:groups': [role] }
      // Chromium starts another process for each site that a navigation passes, so the redirects are followed here.
      const signedIn = await context.request.get(`${origin}/console/sign-in?return_to=/console/users`)
      expect(signedIn.status()).toBe(200)
      const page = await context.newPage()
      await page.goto(`${origin}/console${path}`)
      await page.getByRole('button', { name: 'Sign out' }).waitFor()
      return page
    },
  }
}
