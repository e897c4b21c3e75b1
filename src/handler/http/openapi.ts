// Builds the OpenAPI 3.1 document from the endpoints, the schemas and the problem types.
import * as z from 'zod/mini'
import manifest from '../../../package.json' with { type: 'json' }
import { problemSchema } from '../../model/problem.ts'
import { userSchema } from '../../model/user.ts'
import type { Endpoint, LazySchema, Schema } from './endpoint.ts'
import { headerComponents, requestHeaders, responseHeaders } from './openapi-headers.ts'
import { problemDescriptions } from './problem-descriptions.ts'
import { type ProblemCode, problemTypes } from './problem-types.ts'
import { endpoints } from './routes/index.ts'

type Json = Record<string, unknown>

const commonProblems: ProblemCode[] = [
  'invalid',
  'unauthenticated',
  'forbidden',
  'misdirected',
  'overloaded',
  'internal',
  'unavailable',
]

let document: Promise<Json> | undefined

export function openApiDocument(): Promise<Json> {
  document ??= build()
  return document
}

type Refer = (schema: LazySchema, io: 'input' | 'output') => Json

async function build(): Promise<Json> {
  const components: Json = {}
  const loaded = new Map<LazySchema, Schema>()
  for (const schema of endpoints.flatMap(schemasOf)) loaded.set(schema, await schema())
  const refer: Refer = (schema, io) => toJsonSchema(loaded.get(schema) ?? z.never(), io, components)
  const problem = {
    'application/problem+json': { schema: toJsonSchema(problemSchema, 'output', components) },
  }
  const paths: Record<string, Json> = {}
  for (const endpoint of endpoints) {
    paths[endpoint.path] = {
      ...paths[endpoint.path],
      [endpoint.method.toLowerCase()]: operation(endpoint, refer, problem),
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'User directory',
      version: manifest.version,
      description:
        'Create, find, change and block users, with avatars and contacts. Every route needs a Cognito JWT. Errors are RFC 9457 problem documents.',
      license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    tags: [...new Set(endpoints.map(({ tag }) => tag))],
    paths,
    components: {
      ...headerComponents,
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: components,
    },
  }
}

function schemasOf({ query, body, unparsedBody = {}, answers }: Endpoint): LazySchema[] {
  const bodies = Object.values(unparsedBody).filter((form) => typeof form === 'function')
  return [query, body?.schema, ...bodies, ...answers.map(({ schema }) => schema)].filter(
    (schema) => schema !== undefined,
  )
}

function operation(endpoint: Endpoint, refer: Refer, problem: Json): Json {
  const body = requestBody(endpoint, refer)
  const problems: ProblemCode[] = [
    ...commonProblems,
    ...(body ? (['timed_out'] as const) : []),
    ...(endpoint.isVersioned ? (['version_mismatch'] as const) : []),
    ...endpoint.problems,
  ]
  return {
    operationId: endpoint.operationId,
    summary: endpoint.summary,
    ...(endpoint.description && { description: endpoint.description }),
    tags: [endpoint.tag.name],
    parameters: parameters(endpoint, refer),
    ...(body && { requestBody: { required: true, content: body } }),
    responses: {
      ...Object.fromEntries(
        endpoint.answers.map(({ status, description, schema, fileTypes, headers: names, location }) => [
          status,
          {
            description,
            headers: responseHeaders(names, location),
            ...(schema && { content: { 'application/json': { schema: refer(schema, 'output') } } }),
            ...(fileTypes && { content: Object.fromEntries(fileTypes.map((type) => [type, {}])) }),
          },
        ]),
      ),
      ...Object.fromEntries(
        problems
          .map((code) => ({ ...problemTypes[code], ...problemDescriptions[code] }))
          .map(({ status, description, headers: names }) => [
            status,
            { description, headers: responseHeaders(names), content: problem },
          ]),
      ),
    },
  }
}

function requestBody({ body, unparsedBody }: Endpoint, refer: Refer): Json | undefined {
  if (body)
    return Object.fromEntries(
      body.mediaTypes.map((type) => [type, { schema: refer(body.schema, 'input'), example: body.example }]),
    )
  return (
    unparsedBody &&
    Object.fromEntries(
      Object.entries(unparsedBody).map(([type, form]) => [type, { schema: schemaOfForm(form, refer) }]),
    )
  )
}

function schemaOfForm(form: LazySchema | 'binary' | 'form', refer: Refer): Json {
  if (form === 'binary') return {}
  if (form !== 'form') return refer(form, 'input')
  const file = { type: 'string', contentMediaType: 'application/octet-stream' }
  return { type: 'object', properties: { file }, required: ['file'] }
}

function parameters(endpoint: Endpoint, refer: Refer): Json[] {
  const query = (endpoint.query ? refer(endpoint.query, 'input') : {}) as {
    properties?: Record<string, Json>
  }
  const hasId = endpoint.path.includes('{id}')
  return [
    ...(hasId
      ? [{ name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }]
      : []),
    ...Object.entries(query.properties ?? {}).map(([name, { description, ...schema }]) => ({
      name,
      in: 'query',
      required: false,
      ...(description !== undefined && { description }),
      ...(schema.type === 'object' ? keyedParameter(name, schema) : { schema }),
    })),
    ...requestHeaders(endpoint),
  ]
}

/** An object stands for one parameter for each key, named `<name>.<key>`: OpenAPI's style `form`, exploded. */
function keyedParameter(name: string, { propertyNames, ...schema }: Json): Json {
  const { pattern } = propertyNames as { pattern: string }
  return {
    style: 'form',
    explode: true,
    schema: {
      ...schema,
      propertyNames: { pattern: pattern.replace('^', `^${name}\\.`) },
      // The docs page would send an example of its own.
      default: {},
    },
  }
}

const componentNames = new Map<unknown, string>([
  [userSchema, 'User'],
  [problemSchema, 'Problem'],
])

/** Converts a schema. One with a component name is added to `components` and referred to. */
function toJsonSchema(schema: Schema, io: 'input' | 'output', components: Json): Json {
  const { $schema: _, ...converted } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // The format is enough; zod's pattern for it is a page long.
      if (jsonSchema.format) delete jsonSchema.pattern
      const name = componentNames.get(zodSchema)
      if (name === undefined || zodSchema === (schema as unknown)) return
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
      jsonSchema.$ref = `#/components/schemas/${name}`
    },
  }) as Json
  const name = componentNames.get(schema)
  if (name === undefined) return converted
  components[name] = converted
  return { $ref: `#/components/schemas/${name}` }
}
