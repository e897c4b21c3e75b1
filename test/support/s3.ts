// An S3 server for tests.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import S3rver from '@20minutes/s3rver'

export type S3Server = {
  /** Settings for the service and the AWS SDK. */
  env: Record<string, string>
  stop(): Promise<void>
}

// As infra/constructs/avatars.ts has it.
const cors = `<CORSConfiguration><CORSRule>
<AllowedOrigin>*</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>content-type</AllowedHeader>
</CORSRule></CORSConfiguration>`

/** @param port 0 for any that is free */
export function openS3(directory: string, port: number): S3rver {
  return new S3rver({
    address: '127.0.0.1',
    port,
    silent: true,
    // s3rver computes the signature of a bucket's listing without the slash that the SDK sends.
    allowMismatchedSignatures: true,
    directory,
    configureBuckets: [{ name: 'avatars', configs: [cors] }],
  })
}

export function s3Settings(port: number): Record<string, string> {
  return {
    AVATAR_BUCKET: 'avatars',
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: 'S3RVER',
    AWS_SECRET_ACCESS_KEY: 'S3RVER',
  }
}

export async function startS3(): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), 's3-'))
  const server = openS3(directory, 0)
  const { port } = await server.run()
  return {
    env: s3Settings(port),
    stop: async () => {
      await server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
