// The endpoints of imports. Each calls one service function and maps its result to a reply.
import type { FileRole } from '../../../services/jobs/job-file.ts'
import { endpoint } from '../endpoint.ts'
import {
  cancelEndpoint,
  errorsEndpoint,
  type JobRoutes,
  jobAnswer,
  jobReply,
  listEndpoint,
  readEndpoint,
} from './jobs.ts'

// Loaded on first use, because most requests read one user.
const schemas = () => import('../../../model/job.ts')

const tag = { name: 'import', description: 'Move many users in' }
const action = 'import.manage'
const routes: JobRoutes = { path: '/import', kinds: ['import', 'undo'], tag, action, answer: 'The job' }
const bytesMax = 64 * 1024
const contentEncodings = ['gzip', 'zstd']

/** An endpoint that stores a file of an import. */
function fileEndpoint(
  path: string,
  role: FileRole,
  texts: { operationId: string; summary: string; description: string },
) {
  return endpoint({
    method: 'PUT',
    path,
    ...texts,
    tag,
    action,
    unparsedBody: { 'application/octet-stream': 'binary' },
    contentEncodings,
    answers: [jobAnswer('The import')],
    problems: ['not_found', 'conflict', 'too_large', 'unsupported_media_type'],
    handle: async (call) => {
      const { storeImportFile } = await import('./store-import-file.ts')
      return jobReply(await storeImportFile(call, { role, contentEncodings }))
    },
  })
}

export const importEndpoints = [
  endpoint({
    method: 'POST',
    path: '/import',
    operationId: 'createImport',
    summary: 'Create an import, which waits for its file',
    description:
      'Send the file to the address in `upload`, then start the import. An absolute address is of a store that gets no token; it takes up to 5 GB and is valid for an hour.',
    tag,
    action,
    body: {
      schema: async () => (await schemas()).importBody,
      mediaTypes: ['application/json'],
      bytesMax,
      example: { format: 'ndjson', dry_run: true },
    },
    answers: [
      {
        status: 201,
        description: 'The import, and where to send its file',
        schema: async () => (await schemas()).createdImportSchema,
        location: "The import's path.",
      },
    ],
    problems: ['too_large', 'unsupported_media_type'],
    handle: async ({ ctx, caller, body }) => {
      const { createImport } = await import('../../../services/jobs/create.ts')
      const job = await createImport(ctx, caller, body)
      const { openUpload } = await import('../../../services/jobs/direct-file.ts')
      const to = async (role: 'source' | 'hashes', path: string) => ({
        method: 'PUT',
        url: (await openUpload(ctx, job.id, role)) ?? `/import/${job.id}/${path}`,
      })
      const uploads = { upload: await to('source', 'file'), hashes_upload: await to('hashes', 'hashes') }
      return jobReply({ ...job, ...uploads }, 201, { Location: `/import/${job.id}` })
    },
  }),

  listEndpoint(routes, {
    operationId: 'listImports',
    summary: 'List imports and their undoing, the newest first',
  }),

  readEndpoint(routes, {
    operationId: 'getImport',
    summary: 'Read the state and progress of an import or its undoing',
  }),

  fileEndpoint('/import/{id}/file', 'source', {
    operationId: 'putImportFile',
    summary: 'Store the file of an import',
    description:
      'Up to 20 GB, as it is or compressed by gzip or Zstandard. Sending it again replaces it until the import starts. Encrypted at rest, and removed a day after the import has ended.',
  }),

  fileEndpoint('/import/{id}/hashes', 'hashes', {
    operationId: 'putImportHashes',
    summary: 'Store the file of password hashes of an import',
    description: 'For sources that give hashes in a second file, as Auth0 does.',
  }),

  endpoint({
    method: 'POST',
    path: '/import/{id}/start',
    operationId: 'startImport',
    summary: 'Start an import',
    description: 'Imports and exports run one at a time. Starting an import again changes nothing.',
    tag,
    action,
    answers: [jobAnswer('The import')],
    problems: ['not_found', 'conflict'],
    handle: async ({ ctx, caller, id }) => {
      const { startJob } = await import('../../../services/jobs/steer.ts')
      return jobReply(await startJob(ctx, caller, { id, kinds: ['import'] }))
    },
  }),

  errorsEndpoint(routes, {
    operationId: 'listImportErrors',
    summary: 'List the rows that an import refused, or the users that an undo kept',
    description: 'In the order of the file, up to the first 100,000. Values of the file are never included.',
  }),

  endpoint({
    method: 'GET',
    path: '/import/{id}/users',
    operationId: 'listImportedUsers',
    summary: 'List the users that an import created',
    description:
      'About in the order of the file, without those that were erased since. A page may be short before the last one.',
    tag,
    action,
    query: async () => (await schemas()).jobsQuery,
    answers: [
      {
        status: 200,
        description: 'A page of users',
        schema: async () => (await schemas()).createdUsersSchema,
      },
    ],
    problems: ['not_found'],
    handle: async ({ ctx, id, query }) => {
      const { listCreatedUsers } = await import('../../../services/import/created-users.ts')
      return jobReply(await listCreatedUsers(ctx, id, query))
    },
  }),

  endpoint({
    method: 'POST',
    path: '/import/{id}/undo',
    operationId: 'undoImport',
    summary: 'Erase the users that an import created and that were not changed since',
    description: 'A job of its own, whose errors list the users that were changed and are kept.',
    tag,
    action,
    answers: [{ ...jobAnswer('The job that undoes the import', 201), location: "The new job's path." }],
    problems: ['not_found', 'conflict'],
    handle: async ({ ctx, caller, id }) => {
      const { createUndo } = await import('../../../services/jobs/create.ts')
      const job = await createUndo(ctx, caller, id)
      return jobReply(job, 201, { Location: `/import/${job.id}` })
    },
  }),

  cancelEndpoint(routes, {
    operationId: 'cancelImport',
    summary: 'Cancel an import or its undoing',
    description: 'What is committed stays. A job that has ended does not change.',
  }),
]
