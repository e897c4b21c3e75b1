// Images in JSON text: which base64 and which data URIs are read.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { avatarBytesMax } from '../../../src/model/user.ts'
import { decodeBase64Image } from '../../../src/services/avatars/base64-image.ts'

describe('base64', () => {
  test('decodes any bytes, as plain base64 and in a data URI', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('png', 'jpeg', 'svg+xml', 'x.y-z'),
        (bytes, type) => {
          const text = Buffer.from(bytes).toString('base64')
          const read = (sent: string, form: 'either' | 'data-uri') =>
            Buffer.from(decodeBase64Image(sent, form) ?? []).toString('base64')
          expect(read(text, 'either')).toBe(text)
          for (const form of ['either', 'data-uri'] as const)
            expect(read(`data:image/${type};base64,${text}`, form)).toBe(text)
        },
      ),
    )
  })

  // RFC 2397, RFC 3986 section 3.1.
  test.each([
    'data:image/png;charset=utf-8;base64,AAAA',
    'DATA:IMAGE/PNG;BASE64,AAAA',
    'data:image/png;name=my%20photo.png;base64,AAAA',
    'data:image/png;name=Zo%C3%AB%2C%3B.png;charset=utf-8;base64,AAAA',
    'data:image/png;name="a,b;c \\".png";base64,AAAA',
    'data:image/png;name=my photo.png; base64,AAAA',
    'data:image/svg+xml;name;base64,AAAA',
    `data:image/png;name=${'%C3%A4'.repeat(255)};base64,AAAA`,
  ])('%s is read', (text) => {
    expect(decodeBase64Image(text, 'data-uri')).toEqual(Buffer.alloc(3))
  })

  test('decodes percent-encoded base64 in a data URI', () => {
    const bytes = Buffer.from('fbffbefb', 'hex')
    const uri = (base64: string) => `data:image/png;base64,${base64}`
    expect(bytes.toString('base64')).toBe('+/+++w==')
    expect(decodeBase64Image(uri('%2B%2f%2B%2B%2Bw%3D%3d'), 'either')).toEqual(bytes)
    for (const text of ['%2', '%', '%zz', '%FF', '%2B%2F%2B%2B%2Bw%3D', 'AAAA%00'])
      expect(decodeBase64Image(uri(text), 'either'), text).toBeUndefined()
  })

  test.each([
    ['no padding', 'AAA'],
    ['too much padding', 'AAAA===='],
    ['padding within', 'AA==AAAA'],
    ['bits left over', 'AB=='],
    ['the URL alphabet', 'a-_a'],
    ['a line break', 'AAAA\nAAAA'],
    ['a space', ' AAAA'],
    ['junk', 'AA*A'],
    ['a letter beyond ASCII', 'AAA\u0141'],
    ['a path', 'avatars/0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77/00.webp'],
    ['a URL', 'https://example.com/a.png'],
  ])('%s is not base64', (_, text) => {
    expect(decodeBase64Image(text, 'either')).toBeUndefined()
    expect(decodeBase64Image(`data:image/png;base64,${text}`, 'either')).toBeUndefined()
  })

  test.each([
    'data:,AAAA',
    'data:image/png,AAAA',
    'data:text/html;base64,AAAA',
    'data:image/;base64,AAAA',
    'data:image/png;base64',
    'data:image/png;base64;base64 ,AAAA',
    'data:image/png;base64,data:image/png;base64,AAAA',
    `data:image/png;name=${'a'.repeat(4_096)};base64,AAAA`,
    'data:image/png;name=a,b.png;base64,AAAA',
    'data:image/png;name="a.png;base64,AAAA',
    'data:image/png,%89PNG',
    ' data:image/png;base64,AAAA',
  ])('%s is no data URI of an image', (text) => {
    expect(decodeBase64Image(text, 'either')).toBeUndefined()
  })

  test('rejects plain base64 where a data URI is required', () => {
    expect(decodeBase64Image('AAAA', 'data-uri')).toBeUndefined()
  })

  test('decodes 5 MiB, and rejects one byte more as too large', () => {
    for (const head of ['', 'data:image/png;base64,']) {
      const fits = head + Buffer.alloc(avatarBytesMax).toString('base64')
      expect(decodeBase64Image(fits, 'either')).toHaveLength(avatarBytesMax)
      const over = head + Buffer.alloc(avatarBytesMax + 1).toString('base64')
      expect(() => decodeBase64Image(over, 'either')).toThrow(expect.objectContaining({ code: 'too_large' }))
    }
  })

  test('handles hostile text of any kind quickly', () => {
    const long = 'A'.repeat(6_990_000)
    for (const text of [
      `${long}*`,
      `data:image/${long}`,
      `data:image/png${';a'.repeat(3_000_000)}`,
      `data:image/png;${'a='.repeat(3_000_000)}`,
      `data:image/png;a="${'\\"'.repeat(3_000_000)}`,
      `data:image/png${'; '.repeat(3_000_000)}`,
      `data:image/png;base64,${'%2B'.repeat(2_330_000)}%`,
      '='.repeat(6_900_000),
    ]) {
      const started = performance.now()
      expect(decodeBase64Image(text, 'either')).toBeUndefined()
      expect(performance.now() - started).toBeLessThan(500)
    }
  })
})
