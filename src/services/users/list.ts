// Lists users: filter, search, sort, page, count.
import { createHash } from 'node:crypto'
import { type SQL, sql } from 'drizzle-orm'
import type { Queries } from '../../connection/postgres.ts'
import { invalid } from '../../model/errors.ts'
import type { ListQuery, Sort } from '../../model/listing.ts'
import { fold, searchPatterns } from '../../model/text.ts'
import type { User } from '../../model/user.ts'
import { textFault } from '../../model/validate.ts'
import { toUser, type UserRow, userColumns, type World } from './record.ts'

export type Page = {
  items: User[]
  next_cursor: string | null
  total?: number
  total_is?: 'exact' | 'estimate'
}

/** Words that a search may have: each costs a look into the index. */
const searchWordsMax = 16

// Matches up to this many are collected and sorted, or counted for `count=estimate`: some ten milliseconds.
const collectedMax = 10_000

// Rows that may be looked at one by one, some hundred milliseconds: more matches than are collected are met
// on a walk this long along the sort's index, unless they sit at its far end.
const lookedAtMax = 50_000

const sortColumns: Record<string, { column: SQL; type: SQL }> = {
  created_at: { column: sql`u.created_at`, type: sql`timestamptz` },
  updated_at: { column: sql`u.updated_at`, type: sql`timestamptz` },
  username: { column: sql`u.username_folded`, type: sql`text` },
  name: { column: sql`u.name_folded`, type: sql`text` },
}

/** @throws ServiceError `invalid` for a cursor that is not this query's, `unavailable`, `overloaded` */
export async function listUsers({ db, avatarBaseUrl }: World, query: ListQuery): Promise<Page> {
  const patterns = searchPatterns(query.search ?? '')
  if (patterns.length > searchWordsMax)
    throw invalid({ parameter: 'search', message: `must have at most ${searchWordsMax} different words` })
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, query)
  const order = orderOf(query.sort)
  const chosen = filtersOf(query, patterns)

  return db.query(async (queries) => {
    const statement = pageStatement(order, chosen, after, query.limit + 1)
    const { rows } = await queries.execute<UserRow & { key: string }>(statement)
    const page = rows.slice(0, query.limit)
    const last = page.at(-1)
    return {
      items: page.map((row) => toUser(readRow(row), avatarBaseUrl)),
      next_cursor: rows.length > query.limit && last ? writeCursor(positionOf(last, query), query) : null,
      ...(query.count !== 'none' && (await count(queries, allOf(chosen), query.count))),
    }
  })
}

type Order = { column: SQL; type: SQL; direction: SQL; beyond: SQL }

function orderOf(sort: Sort): Order {
  const isDescending = sort.startsWith('-')
  const column = sortColumns[isDescending ? sort.slice(1) : sort]
  if (!column) throw new Error(`no column to sort by ${sort}`)
  return { ...column, direction: isDescending ? sql`DESC` : sql`ASC`, beyond: isDescending ? sql`<` : sql`>` }
}

/** What is asked of a user. */
type Chosen = {
  /** Conditions on `users u`. */
  filters: SQL[]
  /** A condition that one of the user's contacts, `contacts c`, must meet. */
  contact: SQL | undefined
  /** The sort's index serves all of it, so that a walk along that index meets matches only. */
  isAligned: boolean
}

function filtersOf(query: ListQuery, patterns: string[]): Chosen {
  const filters: SQL[] = []
  let isAligned = true
  const add = (filter: SQL, alignedWith?: string) => {
    filters.push(filter)
    if (alignedWith !== '*' && alignedWith !== query.sort.replace('-', '')) isAligned = false
  }
  if (query.status !== undefined) add(sql`u.status = ${query.status}`, '*')
  if (query.created_after) add(sql`u.created_at > ${query.created_after.toISOString()}`, 'created_at')
  if (query.created_before) add(sql`u.created_at < ${query.created_before.toISOString()}`, 'created_at')
  if (query.updated_after) add(sql`u.updated_at > ${query.updated_after.toISOString()}`, 'updated_at')
  if (query.updated_before) add(sql`u.updated_at < ${query.updated_before.toISOString()}`, 'updated_at')
  if (query.username !== undefined) add(sql`u.username_folded = ${fold(query.username)}`)
  if (query.ids !== undefined) add(sql`u.id = ANY(${sql.param(query.ids)}::uuid[])`)
  for (const pattern of patterns) add(sql`u.search_text LIKE ${pattern}`)
  const contact = [
    ...(query.contact === undefined ? [] : [sql`c.value = ${query.contact}`]),
    ...(query.contact_type === undefined ? [] : [sql`c.contact_type = ${query.contact_type}`]),
  ]
  return contact.length === 0
    ? { filters, contact: undefined, isAligned }
    : { filters, contact: sql.join(contact, sql` AND `), isAligned: false }
}

