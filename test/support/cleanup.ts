import { afterAll, onTestFinished, TestRunner } from 'vitest'

/** Runs when the test ends that asked for it, or, outside of tests, when the file does; the last one first. */
export function atEnd(work: () => Promise<unknown>): void {
  // `afterAll` inside a test is passed over in silence.
  const hook = TestRunner.getCurrentTest() ? onTestFinished : afterAll
  hook(async () => void (await work()))
}
