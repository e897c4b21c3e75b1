// The schemas of jobs in the API: imports, exports, bulk changes, and their undoing.
import * as z from 'zod/mini'
import { attributesPatch } from './attributes.ts'
import { bulkActions, filters, idsBesideFilters, userIds } from './bulk.ts'
import { sourceOptions } from './import-options.ts'
import { jobKinds, jobStates } from './job-states.ts'
import { limitMax, wholeNumber } from './listing.ts'
import { text } from './text-schema.ts'
import { userSchema, uuid } from './user.ts'

/** The largest file of an import, in bytes as it is sent. */
export const jobFileBytesMax = 20 * 1024 ** 3
/** The largest file once it is decompressed. */
export const importBytesMax = 100 * 1024 ** 3

/** The parser of each is in services/import/parsers.ts. */
export const importFormats = [
  'ndjson',
  'csv',
  'keycloak',
  'auth0',
  'firebase',
  'cognito',
  'clerk',
  'supabase',
] as const

const mappingMax = 200

export const importBody = z.strictObject({
  format: z.enum(importFormats),
  on_conflict: z._default(z.enum(['skip', 'update', 'fail']), 'skip').register(z.globalRegistry, {
    description:
      'For a user that the directory already has: `skip` leaves it, `update` changes the fields that the row gives, `fail` refuses the row.',
  }),
  match: z._default(z.enum(['username', 'external_id']), 'username').register(z.globalRegistry, {
    description: 'The field by which a row finds the user that the directory already has.',
  }),
  dry_run: z._default(z.boolean(), false).register(z.globalRegistry, {
    description: 'Reads, checks and counts everything, and changes no user.',
  }),
  announce: z._default(z.boolean(), true).register(z.globalRegistry, {
    description: 'Publishes an event for each created user.',
  }),
  mapping: z.optional(
    z
      .record(text(1, 200), text(0, 200))
      .check(
        z.refine((mapping) => Object.keys(mapping).length <= mappingMax, {
          error: `must name at most ${mappingMax} columns`,
        }),
      )
      .register(z.globalRegistry, {
        description: 'CSV only: a column of the file, and the column of our format that it stands for.',
      }),
  ),
  options: z.optional(
    z
      .extend(sourceOptions, {
        missing_avatars: z.optional(z.enum(['refuse', 'drop'])).register(z.globalRegistry, {
          description:
            "An avatar's path that has no image in the store: its row is refused (default), or imported without it.",
        }),
      })
      .register(z.globalRegistry, { description: 'Parameters of the source. Never returned.' }),
  ),
})

export const exportFormats = ['ndjson', 'csv'] as const

export const exportBody = z
  .strictObject({
    format: z.enum(exportFormats),
    filters: z.optional(filters),
    ids: z.optional(userIds),
    include_hashes: z._default(z.boolean(), false),
  })
  .check(
    z.refine(({ filters, ids }) => filters === undefined || ids === undefined, {
      error: idsBesideFilters,
      path: ['ids'],
    }),
  )

const instant = z.nullable(z.iso.datetime())
const count = z.int()

/** A job as the API returns it. */
export const jobSchema = z.object({
  id: uuid,
  kind: z.enum(jobKinds),
  state: z.enum(jobStates).register(z.globalRegistry, {
    description: '`waiting` until a server takes it up; `done`, `failed` and `cancelled` are final.',
  }),
  format: z.nullable(z.string()),
  on_conflict: z.optional(z.string()),
  match: z.optional(z.string()),
  dry_run: z.optional(z.boolean()),
  announce: z.optional(z.boolean()),
  mapping: z.optional(z.record(z.string(), z.string())),
  filters: z.optional(z.record(z.string(), z.unknown())),
  include_hashes: z.optional(z.boolean()),
  action: z.optional(z.enum(bulkActions)),
  attributes: z.optional(attributesPatch),
  expected_total: z.optional(z.int()),
  undoes: z.nullable(uuid).register(z.globalRegistry, { description: 'The job that an undo reverts.' }),
  undone_by: z.nullable(uuid).register(z.globalRegistry, { description: 'The job that undoes this one.' }),
  created_by: z.string(),
  created_at: z.iso.datetime(),
  started_at: instant,
  ended_at: instant,
  error: z.nullable(z.string()).register(z.globalRegistry, { description: 'Why the job failed.' }),
  bytes_read: count.register(z.globalRegistry, { description: 'Of the file as it was sent.' }),
  bytes_total: z
    .nullable(count)
    .register(z.globalRegistry, { description: 'null until the file is complete' }),
  rows_read: count,
  rows_total: z.nullable(count).register(z.globalRegistry, {
    description:
      'The users of a bulk change, null until they are collected; the ids of an export. Null for other jobs.',
  }),
  created: count,
  updated: count,
  unchanged: count,
  skipped: count,
  refused: count.register(z.globalRegistry, { description: "Listed under the job's `/errors`." }),
  erased: count.register(z.globalRegistry, { description: 'By an undo or a bulk change.' }),
  rows_per_second: z.nullable(z.number()),
  seconds_left: z.nullable(z.number()),
})

const uploadSchema = z.object({
  method: z.literal('PUT'),
  url: z.string().register(z.globalRegistry, { description: "Relative to this API's address, or absolute." }),
})

export const createdImportSchema = z.extend(jobSchema, {
  upload: uploadSchema,
  /** For sources that give hashes in a second file. */
  hashes_upload: uploadSchema,
})

export const jobsQuery = z.strictObject({
  limit: z._default(wholeNumber(1, limitMax), 50),
  cursor: z.optional(text(1, 100, { description: '`next_cursor` of the previous page.' })),
})

const nextCursor = z.nullable(z.string()).register(z.globalRegistry, { description: 'null on the last page' })

export const jobsPageSchema = z.object({ items: z.array(jobSchema), next_cursor: nextCursor })

export const createdUsersSchema = z.object({ items: z.array(userSchema), next_cursor: nextCursor })

export const jobErrorsSchema = z.object({
  items: z.array(
    z.object({
      line: count.register(z.globalRegistry, {
        description: 'Where the row begins. For an undo or a bulk change, the number of the kept user.',
      }),
      pointer: z
        .string()
        .register(z.globalRegistry, { description: 'The field (RFC 6901); empty for the row as a whole.' }),
      message: z.string(),
    }),
  ),
  next_cursor: nextCursor,
})

export type ImportFormat = (typeof importFormats)[number]
export type ExportFormat = (typeof exportFormats)[number]
export type ExportBody = z.infer<typeof exportBody>
export type ImportBody = z.infer<typeof importBody>
export type Job = z.infer<typeof jobSchema>
export type JobsQuery = z.infer<typeof jobsQuery>
export type Page<T> = { items: T[]; next_cursor: string | null }
