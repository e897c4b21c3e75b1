import fc from 'fast-check'
import pg from 'pg'
import { expect, inject, test } from 'vitest'
import type { ExportedUser } from '../../../src/services/export/exported-user.ts'
import { type CsvShape, csvHeader, csvLines } from '../../../src/services/export/formats/csv.ts'
import { ndjsonLine } from '../../../src/services/export/formats/ndjson.ts'
import { readCsv } from '../../../src/services/import/csv-records.ts'
import { parseCsv } from '../../../src/services/import/formats/csv.ts'
import { parseNdjson } from '../../../src/services/import/formats/ndjson.ts'
import { atEnd } from '../../support/cleanup.ts'
import { bytesOf, rowsOf } from '../../support/import-file.ts'

const client = new pg.Client({ connectionString: inject('postgresUrl') })
await client.connect()
atEnd(() => client.end())

const text = (maxLength: number) =>
  fc.oneof(
    // PostgreSQL stores no NUL.
    fc.string({ unit: 'grapheme', maxLength }).filter((value) => !value.includes('\0')),
    fc.constantFrom(
      '',
      "'",
      '=1+1',
      "'=1",
      '+44 20',
      '@x',
      '\tx',
      '\r',
      'a,"b"\r\nc',
      '＝1',
      ' x ',
      'true',
      '1',
      '{}',
    ),
  )
const id = fc.uuid({ version: 7 })
const instant = fc
  .date({ noInvalidDate: true, min: new Date('0001-01-01Z'), max: new Date('9999-12-31Z') })
  .map((date) => date.toISOString())
const attributeKey = fc.stringMatching(/^[a-z][a-z0-9_]{0,5}$/)
const attribute = fc.oneof(
  text(20),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
)
const user: fc.Arbitrary<ExportedUser> = fc.record({
  id,
  username: text(20).filter((username) => username !== ''),
  name: fc.option(text(20)),
  status: fc.constantFrom('ACTIVE' as const, 'BLOCKED' as const),
  external_id: fc.option(text(20)),
  avatar: fc.option(fc.constant('avatars/a/b.webp')),
  contacts: fc.array(
    fc.record({ id, contact_type: fc.constantFrom('PHONE' as const, 'WORK' as const), value: text(20) }),
    { maxLength: 4 },
  ),
  // JSON has no negative zero.
  attributes: fc.dictionary(
    attributeKey,
    attribute.map((value) => (Object.is(value, -0) ? 0 : value)),
    { maxKeys: 4, noNullPrototype: true },
  ),
  version: fc.integer({ min: 1 }),
  created_at: instant,
  updated_at: instant,
})
const exported = fc.oneof(
  fc.array(user, { maxLength: 8 }),
  fc
    .array(fc.tuple(user, fc.option(fc.constant('$2b$12$x'))), { maxLength: 8 })
    .map((pairs) => pairs.map(([user, password_hash]) => ({ ...user, password_hash }))),
)

const sample: ExportedUser = {
  id: '0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77',
  username: 'ada',
  name: null,
  status: 'ACTIVE',
  external_id: null,
  avatar: null,
  contacts: [],
  attributes: {},
  version: 1,
  created_at: '2026-11-22T10:00:00.000Z',
  updated_at: '2026-11-22T10:00:00.000Z',
}

function shapeOf(users: ExportedUser[]): CsvShape {
  const columns = users.flatMap(({ attributes }) =>
    Object.entries(attributes).map(([key, value]) => {
      const type = typeof value === 'string' ? 'text' : typeof value === 'number' ? 'number' : 'boolean'
      return `${key}:${type}` as const
    }),
  )
  return {
    contacts: Math.max(0, ...users.map(({ contacts }) => contacts.length)),
    attributes: [...new Set(columns)].sort().map((column) => {
      const [key = '', type] = column.split(':')
      return { key, type: type === 'number' || type === 'boolean' ? type : 'text' }
    }),
    includesHashes: users.some(({ password_hash }) => password_hash !== undefined),
  }
}

