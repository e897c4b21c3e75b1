// A CSV file's columns are read, and mapped to the fields that their names suggest.
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { mappingFaults, mappingOf, readColumns } from '../src/jobs/column-mapping.ts'
import { readFileStart } from '../src/jobs/file-start.ts'

const columnsOf = (...lines: string[]) => readColumns(Buffer.from(lines.join('\n')))
const guessed = (header: string, row = '') => mappingOf(columnsOf(header, row))

it('the usual names of columns become fields, contacts and attributes', () => {
  expect(
    guessed('Login,Full Name,E-Mail,Mobile,Office Phone,WhatsApp,Employee ID,Cost Centre,Größe'),
  ).toEqual({
    Login: 'username',
    'Full Name': 'name',
    'E-Mail': 'contacts.0.value:EMAIL',
    Mobile: 'contacts.1.value:PHONE',
    'Office Phone': 'contacts.2.value:WORK',
    WhatsApp: 'contacts.3.value:WHATSAPP',
    'Employee ID': 'external_id',
    'Cost Centre': 'attributes.cost_centre',
    Größe: 'attributes.gro_e',
  })
})

it('without a username, the e-mail address is it', () => {
  expect(guessed('email,name')).toEqual({ email: 'username' })
})

it('our own file needs no mapping', () => {
  const header = 'id,username,name,contacts.0.type,contacts.0.value,contacts.1.value:EMAIL,attributes.team'
  expect(guessed(header)).toEqual({})
})

it('contacts of own names keep their places beside mapped ones', () => {
  expect(guessed('username,contacts.2.type,contacts.2.value,mail')).toEqual({
    mail: 'contacts.3.value:EMAIL',
  })
})

it('two columns are never guessed as the same field, and a name that is no attribute is left out', () => {
  expect(guessed('login,username,名前,id')).toEqual({
    login: 'username',
    username: 'attributes.username',
    名前: '',
    id: 'external_id',
  })
})

it.each([',', ';', '\t'])('cells may be separated by %j, and examples are not empty', (separator) => {
  const columns = columnsOf(
    ['login', '"team; x"', 'status'].join(separator),
    ['ada', '', 'ACTIVE'].join(separator),
    ['bea', '"a\nb"', 'BLOCKED'].join(separator),
  )
  expect(columns.map(({ name, example, field }) => [name, example, field])).toEqual([
    ['login', 'ada', 'username'],
    ['team; x', 'a\nb', 'text'],
    ['status', 'ACTIVE', 'status'],
  ])
})

it('faults name what the person must choose', () => {
  expect(mappingFaults(columnsOf('team,place', 'a,b'))).toEqual([
    'Choose the column that holds the username.',
  ])
  const columns = columnsOf('login,team', 'a,b').map((column) => ({ ...column, field: 'username' }))
  expect(mappingFaults(columns)).toEqual(['Only one column can be username. Change or leave out the others.'])
  const [login, team] = columnsOf('login,team', 'a,b')
  if (!login || !team) throw new Error('the columns are missing')
  expect(mappingFaults([login, { ...team, key: 'Not A Key' }])).toEqual([
    expect.stringContaining('The attribute of the column team needs a name'),
  ])
})

it('an empty or enormous header is read without an error', () => {
  expect(columnsOf('')).toEqual([])
  expect(readColumns(Buffer.alloc(65_536, ','))).toHaveLength(1_000)
})

it('the start of a file is read, also of a compressed one of any size', async () => {
  const text = 'username,name\nada,Ada\n'.repeat(100_000)
  const startOf = async (bytes: Uint8Array<ArrayBuffer>) => {
    const start = await readFileStart(new Blob([bytes]))
    return start && Buffer.from(start).toString()
  }
  expect(await startOf(Buffer.from(text))).toBe(text.slice(0, 65_536))
  expect(await startOf(gzipSync(text))).toBe(text.slice(0, 65_536))
  expect(await startOf(Buffer.from(''))).toBe('')
  expect(await startOf(gzipSync('short'))).toBe('short')
  expect(await startOf(Buffer.from([0x1f, 0x8b, 8, 0, 1, 2]))).toBe(undefined)
  expect(await startOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0]))).toBe(undefined)
})

it('a cut start of a poorly compressible file gives what it has', async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(65_000))
  const start = await readFileStart(new Blob([gzipSync(Buffer.concat([bytes, bytes]))]))
  expect(start?.length).toBeGreaterThan(30_000)
})
