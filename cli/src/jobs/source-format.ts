// Tells the format of a file of users by its content.
import { detectFormat, type NewImport } from '../../../client/src/index.ts'
import { CommandError } from '../exit-codes.ts'
import { readStart } from './source-file.ts'

type ImportFormat = NewImport['format']

export const formats: ImportFormat[] = [
  'ndjson',
  'csv',
  'keycloak',
  'auth0',
  'firebase',
  'cognito',
  'clerk',
  'supabase',
]

const startBytes = 65_536

/** @throws CommandError that names the formats that are possible, unless it is one */
export async function formatOf(file: string): Promise<ImportFormat> {
  const [format, ...others] = detectFormat(await readStart(file, startBytes))
  if (format !== undefined && others.length === 0) return format
  const possible = format === undefined ? formats : [format, ...others]
  throw new CommandError(
    'usage',
    `The format of ${file} is not clear from its content. Name it: --format ${possible.join('|')}.`,
  )
}
