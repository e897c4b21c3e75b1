// Forms exactly as real clients send them, and malformed or hostile forms.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readFormFile } from '../../../src/handler/http/multipart.ts'
import { ServiceError } from '../../../src/model/errors.ts'

// Contains each byte value, and beginnings of delimiters.
const file = Buffer.concat([
  Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  Buffer.from('--B B-- \r\n-B\r\n--\r\r\n--A\n--B\n'),
])

/** Replaces FILE in the form by the file. */
function form(text: string): Buffer<ArrayBuffer> {
  const [before = '', after] = text.split('FILE')
  return Buffer.concat([Buffer.from(before), ...(after === undefined ? [] : [file, Buffer.from(after)])])
}

const read = async (body: string | Buffer<ArrayBuffer>, contentType: string) =>
  Buffer.from(await readFormFile(typeof body === 'string' ? form(body) : body, contentType))

async function faultOf(body: string | Buffer<ArrayBuffer>, contentType = 'multipart/form-data; boundary=B') {
  const error = await read(body, contentType).then(
    () => new Error('the form was taken'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof ServiceError && error.code === 'invalid') return error.faults[0]?.message
  throw error
}

const field = 'Content-Disposition: form-data; name="title"\r\n\r\nx'
const part = '--B\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nFILE\r\n'

describe('the file is read byte for byte from a form of', () => {
  const dashes = '-'.repeat(24)
  test.each([
    [
      'curl',
      `multipart/form-data; boundary=${dashes}d7023db662b0b11e`,
      `--${dashes}d7023db662b0b11e\r\nContent-Disposition: form-data; name="file"; filename="my %22best%22 photo.png"\r\nContent-Type: image/png\r\n\r\nFILE\r\n--${dashes}d7023db662b0b11e--\r\n`,
    ],
    [
      'curl --form-escape, with a field',
      `multipart/form-data; boundary=${dashes}58cc72c2d17f27fe`,
      `--${dashes}58cc72c2d17f27fe\r\nContent-Disposition: form-data; name="file"; filename="my \\"best\\" photo.png"\r\nContent-Type: image/png\r\n\r\nFILE\r\n--${dashes}58cc72c2d17f27fe\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--${dashes}58cc72c2d17f27fe--\r\n`,
    ],
    [
      'Go’s mime/multipart',
      'multipart/form-data; boundary=92746d031864e2b888ac6bb8d5df116e9ed136a953d452c402eee856359e',
      '--92746d031864e2b888ac6bb8d5df116e9ed136a953d452c402eee856359e\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--92746d031864e2b888ac6bb8d5df116e9ed136a953d452c402eee856359e\r\nContent-Disposition: form-data; name="file"; filename="my \\"best\\" photo.png"\r\nContent-Type: application/octet-stream\r\n\r\nFILE\r\n--92746d031864e2b888ac6bb8d5df116e9ed136a953d452c402eee856359e--\r\n',
    ],
    [
      'Python’s requests',
      'multipart/form-data; boundary=b99958fc69d8e4ab65b2d330bf0062d6',
      '--b99958fc69d8e4ab65b2d330bf0062d6\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--b99958fc69d8e4ab65b2d330bf0062d6\r\nContent-Disposition: form-data; name="file"; filename="Zoë.png"\r\n\r\nFILE\r\n--b99958fc69d8e4ab65b2d330bf0062d6--\r\n',
    ],
    [
      '.NET’s MultipartFormDataContent',
      'multipart/form-data; boundary="6fc1bb6e-90ba-46ba-8f45-a8e4d1a3a0f6"',
      '--6fc1bb6e-90ba-46ba-8f45-a8e4d1a3a0f6\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name=file; filename="=?utf-8?B?Wm/Dqy5wbmc=?="; filename*=utf-8\'\'Zo%C3%AB.png\r\n\r\nFILE\r\n--6fc1bb6e-90ba-46ba-8f45-a8e4d1a3a0f6--\r\n',
    ],
    [
      'Chrome, with an input for a file left empty',
      'multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW',
      '------WebKitFormBoundary7MA4YWxkTrZu0gW\r\nContent-Disposition: form-data; name="other"; filename=""\r\nContent-Type: application/octet-stream\r\n\r\n\r\n------WebKitFormBoundary7MA4YWxkTrZu0gW\r\nContent-Disposition: form-data; name="file"; filename="my %22best%22 photo.png"\r\nContent-Type: image/png\r\n\r\nFILE\r\n------WebKitFormBoundary7MA4YWxkTrZu0gW--\r\n',
    ],
    [
      'Firefox',
      'multipart/form-data; boundary=----geckoformboundary3f1c0a2b',
      '------geckoformboundary3f1c0a2b\r\nContent-Disposition: form-data; name="file"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\nFILE\r\n------geckoformboundary3f1c0a2b--\r\n',
    ],
    [
      'Insomnia',
      'multipart/form-data; boundary=X-INSOMNIA-BOUNDARY',
      '--X-INSOMNIA-BOUNDARY\r\nContent-Disposition: form-data; name="file"; filename="photo.png"\r\nContent-Type: image/png\r\n\r\nFILE\r\n--X-INSOMNIA-BOUNDARY--\r\n',
    ],
    [
      'Node’s fetch',
      'multipart/form-data; boundary=----formdata-undici-021007029969',
      '------formdata-undici-021007029969\r\nContent-Disposition: form-data; name="file"; filename="my %22best%22 photo.png"\r\nContent-Type: image/png\r\n\r\nFILE\r\n------formdata-undici-021007029969--\r\n',
    ],
  ])('%s', async (_, contentType, text) => {
    expect(await read(text, contentType)).toEqual(file)
  })
})

describe('the file is read byte for byte with', () => {
  test.each([
    [
      'spaces and tabs after the delimiters',
      `${part.replace('--B\r\n', '--B  \r\n')}--B \t\r\n${field}\r\n--B--  \r\n`,
    ],
    ['text before and after', `preamble\r\n${part}--B--\r\nepilogue\r\n--B\r\n`],
    ['an empty line before', `\r\n${part}--B--`],
    ['no end of line after the last delimiter', `${part}--B--`],
    ['a folded header', `${part.replace('; filename', ';\r\n filename')}--B--\r\n`],
    ['only filename*', `${part.replace('filename="a.png"', "filename*=UTF-8''a.png")}--B--\r\n`],
    [
      'no filename but bytes',
      `${part.replace('; filename="a.png"', '\r\nContent-Type: application/octet-stream')}--B--\r\n`,
    ],
    [
      'names in upper case',
      `${part.replace('Content-Disposition: form-data; name', 'CONTENT-DISPOSITION: FORM-DATA; NAME')}--B--\r\n`,
    ],
    ['fields of the same name', `--B\r\n${field}\r\n${part}--B\r\n${field}\r\n--B--\r\n`],
    ['a path that ends in a backslash', `${part.replace('a.png', 'C:\\\\x\\\\')}--B--\r\n`],
  ])('%s', async (_, text) => {
    expect(await read(text, 'multipart/form-data; boundary=B')).toEqual(file)
  })

  test('a filename in Latin-1', async () => {
    const body = form(`${part}--B--\r\n`)
    body[body.indexOf('a.png')] = 0xe4
    expect(await read(body, 'multipart/form-data; boundary=B')).toEqual(file)
  })

  test.each([
    ['quoted, with spaces', 'multipart/form-data; boundary="a b"', 'a b'],
    ['among other parameters', 'Multipart/Form-Data; charset="utf-8" ; BOUNDARY=x', 'x'],
    ['of 70 characters', `multipart/form-data; boundary=${'b'.repeat(70)}`, 'b'.repeat(70)],
    ['of odd characters', "multipart/form-data; boundary=a'()+_,-./:=?*#", "a'()+_,-./:=?*#"],
  ])('a boundary %s', async (_, contentType, boundary) => {
    expect(await read(`${part}--B--\r\n`.replaceAll('--B', `--${boundary}`), contentType)).toEqual(file)
  })
})

describe('a form is invalid', () => {
  test.each([
    ['without a boundary', 'multipart/form-data'],
    ['with an empty boundary', 'multipart/form-data; boundary=""'],
    ['with a boundary of 71 characters', `multipart/form-data; boundary=${'b'.repeat(71)}`],
    ['with a boundary outside ASCII', 'multipart/form-data; boundary=\u00e4'],
  ])('%s', async (_, contentType) => {
    expect(await faultOf(`${part}--B--\r\n`, contentType)).toContain('boundary of 1 to 70')
  })

  test.each([
    ['no content', ''],
    ['another boundary', `${part}--B--\r\n`.replaceAll('--B', '--C')],
    ['lines that end with LF', `${part}--B--\r\n`.replaceAll('\r\n', '\n')],
    ['no last delimiter', part],
    ['a file cut off', part.slice(0, -4)],
    ['text after a delimiter', `${part}--Bx\r\n\r\n--B--\r\n`],
    ['a part without headers', `--B\r\n\r\nx\r\n${part}--B--\r\n`],
    ['a part of another disposition', `${part.replace('form-data', 'attachment')}${part}--B--\r\n`],
    ['a line feed in a filename', `${part.replace('a.png', 'a\nb')}--B--\r\n`],
    ['headers cut off', `${part}--B\r\nContent-Disp\r\n--B--\r\n\r\n`],
  ])('with %s', async (_, text) => {
    expect(await faultOf(text)).toContain('must be well-formed multipart/form-data')
  })

  test('without a file, or with two', async () => {
    expect(await faultOf('--B--\r\n')).toBe('must contain exactly one file')
    expect(await faultOf(`--B\r\n${field}\r\n--B--\r\n`)).toBe('must contain exactly one file')
    expect(await faultOf(`${part}${part.replace('FILE', 'x')}--B--\r\n`)).toBe(
      'must contain exactly one file',
    )
  })

  test('with more than 20 parts or 8 KB of headers', async () => {
    const fields = (count: number) => `--B\r\n${field}\r\n`.repeat(count)
    expect(await read(`${fields(19)}${part}--B--\r\n`, 'multipart/form-data; boundary=B')).toEqual(file)
    expect(await faultOf(`${fields(20)}${part}--B--\r\n`)).toContain('at most 20')
    expect(
      await faultOf(`${part.replace('\r\n\r\n', `\r\nX: ${'x'.repeat(8_192)}\r\n\r\n`)}--B--\r\n`),
    ).toContain('at most 8192 bytes of headers in each part')
  })

  test('and rejected quickly, whatever its content', { retry: 2 }, async () => {
    const bytesMax = 5_200_000
    const long = 'b'.repeat(70)
    for (const [boundary, repeated] of [
      ['B', '--B\r\n\r\n\r\n\r\n'],
      ['B', '\r\n--'],
      ['B', '\r\n--B \t'],
      ['B', ' '],
      [long, 'b'],
      [long, `\r\n--${long.slice(1)}`],
      ['-'.repeat(70), '-'],
      ['B', '--B\r\nContent-Disposition: form-data; name=f; filename="\\'],
    ] as const) {
      const body = Buffer.alloc(bytesMax, repeated)
      body.write(`--${boundary}\r\n`)
      const started = performance.now()
      await faultOf(body, `multipart/form-data; boundary=${boundary}`)
      expect(performance.now() - started, JSON.stringify(repeated)).toBeLessThan(200)
    }
  })
})

test('any body either yields a file or is invalid', async () => {
  const tokens = [
    ...[
      '--B\r\n',
      '\r\n--B',
      '\r\n--B--\r\n',
      '\r\n',
      '\r\n\r\n',
      ' ',
      '--',
      '\\',
      '"',
      '\0',
      '\xff',
      '\n',
      '\r',
    ],
    ...['Content-Disposition: form-data', '; name=f', '; filename="a"', "; filename*=x''%E4", 'X: y'],
    'Content-Type: application/octet-stream',
  ]
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...tokens), { maxLength: 25 }),
      fc.boolean(),
      async (pieces, isWhole) => {
        const text = `${isWhole ? part.replace('FILE', '') : ''}${pieces.join('')}\r\n--B--`
        const body = Buffer.from(text, 'latin1')
        const thrown = await read(body, 'multipart/form-data; boundary=B').then(
          () => undefined,
          (error: unknown) => error,
        )
        if (thrown !== undefined) expect(thrown).toMatchObject({ code: 'invalid' })
      },
    ),
    { numRuns: 1_000 },
  )
})
