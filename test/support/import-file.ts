// Import files for the parsers, in any chunks, and the rows that come out.
import { readFileSync } from 'node:fs'
import type { ImportFormat } from '../../src/model/job.ts'
import type { ImportRow } from '../../src/services/import/row.ts'

/** Each part is one chunk. */
export async function* bytesOf(...parts: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? Buffer.from(part) : part
}

/** @param cuts offsets in any order; equal ones make empty chunks */
export async function* chunks(file: Uint8Array, cuts: number[]): AsyncIterable<Uint8Array> {
  let from = 0
  for (const to of [...cuts.toSorted((a, b) => a - b), file.length]) {
    yield file.subarray(from, to)
    from = to
  }
}

export async function rowsOf(arrays: AsyncIterable<ImportRow[]>): Promise<ImportRow[]> {
  const rows: ImportRow[] = []
  for await (const array of arrays) rows.push(...array)
  return rows
}

/** Files of other systems in `test/fixtures/import/`. */
export const fixtures: { format: ImportFormat; name: string }[] = [
  { format: 'keycloak', name: 'keycloak-realm.json' },
  { format: 'keycloak', name: 'keycloak-flat.json' },
  { format: 'auth0', name: 'auth0.ndjson' },
  { format: 'auth0', name: 'auth0-hashes.ndjson' },
  { format: 'firebase', name: 'firebase.json' },
  { format: 'firebase', name: 'firebase-old.csv' },
  { format: 'firebase', name: 'firebase-new.csv' },
  { format: 'cognito', name: 'cognito-list-users.json' },
  { format: 'cognito', name: 'cognito.csv' },
  { format: 'clerk', name: 'clerk-new.csv' },
  { format: 'clerk', name: 'clerk-old.csv' },
  { format: 'clerk', name: 'clerk.json' },
  { format: 'supabase', name: 'supabase.csv' },
]

export function fixture(name: string): Buffer {
  return readFileSync(`test/fixtures/import/${name}`)
}

/** Of the project in the test vector of github.com/firebase/scrypt, which has the hash of the fixtures. */
export const firebaseParameters = {
  base64_signer_key:
    'jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==',
  base64_salt_separator: 'Bw==',
  rounds: 8,
  mem_cost: 14,
}
