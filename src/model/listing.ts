// The schemas of the parameters and the response of `GET /user`.
import * as z from 'zod/mini'
import { attributeKey, attributeTextMax, keyFault } from './attributes.ts'
import { readInstant } from './instant.ts'
import { text } from './text-schema.ts'
import { contactTypes, externalId, statuses, username, userSchema, uuid } from './user.ts'

const sorts = [
  'created_at',
  '-created_at',
  'updated_at',
  '-updated_at',
  'username',
  '-username',
  'name',
  '-name',
] as const
export type Sort = (typeof sorts)[number]

const idsMax = 100
/** The largest page. */
export const limitMax = 200

/** A whole number as the text of a parameter. */
export const wholeNumber = (min: number, max: number) =>
  z
    .pipe(
      z.string().check(z.regex(/^\d{1,9}$/, `must be a whole number from ${min} to ${max}`)),
      z.pipe(
        z.transform(Number),
        z
          .number()
          .check(
            z.minimum(min, `must be a whole number from ${min} to ${max}`),
            z.maximum(max, `must be a whole number from ${min} to ${max}`),
          ),
      ),
    )
    .register(z.globalRegistry, { type: 'integer', minimum: min, maximum: max })

const instant = z
  .pipe(
    z.string(),
    z.transform((text, context) => {
      const instant = readInstant(text)
      if (instant !== undefined) return instant
      context.issues.push({
        code: 'custom',
        input: text,
        message:
          'must be an ISO 8601 instant with a time zone, in the years 1 to 9999, such as 2026-11-22T10:00:00Z; encode + as %2B',
      })
      return z.NEVER
    }),
  )
  .register(z.globalRegistry, {
    type: 'string',
    format: 'date-time',
    description:
      'An ISO 8601 instant, compared exactly. The seconds are optional; the time zone is Z, +05, +0530 or +05:30.',
  })

const ids = z
  .pipe(
    z.string(),
    z.pipe(
      z.transform((list: string) => list.split(',').map((id) => id.trim())),
      z.array(uuid).check(z.maxLength(idsMax, `must contain at most ${idsMax} ids`)),
    ),
  )
  .register(z.globalRegistry, { type: 'string', description: `Up to ${idsMax} ids, separated by commas.` })

const attributeFiltersMax = 10

/** Values by attribute. They are sent as parameters `attribute.<key>`. */
const attribute = z
  .record(attributeKey, text(0, attributeTextMax), { error: keyFault })
  .check(
    z.refine((filters) => Object.keys(filters).length <= attributeFiltersMax, {
      error: `must be sent for at most ${attributeFiltersMax} attributes`,
    }),
  )
  .register(z.globalRegistry, {
    description:
      'One parameter for each attribute, such as `attribute.department=Engines`. The value matches the same text, the number that it spells, or the boolean `true` or `false`.',
  })

export const listParameters = z.strictObject({
  search: z.optional(
    text(0, 256, {
      description:
        'Every word must appear in the username, the name, a contact or the external id; case and accents are ignored. Words of three characters or more match anywhere, shorter ones at the start of a word. Han, kana and Hangul match anywhere at any length. Telephone numbers match by their digits, in any notation.',
    }),
  ),
  status: z.optional(z.enum(statuses)),
  username: z.optional(username),
  contact_type: z.optional(z.enum(contactTypes)),
  contact: z.optional(text(1, 256, { description: 'The exact value of a contact.' })),
  external_id: z.optional(externalId),
  attribute: z.optional(attribute),
  ids: z.optional(ids),
  created_after: z.optional(instant),
  created_before: z.optional(instant),
  updated_after: z.optional(instant),
  updated_before: z.optional(instant),
  sort: z._default(z.enum(sorts), 'created_at').register(z.globalRegistry, {
    description:
      '`name` sorts by base letters first and by accents second: Asa, Åsa, Bea. The id breaks ties.',
  }),
  limit: z._default(wholeNumber(1, limitMax), 50),
  cursor: z.optional(text(1, 2048, { description: '`next_cursor` of the previous page.' })),
  count: z._default(z.enum(['none', 'estimate', 'exact']), 'none'),
})

/** Accepts the parameters as they are sent, by their names. */
export const listQuery = z.pipe(z.transform(groupAttributes), listParameters)

export type ListQuery = z.infer<typeof listQuery>

const attributePrefix = 'attribute.'

/** Moves `attribute.<key>` to `attribute`, by key in a fixed order, because cursors are bound to the query. */
function groupAttributes(sent: unknown): unknown {
  if (typeof sent !== 'object' || sent === null) return sent
  // Schemas skip this key of a record; as a parameter it is rejected by name.
  const isFilter = (name: string) =>
    name.startsWith(attributePrefix) && name !== `${attributePrefix}__proto__`
  const parameters = Object.entries(sent)
  const filters = parameters
    .filter(([name]) => isFilter(name))
    .map(([name, value]): [string, unknown] => [name.slice(attributePrefix.length), value])
    .sort(([one], [other]) => (one < other ? -1 : 1))
  return {
    ...Object.fromEntries(parameters.filter(([name]) => !isFilter(name))),
    ...(filters.length > 0 && { attribute: Object.fromEntries(filters) }),
  }
}

export const pageSchema = z.object({
  items: z.array(userSchema),
  next_cursor: z.nullable(z.string()).register(z.globalRegistry, { description: 'null on the last page' }),
  total: z.optional(z.int()),
  total_is: z.optional(z.enum(['exact', 'estimate'])),
})
