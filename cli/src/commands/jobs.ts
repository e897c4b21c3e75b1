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
  const jobs = program.command('jobs').description('Follow and steer imports and exports.')
  jobs.command('list').description('The newest imports, exports and undoings.').action(run(list))
  jobs.command('get <id>').description('Show a job.').action(run(get))
  jobs.command('watch <id>').description('Follow a job until its end.').action(run(watch))
  jobs
    .command('cancel <id>')
    .description('Stop a job. Its committed rows stay; the file of an export does not.')
    .option('--yes', 'does not ask')
    .action(run(cancel))
  jobs
    .command('undo <id>')
    .description('Erase the users that an import created and that were not changed since.')
    .option('--yes', 'does not ask')
    .action(run(undo))
  jobs
    .command('errors <id>')
    .description('Show why rows were refused, or which users an undo kept.')
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
  const { imports } = directory
  const { created, undone_by } = await imports.get(id, { signal })
  // After an interruption, the same command attaches again.
  const undoing = undone_by ?? (await startUndo())
  const job = await watchJob(ctx, { id: undoing, open: () => imports.follow(undoing, { signal }) })
  await finishImport(ctx, imports, { job, file: undefined })

  async function startUndo(): Promise<string> {
    const question = `Erase the users that this import created (${created}), except those changed since?`
    await confirmLoss(question, yes)
    return (await imports.undo(id, { signal })).id
  }
}

async function errors(ctx: CommandContext, id: string, { file }: { file?: string }): Promise<void> {
  const { output, signal } = ctx
  const { directory } = await ctx.openSession()
  const faults = directory.imports.errors(id, { signal })
  if (file === undefined) {
    for await (const fault of faults)
      if (output.isJson) await output.json(fault)
      else await output.line(printable(`line ${fault.line}  ${`${fault.pointer} ${fault.message}`.trim()}`))
    return
  }
  const { format } = await directory.imports.get(id, { signal })
  if (format === null) throw new CommandError('usage', 'Only an import has a file.')
  const files = await writeRefusedRows(file, { format, faults })
  if (output.isJson) return output.json(files)
  output.note(`The reasons are in ${files.reasons}.`)
  if (files.rows !== undefined) output.note(`The refused rows are in ${files.rows}.`)
}
