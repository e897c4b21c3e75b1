// Conditional requests (RFC 9110, section 13). An ETag is the user's version in quotes.
import { invalid } from '../model/errors.ts'
import type { IfMatch } from '../services/users/write.ts'
import type { HttpRequest } from './endpoint.ts'

const entityTags = /^\s*(?:W\/)?"[^"]*"(?:\s*,\s*(?:W\/)?"[^"]*")*\s*$/

/** @throws ServiceError `invalid` for a header that is neither `*` nor a list of entity tags */
export function readIfMatch(request: HttpRequest): IfMatch | undefined {
  const header = request.header('if-match')
  if (header === undefined) return undefined
  if (header.trim() === '*') return '*'
  if (header.length > 1_000 || !entityTags.test(header))
    throw invalid({ header: 'If-Match', message: 'must be a version in double quotes, such as "3", or *' })
  // If-Match compares strongly: a weak tag matches nothing. Nor does a tag that is no version of ours.
  return [...header.matchAll(/(W\/)?"([^"]*)"/g)]
    .filter(([, weak, tag]) => !weak && /^[1-9]\d{0,8}$/.test(tag ?? ''))
    .map(([, , tag]) => Number(tag))
}

export function isNotModified(request: HttpRequest, version: number): boolean {
  const header = request.header('if-none-match')
  if (header === undefined) return false
  return (
    header.trim() === '*' ||
    header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === `"${version}"`)
  )
}
