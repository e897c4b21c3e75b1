// The exit codes, and which error leads to which. cli/README.md lists them.
import { CommanderError } from 'commander'
import { ConnectionError, ProblemError } from '../../client/src/index.ts'

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  forbidden: 3,
  notFound: 4,
  conflict: 5,
  rowsRefused: 6,
  unreachable: 7,
  /** 128 and the number of SIGINT, as shells report it. */
  interrupted: 130,
} as const

/** An error whose message is for the person at the terminal. */
export class CommandError extends Error {
  readonly exitCode: number

  constructor(exitCode: keyof typeof exitCodes, message: string) {
    super(message)
    this.exitCode = exitCodes[exitCode]
  }
}

/** The person pressed Ctrl-C. @param message says what goes on without the command, if anything */
export class Interrupted extends CommandError {
  constructor(message = 'Stopped.') {
    super('interrupted', message)
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  if (error instanceof ConnectionError) return exitCodes.unreachable
  if (error instanceof ProblemError) return exitCodeOfStatus(error.status)
  return exitCodes.failed
}

function exitCodeOfStatus(status: number): number {
  if (status === 401 || status === 403) return exitCodes.forbidden
  if (status === 404) return exitCodes.notFound
  if (status === 409 || status === 412) return exitCodes.conflict
  // The service is overloaded, or a proxy cannot reach it.
  if (status === 429 || (status >= 502 && status <= 504)) return exitCodes.unreachable
  return exitCodes.failed
}
