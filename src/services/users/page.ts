// Reads one page of a list by the cheapest of several statements: docs/adr/0021-read-a-list-page-in-steps.md.
import { type SQL, sql } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'
import type { Queries } from '../../connection/postgres/database.ts'
import { limitMax, type Sort } from '../../model/listing.ts'
import { rareTrigrams, type SearchClause } from '../../model/search-text.ts'
import type { Position } from './cursor.ts'
import { type UserRow, userColumns } from './user-row.ts'

/** The conditions of a list. */
export type Conditions = {
  /** Conditions on `users u` that the sort's index serves. */
  aligned: SQL[]
  /** Conditions on other columns of `users u`. */
  filters: SQL[]
  search: SearchClause[]
  /** A condition that one contact of the user, `contacts c`, must meet. */
  contact: SQL | undefined
  /** Whether there are no conditions at all. */
  isPlain: boolean
  /** Whether many users may match. */
  mayBeCommon: boolean
}

export type Part = { sort: Sort; after: Position | undefined; limit: number }
export type Row = UserRow & { key: unknown }

// Common matches fill a page within `nearRows` rows of the sort's index, in about a millisecond.
// The first `probedRows` of them show whether the matches are common.
const nearRows = 2_000
const probedRows = 200

/** Up to this many matches are collected and sorted, or counted, in some ten milliseconds. */
export const collectedMax = 10_000

// More matches than `collectedMax` fill a page within this many rows, in some hundred milliseconds, unless all of them
// are at the far end of the index. Up to as many users who have a contact are examined one by one.
const farRows = 50_000

type Order = { column: SQL; type: SQL; direction: SQL; beyond: SQL }

const sortColumns: Record<string, { column: SQL; type: SQL }> = {
  created_at: { column: sql`u.created_at`, type: sql`timestamptz` },
  updated_at: { column: sql`u.updated_at`, type: sql`timestamptz` },
  username: { column: sql`u.username_folded`, type: sql`text` },
  name: { column: sql`u.name_folded`, type: sql`text` },
}

function orderOf(sort: Sort): Order {
  const isDescending = sort.startsWith('-')
  const column = sortColumns[isDescending ? sort.slice(1) : sort]
  if (!column) throw new Error(`no column to sort by ${sort}`)
  return { ...column, direction: isDescending ? sql`DESC` : sql`ASC`, beyond: isDescending ? sql`<` : sql`>` }
}

type Selecting = Pick<Conditions, 'aligned' | 'filters' | 'search' | 'contact'>

/** All conditions on `users u`, in a form that indexes serve. */
export function indexedConditions(conditions: Selecting): SQL[] {
  return withSearch(conditions, (part) => sql.join([...rareTrigrams(part), part].map(like), sql` AND `))
}

/** The same without implied conditions, for which PostgreSQL would multiply its estimates. */
export function estimatedConditions(conditions: Selecting): SQL[] {
  return withSearch(conditions, like)
}

function withSearch(
  { aligned, filters, search, contact }: Selecting,
  contains: (part: string) => SQL,
): SQL[] {
  const held = contact && sql`u.id IN (SELECT c.user_id FROM contacts c WHERE ${contact})`
  return [
    ...aligned,
    ...filters,
    ...search.map((clause) => matches(clause, contains)),
    ...(held ? [held] : []),
  ]
}

function like(part: string): SQL {
  return sql`u.search_text LIKE ${`%${part}%`}`
}

/**
 * The conditions that a walk along the sort's index checks in each row. `strpos` costs half as much as LIKE, and no plan
 * can use the search index for it.
 */
function rowConditions({ filters, search, contact }: Conditions): SQL[] {
  const found = search.map((clause) => matches(clause, (part) => sql`strpos(u.search_text, ${part}) > 0`))
  // OFFSET prevents a join, which could read all contacts.
  const held = contact && sql`EXISTS (SELECT FROM contacts c WHERE c.user_id = u.id AND ${contact} OFFSET 0)`
  return [...filters, ...found, ...(held ? [held] : [])]
}

