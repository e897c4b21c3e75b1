// The secrets of one sign-in. All of them follow from one random value in a short-lived cookie, so the server stores nothing.
import { createHmac } from 'node:crypto'
import type { SignInSecrets } from '../../connection/tokens/openid-provider.ts'

/** @param cookieValue a value of `newCookieValue` */
export function signInSecrets(cookieValue: string): SignInSecrets {
  const derive = (purpose: string) => createHmac('sha256', cookieValue).update(purpose).digest('base64url')
  return { state: derive('state'), nonce: derive('nonce'), codeVerifier: derive('code_verifier') }
}
