// export: starts an export, follows it, and stores its file.
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import { type Command, Option } from 'commander'
import type { NewExport } from '../../../client/src/index.ts'
import type { CommandContext, Run } from '../context.ts'
import { CommandError } from '../exit-codes.ts'
import { checkEnd, watchJob } from '../jobs/watch.ts'
import { addFilters, type FilterOptions, readFilters } from './filters.ts'

type ExportOptions = FilterOptions & { format?: NewExport['format']; includeHashes?: boolean }

export function addExport(program: Command, run: Run): void {
  addFilters(
    program
      .command('export <file>')
      .description('Store all users, or those that match, in a file; - is stdout.'),
  )
    .addOption(
      new Option('--format <format>', 'by default from the name, else ndjson').choices(['ndjson', 'csv']),
    )
    .option('--include-hashes', 'with the password hashes')
    .action(run(exportUsers))
}

async function exportUsers(ctx: CommandContext, file: string, options: ExportOptions): Promise<void> {
  const { output, signal } = ctx
  const isStdout = file === '-'
  if (isStdout && output.isJson) throw new CommandError('usage', 'With --json, name a file.')
  const { exports } = (await ctx.openSession()).directory
  const filters = readFilters(options)
  const created = await exports.create(
    {
      format: options.format ?? (file.endsWith('.csv') ? 'csv' : 'ndjson'),
      include_hashes: options.includeHashes === true,
      ...(Object.keys(filters).length > 0 && { filters }),
    },
    { signal },
  )
  const job = await watchJob(ctx, exports.follow(created.id, { signal }))
  checkEnd(job)
  const stream = await exports.file(job.id, { signal })
  if (isStdout) await pipeline(toNode(stream), process.stdout, { end: false, signal })
  else await store(stream, file, signal)
  if (output.isJson) await output.json(job)
  else output.note(`${job.rows_read} users are in ${isStdout ? 'the output' : file}.`)
}

/** The file appears when it is complete. It may hold hashes, so only its owner may read it. */
async function store(stream: ReadableStream<Uint8Array>, file: string, signal: AbortSignal): Promise<void> {
  const draft = `${file}.part`
  try {
    await pipeline(toNode(stream), createWriteStream(draft, { mode: 0o600 }), { signal })
    await rename(draft, file)
  } catch (error) {
    await rm(draft, { force: true })
    throw signal.aborted ? signal.reason : error
  }
}

/** Node and browsers have types of their own for the same stream. */
function toNode(stream: ReadableStream<Uint8Array>): Readable {
  return Readable.fromWeb(stream as NodeStream<Uint8Array>)
}
