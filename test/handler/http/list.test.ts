// Lists, compared with a plain filter and sort in the test, and the rules of every parameter.
import { beforeAll, describe, expect, it } from 'vitest'
import * as z from 'zod/mini'
import type { Attributes } from '../../../src/model/attributes.ts'
import { listQuery } from '../../../src/model/listing.ts'
import type { User } from '../../../src/model/user.ts'
import { type Position, writeCursor } from '../../../src/services/users/cursor.ts'
import { startService } from '../../support/service.ts'

type Page = { items: User[]; next_cursor: string | null; total?: number; total_is?: string }
type Problem = { errors: { parameter: string; message: string }[] }

const service = await startService()
const { call, makeUser } = service
const list = async (query: string) => {
  const answer = await call<Page>('GET', `/user${query}`)
  expect([answer.status, query], answer.text).toEqual([200, query])
  return answer.body
}

/** The same key with text, numbers and booleans, and users without attributes. */
const attributesOf = (at: number): Attributes =>
  at % 5 === 0 ? {} : { level: [3, '3', true, 'true', 3.5, -1e21 / 1e21][at % 6] ?? 0, team: `t${at % 4}` }

const people: User[] = []
beforeAll(async () => {
  const names = [
    'Ada Lovelace',
    'ada',
    'Zoë Ångström',
    'ΟΔΥΣΣΕΥΣ',
    'straße',
    '高橋 美羽',
    null,
    '50% off_now \\ ok',
    'ADA King',
    '',
  ]
  for (let at = 0; at < 60; at++) {
    const name = names[at % names.length] ?? null
    people.push(
      await makeUser({
        username: `${at % 2 ? 'Person' : 'person'}.${String(at).padStart(2, '0')}${at % 3 ? '+x' : ''}`,
        name,
        status: at % 4 === 0 ? 'BLOCKED' : 'ACTIVE',
        contacts: Array.from({ length: at % 4 }, (_, position) => ({
          contact_type: (['PHONE', 'WORK', 'WHATSAPP'] as const)[position],
          value: position === 1 ? `desk ${at % 7}` : `+44 20 7946 0${at % 5}`,
        })),
        external_id: at % 3 === 0 ? `staff|${at}` : null,
        attributes: attributesOf(at),
      }),
    )
  }
  // Updated in another order than created, so that the two times sort differently.
  for (let at = 0; at < 60; at += 7) {
    const answer = await call('PATCH', `/user/${people[at]?.id}`, { json: {} })
    people[at] = answer.body
  }
})

const fold = (text: string | null) =>
  (text ?? '').normalize('NFKC').toUpperCase().toLowerCase().replaceAll('ς', 'σ')
const plain = (text: string | null) =>
  fold(text)
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
const keys: Record<string, (user: User) => string[]> = {
  created_at: (user) => [user.created_at],
  updated_at: (user) => [user.updated_at],
  username: (user) => [fold(user.username)],
  name: (user) => [plain(user.name), fold(user.name)],
}
function sorted(users: User[], sort: string): User[] {
  const key = keys[sort.replace('-', '')] as (user: User) => string[]
  const order = sort.startsWith('-') ? -1 : 1
  const compare = (a: string[], b: string[]) =>
    a.map((text, at) => Buffer.compare(Buffer.from(text), Buffer.from(b[at] ?? ''))).find(Boolean) ?? 0
  return users.toSorted((a, b) => order * compare([...key(a), a.id], [...key(b), b.id]))
}

