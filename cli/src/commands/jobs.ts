// jobs list, get, watch, cancel, undo and errors.
import type { Command } from 'commander'
import type { Job } from '../../../client/src/index.ts'
import type { CommandContext, Run } from '../context.ts'
import { CommandError } from '../exit-codes.ts'
import { findJob, listJobs } from '../jobs/all-jobs.ts'
import { writeRefusedRows } from '../jobs/refused-rows.ts'
import { watchJob } from '../jobs/watch.ts'
import { printable } from '../output/printable.ts'
import { confirmLoss } from '../output/prompts.ts'
import { finishExport } from './export.ts'
import { finishImport } from './import.ts'

const shownMax = 50
const columns = [
  { title: 'id', value: ({ id }: Job) => id },
  { title: 'kind', value: ({ kind, dry_run }: Job) => (dry_run ? 'dry run' : kind) },
  { title: 'format', value: ({ format }: Job) => format },
  { title: 'state', value: ({ state }: Job) => state },
  { title: 'rows', value: ({ rows_read }: Job) => String(rows_read) },
  { title: 'refused', value: ({ refused }: Job) => String(refused) },
  { title: 'created', value: ({ created_at }: Job) => created_at.slice(0, 16).replace('T', ' ') },
]

export function addJobs(program: Command, run: Run): void {
  const jobs = program.command('jobs').description('Follow and steer imports, exports and bulk changes.')
  jobs.command('list').description('The newest jobs.').action(run(list))
  jobs.command('get <id>').description('Show a job.').action(run(get))
  jobs.command('watch <id>').description('Follow a job until its end.').action(run(watch))
  jobs
    .command('cancel <id>')
    .description('Stop a job. Its committed rows stay; the file of an export does not.')
    .option('--yes', 'does not ask')
    .action(run(cancel))
  jobs
    .command('undo <id>')
    .description('Undo an import or a bulk change, for users that were not changed since.')
    .option('--yes', 'does not ask')
    .action(run(undo))
  jobs
    .command('errors <id>')
    .description('Show why rows were refused, or which users were kept.')
    .option('--file <path>', 'the imported file: writes its refused rows and the reasons beside it')
    .action(run(errors))
}

async function list(ctx: CommandContext): Promise<void> {
  const { output, signal } = ctx
  const { directory } = await ctx.openSession()
  const found: Job[] = []
  for await (const job of listJobs(directory, { signal })) {
    if (output.isJson) await output.json(job)
    else found.push(job)
    if (!output.isJson && found.length >= shownMax) break
  }
  if (!output.isJson) await output.table(columns)(found)
}

async function get(ctx: CommandContext, id: string): Promise<void> {
  const { output, signal } = ctx
  const { directory } = await ctx.openSession()
  const { job } = await findJob(directory, id, { signal })
  if (output.isJson) return output.json(job)
  for (const [name, value] of Object.entries(job))
    if (value !== null)
      await output.line(
        printable(`${name.padEnd(16)} ${typeof value === 'object' ? JSON.stringify(value) : value}`),
      )
}

async function watch(ctx: CommandContext, id: string): Promise<void> {
  const { directory } = await ctx.openSession()
  const { signal } = ctx
  const { calls } = await findJob(directory, id, { signal })
  const job = await watchJob(ctx, { id, open: () => calls.follow(id, { signal }) })
  if (job.kind === 'export') await finishExport(ctx, job)
  else await finishImport(ctx, directory.imports, { job, file: undefined })
}

async function cancel(ctx: CommandContext, id: string, { yes = false }: { yes?: boolean }): Promise<void> {
  const { output, signal } = ctx
  const { directory } = await ctx.openSession()
  const { calls } = await findJob(directory, id, { signal })
  await confirmLoss('Stop this job?', yes)
  const job = await calls.cancel(id, { signal })
  if (output.isJson) return output.json(job)
  output.note(`The job is ${job.state}.`)
}

async function undo(ctx: CommandContext, id: string, { yes = false }: { yes?: boolean }): Promise<void> {
  const { signal } = ctx
  const { directory } = await ctx.openSession()
  const { job: found, calls } = await findJob(directory, id, { signal })
  const { undo } = calls
  if (!undo) throw new CommandError('usage', 'An export changes nothing that could be undone.')
  const question =
    found.kind === 'bulk'
      ? `Restore the users that this job changed (${found.updated}), except those changed since?`
      : `Erase the users that this import created (${found.created}), except those changed since?`
  // After an interruption, the same command attaches again.
  if (found.undone_by === null) await confirmLoss(question, yes)
  const undoing = found.undone_by ?? (await undo(id, { signal })).id
  const job = await watchJob(ctx, { id: undoing, open: () => calls.follow(undoing, { signal }) })
  await finishImport(ctx, directory.imports, { job, file: undefined })
}

async function errors(ctx: CommandContext, id: string, { file }: { file?: string }): Promise<void> {
  const { output, signal } = ctx
  const { directory } = await ctx.openSession()
  const { job, calls } = await findJob(directory, id, { signal })
  if (!calls.errors) throw new CommandError('usage', 'An export has no errors.')
  const faults = calls.errors(id, { signal })
  if (file === undefined) {
    for await (const fault of faults) {
      const { line, pointer, message } = fault
      // Only an import has a file with lines.
      const place = job.format === null ? '' : `line ${line}  `
      if (output.isJson) await output.json(fault)
      else await output.line(printable(`${place}${`${pointer} ${message}`.trim()}`))
    }
    return
  }
  const { format } = job
  if (format === null) throw new CommandError('usage', 'Only an import has a file.')
  const files = await writeRefusedRows(file, { format, faults })
  if (output.isJson) return output.json(files)
  output.note(`The reasons are in ${files.reasons}.`)
  if (files.rows !== undefined) output.note(`The refused rows are in ${files.rows}.`)
}
