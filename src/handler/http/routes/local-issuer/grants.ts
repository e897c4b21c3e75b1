// The authorization codes and refresh tokens of the local issuer. They live in memory, so a restart ends them.
import { createHash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { SignedIn } from '../../../../services/identity/check-password.ts'

/** One sign-in, from which any number of tokens may follow. */
export type LocalSession = {
  clientId: string
  /** Undefined for the sample administrator, who is no user of the directory. */
  user: SignedIn | undefined
  scope: string
  /** OpenID Connect Core, section 3.1.2.1. */
  nonce: string | undefined
  signedInAtSeconds: number
}

/** The conditions under which a code may be exchanged. */
type CodeTerms = { redirectUri: string; codeChallenge: string }

export type LocalGrants = {
  issueCode(session: LocalSession, terms: CodeTerms): string
  /** @returns undefined unless the code is new, and of this client, redirect address and verifier */
  redeemCode(
    code: string,
    by: { clientId: string; redirectUri: string; verifier: string },
  ): LocalSession | undefined
  issueRefreshToken(session: LocalSession): string
  /** Each refresh token works once. */
  redeemRefreshToken(token: string, clientId: string): LocalSession | undefined
}

const codeMsMax = 60_000
const refreshMsMax = 30 * 86_400_000
const grantsMax = 10_000

export function createLocalGrants(): LocalGrants {
  const codes = new LRUCache<string, { session: LocalSession; terms: CodeTerms }>({
    max: grantsMax,
    ttl: codeMsMax,
  })
  const usedCodes = new LRUCache<string, LocalSession>({ max: grantsMax, ttl: codeMsMax })
  const refreshTokens = new LRUCache<string, LocalSession>({ max: grantsMax, ttl: refreshMsMax })
  const ended = new WeakSet<LocalSession>()
  const newKey = () => randomBytes(32).toString('base64url')

  return {
    issueCode: (session, terms) => {
      const code = newKey()
      codes.set(code, { session, terms })
      return code
    },
    redeemCode: (code, { clientId, redirectUri, verifier }) => {
      // RFC 6749, section 4.1.2: a code used twice was stolen, so the tokens from its first use end.
      const replayed = usedCodes.get(code)
      if (replayed) ended.add(replayed)
      const found = codes.get(code)
      if (!found) return undefined
      const { session, terms } = found
      // Any attempt uses the code up, so that verifiers cannot be tried one after the other.
      codes.delete(code)
      usedCodes.set(code, session)
      const isBound =
        session.clientId === clientId &&
        terms.redirectUri === redirectUri &&
        terms.codeChallenge === createHash('sha256').update(verifier).digest('base64url')
      return isBound ? session : undefined
    },
    issueRefreshToken: (session) => {
      const token = newKey()
      refreshTokens.set(token, session)
      return token
    },
    redeemRefreshToken: (token, clientId) => {
      const session = refreshTokens.get(token)
      if (session?.clientId !== clientId) return undefined
      refreshTokens.delete(token)
      return ended.has(session) ? undefined : session
    },
  }
}
