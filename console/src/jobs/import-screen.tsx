// One import: its progress, its refused rows, and the next step.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useParams, useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { hasEnded, imports, type Job } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { CreatedUsers } from './created-users.tsx'
import { JobProgress, jobTitle } from './job-progress.tsx'
import { beginImport, importQuery, plans } from './jobs.ts'
import { RefusedRows } from './refused-rows.tsx'

export default function ImportScreen() {
  const { jobId } = useParams({ from: '/imports/$jobId' })
  const job = useQuery(importQuery(jobId))
  return (
    <div className="flex flex-col gap-4 p-4">
      <Link to="/imports" className="self-start text-accent underline">
        All imports
      </Link>
      {job.error && <ProblemNotice error={job.error} onRetry={() => void job.refetch()} />}
      {job.isPending && <div aria-hidden="true" className="skeleton h-40 max-w-xl" />}
      {job.data && (
        <>
          <h1>{jobTitle(job.data)}</h1>
          <JobProgress job={job.data} />
          <NextSteps key={jobId} job={job.data} />
          <ShownUsers key={`users of ${jobId}`} job={job.data} />
          {job.data.refused > 0 && hasEnded(job.data) && <RefusedRows id={jobId} />}
        </>
      )}
    </div>
  )
}

/** Loads the created users once the person asks for them. */
function ShownUsers({ job }: { job: Job }) {
  const [isShown, setShown] = useState(false)
  if (!hasEnded(job) || job.kind !== 'import' || job.dry_run === true || job.created === 0) return null
  if (isShown) return <CreatedUsers id={job.id} />
  return (
    <div>
      <Button onPress={() => setShown(true)}>Show the created users</Button>
    </div>
  )
}

function NextSteps({ job }: { job: Job }) {
  const router = useRouter()
  const queryClient = useQueryClient()
  const plan = plans.get(job.id)
  const step = useSingleMutation({
    mutationFn: (take: () => Promise<Job>) => take(),
    onSuccess: async ({ id }) => {
      await queryClient.invalidateQueries({ queryKey: ['import'] })
      // The person may have left meanwhile.
      if (router.matchRoute({ to: '/imports/$jobId', params: { jobId: job.id } }))
        await router.navigate({ to: '/imports/$jobId', params: { jobId: id } })
    },
  })
  const isImport = job.kind === 'import' && job.dry_run !== true
  const canUndo = isImport && job.undone_by === null && job.created > 0
  return (
    <div className="flex flex-col gap-2">
      {step.error && <ProblemNotice error={step.error} />}
      <div className="flex flex-wrap gap-2">
        {!hasEnded(job) && (
          <Button isDisabled={step.isPending} onPress={() => step.mutate(() => imports.cancel(job.id))}>
            Cancel
          </Button>
        )}
        {job.state === 'done' && job.dry_run === true && plan && (
          <Button
            look="primary"
            isDisabled={step.isPending}
            onPress={() => step.mutate(() => beginImport(plan, false))}
          >
            {step.isPending ? 'Sending the file…' : 'Import these users'}
          </Button>
        )}
        {hasEnded(job) && canUndo && (
          <Button
            look="danger"
            isDisabled={step.isPending}
            onPress={() => step.mutate(() => imports.undo(job.id))}
          >
            Undo: erase the created users
          </Button>
        )}
      </div>
      {job.state === 'done' && job.refused > 0 && (
        <p className="max-w-prose">
          {job.dry_run === true ? 'The import leaves out the refused rows. ' : ''}
          Correct the refused rows in the file and import it again. Users that exist by then are not created
          twice.
        </p>
      )}
      {job.state === 'done' && job.dry_run === true && !plan && (
        <p>
          To import the file,{' '}
          <Link to="/imports" className="text-accent underline">
            choose it again
          </Link>
          .
        </p>
      )}
    </div>
  )
}
