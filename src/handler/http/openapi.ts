// The OpenAPI 3.1 document, made from the same endpoints and schemas that the service runs on.
import * as z from 'zod/mini'
import { problemSchema } from '../../model/problem.ts'
import { userSchema } from '../../model/user.ts'
import { endpoints } from './app.ts'
import type { Answer, Endpoint, LazySchema, Schema } from './endpoint.ts'

type Json = Record<string, unknown>

const headers: Record<NonNullable<Answer['headers']>[number], Json> = {
  ETag: {
    description: "The user's version in double quotes.",
    schema: { type: 'string', examples: ['"3"'] },
  },
  Location: { description: "The new user's path.", schema: { type: 'string' } },
  Link: { description: 'The next page, with rel="next".', schema: { type: 'string' } },
  'X-Cache': {
    description: 'Where the answer came from.',
    schema: { type: 'string', enum: ['hit', 'miss', 'bypass'] },
  },
}

const problems: Record<number, string> = {
  400: 'Malformed input; every fault is listed',
  401: 'No valid token',
  403: 'The token does not allow this',
  404: 'No such user',
  408: 'The body came too slowly; the connection is closed',
  409: 'The username is taken',
  412: 'If-Match or If-None-Match failed; `version` is the current one',
  413: 'The body is too large',
  415: 'The media type is not taken',
  421: 'The Host header is not of this machine (with the local issuer only)',
  422: 'The image does not decode, or has more than 40 megapixels',
  429: 'Overloaded, and nothing was done; try again after Retry-After',
  503: 'A dependency cannot be reached; try again after Retry-After',
  500: 'A fault of the service',
}
const challenge = {
  'WWW-Authenticate': {
    description: 'RFC 6750: `error` is absent without a token, else `invalid_token` or `insufficient_scope`.',
    schema: { type: 'string', examples: ['Bearer realm="user-directory", error="invalid_token"'] },
  },
}
const retryAfter = {
  'Retry-After': { description: 'In seconds.', schema: { type: 'integer', examples: [2] } },
}
const problemHeaders: Record<number, Json> = {
  401: challenge,
  403: challenge,
  412: { ETag: headers.ETag },
  429: retryAfter,
  503: retryAfter,
}
const commonProblems = [400, 401, 403, 421, 429, 500, 503]

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
  for (const definition of endpoints) {
    paths[definition.path] = {
      ...paths[definition.path],
      [definition.method.toLowerCase()]: operation(definition, refer, problem),
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'User directory',
      version: '1.0.0',
      description:
        'Create, find, change and block users, with avatars and contacts. Every route needs a Cognito JWT. Errors are RFC 9457 problem documents.',
      license: { name: 'Proprietary', identifier: 'LicenseRef-Proprietary' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    tags: [
      { name: 'users', description: 'Create, find, change and erase users' },
      { name: 'avatars', description: 'Upload avatars' },
    ],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas: components,
    },
  }
}

function schemasOf({ query, body, ownBody = {}, answers }: Endpoint): LazySchema[] {
  return [query, body?.schema, ...Object.values(ownBody), ...answers.map(({ schema }) => schema)].filter(
    (schema) => schema !== undefined && schema !== 'binary',
  )
}

function operation(definition: Endpoint, refer: Refer, problem: Json): Json {
  const hasBody = definition.body !== undefined || definition.ownBody !== undefined
  const statuses = [...commonProblems, ...(hasBody ? [408] : []), ...definition.problems].sort(
    (a, b) => a - b,
  )
  const body = requestBody(definition, refer)
  return {
    operationId: definition.operationId,
    summary: definition.summary,
    ...(definition.description && { description: definition.description }),
    tags: [definition.path.startsWith('/upload') ? 'avatars' : 'users'],
    parameters: parameters(definition, refer),
    ...(body && { requestBody: { required: true, content: body } }),
    responses: {
      ...Object.fromEntries(
        definition.answers.map(({ status, description, schema, headers: names = [] }) => [
          status,
          {
            description,
            ...(names.length > 0 && {
              headers: Object.fromEntries(names.map((name) => [name, headers[name]])),
            }),
            ...(schema && { content: { 'application/json': { schema: refer(schema, 'output') } } }),
          },
        ]),
      ),
      ...Object.fromEntries(
        statuses.map((status) => [
          status,
          {
            description: problems[status] ?? 'A problem',
            ...(problemHeaders[status] && { headers: problemHeaders[status] }),
            content: problem,
          },
        ]),
      ),
    },
  }
}

function requestBody(definition: Endpoint, refer: Refer): Json | undefined {
  const { body, ownBody } = definition
  if (body)
    return Object.fromEntries(body.mediaTypes.map((type) => [type, { schema: refer(body.schema, 'input') }]))
  if (!ownBody) return undefined
  return Object.fromEntries(
    Object.entries(ownBody).map(([type, schema]) => {
      if (schema !== 'binary') return [type, { schema: refer(schema, 'input') }]
      if (type !== 'multipart/form-data') return [type, { schema: {} }]
      const file = { type: 'string', contentMediaType: 'application/octet-stream' }
      return [type, { schema: { type: 'object', properties: { file }, required: ['file'] } }]
    }),
  )
}

function parameters(definition: Endpoint, refer: Refer): Json[] {
  const query = (definition.query ? refer(definition.query, 'input') : {}) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  return [
    ...(definition.path.includes('{id}')
      ? [{ name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }]
      : []),
    ...Object.entries(query.properties ?? {}).map(([name, { description, ...schema }]) => ({
      name,
      in: 'query',
      required: false,
      ...(description !== undefined && { description }),
      schema,
    })),
    ...(definition.path.includes('{id}') ? conditions : []),
  ]
}

const conditions: Json[] = [
  {
    name: 'If-Match',
    in: 'header',
    required: false,
    description:
      'The versions that the request is for, in double quotes, or *; 412 when the current one is another.',
    schema: { type: 'string', examples: ['"3"'] },
  },
  {
    name: 'If-None-Match',
    in: 'header',
    required: false,
    description:
      'The versions that the request is not for, in double quotes, or * for any; 304 (GET) or 412 when the current one is among them.',
    schema: { type: 'string', examples: ['"3"'] },
  },
]

const named = new Map<unknown, string>([
  [userSchema, 'User'],
  [problemSchema, 'Problem'],
])

/** A schema that has a name becomes a component, and a reference to it. */
function toJsonSchema(schema: Schema, io: 'input' | 'output', components: Json): Json {
  const { $schema: _, ...made } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      // A format says it; zod's pattern for it is a page long.
      if (jsonSchema.format) delete jsonSchema.pattern
      const name = named.get(zodSchema)
      if (name === undefined || zodSchema === (schema as unknown)) return
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key]
      jsonSchema.$ref = `#/components/schemas/${name}`
    },
  }) as Json
  const name = named.get(schema)
  if (name === undefined) return made
  components[name] = made
  return { $ref: `#/components/schemas/${name}` }
}
