// Updates the search and sort columns of existing users after their rules have changed. The rules are in TypeScript,
// so a SQL migration cannot apply them.
import type pg from 'pg'
import { derivedColumns, searchRulesVersion } from '../../model/search-text.ts'
import type { users } from '../../model/tables.ts'

const job = 'derived-columns'
const batchSize = 1_000

type User = typeof users.$inferSelect

/** `version` is that of the rules; `after` is the last user that has been processed. */
type State = { version: number; after: string | null; isDone: boolean }

/** Processes all users in batches of one transaction each, and continues an interrupted run. */
export async function deriveColumns(client: pg.Client): Promise<void> {
  const stored = await readState(client)
  // A newer version has derived them, so this one is being replaced.
  if (stored && stored.version > searchRulesVersion) return
  let state: State =
    stored?.version === searchRulesVersion
      ? stored
      : { version: searchRulesVersion, after: null, isDone: false }
  while (!state.isDone) {
    await client.query('BEGIN')
    state = await deriveBatch(client, state)
    await client.query(
      `INSERT INTO job_checkpoints (job, state) VALUES ($1, $2)
       ON CONFLICT (job) DO UPDATE SET state = excluded.state, updated_at = clock_timestamp()`,
      [job, state],
    )
    await client.query('COMMIT')
  }
}

/** Whether the columns of all users follow the current rules, or those of a newer version. */
export async function areColumnsDerived(client: pg.Client): Promise<boolean> {
  const state = await readState(client)
  return state !== undefined && state.version >= searchRulesVersion && state.isDone
}

async function readState(client: pg.Client): Promise<State | undefined> {
  const { rows } = await client.query<{ state: State }>('SELECT state FROM job_checkpoints WHERE job = $1', [
    job,
  ])
  return rows[0]?.state
}

async function deriveBatch(client: pg.Client, { version, after }: State): Promise<State> {
  // Locks the rows, so that no concurrent write is overwritten. The contacts are read once the locks are held.
  const { rows: users } = await client.query<Pick<User, 'id' | 'username' | 'name' | 'externalId'>>(
    `SELECT id, username, name, external_id AS "externalId" FROM users WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT ${batchSize} FOR UPDATE`,
    [after],
  )
  const { rows: contacts } = await client.query<{ user_id: string; value: string }>(
    'SELECT user_id, value FROM contacts WHERE user_id = ANY($1) ORDER BY position',
    [users.map(({ id }) => id)],
  )
  const contactsOf = Map.groupBy(contacts, (contact) => contact.user_id)
  const derived = users.map((user) => derivedColumns({ ...user, contacts: contactsOf.get(user.id) ?? [] }))
  await client.query(
    `UPDATE users SET name_folded = d.name_folded, search_text = d.search_text
     FROM unnest($1::uuid[], $2::text[], $3::text[]) AS d(id, name_folded, search_text)
     WHERE users.id = d.id AND (users.name_folded, users.search_text) IS DISTINCT FROM (d.name_folded, d.search_text)`,
    [
      users.map(({ id }) => id),
      derived.map(({ nameFolded }) => nameFolded),
      derived.map(({ searchText }) => searchText),
    ],
  )
  return { version, after: users.at(-1)?.id ?? after, isDone: users.length < batchSize }
}
