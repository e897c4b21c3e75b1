import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseCsv } from '../../../../src/services/import/formats/csv.ts'
import { bytesOf, chunks, rowsOf } from '../../../support/import-file.ts'

const parse = (text: string | Uint8Array, mapping: Record<string, string> = {}) =>
  rowsOf(parseCsv(bytesOf(text), { mapping }))
const empty = { password: null, contacts: [], attributes: {} }

test('the header names the columns; the mapping renames and skips them', async () => {
  const file = [
    '\uFEFFlogin,"Full, name",hash,Team,since,mail,ext',
    'ada,Ada Lovelace,$2b$…,Engines,2020,ada@example.com,7',
    'bea,,,,,,',
  ].join('\r\n')
  const mapping = {
    login: 'username',
    'Full, name': 'name',
    hash: 'password_hash',
    Team: 'attributes.team',
    since: 'attributes.since:number',
    mail: 'contacts.0.value',
    ext: '',
  }
  expect(await parse(file, mapping)).toEqual([
    {
      line: 2,
      user: {
        username: 'ada',
        name: 'Ada Lovelace',
        password_hash: '$2b$…',
        contacts: [{ value: 'ada@example.com' }],
        attributes: { team: 'Engines', since: 2020 },
      },
      faults: [],
    },
    { line: 3, user: { ...empty, username: 'bea', name: null }, faults: [] },
  ])
})

test('a column of values may name the type of its contacts', async () => {
  const mapping = { Mail: 'contacts.0.value:EMAIL', Mobile: 'contacts.1.value:PHONE' }
  const [both, one] = await parse('username,Mail,Mobile\nada,a@example.com,+44 1\nbea,,+44 2\n', mapping)
  expect(both?.user.contacts).toEqual([
    { value: 'a@example.com', contact_type: 'EMAIL' },
    { value: '+44 1', contact_type: 'PHONE' },
  ])
  expect(one?.user.contacts).toEqual([{ value: '+44 2', contact_type: 'PHONE' }])
  await expect(parse('username,contacts.0.value:FAX\n')).rejects.toThrow('unknown: "contacts.0.value:FAX"')
  const twice = 'username,contacts.0.value,contacts.0.value:EMAIL\n'
  await expect(parse(twice)).rejects.toThrow('more than once: "contacts.0.value:EMAIL"')
})

