// Reads one page of a list by the cheapest of several short statements.
import { type SQL, sql } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'
import type { Queries } from '../../connection/postgres/database.ts'
import { limitMax, type Sort } from '../../model/listing.ts'
import type { SearchClause } from '../../model/search-text.ts'
import type { Position } from './cursor.ts'
import { type UserRow, userColumns } from './record.ts'

/** The conditions of a list. */
export type Conditions = {
  /** On `users u`, served by the sort's index. */
  aligned: SQL[]
  /** On `users u`, of other columns. */
  filters: SQL[]
  search: SearchClause[]
  /** A condition that one of the user's contacts, `contacts c`, must meet. */
  contact: SQL | undefined
  /** Many users may meet them all, and a row of `users` tells whether it does. */
  mayBeCommon: boolean
}

export type Part = { sort: Sort; after: Position | undefined; limit: number }
export type Row = UserRow & { key: unknown }

// Common matches fill a page within this many rows of the sort's index, in about a millisecond. The first of these rows
// show whether the matches are common.
const nearRows = 2_000
const probedRows = 200

/** Matches up to this many are collected and sorted, or counted: some ten milliseconds. */
export const collectedMax = 10_000

// More matches than that are met on a walk this long, some hundred milliseconds, unless they sit at the index's far end.
// As many holders of a contact are looked at one by one.
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

/** All conditions on `users u`, in a form that indexes serve. */
export function indexed({ aligned, filters, search, contact }: Omit<Conditions, 'mayBeCommon'>): SQL[] {
  const found = search.map((clause) => matches(clause, (part) => sql`u.search_text LIKE ${`%${part}%`}`))
  return [...aligned, ...filters, ...found, ...holds(contact)]
}

/**
 * Conditions that a walk along the sort's index looks for in its rows. `strpos` costs half of LIKE, and no plan can use the
 * search index for it.
 */
function sought({ filters, search, contact }: Conditions): SQL[] {
  const found = search.map((clause) => matches(clause, (part) => sql`strpos(u.search_text, ${part}) > 0`))
  return [...filters, ...found, ...holds(contact)]
}

function holds(contact: SQL | undefined): SQL[] {
  return contact === undefined ? [] : [sql`u.id IN (SELECT c.user_id FROM contacts c WHERE ${contact})`]
}

function matches({ every, orAny }: SearchClause, contains: (part: string) => SQL): SQL {
  const all = sql.join(every.map(contains), sql` AND `)
  return orAny.length === 0 ? all : sql`(${all} OR ${sql.join(orAny.map(contains), sql` OR `)})`
}

export function whereOf(conditions: SQL[]): SQL {
  return conditions.length === 0 ? sql`` : sql`WHERE ${sql.join(conditions, sql` AND `)}`
}

/**
 * Where the sort's index serves the conditions too, it is walked. Otherwise PostgreSQL would have to choose between that
 * walk, slow when the matches sit at its far end, and collecting all matches, slow when they are many, and it would guess
 * how they are spread. Instead statements try in turn: a short walk, which common matches fill; collecting up to a bound;
 * a long walk; collecting all.
 */
export async function readPage(queries: Queries, conditions: Conditions, part: Part): Promise<Row[]> {
  const { after, limit } = part
  const order = orderOf(part.sort)
  const { column, type, direction, beyond } = order
  const rest = after ? [sql`(${column}, u.id) ${beyond} (${after[0]}::${type}, ${after[1]}::uuid)`] : []
  const inOrder = sql`ORDER BY ${column} ${direction}, u.id ${direction}`
  const columns = sql`${sql.raw(userColumns)}, ${column} AS key`
  const all = whereOf([...indexed(conditions), ...rest])
  const read = async (statement: SQL) => (await queries.execute<Row>(statement)).rows

  const wanted = sought(conditions)
  if (wanted.length === 0) return read(sql`SELECT ${columns} FROM users u ${all} ${inOrder} LIMIT ${limit}`)

  const match = whereOf(wanted)
  // PostgreSQL plans well for limits that it knows only: these are no parameters, so that a generic plan knows them too.
  const steps = (rows: number, gate: SQL[] = []) =>
    sql`(SELECT u.* FROM users u ${whereOf([...gate, ...conditions.aligned, ...rest])} ${inOrder} LIMIT ${sql.raw(String(rows))}) u`
  const walk = (rows: number, gate?: SQL[]) => sql`
    SELECT * FROM (
      SELECT ${columns} FROM ${steps(rows, gate)} ${match} ${inOrder} LIMIT ${sql.raw(String(limitMax + 1))}
    ) AS page ORDER BY key ${direction}, id ${direction} LIMIT ${limit}`

  if (conditions.mayBeCommon) {
    const statement = walk(nearRows, [sql`EXISTS (SELECT FROM ${steps(probedRows)} ${match})`])
    const name = nearName(conditions, part)
    const near = name === undefined ? await read(statement) : await readNamed(queries, name, statement)
    if (near.length === limit) return near
  }

  const collected = await queries.execute<(Row | { id: null }) & { fits: boolean }>(sql`
    WITH ${collectedOf(conditions, column, rest)},
    page AS MATERIALIZED (
      SELECT id, key FROM collected WHERE (SELECT fits FROM size)
      ORDER BY key ${direction}, id ${direction} LIMIT ${limit}
    )
    -- Without a match there is one row all the same, to carry \`fits\`.
    SELECT size.fits, ${columns}
    FROM size LEFT JOIN page ON true LEFT JOIN users u ON u.id = page.id
    ORDER BY page.key ${direction}, page.id ${direction}`)
  if (collected.rows[0]?.fits) return collected.rows.filter((row) => row.id !== null)

  const far = await read(walk(farRows))
  if (far.length === limit) return far

  // OFFSET keeps PostgreSQL from walking the sort's index all the same.
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

/**
 * The name under which a walk for a plain search is prepared: to plan it costs as much as to execute it. Any plan for it
 * walks the sort's index, so a generic plan is as good. Other shapes are too many to keep.
 */
function nearName({ aligned, filters, search }: Conditions, { sort, after }: Part): string | undefined {
  const isPlain =
    aligned.length + filters.length === 0 &&
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
 * `collected`: the matches up to the bound; `size`: whether these are all. Where few contacts match, only their users are
 * looked at.
 */
function collectedOf(conditions: Conditions, column: SQL, rest: SQL[]): SQL {
  const { contact } = conditions
  const row = sql`u.id, ${column} AS key`
  const all = whereOf([...indexed(conditions), ...rest])
  const bound = collectedMax + 1
  if (contact === undefined)
    return sql`
    collected AS MATERIALIZED (SELECT ${row} FROM users u ${all} LIMIT ${bound}),
    size AS MATERIALIZED (SELECT count(*) < ${bound} AS fits FROM collected)`
  const areFew = sql`(SELECT count(*) <= ${farRows} FROM holders)`
  const held = sql`u.id = ANY(ARRAY(SELECT id FROM holders))`
  const others = indexed({ ...conditions, contact: undefined })
  return sql`
    holders AS MATERIALIZED (SELECT c.user_id AS id FROM contacts c WHERE ${contact} LIMIT ${farRows + 1}),
    collected AS MATERIALIZED (
      SELECT ${row} FROM users u ${whereOf([areFew, held, ...others, ...rest])}
      UNION ALL (SELECT ${row} FROM users u ${all} AND NOT ${areFew} LIMIT ${bound})
    ),
    size AS MATERIALIZED (SELECT ${areFew} OR count(*) < ${bound} AS fits FROM collected)`
}
