// Stores a file of an import from the body of a request. Loaded on first use, because most requests read one user.
import { ServiceError } from '../../../model/errors.ts'
import { type Job, jobFileBytesMax } from '../../../model/job.ts'
import { type FileRole, storeJobFile } from '../../../services/jobs/job-file.ts'
import { readJob } from '../../../services/jobs/read.ts'
import type { Call } from '../endpoint.ts'

/** @throws ServiceError `unsupported_media_type`, `too_large`, and those of `storeJobFile` */
export async function storeImportFile(
  { ctx, caller, id, request }: Call<unknown, unknown>,
  { role, contentEncodings }: { role: FileRole; contentEncodings: string[] },
): Promise<Job> {
  const encoding = request.header('content-encoding')?.toLowerCase() ?? 'identity'
  // The import recognises both by their first bytes.
  if (encoding !== 'identity' && !contentEncodings.includes(encoding))
    throw new ServiceError(
      'unsupported_media_type',
      'The Content-Encoding is not supported; send gzip, zstd or none.',
    )
  if (Number(request.header('content-length') ?? 0) > jobFileBytesMax)
    throw new ServiceError('too_large', `The file must be at most ${jobFileBytesMax} bytes. Split it.`)
  await storeJobFile(ctx, caller, { jobId: id, role, bytes: request.stream(), bytesMax: jobFileBytesMax })
  return readJob(ctx, { id })
}
