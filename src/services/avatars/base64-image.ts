// Reads images out of JSON text: base64 on its own, or a data URI (RFC 2397).
import { ServiceError } from '../../model/errors.ts'
import { avatarBytesMax } from '../../model/user.ts'

/** RFC 3986, section 3.1: a URI's scheme is the same in either case. */
export function isDataUri(text: string): boolean {
  return text.slice(0, 5).toLowerCase() === 'data:'
}

/**
 * Reads base64 as RFC 4648, section 4, has it, with its padding and without line breaks, in a
 * `data:image/…;base64,…` URI or, where the form is `either`, on its own. Data URIs without base64 are not read.
 *
 * @returns undefined where the text is not of that form
 * @throws ServiceError `too_large` for more than `avatarBytesMax`, judged before anything is decoded
 */
export function decodeBase64Image(text: string, form: 'data-uri' | 'either'): Uint8Array | undefined {
  if (!isDataUri(text)) return form === 'either' ? decode(text) : undefined
  const start = headerForm.exec(text.slice(0, headerLengthMax))?.[0].length
  if (start === undefined) return undefined
  const payload = text.slice(start)
  if (!payload.includes('%')) return decode(payload)
  if (payload.length > encodedLengthMax) throw tooLarge()
  try {
    return decode(decodeURIComponent(payload))
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

// The parameters may be anything, such as a file's name, percent-encoded or in quotes: a comma ends them elsewhere.
const headerForm = /^data:image\/[a-z0-9.+-]+(?:;[^;,="]+(?:=(?:"(?:[^"\\]|\\.)*"|[^;,"]*))?)*; *base64,/i
/** A name of 255 characters has up to 2,295 when it is percent-encoded. */
const headerLengthMax = 4_096
/** Of base64 each character of which is percent-encoded. */
const encodedLengthMax = Math.ceil(avatarBytesMax / 3) * 4 * 3

function decode(base64: string): Uint8Array | undefined {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0
  if (Math.floor((base64.length * 3) / 4) - padding > avatarBytesMax) throw tooLarge()
  const bytes = Buffer.from(base64, 'base64')
  // Buffer skips what is not base64; only well-formed text comes back as it was.
  return bytes.toString('base64') === base64 ? bytes : undefined
}

export function tooLarge(): ServiceError {
  return new ServiceError('too_large', 'The image is larger than 5 MB. Scale it down.')
}
