// The person who created a bulk change: it must not end their own access, and it stops when they lose it.
import type { Queries } from '../../connection/postgres/database.ts'
import { ServiceError } from '../../model/errors.ts'
import { personKey } from '../identity/callers.ts'
import type { JobRow } from '../jobs/job-row.ts'
import { usernameHash } from '../users/released-usernames.ts'

type Created = Pick<JobRow, 'createdBy' | 'createdAt'>

export function isCreator({ createdBy }: Created, { usernameFolded }: { usernameFolded: string }): boolean {
  return personKey(usernameFolded) === createdBy
}

const lostAccess = `
SELECT EXISTS (SELECT FROM users WHERE username_folded = $1 AND status = 'BLOCKED')
  OR EXISTS (SELECT FROM released_usernames WHERE username_sha256 = $2 AND released_at > $3) AS "isLost"`

/** @throws ServiceError `forbidden` if the creator was blocked, renamed or erased since */
export async function checkCreator(queries: Queries, { createdBy, createdAt }: Created): Promise<void> {
  const prefix = personKey('')
  if (!createdBy.startsWith(prefix)) return
  const username = createdBy.slice(prefix.length)
  const values = [username, usernameHash(username), createdAt]
  const [row] = await queries.unprepared<{ isLost: boolean }>(lostAccess, values)
  if (row?.isLost)
    throw new ServiceError('forbidden', 'The account that created the job was blocked, renamed or erased.')
}
