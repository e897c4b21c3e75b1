// What a user looks like, to the API's callers: one schema for validation, the OpenAPI document and
// the types.
import * as z from 'zod/mini'
import { hasControlCharacter, passwordCharacters, passwordUnitsMax, preparePassword } from './password.ts'
import { hashCharactersMax, parsePasswordHash } from './password-hash.ts'
import { codePointCount } from './text.ts'
import { usernameMax, usernameUnitsMax } from './username.ts'
import { uuidPattern } from './uuid.ts'

/** The largest image taken, in bytes, after base64 is decoded. */
export const avatarBytesMax = 5 * 1024 * 1024

export const statuses = ['ACTIVE', 'BLOCKED'] as const
export const contactTypes = ['PHONE', 'WORK', 'WHATSAPP'] as const
const contactsMax = 50

/** Text of `min` to `max` characters (code points, as JSON Schema counts; zod would count UTF-16 units). */
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
 * Refuses text by its raw length, in UTF-16 units; the checks behind it are then left out. It comes before every
 * check that looks at the content, whose cost may grow faster than the text.
 */
function atMostUnits(max: number, message: string) {
  return (context: Text): void => {
    if (context.value.length > max) refuse(context, message)
  }
}

function ofCharacters(min: number, max: number) {
  return (context: Text): void => {
    const length = codePointCount(context.value)
    if (length < min || length > max) refuse(context, lengthFault(min, max))
  }
}

function refuse(context: Text, message: string): void {
  context.issues.push({ code: 'custom', input: context.value, message })
}

// Letters and digits of any script with the marks that complete them, and `. _ - @ +`. Characters that
// show as nothing would make two names look alike.
const usernamePattern = /^(?!\p{M})(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{Nd}._@+-])+$/u

/** Trims and normalises (NFKC) as it checks. */
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
        refuse(context, 'may hold letters and digits of any script and . _ - @ + only')
    }),
  )
  .register(z.globalRegistry, {
    minLength: 1,
    maxLength: usernameMax,
    description:
      'Letters and digits of any script and `. _ - @ +`, after trimming and NFKC. Unique without regard to case.',
    examples: ['ada.lovelace'],
  })

/** A UUID in either case; given on in lower case. */
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
/** Given on as it is hashed: see `preparePassword`. */
const password = z
  .string()
  .check(
    atMostUnits(passwordUnitsMax, lengthFault(passwordMin, passwordMax)),
    z.overwrite(preparePassword),
    ofCharacters(passwordMin, passwordMax),
    (context) => {
      if (hasControlCharacter(context.value))
        refuse(context, 'must not hold control characters, such as tabs and line breaks')
    },
  )
  .register(z.globalRegistry, {
    minLength: passwordMin,
    maxLength: passwordMax,
    description:
      'Write-only; stored as an Argon2id hash. Prepared by RFC 8265 (OpaqueString): every kind of space becomes U+0020, then NFC. The length is counted after that, in Unicode code points.',
  })
/** As it was typed: the hash may be of a password that was not prepared. */
const currentPassword = text(1, passwordUnitsMax, {
  description: 'The present password, which whoever is no administrator gives with a new one.',
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
      "In the place of `password`: another system's hash, which is Argon2, scrypt, PBKDF2-SHA256 or PBKDF2-SHA512 as a PHC string, or bcrypt. Write-only; becomes an Argon2id hash at the first sign-in.",
    examples: ['$2b$12$…'],
  })
const contacts = z.array(contact).check(z.maxLength(contactsMax, `must hold at most ${contactsMax} contacts`))
const avatar = z.nullable(
  z.string().register(z.globalRegistry, {
    description:
      "On write: a `data:image/…;base64,…` URI is stored as an upload would be, the user's own present path means unchanged, null removes it.",
  }),
)

// What a client that read a user may send back unread. `id` is compared with the path by the service.
const readBack = {
  avatar_url: z.optional(z.unknown()),
  version: z.optional(z.unknown()),
  created_at: z.optional(z.unknown()),
  updated_at: z.optional(z.unknown()),
}

const isObject = ({ value }: { value: unknown }) => typeof value === 'object' && value !== null

export const createUserBody = z
  .strictObject({
    id: z.optional(z.never('is made by the service')),
    username,
    password: z.optional(password),
    password_hash: z.optional(passwordHash),
    name: z.optional(name),
    status: z.optional(z.enum(statuses)),
    contacts: z.optional(contacts),
    avatar: z.optional(avatar),
    ...readBack,
  })
  .check(
    // Also when other fields have faults: all of them are answered together.
    z.refine(({ password, password_hash }) => password !== undefined || password_hash !== undefined, {
      path: ['password'],
      error: 'is required',
      when: isObject,
    }),
    z.refine(({ password, password_hash }) => password === undefined || password_hash === undefined, {
      path: ['password_hash'],
      error: 'must not be given beside password',
      when: isObject,
    }),
  )
  // The same, for the API's description.
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
  ...readBack,
})

/** RFC 7396: null removes, which for contacts means none. */
export const patchUserBody = z.strictObject({
  id: z.optional(uuid),
  username: z.optional(username),
  password: z.optional(password),
  current_password: z.optional(currentPassword),
  name: z.optional(name),
  status: z.optional(z.enum(statuses)),
  contacts: z.optional(z.nullable(contacts)),
  avatar: z.optional(avatar),
  ...readBack,
})

export type CreateUser = z.infer<typeof createUserBody>
export type ReplaceUser = z.infer<typeof replaceUserBody>
export type PatchUser = z.infer<typeof patchUserBody>
export type ContactInput = z.infer<typeof contact>
export type Status = (typeof statuses)[number]
export type ContactType = (typeof contactTypes)[number]

const instant = z.iso.datetime().register(z.globalRegistry, { examples: ['2026-11-22T10:00:00.000Z'] })

/** A user as the API answers it. */
export const userSchema = z.object({
  id: uuid,
  avatar: z.nullable(z.string()).register(z.globalRegistry, { description: "The avatar's stored path." }),
  avatar_url: z.nullable(z.string()),
  username: z.string(),
  name: z.nullable(z.string()),
  status: z.enum(statuses),
  contacts: z.array(z.object({ id: uuid, contact_type: z.enum(contactTypes), value: z.string() })),
  version: z.int().register(z.globalRegistry, {
    description: 'Grows by one with every change; the ETag.',
  }),
  created_at: instant,
  updated_at: instant,
})

export type User = z.infer<typeof userSchema>
export type Contact = User['contacts'][number]

/** The avatar's upload as JSON. */
export const uploadBody = z.strictObject({
  image_data: z
    .string()
    .register(z.globalRegistry, { description: 'The image in base64, or as a data URI.' }),
})

export const uploadedSchema = z.object({ file_path: z.string(), avatar_url: z.string() })
