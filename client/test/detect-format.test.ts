import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fixture, fixtures } from '../../test/support/import-file.ts'
import { detectFormat } from '../src/index.ts'

const detect = (text: string) => detectFormat(new TextEncoder().encode(text))

test.each(fixtures)('$name is recognised as $format', ({ format, name }) => {
  expect(detectFormat(fixture(name))).toEqual([format])
})

test.each([
  ['our NDJSON with a few fields', '{"username":"ada","name":"Ada","attributes":{"user_id":1}}', ['ndjson']],
  ['a user as the API answers it', '{"id":"1","username":"ada","contacts":[],"avatar_url":null}', ['ndjson']],
  ['our CSV', 'username,name\nada,Ada\n', ['csv']],
  ['our CSV of a spreadsheet', '\uFEFF"username";"contacts.0.value";"Team"\r\n', ['csv']],
  ['our CSV with tabs', 'login\tattributes.team\n', ['csv']],
  ['users of Keycloak without their realm', '{"users":[{"username":"a","credentials":[]}]}', ['keycloak']],
  ['a list of Keycloak', '[{"username":"ada","createdTimestamp":1}]', ['keycloak']],
  ["Auth0's extension", '{"Id":"auth0|1","Email":"a@example.com","Email Verified":true}', ['auth0']],
  ["a list of Auth0's users", '[{"email":"a@example.com","user_id":"auth0|1"}]', ['auth0']],
  ['one page of ListUsers', '{"Users":[', ['cognito']],
  ['a cut-off text', '{"users":[{"localId":"x","email":"\\', ['firebase']],
])('%s has its format', (_what, text, formats) => {
  expect(detect(text)).toEqual(formats)
})

test.each([
  ['a header without a distinctive column', 'name,email\n', ['csv', 'cognito', 'clerk', 'supabase']],
  ['a header with columns of two formats', 'external_id,password_hasher\n', ['csv', 'clerk']],
  ['lines without a distinctive field', '{"email":"a@example.com"}\n', ['ndjson', 'auth0']],
  ['a document without users', '{"users":[]}', ['keycloak', 'firebase', 'clerk']],
])('%s gives all that are possible', (_what, text, formats) => {
  expect(detect(text)).toEqual(formats)
})

test.each([
  ['an empty file', ''],
  ['UTF-16', 'u\0s\0e\0r\0'],
])('%s gives none', (_what, text) => {
  expect(detect(text)).toEqual([])
})

test('values do not decide', () => {
  expect(detect('{"username":"ada","name":"\\"localId\\": {\\"user_id\\":"}')).toEqual(['ndjson'])
  expect(detect('username,name\nuser_id,"encrypted_password"\n')).toEqual(['csv'])
})

test('hostile text takes a moment, however it nests and wherever it is cut', () => {
  const texts = ['"', '\\"', '"a":', '{"a":', '[', ']', '{"x', ',', '"a" ', `"a"${' '.repeat(20_000)}`]
  for (const text of texts)
    for (const start of ['', '{', '[', '{"users":[{"'])
      for (const length of [65_535, 65_536, 1_000_000]) {
        const file = start + text.repeat(length / text.length)
        const startedAt = performance.now()
        detect(file)
        expect(performance.now() - startedAt).toBeLessThan(1_000)
      }
})

test('any bytes give formats or none', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(...fixtures), (bytes, { name }) => {
      const file = fixture(name)
      const at = (bytes[0] ?? 0) % file.length
      const damaged = Uint8Array.from([...file.subarray(0, at), ...bytes, ...file.subarray(at)])
      expect(Array.isArray(detectFormat(damaged))).toBe(true)
    }),
  )
})
