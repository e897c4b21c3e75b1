// The formats of import files, and their parsers.
import type { ParseImport } from './row.ts'

// Each parser loads with the first job of its format.
const parsers = {
  ndjson: async () => (await import('./formats/ndjson.ts')).parseNdjson,
  csv: async () => (await import('./formats/csv.ts')).parseCsv,
} satisfies Record<string, () => Promise<ParseImport>>

export type ImportFormat = keyof typeof parsers
export const importFormats: ImportFormat[] = ['ndjson', 'csv']

export function loadParser(format: ImportFormat): Promise<ParseImport> {
  return parsers[format]()
}
