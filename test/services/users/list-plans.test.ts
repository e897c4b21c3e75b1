// PostgreSQL's plans for each filter, sort and search: none scans the table, even if the matches are at the far end of
// the sort.

import type { SQL } from 'drizzle-orm'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import * as z from 'zod/mini'
import type { Queries } from '../../../src/connection/postgres/database.ts'
import { seedSamples } from '../../../src/dev/samples.ts'
import { listParameters, listQuery } from '../../../src/model/listing.ts'
import type { User } from '../../../src/model/user.ts'
import type { ServiceContext } from '../../../src/services/context.ts'
import { listUsers } from '../../../src/services/users/list.ts'
import { type Named, planReader } from '../../support/plans.ts'
import { startService } from '../../support/service.ts'

const users = 100_000
// The rows that a statement may read: the limits in page.ts on collected matches and walked rows.
const rowsMax = 65_000

const service = await startService()
const client = new pg.Client({ connectionString: service.databaseUrl })

beforeAll(async () => {
  await client.connect()
  // Built once over all rows, because their upkeep costs more than the rest of this test.
  const { rows: indexes } = await client.query(`
    SELECT indexrelid::regclass AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
    WHERE indrelid IN ('users'::regclass, 'contacts'::regclass)
      AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)`)
  expect(indexes.length).toBeGreaterThan(10)
  for (const { name } of indexes) await client.query(`DROP INDEX ${name}`)
  await seedSamples(service.connections, users, { suffix: '-plans' })
  // Only the newest users have these words and attributes: a few of them, as many as are collected, and more.
  // More users than are collected have `lateword`, all of them far from the first username.
  await client.query(`
    WITH numbered AS (
      SELECT id, row_number() OVER (ORDER BY id) AS n, row_number() OVER (ORDER BY username_folded) AS named FROM users
    )
    UPDATE users SET
      created_at = timestamptz '2024-01-01Z' + n * interval '1 minute',
      updated_at = timestamptz '2024-01-01Z' + (hashint8(n) & 65535) * interval '1 minute',
      status = CASE WHEN n > ${users * 0.95} THEN 'BLOCKED' ELSE 'ACTIVE' END,
      search_text = search_text
        || CASE WHEN n > ${users - 40} THEN ' rareword' ELSE '' END
        || CASE WHEN n > ${users - 9_000} THEN ' someword' ELSE '' END
        || CASE WHEN n > ${users - 12_000} THEN ' manyword' ELSE '' END
        || CASE WHEN hashint8(n) & 15 = 0 THEN ' commonword' ELSE '' END
        || CASE WHEN named > 12000 AND hashint8(n) & 3 = 0 THEN ' lateword' ELSE '' END,
      attributes = attributes || CASE
        WHEN n > ${users - 40} THEN '{"tier": "rare", "some": true, "many": 1}'
        WHEN n > ${users - 9_000} THEN '{"some": true, "many": 1}'
        WHEN n > ${users - 12_000} THEN '{"many": 1}'
        ELSE '{}' END::jsonb
    FROM numbered WHERE numbered.id = users.id`)
  await client.query(`
    UPDATE contacts SET contact_type = CASE WHEN user_id IN
        (SELECT id FROM users WHERE search_text LIKE '%someword%') THEN 'WHATSAPP' ELSE 'PHONE' END,
      value = CASE WHEN position = 2 THEN 'the same' ELSE value END`)
  await client.query("SET maintenance_work_mem = '512MB'")
  await client.query('VACUUM FULL users, contacts')
  for (const { definition } of indexes) await client.query(definition)
  await client.query('VACUUM ANALYZE users, contacts')
}, 300_000)
afterAll(() => client.end())

