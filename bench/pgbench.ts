// PostgreSQL's own benchmark as the baseline of uncached reads: a prepared select of one row by key.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export async function hasPgbench(): Promise<boolean> {
  return run('pgbench', ['--version']).then(
    () => true,
    () => false,
  )
}

/** Creates pgbench's tables with 100,000 rows. @param url a database without tables of the same names */
export async function preparePgbench(url: string): Promise<void> {
  await run('pgbench', ['--initialize', '--quiet', url], { timeout: 60_000 })
}

export async function pgbench(
  url: string,
  { connections, seconds }: { connections: number; seconds: number },
): Promise<{ perSecond: number; p50Ms: number }> {
  const { stdout } = await run(
    'pgbench',
    [
      '--select-only',
      '--protocol=prepared',
      '--no-vacuum',
      `--client=${connections}`,
      '--jobs=2',
      `--time=${seconds}`,
      url,
    ],
    { timeout: seconds * 1_000 + 30_000 },
  )
  const figure = (pattern: RegExp) => Number(pattern.exec(stdout)?.[1] ?? Number.NaN)
  return { perSecond: figure(/^tps = ([\d.]+)/m), p50Ms: figure(/^latency average = ([\d.]+) ms/m) }
}
