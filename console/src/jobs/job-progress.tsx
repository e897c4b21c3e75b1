// The state and the counts of a job.
import type { Job } from '../api/directory.ts'

const number = new Intl.NumberFormat()

const stateText: Record<Job['state'], string> = {
  waiting: 'Waiting',
  running: 'Running',
  done: 'Done',
  failed: 'Failed',
  cancelled: 'Cancelled',
}

export function JobProgress({ job }: { job: Job }) {
  const { state, bytes_read, bytes_total, seconds_left } = job
  const counts = [
    ['Rows read', job.rows_read],
    ['Created', job.created],
    ['Updated', job.updated],
    ['Unchanged', job.unchanged],
    ['Skipped', job.skipped],
    ['Refused', job.refused],
    ['Erased', job.erased],
  ] as const
  return (
    <section aria-label="Progress" className="flex max-w-xl flex-col gap-2">
      <p role="status" className={state === 'failed' ? 'font-medium text-danger' : 'font-medium'}>
        {stateText[state]}
        {job.error !== null && `: ${job.error}`}
        {state === 'running' && seconds_left !== null && `, about ${Math.ceil(seconds_left)} seconds left`}
      </p>
      {state === 'running' && bytes_total !== null && (
        <progress
          aria-label="Part of the file that is read"
          className="w-full accent-accent"
          value={bytes_read}
          max={bytes_total}
        />
      )}
      <dl className="grid grid-cols-[10rem_1fr] gap-y-1">
        {counts
          .filter(([name, count]) => count > 0 || name === 'Rows read')
          .map(([name, count]) => (
            <div key={name} className="contents">
              <dt className="text-muted">{name}</dt>
              <dd className="tabular-nums">{number.format(count)}</dd>
            </div>
          ))}
      </dl>
    </section>
  )
}

export function jobTitle({ kind, dry_run, undoes }: Job): string {
  if (undoes !== null) return 'Undo of an import'
  if (kind === 'export') return 'Export'
  return dry_run ? 'Check of an import' : 'Import'
}

export function jobState({ state }: Job): string {
  return stateText[state]
}
