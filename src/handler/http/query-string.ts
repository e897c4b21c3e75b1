// The parameters of a query string, without the leniency of URLSearchParams: that turns bytes that are no UTF-8 into
// U+FFFD and keeps a `%` that begins no escape, so that a mistake would be searched for.

type Parameter = {
  /** As it was sent, where it cannot be decoded. */
  name: string
  /** undefined when the name or the value is not percent-encoded UTF-8 */
  value: string | undefined
}

export function readQueryString(query: string): Parameter[] {
  return query
    .split('&')
    .filter(Boolean)
    .map((part) => {
      const [sent, ...rest] = part.split('=')
      const name = decode(sent ?? '')
      return name === undefined
        ? { name: sent ?? '', value: undefined }
        : { name, value: decode(rest.join('=')) }
    })
}

function decode(text: string): string | undefined {
  try {
    const decoded = decodeURIComponent(text.replaceAll('+', ' '))
    // API Gateway's REST events hold parameters that it has decoded, with U+FFFD for bytes that are no UTF-8.
    return decoded.includes('\ufffd') ? undefined : decoded
  } catch {
    return undefined
  }
}
