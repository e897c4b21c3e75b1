// Parses query strings strictly. URLSearchParams would replace invalid UTF-8 by U+FFFD and keep a stray `%`, and the
// service would then search for the client's mistake.

type Parameter = {
  /** As sent if it cannot be decoded. */
  name: string
  /** undefined if the name or the value is not percent-encoded UTF-8 */
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
    // API Gateway decodes the parameters of REST events and puts U+FFFD for invalid UTF-8.
    return decoded.includes('\ufffd') ? undefined : decoded
  } catch {
    return undefined
  }
}
