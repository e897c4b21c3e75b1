// The schemas of bulk changes: one change for all users that filters or ids select.
import * as z from 'zod/mini'
import { attributesPatch } from './attributes.ts'
import { text } from './text-schema.ts'
import { uuid } from './user.ts'

export const bulkActions = ['block', 'unblock', 'erase', 'set_attributes'] as const

const idsMax = 1_000
const usersMax = 1_000_000_000

/** Filters as text, by the names of the list's parameters. */
export const filters = z.record(text(1, 100), text(0, 4_000)).register(z.globalRegistry, {
  description: 'The parameters of `GET /user`, except sort, limit, cursor and count.',
  examples: [{ status: 'ACTIVE' }],
})

/** Users by id, instead of by filters. */
export const userIds = z
  .array(uuid)
  .check(
    z.minLength(1, 'must contain at least one id'),
    z.maxLength(idsMax, `must contain at most ${idsMax} ids`),
  )
  .register(z.globalRegistry, { description: 'Instead of `filters`.' })

export const idsBesideFilters = 'must not be sent with filters'

type Selection = {
  action: string
  attributes?: unknown
  filters?: unknown
  ids?: unknown
  expected_total?: unknown
}

export const bulkBody = z
  .strictObject({
    action: z.enum(bulkActions).register(z.globalRegistry, {
      description: '`set_attributes` applies `attributes` as a merge patch. `erase` cannot be undone.',
    }),
    attributes: z.optional(attributesPatch),
    filters: z.optional(filters),
    ids: z.optional(userIds),
    expected_total: z.optional(
      z
        .int('must be a whole number')
        .check(z.minimum(0, 'must be at least 0'), z.maximum(usersMax, `must be at most ${usersMax}`))
        .register(z.globalRegistry, {
          description:
            'How many users are meant. The job fails before its first change if over 10 more and over a tenth more match. Required to erase by filters.',
        }),
    ),
  })
  .check((context) => {
    for (const [field, message] of selectionFaults(context.value))
      context.issues.push({ code: 'custom', input: context.value, path: [field], message })
  })

function selectionFaults({
  action,
  attributes,
  filters,
  ids,
  expected_total,
}: Selection): [string, string][] {
  const faults: [string, string][] = []
  const setsAttributes = action === 'set_attributes'
  if (setsAttributes && attributes === undefined)
    faults.push(['attributes', 'is required for set_attributes'])
  if (!setsAttributes && attributes !== undefined)
    faults.push(['attributes', `does not apply to ${action}; remove it`])
  if (filters === undefined && ids === undefined)
    faults.push(['filters', 'is required, unless ids are given; {} selects every user'])
  if (filters !== undefined && ids !== undefined) faults.push(['ids', idsBesideFilters])
  if (action === 'erase' && filters !== undefined && expected_total === undefined)
    faults.push(['expected_total', 'is required to erase by filters'])
  return faults
}

export type BulkBody = z.infer<typeof bulkBody>
