// Which bytes of an imported file are written for its refused rows.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, expect, it } from 'vitest'
import { writeRefusedRows } from '../src/jobs/refused-rows.ts'

const folder = await mkdtemp(join(tmpdir(), 'user-directory-rows-'))
afterAll(() => rm(folder, { recursive: true }))
let files = 0

/** @returns the refused rows; undefined without a file for them */
async function refused(format: string, content: string | Uint8Array, lines: number[]) {
  // The content decides, and not the name.
  const file = join(folder, `${files++}.ndjson.gz`)
  await writeFile(file, content)
  const faults = async function* () {
    for (const line of lines) yield { line, pointer: '/name', message: 'must be\u001b[31m text' }
  }
  const { rows, reasons } = await writeRefusedRows(file, { format, faults: faults() })
  const described = await readFile(reasons, 'utf8')
  expect(described).toBe(lines.map((line) => `line ${line}  /name must be\\u001b[31m text\n`).join(''))
  return rows === undefined ? undefined : readFile(rows, 'utf8')
}

it('copies lines as they are, whatever their line breaks', async () => {
  expect(await refused('ndjson', '{"a"}\r\n{"b\\""}\r\n\r\n{"c"}', [2, 4])).toBe('{"b\\""}\r\n{"c"}')
  expect(await refused('auth0', '{}\n{}\n', [])).toBe('')
})

it('copies the header of a CSV, and rows with line breaks and quotes in them', async () => {
  const csv = '\uFEFF"a\nb",c\n1,"x ""y""\nz"\n2,\n"3\n\n",q\n4,r'
  expect(await refused('csv', csv, [3, 9])).toBe('\uFEFF"a\nb",c\n1,"x ""y""\nz"\n4,r')
  expect(await refused('supabase', csv, [5, 6])).toBe('\uFEFF"a\nb",c\n2,\n"3\n\n",q\n')
})

it('reads compressed files', async () => {
  const text = '{"a":1}\n{"b":2}\n'
  expect(await refused('ndjson', gzipSync(text), [2])).toBe('{"b":2}\n')
  expect(await refused('ndjson', zstdCompressSync(text), [1])).toBe('{"a":1}\n')
})

it('copies nothing of one JSON document, whose rows are no lines', async () => {
  expect(await refused('keycloak', '{"users":[{}]}', [1])).toBeUndefined()
  expect(await refused('firebase', ' {"users":[{}]}', [1])).toBeUndefined()
  expect(await refused('cognito', '[{}]', [1])).toBeUndefined()
  expect(await refused('firebase', 'id,"a "quote" within",\nid2,x\n', [1])).toBe('id,"a "quote" within",\n')
  expect(await refused('cognito', 'name\nada\nbob\n', [3])).toBe('name\nbob\n')
})

it('copies a row of many megabytes that spans chunks', async () => {
  const row = `{"name":"${'x'.repeat(3_000_000)}"}\n`
  expect(await refused('ndjson', `{}\n${row}{}\n`, [2])).toBe(row)
})