const halfway = '2024-02-05T00:00:00Z'
/** Each parameter that selects users, alone and combined. */
const filters: Record<string, string>[] = [
  {},
  { status: 'ACTIVE' },
  { status: 'BLOCKED' },
  { username: 'ada.lovelace-plans' },
  { username: 'unused' },
  { external_id: 'staff|300-plans' },
  { external_id: 'unused' },
  { external_id: 'staff|300-plans', status: 'ACTIVE' },
  { 'attribute.employed': 'true' },
  { 'attribute.department': 'Engines' },
  { 'attribute.floor': '3' },
  { 'attribute.floor': '99' },
  { 'attribute.unused': 'x' },
  { 'attribute.tier': 'rare' },
  { 'attribute.some': 'true' },
  { 'attribute.many': '1' },
  { 'attribute.department': 'Engines', 'attribute.locale': 'pl-PL', 'attribute.floor': '0' },
  { 'attribute.employed': 'true', 'attribute.tier': 'rare' },
  { 'attribute.many': '1', status: 'ACTIVE' },
  { 'attribute.department': 'Engines', search: 'someword' },
  { 'attribute.tier': 'rare', contact_type: 'PHONE' },
  { ids: Array.from({ length: 100 }, () => crypto.randomUUID()).join() },
  { contact: '+44 20 7946 0003' },
  { contact: 'the same' },
  { contact: 'unused' },
  { contact_type: 'PHONE' },
  { contact_type: 'WHATSAPP' },
  { contact_type: 'WORK' },
  { contact_type: 'WHATSAPP', contact: 'the same' },
  { contact_type: 'WHATSAPP', status: 'ACTIVE' },
  { created_after: halfway },
  { created_before: halfway },
  { created_after: '2024-01-20T00:00:00Z', created_before: '2024-01-20T01:00:00Z' },
  { updated_after: halfway },
  { updated_before: halfway },
  { updated_after: halfway, created_before: '2024-01-03T00:00:00Z' },
  { search: 'rareword' },
  { search: 'someword' },
  { search: 'manyword' },
  { search: 'rareword lovelace' },
  { search: 'lovelace ada' },
  { search: 'ada' },
  { search: 'zzz' },
  { search: 'a' },
  { search: 'zy' },
  { search: 'commonword' },
  { search: 'lukasz' },
  { search: '高' },
  { search: '橋' },
  { search: '高橋' },
  { search: '鑫' },
  { search: '+44 20 7946 0123' },
  { search: '(020) 7946-0123 desk' },
  { search: 'перл' },
  { search: '...' },
  { search: '%_%' },
  { search: '+44' },
  { search: 'someword', status: 'ACTIVE' },
  { search: 'someword', created_before: halfway },
]
const sorts = Object.values(listParameters.shape.sort.def.innerType.def.entries)

const { cost, searchBuffers } = planReader(service, client)

it.each(filters.map((filter) => [new URLSearchParams(filter).toString().slice(0, 80), filter] as const))(
  '?%s scans the table under no sort',
  async (_name, filter) => {
    for (const sort of sorts) {
      const { rows, scanned } = await cost({ ...filter, sort })
      expect(rows, `${sort}: ${scanned}`).toBeLessThan(rowsMax)
    }
  },
)

it('a distant page costs the same as the first', async () => {
  for (const sort of sorts) {
    let cursor: string | undefined
    for (let page = 0; page < 20; page++) {
      const { rows, scanned } = await cost({ sort, limit: '200', ...(cursor !== undefined && { cursor }) })
      expect(rows, `${sort}: ${scanned}`).toBeLessThan(1_000)
      const path = `/user?sort=${sort}&limit=200${cursor === undefined ? '' : `&cursor=${cursor}`}`
      cursor = (await service.call<{ next_cursor: string }>('GET', path)).body.next_cursor
    }
  }
})

it('a search with many matches takes a short walk, also on distant pages', async () => {
  for (const sort of sorts) {
    const { next_cursor } = (
      await service.call<{ next_cursor: string }>('GET', `/user?search=commonword&sort=${sort}&limit=200`)
    ).body
    for (const page of [{ limit: '20' }, { limit: '50', cursor: next_cursor }]) {
      const { statements, rows, scanned } = await cost({ search: 'commonword', sort, ...page })
      expect(statements, `${sort}: ${scanned}`).toBe(1)
      expect(rows, `${sort}: ${scanned}`).toBeLessThan(2_001)
    }
  }
})

it('a search with filters that the sort’s index serves walks only the filtered rows', async () => {
  for (const sort of sorts)
    for (const filter of [
      { status: 'BLOCKED' },
      ...(sort.endsWith('created_at')
        ? [{ created_after: '2024-02-20T00:00Z', created_before: '2024-03-01T00:00Z' }]
        : []),
      ...(sort.endsWith('updated_at')
        ? [{ updated_after: halfway, updated_before: '2024-02-10T00:00Z', status: 'ACTIVE' }]
        : []),
    ]) {
      const { statements, rows, scanned } = await cost({ search: 'commonword', sort, limit: '20', ...filter })
      expect([statements, rows < 2_001], `${sort} ${JSON.stringify(filter)}: ${scanned}`).toEqual([1, true])
    }
})

