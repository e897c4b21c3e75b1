// An error as it is answered: an RFC 9457 problem document.
import * as z from 'zod/mini'

/** Shared by every route in the OpenAPI document. */
export const problemSchema = z.object({
  type: z.string().register(z.globalRegistry, {
    description: 'A URN that names the kind of problem.',
    examples: ['urn:problem:invalid'],
  }),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  request_id: z
    .string()
    .register(z.globalRegistry, { description: 'The same as in the log and the X-Request-Id header.' }),
  version: z.optional(z.int()).register(z.globalRegistry, { description: 'The present version, with 412.' }),
  errors: z.optional(
    z.array(
      z.object({
        message: z.string(),
        pointer: z
          .optional(z.string())
          .register(z.globalRegistry, { description: 'RFC 6901 pointer into the body.' }),
        parameter: z.optional(z.string()),
        header: z.optional(z.string()),
      }),
    ),
  ),
})

export type Problem = z.infer<typeof problemSchema>
