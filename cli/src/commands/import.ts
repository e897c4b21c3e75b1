// import: sends a file of users, follows the import, and says what to do about refused rows.
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { type Command, Option } from 'commander'
import type { Imports, Job, NewImport } from '../../../client/src/index.ts'
import type { CommandContext, Run } from '../context.ts'
import { CommandError, exitCodes, Interrupted } from '../exit-codes.ts'
import { type RefusedFiles, writeRefusedRows } from '../jobs/refused-rows.ts'
import { formatOf, formats } from '../jobs/source-format.ts'
import { sendAnew } from '../jobs/upload.ts'
import { checkEnd, resultLines, watchJob } from '../jobs/watch.ts'
import { splitPair } from './user-fields.ts'

type ImportOptions = {
  format?: NewImport['format']
  onConflict: NonNullable<NewImport['on_conflict']>
  match: NonNullable<NewImport['match']>
  dryRun?: boolean
  announce: boolean
  mapping?: [string, string][]
  parameters?: string
  hashes?: string
  detach?: boolean
}

export function addImport(program: Command, run: Run): void {
  program
    .command('import <file>')
    .description('Move users in from a file, as it is or compressed by gzip or Zstandard.')
    .addOption(new Option('--format <format>', 'by default the one that the content has').choices(formats))
    .addOption(
      new Option('--on-conflict <action>', 'for users that the directory already has')
        .choices(['skip', 'update', 'fail'])
        .default('skip'),
    )
    .addOption(
      new Option('--match <field>', 'the field that finds such users')
        .choices(['username', 'external_id'])
        .default('username'),
    )
    .option('--dry-run', 'checks and counts everything, and changes nothing')
    .option('--no-announce', 'publishes no events of the created users')
    .option('--mapping <column=field>', 'renames a column of a CSV; repeat it for several', collectPair)
    .option('--parameters <file>', "the format's own parameters as JSON, such as Firebase's for hashes")
    .option('--hashes <file>', 'the second file of sources that keep hashes apart, such as Auth0')
    .option('--detach', 'starts the import, and does not wait for its end')
    .action(run(importFile))
}

async function importFile(ctx: CommandContext, file: string, options: ImportOptions): Promise<void> {
  const { output, signal } = ctx
  const body = await bodyOf(ctx, file, options)
  const { server, directory } = await ctx.openSession()
  const { imports } = directory
  const sizes = await Promise.all(
    [file, options.hashes].map((path) => (path === undefined ? undefined : sizeOf(path))),
  )
  const created = await imports.create(body, { signal })
  try {
    const [size = 0, hashesSize = 0] = sizes
    const { hashes } = options
    if (hashes !== undefined)
      await sendAnew(
        ctx,
        { label: 'Sending hashes', size: hashesSize, open: () => streamOf(hashes) },
        (stream, given) => imports.sendHashes(created, stream, given),
      )
    await sendAnew(ctx, { label: 'Sending', size, open: () => streamOf(file) }, (stream, given) =>
      imports.sendFile(created, stream, given),
    )
    await imports.start(created.id, { signal })
  } catch (error) {
    // Without its file the import waits for ever. The first error matters more than this one.
    const cancelled = await imports.cancel(created.id).catch(() => undefined)
    throw signal.aborted ? new Interrupted(stoppedEarly(created.id, cancelled)) : error
  }
  output.note(`Import ${created.id} at ${server}`)
  if (options.detach) {
    output.note(`Follow it: user-directory jobs watch ${created.id}`)
    if (output.isJson) await output.json(await imports.get(created.id, { signal }))
    return
  }
  const { id } = created
  const job = await watchJob(ctx, { id, open: () => imports.follow(id, { signal }) })
  await finishImport(ctx, imports, { job, file })
}

/** @param cancelled undefined if the service did not answer. It may have begun after all */
function stoppedEarly(id: string, cancelled: Job | undefined): string {
  if (!cancelled) return `It is not known whether import ${id} began. See: user-directory jobs get ${id}`
  if (cancelled.rows_read === 0)
    return 'The import had not begun, so nothing was imported. The same command starts it anew.'
  return `Import ${id} is ${cancelled.state} at row ${cancelled.rows_read}. To take it back: user-directory jobs undo ${id}`
}

/**
 * Shows the result of an import that has ended.
 * @param ended.file the file that was imported, if it is known
 */
export async function finishImport(
  { output, signal }: CommandContext,
  imports: Imports,
  { job, file }: { job: Job; file: string | undefined },
): Promise<void> {
  const { id, format, refused, dry_run, kind } = job
  let files: RefusedFiles | undefined
  let failure: string | undefined
  if (refused > 0 && file !== undefined && format !== null)
    try {
      files = await writeRefusedRows(file, { format, faults: imports.errors(id, { signal }) })
    } catch (error) {
      // The result of the import matters more.
      failure = (error as Error).message
    }
  if (output.isJson) await output.json({ ...job, ...(files && { refused_files: files }) })
  else for (const line of resultLines(job)) await output.line(line)
  checkEnd(job)
  if (dry_run) output.note('This was a dry run: nothing was changed.')
  else if ((kind === 'import' && job.created > 0) || (kind === 'bulk' && job.updated > 0))
    output.note(`To take it back: user-directory jobs undo ${id}`)
  if (refused === 0) return
  if (failure !== undefined)
    throw new CommandError(
      'failed',
      `The refused rows were not written: ${failure}. Write them again: user-directory jobs errors ${id} --file FILE`,
    )
  process.exitCode = exitCodes.rowsRefused
  if (!files) {
    output.note(
      kind === 'import'
        ? `For the reasons and the rows: user-directory jobs errors ${id} --file FILE`
        : `For the reasons: user-directory jobs errors ${id}`,
    )
    return
  }
  output.note(`The reasons are in ${files.reasons}.`)
  if (files.rows !== undefined)
    output.note(
      `The refused rows are in ${files.rows}. Correct them, and import that file with the same options.`,
    )
}

async function bodyOf({ output }: CommandContext, file: string, options: ImportOptions): Promise<NewImport> {
  const { onConflict, match, dryRun = false, announce, mapping, parameters } = options
  let { format } = options
  if (format === undefined) {
    await sizeOf(file)
    // Only CSV has columns to rename.
    format = mapping ? 'csv' : await formatOf(file)
    output.note(`Format: ${format}`)
  }
  return {
    format,
    on_conflict: onConflict,
    match,
    dry_run: dryRun,
    announce,
    ...(mapping && { mapping: Object.fromEntries(mapping) }),
    ...(parameters !== undefined && { options: await readParameters(parameters) }),
  }
}

async function readParameters(path: string): Promise<NonNullable<NewImport['options']>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as NonNullable<NewImport['options']>
  } catch {
    throw new CommandError('usage', `${path} must be a file with one JSON object.`)
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) throw new CommandError('usage', `${path} is no file that can be read.`)
  return found.size
}

function streamOf(path: string): ReadableStream<Uint8Array> {
  return Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>
}

function collectPair(given: string, earlier: [string, string][] = []): [string, string][] {
  return [...earlier, splitPair(given)]
}
