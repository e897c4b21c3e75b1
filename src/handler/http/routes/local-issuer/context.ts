import type { Connections } from '../../../../connection/open.ts'
import type { LocalIssuer } from '../../../../connection/tokens/local-issuer.ts'
import type { LocalGrants } from './grants.ts'

export type LocalIssuerContext = { connections: Connections; issuer: LocalIssuer; grants: LocalGrants }

/** RFC 6749, sections 3.1 and 3.2: no parameter may be repeated. @returns null for a missing or repeated one */
export function singleValue(parameters: URLSearchParams, name: string): string | null {
  return parameters.getAll(name).length === 1 ? parameters.get(name) : null
}
