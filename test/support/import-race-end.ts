// Checks the end of a race with an import: every user, every row, the report and the cache.
import type pg from 'pg'
import type { Job, Page } from '../../src/model/job.ts'
import type { User } from '../../src/model/user.ts'
import type { Choice, ImportJudge } from './import-judge.ts'
import type { Call } from './import-race-writes.ts'

type End = {
  judge: ImportJudge
  client: pg.Client
  call: Call
  job: Job
  rows: number
  on_conflict: Choice['on_conflict']
}

export async function checkEnd({ judge, client, call, job, rows, on_conflict }: End): Promise<void> {
  const { complain, histories, effects } = judge
  const { rows: made } = await client.query<{ id: string }>(
    'SELECT unnest(user_ids) AS id FROM job_created_users WHERE job_id = $1',
    [job.id],
  )
  const created = new Set(made.map(({ id }) => id))
  const stored = new Map((await readAll(client)).map((user) => [user.id, user]))
  for (const user of stored.values()) {
    const history = histories.get(user.id)
    if (history) judge.read(history, user)
    else judge.found(keyOf(user.external_id), user)
  }
  for (const history of histories.values()) {
    const isOfImport = history.origin === 'import'
    if (created.has(history.id) !== isOfImport) complain(`${history.id} is not as the undo has it`)
    if (!stored.has(history.id)) judge.missing(history)
  }
  for (const id of created) if (!histories.has(id)) complain(`${id}, which the import created, is lost`)
  // The cache must agree with the database.
  for (const history of histories.values()) {
    if (history.origin === 'import' && history.version === 1) continue
    const { status, body } = await call<User>('GET', `/user/${history.id}`)
    if (history.isErased ? status !== 404 : body.version !== history.version)
      complain(
        `the API answers ${status}, version ${body?.version}, for ${history.id} at version ${history.version}`,
      )
  }
  const ownersOf = Map.groupBy(
    [...histories.values()].filter(({ origin }) => origin !== 'import'),
    ({ key }) => key,
  )
  const refused = new Set<number>()
  for (let cursor = ''; ; ) {
    const path = `/import/${job.id}/errors?limit=200${cursor}`
    const { body } = await call<Page<{ line: number }>>('GET', path)
    for (const { line } of body.items) refused.add(line - 1)
    if (!body.next_cursor) break
    cursor = `&cursor=${body.next_cursor}`
  }
  for (let key = 0; key < rows; key++) {
    const owners = [...(ownersOf.get(key) ?? [])]
    const effect = effects.get(key)
    const isRefused = refused.has(key)
    // Only another user can stand in the way of a row.
    if (owners.length === 0 && (isRefused || effect === undefined)) complain(`row ${key} had no effect`)
    if (isRefused && effect !== undefined) complain(`row ${key} was refused and took effect`)
    if (effect !== undefined && on_conflict !== 'update' && !created.has(effect))
      complain(`row ${key} changed ${effect}`)
    if (effect === undefined && !isRefused && on_conflict === 'fail')
      complain(`row ${key} is not in the report`)
    // An erasure may have followed the change before it was seen.
    const isErased = owners.some((owner) => owner.isErased)
    if (effect === undefined && !isRefused && on_conflict === 'update' && !isErased)
      complain(`row ${key} had no effect on ${owners.map(({ id }) => id).join(', ')}`)
  }
  const { state, rows_read, skipped, updated, unchanged } = job
  if (state !== 'done' || rows_read !== rows) complain(`the import ended as ${JSON.stringify(job)}`)
  if (job.created !== created.size || job.refused !== refused.size) complain('the counts do not add up')
  if (job.created + updated + unchanged + skipped + job.refused !== rows) complain('the counts do not add up')
  if (on_conflict !== 'skip' && skipped > 0) complain('the counts have a wrong outcome')
}

/** Reads all users past the cache. */
export async function readAll(client: pg.Client): Promise<(User & { version: number })[]> {
  const { rows } = await client.query<User>(`
    SELECT u.id, u.username, u.name, u.status, u.external_id, u.attributes, u.version, coalesce((
      SELECT json_agg(json_build_object('contact_type', c.contact_type, 'value', c.value) ORDER BY c.position)
      FROM contacts c WHERE c.user_id = u.id
    ), '[]') AS contacts FROM users u`)
  return rows
}

/** The key of a user whose external id was not changed. */
export function keyOf(externalId: string | null): number {
  return Number(externalId?.split('|')[1])
}
