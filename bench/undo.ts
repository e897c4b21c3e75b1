// What a run has begun is undone at its end, however that comes.

export type Undo = {
  push(step: () => Promise<unknown>): void
  /** The last first. */
  run(): Promise<void>
}

/** Undoes it and ends the process also when it is told to stop, its terminal is gone, or nobody reads its output any more. */
export function openUndo(): Undo {
  const steps: (() => Promise<unknown>)[] = []
  let running: Promise<void> | undefined
  const undo = async (): Promise<void> => {
    for (let step = steps.pop(); step; step = steps.pop())
      await step().catch((error: unknown) => {
        process.stderr.write(`Something was left behind: ${error}\n`)
        process.exitCode = 1
      })
  }
  // Once: npm hands on what a terminal sends to both.
  const run = (): Promise<void> => (running ??= undo())
  const leave = (): void => void run().finally(() => process.exit(1))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, leave)
  for (const stream of [process.stdout, process.stderr]) stream.on('error', leave)
  return { push: (step) => void steps.push(step), run }
}
