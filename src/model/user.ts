// The schemas of a user in the API: the one source of validation, the OpenAPI document and the types.
import * as z from 'zod/mini'
import { hasControlCharacter, passwordCharacters, passwordUnitsMax, preparePassword } from './password.ts'
import { hashCharactersMax, parsePasswordHash } from './password-hash.ts'
import { codePointCount } from './text.ts'
import { usernameMax, usernameUnitsMax } from './username.ts'
import { uuidPattern } from './uuid.ts'

/** The largest accepted image, in bytes after base64 decoding. */
export const avatarBytesMax = 5 * 1024 * 1024

export const statuses = ['ACTIVE', 'BLOCKED'] as const
export const contactTypes = ['PHONE', 'WORK', 'WHATSAPP'] as const
const contactsMax = 50

/** Text of `min` to `max` Unicode code points, as JSON Schema counts; zod counts UTF-16 code units. */
export function text(min: number, max: number, describe: { description?: string; examples?: string[] } = {}) {
  return z
    .string()
    .check(atMostUnits(2 * max, lengthFault(min, max)), ofCharacters(min, max))
    .register(z.globalRegistry, { ...(min > 0 && { minLength: min }), maxLength: max, ...describe })
}

type Text = z.core.ParsePayload<string>

function lengthFault(min: number, max: number): string {
  return min === 0 ? `must be at most ${max} characters` : `must be ${min} to ${max} characters`
}

/**
 * Rejects text by its length in UTF-16 code units, and skips the later checks. It comes first, because the cost of
 * checking the content may grow faster than the text.
 */
function atMostUnits(max: number, message: string) {
  return (context: Text): void => {
    if (context.value.length > max) reject(context, message)
  }
}

function ofCharacters(min: number, max: number) {
  return (context: Text): void => {
    const length = codePointCount(context.value)
    if (length < min || length > max) reject(context, lengthFault(min, max))
  }
}

function reject(context: Text, message: string): void {
  context.issues.push({ code: 'custom', input: context.value, message })
}

// Letters and digits of any script with their combining marks, and `. _ - @ +`. Invisible characters would make two
// names look alike.
const usernamePattern = /^(?!\p{M})(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{Nd}._@+-])+$/u

/** Trims and normalises (NFKC) its input. */
export const username = z
  .pipe(
    z
      .string()
      .check(
        atMostUnits(usernameUnitsMax, lengthFault(1, usernameMax)),
        z.trim(),
        z.normalize('NFKC'),
        z.trim(),
      ),
    z.string().check(ofCharacters(1, usernameMax), (context) => {
      if (!usernamePattern.test(context.value))
        reject(context, 'must contain only letters and digits of any script and . _ - @ +')
    }),
  )
  .register(z.globalRegistry, {
    minLength: 1,
    maxLength: usernameMax,
    description:
      'Letters and digits of any script and `. _ - @ +`, after trimming and NFKC. Unique without regard to case.',
    examples: ['ada.lovelace'],
  })

/** Accepts a UUID in either case; the output is in lower case. */
export const uuid = z
  .string()
  .check(z.regex(uuidPattern, 'must be a UUID'), z.toLowerCase())
  .register(z.globalRegistry, { format: 'uuid', examples: ['0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'] })

const contact = z.strictObject({
  id: z.optional(uuid),
  contact_type: z.enum(contactTypes),
  value: text(1, 256, { examples: ['+44 20 7946 0958'] }),
})

const name = z.nullable(text(0, 200, { examples: ['Ada Lovelace'] }))

const { min: passwordMin, max: passwordMax } = passwordCharacters
/** The output is prepared for hashing by `preparePassword`. */
const password = z
  .string()
  .check(
    atMostUnits(passwordUnitsMax, lengthFault(passwordMin, passwordMax)),
    z.overwrite(preparePassword),
    ofCharacters(passwordMin, passwordMax),
    (context) => {
      if (hasControlCharacter(context.value))
        reject(context, 'must not contain control characters, such as tabs and line breaks')
    },
  )
  .register(z.globalRegistry, {
    minLength: passwordMin,
    maxLength: passwordMax,
    description:
      'Write-only; stored as an Argon2id hash. Prepared by RFC 8265 (OpaqueString): every kind of space becomes U+0020, then NFC. The length is counted after that, in Unicode code points.',
  })
