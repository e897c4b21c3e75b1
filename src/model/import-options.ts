// The options of an import that depend on its source.
import * as z from 'zod/mini'

const base64 = z
  .string()
  .check(
    z.maxLength(256, 'must be at most 256 characters'),
    z.regex(/^[A-Za-z0-9+/_-]*={0,2}$/, 'must be base64'),
  )

/** The names and values of the Firebase console. The signer key is as secret as the hashes. */
const firebaseHashes = z.strictObject({
  base64_signer_key: base64,
  base64_salt_separator: base64,
  rounds: z.int().check(z.minimum(1, 'must be at least 1'), z.maximum(8, 'must be at most 8')),
  mem_cost: z.int().check(z.minimum(1, 'must be at least 1'), z.maximum(14, 'must be at most 14')),
})

export const sourceOptions = z.strictObject({
  nested_values: z.optional(z.enum(['drop', 'text', 'refuse'])).register(z.globalRegistry, {
    description:
      'Metadata that is a list or an object: left out (default), kept as JSON text, or its row refused.',
  }),
  unfit_values: z.optional(z.enum(['refuse', 'drop'])).register(z.globalRegistry, {
    description: 'Metadata that cannot be an attribute: its row is refused (default), or it is left out.',
  }),
  unknown_hashes: z.optional(z.enum(['refuse', 'drop'])).register(z.globalRegistry, {
    description:
      'A password hash that is not supported: its row is refused (default), or the user comes without a password.',
  }),
  firebase: z.optional(firebaseHashes),
})

export type SourceOptions = z.infer<typeof sourceOptions>
