import { expect, test } from 'vitest'
import type { ImportFormat } from '../../../src/model/job.ts'
import { loadParser } from '../../../src/services/import/parsers.ts'
import { readHashes } from '../../../src/services/import/read-hashes.ts'
import type { ImportOptions, ImportRow } from '../../../src/services/import/row.ts'
import { bytesOf, fixture, rowsOf } from '../../support/import-file.ts'

async function parse(format: ImportFormat, file: unknown, options: ImportOptions = {}): Promise<ImportRow[]> {
  const text = typeof file === 'string' || file instanceof Uint8Array ? file : JSON.stringify(file)
  return rowsOf((await loadParser(format))(bytesOf(text), options))
}

const { signal } = new AbortController()
const withMetadata = (user_metadata: unknown) => ({
  user_id: 'auth0|1',
  email: 'a@example.com',
  user_metadata,
})

test('nested metadata is left out, kept as text or refused, as nested_values says', async () => {
  const file = withMetadata({ roles: ['a'], deep: { b: 1 }, flat: 1, none: null })
  expect((await parse('auth0', file))[0]).toMatchObject({ user: { attributes: { flat: 1 } }, faults: [] })
  expect((await parse('auth0', file, { nested_values: 'text' }))[0]?.user.attributes).toEqual({
    roles: '["a"]',
    deep: '{"b":1}',
    flat: 1,
  })
  expect((await parse('auth0', file, { nested_values: 'refuse' }))[0]?.faults).toEqual([
    {
      pointer: '/attributes/roles',
      message: 'must not be a list or an object; set nested_values to drop or text',
    },
    {
      pointer: '/attributes/deep',
      message: 'must not be a list or an object; set nested_values to drop or text',
    },
  ])
})

test('metadata that cannot be attributes is refused or left out, as unfit_values says', async () => {
  const file = withMetadata({
    favouriteColour: 'green',
    'favourite colour': 'red',
    FAVOURITE_COLOUR: 'green',
    '2fa': true,
    日本: 'x',
    [`a${'b'.repeat(80)}`]: 'x',
    ['x'.repeat(300_000)]: 1,
    long: 'x'.repeat(513),
    big: 2 ** 60,
    __proto__x: 1,
  })
  const [refused] = await parse('auth0', file)
  expect(refused?.faults.map((fault) => 'pointer' in fault && fault.pointer.slice(0, 40))).toEqual([
    '/attributes/favourite colour',
    '/attributes/2fa',
    '/attributes/日本',
    `/attributes/a${'b'.repeat(27)}`,
    `/attributes/${'x'.repeat(28)}`,
  ])
  const [dropped] = await parse('auth0', file, { unfit_values: 'drop' })
  expect(dropped?.faults).toEqual([])
  expect(dropped?.user.attributes).toEqual({ favourite_colour: 'green', proto_x: 1 })
})

test('metadata that is no JSON, such as text that a spreadsheet cut off, is refused or left out', async () => {
  const cases: [ImportFormat, string, string][] = [
    [
      'supabase',
      'raw_user_meta_data',
      'id,email,encrypted_password,raw_user_meta_data\n1,a@example.com,,"{""a"":1"\n',
    ],
    ['clerk', 'public_metadata', 'id,primary_email_address,public_metadata\n1,a@example.com,[1]\n'],
    ['firebase', 'customAttributes', '{"users":[{"localId":"1","email":"a@b.c","customAttributes":"{"}]}'],
  ]
  for (const [format, name, file] of cases) {
    expect((await parse(format, file))[0]?.faults).toEqual([
      {
        pointer: `/attributes/${name}`,
        message: 'must be one JSON object; set unfit_values to drop to leave such values out',
      },
    ])
    const [dropped] = await parse(format, file, { unfit_values: 'drop' })
    expect([dropped?.faults, dropped?.user.attributes]).toEqual([[], { email_verified: false }])
  }
})

test('a list of a million contacts is refused before it is split', async () => {
  const file = `id,email_addresses\n1,"${','.repeat(900_000)}a@example.com"\n`
  expect((await parse('clerk', file))[0]?.user.contacts).toHaveLength(1)
})

test('a prototype key of a source is never more than an ordinary name', async () => {
  const file = `{"user_id":"auth0|1","email":"a@example.com","user_metadata":{"__proto__":"x","constructor":"y"}}`
  const [row] = await parse('auth0', file)
  expect(Object.entries(row?.user.attributes ?? {})).toEqual([
    ['proto', 'x'],
    ['constructor', 'y'],
  ])
})

