// The store of job files in S3, or in an S3-compatible service: under a prefix of the avatar bucket that is not public.
import { Readable } from 'node:stream'
import type { S3Client } from '@aws-sdk/client-s3'
import { ServiceError, unavailable } from '../../model/errors.ts'
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'
import { openDirectTransfer } from './direct-transfer.ts'
import { noSuchFile } from './job-file-directory.ts'
import { type JobFileStore, jobFilePrefix } from './job-file-store.ts'

// S3 takes at most 10,000 parts, so 80 GB. Two parts are in memory at once.
const partBytes = 8 * 1024 * 1024
const partsAtOnce = 2
const requestMsMax = 30_000
const attemptsMax = 3
const callMsMax = 60_000
/** Longer than the longest upload of a client. */
const uploadMsMax = 7 * 3_600_000
// Each range is one request, so a broken connection loses little and an idle reader holds none.
const rangeBytes = 4 * 1024 * 1024

/**
 * @param options.forcePathStyle puts the bucket into the path instead of the host name, for emulators
 * @param options.isDirect clients exchange files with the bucket, which they must be able to reach
 */
export function openJobFileBucket(
  bucket: string,
  options: { forcePathStyle: boolean; isDirect: boolean },
): JobFileStore {
  const client = openAwsClient(
    async () => ({ ...(await import('@aws-sdk/client-s3')), ...(await import('@aws-sdk/lib-storage')) }),
    ({ S3Client }): S3Client =>
      new S3Client({
        forcePathStyle: options.forcePathStyle,
        maxAttempts: attemptsMax,
        requestHandler: attemptLimits(requestMsMax),
        // The default checksums need trailers, which emulators do not know. TLS and our own tags protect the content.
        requestChecksumCalculation: 'WHEN_REQUIRED',
      }),
  )
  const of = (id: string) => ({ Bucket: bucket, Key: `${jobFilePrefix}${id}` })

  return {
    write: async (id, bytes) => {
      let failure: unknown
      const watched = async function* () {
        try {
          yield* bytes
        } catch (error) {
          failure = error
          throw error
        }
      }
      try {
        await client.call(async ({ Upload }, s3, { abortSignal }) => {
          const upload = new Upload({
            client: s3,
            params: { ...of(id), Body: Readable.from(watched()), ServerSideEncryption: 'AES256' },
            partSize: partBytes,
            queueSize: partsAtOnce,
          })
          abortSignal.addEventListener('abort', () => void upload.abort().catch(() => {}), { once: true })
          await upload.done()
        }, uploadMsMax)
      } catch (error) {
        throw failure ?? unavailable('The store of job files', error)
      }
    },
    read: async function* (id, etag = null) {
      for (let at = 0, length = Number.POSITIVE_INFINITY; at < length; ) {
        const range = `bytes=${at}-${at + rangeBytes - 1}`
        try {
          const part = await client.call(async (sdk, s3, limit) => {
            const { Body, ContentRange, ETag } = await s3.send(
              new sdk.GetObjectCommand({ ...of(id), Range: range }),
              limit,
            )
            if (etag !== null && ETag !== etag) throw replacedFile()
            return { bytes: await Body?.transformToByteArray(), length: Number(ContentRange?.split('/')[1]) }
          }, callMsMax)
          if (!part.bytes?.length || !(part.length > 0)) throw new Error('S3 sent no range')
          yield part.bytes
          at += part.bytes.length
          length = part.length
        } catch (error) {
          if (error instanceof Error && error.name === 'NoSuchKey') throw noSuchFile()
          throw error instanceof ServiceError ? error : unavailable('The store of job files', error)
        }
      }
    },
    remove: async (id) => {
      try {
        await client.call((sdk, s3, limit) => s3.send(new sdk.DeleteObjectCommand(of(id)), limit), callMsMax)
      } catch (error) {
        throw unavailable('The store of job files', error)
      }
    },
    ...(options.isDirect && { direct: openDirectTransfer(client, of) }),
    close: client.close,
  }
}

function replacedFile(): ServiceError {
  return new ServiceError(
    'conflict',
    'The file was replaced after the import had started. Create a new import.',
  )
}
