// The upload of an avatar, in its three body forms.
import { invalid } from '../../../model/errors.ts'
import { avatarUrl } from '../../../services/users/user-row.ts'
import { mediaType, parseJson, readBytes } from '../body.ts'
import { endpoint, type HttpRequest, jsonHeaders } from '../endpoint.ts'

// Loaded when they are first needed: see users.ts.
const schemas = () => import('../../../model/user.ts')

const tag = { name: 'avatars', description: 'Upload avatars' }

/** Room in a form for what is around the file: delimiters, headers and other fields. */
const formBytesMax = 64 * 1024

export const avatarEndpoints = [
  endpoint({
    method: 'POST',
    path: '/upload/{id}',
    operationId: 'uploadAvatar',
    summary: "Store the user's avatar",
    description:
      'PNG, JPEG, WebP, GIF or AVIF, told by their bytes; at most 5 MB, 40 megapixels and 16,384 pixels a side. Stored as WebP, 512 px square at most, without metadata.',
    tag,
    action: 'avatar.upload',
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
    problems: ['not_found', 'version_mismatch', 'too_large', 'unsupported_media_type', 'undecodable'],
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
    // The image in base64, and room for what is around it: a data URI may name its file.
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
  // Any other type is taken as the image itself: its bytes tell what it is, not what the client says.
  return readBytes(request, avatarBytesMax)
}
