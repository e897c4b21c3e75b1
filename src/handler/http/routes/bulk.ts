// The endpoints of bulk changes.
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
const creates = () => import('../../../services/bulk/create.ts')

const tag = { name: 'bulk', description: 'Change many users' }
const action = 'bulk.manage'
const routes: JobRoutes = { path: '/bulk', kinds: ['bulk', 'bulk_undo'], tag, action, answer: 'The job' }
const bytesMax = 64 * 1024

export const bulkEndpoints = [
  endpoint({
    method: 'POST',
    path: '/bulk',
    operationId: 'createBulk',
    summary: 'Start a change of all users that filters match, or that ids name',
    description:
      'A user is changed if it matches when the job begins, and still matches when its turn comes. The account that created the job is never blocked or erased by it.',
    tag,
    action,
    body: {
      schema: async () => (await import('../../../model/bulk.ts')).bulkBody,
      mediaTypes: ['application/json'],
      bytesMax,
      example: { action: 'block', filters: { search: 'ada' }, expected_total: 1 },
    },
    answers: [{ ...jobAnswer('The bulk change', 201), location: "The bulk change's path." }],
    problems: ['too_large', 'unsupported_media_type'],
    handle: async ({ ctx, caller, body }) => {
      const { createBulk } = await creates()
      const job = await createBulk(ctx, caller, body)
      return jobReply(job, 201, { Location: `/bulk/${job.id}` })
    },
  }),

  listEndpoint(routes, {
    operationId: 'listBulks',
    summary: 'List bulk changes and their undoing, the newest first',
  }),

  readEndpoint(routes, {
    operationId: 'getBulk',
    summary: 'Read the state and progress of a bulk change or its undoing',
  }),

  errorsEndpoint(routes, {
    operationId: 'listBulkErrors',
    summary: 'List the users that a bulk change or its undoing kept, with the reasons',
    description: 'Up to the first 100,000.',
  }),

  endpoint({
    method: 'POST',
    path: '/bulk/{id}/undo',
    operationId: 'undoBulk',
    summary: 'Restore the users that a bulk change changed and that were not changed since',
    description:
      'A job of its own, whose errors list the users that were changed since and are kept. Possible for a week after the end of the bulk change, except for an erasure.',
    tag,
    action,
    answers: [{ ...jobAnswer('The job that undoes the bulk change', 201), location: "The job's path." }],
    problems: ['not_found', 'conflict'],
    handle: async ({ ctx, caller, id }) => {
      const { createBulkUndo } = await creates()
      const job = await createBulkUndo(ctx, caller, id)
      return jobReply(job, 201, { Location: `/bulk/${job.id}` })
    },
  }),

  cancelEndpoint(routes, {
    operationId: 'cancelBulk',
    summary: 'Cancel a bulk change or its undoing',
    description: 'What is committed stays. A job that has ended does not change.',
  }),
]
