// The contract between the parsers of import files and the import itself.
import { type Fault, ServiceError } from '../../model/errors.ts'
import type { SourceOptions } from '../../model/import-options.ts'

/** One user of an import file, mapped to the API's fields but not validated. */
export type ImportRow = {
  /** The 1-based line where the row begins. In one JSON document, the user's 1-based position. */
  line: number
  /**
   * The fields of `createUserBody`; `password` is null where the row has no hash. Some sources also give `created_at`,
   * and our own formats `id`, `version`, `created_at`, `updated_at` and the contacts' ids.
   */
  user: Record<string, unknown>
  /** Faults of the source's form, which the schema cannot see. A row with faults is refused. */
  faults: Fault[]
}

/** A job's `mapping` and `options`, with the connections that a format needs. */
export type ImportOptions = SourceOptions & {
  /** CSV only: a column of the file, and the column of our format that it stands for. An empty text skips it. */
  mapping?: Record<string, string>
  /**
   * Auth0 only, where the hashes are in a file of their own: the hashes of these users, by `external_id`. It is called
   * once for each array of rows. Users without a hash are missing in the map.
   */
  hashesOf?: (externalIds: string[]) => Promise<Map<string, string>>
}

/**
 * Parses a decompressed file. Yields arrays of rows, some hundreds each, in the order of the file. The rows do not
 * depend on how the file is split into chunks.
 * @throws ServiceError `invalid` if the file is not of this format, or ends in the middle of a user
 */
export type ParseImport = (
  bytes: AsyncIterable<Uint8Array>,
  options: ImportOptions,
) => AsyncIterable<ImportRow[]>

/** A row that cannot be mapped. @param message completes "The row …" */
export function refusedRow(line: number, message: string): ImportRow {
  return { line, user: {}, faults: [{ pointer: '', message }] }
}

/** The whole file is refused. @param message is for the caller */
export function invalidFile(message: string, cause?: unknown): ServiceError {
  return new ServiceError('invalid', message, { cause })
}
