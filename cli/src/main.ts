#!/usr/bin/env node
// The command `user-directory`: runs a command, and turns what it throws into a message and an exit code.
import { CommanderError } from 'commander'
import { ProblemError } from '../../client/src/index.ts'
import { candidates } from './commands/completion.ts'
import { exitCodeOf, Interrupted } from './exit-codes.ts'
import { printable } from './output/printable.ts'
import { buildProgram } from './program.ts'

const interruption = new AbortController()
process.on('SIGINT', () => {
  // A second Ctrl-C ends at once.
  if (interruption.signal.aborted) process.exit(exitCodeOf(new Interrupted()))
  interruption.abort(new Interrupted())
})
// The reader of a pipe, such as `head`, has enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

const words = process.argv.slice(2)
const program = buildProgram(interruption.signal)
try {
  if (words[0] === '__complete') process.stdout.write(candidates(program, words.slice(2)).join('\n'))
  else await program.parseAsync(words, { from: 'user' })
} catch (error) {
  process.exitCode = exitCodeOf(error)
  // Commander has printed its own messages.
  if (!(error instanceof CommanderError)) process.stderr.write(`${describe(error)}\n`)
}

function describe(error: unknown): string {
  const lines = [error instanceof Error ? error.message : String(error)]
  if (error instanceof ProblemError) {
    for (const { pointer, parameter, header, message } of error.errors)
      lines.push(`  ${pointer ?? parameter ?? header ?? ''} ${message}`)
    if (error.status >= 500 && error.requestId !== undefined) lines.push(`  request id: ${error.requestId}`)
  }
  return lines.map(printable).join('\n')
}
