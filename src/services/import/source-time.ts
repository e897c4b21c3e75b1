// Times as other systems write them.
import { readInstant } from '../../model/instant.ts'

/**
 * Reads milliseconds since 1970 as a number or text, ISO 8601, and PostgreSQL's form (`2024-02-26 14:04:29.15+00`).
 * @returns the instant in the API's form, cut to milliseconds; undefined if it is no time from the year 1 to 9999
 */
export function toInstant(value: unknown): string | undefined {
  if (typeof value === 'number' || (typeof value === 'string' && /^\d{1,15}$/.test(value))) {
    const date = new Date(Number(value))
    const text = Number.isNaN(date.getTime()) ? undefined : date.toISOString()
    return text?.length === 24 ? text : undefined
  }
  if (typeof value !== 'string' || value.length > 64) return undefined
  const text = readInstant(value.replace(/^(\d{4}-\d\d-\d\d) /, '$1T'))
  return text === undefined ? undefined : `${text.slice(0, 23)}Z`
}
