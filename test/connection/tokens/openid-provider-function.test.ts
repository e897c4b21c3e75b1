// The OpenID provider behind its function: the real entry, invoked through Lambda's API, with the client's secret from the pool.
import { expect, it, onTestFinished } from 'vitest'
import { openOpenIdProviderFunction } from '../../../src/connection/tokens/openid-provider-function.ts'
import { RejectedSignIn } from '../../../src/connection/tokens/rejected-sign-in.ts'
import { handler } from '../../../src/handler/lambda/openid-provider.ts'
import { startCognito } from '../../support/cognito.ts'
import { consoleClient, startProvider } from '../../support/openid-provider.ts'

const testProvider = await startProvider()
const cognito = await startCognito()
cognito.functions['openid-provider'] = handler
Object.assign(process.env, cognito.env, {
  AWS_REGION: 'eu-west-1',
  AWS_ENDPOINT_URL_LAMBDA: `http://127.0.0.1:${cognito.port}`,
  // As on AWS, where the function has no database.
  NODE_ENV: 'production',
  JWT_ISSUER: testProvider.rules.issuer,
  JWT_JWKS_URI: testProvider.rules.jwksUri,
  COGNITO_CLIENT_ID: consoleClient.clientId,
  CONSOLE_CLIENT_ID: consoleClient.clientId,
  CONSOLE_URL: 'https://directory.example',
})
const provider = openOpenIdProviderFunction('openid-provider')
const secrets = { state: 'a-state', nonce: 'a-nonce', codeVerifier: 'v'.repeat(43) }
const unavailable = { code: 'unavailable', message: expect.stringContaining('sign-in provider') }

async function codeOf(): Promise<URLSearchParams> {
  const { headers } = await fetch(await provider.signInUrl(secrets), { redirect: 'manual' })
  return new URL(headers.get('location') ?? '').searchParams
}

it('the sign-in page leads back to the console, and its code gives tokens, which are refreshed and revoked', async () => {
  const address = new URL(await provider.signInUrl(secrets))
  expect(Object.fromEntries(address.searchParams)).toMatchObject({
    client_id: consoleClient.clientId,
    redirect_uri: 'https://directory.example/console/callback',
    code_challenge_method: 'S256',
  })
  const first = await provider.redeem(await codeOf(), secrets)
  expect(first).toEqual({
    accessToken: expect.any(String),
    refreshToken: expect.any(String),
    lifetimeSeconds: 3_600,
  })
  const second = await provider.refresh(first.refreshToken ?? '')
  expect(second?.refreshToken).not.toBe(first.refreshToken)
  expect(await provider.refresh(first.refreshToken ?? '')).toBeUndefined()
  await provider.revoke(second?.refreshToken ?? '')
  expect(testProvider.revoked).toEqual([second?.refreshToken])
  expect(await provider.signOutUrl()).toContain('logout_uri=https%3A%2F%2Fdirectory.example%2Fconsole%2F')
  expect(JSON.parse(await provider.keys())).toEqual({ keys: [expect.objectContaining({ kty: 'RSA' })] })
})

it('a code of another sign-in is rejected, and so is one whose sign-in was denied', async () => {
  const code = await codeOf()
  const other = { ...secrets, codeVerifier: 'w'.repeat(43) }
  await expect(provider.redeem(code, other)).rejects.toMatchObject({ isDenied: false })
  const denied = new URLSearchParams({ error: 'access_denied', state: secrets.state })
  const rejection = provider.redeem(denied, secrets)
  await expect(rejection).rejects.toBeInstanceOf(RejectedSignIn)
  await expect(rejection).rejects.toMatchObject({ isDenied: true })
})

it('a provider or a function that fails is unavailable', async () => {
  const { refreshToken } = await provider.redeem(await codeOf(), secrets)
  testProvider.refreshes = 'failing'
  onTestFinished(() => {
    testProvider.refreshes = 'normal'
  })
  await expect(provider.refresh(refreshToken ?? '')).rejects.toMatchObject(unavailable)
  await expect(openOpenIdProviderFunction('unknown').keys()).rejects.toMatchObject(unavailable)
})

it('a call that its caller has given up is not executed', async () => {
  const { refreshToken } = await provider.redeem(await codeOf(), secrets)
  const { refreshed } = testProvider.counts
  expect(await handler({ verb: 'refresh', refreshToken, until: Date.now() - 1 })).toEqual({
    error: { name: 'Error', message: 'the caller’s deadline has passed' },
  })
  expect(testProvider.counts.refreshed).toBe(refreshed)
})

it('invalid calls are rejected without repeating their content', async () => {
  const until = Date.now() + 10_000
  for (const event of [
    undefined,
    {},
    { verb: 'constructor', until },
    { verb: 'keys' },
    { verb: 'keys', until, issuer: 'https://evil.example' },
    { verb: 'refresh', until },
    { verb: 'revoke', refreshToken: 'secret-'.repeat(3_000), until },
    { verb: 'signInUrl', secrets: { ...secrets, redirectUri: 'https://evil.example/secret' }, until },
  ]) {
    const refusal = handler(event)
    await expect(refusal).rejects.toThrow('not a call of the OpenID provider')
    await expect(refusal).rejects.not.toThrow(/secret/)
  }
})
