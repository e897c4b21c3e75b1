import { expect, it } from 'vitest'
import { readQueryString } from '../../../src/handler/http/query-string.ts'

it('is decoded like a form', () => {
  expect(readQueryString('a=b+c%2B&&d&=e&f=g=h&%C3%A9=%F0%9F%98%80')).toEqual([
    { name: 'a', value: 'b c+' },
    { name: 'd', value: '' },
    { name: '', value: 'e' },
    { name: 'f', value: 'g=h' },
    { name: 'é', value: '\u{1f600}' },
  ])
  expect(readQueryString('')).toEqual([])
})

it.each([
  'search=M%FCller',
  'search=%zz',
  'search=50%',
  'search=%C3',
  'search=%ED%A0%80',
  'search=a%EF%BF%BD',
])('has no value if it is not percent-encoded UTF-8: %s', (query) =>
  expect(readQueryString(query)).toEqual([{ name: 'search', value: undefined }]),
)

it.each(['n%FCpe', '%zz', '%'])('keeps a name as sent if it cannot be decoded: %s', (name) =>
  expect(readQueryString(`${name}=1`)).toEqual([{ name, value: undefined }]),
)
