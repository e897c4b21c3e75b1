// The parsers of import files, by format.
import type { ImportFormat } from '../../model/job.ts'
import type { ParseImport } from './row.ts'

// Each parser loads with the first job of its format.
const parsers: Record<ImportFormat, () => Promise<ParseImport>> = {
  ndjson: async () => (await import('./formats/ndjson.ts')).parseNdjson,
  csv: async () => (await import('./formats/csv.ts')).parseCsv,
  keycloak: async () => (await import('./formats/keycloak.ts')).parseKeycloak,
  auth0: async () => (await import('./formats/auth0.ts')).parseAuth0,
  firebase: async () => (await import('./formats/firebase.ts')).parseFirebase,
  cognito: async () => (await import('./formats/cognito.ts')).parseCognito,
  clerk: async () => (await import('./formats/clerk.ts')).parseClerk,
  supabase: async () => (await import('./formats/supabase.ts')).parseSupabase,
}

export function loadParser(format: ImportFormat): Promise<ParseImport> {
  return parsers[format]()
}
