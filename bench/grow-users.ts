// Multiplies sample users inside PostgreSQL, so that a directory of millions is made in minutes.
import type pg from 'pg'

/** The samples that are copied. Their usernames, contacts and external ids contain the mark of copy 0. */
export const samplesPerCopy = 10_000
// A statement adds at most half a million users.
const copiesPerStatement = 50

/** Every user of a copy has it in the username, so that `ada.lovelace-qx00017` is one user of the whole. */
export function copyMark(copy: number): string {
  return `qx${String(copy).padStart(5, '0')}`
}

/**
 * Adds the copies `from` (1 or more) to `to - 1`. All other indexes than unique ones are dropped meanwhile and created
 * again, so their sizes are those of fresh indexes.
 */
export async function growUsers(
  client: pg.Client,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const { rows: indexes } = await client.query<{ name: string; definition: string }>(`
    SELECT c.relname AS name, pg_get_indexdef(c.oid) AS definition
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid IN ('users'::regclass, 'contacts'::regclass) AND NOT i.indisunique`)
  for (const { name } of indexes) await client.query(`DROP INDEX "${name}"`)
  // Skips the foreign keys' checks, row by row.
  await client.query(
    `SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '512MB'`,
  )
  for (let first = from; first < to; first += copiesPerStatement)
    await client.query(copyStatement, [
      first,
      Math.min(first + copiesPerStatement, to) - 1,
      copyMark(0),
      samplesPerCopy,
    ])
  for (const { definition } of indexes) await client.query(definition)
  await client.query('VACUUM ANALYZE users, contacts')
}

// $1 and $2: the first and last copy; $3: the mark of the samples; $4: their number.
const copyStatement = `
  WITH samples AS MATERIALIZED (
    SELECT *, row_number() OVER (ORDER BY id) AS at FROM users ORDER BY id LIMIT $4
  ), copies AS MATERIALIZED (
    SELECT uuidv7() AS new_id, s.*, 'qx' || lpad(copy::text, 5, '0') AS mark,
      timestamptz '2020-01-01Z' + (copy * $4::int + at) * interval '20 seconds' AS made_at
    FROM generate_series($1::int, $2::int) AS copy CROSS JOIN samples s
  ), added AS (
    INSERT INTO users (id, username, username_folded, name, name_folded, password_hash, status, version, created_at,
      updated_at, search_text, external_id, attributes)
    SELECT new_id, replace(username, $3, mark), replace(username_folded, $3, mark), name, name_folded, password_hash,
      status, 1, made_at, made_at, replace(search_text, $3, mark), replace(external_id, $3, mark), attributes
    FROM copies
  )
  INSERT INTO contacts (id, user_id, position, contact_type, value)
  SELECT uuidv7(), copies.new_id, c.position, c.contact_type, replace(c.value, $3, copies.mark)
  FROM copies JOIN contacts c ON c.user_id = copies.id`
