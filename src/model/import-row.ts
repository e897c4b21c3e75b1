// The fields of an imported user that only the import takes: clients of the API cannot set them.
import * as z from 'zod/mini'
import { readInstant } from './instant.ts'
import { uuid } from './user.ts'

const versionMax = 2_147_483_647

const instant = z.pipe(
  z.string(),
  z.transform((text, context) => {
    const instant = text.length <= 40 ? readInstant(text) : undefined
    if (instant !== undefined) return new Date(instant)
    context.issues.push({
      code: 'custom',
      input: text,
      message: 'must be an instant in ISO 8601, such as 2026-11-22T10:00:00.000Z',
    })
    return z.NEVER
  }),
)

/** The values that a user keeps from the directory or system that it comes from. */
export const keptFields = z.strictObject({
  id: z.optional(uuid),
  version: z.optional(
    z
      .int('must be a whole number')
      .check(z.minimum(1, 'must be at least 1'), z.maximum(versionMax, `must be at most ${versionMax}`)),
  ),
  created_at: z.optional(instant),
  updated_at: z.optional(instant),
})

export type KeptFields = z.infer<typeof keptFields>
