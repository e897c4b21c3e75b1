// Reads one page of a list by the cheapest of several statements: docs/adr/0021-read-a-list-page-in-steps.md.
import { type SQL, sql } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'
import type { Queries } from '../../connection/postgres/database.ts'
import { limitMax } from '../../model/listing.ts'
import { type Conditions, commonConditions, indexedConditions, rowConditions, whereOf } from './conditions.ts'
import type { Position } from './cursor.ts'
import { columnsWith, type Part, type Row, readPlainPage } from './plain-page.ts'
import { positionIs, sortOrderOf } from './sort-order.ts'

// Common matches fill a page within `nearRows` rows of the sort's index, in about a millisecond.
// The first `probedRows` of them show whether the matches are common.
const nearRows = 2_000
const probedRows = 200

/** Up to this many matches are collected and sorted, or counted, in some ten milliseconds. */
export const collectedMax = 10_000

// A long walk reads up to this many rows, in some hundred milliseconds. Up to as many users who have a contact are
// examined one by one.
const farRows = 50_000
// A walk by name reads rows all over the table, which takes as long as collecting as many matches.
const scatteredRows = 20_000

/** Tries cheap statements first. A single one would make PostgreSQL guess how the matches are spread. */
export async function readPage(queries: Queries, conditions: Conditions, part: Part): Promise<Row[]> {
  if (conditions.isPlain) return readPlainPage(queries, part)
  const { limit } = part
  const statements = statementsOf(conditions, part)
  const read = async (statement: SQL) => (await queries.execute<Row>(statement)).rows
  if (statements.isServedInOrder) return read(statements.inOrder())

  if (conditions.mayBeCommon) {
    const statement = statements.walkNear()
    const name = nearStatementName(conditions, part)
    const near = name === undefined ? await read(statement) : await readNamed(queries, name, statement)
    if (near.length === limit) return near
    // If the matches go on as they began, half of these rows fill the page.
    const rows = Math.ceil((2 * nearRows * limit) / near.length)
    if (rows <= scatteredRows) {
      const next = await read(statements.walk(rows))
      if (next.length === limit) return next
    }
  }

  const collected = (await queries.execute<(Row | { id: null }) & Collected>(statements.collectSome())).rows
  if (collected[0]?.fits) return collected.filter((row) => row.id !== null)
  const last = collected.at(-1)
  if (!last?.page_id || last.page_key === null) throw new Error('matches were collected without positions')

  const position: Position = [last.page_key, last.page_id]
  const far = await read(statements.walkFar(position))
  if (far.length === limit) return far
  const page = await read(statements.collectAll(position))
  // Some of the collected users may have changed since.
  return page.length === limit ? page : read(statements.collectAll())
}

/** `fits`: whether these are all matches. If not, `page_key` and `page_id` are the position of each row of their page. */
type Collected = { fits: boolean; page_key: string | null; page_id: string | null }

function statementsOf(conditions: Conditions, { sort, after, limit }: Part) {
  const order = sortOrderOf(sort)
  const { column, type, direction, by } = order
  const columns = columnsWith(column)
  const afterCursor = after ? [positionIs(order.beyond, after, order)] : []
  const inRows = rowConditions(conditions)
  const match = whereOf(inRows)

  // PostgreSQL plans well only for known limits, so these are no parameters and a generic plan knows them too.
  const constant = (rows: number) => sql.raw(String(rows))
  const steps = (rows: number, narrowed: SQL[] = []) =>
    sql`(SELECT u.* FROM users u ${whereOf([...narrowed, ...conditions.aligned, ...afterCursor])} ${by} LIMIT ${constant(rows)}) u`
  const walk = (rows: number, narrowed?: SQL[]) => sql`
    SELECT * FROM (
      SELECT ${columns} FROM ${steps(rows, narrowed)} ${match} ${by} LIMIT ${constant(limitMax + 1)}
    ) AS page ORDER BY key ${direction}, id ${direction} LIMIT ${limit}`

  /** Whether the first rows contain as many matches as if they were spread evenly. Reading them costs as much as collecting. */
  const isDense = () => {
    const needed = Math.floor((limit * collectedMax) / farRows)
    return sql`EXISTS (SELECT FROM ${steps(collectedMax)} ${match} OFFSET ${needed})`
  }
  /** Whether few rows are before a key. The index alone shows it, without the ids. */
  const isNear = (key: string) => {
    const since = after ? [sql`${after[0]}::${type} ${order.upTo} ${column}`] : []
    const between = whereOf([...conditions.aligned, ...since, sql`${column} ${order.upTo} ${key}::${type}`])
    return sql`NOT EXISTS (SELECT FROM users u ${between} ORDER BY ${column} ${direction} OFFSET ${scatteredRows} LIMIT 1)`
  }

  return {
    /** Whether the sort's index serves all conditions. */
    isServedInOrder: inRows.length === 0,
    inOrder: () =>
      sql`SELECT ${columns} FROM users u ${whereOf([...conditions.aligned, ...afterCursor])} ${by} LIMIT ${limit}`,
    walk,
    walkNear: () => walk(nearRows, [sql`EXISTS (SELECT FROM ${steps(probedRows)} ${match})`]),

    // Without a match there is still one row, which carries `fits`.
    collectSome: () => sql`
      WITH ${collectedOf(conditions, column, afterCursor)},
      page AS MATERIALIZED (
        SELECT id, key FROM collected ORDER BY key ${direction}, id ${direction} LIMIT ${limit}
      )
      SELECT size.fits, page.key::text AS page_key, page.id AS page_id, ${columns}
      FROM size LEFT JOIN page ON true LEFT JOIN users u ON u.id = page.id AND size.fits
      ORDER BY page.key ${direction}, page.id ${direction}`,

    /** @param position the last row of a page of some matches; the page of all matches ends there or before it */
    walkFar: (position: Position) =>
      // Matches are collected in the order in which they were stored, so they tell nothing about times.
      order.isByTime
        ? walk(farRows, [isDense()])
        : walk(scatteredRows, [isNear(position[0]), positionIs(order.upTo, position, order)]),

    // OFFSET prevents PostgreSQL from walking the sort's index here too.
    collectAll: (position?: Position) => {
      const all = position
        ? [...commonConditions(conditions), positionIs(order.upTo, position, order)]
        : indexedConditions(conditions)
      return sql`
        WITH page AS MATERIALIZED (
          SELECT id, key FROM (SELECT u.id, ${column} AS key FROM users u ${whereOf([...all, ...afterCursor])} OFFSET 0) AS matches
          ORDER BY key ${direction}, id ${direction} LIMIT ${limit}
        )
        SELECT ${columns} FROM page JOIN users u ON u.id = page.id
        ORDER BY page.key ${direction}, page.id ${direction}`
    },
  }
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
