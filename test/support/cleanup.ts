import { afterAll, onTestFinished, TestRunner } from 'vitest'

const works: (() => Promise<unknown>)[] = []
// Asked for once, here: within tests and hooks vitest passes `afterAll` over in silence.
afterAll(async () => {
  for (const work of works.splice(0).reverse()) await work()
})

/** Runs when the test ends that asked for it, or, outside of tests, when the file does; the last one first. */
export function atEnd(work: () => Promise<unknown>): void {
  if (TestRunner.getCurrentTest()) onTestFinished(async () => void (await work()))
  else works.push(work)
}