function matches({ every, orAny }: SearchClause, contains: (part: string) => SQL): SQL {
  const all = sql.join(every.map(contains), sql` AND `)
  return orAny.length === 0 ? all : sql`(${all} OR ${sql.join(orAny.map(contains), sql` OR `)})`
}

export function whereOf(conditions: SQL[]): SQL {
  return conditions.length === 0 ? sql`` : sql`WHERE ${sql.join(conditions, sql` AND `)}`
}

/**
 * Tries in turn a short walk along the sort's index, collecting up to a limit, a long walk, and collecting all.
 * A single statement would make PostgreSQL guess how the matches are spread.
 */
export async function readPage(queries: Queries, conditions: Conditions, part: Part): Promise<Row[]> {
  if (conditions.isPlain) return readPlainPage(queries, part)
  const { after, limit } = part
  const order = orderOf(part.sort)
  const { column, type, direction, beyond } = order
  const afterCursor = after
    ? [sql`(${column}, u.id) ${beyond} (${after[0]}::${type}, ${after[1]}::uuid)`]
    : []
  const inOrder = sql`ORDER BY ${column} ${direction}, u.id ${direction}`
  const columns = columnsWith(column)
  const all = whereOf([...indexedConditions(conditions), ...afterCursor])
  const read = async (statement: SQL) => (await queries.execute<Row>(statement)).rows

  const inRows = rowConditions(conditions)
  if (inRows.length === 0) return read(sql`SELECT ${columns} FROM users u ${all} ${inOrder} LIMIT ${limit}`)

  const match = whereOf(inRows)
  // PostgreSQL plans well only for known limits, so these are no parameters and a generic plan knows them too.
  const steps = (rows: number, gate: SQL[] = []) =>
    sql`(SELECT u.* FROM users u ${whereOf([...gate, ...conditions.aligned, ...afterCursor])} ${inOrder} LIMIT ${sql.raw(String(rows))}) u`
  const walk = (rows: number, gate?: SQL[]) => sql`
    SELECT * FROM (
      SELECT ${columns} FROM ${steps(rows, gate)} ${match} ${inOrder} LIMIT ${sql.raw(String(limitMax + 1))}
    ) AS page ORDER BY key ${direction}, id ${direction} LIMIT ${limit}`

  if (conditions.mayBeCommon) {
    const statement = walk(nearRows, [sql`EXISTS (SELECT FROM ${steps(probedRows)} ${match})`])
    const name = nearStatementName(conditions, part)
    const near = name === undefined ? await read(statement) : await readNamed(queries, name, statement)
    if (near.length === limit) return near
  }

  const collected = await queries.execute<(Row | { id: null }) & { fits: boolean }>(sql`
    WITH ${collectedOf(conditions, column, afterCursor)},
    page AS MATERIALIZED (
      SELECT id, key FROM collected WHERE (SELECT fits FROM size)
      ORDER BY key ${direction}, id ${direction} LIMIT ${limit}
    )
    -- Without a match there is still one row, which carries \`fits\`.
    SELECT size.fits, ${columns}
    FROM size LEFT JOIN page ON true LEFT JOIN users u ON u.id = page.id
    ORDER BY page.key ${direction}, page.id ${direction}`)
  if (collected.rows[0]?.fits) return collected.rows.filter((row) => row.id !== null)

  // The first rows show whether the walk will fill the page. Reading them costs as much as the step before.
  const needed = Math.floor((limit * collectedMax) / farRows)
  const isDense = sql`EXISTS (SELECT FROM ${steps(collectedMax)} ${match} OFFSET ${needed})`
  const far = await read(walk(farRows, [isDense]))
  if (far.length === limit) return far

  // OFFSET prevents PostgreSQL from walking the sort's index here too.
  return read(sql`
    WITH page AS MATERIALIZED (
      SELECT id, key FROM (
        SELECT u.id, ${column} AS key FROM users u ${all} OFFSET 0
      ) AS matches
      ORDER BY key ${direction}, id ${direction} LIMIT ${limit}
    )
    SELECT ${columns} FROM page JOIN users u ON u.id = page.id
    ORDER BY page.key ${direction}, page.id ${direction}`)
}