const filters: [string, (user: User) => boolean][] = [
  ['', () => true],
  ['status=BLOCKED', (user) => user.status === 'BLOCKED'],
  ['search=ADA', (user) => /ada/i.test(user.name ?? '')],
  ['search=ada%20king', (user) => /ada king/i.test(user.name ?? '')],
  ['search=desk+3', (user) => user.contacts.some(({ value }) => value === 'desk 3')],
  ['search=50%25', (user) => (user.name ?? '').includes('50%')],
  ['search=%25%25%25', () => false],
  ['search=off_now', (user) => (user.name ?? '').includes('off_now')],
  ['search=offxnow', () => false],
  ['search=%5C', (user) => (user.name ?? '').includes(' \\ ')],
  ['search=%CE%BF%CE%B4%CF%85%CF%83%CF%83%CE%B5%CF%85%CF%82', (user) => user.name === 'ΟΔΥΣΣΕΥΣ'],
  ['search=STRASSE', (user) => user.name === 'straße'],
  ['search=%E9%AB%98', (user) => (user.name ?? '').startsWith('高')],
  ['search=%E6%A9%8B', (user) => (user.name ?? '').includes('橋')],
  ['search=ZOE+angstrom', (user) => user.name === 'Zoë Ångström'],
  ['search=020+794601', (user) => user.contacts.some(({ value }) => value === '+44 20 7946 01')],
  ['search=+', () => true],
  ['contact_type=WHATSAPP', (user) => user.contacts.some(({ contact_type }) => contact_type === 'WHATSAPP')],
  ['contact=desk+3', (user) => user.contacts.some(({ value }) => value === 'desk 3')],
  ['contact=desk+3&contact_type=PHONE', () => false],
  ['contact=%2B44+20+7946+01&contact_type=PHONE', (user) => user.contacts[0]?.value === '+44 20 7946 01'],
  ['username=PERSON.01%2BX', (user) => user.username === 'Person.01+x'],
  ['external_id=staff%7C9', (user) => user.external_id === 'staff|9'],
  ['external_id=STAFF%7C9', () => false],
  ['search=staff%7C9', (user) => user.external_id === 'staff|9'],
  ['attribute.level=3', ({ attributes: { level } }) => level === 3 || level === '3'],
  ['attribute.level=3.0', ({ attributes: { level } }) => level === 3],
  ['attribute.level=35e-1', ({ attributes: { level } }) => level === 3.5],
  ['attribute.level=-1', ({ attributes: { level } }) => level === -1],
  ['attribute.level=%203', () => false],
  ['attribute.level=true', ({ attributes: { level } }) => level === true || level === 'true'],
  ['attribute.level=TRUE', () => false],
  ['attribute.level=', () => false],
  ['attribute.team=t1', ({ attributes: { team } }) => team === 't1'],
  ['attribute.constructor=t1', () => false],
  [
    'attribute.team=t1&attribute.level=3&status=ACTIVE',
    ({ attributes: { team, level }, status }) =>
      team === 't1' && (level === 3 || level === '3') && status === 'ACTIVE',
  ],
  [
    'attribute.team=t1&contact_type=WORK&search=person',
    ({ attributes: { team }, contacts }) =>
      team === 't1' && contacts.some(({ contact_type }) => contact_type === 'WORK'),
  ],
  ['search=person.1&status=ACTIVE', (user) => /person\.1/i.test(user.username) && user.status === 'ACTIVE'],
]
const allSorts = Object.keys(keys).flatMap((field) => [field, `-${field}`])

describe('pages', () => {
  it.each(filters)('of ?%s have every match once, in order, under each sort', async (filter, matches) => {
    for (const sort of allSorts) {
      const expected = sorted(people.filter(matches), sort).map(({ id }) => id)
      const seen: string[] = []
      let cursor: string | null = ''
      while (cursor !== null) {
        const page: Page = await list(
          `?${filter}&sort=${sort}&limit=7${cursor === '' ? '' : `&cursor=${cursor}`}`.replace('?&', '?'),
        )
        expect(page.items.length).toBeLessThanOrEqual(7)
        seen.push(...page.items.map(({ id }) => id))
        cursor = page.next_cursor
      }
      expect(seen, `${filter} by ${sort}`).toEqual(expected)
    }
  })

  it('show each user as GET does', async () => {
    for (const user of (await list('?limit=5&sort=-updated_at')).items)
      expect((await call('GET', `/user/${user.id}`)).body).toEqual(user)
  })

  it('are linked by rel="next"', async () => {
    const answer = await call<Page>('GET', '/user?limit=2&status=ACTIVE')
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(answer.headers.get('link') ?? '') ?? []
    expect((await call<Page>('GET', next)).body.items).toEqual(
      (await list('?limit=4&status=ACTIVE')).items.slice(2),
    )
    expect((await call('GET', '/user?limit=200')).headers.get('link')).toBeNull()
  })

  it('have fifty users without a limit', async () => {
    expect((await list('')).items).toHaveLength(50)
  })
})

describe('a search', () => {
  it.each([
    ['İbrahim Çelik', '', ['ibrahim', 'IBRAHIM', 'celik', 'çelik']],
    ['Chloë Nguyễn Đặng', '', ['chloe', 'nguyen', 'dang', 'Đặng']],
    ['Łukasz Żółć', '', ['lukasz', 'zolc']],
    ['Søren', '', ['soren']],
    ['王小明', '', ['王', '小', '明', '小明']],
    ['김철수', '', ['철', '수', '철수']],
    ['ひらがな', '', ['ら', 'がな']],
    ['Nora', '+44 20 7946 9123', ['+442079469123', '02079469123', '7946 9123', '(020) 7946-9123']],
  ])('finds %s %s in usual spellings', async (name, phone, searches) => {
    const contacts = phone ? [{ contact_type: 'PHONE', value: phone }] : []
    const user = await makeUser({ name, contacts })
    const found: string[][] = []
    for (const search of searches)
      found.push((await list(`?search=${encodeURIComponent(search)}`)).items.map(({ id }) => id))
    await call('DELETE', `/user/${user.id}`)
    expect(found).toEqual(searches.map(() => [user.id]))
  })
})

