// Cleans up at the end of a run, also after a signal.

export type Undo = {
  push(step: () => Promise<unknown>): void
  /** Runs the steps in reverse order. */
  run(): Promise<void>
}

/** Also cleans up and exits on a signal, or when the output's reader has gone. */
export function openUndo(): Undo {
  const steps: (() => Promise<unknown>)[] = []
  let running: Promise<void> | undefined
  const undo = async (): Promise<void> => {
    for (let step = steps.pop(); step; step = steps.pop())
      await step().catch((error: unknown) => {
        process.stderr.write(`Cleaning up failed: ${error}\n`)
        process.exitCode = 1
      })
  }
  // Only once, although npm forwards signals that the terminal sends to both processes.
  const run = (): Promise<void> => (running ??= undo())
  const leave = (): void => void run().finally(() => process.exit(1))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, leave)
  for (const stream of [process.stdout, process.stderr]) stream.on('error', leave)
  return { push: (step) => void steps.push(step), run }
}
