// Compresses the API's JSON for the console, whose people may have slow networks. No such body holds a secret of the session,
// and no other site can send these requests, so the lengths reveal nothing (BREACH).
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import { acceptsCoding } from '../http/accepts-coding.ts'
import type { Reply } from '../http/endpoint.ts'

/** Less fits into one packet anyway. */
const bytesMin = 1_400

const toBrotli = promisify(brotliCompress)
const toGzip = promisify(gzip)
const brotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }

/** @param acceptEncoding of the request. @returns the reply itself if it is small, no JSON, or has an ETag of its plain bytes */
export async function compressReply(reply: Reply, acceptEncoding: string | undefined): Promise<Reply> {
  const { headers = {}, body = '' } = reply
  const type = headers['Content-Type'] ?? ''
  if (reply.file || body.length < bytesMin || !type.startsWith('application/json') || 'ETag' in headers)
    return reply
  const vary = headers.Vary === undefined ? 'Accept-Encoding' : `${headers.Vary}, Accept-Encoding`
  const withHeaders = (coding: string, bytes: Uint8Array): Reply => ({
    ...reply,
    headers: { ...headers, Vary: vary, 'Content-Encoding': coding },
    body: bytes,
  })
  if (acceptsCoding(acceptEncoding, 'br')) return withHeaders('br', await toBrotli(body, brotliOptions))
  if (acceptsCoding(acceptEncoding, 'gzip')) return withHeaders('gzip', await toGzip(body, { level: 1 }))
  return { ...reply, headers: { ...headers, Vary: vary } }
}
