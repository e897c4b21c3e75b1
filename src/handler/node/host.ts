// Checks the host that a request is for (RFC 9112, section 3.2; RFC 9110, section 7.4).
import { invalid, ServiceError } from '../../model/errors.ts'

export type HostedRequest = {
  httpVersion: string
  /** The Host header; repeated ones are joined by commas. */
  host: string | undefined
  /** The host of a request target in absolute form, which overrides the header. */
  authority: string | undefined
}

// RFC 3986, section 3.2.2. A repeated header does not match, because its values are joined by a comma and a space.
const hostPattern = /^(?:\[[\da-f:.]+\]|(?:[\w.~!$&'()*+,;=-]|%[\da-f]{2})*)(?::\d*)?$/i
const loopbackPattern = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d*)?$/i

/**
 * @param isLoopback the server is for this machine only. It must reject pages whose host name resolves to it (DNS
 *   rebinding).
 * @returns a check that throws ServiceError `invalid`, `misdirected` or `version_not_supported`
 */
export function createHostCheck(isLoopback: boolean): (request: HostedRequest) => void {
  // Nearly all requests have the same host, and checking it costs a tenth of a cached read.
  let accepted: string | undefined
  return (request) => {
    const { host } = request
    if (host !== undefined && host === accepted && request.httpVersion === '1.1' && !request.authority) return
    checkHost(request, isLoopback)
    accepted = request.authority === undefined ? host : accepted
  }
}

function checkHost(request: HostedRequest, isLoopback: boolean): void {
  const { httpVersion, host } = request
  if (!httpVersion.startsWith('1.'))
    throw new ServiceError('version_not_supported', 'This HTTP version is not supported; send HTTP/1.1.')
  const isMissing = host === undefined && httpVersion !== '1.0'
  if (isMissing || (host !== undefined && !hostPattern.test(host)))
    throw invalid({ header: 'Host', message: 'must be sent exactly once, as a host with an optional port' })
  if (!isLoopback) return
  const target = request.authority ?? host
  if (target !== undefined && !loopbackPattern.test(target))
    throw new ServiceError(
      'misdirected',
      'With the local issuer this server accepts the hosts localhost, 127.0.0.1 and [::1] only. Use one of these.',
    )
}
