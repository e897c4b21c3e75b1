// Calls services without HTTP, for tests that replace a connection.

import type { Claims } from '../../src/model/claims.ts'
import type { ServiceContext, WriteContext } from '../../src/services/context.ts'
import type { Caller } from '../../src/services/identity/access.ts'
import { createCallerLookup } from '../../src/services/identity/callers.ts'

/** The claims of a token without any content. */
export const noClaims: Claims = {
  username: undefined,
  client: undefined,
  groups: [],
  scopes: [],
  signedInAtMs: undefined,
  expiresAtMs: undefined,
}

/** A machine client with all permissions. */
export const machine: Caller = {
  role: 'admin',
  userId: undefined,
  key: 'client:test',
  claims: { ...noClaims, client: 'test', scopes: ['users/write'] },
}

export function writeContext(connections: ServiceContext): WriteContext {
  return { ...connections, callers: createCallerLookup(connections) }
}