/** The user as an import stores it. */
function stored(user: ExportedUser): Record<string, unknown> {
  const { password_hash, ...rest } = user
  return typeof password_hash === 'string' ? { ...rest, password_hash } : { ...rest, password: null }
}

/** The lines that PostgreSQL writes of users that are in no table. */
async function ndjsonOf(users: ExportedUser[]): Promise<string> {
  const contacts = users.flatMap(({ contacts }, user) =>
    contacts.map((contact, position) => ({ user_id: users[user]?.id, position, ...contact })),
  )
  const { rows } = await client.query<{ line: string }>(
    `WITH contacts AS (
       SELECT * FROM jsonb_to_recordset($2)
         AS c(user_id uuid, id uuid, position int, contact_type text, value text)),
     users AS (
       SELECT * FROM ROWS FROM (jsonb_to_recordset($1) AS (id uuid, username text, name text, status text,
         external_id text, avatar text, attributes jsonb, version int, created_at timestamptz(3),
         updated_at timestamptz(3), password_hash text)) WITH ORDINALITY)
     SELECT ${ndjsonLine(users.some(({ password_hash }) => password_hash !== undefined))} AS line
     FROM users u ORDER BY u.ordinality`,
    [JSON.stringify(users), JSON.stringify(contacts)],
  )
  return rows.map(({ line }) => `${line}\n`).join('')
}

test('users written as NDJSON are read back exactly', async () => {
  await fc.assert(
    fc.asyncProperty(exported, async (users) => {
      const file = await ndjsonOf(users)
      const rows = await rowsOf(parseNdjson(bytesOf(file), {}))
      expect(rows).toEqual(users.map((user, at) => ({ line: at + 1, user: stored(user), faults: [] })))
    }),
  )
})

test('users written as CSV are read back exactly', async () => {
  await fc.assert(
    fc.asyncProperty(exported, async (users) => {
      const shape = shapeOf(users)
      const rows = await rowsOf(parseCsv(bytesOf(csvHeader(shape) + csvLines(users, shape)), {}))
      expect(rows.map(({ user, faults }) => ({ user, faults }))).toEqual(
        users.map((user) => ({ user: stored(user), faults: [] })),
      )
    }),
  )
})

test('more than 200 attribute columns become one column of JSON, which is read back exactly', async () => {
  const attributes = Object.fromEntries(Array.from({ length: 201 }, (_, at) => [`key_${at}`, at]))
  const users = [
    { ...sample, attributes },
    { ...sample, attributes: {} },
  ]
  const shape = shapeOf(users)
  expect(csvHeader(shape).endsWith(',attributes\r\n')).toBe(true)
  const rows = await rowsOf(parseCsv(bytesOf(csvHeader(shape) + csvLines(users, shape)), {}))
  expect(rows.map(({ user }) => user.attributes)).toEqual([attributes, {}])
})

test('no cell of the CSV begins like a formula, except for numbers', async () => {
  await fc.assert(
    fc.asyncProperty(text(20), async (value) => {
      const users = [{ ...sample, name: value, attributes: {}, contacts: [] }]
      const shape = shapeOf(users)
      for await (const records of readCsv(bytesOf(csvHeader(shape) + csvLines(users, shape))))
        for (const cell of records.flatMap(({ cells }) => cells)) expect(cell).not.toMatch(/^[=+\-@\t\r]/)
    }),
  )
})

test('a user that does not fit the header is refused, never written in part', () => {
  const shape = { contacts: 0, attributes: [], includesHashes: false }
  const contact = { id: sample.id, contact_type: 'WORK' as const, value: 'x' }
  for (const change of [{ contacts: [contact] }, { attributes: { a: 1 } }])
    expect(() => csvLines([{ ...sample, contacts: [], attributes: {}, ...change }], shape)).toThrow(
      'Start the export again',
    )
})
