// Who may do what: the one place where it is decided. What is not allowed here is refused.
import type { Claims } from '../../connection/tokens/claims.ts'
import { ServiceError } from '../../model/errors.ts'

const actions = [
  'user.create',
  'user.list',
  'user.read',
  'user.replace',
  'user.patch',
  'user.erase',
  'avatar.upload',
] as const
export type Action = (typeof actions)[number]

export type Role = 'admin' | 'reader' | 'user' | 'none'

/**
 * The caller of one request. `userId` is the caller's own record, when there is one. `key` names the caller's share
 * of what all callers use: it is the same for all tokens of a person or a machine client, and no secret. `claims` are
 * those of the request's token, from which the caller is found again before a change is committed.
 */
export type Caller = { role: Role; userId: string | undefined; key: string; claims: Claims }

const allowed: Record<Role, { any: Action[]; own: Action[] }> = {
  admin: { any: [...actions], own: [] },
  reader: { any: ['user.list', 'user.read'], own: ['user.replace', 'user.patch', 'avatar.upload'] },
  user: { any: [], own: ['user.read', 'user.replace', 'user.patch', 'avatar.upload'] },
  none: { any: [], own: [] },
}

/** What gives a role: to people the group, to machine clients the scope. Others give none. */
export const groupOf = { admin: 'admins', reader: 'readers' } as const
export const scopeOf = { admin: 'users/write', reader: 'users/read' } as const

/** The strongest role that a token gives. */
export function roleOf({ groups, scopes }: Claims, ownsRecord: boolean): Role {
  for (const role of ['admin', 'reader'] as const)
    if (groups.includes(groupOf[role]) || scopes.includes(scopeOf[role])) return role
  return ownsRecord ? 'user' : 'none'
}

/**
 * @param userId the record that the action is on, as the caller wrote it; undefined when it is on none
 * @throws ServiceError `forbidden`, the same whether the record exists or not
 */
export function authorize(caller: Caller, action: Action, userId: string | undefined): void {
  const { any, own } = allowed[caller.role]
  if (any.includes(action)) return
  if (own.includes(action) && userId !== undefined && userId.toLowerCase() === caller.userId) return
  throw forbidden()
}

/** Status and username are an administrator's to change. */
export function mayChangeStanding(caller: Caller): boolean {
  return caller.role === 'admin'
}

/** Whoever has found somebody's open session must not be able to take the account over with it. */
export function mustProvePassword(caller: Caller): boolean {
  return caller.role !== 'admin'
}

export function forbidden(): ServiceError {
  return new ServiceError('forbidden', 'This token does not allow that.')
}
