// Decodes images in JSON text: plain base64, or a data URI (RFC 2397).
import { ServiceError } from '../../model/errors.ts'
import { avatarBytesMax } from '../../model/user.ts'

/** Ignores the case of the scheme (RFC 3986, section 3.1). */
export function isDataUri(text: string): boolean {
  return text.slice(0, 5).toLowerCase() === 'data:'
}

/**
 * Decodes base64 (RFC 4648, section 4) with padding and without line breaks, in a `data:image/…;base64,…` URI or, if
 * the form is `either`, on its own.
 * @returns undefined if the text has another form, such as a data URI without base64
 * @throws ServiceError `too_large` above `avatarBytesMax`, before anything is decoded
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

// A parameter may hold a file name, percent-encoded or in quotes; elsewhere a comma ends the parameters.
const headerForm = /^data:image\/[a-z0-9.+-]+(?:;[^;,="]+(?:=(?:"(?:[^"\\]|\\.)*"|[^;,"]*))?)*; *base64,/i
/** A percent-encoded file name of 255 characters has up to 2,295. */
const headerLengthMax = 4_096
/** Allows for base64 in which every character is percent-encoded. */
const encodedLengthMax = Math.ceil(avatarBytesMax / 3) * 4 * 3

function decode(base64: string): Uint8Array | undefined {
  const padding = base64.endsWith('==') ? 2 : base64.endsWith('=') ? 1 : 0
  if (Math.floor((base64.length * 3) / 4) - padding > avatarBytesMax) throw tooLarge()
  const bytes = Buffer.from(base64, 'base64')
  // Buffer skips invalid characters, so only well-formed base64 survives the round trip.
  return bytes.toString('base64') === base64 ? bytes : undefined
}

export function tooLarge(): ServiceError {
  return new ServiceError('too_large', 'The image is larger than 5 MB. Scale it down.')
}
