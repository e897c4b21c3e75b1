// Which host a request is for (RFC 9112, section 3.2; RFC 9110, section 7.4).
import { invalid, ServiceError } from '../../model/errors.ts'

export type Addressed = {
  httpVersion: string
  /** The Host header; those of a repeated one joined by commas. */
  host: string | undefined
  /** The host that a request target in absolute form names. It counts instead of the header's. */
  authority: string | undefined
}

// RFC 3986, section 3.2.2. A repeated header has a space after its comma, which no host has.
const form = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i
const loopback = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d*)?$/i

/**
 * @param isLoopback the server is this machine's alone: a web page whose host name leads here must not get in (DNS
 *   rebinding)
 * @returns a check that throws ServiceError `invalid`, `misdirected` or `version_not_supported`
 */
export function createHostCheck(isLoopback: boolean): (request: Addressed) => void {
  // Nearly all requests name the same host, and reading it costs a tenth of a cached read.
  let accepted: string | undefined
  return (request) => {
    const { host } = request
    if (host !== undefined && host === accepted && request.httpVersion === '1.1' && !request.authority) return
    checkHost(request, isLoopback)
    accepted = request.authority === undefined ? host : accepted
  }
}

function checkHost(request: Addressed, isLoopback: boolean): void {
  const { httpVersion, host } = request
  if (!httpVersion.startsWith('1.'))
    throw new ServiceError(
      'version_not_supported',
      'This server speaks HTTP/1.1. Send a request of that version.',
    )
  const isMissing = host === undefined && httpVersion !== '1.0'
  if (isMissing || (host !== undefined && !form.test(host)))
    throw invalid({ header: 'Host', message: 'must be given once, as a host with or without a port' })
  if (!isLoopback) return
  const asked = request.authority ?? host
  if (asked !== undefined && !loopback.test(asked))
    throw new ServiceError(
      'misdirected',
      'With the local issuer this server answers for localhost, 127.0.0.1 and [::1] only. Use one of these.',
    )
}
