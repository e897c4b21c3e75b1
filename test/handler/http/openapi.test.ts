// The OpenAPI document against the running service: every operation is called, and both must agree.
import { expect, it } from 'vitest'
import { openApiDocument } from '../../../src/handler/http/openapi.ts'
import { endpoints } from '../../../src/handler/http/routes/index.ts'
import { runNextJob } from '../../../src/services/jobs/run.ts'
import { ndjson } from '../../support/import.ts'
import { png } from '../../support/picture.ts'
import { type CallOptions, startService, uniqueName } from '../../support/service.ts'

type Parameter = { name: string; in: string; style?: string; $ref?: string }
type Operation = {
  requestBody?: { content: Record<string, { schema: { properties?: Properties } }> }
  parameters: Parameter[]
  responses: Record<string, { headers: Record<string, unknown>; content?: Record<string, unknown> }>
}

const service = await startService()
const { call, connections, makeUser } = service
const document = (await openApiDocument()) as {
  paths: Record<string, Record<string, Operation>>
  components: { parameters: Record<string, Parameter> }
}

const runJobs = async () => {
  while (await runNextJob(connections, new AbortController().signal));
}
const makeImport = async () => {
  const { body } = await call('POST', '/import', { json: { format: 'ndjson' } })
  await call('PUT', `/import/${body.id}/file`, { body: ndjson([{ username: uniqueName() }]) })
  return body.id
}
const makeDoneImport = async () => {
  const id = await makeImport()
  await call('POST', `/import/${id}/start`)
  await runJobs()
  return id
}
const makeExport = async () => (await call('POST', '/export', { json: { format: 'csv' } })).body.id
const makeDoneExport = async () => {
  const id = await makeExport()
  await runJobs()
  return id
}
const makeBulk = async () =>
  (await call('POST', '/bulk', { json: { action: 'block', ids: [await userId()] } })).body.id
const makeDoneBulk = async () => {
  const id = await makeBulk()
  await runJobs()
  return id
}
const newUser = () => ({ username: uniqueName(), password: 'a-good-password' })
const userId = async () => (await makeUser()).id
const none = async () => ''
const picture = await png()

/** For each operation: makes what it needs, and a call that succeeds. */
const samples: Record<string, { prepare: () => Promise<string>; options?: () => CallOptions }> = {
  createUser: { prepare: none, options: () => ({ json: newUser() }) },
  listUsers: { prepare: none },
  getUser: { prepare: userId },
  replaceUser: { prepare: userId, options: () => ({ json: newUser() }) },
  patchUser: { prepare: userId, options: () => ({ json: { name: 'Ada' } }) },
  eraseUser: { prepare: userId },
  uploadAvatar: {
    prepare: userId,
    options: () => ({ body: picture, headers: { 'content-type': 'image/png' } }),
  },
  createImport: { prepare: none, options: () => ({ json: { format: 'ndjson' } }) },
  listImports: { prepare: none },
  getImport: { prepare: makeImport },
  putImportFile: { prepare: makeImport, options: () => ({ body: ndjson([]) }) },
  putImportHashes: { prepare: makeImport, options: () => ({ body: ndjson([]) }) },
  startImport: { prepare: makeImport },
  listImportErrors: { prepare: makeImport },
  listImportedUsers: { prepare: makeImport },
  undoImport: { prepare: makeDoneImport },
  cancelImport: { prepare: makeImport },
  createExport: { prepare: none, options: () => ({ json: { format: 'csv' } }) },
  listExports: { prepare: none },
  getExport: { prepare: makeExport },
  getExportFile: { prepare: makeDoneExport },
  cancelExport: { prepare: makeExport },
  createBulk: {
    prepare: none,
    options: () => ({ json: { action: 'block', filters: { username: 'nobody' } } }),
  },
  listBulks: { prepare: none },
  getBulk: { prepare: makeBulk },
  listBulkErrors: { prepare: makeBulk },
  undoBulk: { prepare: makeDoneBulk },
  cancelBulk: { prepare: makeBulk },
}

// HTTP's own, and those that every answer has.
const common =
  /^(connection|keep-alive|date|content-length|content-type|cache-control|x-content-type-options)$/

const operations = endpoints.map((endpoint) => {
  const { operationId, method, path } = endpoint
  const described = document.paths[path]?.[method.toLowerCase()]
  const sample = samples[operationId]
  if (!described || !sample) throw new Error(`${operationId} has no description or no sample`)
  const parameters = described.parameters.map(
    (each) => document.components.parameters[each.$ref?.split('/').at(-1) ?? ''] ?? each,
  )
  const send = async (
    change: { query?: string; headers?: Record<string, string>; token?: null; json?: unknown } = {},
  ) => {
    const options = change.json === undefined ? (sample.options?.() ?? {}) : { json: change.json }
    const id = await sample.prepare()
    return call<{ version?: number; errors?: { parameter: string; message: string }[] }>(
      method,
      path.replace('{id}', id) + (change.query ?? ''),
      {
        ...options,
        ...(change.token === null && { token: null }),
        headers: { ...options.headers, ...change.headers },
      },
    )
  }
  const named = (place: string) => parameters.filter((each) => each.in === place).map(({ name }) => name)
  return { operationId, endpoint, described, parameters, named, send }
})

