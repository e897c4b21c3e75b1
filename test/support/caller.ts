// Writes without HTTP, for tests that put a part of their own in the place of a connection.
import type { Claims } from '../../src/connection/claims.ts'
import type { Caller } from '../../src/services/access.ts'
import { createCallerLookup } from '../../src/services/callers.ts'
import type { World } from '../../src/services/users/record.ts'
import type { WriteWorld } from '../../src/services/users/write.ts'

/** The claims of a token that says nothing. */
export const noClaims: Claims = {
  username: undefined,
  client: undefined,
  groups: [],
  scopes: [],
  signedInAtMs: undefined,
  expiresAtMs: undefined,
}

/** A machine client that may do everything. */
export const machine: Caller = {
  role: 'admin',
  userId: undefined,
  key: 'client:test',
  claims: { ...noClaims, client: 'test', scopes: ['users/write'] },
}

export function writeWorld(connections: World): WriteWorld {
  return { ...connections, callers: createCallerLookup(connections) }
}
