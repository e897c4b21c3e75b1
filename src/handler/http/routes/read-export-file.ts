// Answers with the file of an export, or its address in the store. Loaded on first use, because most requests read one user.
import { ServiceError } from '../../../model/errors.ts'
import { openJobFile } from '../../../services/jobs/job-file.ts'
import { readJob } from '../../../services/jobs/read.ts'
import { type Call, jsonHeaders, type Reply } from '../endpoint.ts'

/** @param types by format. @throws ServiceError `not_found`, `conflict` before the export is done, `unavailable` */
export async function readExportFile(
  { ctx, id }: Call<unknown, unknown>,
  types: Record<string, string>,
): Promise<Reply> {
  const { state, format } = await readJob(ctx, { id, kinds: ['export'] })
  if (state !== 'done')
    throw new ServiceError('conflict', `The export is ${state}. Its file is ready when it is done.`)
  const file = await openJobFile(ctx, id, 'result')
  if (!file)
    throw new ServiceError('not_found', 'The file was removed a day after the export. Start a new one.')
  const type = types[format ?? ''] ?? 'application/octet-stream'
  const disposition = `attachment; filename="users.${format}"`
  const headers = { ...jsonHeaders, 'Cache-Control': 'no-store' }
  if (file.downloadUrl)
    return { status: 303, headers: { ...headers, Location: await file.downloadUrl({ type, disposition }) } }
  return { headers: { ...headers, 'Content-Type': type, 'Content-Disposition': disposition }, file }
}
