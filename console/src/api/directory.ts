// The API as the signed-in person. The backend adds the token, so the browser never has one.
import { openUserDirectory } from '../../../client/src/index.ts'
import { sessionEnd } from './session-end.ts'

export {
  ConnectionError,
  detectFormat,
  type Fault,
  hasEnded,
  type Job,
  type NewBulkChange,
  type NewImport,
  ProblemError,
  type User,
  type UserChanges,
  type UserQuery,
} from '../../../client/src/index.ts'

/** A form of another origin cannot send this header. */
export const consoleHeaders = { 'X-Console': '1' }

const open = (headers: Record<string, string>) =>
  openUserDirectory({
    url: `${location.origin}/console/api`,
    token: '',
    // The person decides whether to try again.
    attemptsMax: 1,
    fetch: (request) => consoleFetch(request, headers),
  })

export const { users: directory, imports, exports, bulk } = open(consoleHeaders)

/** Calls that the page repeats by itself. They do not keep the session in use. */
export const polls = open({ ...consoleHeaders, 'X-Console-Poll': '1' })

/** The list before the session is known. A person who may not see it gets an empty answer (204) instead of an error. */
export const { users: earlyDirectory } = open({ ...consoleHeaders, 'X-Console-Early': '1' })

async function consoleFetch(request: Request, headers: Record<string, string>): Promise<Response> {
  // A file may go to a store by a signed address, which takes no header of ours.
  if (new URL(request.url).origin !== location.origin) return fetch(request)
  request.headers.delete('authorization')
  for (const [name, value] of Object.entries(headers)) request.headers.set(name, value)
  const response = await fetch(request)
  if (response.status === 401) sessionEnd.set(true)
  return response
}
