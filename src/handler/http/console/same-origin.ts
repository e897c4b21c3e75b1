// Protects the console's session from pages of other origins (CSRF). The cookie is SameSite=Strict, but other origins of the
// same site send it, too.
import { ServiceError } from '../../../model/errors.ts'
import type { HttpRequest } from '../endpoint.ts'

/**
 * Checks a request that changes something: forms cannot send the header, and pages of other origins may not.
 * @throws ServiceError `forbidden`
 */
export function checkChange(request: HttpRequest, ownOrigin: string): void {
  if (request.header('x-console') !== '1')
    throw new ServiceError('forbidden', 'The header X-Console: 1 is required for requests of the console.')
  const site = request.header('sec-fetch-site')
  // Browsers that do not send the site send the origin with every change.
  if (site === undefined ? request.header('origin') !== ownOrigin : site !== 'same-origin')
    throw otherOrigin()
}

/** Checks a request that reads data of the session. A person may also open the address. @throws ServiceError `forbidden` */
export function checkRead(request: HttpRequest): void {
  const site = request.header('sec-fetch-site')
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw otherOrigin()
}

function otherOrigin(): ServiceError {
  return new ServiceError('forbidden', 'Only pages of the console may send this request.')
}
