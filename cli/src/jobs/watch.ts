// Follows a job, and shows its progress and its end.
import { setTimeout as pause } from 'node:timers/promises'
import { hasEnded, type Job } from '../../../client/src/index.ts'
import type { CommandContext } from '../context.ts'
import { CommandError, exitCodeOf, exitCodes, Interrupted } from '../exit-codes.ts'
import { openProgress, type ProgressState } from '../output/progress.ts'

const count = new Intl.NumberFormat('en')

/** A restart of the service takes seconds, and a failover of its database minutes. */
const outageMsMax = 600_000
const retryMs = 2_000

type Watched = {
  id: string
  /** Opens the job's states. It is called again after an outage. */
  open: () => AsyncIterable<Job>
  /** The command that attaches again. */
  attach?: string
}

/**
 * Waits for the end of a job, also while the service restarts.
 * @throws Interrupted on Ctrl-C, while the job goes on in the service
 */
export async function watchJob(
  { output, signal }: CommandContext,
  { id, open, attach = `user-directory jobs watch ${id}` }: Watched,
): Promise<Job> {
  const progress = openProgress()
  let lostAt: number | undefined
  try {
    for (;;)
      try {
        for await (const job of open()) {
          lostAt = undefined
          progress.show(stateOf(job))
          if (hasEnded(job)) return job
        }
      } catch (error) {
        if (signal.aborted || exitCodeOf(error) !== exitCodes.unreachable) throw error
        if (lostAt === undefined) output.note(`${messageOf(error)} Waiting for the service.`)
        lostAt ??= performance.now()
        if (performance.now() - lostAt > outageMsMax)
          throw new CommandError(
            'unreachable',
            `${messageOf(error)} The job goes on in the service. Attach again: ${attach}`,
          )
        await pause(retryMs, undefined, { signal })
      }
  } catch (error) {
    if (!signal.aborted) throw error
    throw new Interrupted(
      `The job goes on in the service. Attach again: ${attach}. Cancel it: user-directory jobs cancel ${id}`,
    )
  } finally {
    progress.end()
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

const labels = {
  import: 'Importing',
  export: 'Exporting',
  undo: 'Erasing',
  bulk: 'Changing',
  bulk_undo: 'Restoring',
}

function stateOf(job: Job): ProgressState {
  const { kind, state, bytes_read, bytes_total, rows_read, rows_per_second, seconds_left, refused, erased } =
    job
  const isMeasured = bytes_total !== null && bytes_total > 0 && kind === 'import'
  const rows = kind === 'undo' ? `${count.format(erased)} erased` : `${count.format(rows_read)} rows`
  return {
    label: state === 'waiting' ? 'Waiting' : job.dry_run ? 'Checking' : labels[kind],
    share: isMeasured ? Math.min(1, bytes_read / bytes_total) : undefined,
    details: [
      rows,
      ...(rows_per_second !== null ? [`${count.format(rows_per_second)}/s`] : []),
      ...(seconds_left !== null ? [`${duration(seconds_left)} left`] : []),
      ...(refused > 0 ? [`${count.format(refused)} refused`] : []),
    ],
  }
}

function duration(seconds: number): string {
  if (seconds < 90) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`
}

/** @returns the counts of a job that are not zero, as lines for people */
export function resultLines(job: Job): string[] {
  const { rows_read, created, updated, unchanged, skipped, refused, erased } = job
  const counts = { rows: rows_read, created, updated, unchanged, skipped, refused, erased }
  return Object.entries(counts)
    .filter(([name, value]) => value > 0 || name === 'rows')
    .map(([name, value]) => `${name.padEnd(10)} ${count.format(value)}`)
}

/** @throws CommandError unless the job did its work */
export function checkEnd({ state, error }: Job): void {
  if (state === 'cancelled') throw new CommandError('failed', 'The job was cancelled.')
  if (state === 'failed')
    throw new CommandError('failed', `The job failed: ${error ?? 'the reason is unknown'}`)
}