it('matches that are far from the start of the sort are collected without a long walk', async () => {
  const { rows, scanned } = await cost({ search: 'manyword' })
  expect(rows, scanned).toBeLessThan(12_001)
})

it('many matches that are not too far in a sort by name are walked to, not collected', async () => {
  const { statements, scanned } = await cost({ search: 'lateword', sort: 'username' })
  expect(statements, scanned).toBe(3)
})

it('a contact type that many users have takes a short walk', async () => {
  for (const sort of ['created_at', '-updated_at', 'username', '-name']) {
    const { statements, rows, scanned } = await cost({ contact_type: 'PHONE', sort, limit: '20' })
    expect([statements, rows < 2_001], `${sort}: ${scanned}`).toEqual([1, true])
  }
})

it('the digits of an e-mail address spare a search blocks of the index', async () => {
  const { narrowed, plain } = await searchBuffers('ada.lovelace.54375-plans@example.com')
  // Each trigram costs some blocks at any size, so the share falls with the number of users: a ninth at a million.
  expect(narrowed).toBeLessThan(plain * 0.75)
})

it('a first page that has all matches is not counted again', async () => {
  for (const search of ['zzz', 'rareword']) {
    const { statements } = await cost({ search })
    for (const count of ['exact', 'estimate'])
      expect((await cost({ search, count })).statements, `${search} ${count}`).toBe(statements)
  }
})

it('a search is prepared only if every generic plan walks the sort’s index', async () => {
  const prepared: Named[] = []
  for (const sort of sorts)
    for (const search of ['ada', 'ada love zz', 'a b c d e', '020 7946 0123', '고']) {
      await cost({ search, sort, limit: '1' }, prepared)
      await cost({ search, sort, limit: '200', status: 'ACTIVE' }, prepared)
      await cost({ search, sort, contact_type: 'PHONE' }, prepared)
    }
  const named = new Map(prepared.map(({ name, text }) => [name, text]))
  expect(named.size).toBe(2 * sorts.length)
  // PostgreSQL knows one text by each name.
  for (const { name, text } of prepared) expect(named.get(name)).toBe(text)
  for (const [name, text] of named) {
    const { rows } = await client.query(`EXPLAIN (GENERIC_PLAN) ${text}`)
    const lines = rows.map((row) => row['QUERY PLAN']).join('\n')
    expect(lines, name).not.toMatch(/Seq Scan|> {2}Sort /)
  }
})

it('a search without matches reads a few hundred users', async () => {
  for (const search of ['zzzqq', 'zy', '鑫', '+44 20 9999 9999']) {
    const { rows, scanned } = await cost({ search })
    expect(rows, `${search}: ${scanned}`).toBeLessThan(500)
  }
})

it('a page is full although its users change while it is read', async () => {
  const { db, ...others } = service.connections
  let changed: string[] = []
  const changing = (queries: Queries): Queries =>
    Object.assign(Object.create(queries), {
      execute: async (statement: SQL) => {
        const result = await queries.execute<{ page_id?: string }>(statement)
        const ids = result.rows.flatMap(({ page_id }) => page_id ?? [])
        if (changed.length === 0 && ids.length > 0) {
          await client.query(
            `UPDATE users SET search_text = '' WHERE username_folded <=
              (SELECT max(username_folded) FROM users WHERE id = ANY($1))`,
            [ids],
          )
          changed = ids
        }
        return result
      },
    })
  const query: typeof db.query = (work) => db.query((queries) => work(changing(queries)))
  const ctx: ServiceContext = { ...others, db: { ...db, query } }
  const { value: page } = await listUsers(ctx, z.parse(listQuery, { search: 'lateword', sort: 'username' }))
  expect(changed).toHaveLength(51)
  const { body } = await service.call<{ items: User[] }>('GET', '/user?search=lateword&sort=username')
  expect(page.items).toEqual(body.items)
})

it('every parameter is covered', () => {
  const { sort: _, limit: __, cursor: ___, count: ____, ...choosing } = listParameters.shape
  const covered = filters.flatMap((filter) => Object.keys(filter)).map((name) => name.replace(/\..*/, ''))
  expect(new Set(covered)).toEqual(new Set(Object.keys(choosing)))
})
