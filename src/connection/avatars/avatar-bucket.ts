// The avatar store in S3, or in an S3-compatible service. The SDK finds region, endpoint and credentials itself.
import type { S3Client } from '@aws-sdk/client-s3'
import { avatarKey, avatarPrefix, isAvatarKey } from '../../model/avatar-key.ts'
import { unavailable } from '../../model/errors.ts'
import { attemptLimits, openAwsClient } from '../aws/aws-client.ts'
import { type AvatarStore, checkedKey } from './avatar-store.ts'

type Sdk = typeof import('@aws-sdk/client-s3')

const requestMsMax = 3_000
const attemptsMax = 2
const callMsMax = 4_000

// No user has this key.
const missingKey = avatarKey('00000000-0000-0000-0000-000000000000', '0'.repeat(64))

/**
 * Reading needs `s3:ListBucket` besides `s3:GetObject`: without it S3 answers 403 for a missing key.
 * @param options.forcePathStyle puts the bucket into the path instead of the host name, for emulators
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
        // S3 rejects an incomplete upload by its checksum. The SDK's default algorithm is unknown to some emulators.
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
          new sdk.ListObjectsV2Command({ Bucket: bucket, Prefix: avatarPrefix, StartAfter: after }),
          limit,
        )
        const found = Contents.flatMap(({ Key, LastModified }) =>
          Key !== undefined && LastModified && isAvatarKey(Key) ? [{ key: Key, storedAt: LastModified }] : [],
        )
        return { found, next: IsTruncated ? Contents.at(-1)?.Key : undefined }
      }),
    // Needs only the permissions that reading needs, and fails if the bucket is missing or denies access.
    check: async () => {
      await read(missingKey)
    },
    close: client.close,
  }
}
