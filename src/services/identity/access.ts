// Decides which role may perform which action. Everything not listed here is forbidden.
import type { Claims } from '../../model/claims.ts'
import { ServiceError } from '../../model/errors.ts'

const actions = [
  'user.create',
  'user.list',
  'user.read',
  'user.replace',
  'user.patch',
  'user.erase',
  'avatar.upload',
  'import.manage',
  'export.manage',
  'bulk.manage',
] as const
export type Action = (typeof actions)[number]

export type Role = 'admin' | 'reader' | 'user' | 'none'

/** The caller of one request. */
export type Caller = {
  role: Role
  /** The caller's own user, if there is one. */
  userId: string | undefined
  /** Identifies the caller in queues: the same for all tokens of a person or machine client, and not secret. */
  key: string
  /** The claims of the request's token, to find the caller again before a change is committed. */
  claims: Claims
}

const allowed: Record<Role, { any: Action[]; own: Action[] }> = {
  admin: { any: [...actions], own: [] },
  reader: { any: ['user.list', 'user.read'], own: ['user.replace', 'user.patch', 'avatar.upload'] },
  user: { any: [], own: ['user.read', 'user.replace', 'user.patch', 'avatar.upload'] },
  none: { any: [], own: [] },
}

/** People get a role by a group, and machine clients by a scope. */
export const groupOf = { admin: 'admins', reader: 'readers' } as const
export const scopeOf = { admin: 'users/write', reader: 'users/read' } as const

/** @returns the strongest role that a token gives */
export function roleOf({ groups, scopes }: Claims, ownsRecord: boolean): Role {
  for (const role of ['admin', 'reader'] as const)
    if (groups.includes(groupOf[role]) || scopes.includes(scopeOf[role])) return role
  return ownsRecord ? 'user' : 'none'
}

/**
 * @param userId the user that the action concerns, as the request spells it; undefined if it concerns none
 * @throws ServiceError `forbidden`, the same whether the user exists or not
 */
export function authorize(caller: Caller, action: Action, userId: string | undefined): void {
  const { any, own } = allowed[caller.role]
  if (any.includes(action)) return
  if (own.includes(action) && userId !== undefined && userId.toLowerCase() === caller.userId) return
  throw forbidden()
}

/**
 * Only administrators may change what other systems rely on, the status, the username, the external id and the
 * attributes, and remove a password.
 */
export function mayChangeAccount(caller: Caller): boolean {
  return caller.role === 'admin'
}

/** A stolen session alone must not be enough to take over the account. */
export function mustProvePassword(caller: Caller): boolean {
  return caller.role !== 'admin'
}

export function forbidden(): ServiceError {
  return new ServiceError('forbidden', 'This token does not permit the operation.')
}
