import { onTestFinished, TestRunner } from 'vitest'

const works: (() => Promise<unknown>)[] = []

/** Runs `work` at the end of the current test, or of the file outside tests. The last registered runs first. */
export function atEnd(work: () => Promise<unknown>): void {
  if (TestRunner.getCurrentTest()) onTestFinished(async () => void (await work()))
  else works.push(work)
}

/** Closes what the file has opened outside tests. */
export async function endFile(): Promise<void> {
  for (const work of works.splice(0).reverse()) await work()
}
