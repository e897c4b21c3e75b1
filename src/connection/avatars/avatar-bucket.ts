// Avatars in an S3 bucket, or in one that speaks S3. Region, endpoint and credentials are found by the
// SDK itself, in its own environment variables or the function's role.
import type { S3Client } from '@aws-sdk/client-s3'
import { unavailable } from '../../model/errors.ts'
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'
import { type AvatarStore, checkedKey, isAvatarKey } from './avatar-store.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

const requestMsMax = 3_000
const attemptsMax = 2
const callMsMax = 4_000

// A key that no user has.
const absentKey = `avatars/00000000-0000-0000-0000-000000000000/${'0'.repeat(64)}.webp`

/**
 * Reading needs `s3:ListBucket` beside `s3:GetObject`: without it S3 answers 403 for what is not there.
 *
 * @param options.forcePathStyle the bucket is named in the path, not in the host name, as emulators need it
 */
export function openAvatarBucket(bucket: string, options: { forcePathStyle: boolean }): AvatarStore {
  const client = openAwsClient(
    () => import('@aws-sdk/client-s3'),
    ({ S3Client }) =>
      new S3Client({
        forcePathStyle: options.forcePathStyle,
        maxAttempts: attemptsMax,
        requestHandler: attemptLimits(requestMsMax),
      }),
  )

  const call = async <T>(
    work: (sdk: Sdk, s3: S3Client, limit: { abortSignal: AbortSignal }) => Promise<T>,
  ) => {
    try {
      return await client.call(work, callMsMax)
    } catch (error) {
      throw unavailable('The avatar store', error)
    }
  }

  const read = (key: string) =>
    call(async (sdk, s3, limit) => {
      try {
        const { Body } = await s3.send(new sdk.GetObjectCommand({ Bucket: bucket, Key: key }), limit)
        return await Body?.transformToByteArray()
      } catch (error) {
        if (error instanceof sdk.NoSuchKey) return undefined
        throw error
      }
    })

  return {
    put: async (key, bytes) => {
      const command = {
        Bucket: bucket,
        Key: checkedKey(key),
        Body: bytes,
        ContentType: 'image/webp',
        CacheControl: 'public, max-age=31536000, immutable',
        // S3 refuses what does not arrive whole. Given here, it also keeps the SDK from adding a checksum
        // of its own choice, which not every emulator knows.
        ChecksumSHA256: process.getBuiltinModule('node:crypto').hash('sha256', bytes, 'base64'),
      }
      await call((sdk, s3, limit) => s3.send(new sdk.PutObjectCommand(command), limit))
    },
    remove: async (key) => {
      const command = { Bucket: bucket, Key: checkedKey(key) }
      await call((sdk, s3, limit) => s3.send(new sdk.DeleteObjectCommand(command), limit))
    },
    read: async (key) => (isAvatarKey(key) ? read(key) : undefined),
    list: (after) =>
      call(async (sdk, s3, limit) => {
        const { Contents = [], IsTruncated } = await s3.send(
          new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: 'avatars/', StartAfter: after }),
          limit,
        )
        const found = Contents.flatMap(({ Key, LastModified }) =>
          Key !== undefined && LastModified && isAvatarKey(Key) ? [{ key: Key, storedAt: LastModified }] : [],
        )
        return { found, next: IsTruncated ? Contents.at(-1)?.Key : undefined }
      }),
    // Tells a bucket that answers from one that is missing or refuses us, by the permissions that reading
    // needs anyway.
    check: async () => {
      await read(absentKey)
    },
    close: client.close,
  }
}
