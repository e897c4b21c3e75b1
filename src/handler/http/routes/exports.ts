// The endpoints of exports.
import { endpoint } from '../endpoint.ts'
import { cancelEndpoint, type JobRoutes, jobAnswer, jobReply, listEndpoint, readEndpoint } from './jobs.ts'

// Loaded on first use, because most requests read one user.
const schemas = () => import('../../../model/job.ts')

const tag = { name: 'export', description: 'Move many users out' }
const action = 'export.manage'
const routes: JobRoutes = { path: '/export', kinds: ['export'], tag, action, answer: 'The export' }
const bytesMax = 64 * 1024
const fileTypes: Record<string, string> = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
}

export const exportEndpoints = [
  endpoint({
    method: 'POST',
    path: '/export',
    operationId: 'createExport',
    summary: 'Start an export',
    description:
      'The file holds the matching users as they are at one instant. It is encrypted at rest, and removed a day after the export has ended.',
    tag,
    action,
    body: {
      schema: async () => (await schemas()).exportBody,
      mediaTypes: ['application/json'],
      bytesMax,
      example: { format: 'csv', filters: { status: 'ACTIVE' } },
    },
    answers: [{ ...jobAnswer('The export', 201), location: "The export's path." }],
    problems: ['too_large', 'unsupported_media_type'],
    handle: async ({ ctx, caller, body }) => {
      const { createExport } = await import('../../../services/jobs/create.ts')
      const job = await createExport(ctx, caller, body)
      return jobReply(job, 201, { Location: `/export/${job.id}` })
    },
  }),

  listEndpoint(routes, {
    operationId: 'listExports',
    summary: 'List exports, the newest first',
  }),

  readEndpoint(routes, {
    operationId: 'getExport',
    summary: 'Read the state and progress of an export',
  }),

  endpoint({
    method: 'GET',
    path: '/export/{id}/file',
    operationId: 'getExportFile',
    summary: 'Download the file of an export',
    tag,
    action,
    answers: [
      {
        status: 200,
        description: 'The file',
        fileTypes: Object.values(fileTypes),
        headers: ['Content-Disposition'],
      },
      {
        status: 303,
        description: 'The file is in a store, to which the token must not be sent',
        location: "The file's address in the store, valid for a minute.",
      },
    ],
    problems: ['not_found', 'conflict'],
    handle: async (call) => {
      const { readExportFile } = await import('./read-export-file.ts')
      return readExportFile(call, fileTypes)
    },
  }),

  cancelEndpoint(routes, {
    operationId: 'cancelExport',
    summary: 'Cancel an export',
    description: 'Removes the part of the file that is written. An export that has ended does not change.',
  }),
]
