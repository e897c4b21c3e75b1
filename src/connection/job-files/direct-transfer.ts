// Addresses in S3, signed for a short time, by which a client sends and gets files past the service.
import type { S3Client } from '@aws-sdk/client-s3'
import { unavailable } from '../../model/errors.ts'
import type { AwsClient } from '../aws/aws-client.ts'
import type { DirectTransfer } from './job-file-store.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

// A transfer that has begun may take longer.
const uploadSeconds = 3_600
// A client follows the redirect at once.
const downloadSeconds = 60
const callMsMax = 5_000

export function openDirectTransfer(
  client: AwsClient<Sdk, S3Client>,
  of: (id: string) => { Bucket: string; Key: string },
): DirectTransfer {
  const sign = async (
    command: (sdk: Sdk) => InstanceType<Sdk['PutObjectCommand'] | Sdk['GetObjectCommand']>,
    expiresIn: number,
  ): Promise<string> => {
    try {
      const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
      return await client.call((sdk, s3) => getSignedUrl(s3, command(sdk), { expiresIn }), callMsMax)
    } catch (error) {
      throw unavailable('The store of job files', error)
    }
  }
  return {
    uploadUrl: (id) => sign((sdk) => new sdk.PutObjectCommand(of(id)), uploadSeconds),
    downloadUrl: (id, { type, disposition }) =>
      sign(
        (sdk) =>
          new sdk.GetObjectCommand({
            ...of(id),
            ResponseContentType: type,
            ResponseContentDisposition: disposition,
            ResponseCacheControl: 'no-store',
          }),
        downloadSeconds,
      ),
    find: async (id) => {
      try {
        const { ContentLength, ETag } = await client.call(
          (sdk, s3, limit) => s3.send(new sdk.HeadObjectCommand(of(id)), limit),
          callMsMax,
        )
        return ContentLength && ETag ? { bytes: ContentLength, etag: ETag } : undefined
      } catch (error) {
        // Without the right to list the bucket, S3 answers 403 for a missing object.
        const { httpStatusCode } = (error as { $metadata?: { httpStatusCode?: number } }).$metadata ?? {}
        if (httpStatusCode === 404 || httpStatusCode === 403) return undefined
        throw unavailable('The store of job files', error)
      }
    },
  }
}
