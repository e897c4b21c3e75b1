// Runs before each test file. One fixed seed for all property tests keeps chance out of a run, and repeats a failure.
import fc from 'fast-check'

const chosen = process.env.FAST_CHECK_SEED

if (chosen !== 'random') fc.configureGlobal({ seed: seedOf(chosen ?? '1') })

function seedOf(text: string): number {
  if (/^-?\d{1,10}$/.test(text)) return Number(text)
  throw new Error('FAST_CHECK_SEED must be an integer of at most 10 digits, or "random"')
}