function allOf({ filters, contact }: Chosen): SQL[] {
  return contact === undefined
    ? filters
    : [...filters, sql`u.id IN (SELECT c.user_id FROM contacts c WHERE ${contact})`]
}

function whereOf(conditions: SQL[]): SQL {
  return conditions.length === 0 ? sql`` : sql`WHERE ${sql.join(conditions, sql` AND `)}`
}

/** Exported for the test that asks PostgreSQL for the plans. */
export function listStatement(query: ListQuery): SQL {
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, query)
  const chosen = filtersOf(query, searchPatterns(query.search ?? ''))
  return pageStatement(orderOf(query.sort), chosen, after, query.limit + 1)
}

/**
 * One page. Where the sort's index serves the filters too, it is walked. Where not, PostgreSQL would have
 * to choose between that walk, slow when the matches sit at its far end, and collecting all matches,
 * slow when they are many; it chooses by guessing how they are spread. So nothing is guessed: the matches
 * are collected up to a bound; when there are more, they are looked for on a bounded walk; and only when
 * that does not fill the page are they collected whatever their number.
 */
function pageStatement(
  { column, type, direction, beyond }: Order,
  chosen: Chosen,
  after: Position | undefined,
  limit: number,
): SQL {
  const filters = allOf(chosen)
  const rest = after ? [sql`(${column}, u.id) ${beyond} (${after[0]}::${type}, ${after[1]}::uuid)`] : []
  const row = sql`u.id, ${column} AS key`
  const walk = (conditions: SQL[], columns: SQL, rows: number) =>
    sql`SELECT ${columns} FROM users u ${whereOf(conditions)} ORDER BY ${column} ${direction}, u.id ${direction} LIMIT ${rows}`
  const first = sql`ORDER BY key ${direction}, id ${direction} LIMIT ${limit}`

  const page = chosen.isAligned
    ? sql`page AS MATERIALIZED (${walk([...filters, ...rest], row, limit)})`
    : sql`
    ${collected(chosen, row, rest)},
    near AS MATERIALIZED (
      SELECT ${row} FROM (${walk([sql`NOT (SELECT fits FROM size)`, ...rest], sql`u.*`, lookedAtMax)}) u
      ${whereOf(filters)} ORDER BY ${column} ${direction}, u.id ${direction} LIMIT ${limit}
    ),
    reach AS MATERIALIZED (SELECT (SELECT fits FROM size) OR count(*) = ${limit} AS suffices FROM near),
    page AS MATERIALIZED (
      (SELECT id, key FROM collected WHERE (SELECT fits FROM size) ${first})
      UNION ALL SELECT id, key FROM near WHERE (SELECT suffices FROM reach)
      UNION ALL (SELECT id, key FROM (
        -- OFFSET keeps PostgreSQL from taking the sort's index all the same.
        SELECT ${row} FROM users u ${whereOf([sql`NOT (SELECT suffices FROM reach)`, ...filters, ...rest])} OFFSET 0
      ) AS matches ${first})
    )`
  return sql`WITH ${page}
    SELECT ${sql.raw(userColumns)}, page.key::text AS key FROM page JOIN users u ON u.id = page.id
    ORDER BY page.key ${direction}, page.id ${direction}`
}