it('every operation has a sample', () => {
  expect(Object.keys(samples).sort()).toEqual(operations.map(({ operationId }) => operationId).sort())
})

it.each(operations)(
  '$operationId answers with the statuses, headers and media types of its description',
  async ({ described, send }) => {
    const answers = [await send(), await send({ token: null }), await send({ query: '?unknown=1' })]
    expect(answers.slice(1).map(({ status }) => status)).toEqual([401, 400])
    for (const [at, { status, headers }] of answers.entries()) {
      const response = described.responses[status]
      expect(Object.keys(described.responses)).toContain(String(status))
      const sent = [...headers.keys()].filter((name) => !common.test(name)).sort()
      const known = Object.keys(response?.headers ?? {}).map((name) => name.toLowerCase())
      expect(known).toEqual(expect.arrayContaining(sent))
      // The last page has no link to the next one, and only a replica's answer has an age.
      if (at === 0) expect(sent).toEqual(known.filter((name) => !['age', 'link'].includes(name)).sort())
      const [type] = headers.get('content-type')?.split(';') ?? []
      expect(Object.keys(response?.content ?? {}).map((each) => each.split(';')[0])).toEqual(
        type === undefined ? [] : expect.arrayContaining([type]),
      )
    }
  },
)

it.each(operations)(
  '$operationId documents If-Match and If-None-Match if it compares versions',
  async ({ named, described, send }) => {
    const { status, body } = await send({ headers: { 'if-match': '"999999"' } })
    expect(status).toBe(412)
    const isCompared = body.version !== undefined
    for (const name of ['If-Match', 'If-None-Match']) expect(named('header').includes(name)).toBe(isCompared)
    expect(Object.keys(described.responses).includes('412')).toBe(isCompared)
  },
)

it.each(operations.filter(({ endpoint }) => endpoint.body))(
  'the example body of $operationId is accepted',
  async ({ endpoint, send }) => {
    const { status } = await send({ json: endpoint.body?.example })
    expect(status).toBe(endpoint.answers[0]?.status)
  },
)

type Properties = Record<string, { examples?: unknown[] }>
const bodyOf = (operation: Operation | undefined) =>
  operation?.requestBody?.content['application/json']?.schema.properties ?? {}

it('the examples of a hash and of an image are accepted', async () => {
  const [hash] = bodyOf(document.paths['/user']?.post).password_hash?.examples ?? []
  const json = { username: uniqueName(), password_hash: hash }
  expect((await call('POST', '/user', { json })).status).toBe(201)
  const [image] = bodyOf(document.paths['/upload/{id}']?.post).image_data?.examples ?? []
  expect((await call('POST', `/upload/${await userId()}`, { json: { image_data: image } })).status).toBe(200)
})

it.each(operations)(
  '$operationId documents the encodings of a body that it accepts',
  async ({ endpoint, named, send }) => {
    const { status } = await send({ headers: { 'content-encoding': 'gzip' } })
    const hasBody = endpoint.body !== undefined || endpoint.unparsedBody !== undefined
    expect(hasBody && status !== 415).toBe(named('header').includes('Content-Encoding'))
  },
)

it.each(operations)(
  '$operationId knows the query parameters that it documents, and no other',
  async ({ parameters, named, send }) => {
    const isKeyed = new Set(parameters.filter(({ style }) => style === 'form').map(({ name }) => name))
    const documented = named('query').map((name) => (isKeyed.has(name) ? `${name}.key` : name))
    const query = [...documented, 'unknown'].map((name) => `${name}=x`).join('&')
    const { status, body } = await send({ query: `?${query}` })
    expect(status).toBe(400)
    const unknown = body.errors?.filter(({ message }) => message.includes('is not a known'))
    expect(unknown?.map(({ parameter }) => parameter)).toEqual(['unknown'])
  },
)

it.each(operations)('$operationId refuses a parameter that is no text', async ({ send }) => {
  expect((await send({ query: '?unknown=%00&other=%FF' })).body.errors).toHaveLength(2)
})

it.each(operations)('$operationId takes the request id that it documents', async ({ named, send }) => {
  expect(named('header')).toContain('X-Request-Id')
  const { headers } = await send({ headers: { 'x-request-id': 'a.request-id' } })
  expect(headers.get('x-request-id')).toBe('a.request-id')
})

it.each(operations)('$operationId documents an id if its path has one', ({ endpoint, named }) => {
  expect(named('path')).toEqual(endpoint.path.includes('{id}') ? ['id'] : [])
})
