// Reads a request's body up to a size limit, and parses JSON bodies.
import { invalid, ServiceError } from '../../model/errors.ts'
import { check, structuralFaults } from '../../model/validate.ts'
import type { HttpRequest, Schema } from './endpoint.ts'

/** @throws ServiceError `too_large` as soon as the limit is exceeded, without reading the rest; `unsupported_media_type` */
export async function readBytes(request: HttpRequest, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = request.header('content-encoding') ?? 'identity'
  if (encoding.toLowerCase() !== 'identity')
    throw new ServiceError(
      'unsupported_media_type',
      'Content-Encoding is not supported; send the body without compression.',
    )
  const bytes = await request.body(bytesMax)
  if (!bytes)
    throw new ServiceError('too_large', `The body must be at most ${bytesMax} bytes. Send a smaller one.`)
  return bytes
}

/** @returns the media type in lower case and without parameters; empty if there is none */
export function mediaType(request: HttpRequest): string {
  return (request.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** @throws ServiceError `invalid` with every fault found */
export function parseJson<T>(bytes: Uint8Array, schema: Schema<T>): T {
  if (hasTooManyMembers(bytes))
    throw invalid({ pointer: '', message: `must have at most ${membersMax} fields and items` })
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    const message =
      bytes.byteLength === 0
        ? 'is required; send JSON'
        : error instanceof SyntaxError
          ? 'must be well-formed JSON'
          : 'must be well-formed UTF-8'
    throw invalid({ pointer: '', message })
  }
  const structure = structuralFaults(value)
  if (structure.isUnbounded) throw invalid(...structure.faults)
  const checked = check(schema, value, 'pointer')
  if ('faults' in checked) throw invalid(...structure.faults, ...checked.faults)
  if (structure.faults.length > 0) throw invalid(...structure.faults)
  return checked.value
}

// Parsed JSON can take forty times its size in memory unless it is mostly long strings. Only an avatar makes a valid body
// large, and base64 contains none of these characters. Fifty contacts need far fewer than the limit.
const structuralBytes = [0x2c, 0x5b, 0x7b] // , [ {
const membersMax = 20_000

function hasTooManyMembers(bytes: Uint8Array): boolean {
  let members = 0
  for (const byte of structuralBytes)
    for (let at = bytes.indexOf(byte); at !== -1; at = bytes.indexOf(byte, at + 1))
      if (++members > membersMax) return true
  return false
}
