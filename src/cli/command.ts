// Helpers of all commands.

/** Reports a failure in one line, and exits with a non-zero code. */
export async function runCommand(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}

/** Shows a progress bar on a terminal, and nothing elsewhere. */
export function showProgress(stored: number, count: number): void {
  if (!process.stdout.isTTY) return
  const done = Math.floor((stored / count) * 40)
  const bar = '█'.repeat(done) + '░'.repeat(40 - done)
  process.stdout.write(`\r${bar} ${stored} of ${count}${stored === count ? '\n' : ''}`)
}