test('a hash of an unknown kind is refused, or the user comes without a password, as unknown_hashes says', async () => {
  const users = [
    {
      id: '1',
      email: 'a@example.com',
      credentials: [{ type: 'password', secretData: '{}', credentialData: '{}' }],
    },
    {
      id: '2',
      email: 'b@example.com',
      credentials: [
        {
          type: 'password',
          secretData: '{"value":"c2VjcmV0IGhhc2g=","salt":"!"}',
          credentialData: '{"algorithm":"pbkdf2-sha256","hashIterations":1}',
        },
      ],
    },
  ]
  const refused = await parse('keycloak', { users })
  expect(refused.flatMap(({ faults }) => faults.map(({ message }) => message.split(';')[0]))).toEqual([
    'is of an algorithm that is not supported',
    'is damaged',
  ])
  expect(JSON.stringify(refused)).not.toContain('c2VjcmV0')
  const dropped = await parse('keycloak', { users }, { unknown_hashes: 'drop' })
  expect(dropped.map(({ user, faults }) => [user.password, faults])).toEqual([
    [null, []],
    [null, []],
  ])
  // A kind that the schema refuses.
  const supabase = 'id,email,encrypted_password\n1,a@example.com,$1$md5\n'
  expect((await parse('supabase', supabase))[0]?.user.password_hash).toBe('$1$md5')
  expect((await parse('supabase', supabase, { unknown_hashes: 'drop' }))[0]?.user.password).toBeNull()
})

test('hashes of Firebase need the parameters of the project', async () => {
  await expect(parse('firebase', fixture('firebase.json'))).rejects.toMatchObject({
    code: 'invalid',
    message: expect.stringContaining('Send them as the option firebase'),
  })
  const rows = await parse('firebase', fixture('firebase.json'), { unknown_hashes: 'drop' })
  expect(rows.map(({ user }) => user.password)).toEqual([null, null, null, undefined])
})

test('the hashes of Auth0 come from a file of their own, by the user id', async () => {
  const asked: string[][] = []
  const hashesOf = await readHashes(bytesOf(fixture('auth0-hashes.ndjson')), signal)
  const file = Buffer.concat([
    fixture('auth0.ndjson'),
    Buffer.from('{"user_id":"auth0|5f7c8ec7c33c6c004bbafe99","email":"custom@example.com"}\n'),
  ])
  const rows = await parse('auth0', file, {
    hashesOf: (ids) => {
      asked.push(ids)
      return hashesOf(ids)
    },
  })
  expect(asked.flat()).toHaveLength(6)
  const kindOf = ({ user }: ImportRow) => /^\$2.\$10/.exec(String(user.password_hash))?.[0]
  expect(rows.map(kindOf)).toEqual(['$2b$10', undefined, undefined, '$2a$10', undefined, undefined])
  expect(rows.at(-1)?.faults).toMatchObject([
    { message: expect.stringContaining('is a custom password hash, which is not supported') },
  ])
})

test('a file of hashes with a line that has no id is refused by the line', async () => {
  await expect(readHashes(bytesOf('{"_id":"1","passwordHash":"x"}\n{}\n'), signal)).rejects.toThrow(
    'line 2 must have the fields _id and passwordHash',
  )
})

test('the file of hashes is a list of users itself', async () => {
  const rows = await parse('auth0', fixture('auth0-hashes.ndjson'))
  expect(rows.map(({ user, faults }) => [user.external_id, faults.length])).toEqual([
    ['auth0|5f7c8ec7c33c6c004bbafe82', 0],
    ['auth0|5f7c8ec7c33c6c004bbafe84', 0],
    ['auth0|5f7c8ec7c33c6c004bbafe99', 1],
  ])
})

test('a file of another format is refused by what it lacks', async () => {
  for (const format of ['keycloak', 'cognito', 'clerk', 'firebase'] as const)
    await expect(parse(format, '{"items":[]}')).rejects.toThrow('The file has no list of users')
  for (const format of ['supabase', 'clerk', 'cognito'] as const)
    await expect(parse(format, 'a,b\n1,2\n')).rejects.toThrow('The first line must name the columns')
  await expect(parse('keycloak', 'id,email\n')).rejects.toThrow('The file is not valid JSON')
  await expect(parse('supabase', 'id,email,encrypted_password,email\n')).rejects.toThrow(
    '"email" occurs more',
  )
  for (const format of ['keycloak', 'cognito', 'clerk', 'supabase'] as const)
    await expect(parse(format, '')).rejects.toMatchObject({ code: 'invalid' })
})
