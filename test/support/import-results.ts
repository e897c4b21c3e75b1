// Compares everything that two imports of the same file have stored, row by row, in bounded memory.
import { createInterface } from 'node:readline'
import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'

const differencesMax = 10

// Ids and times that the import makes itself are left out. Rows with an own id show theirs.
const results: Record<string, string> = {
  users: `
    SELECT u.username_folded || ' ' || concat_ws(' ',
      to_jsonb(u) - ARRAY['id', 'avatar', 'created_at', 'updated_at', 'sessions_valid_from'],
      u.sessions_valid_from IS NULL, split_part(u.avatar, '/', 3),
      CASE WHEN u.id::text LIKE '0197f3c2-6d1a-7c54-9a0e-%' THEN concat_ws(' ', u.id, u.created_at, u.updated_at) END,
      (SELECT jsonb_agg(to_jsonb(c) - ARRAY['id', 'user_id'] ORDER BY c.position) FROM contacts c WHERE c.user_id = u.id))
    FROM users u ORDER BY u.username_folded`,
  'refused rows': `
    SELECT concat_ws(' ', e.number, e.line, e.pointer, e.message)
    FROM job_errors e ORDER BY (SELECT j.created_at FROM jobs j WHERE j.id = e.job_id), e.number`,
  'rows of the undo': `
    SELECT concat_ws(' ', j.options ->> 'format', u.username_folded, made.version)
    FROM jobs j, job_created_users c, unnest(c.user_ids, c.versions) AS made(id, version)
    LEFT JOIN users u ON u.id = made.id WHERE c.job_id = j.id ORDER BY u.username_folded`,
}

/** @returns descriptions of the first differences */
export async function compareImports(expectedUrl: string, actualUrl: string): Promise<string[]> {
  const differences: string[] = []
  for (const [what, statement] of Object.entries(results)) {
    const [expected, actual] = [linesOf(expectedUrl, statement), linesOf(actualUrl, statement)]
    for (let row = 1; differences.length < differencesMax; row++) {
      const [one, other] = [await expected.next(), await actual.next()]
      if (one.done && other.done) break
      if (one.value === other.value) continue
      differences.push(`${what}, row ${row}: ${other.value ?? 'none'} instead of ${one.value ?? 'none'}`)
      // All further rows would differ too.
      if (one.done || other.done) break
    }
    await expected.return(undefined)
    await actual.return(undefined)
  }
  return differences
}

/** @returns the keys of all avatars that users have */
export async function storedAvatars(databaseUrl: string): Promise<string[]> {
  const keys: string[] = []
  for await (const key of linesOf(databaseUrl, 'SELECT avatar FROM users WHERE avatar IS NOT NULL'))
    keys.push(key)
  return keys
}

async function* linesOf(databaseUrl: string, statement: string): AsyncGenerator<string, undefined> {
  const client = new pg.Client({ connectionString: databaseUrl })
  client.on('error', () => {})
  await client.connect()
  try {
    const stream = client.query(copyTo(`COPY (${statement}) TO STDOUT`))
    for await (const line of createInterface({ input: stream })) yield line
  } finally {
    await client.end()
  }
  return undefined
}
