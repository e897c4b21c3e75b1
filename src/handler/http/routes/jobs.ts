// The endpoints that all kinds of jobs have: list, read, faults and cancel.
import type { JobKind } from '../../../model/job-states.ts'
import { type Answer, type Endpoint, endpoint, jsonHeaders, type Reply } from '../endpoint.ts'

// Loaded on first use, because most requests read one user.
const schemas = () => import('../../../model/job.ts')
const reads = () => import('../../../services/jobs/read.ts')

/** The common part of the endpoints of one kind of jobs. */
export type JobRoutes = Pick<Endpoint, 'tag' | 'action'> & {
  /** `/import`, for example. */
  path: string
  kinds: JobKind[]
  /** The description of a job in answers. */
  answer: string
}

type Texts = Pick<Endpoint, 'operationId' | 'summary' | 'description'>

export function jobReply(job: object, status = 200, headers: Record<string, string> = {}): Reply {
  return { status, headers: { ...jsonHeaders, ...headers }, body: JSON.stringify(job) }
}

export const jobAnswer = (description: string, status = 200): Answer => ({
  status,
  description,
  schema: async () => (await schemas()).jobSchema,
})

export function listEndpoint({ path, kinds, tag, action }: JobRoutes, texts: Texts): Endpoint {
  return endpoint({
    method: 'GET',
    path,
    ...texts,
    tag,
    action,
    query: async () => (await schemas()).jobsQuery,
    answers: [
      { status: 200, description: 'A page of jobs', schema: async () => (await schemas()).jobsPageSchema },
    ],
    problems: [],
    handle: async ({ ctx, query }) => {
      const { listJobs } = await reads()
      return jobReply(await listJobs(ctx, kinds, query))
    },
  })
}

export function readEndpoint({ path, kinds, tag, action, answer }: JobRoutes, texts: Texts): Endpoint {
  return endpoint({
    method: 'GET',
    path: `${path}/{id}`,
    ...texts,
    tag,
    action,
    answers: [jobAnswer(answer)],
    problems: ['not_found'],
    handle: async ({ ctx, id }) => {
      const { readJob } = await reads()
      return jobReply(await readJob(ctx, { id, kinds }))
    },
  })
}

export function errorsEndpoint({ path, kinds, tag, action }: JobRoutes, texts: Texts): Endpoint {
  return endpoint({
    method: 'GET',
    path: `${path}/{id}/errors`,
    ...texts,
    tag,
    action,
    query: async () => (await schemas()).jobsQuery,
    answers: [
      { status: 200, description: 'A page of faults', schema: async () => (await schemas()).jobErrorsSchema },
    ],
    problems: ['not_found'],
    handle: async ({ ctx, id, query }) => {
      const { listJobErrors } = await reads()
      return jobReply(await listJobErrors(ctx, { id, kinds }, query))
    },
  })
}

export function cancelEndpoint({ path, kinds, tag, action, answer }: JobRoutes, texts: Texts): Endpoint {
  return endpoint({
    method: 'DELETE',
    path: `${path}/{id}`,
    ...texts,
    tag,
    action,
    answers: [jobAnswer(answer)],
    problems: ['not_found'],
    handle: async ({ ctx, caller, id }) => {
      const { cancelJob } = await import('../../../services/jobs/steer.ts')
      return jobReply(await cancelJob(ctx, caller, { id, kinds }))
    },
  })
}
