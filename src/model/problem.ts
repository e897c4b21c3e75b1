// The schema of error responses: RFC 9457 problem documents.
import * as z from 'zod/mini'

/** Shared by every route in the OpenAPI document. */
export const problemSchema = z.object({
  type: z.string().register(z.globalRegistry, {
    description: 'A URN that identifies the type of the problem.',
    examples: ['urn:problem:invalid'],
  }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  request_id: z.string().register(z.globalRegistry, {
    description: 'The request id, as in the log and the X-Request-Id header.',
  }),
  version: z.optional(z.int()).register(z.globalRegistry, { description: 'The current version, with 412.' }),
  errors: z.optional(
    z.array(
      z.object({
        message: z.string(),
        pointer: z
          .optional(z.string())
          .register(z.globalRegistry, { description: 'An RFC 6901 pointer into the body.' }),
        parameter: z.optional(z.string()),
        header: z.optional(z.string()),
      }),
    ),
  ),
})

export type Problem = z.infer<typeof problemSchema>
