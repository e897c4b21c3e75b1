// The form of a user, which answers and cache entries share.
import { expect, it } from 'vitest'
import { eraPrefix } from '../../../src/connection/cache/redis-keys.ts'
import { toUser } from '../../../src/services/users/user-row.ts'

it('a change of the cached fields requires a new prefix of the keys in Redis', () => {
  const at = new Date(0)
  const user = toUser(
    {
      id: '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77',
      avatar: null,
      username: 'ada',
      name: null,
      status: 'ACTIVE',
      version: 1,
      created_at: at,
      updated_at: at,
      contacts: [],
      external_id: null,
      attributes: {},
    },
    '',
  )
  const fields =
    'id avatar avatar_url username name status contacts external_id attributes version created_at updated_at'
  expect([eraPrefix('era'), Object.keys(user).join(' ')]).toEqual(['user-directory:2:era:', fields])
})
