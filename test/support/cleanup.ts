import { afterAll, onTestFinished, TestRunner } from 'vitest'

const works: (() => Promise<unknown>)[] = []
// Registered at import, because vitest silently ignores `afterAll` within tests and hooks.
afterAll(async () => {
  for (const work of works.splice(0).reverse()) await work()
})

/** Runs `work` at the end of the current test, or of the file outside tests. The last registered runs first. */
export function atEnd(work: () => Promise<unknown>): void {
  if (TestRunner.getCurrentTest()) onTestFinished(async () => void (await work()))
  else works.push(work)
}
