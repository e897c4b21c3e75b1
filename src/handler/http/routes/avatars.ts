// The endpoint that uploads an avatar, as an image, a form or JSON.
import { invalid } from '../../../model/errors.ts'
import { avatarUrl } from '../../../services/users/user-row.ts'
import { mediaType, parseJson, readBytes } from '../body.ts'
import { endpoint, type HttpRequest, jsonHeaders } from '../endpoint.ts'

// Loaded on first use, because most requests read one user.
const schemas = () => import('../../../model/user.ts')

const tag = { name: 'avatars', description: 'Upload avatars' }

/** Room in a form for delimiters, headers and other fields. */
const formBytesMax = 64 * 1024

export const avatarEndpoints = [
  endpoint({
    method: 'POST',
    path: '/upload/{id}',
    operationId: 'uploadAvatar',
    summary: "Store the user's avatar",
    description:
      'PNG, JPEG, WebP, GIF or AVIF, recognised by their bytes; at most 5 MB, 40 megapixels and 16,384 pixels a side. Stored as WebP of at most 512 × 512 pixels, without metadata.',
    tag,
    action: 'avatar.upload',
    isVersioned: true,
    unparsedBody: {
      'application/json': async () => (await schemas()).uploadBody,
      'multipart/form-data': 'form',
      'image/*': 'binary',
    },
    answers: [
      {
        status: 200,
        description: 'Stored',
        schema: async () => (await schemas()).uploadedSchema,
        headers: ['ETag'],
      },
    ],
    problems: ['not_found', 'too_large', 'unsupported_media_type', 'undecodable'],
    handle: async ({ ctx, caller, id, precondition, request }) => {
      const { uploadAvatar } = await import('../../../services/avatars/upload.ts')
      const user = await uploadAvatar(ctx, { id, caller, precondition }, await readImage(request))
      const path = user.avatar ?? ''
      const answer = { file_path: path, avatar_url: avatarUrl(path, ctx.avatarBaseUrl) }
      return { headers: { ...jsonHeaders, ETag: `"${user.version}"` }, body: JSON.stringify(answer) }
    },
  }),
]

async function readImage(request: HttpRequest): Promise<Uint8Array> {
  const { avatarBytesMax, uploadBody } = await schemas()
  const type = mediaType(request)
  if (type === 'application/json') {
    // The image in base64, and room for the JSON around it and a data URI's parameters.
    const jsonBytesMax = Math.ceil(avatarBytesMax / 3) * 4 + 8 * 1024
    const body = parseJson(await readBytes(request, jsonBytesMax), uploadBody)
    const { decodeBase64Image } = await import('../../../services/avatars/base64-image.ts')
    const image = decodeBase64Image(body.image_data, 'either')
    if (!image)
      throw invalid({ pointer: '/image_data', message: 'must be base64, or a base64 data URI of an image' })
    return image
  }
  if (type === 'multipart/form-data') {
    const body = await readBytes(request, avatarBytesMax + formBytesMax)
    const { readFormFile } = await import('../multipart.ts')
    return readFormFile(body, request.header('content-type') ?? '')
  }
  // Every other type is treated as an image; its format is recognised by its bytes, not by the client's header.
  return readBytes(request, avatarBytesMax)
}
