// The schemas of a user in the API: the one source of validation, the OpenAPI document and the types.
import * as z from 'zod/mini'
import { attributes, attributesPatch } from './attributes.ts'
import { isEmailAddress } from './email-address.ts'
import { passwordCharacters, passwordUnitsMax, preparePassword } from './password.ts'
import { hashCharactersMax, parsePasswordHash } from './password-hash.ts'
import { controlCharacterFault } from './text.ts'
import { atMostUnits, lengthFault, ofCharacters, text, without } from './text-schema.ts'
import { usernameMax, usernameUnitsMax } from './username.ts'
import { uuidPattern } from './uuid.ts'

/** The largest accepted image, in bytes after base64 decoding. */
export const avatarBytesMax = 5 * 1024 * 1024

export const statuses = ['ACTIVE', 'BLOCKED'] as const
export const contactTypes = ['PHONE', 'WORK', 'WHATSAPP', 'EMAIL'] as const
const contactsMax = 50
const externalIdMax = 255

const usernameSigns = ". _ - @ + ' ! # $ % & * / = ? ^ ` { | } ~"
// Letters and digits of any script with their combining marks, and the signs of an e-mail address. Invisible
// characters would make two names look alike.
const usernamePattern =
  /^(?!\p{M})(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{M}\p{Nd}._@+'!#$%&*/=?^`{|}~-])+$/u

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
    z.string().check(
      ofCharacters(1, usernameMax),
      without((text) =>
        usernamePattern.test(text)
          ? undefined
          : `must contain only letters and digits of any script and ${usernameSigns}`,
      ),
    ),
  )
  .register(z.globalRegistry, {
    minLength: 1,
    maxLength: usernameMax,
    description: `Letters and digits of any script and the signs ${usernameSigns}, after trimming and NFKC. Unique without regard to case.`,
    examples: ['ada.lovelace'],
  })

/** Accepts a UUID in either case; the output is in lower case. */
export const uuid = z
  .string()
  .check(z.regex(uuidPattern, 'must be a UUID'), z.toLowerCase())
  .register(z.globalRegistry, { format: 'uuid', examples: ['0197f3c2-6d1a-7c54-9a0e-3f6f2a1b8c77'] })

const contact = z
  .strictObject({
    id: z.optional(uuid),
    contact_type: z.enum(contactTypes),
    value: text(1, 256, {
      description: 'For EMAIL one address.',
      examples: ['+44 20 7946 0958', 'ada@example.com'],
    }),
  })
  .check(
    z.refine(({ contact_type, value }) => contact_type !== 'EMAIL' || isEmailAddress(value), {
      path: ['value'],
      error: 'must be one e-mail address of at most 254 characters, such as ada@example.com',
    }),
  )

const name = z.nullable(text(0, 200, { examples: ['Ada Lovelace'] }))

const { min: passwordMin, max: passwordMax } = passwordCharacters
/** The output is prepared for hashing by `preparePassword`. */
const password = z
  .string()
  .check(
    atMostUnits(passwordUnitsMax, lengthFault(passwordMin, passwordMax)),
    z.overwrite(preparePassword),
    ofCharacters(passwordMin, passwordMax),
    without(controlCharacterFault),
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
  .check(
    without((text) => {
      const parsed = parsePasswordHash(text)
      return typeof parsed === 'string' ? parsed : undefined
    }),
  )
  .register(z.globalRegistry, {
    maxLength: hashCharactersMax,
    description:
      'Instead of `password`: a hash from another system, which is Argon2, scrypt, Firebase scrypt or PBKDF2 (SHA-1, SHA-256, SHA-512) as a PHC string, or bcrypt. Write-only; replaced by an Argon2id hash at the first sign-in.',
    examples: ['$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy'],
  })
/** null removes the password. */
const nullablePassword = z.nullable(password).register(z.globalRegistry, {
  description:
    'null: the user has no password, and cannot sign in with one until it is set. Only administrators may send null.',
})
export const externalId = z
  .string()
  .check(
    atMostUnits(2 * externalIdMax, lengthFault(1, externalIdMax)),
    ofCharacters(1, externalIdMax),
    without(controlCharacterFault),
  )
  .register(z.globalRegistry, {
    minLength: 1,
    maxLength: externalIdMax,
    description:
      "The user's id in another system. Unique and compared exactly. Only administrators may change it.",
    examples: ['auth0|5f7c8ec7c33c6c004bbafe82'],
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
    password: z.optional(nullablePassword),
    password_hash: z.optional(passwordHash),
    name: z.optional(name),
    status: z.optional(z.enum(statuses)),
    contacts: z.optional(contacts),
    external_id: z.optional(z.nullable(externalId)),
    attributes: z.optional(attributes),
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
  password: z.optional(nullablePassword),
  current_password: z.optional(currentPassword),
  name: z.optional(name),
  status: z.optional(z.enum(statuses)),
  contacts: z.optional(contacts),
  external_id: z.optional(z.nullable(externalId)),
  attributes: z.optional(attributes),
  avatar: z.optional(avatar),
  ...readOnlyFields,
})

/** A merge patch (RFC 7396): null removes a value; for contacts and attributes, all of them. */
export const patchUserBody = z.strictObject({
  id: z.optional(uuid),
  username: z.optional(username),
  password: z.optional(nullablePassword),
  current_password: z.optional(currentPassword),
  name: z.optional(name),
  status: z.optional(z.enum(statuses)),
  contacts: z.optional(z.nullable(contacts)),
  external_id: z.optional(z.nullable(externalId)),
  attributes: z.optional(z.nullable(attributesPatch)),
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
  external_id: z.nullable(z.string()),
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
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
  image_data: z.string().register(z.globalRegistry, {
    description: 'The image in base64, or as a data URI.',
    examples: [
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    ],
  }),
})

export const uploadedSchema = z.object({ file_path: z.string(), avatar_url: z.string() })