describe('filters', () => {
  it('ids accepts ids in either case, and skips unknown ones', async () => {
    const [first, second] = people
    const { items } = await list(`?ids=${second?.id.toUpperCase()},${first?.id},${crypto.randomUUID()}`)
    expect(items.map(({ id }) => id)).toEqual([first?.id, second?.id])
  })

  it('times exclude their own instant', async () => {
    const at = people[30] as User
    const after = await list(`?created_after=${at.created_at}&limit=200`)
    expect(after.items.map(({ id }) => id)).toEqual(people.slice(31).map(({ id }) => id))
    const before = await list(`?created_before=${at.created_at}&limit=200`)
    expect(before.items.map(({ id }) => id)).toEqual(people.slice(0, 30).map(({ id }) => id))
    // Users' times are whole milliseconds. A finer fraction is neither truncated nor rounded.
    const between = (await list(`?created_before=${at.created_at.replace('Z', '456Z')}&limit=200`)).items
    expect(between.map(({ id }) => id)).toEqual(people.slice(0, 31).map(({ id }) => id))
    const beyond = (await list(`?created_after=${at.created_at.replace('Z', '0004Z')}&limit=200`)).items
    expect(beyond.map(({ id }) => id)).toEqual(people.slice(31).map(({ id }) => id))
    const moved = at.created_at.replace('Z', '%2B00:00')
    expect((await list(`?created_after=${moved}&updated_after=${moved}&limit=200`)).items).toHaveLength(29)
  })
})

describe('counts', () => {
  it('are absent, exact or marked as an estimate', async () => {
    expect(await list('?limit=1')).not.toHaveProperty('total')
    expect(await list('?limit=1&count=exact&status=BLOCKED')).toMatchObject({ total: 15, total_is: 'exact' })
    expect(await list('?limit=1&count=estimate&search=ada')).toMatchObject({ total: 18, total_is: 'exact' })
  })

  it('cover all pages, not only the remaining ones', async () => {
    const { next_cursor } = await list('?limit=1&status=BLOCKED')
    expect(await list(`?limit=1&status=BLOCKED&count=exact&cursor=${next_cursor}`)).toMatchObject({
      total: 15,
    })
  })
})

describe('a cursor', () => {
  it('is rejected by name with another query or sort, or a changed byte', async () => {
    const { next_cursor } = await list('?limit=3&status=ACTIVE&sort=name')
    const cursor = next_cursor ?? ''
    const others = [
      '?',
      '?status=BLOCKED&sort=name&',
      '?status=ACTIVE&sort=-name&',
      '?status=ACTIVE&sort=name&search=a&',
    ]
    const changed = Array.from(
      { length: cursor.length },
      (_, at) => cursor.slice(0, at) + (cursor[at] === 'A' ? 'B' : 'A') + cursor.slice(at + 1),
    )
    for (const query of [
      ...others.map((other) => `${other}cursor=${cursor}`),
      ...[...changed, `${cursor}A`, 'x', '%00'].map((bad) => `?status=ACTIVE&sort=name&cursor=${bad}`),
    ]) {
      const answer = await call<Problem>('GET', `/user${query}`)
      expect([answer.status, query]).toEqual([400, query])
      expect(answer.body.errors[0]?.parameter).toBe('cursor')
    }
    const first = (await list('?limit=1&attribute.team=t1&attribute.level=3')).next_cursor
    for (const [query, status] of [
      ['attribute.level=3&attribute.team=t1', 200],
      ['attribute.level=3&attribute.team=t2', 400],
      ['attribute.team=t1', 400],
    ])
      expect((await call('GET', `/user?${query}&cursor=${first}`)).status, `${query}`).toBe(status)
    // The limit and the count may change.
    await list(`?status=ACTIVE&sort=name&limit=9&count=exact&cursor=${cursor}`)
  })

  it('is rejected if its checksum is correct and its content is not', async () => {
    const id = people[0]?.id ?? ''
    const contents: [sort: string, content: unknown][] = [
      ...['2026-02-30T00:00:00.000Z', '0000-01-01T00:00:00.000Z', '2026-11-26T24:00:00.000Z', '', 'now'].map(
        (key): [string, unknown] => ['created_at', [key, id]],
      ),
      ['-updated_at', ['2026-11-26T10:00:00.000Z', 'x']],
      ['updated_at', ['2026-11-26T10:00:00.000Z']],
      ['name', ['a\0', id]],
      ['-name', ['\ud800', id]],
      ['username', [1, id]],
      ['username', { 0: 'a', 1: id, length: 2 }],
      ['username', null],
    ]
    for (const [sort, content] of contents) {
      const cursor = writeCursor(content as Position, z.parse(listQuery, { sort }))
      const answer = await call<Problem>('GET', `/user?sort=${sort}&cursor=${cursor}`)
      expect([answer.status, content]).toEqual([400, content])
      expect(answer.body.errors[0]?.parameter).toBe('cursor')
    }
  })
})
