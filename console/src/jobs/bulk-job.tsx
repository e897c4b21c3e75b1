// The progress of a bulk change, the users that it kept, and the ways to stop it and to take it back.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { type ReactNode, useEffect } from 'react'
import { bulk, hasEnded, type Job } from '../api/directory.ts'
import { useSingleMutation } from '../api/single-mutation.ts'
import { Button } from '../ui/button.tsx'
import { DialogButtons } from '../ui/dialog.tsx'
import { ProblemNotice } from '../ui/problem-notice.tsx'
import { JobProgress } from './job-progress.tsx'
import { bulkQuery, keptUsersQuery } from './jobs.ts'

type Props = {
  id: string
  /** Gets the id of the job that undoes this one. */
  onUndo: (id: string) => void
  /** Buttons after those of the job. */
  children?: ReactNode
}

export function BulkJob({ id, onUndo, children }: Props) {
  const queryClient = useQueryClient()
  const job = useQuery(bulkQuery(id))
  const isOver = job.data !== undefined && hasEnded(job.data)
  const cancel = useSingleMutation({
    mutationFn: () => bulk.cancel(id),
    onSuccess: (data) => queryClient.setQueryData(bulkQuery(id).queryKey, data),
  })
  const undo = useSingleMutation({
    mutationFn: () => bulk.undo(id),
    onSuccess: async (created) => {
      await queryClient.invalidateQueries({ queryKey: ['bulk'] })
      onUndo(created.id)
    },
  })
  useEffect(() => {
    if (!isOver) return
    for (const key of ['users', 'user', 'users-total', 'bulk-changes'])
      void queryClient.invalidateQueries({ queryKey: [key] })
  }, [isOver, queryClient])
  const error = job.error ?? cancel.error ?? undo.error
  return (
    <>
      {error && <ProblemNotice error={error} onRetry={job.error ? () => void job.refetch() : undefined} />}
      {job.isPending && <div aria-hidden="true" className="skeleton h-20" />}
      {job.data && <JobProgress job={job.data} />}
      {job.data && isOver && job.data.refused > 0 && <KeptUsers job={job.data} />}
      <DialogButtons>
        {job.data && !isOver && (
          <Button isDisabled={cancel.isPending} onPress={() => cancel.mutate()}>
            Stop
          </Button>
        )}
        {job.data && isOver && canUndo(job.data) && (
          <Button isDisabled={undo.isPending} onPress={() => undo.mutate()}>
            Undo
          </Button>
        )}
        {children}
      </DialogButtons>
    </>
  )
}

function canUndo({ kind, action, updated, undone_by }: Job): boolean {
  return kind === 'bulk' && action !== 'erase' && updated > 0 && undone_by === null
}

function KeptUsers({ job: { id, refused } }: { job: Job }) {
  const kept = useQuery(keptUsersQuery(id))
  if (kept.error) return <ProblemNotice error={kept.error} onRetry={() => void kept.refetch()} />
  if (kept.isPending) return <div aria-hidden="true" className="skeleton h-10" />
  const hidden = refused - kept.data.length
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section aria-label="Kept users" tabIndex={0} className="max-h-56 overflow-y-auto border-y border-line">
      <ul>
        {kept.data.map(({ line, message }) => (
          <li key={line} className="break-words py-0.5">
            {message}
          </li>
        ))}
      </ul>
      {hidden > 0 && <p className="text-muted">And {hidden} more.</p>}
    </section>
  )
}
