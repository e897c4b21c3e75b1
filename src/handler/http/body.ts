// Reads a request's body within a bound, whether its length is declared or not.
import { invalid, ServiceError } from '../../model/errors.ts'
import { check, structuralFaults } from '../../model/validate.ts'
import type { HttpRequest, Schema } from './endpoint.ts'

/** @throws ServiceError `too_large` as soon as the bound is passed; the rest is not read. `unsupported_media_type` */
export async function readBytes(request: HttpRequest, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
  const coding = request.header('content-encoding') ?? 'identity'
  if (coding.toLowerCase() !== 'identity')
    throw new ServiceError('unsupported_media_type', 'A body with a Content-Encoding is not taken.')
  const bytes = await request.body(bytesMax)
  if (!bytes)
    throw new ServiceError('too_large', `The body is too large: at most ${bytesMax} bytes are taken here.`)
  return bytes
}

/** The media type without its parameters, in lower case; empty when there is none. */
export function mediaType(request: HttpRequest): string {
  return (request.header('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/**
 * A JSON body against its schema, with every fault found.
 * @throws ServiceError `invalid`
 */
export function parseJson<T>(bytes: Uint8Array, schema: Schema<T>): T {
  if (hasTooManyParts(bytes)) throw invalid({ pointer: '', message: 'has too many fields and items' })
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (error) {
    const message =
      bytes.byteLength === 0
        ? 'a JSON body is required'
        : error instanceof SyntaxError
          ? 'is not well-formed JSON'
          : 'is not well-formed UTF-8'
    throw invalid({ pointer: '', message })
  }
  const structure = structuralFaults(value)
  if (structure.isUnbounded) throw invalid(...structure.faults)
  const checked = check(schema, value, 'pointer')
  if ('faults' in checked) throw invalid(...structure.faults, ...checked.faults)
  if (structure.faults.length > 0) throw invalid(...structure.faults)
  return checked.value
}

// Parsed, JSON can take forty times its size in memory, unless it is mostly long strings. Only an avatar makes
// a valid body large, and base64 holds none of these: this is more than fifty contacts can be written with.
const structuralBytes = [0x2c, 0x5b, 0x7b] // , [ {
const partsMax = 20_000

function hasTooManyParts(bytes: Uint8Array): boolean {
  let parts = 0
  for (const byte of structuralBytes)
    for (let at = bytes.indexOf(byte); at !== -1; at = bytes.indexOf(byte, at + 1))
      if (++parts > partsMax) return true
  return false
}
