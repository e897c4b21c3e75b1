// Replies of the endpoints of users that need more than the cache. The start of a function does not load them.
import type { ListQuery } from '../../model/listing.ts'
import type { CreateUser, PatchUser, ReplaceUser, User } from '../../model/user.ts'
import { type Call, jsonHeaders, type Reply } from './endpoint.ts'
import { readMaxStale } from './max-stale.ts'

export async function createReply({ ctx, caller, body }: Call<undefined, CreateUser>): Promise<Reply> {
  const { createUser } = await import('../../services/users/create.ts')
  const user = await createUser(ctx, caller, body)
  return userReply(201, user, { Location: `/user/${user.id}` })
}

export async function listReply({ ctx, query, request }: Call<ListQuery, undefined>): Promise<Reply> {
  const { listUsers } = await import('../../services/users/list.ts')
  const staleSecondsMax = readMaxStale(request.header('cache-control'))
  const { value: page, ageSeconds } = await listUsers(ctx, query, staleSecondsMax)
  const headers: Record<string, string> = { ...jsonHeaders }
  if (ageSeconds !== undefined) headers.Age = String(ageSeconds)
  if (page.next_cursor !== null) {
    const next = new URLSearchParams(request.query)
    next.set('cursor', page.next_cursor)
    headers.Link = `</user?${next}>; rel="next"`
  }
  return { headers, body: JSON.stringify(page) }
}

export async function replaceReply({
  ctx,
  id,
  caller,
  precondition,
  body,
}: Call<undefined, ReplaceUser>): Promise<Reply> {
  const { replaceUser } = await import('../../services/users/replace.ts')
  return userReply(200, await replaceUser(ctx, { id, caller, precondition }, body))
}

export async function patchReply({
  ctx,
  id,
  caller,
  precondition,
  body,
}: Call<undefined, PatchUser>): Promise<Reply> {
  const { patchUser } = await import('../../services/users/patch.ts')
  return userReply(200, await patchUser(ctx, { id, caller, precondition }, body))
}

export async function eraseReply({
  ctx,
  id,
  caller,
  precondition,
}: Call<undefined, undefined>): Promise<Reply> {
  const { eraseUser } = await import('../../services/users/erase.ts')
  await eraseUser(ctx, { id, caller, precondition })
  return { status: 204 }
}

function userReply(status: number, user: User, headers: Record<string, string> = {}): Reply {
  return {
    status,
    headers: { ...jsonHeaders, ETag: `"${user.version}"`, ...headers },
    body: JSON.stringify(user),
  }
}
