// Reads one page of a list without conditions.
import { type SQL, sql } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'
import type { Queries } from '../../connection/postgres/database.ts'
import { limitMax, type Sort } from '../../model/listing.ts'
import { whereOf } from './conditions.ts'
import type { Position } from './cursor.ts'
import { type SortOrder, sortOrderOf } from './sort-order.ts'
import { type UserRow, userColumns } from './user-row.ts'

/** A part of a list: up to `limit` rows after a position. */
export type Part = { sort: Sort; after: Position | undefined; limit: number }
export type Row = UserRow & { key: unknown }

export function columnsWith(key: SQL): SQL {
  return sql`${sql.raw(userColumns)}, ${key} AS key`
}

/** The texts of `readPlainPage` by name: one for the first page of each sort, and one for the next pages. */
const plainTexts = new Map<string, string>()
const dialect = new PgDialect()

/** The statement is prepared, because planning it costs as much as executing it. */
export function readPlainPage(queries: Queries, { sort, after, limit }: Part): Promise<Row[]> {
  const name = `list-plain:${sort}:${after ? 'next' : 'first'}`
  let text = plainTexts.get(name)
  if (text === undefined) {
    text = plainText(sortOrderOf(sort), after !== undefined)
    plainTexts.set(name, text)
  }
  return queries.prepared<Row>(name, text, after ? [limit, ...after] : [limit])
}

/** A generic plan knows the inner limit and therefore walks the sort's index. It reads only as many rows as `$1`. */
function plainText({ column, type, direction, beyond, by }: SortOrder, isNext: boolean): string {
  const afterCursor = isNext ? [sql`(${column}, u.id) ${beyond} ($2::${type}, $3::uuid)`] : []
  return dialect.sqlToQuery(sql`
    SELECT * FROM (
      SELECT ${columnsWith(column)} FROM users u ${whereOf(afterCursor)} ${by} LIMIT ${sql.raw(String(limitMax + 1))}
    ) AS page ORDER BY key ${direction}, id ${direction} LIMIT $1`).sql
}
