// Where the browser goes after a sign-in: a page of the console, and nowhere else (open redirects: RFC 9700, section 4.11).
import { invalid } from '../../../model/errors.ts'

const lengthMax = 2_000
// A sign-in that leads to a sign-in would never end.
const notPages = /^\/console\/(sign-in|callback|api|session|sign-out|health)(\/|$)/

/** @returns path, query and fragment below /console/ @throws ServiceError `invalid` */
export function readReturnTo(query: string, origin: string): string {
  const given = new URLSearchParams(query).get('return_to') ?? '/console/'
  if (given.length <= lengthMax && given.startsWith('/') && URL.canParse(given, origin)) {
    // The parser resolves dot segments and backslashes as browsers do.
    const { origin: target, pathname, search, hash } = new URL(given, origin)
    if (target === origin && pathname.startsWith('/console/') && !notPages.test(pathname))
      return pathname + search + hash
  }
  throw invalid({
    parameter: 'return_to',
    message: `must be the path of a page below /console/, of at most ${lengthMax} characters`,
  })
}
