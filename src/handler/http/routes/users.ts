// The endpoints of users. Each calls one service function and maps its result to a reply, most of them in user-replies.ts.
import { checkPrecondition } from '../../../services/users/precondition.ts'
import { endpoint, jsonHeaders } from '../endpoint.ts'

// Loaded on first use, because most requests read one user and need none of these.
const schemas = () => import('../../../model/user.ts')
const replies = () => import('../user-replies.ts')
const listSchemas = () => import('../../../model/listing.ts')
const userSchema = async () => (await schemas()).userSchema

const tag = { name: 'users', description: 'Create, find, change and erase users' }

// A 5 MB avatar in base64, and room for the other fields.
const bytesMax = 8 * 1024 * 1024

export const userEndpoints = [
  endpoint({
    method: 'POST',
    path: '/user',
    operationId: 'createUser',
    summary: 'Create a user',
    tag,
    action: 'user.create',
    body: {
      schema: async () => (await schemas()).createUserBody,
      mediaTypes: ['application/json'],
      bytesMax,
      example: {
        username: 'ada.lovelace',
        password: 'a-good-password',
        name: 'Ada Lovelace',
        contacts: [{ contact_type: 'PHONE', value: '+44 20 7946 0958' }],
        attributes: { department: 'Engines' },
      },
    },
    answers: [
      {
        status: 201,
        description: 'The new user',
        schema: userSchema,
        headers: ['ETag'],
        location: "The new user's path.",
      },
    ],
    problems: ['conflict', 'too_large', 'unsupported_media_type', 'undecodable'],
    handle: async (call) => (await replies()).createReply(call),
  }),

  endpoint({
    method: 'GET',
    path: '/user',
    operationId: 'listUsers',
    summary: 'List users by filter, search, sort and page',
    tag,
    action: 'user.list',
    mayBeStale: true,
    query: async () => (await listSchemas()).listQuery,
    answers: [
      {
        status: 200,
        description: 'A page of users',
        schema: async () => (await listSchemas()).pageSchema,
        headers: ['Link', 'Age'],
      },
    ],
    problems: [],
    handle: async (call) => (await replies()).listReply(call),
  }),

  endpoint({
    method: 'GET',
    path: '/user/{id}',
    operationId: 'getUser',
    summary: 'Read a user',
    description: 'Served from the cache if possible, and never older than the last acknowledged write.',
    tag,
    action: 'user.read',
    isVersioned: true,
    answers: [
      { status: 200, description: 'The user', schema: userSchema, headers: ['ETag', 'X-Cache'] },
      { status: 304, description: 'The current version is in If-None-Match', headers: ['ETag', 'X-Cache'] },
    ],
    problems: ['not_found'],
    handle: async ({ reader, id, precondition, log }) => {
      const { version, json, cache } = await reader.get(id)
      log.cache = cache
      const headers = {
        'Cache-Control': jsonHeaders['Cache-Control'],
        ETag: `"${version}"`,
        'X-Cache': cache,
      }
      if (precondition?.(version) === 'If-None-Match') return { status: 304, headers }
      checkPrecondition(precondition, version)
      return { headers: { ...headers, 'Content-Type': jsonHeaders['Content-Type'] }, body: json }
    },
  }),

  endpoint({
    method: 'PUT',
    path: '/user/{id}',
    operationId: 'replaceUser',
    summary: "Replace a user's data",
    description:
      'Missing optional fields are cleared; a missing password or status is kept. A contact sent with its id keeps it.',
    tag,
    action: 'user.replace',
    isVersioned: true,
    body: {
      schema: async () => (await schemas()).replaceUserBody,
      mediaTypes: ['application/json'],
      bytesMax,
      example: { username: 'ada.king', name: 'Ada King' },
    },
    answers: [{ status: 200, description: 'The changed user', schema: userSchema, headers: ['ETag'] }],
    problems: ['not_found', 'conflict', 'too_large', 'unsupported_media_type', 'undecodable'],
    handle: async (call) => (await replies()).replaceReply(call),
  }),

  endpoint({
    method: 'PATCH',
    path: '/user/{id}',
    operationId: 'patchUser',
    summary: 'Change some fields of a user',
    description: 'A JSON merge patch (RFC 7396): missing fields are kept, and null clears a field.',
    tag,
    action: 'user.patch',
    isVersioned: true,
    body: {
      schema: async () => (await schemas()).patchUserBody,
      mediaTypes: ['application/merge-patch+json', 'application/json'],
      bytesMax,
      example: { name: 'Ada King', attributes: { department: null } },
    },
    answers: [{ status: 200, description: 'The changed user', schema: userSchema, headers: ['ETag'] }],
    problems: ['not_found', 'conflict', 'too_large', 'unsupported_media_type', 'undecodable'],
    handle: async (call) => (await replies()).patchReply(call),
  }),

  endpoint({
    method: 'DELETE',
    path: '/user/{id}',
    operationId: 'eraseUser',
    summary: 'Erase a user with contacts, avatar and cache entry',
    tag,
    action: 'user.erase',
    isVersioned: true,
    answers: [{ status: 204, description: 'Erased' }],
    problems: ['not_found'],
    handle: async (call) => (await replies()).eraseReply(call),
  }),
]
