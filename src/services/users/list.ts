// Lists users by filter, search and sort, page by page, and counts them.
import { type SQL, sql } from 'drizzle-orm'
import type { Queries, StaleRead } from '../../connection/postgres/database.ts'
import { invalid } from '../../model/errors.ts'
import { readTimestamp } from '../../model/instant.ts'
import type { ListQuery } from '../../model/listing.ts'
import { type SearchClause, searchClauses } from '../../model/search-text.ts'
import { fold } from '../../model/text.ts'
import type { User } from '../../model/user.ts'
import type { ServiceContext } from '../context.ts'
import { type Conditions, estimatedConditions, indexedConditions, whereOf } from './conditions.ts'
import { type Position, readCursor, writeCursor } from './cursor.ts'
import { collectedMax, readPage } from './page.ts'
import type { Row } from './plain-page.ts'
import { toUser, type UserRow } from './user-row.ts'

export type Page = {
  items: User[]
  next_cursor: string | null
  total?: number
  total_is?: 'exact' | 'estimate'
}

/** Each word of a search costs an index scan. */
const searchWordsMax = 16

/**
 * @param staleSecondsMax the greatest age of the data, which a read replica may then answer; 0 for the primary alone
 * @throws ServiceError `invalid` for a cursor of another query, `unavailable`, `overloaded`
 */
export async function listUsers(
  { db, avatarBaseUrl }: ServiceContext,
  query: ListQuery,
  staleSecondsMax = 0,
): Promise<StaleRead<Page>> {
  const search = readSearch(query)
  const after = query.cursor === undefined ? undefined : readCursor(query.cursor, query)
  const conditions = conditionsOf(query, search)

  const read = async (queries: Queries): Promise<Page> => {
    const rows = await readPage(queries, conditions, { sort: query.sort, after, limit: query.limit + 1 })
    const page = rows.slice(0, query.limit)
    const last = page.at(-1)
    const isLast = rows.length <= query.limit
    return {
      items: page.map((row) => toUser(readRow(row), avatarBaseUrl)),
      next_cursor: !isLast && last ? writeCursor(positionOf(last, query), query) : null,
      ...(query.count !== 'none' &&
        (isLast && !after
          ? { total: page.length, total_is: 'exact' }
          : await count(queries, conditions, query.count))),
    }
  }
  return staleSecondsMax > 0
    ? db.readStale(staleSecondsMax, read)
    : { value: await db.query(read), ageSeconds: undefined }
}

/** The conditions on `users u` of all users that a query matches. @throws ServiceError `invalid` */
export function matchingConditions(query: ListQuery): SQL[] {
  return indexedConditions(conditionsOf(query, readSearch(query)))
}

/** @throws ServiceError `invalid` for too many words */
function readSearch({ search = '' }: ListQuery): SearchClause[] {
  const clauses = searchClauses(search)
  if (clauses.flatMap(({ every }) => every).length > searchWordsMax)
    throw invalid({ parameter: 'search', message: `must have at most ${searchWordsMax} different words` })
  return clauses
}

function conditionsOf(query: ListQuery, search: SearchClause[]): Conditions {
  const aligned: SQL[] = []
  const filters: SQL[] = []
  /** @param sort the sort whose index serves the filter; `*` for all, because each has an index that begins with the status */
  const add = (filter: SQL, sort?: string) =>
    (sort === '*' || sort === query.sort.replace('-', '') ? aligned : filters).push(filter)
  if (query.status !== undefined) add(sql`u.status = ${query.status}`, '*')
  if (query.created_after) add(sql`u.created_at > ${query.created_after}`, 'created_at')
  if (query.created_before) add(sql`u.created_at < ${query.created_before}`, 'created_at')
  if (query.updated_after) add(sql`u.updated_at > ${query.updated_after}`, 'updated_at')
  if (query.updated_before) add(sql`u.updated_at < ${query.updated_before}`, 'updated_at')
  if (query.username !== undefined) add(sql`u.username_folded = ${fold(query.username)}`)
  if (query.external_id !== undefined) add(sql`u.external_id = ${query.external_id}`)
  for (const filter of attributeFilters(query.attribute)) add(filter)
  if (query.ids !== undefined) add(sql`u.id = ANY(${sql.param(query.ids)}::uuid[])`)
  const contact = [
    ...(query.contact === undefined ? [] : [sql`c.value = ${query.contact}`]),
    ...(query.contact_type === undefined ? [] : [sql`c.contact_type = ${query.contact_type}`]),
  ]
  return {
    aligned,
    filters,
    search,
    contact: contact.length === 0 ? undefined : sql.join(contact, sql` AND `),
    isPlain: aligned.length + filters.length + search.length + contact.length === 0,
    mayBeCommon:
      query.username === undefined &&
      query.external_id === undefined &&
      !query.ids &&
      query.contact === undefined,
  }
}

/** Conditions that the index `users_attributes` serves. */
function attributeFilters(attributes: ListQuery['attribute']): SQL[] {
  if (!attributes) return []
  const filters = Object.entries(attributes).map(([key, text]) => {
    const contained = valuesOf(text).map(
      (value) => sql`u.attributes @> ${JSON.stringify({ [key]: value })}::jsonb`,
    )
    return sql`(${sql.join(contained, sql` OR `)})`
  })
  // The index has no users without attributes, and serves only statements that exclude them.
  return [sql`u.attributes <> '{}'`, ...filters]
}

/** The values that a parameter may mean: the text itself, and the number or the boolean that it spells in JSON. */
function valuesOf(text: string): (string | number | boolean)[] {
  if (text === 'true' || text === 'false') return [text, text === 'true']
  const isNumber = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text))
  return isNumber ? [text, Number(text)] : [text]
}

async function count(
  queries: Queries,
  conditions: Conditions,
  mode: 'estimate' | 'exact',
): Promise<{ total: number; total_is: 'exact' | 'estimate' }> {
  const matching = sql`FROM users u ${whereOf(indexedConditions(conditions))}`
  const counted = await queries.execute<{ total: number }>(
    mode === 'exact'
      ? sql`SELECT count(*)::int AS total ${matching}`
      : sql`SELECT count(*)::int AS total FROM (SELECT 1 ${matching} LIMIT ${collectedMax + 1}) AS matches`,
  )
  const total = counted.rows[0]?.total ?? 0
  if (mode === 'exact' || total <= collectedMax) return { total, total_is: 'exact' }
  const { rows } = await queries.execute<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    sql`EXPLAIN (FORMAT JSON) SELECT 1 FROM users u ${whereOf(estimatedConditions(conditions))}`,
  )
  return { total: Math.max(total, rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0), total_is: 'estimate' }
}

// Drizzle returns the timestamps of raw statements as text.
function readRow(row: UserRow): UserRow {
  return { ...row, created_at: readTimestamp(row.created_at), updated_at: readTimestamp(row.updated_at) }
}

function positionOf(row: Row, query: ListQuery): Position {
  // The text of a timestamp would depend on the session's settings.
  if (query.sort.endsWith('created_at')) return [readTimestamp(row.created_at).toISOString(), row.id]
  if (query.sort.endsWith('updated_at')) return [readTimestamp(row.updated_at).toISOString(), row.id]
  return [String(row.key), row.id]
}
