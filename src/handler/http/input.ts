// Validates the parts of a request. Each check returns its faults, so that one answer can list them all.
import { type Fault, ServiceError } from '../../model/errors.ts'
import { textFault } from '../../model/text.ts'
import { readUuid } from '../../model/uuid.ts'
import { type Checked, check, unknownMessage } from '../../model/validate.ts'
import { mediaType, parseJson, readBytes } from './body.ts'
import type { Endpoint, HttpRequest, Schema } from './endpoint.ts'
import { readQueryString } from './query-string.ts'

/** Returns the checked value, or adds the faults to `faults`. */
export function takeValue<T>(checked: Checked<T>, faults: Fault[]): T | undefined {
  if ('value' in checked) return checked.value
  faults.push(...checked.faults)
  return undefined
}

export function checkId(text: string): Checked<string> {
  const id = readUuid(text)
  return id === undefined ? { faults: [{ parameter: 'id', message: 'must be a UUID' }] } : { value: id }
}

/** @param schema undefined for an endpoint without query parameters */
export function checkQuery(schema: Schema | undefined, { query }: HttpRequest): Checked<unknown> {
  if (query === '' && !schema) return { value: undefined }
  const faults: Fault[] = []
  // Without a prototype, because clients choose the names.
  const values: Record<string, string> = Object.create(null)
  for (const { name, value } of readQueryString(query)) {
    const message =
      name === '__proto__'
        ? unknownMessage('parameter')
        : name in values
          ? 'must be sent only once'
          : value === undefined
            ? 'must be percent-encoded UTF-8; write % as %25'
            : textFault(value)
    if (message !== undefined) faults.push({ parameter: name.slice(0, 100), message })
    else if (value !== undefined) values[name] = value
  }
  if (!schema) {
    const unknown = Object.keys(values).map((name) => ({
      parameter: name.slice(0, 100),
      message: unknownMessage('parameter'),
    }))
    faults.push(...unknown)
    return faults.length > 0 ? { faults } : { value: undefined }
  }
  const checked = check(schema, { ...values }, 'parameter')
  if ('faults' in checked) return { faults: [...faults, ...checked.faults] }
  return faults.length > 0 ? { faults } : checked
}

/** @throws ServiceError for a body that is rejected as a whole, such as one of another media type */
export async function checkBody({ body }: Endpoint, request: HttpRequest): Promise<Checked<unknown>> {
  if (!body) return { value: undefined }
  if (!body.mediaTypes.includes(mediaType(request)))
    throw new ServiceError(
      'unsupported_media_type',
      `The Content-Type is not supported; send ${body.mediaTypes.join(' or ')}.`,
    )
  try {
    return { value: parseJson(await readBytes(request, body.bytesMax), await body.schema()) }
  } catch (error) {
    // Without faults the request as a whole is malformed.
    if (error instanceof ServiceError && error.code === 'invalid' && error.faults.length > 0)
      return { faults: error.faults }
    throw error
  }
}
