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
  const { state, seconds_left } = job
  const isBulk = job.kind === 'bulk' || job.kind === 'bulk_undo'
  const [done, total] = isBulk ? [job.rows_read, job.rows_total] : [job.bytes_read, job.bytes_total]
  const read = isBulk ? 'Users looked at' : job.kind === 'export' ? 'Users written' : 'Rows read'
  const counts = [
    [read, job.rows_read],
    [job.dry_run ? 'To be created' : 'Created', job.created],
    [job.dry_run ? 'To be updated' : 'Updated', job.updated],
    ['Unchanged', job.unchanged],
    ['Skipped', job.skipped],
    [isBulk ? 'Kept' : 'Refused', job.refused],
    ['Erased', job.erased],
  ] as const
  return (
    <section aria-label="Progress" className="flex max-w-xl flex-col gap-2">
      <p role="status" className={state === 'failed' ? 'font-medium text-danger' : 'font-medium'}>
        {stateText[state]}
        {job.error !== null && `: ${job.error}`}
        {state === 'running' && seconds_left !== null && `, about ${Math.ceil(seconds_left)} seconds left`}
      </p>
      {state === 'running' && total !== null && (
        <progress
          aria-label={isBulk ? 'Part of the users that is done' : 'Part of the file that is read'}
          className="w-full accent-accent"
          value={done}
          max={total}
        />
      )}
      <dl className="grid grid-cols-[10rem_1fr] gap-y-1">
        {counts
          .filter(([name, count]) => count > 0 || name === read)
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

const bulkTitles = {
  block: 'Block users',
  unblock: 'Unblock users',
  erase: 'Erase users',
  set_attributes: 'Set attributes',
}

export function jobTitle({ kind, dry_run, undoes, action }: Job): string {
  if (kind === 'bulk_undo') return 'Undo of a bulk change'
  if (kind === 'bulk') return bulkTitles[action ?? 'block']
  if (undoes !== null) return 'Undo of an import'
  if (kind === 'export') return 'Export'
  return dry_run ? 'Check of an import' : 'Import'
}

export function jobState({ state }: Job): string {
  return stateText[state]
}