/** `collected`: matches; `size`: whether they are all. Where few contacts match, only their users are looked at. */
function collected({ filters, contact, isAligned }: Chosen, row: SQL, rest: SQL[]): SQL {
  const conditions = [...allOf({ filters, contact, isAligned }), ...rest]
  const bound = collectedMax + 1
  if (contact === undefined)
    return sql`
    collected AS MATERIALIZED (SELECT ${row} FROM users u ${whereOf(conditions)} LIMIT ${bound}),
    size AS MATERIALIZED (SELECT count(*) < ${bound} AS fits FROM collected)`
  const areFew = sql`(SELECT count(*) <= ${lookedAtMax} FROM holders)`
  const held = sql`u.id = ANY(ARRAY(SELECT id FROM holders))`
  return sql`
    holders AS MATERIALIZED (SELECT c.user_id AS id FROM contacts c WHERE ${contact} LIMIT ${lookedAtMax + 1}),
    collected AS MATERIALIZED (
      SELECT ${row} FROM users u ${whereOf([areFew, held, ...filters, ...rest])}
      UNION ALL (SELECT ${row} FROM users u ${whereOf([sql`NOT ${areFew}`, ...conditions])} LIMIT ${bound})
    ),
    size AS MATERIALIZED (SELECT ${areFew} OR count(*) < ${bound} AS fits FROM collected)`
}

async function count(
  queries: Queries,
  filters: SQL[],
  how: 'estimate' | 'exact',
): Promise<{ total: number; total_is: 'exact' | 'estimate' }> {
  const matching = sql`FROM users u ${whereOf(filters)}`
  const counted = await queries.execute<{ total: number }>(
    how === 'exact'
      ? sql`SELECT count(*)::int AS total ${matching}`
      : sql`SELECT count(*)::int AS total FROM (SELECT 1 ${matching} LIMIT ${collectedMax + 1}) AS matches`,
  )
  const total = counted.rows[0]?.total ?? 0
  if (how === 'exact' || total <= collectedMax) return { total, total_is: 'exact' }
  const { rows } = await queries.execute<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    sql`EXPLAIN (FORMAT JSON) SELECT 1 ${matching}`,
  )
  return { total: Math.max(total, rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0), total_is: 'estimate' }
}

// Drizzle gives timestamps of its own statements as text.
function readRow(row: UserRow): UserRow {
  return { ...row, created_at: new Date(row.created_at), updated_at: new Date(row.updated_at) }
}

/** The sort's value and the id of a page's last row. */
type Position = [key: string, id: string]

function positionOf(row: UserRow & { key: string }, query: ListQuery): Position {
  // As text a timestamp would depend on the session's settings.
  if (query.sort.endsWith('created_at')) return [new Date(row.created_at).toISOString(), row.id]
  if (query.sort.endsWith('updated_at')) return [new Date(row.updated_at).toISOString(), row.id]
  return [row.key, row.id]
}

// A cursor says nothing secret and grants nothing: its checksum is there so that one that was changed, or
// that belongs to another query, is refused instead of answering a page nobody asked for.
function writeCursor(position: Position, query: ListQuery): string {
  const payload = Buffer.from(JSON.stringify(position))
  return Buffer.concat([checksum(payload, query), payload]).toString('base64url')
}

const checksumBytes = 12

function checksum(payload: Uint8Array, query: ListQuery): Buffer {
  const { cursor: _, limit: __, count: ___, ...bound } = query
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(bound).sort(([a], [b]) => (a < b ? -1 : 1))))
    .update('\n')
    .update(payload)
    .digest()
    .subarray(0, checksumBytes)
}

const instantPattern = /^[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function readCursor(cursor: string, query: ListQuery): Position {
  const refused = invalid({ parameter: 'cursor', message: 'is not a cursor of this query' })
  const bytes = Buffer.from(cursor, 'base64url')
  const payload = bytes.subarray(checksumBytes)
  if (
    bytes.toString('base64url') !== cursor ||
    !checksum(payload, query).equals(bytes.subarray(0, checksumBytes))
  )
    throw refused
  // The checksum can be computed by anyone who reads this: what it covers is checked all the same.
  let position: unknown
  try {
    position = JSON.parse(payload.toString())
  } catch {
    throw refused
  }
  if (!Array.isArray(position) || position.length !== 2) throw refused
  const [key, id]: unknown[] = position
  if (typeof key !== 'string' || typeof id !== 'string' || !uuidPattern.test(id)) throw refused
  const isKey = query.sort.endsWith('_at')
    ? instantPattern.test(key) && !Number.isNaN(Date.parse(key))
    : textFault(key) === undefined
  if (!isKey) throw refused
  return [key, id]
}
