// export: starts an export, follows it, and stores its file.
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import { type Command, Option } from 'commander'
import type { Job, NewExport } from '../../../client/src/index.ts'
import type { CommandContext, Run } from '../context.ts'
import { CommandError, exitCodeOf, exitCodes, Interrupted } from '../exit-codes.ts'
import { checkEnd, resultLines, watchJob } from '../jobs/watch.ts'
import { addFilters, type FilterOptions, readFilters } from './filters.ts'

type ExportOptions = FilterOptions & {
  format?: NewExport['format']
  includeHashes?: boolean
  resume?: string
}

export function addExport(program: Command, run: Run): void {
  const command = addFilters(
    program
      .command('export <file>')
      .description('Store all users, or those that match, in a file; - is stdout.'),
  )
    .addOption(
      new Option('--format <format>', 'by default from the name, else ndjson').choices(['ndjson', 'csv']),
    )
    .option('--include-hashes', 'with the password hashes')
  const resume = new Option('--resume <id>', 'an export that was started before, as it was started')
  command
    .addOption(resume.conflicts(command.options.map((option) => option.attributeName())))
    .action(run(exportUsers))
}

async function exportUsers(ctx: CommandContext, file: string, options: ExportOptions): Promise<void> {
  const { output, signal } = ctx
  const isStdout = file === '-'
  if (isStdout && output.isJson) throw new CommandError('usage', 'With --json, name a file.')
  const { exports } = (await ctx.openSession()).directory
  const id = options.resume ?? (await exports.create(bodyOf(file, options), { signal })).id
  const attach = `user-directory export ${isStdout ? '-' : 'FILE'} --resume ${id}`
  const job = await watchJob(ctx, { id, open: () => exports.follow(id, { signal }), attach })
  checkEnd(job)
  try {
    const stream = await exports.file(id, { signal })
    if (isStdout) await pipeline(toNode(stream), process.stdout, { end: false })
    else await store(stream, file)
  } catch (error) {
    const message = `The file was not stored completely. Get it again within a day: ${attach}`
    if (signal.aborted) throw new Interrupted(message)
    if (exitCodeOf(error) !== exitCodes.failed) throw error
    throw new CommandError('failed', `${message}\n${(error as Error).message}`)
  }
  if (output.isJson) await output.json(job)
  else output.note(`${job.rows_read} users are in ${isStdout ? 'the output' : file}.`)
}

function bodyOf(file: string, options: ExportOptions): NewExport {
  const filters = readFilters(options)
  return {
    format: options.format ?? (file.endsWith('.csv') ? 'csv' : 'ndjson'),
    include_hashes: options.includeHashes === true,
    ...(Object.keys(filters).length > 0 && { filters }),
  }
}

/** Shows an export that has ended. @throws CommandError unless it did its work */
export async function finishExport({ output }: CommandContext, job: Job): Promise<void> {
  if (output.isJson) await output.json(job)
  else for (const line of resultLines(job)) await output.line(line)
  checkEnd(job)
  output.note(`Get its file within a day: user-directory export FILE --resume ${job.id}`)
}

/** The file appears when it is complete. It may hold hashes, so only its owner may read it. */
async function store(stream: ReadableStream<Uint8Array>, file: string): Promise<void> {
  const draft = `${file}.part`
  try {
    await pipeline(toNode(stream), createWriteStream(draft, { mode: 0o600 }))
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** Node and browsers have types of their own for the same stream. */
function toNode(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(stream as NodeStream<Uint8Array>)
}
