// Delays a token until it cannot seem older than the last end of its user's sessions.
import { setTimeout as pause } from 'node:timers/promises'
import { fold } from '../../model/text.ts'
import { canBeUsername } from '../../model/username.ts'
import type { ServiceContext } from '../context.ts'

// The clocks of the database, of this process and of the user pool may differ by this much.
const skewMs = 50

/**
 * Milliseconds left of the second in which the sessions of `users u` ended, or `released_usernames f` released the name.
 * A token states the time of its sign-in in whole seconds (RFC 7519, section 2: NumericDate).
 */
export const sessionWaitMs = `coalesce(greatest(0, ${skewMs} + 1000 * extract(
    epoch FROM date_trunc('second', greatest(u.sessions_valid_from, f.released_at)) + interval '1 s' - clock_timestamp()
  )), 0)::float8`

const waitText = `
SELECT ${sessionWaitMs} AS "waitMs"
FROM (VALUES (sha256(convert_to($1::text, 'UTF8')))) AS name(hash)
  LEFT JOIN users u ON u.username_folded = $1
  LEFT JOIN released_usernames f ON f.username_sha256 = name.hash`

/**
 * Waits until a session of this username can start, about a second at most.
 * @throws ServiceError `unavailable`, `overloaded`
 */
export async function waitForNewSession({ db }: Pick<ServiceContext, 'db'>, username: string): Promise<void> {
  if (!canBeUsername(username)) return
  const [row] = await db.query((queries) =>
    queries.prepared<{ waitMs: number }>('session-wait', waitText, [fold(username)]),
  )
  await pause(row?.waitMs ?? 0)
}
