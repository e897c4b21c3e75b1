// Runs before each test file. Files share a process, so each closes what it opened and restores the environment.
import { afterAll } from 'vitest'
import { endFile } from './cleanup.ts'

const before = { ...process.env }

// Registered here, because vitest ignores `afterAll` within tests and hooks, and runs a shared module once.
afterAll(async () => {
  try {
    await endFile()
  } finally {
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
    Object.assign(process.env, before)
  }
})