/** Unchanged, because the stored hash may be of a password that was not prepared. */
const currentPassword = text(1, passwordUnitsMax, {
  description: 'The current password. Required with a new password, except from administrators.',
})
const passwordHash = z
  .string()
  .check((context) => {
    const parsed = parsePasswordHash(context.value)
    if (typeof parsed === 'string')
      context.issues.push({ code: 'custom', input: context.value, message: parsed })
  })
  .register(z.globalRegistry, {
    maxLength: hashCharactersMax,
    description:
      'Instead of `password`: a hash from another system, which is Argon2, scrypt, PBKDF2-SHA256 or PBKDF2-SHA512 as a PHC string, or bcrypt. Write-only; replaced by an Argon2id hash at the first sign-in.',
    examples: ['$2b$12$…'],
  })
const contacts = z
  .array(contact)
  .check(z.maxLength(contactsMax, `must contain at most ${contactsMax} contacts`))
const avatar = z.nullable(
  z.string().register(z.globalRegistry, {
    description:
      "On write: a `data:image/…;base64,…` URI is stored like an upload, the user's own current path leaves the avatar unchanged, null removes it.",
  }),
)

// Read-only fields that clients may send back; they are ignored. The service compares `id` with the path.
const readOnlyFields = {
  avatar_url: z.optional(z.unknown()),
  version: z.optional(z.unknown()),
  created_at: z.optional(z.unknown()),
  updated_at: z.optional(z.unknown()),
}

const isObject = ({ value }: { value: unknown }) => typeof value === 'object' && value !== null

export const createUserBody = z
  .strictObject({
    id: z.optional(z.never('must be omitted; the service assigns it')),
    username,
    password: z.optional(password),
    password_hash: z.optional(passwordHash),
    name: z.optional(name),
    status: z.optional(z.enum(statuses)),
    contacts: z.optional(contacts),
    avatar: z.optional(avatar),
    ...readOnlyFields,
  })
  .check(
    // `when` runs these checks despite faults in other fields, so that all faults are reported together.
    z.refine(({ password, password_hash }) => password !== undefined || password_hash !== undefined, {
      path: ['password'],
      error: 'is required',
      when: isObject,
    }),
    z.refine(({ password, password_hash }) => password === undefined || password_hash === undefined, {
      path: ['password_hash'],
      error: 'must not be combined with password; send one of the two',
      when: isObject,
    }),
  )
  // The same rule for the OpenAPI document.
  .register(z.globalRegistry, { oneOf: [{ required: ['password'] }, { required: ['password_hash'] }] })

export const replaceUserBody = z.strictObject({
  id: z.optional(uuid),
  username,
  password: z.optional(password),
  current_password: z.optional(currentPassword),
  name: z.optional(name),
  status: z.optional(z.enum(statuses)),
  contacts: z.optional(contacts),
  avatar: z.optional(avatar),
  ...readOnlyFields,
})

/** A merge patch (RFC 7396): null removes a value; for contacts, all of them. */
export const patchUserBody = z.strictObject({
  id: z.optional(uuid),
  username: z.optional(username),
  password: z.optional(password),
  current_password: z.optional(currentPassword),
  name: z.optional(name),
  status: z.optional(z.enum(statuses)),
  contacts: z.optional(z.nullable(contacts)),
  avatar: z.optional(avatar),
  ...readOnlyFields,
})

export type CreateUser = z.infer<typeof createUserBody>
export type ReplaceUser = z.infer<typeof replaceUserBody>
export type PatchUser = z.infer<typeof patchUserBody>
export type ContactInput = z.infer<typeof contact>
export type Status = (typeof statuses)[number]
export type ContactType = (typeof contactTypes)[number]

const instant = z.iso.datetime().register(z.globalRegistry, { examples: ['2026-11-22T10:00:00.000Z'] })

/** A user as the API returns it. */
export const userSchema = z.object({
  id: uuid,
  avatar: z
    .nullable(z.string())
    .register(z.globalRegistry, { description: 'The path of the stored avatar.' }),
  avatar_url: z.nullable(z.string()),
  username: z.string(),
  name: z.nullable(z.string()),
  status: z.enum(statuses),
  contacts: z.array(z.object({ id: uuid, contact_type: z.enum(contactTypes), value: z.string() })),
  version: z.int().register(z.globalRegistry, {
    description: 'Increases by one with every change. Also the ETag.',
  }),
  created_at: instant,
  updated_at: instant,
})

export type User = z.infer<typeof userSchema>
export type Contact = User['contacts'][number]

/** An avatar uploaded as JSON. */
export const uploadBody = z.strictObject({
  image_data: z
    .string()
    .register(z.globalRegistry, { description: 'The image in base64, or as a data URI.' }),
})

export const uploadedSchema = z.object({ file_path: z.string(), avatar_url: z.string() })
