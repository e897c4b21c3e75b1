// Makes hostile import files: fixtures of every source, damaged by accident or on purpose.
import fc from 'fast-check'
import type { ImportFormat } from '../../src/model/job.ts'
import { fixture, fixtures } from './import-file.ts'

const ownFiles: { format: ImportFormat; file: Buffer }[] = [
  {
    format: 'ndjson',
    file: Buffer.from(
      '{"username":"ada","attributes":{"a":1},"password_hash":"$2b$10$x"}\n{"username":"bea"}\n',
    ),
  },
  {
    format: 'csv',
    file: Buffer.from('username,name,contacts.0.value,attributes.a:number\nada,"A, ""B""",x,1\nbea,,,\n'),
  },
  { format: 'csv', file: Buffer.from('username;name\nada;"A; ""B"""\nbea;\n') },
]
const originals = [...fixtures.map(({ format, name }) => ({ format, file: fixture(name) })), ...ownFiles]

const texts = [
  '\0'.repeat(5_000),
  '\\ud800',
  '"',
  '""',
  '\n',
  '\r',
  '{"__proto__":{"isAdmin":true}}',
  '1e999999',
  '9'.repeat(50_000),
  '['.repeat(100_000),
  '{"a":'.repeat(50_000),
  '","'.repeat(30_000),
  '"a,'.repeat(30_000),
  ','.repeat(100_000),
  "=cmd|' /C calc'!A0",
].map((text) => Buffer.from(text))
// A surrogate, an overlong form and a lone byte are no UTF-8.
const bytes = [
  Buffer.of(0xed, 0xa0, 0x80),
  Buffer.of(0xc0, 0x80),
  Buffer.of(0xff),
  Buffer.of(0xef, 0xbb, 0xbf),
]

/** Pieces that parsers and stores are known to stumble over. */
export const hostilePieces = [...texts, ...bytes]

type Change = {
  kind: 'flip' | 'cut' | 'repeat' | 'splice' | 'insert'
  at: number
  length: number
  pick: number
}

const change: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('flip', 'cut', 'repeat', 'splice', 'insert', 'insert'),
  at: fc.nat(10_000),
  length: fc.nat(500),
  pick: fc.nat(1_000),
})

function apply(file: Buffer, { kind, at, length, pick }: Change): Buffer {
  const from = at % (file.length + 1)
  const [start, middle, end] = [
    file.subarray(0, from),
    file.subarray(from, from + length),
    file.subarray(from),
  ]
  switch (kind) {
    case 'flip':
      return Buffer.concat([
        start,
        middle.map((byte) => byte ^ (1 << (pick % 8))),
        file.subarray(from + length),
      ])
    case 'cut':
      return start
    case 'repeat':
      return Buffer.concat([start, ...Array.from({ length: pick % 50 }, () => middle), end])
    case 'splice': {
      const other = originals[pick % originals.length]?.file ?? file
      return Buffer.concat([start, other.subarray(length % other.length)])
    }
    case 'insert': {
      return Buffer.concat([start, hostilePieces[pick % hostilePieces.length] ?? file, end])
    }
  }
}

/** A fixture after one to four changes. */
export const damagedFile: fc.Arbitrary<{ format: ImportFormat; file: Buffer<ArrayBuffer> }> = fc
  .tuple(fc.constantFrom(...originals), fc.array(change, { minLength: 1, maxLength: 4 }))
  .map(([{ format, file }, changes]) => ({ format, file: Buffer.from(changes.reduce(apply, file)) }))

/** Parts of the fixtures' secrets. */
export const secrets = /\$2[aby]\$\d\d|\$argon2|\$pbkdf2|\$firebase|jxspr8Ki|JBSWY3DP|lSrfV15c/
