// Calls the OpenID provider through a Lambda function, from a network without a route to it.
import { unavailable } from '../../model/errors.ts'
import { openRemoteFunction } from '../aws/remote-function.ts'
import type { OpenIdProvider, ProviderTokens, SignInSecrets } from './openid-provider.ts'
import { RejectedSignIn } from './rejected-sign-in.ts'

/** The event of the function besides its deadline. Its settings have everything else. */
type ProviderCall =
  | { verb: 'signInUrl'; secrets: SignInSecrets }
  | { verb: 'redeem'; parameters: string; secrets: SignInSecrets }
  | { verb: 'refresh' | 'revoke'; refreshToken: string }
  | { verb: 'signOutUrl' | 'keys' }

/** The result of `redeem`. */
export type Redeemed = { tokens: ProviderTokens } | { rejected: { message: string; isDenied: boolean } }

// The function's own limit is twelve seconds, and that of the API's function fifteen.
const requestMsMax = 12_500
const callMsMax = 12_000
// Requests with a token wait for the keys.
const keysMsMax = 6_000

export type OpenIdProviderFunction = OpenIdProvider & {
  /** @returns the JWKS of the provider @throws ServiceError `unavailable` */
  keys(): Promise<string>
}

/** @param functionName the name or ARN, with the alias */
export function openOpenIdProviderFunction(functionName: string): OpenIdProviderFunction {
  const remote = openRemoteFunction(functionName, { label: "the provider's function", requestMsMax })
  const call = async (request: ProviderCall): Promise<unknown> => {
    try {
      return await remote.call(request, request.verb === 'keys' ? keysMsMax : callMsMax)
    } catch (error) {
      throw unavailable('The sign-in provider', error)
    }
  }
  return {
    signInUrl: async (secrets) => (await call({ verb: 'signInUrl', secrets })) as string,
    redeem: async (parameters, secrets) => {
      const redeemed = (await call({ verb: 'redeem', parameters: `${parameters}`, secrets })) as Redeemed
      if ('tokens' in redeemed) return redeemed.tokens
      const { message, isDenied } = redeemed.rejected
      throw new RejectedSignIn(new Error(message), { isDenied })
    },
    refresh: async (refreshToken) =>
      ((await call({ verb: 'refresh', refreshToken })) as ProviderTokens | null) ?? undefined,
    revoke: async (refreshToken) => void (await call({ verb: 'revoke', refreshToken })),
    signOutUrl: async () => ((await call({ verb: 'signOutUrl' })) as string | null) ?? undefined,
    keys: async () => (await call({ verb: 'keys' })) as string,
  }
}