function columnsWith(key: SQL): SQL {
  return sql`${sql.raw(userColumns)}, ${key} AS key`
}

/** The texts of `readPlainPage` by name: one for the first page of each sort, and one for the next pages. */
const plainTexts = new Map<string, string>()

/** Reads a page without conditions. Its statement is prepared, because planning it costs as much as executing it. */
function readPlainPage(queries: Queries, { sort, after, limit }: Part): Promise<Row[]> {
  const name = `list-plain:${sort}:${after ? 'next' : 'first'}`
  let text = plainTexts.get(name)
  if (text === undefined) {
    text = plainText(orderOf(sort), after !== undefined)
    plainTexts.set(name, text)
  }
  return queries.prepared<Row>(name, text, after ? [limit, ...after] : [limit])
}

/** A generic plan knows the inner limit and therefore walks the sort's index. It reads only as many rows as `$1`. */
function plainText({ column, type, direction, beyond }: Order, isNext: boolean): string {
  const afterCursor = isNext ? [sql`(${column}, u.id) ${beyond} ($2::${type}, $3::uuid)`] : []
  return dialect.sqlToQuery(sql`
    SELECT * FROM (
      SELECT ${columnsWith(column)} FROM users u ${whereOf(afterCursor)}
      ORDER BY ${column} ${direction}, u.id ${direction} LIMIT ${sql.raw(String(limitMax + 1))}
    ) AS page ORDER BY key ${direction}, id ${direction} LIMIT $1`).sql
}

/**
 * Names the prepared statement of a short walk, because planning it costs as much as executing it. Every plan walks the
 * sort's index, so a generic plan is as good. Other shapes of a search are too many to keep prepared.
 */
function nearStatementName(
  { aligned, filters, search, contact }: Conditions,
  { sort, after }: Part,
): string | undefined {
  const isPlain =
    aligned.length + filters.length === 0 &&
    (contact === undefined || search.length === 0) &&
    search.every(({ every, orAny }) => every.length + orAny.length === 1)
  if (!isPlain || search.length > namedWordsMax) return undefined
  return `list-near:${sort}:${after ? 'next' : 'first'}:${search.length}`
}

const namedWordsMax = 3
const dialect = new PgDialect()

function readNamed(queries: Queries, name: string, statement: SQL): Promise<Row[]> {
  const { sql: text, params } = dialect.sqlToQuery(statement)
  return queries.prepared<Row>(name, text, params)
}

/**
 * Makes two common table expressions: `collected`, the matches up to a limit, and `size`, whether these are all.
 * If few contacts match, only their users are examined.
 */
function collectedOf(conditions: Conditions, column: SQL, afterCursor: SQL[]): SQL {
  const { contact } = conditions
  const row = sql`u.id, ${column} AS key`
  const all = whereOf([...indexedConditions(conditions), ...afterCursor])
  const bound = collectedMax + 1
  if (contact === undefined)
    return sql`
    collected AS MATERIALIZED (SELECT ${row} FROM users u ${all} LIMIT ${bound}),
    size AS MATERIALIZED (SELECT count(*) < ${bound} AS fits FROM collected)`
  const areFew = sql`(SELECT count(*) <= ${farRows} FROM holders)`
  const held = sql`u.id = ANY(ARRAY(SELECT id FROM holders))`
  const others = indexedConditions({ ...conditions, contact: undefined })
  return sql`
    holders AS MATERIALIZED (SELECT c.user_id AS id FROM contacts c WHERE ${contact} LIMIT ${farRows + 1}),
    collected AS MATERIALIZED (
      SELECT ${row} FROM users u ${whereOf([areFew, held, ...others, ...afterCursor])}
      UNION ALL (SELECT ${row} FROM users u ${all} AND NOT ${areFew} LIMIT ${bound})
    ),
    size AS MATERIALIZED (SELECT ${areFew} OR count(*) < ${bound} AS fits FROM collected)`
}