test.each([';', '\t'])('cells separated by %j give the rows that commas give', async (separator) => {
  const lines = [
    ['\uFEFFusername', '"name"', 'contacts.0.value', 'attributes.vip:boolean'],
    ['ada', '"Ada"', '"a;b\t,c"', 'TRUE'],
    ['bea', '', "'+44;1", 'FALSE'],
  ]
  const quoted = (cell: string) => (/[;,\t"]/.test(cell) && cell[0] !== '"' ? `"${cell}"` : cell)
  const file = (by: string) => `${lines.map((cells) => cells.map(quoted).join(by)).join('\r\n')}\r\n`
  const rows = await parse(file(separator))
  expect(rows).toEqual(await parse(file(',')))
  expect(rows[0]?.user).toMatchObject({ contacts: [{ value: 'a;b\t,c' }], attributes: { vip: true } })
})

test('the header decides: other separators in cells are text', async () => {
  const rows = await parse('username;name\nada;Lovelace, Ada\tKing\n')
  expect(rows[0]?.user).toMatchObject({ username: 'ada', name: 'Lovelace, Ada\tKing' })
  const [row] = await parse('username,name\nada;Ada\n')
  expect(row?.faults[0]?.message).toBe('must have 2 cells like the header; it has 1')
})

test('a header with several separators is refused, unless they are in quoted names', async () => {
  await expect(parse('username;name,status\nada;Ada,ACTIVE\n')).rejects.toThrow(
    'The first line has commas and semicolons between its names. Separate all cells by one of them, and quote a name that has another.',
  )
  await expect(parse('username,name;status\tid\n')).rejects.toThrow('has commas and semicolons and tabs')
  const rows = await parse('"Team; group";"Last, first";username\nx;y;ada\n', {
    'Team; group': 'attributes.team',
    'Last, first': 'name',
  })
  expect(rows[0]?.user).toMatchObject({ username: 'ada', name: 'y', attributes: { team: 'x' } })
})

test('unknown, repeated and missing columns are named', async () => {
  await expect(parse('username,Name,name,username\n', { Mail: 'contacts.0.value' })).rejects.toThrow(
    'The file has columns that are unknown: "Name". The file has columns that occur more than once: "username". ' +
      'The mapping names columns that the file does not have: "Mail".',
  )
  await expect(parse('username,contacts.50.value,attributes.Team,attributes.__proto__\n')).rejects.toThrow(
    'unknown: "contacts.50.value", "attributes.Team", "attributes.__proto__"',
  )
  await expect(parse("username,,Mail (private),What's new?\n")).rejects.toThrow(
    'unknown: "Mail (private)", "What\'s new?". Rename',
  )
  await expect(parse('')).rejects.toThrow('The file is empty')
  await expect(parse('a,'.repeat(1_001))).rejects.toThrow('more than 1000 columns')
})

test('a first line that holds data is not repeated in the message', async () => {
  const data =
    'ada,ada@example.com,hunter2 hunter2,$2b$10$SD0fV/4J3HPIzPn2icBhKuqXmvfbqBRE3TsocDl2wdL9vUzA4HqsO\n'
  await expect(parse(data)).rejects.toThrow(
    /^The first line of the file must name its columns, and names none that is known\.$/,
  )
  const damaged = 'username,JBSWY3DPEHPK3PXP,$2b$10$SD0fV/4J3HPIzPn2icBhKuqXmvfbqBRE3TsocDl2wdL9vUzA4HqsO\n'
  await expect(parse(damaged)).rejects.toThrow(
    /^The file has columns that are unknown; the message names none, because the first line seems to hold data\. Rename or skip columns by the mapping\.$/,
  )
})

test('quoted cells hold line breaks, commas and quotes, and the line numbers count them', async () => {
  const rows = await parse('username,name\nada,"Ada\n""the first"", Lovelace"\n\nbea,Bea\n')
  expect(rows.map(({ line, user }) => [line, user.name])).toEqual([
    [2, 'Ada\n"the first", Lovelace'],
    [5, 'Bea'],
  ])
})

test('rows with too few or too many cells or a stray quote are refused by line', async () => {
  const rows = await parse('username,name\nada\nbea,Bea,more\ncar,"Car" la\n"dan",Dan\neva,Eva\n')
  expect(rows.map(({ line, faults }) => [line, faults[0]?.message])).toEqual([
    [2, 'must have 2 cells like the header; it has 1'],
    [3, 'must have 2 cells like the header; it has 3'],
    [4, 'must double each quote inside a quoted cell; refused up to line 5'],
    [6, undefined],
  ])
})

test('cells of the wrong type are faults of their column', async () => {
  const header = 'username,version,attributes.age:number,attributes.vip:boolean,attributes'
  const rows = await parse(`${header}\nada,x,01,yes,[]\nbea,3,-1.5e3,false,"{""a"":1}"\n`)
  expect(rows[0]?.faults).toEqual([
    { pointer: '/version', message: 'must be a positive integer' },
    { pointer: '/attributes/age', message: 'must be a number' },
    { pointer: '/attributes/vip', message: 'must be true or false' },
    { pointer: '/attributes', message: 'must be one JSON object' },
  ])
  expect(rows[1]?.user).toMatchObject({ version: 3, attributes: { age: -1500, vip: false, a: 1 } })
})

test('an apostrophe before a formula sign is taken off, any other stays', async () => {
  const rows = await parse(`username,name\n"'=ada",O'Brien\n'+1,'\n''x,'x\n`)
  expect(rows.map(({ user }) => [user.username, user.name])).toEqual([
    ['=ada', "O'Brien"],
    ['+1', ''],
    ["'x", "'x"],
  ])
})

test('files with line feeds, carriage returns, both or a mixture give the same rows', async () => {
  const lines = ['username,name', 'ada,Ada', 'bea,', '']
  const plain = await parse(lines.join('\n'))
  for (const end of ['\r\n', '\r']) expect(await parse(lines.join(end))).toEqual(plain)
  expect(await parse('username,name\nada,Ada\r\nbea,\r\n')).toEqual(plain)
})

test('a file that ends inside a quoted cell is refused', async () => {
  await expect(parse('username,name\nada,"Ada\nbea,Bea\n')).rejects.toThrow(
    'The file ends inside a quoted cell of the record in line 2',
  )
})

test('a record of over a megabyte is refused by its line, before the file is read further', async () => {
  let readChunks = 0
  async function* huge() {
    yield Buffer.from('username,name\nada,Ada\nbea,"')
    for (; readChunks < 1_000; readChunks++) yield Buffer.alloc(1_000_000, 'x\n')
  }
  await expect(rowsOf(parseCsv(huge(), {}))).rejects.toThrow('The record in line 3 has more than 1000000')
  expect(readChunks).toBeLessThan(3)
})

test('a file that is not UTF-8 is refused', async () => {
  await expect(parse(Buffer.from('username\nZoë\n', 'latin1'))).rejects.toThrow('not in UTF-8')
  await expect(parse(Buffer.from('\uFEFFusername\nada\n', 'utf16le'))).rejects.toThrow('not in UTF-8')
})

test('however the file is split, the rows are the same', async () => {
  const file = Buffer.from(
    `\uFEFFusername,name\r\n"z""ë","🦊\r\n"\r\nada\r\n"a"b",x\r\n${'x,y\r\n'.repeat(4_000)}`,
  )
  const whole = await parse(file)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(file.length), { maxLength: 20 }), async (cuts) => {
      expect(await rowsOf(parseCsv(chunks(file, cuts), {}))).toEqual(whole)
    }),
    { numRuns: 30 },
  )
})
