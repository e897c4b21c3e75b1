// Conditional requests (RFC 9110, section 13): If-Match and If-None-Match, on every method. An ETag is the user's version
// in quotes. Conditions on dates are ignored, because no answer has Last-Modified (13.1.3, 13.1.4).
import type { Fault } from '../../model/errors.ts'
import type { Checked } from '../../model/validate.ts'
import type { ConditionName, Precondition } from '../../services/users/precondition.ts'
import type { HttpRequest } from './endpoint.ts'

type EntityTag = { opaque: string; isWeak: boolean }
type Condition = '*' | EntityTag[]

const none = { value: undefined }

/** @returns undefined as the value if the request has no condition; a fault for each malformed header */
export function readPrecondition(request: HttpRequest): Checked<Precondition | undefined> {
  const ifMatchHeader = request.header('if-match')
  const ifNoneMatchHeader = request.header('if-none-match')
  if (ifMatchHeader === undefined && ifNoneMatchHeader === undefined) return none
  const ifMatch = parseCondition(ifMatchHeader)
  const ifNoneMatch = parseCondition(ifNoneMatchHeader)
  const faults = [
    ...(ifMatch === 'malformed' ? [malformed('If-Match')] : []),
    ...(ifNoneMatch === 'malformed' ? [malformed('If-None-Match')] : []),
  ]
  if (ifMatch === 'malformed' || ifNoneMatch === 'malformed') return { faults }
  // The order of section 13.2.2.
  const precondition: Precondition = (version) => {
    if (ifMatch && !matches(ifMatch, version, 'strong')) return 'If-Match'
    if (ifNoneMatch && matches(ifNoneMatch, version, 'weak')) return 'If-None-Match'
    return undefined
  }
  return { value: precondition }
}

/** Sections 13.1.1, 13.1.2 and 8.8.3.2. `*` matches everything that exists, with or without a version. */
function matches(condition: Condition, version: number | undefined, comparison: 'strong' | 'weak'): boolean {
  if (condition === '*') return true
  if (version === undefined) return false
  const current = String(version)
  return condition.some(({ opaque, isWeak }) => opaque === current && (comparison === 'weak' || !isWeak))
}

function malformed(header: ConditionName): Fault {
  return { header, message: 'must be a version in double quotes, such as "3", a list of them, or *' }
}

// One list element, which may be empty (5.6.1.2), up to the next. It runs in linear time, because its parts never match
// the same text.
const element = /(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*)?(?:,[ \t]*|$)/y

function parseCondition(header: string | undefined): Condition | 'malformed' | undefined {
  const text = header?.trim()
  if (text === undefined || text === '*') return text
  const tags: EntityTag[] = []
  element.lastIndex = 0
  while (element.lastIndex < text.length) {
    const match = element.exec(text)
    if (!match) return 'malformed'
    const [, weak, opaque] = match
    if (opaque !== undefined) tags.push({ opaque, isWeak: weak !== undefined })
  }
  return tags
}
