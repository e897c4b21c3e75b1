// The routes of the local issuer: an OpenID provider for development, on this machine only.
import type { Connections } from '../../../../connection/open.ts'
import { type LocalIssuer, localIssuerPath } from '../../../../connection/tokens/local-issuer.ts'
import type { PublicRoute, Reply } from '../../endpoint.ts'
import { authorizeByForm, showSignIn } from './authorize.ts'
import { createLocalGrants } from './grants.ts'
import { issueLocalToken } from './token.ts'

export function localIssuerRoutes(connections: Connections, issuer: LocalIssuer): PublicRoute[] {
  const ctx = { connections, issuer, grants: createLocalGrants() }
  const path = (name: string) => `${localIssuerPath}/${name}`
  return [
    {
      method: 'GET',
      path: path('.well-known/openid-configuration'),
      handle: async () => json(discoveryDocument(issuer)),
    },
    { method: 'GET', path: path('.well-known/jwks.json'), handle: async () => json(issuer.jwks) },
    { method: 'GET', path: path('oauth2/authorize'), handle: async (request) => showSignIn(ctx, request) },
    { method: 'POST', path: path('oauth2/authorize'), handle: (request) => authorizeByForm(ctx, request) },
    { method: 'POST', path: path('oauth2/token'), handle: (request) => issueLocalToken(ctx, request) },
  ]
}

/** OpenID Connect Discovery, section 3. */
function discoveryDocument({ rules: { issuer } }: LocalIssuer): object {
  return {
    issuer,
    authorization_endpoint: `${issuer}/oauth2/authorize`,
    token_endpoint: `${issuer}/oauth2/token`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    scopes_supported: ['openid'],
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token', 'password'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['none'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  }
}

function json(value: object): Reply {
  return { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) }
}
