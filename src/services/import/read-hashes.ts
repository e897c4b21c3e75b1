// Reads a file of password hashes that belongs to an import, into some hundred bytes of memory for each user.
import { importBytesMax } from '../../model/job.ts'
import { hashCharactersMax } from '../../model/password-hash.ts'
import { decompress } from './decompress.ts'
import { readAuth0Hashes } from './formats/auth0.ts'
import type { ImportOptions } from './row.ts'
import { invalidFile } from './row.ts'
import { createSeenKeys } from './seen-keys.ts'

/** More hashes would take more than a gigabyte. */
const hashesMax = 5_000_000
/** Kept in place of a longer hash, so that the schema refuses its user by the length. */
const tooLongHash = '$'.repeat(hashCharactersMax + 1)

/** @throws ServiceError `invalid` if the file is not of its form, or too long; the reason of `signal` */
export async function readHashes(
  bytes: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<NonNullable<ImportOptions['hashesOf']>> {
  const keys = createSeenKeys()
  const hashes: string[] = []
  for await (const records of readAuth0Hashes(decompress(bytes, { bytesMax: importBytesMax }))) {
    signal.throwIfAborted()
    for (const record of records) {
      if ('fault' in record)
        throw invalidFile(`The file of hashes is malformed: line ${record.line} ${record.fault}.`)
      const { hash } = record
      if (hashes.push(hash.length > hashCharactersMax ? tooLongHash : hash) > hashesMax)
        throw invalidFile(`The file of hashes has more than ${hashesMax} lines. Split the import.`)
      keys.claim(record.externalId, hashes.length)
    }
  }
  return async (externalIds) => {
    const found = new Map<string, string>()
    for (const id of externalIds) {
      const hash = hashes[(keys.find(id) ?? 0) - 1]
      if (hash !== undefined) found.set(id, hash)
    }
    return found
  }
}
