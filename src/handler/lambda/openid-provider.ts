// The entry of the function that calls the OpenID provider for the API's function in the VPC, which has no route to it
// (connection/tokens/openid-provider-function.ts). It runs outside the VPC and has no access to any user.
import * as z from 'zod/mini'
import type { RemoteAnswer } from '../../connection/aws/remote-function.ts'
import { readClientSecret } from '../../connection/cognito/client-secret.ts'
import { fetchJwks } from '../../connection/tokens/fetch-jwks.ts'
import { type OpenIdProvider, openOpenIdProvider } from '../../connection/tokens/openid-provider.ts'
import type { Redeemed } from '../../connection/tokens/openid-provider-function.ts'
import { RejectedSignIn } from '../../connection/tokens/rejected-sign-in.ts'
import { readSettings } from '../../platform/settings.ts'
import { tokenRules } from '../../services/identity/token-policy.ts'
import { providerAddresses } from '../http/console/provider-addresses.ts'

// Longer ones do not fit into the headers that bring them.
const text = z.string().check(z.minLength(1), z.maxLength(16_384))
const until = z.number()
const secrets = z.strictObject({ state: text, nonce: text, codeVerifier: text })
const providerCall = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('signInUrl'), secrets, until }),
  z.strictObject({ verb: z.literal('redeem'), parameters: text, secrets, until }),
  z.strictObject({ verb: z.enum(['refresh', 'revoke']), refreshToken: text, until }),
  z.strictObject({ verb: z.enum(['signOutUrl', 'keys']), until }),
])
type ProviderCall = z.infer<typeof providerCall>
type Opened = { provider: OpenIdProvider; jwksUri: string }

let opened: Promise<Opened> | undefined

/**
 * @returns the provider's result, or its error
 * @throws Error for an event that is not a call of the provider
 */
export async function handler(event: unknown): Promise<RemoteAnswer> {
  const read = z.safeParse(providerCall, event)
  // The message contains nothing of the event, which holds secrets.
  if (!read.success) throw new Error('This is not a call of the OpenID provider.')
  try {
    opened ??= open()
    const { provider, jwksUri } = await opened.catch((error: unknown) => {
      opened = undefined
      throw error
    })
    if (read.data.until <= Date.now()) throw new Error('the caller’s deadline has passed')
    const result = read.data.verb === 'keys' ? await fetchJwks(jwksUri) : await perform(provider, read.data)
    return { result: result ?? null }
  } catch (error) {
    return { error: describe(error) }
  }
}

/** Reads the settings as for development, because in production they include a database. The secret stays in this process. */
async function open(): Promise<Opened> {
  const { tokens, console } = readSettings({ ...process.env, NODE_ENV: undefined }, '/tmp')
  const clientId = console?.clientId
  if (tokens.kind !== 'cognito' || !console || clientId === undefined)
    throw new Error('COGNITO_USER_POOL_ID, CONSOLE_CLIENT_ID and CONSOLE_URL are required')
  const { issuer, jwksUri } = tokenRules(tokens)
  const clientSecret = await readClientSecret(tokens.userPoolId, clientId)
  const addresses = providerAddresses(console.origin)
  const provider = openOpenIdProvider({ ...addresses, issuer, clientId, clientSecret, isCognito: true })
  return { provider, jwksUri }
}

function perform(provider: OpenIdProvider, call: ProviderCall): Promise<unknown> {
  switch (call.verb) {
    case 'signInUrl':
      return provider.signInUrl(call.secrets)
    case 'redeem':
      return redeem(provider, call)
    case 'refresh':
      return provider.refresh(call.refreshToken)
    case 'revoke':
      return provider.revoke(call.refreshToken)
    default:
      return provider.signOutUrl()
  }
}

async function redeem(
  provider: OpenIdProvider,
  { parameters, secrets }: Extract<ProviderCall, { verb: 'redeem' }>,
): Promise<Redeemed> {
  try {
    return { tokens: await provider.redeem(new URLSearchParams(parameters), secrets) }
  } catch (error) {
    if (!(error instanceof RejectedSignIn)) throw error
    return { rejected: { message: describe(error).message, isDenied: error.isDenied } }
  }
}

/** The cause, because the error itself has a message for people. */
function describe(error: unknown): { name: string; message: string } {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const { name, message } = cause instanceof Error ? cause : new Error(String(cause))
  return { name, message }
}
