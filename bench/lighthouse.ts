// Runs Lighthouse on the console's list, with the processor four times as slow and the network of this machine.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { launchProfile } from '../console/test/support/launch-chromium.ts'
import { freePort } from '../test/support/port.ts'
import { buildConsole } from '../tools/built-console.mjs'
import { signIn } from './console.ts'
import { startService } from './servers.ts'
import type { Undo } from './undo.ts'

// By npx, because it has 150 packages with 186 MB, and only this part needs them.
const lighthouse = 'lighthouse@12.8.2'
const throttling = {
  cpuSlowdownMultiplier: 4,
  requestLatencyMs: 0,
  downloadThroughputKbps: 0,
  uploadThroughputKbps: 0,
}
const runMsMax = 300_000
const reportBytesMax = 64 * 1024 * 1024

type Report = {
  categories: Record<string, { score: number | null }>
  audits: Record<string, { score: number | null; displayValue?: string }>
}

export async function benchLighthouse({
  env,
  cwd,
  undo,
  rounds,
}: {
  env: Record<string, string>
  cwd: string
  undo: Undo
  rounds: number
}): Promise<void> {
  if (!buildConsole()) throw new Error('The console could not be built')
  const service = await startService({ env, cwd, undo })
  const port = await freePort()
  const context = await launchProfile(join(cwd, 'profile'), port)
  undo.push(() => context.close())
  const page = await context.newPage()
  await signIn(page, service.port)
  await page.close()
  for (let round = 1; round <= rounds; round++) {
    const { stdout } = await promisify(execFile)(
      'npx',
      [
        '--yes',
        lighthouse,
        `http://localhost:${service.port}/console/users`,
        `--port=${port}`,
        // Keeps the session's cookie.
        '--disable-storage-reset',
        '--only-categories=performance,accessibility,best-practices',
        '--throttling-method=devtools',
        ...Object.entries(throttling).map(([name, value]) => `--throttling.${name}=${value}`),
        '--output=json',
        '--quiet',
      ],
      { cwd, timeout: runMsMax, maxBuffer: reportBytesMax },
    )
    print(JSON.parse(stdout) as Report)
  }
}

function print({ categories, audits }: Report): void {
  const scores = Object.entries(categories).map(
    ([name, { score }]) => `${name} ${Math.round((score ?? 0) * 100)}`,
  )
  process.stdout.write(`${scores.join(', ')}\n`)
  for (const [name, { score, displayValue = '' }] of Object.entries(audits))
    if (score !== null && score < 1) process.stdout.write(`  ${name}: ${score} ${displayValue}\n`)
}
