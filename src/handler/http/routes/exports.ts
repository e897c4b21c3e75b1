// The endpoints of exports.
import { ServiceError } from '../../../model/errors.ts'
import { endpoint, jsonHeaders } from '../endpoint.ts'
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
    handle: async ({ ctx, id }) => {
      const { readJob } = await import('../../../services/jobs/read.ts')
      const { openJobFile } = await import('../../../services/jobs/job-file.ts')
      const { state, format } = await readJob(ctx, { id, kinds: routes.kinds })
      if (state !== 'done')
        throw new ServiceError('conflict', `The export is ${state}. Its file is ready when it is done.`)
      const file = await openJobFile(ctx, id, 'result')
      if (!file)
        throw new ServiceError('not_found', 'The file was removed a day after the export. Start a new one.')
      const type = fileTypes[format ?? ''] ?? 'application/octet-stream'
      const disposition = `attachment; filename="users.${format}"`
      const headers = { ...jsonHeaders, 'Cache-Control': 'no-store' }
      if (file.downloadUrl)
        return {
          status: 303,
          headers: { ...headers, Location: await file.downloadUrl({ type, disposition }) },
        }
      return { headers: { ...headers, 'Content-Type': type, 'Content-Disposition': disposition }, file }
    },
  }),

  cancelEndpoint(routes, {
    operationId: 'cancelExport',
    summary: 'Cancel an export',
    description: 'Removes the part of the file that is written. An export that has ended does not change.',
  }),
]
