import type { Output } from './output/output.ts'
import type { ServerOptions } from './server-address.ts'
import type { Session } from './session.ts'

export type GlobalOptions = ServerOptions & { json?: boolean }

/** Everything that a command gets besides its own options. */
export type CommandContext = {
  output: Output
  options: GlobalOptions
  /** Aborts when the person presses Ctrl-C. */
  signal: AbortSignal
  openSession: () => Promise<Session>
}

/** Wraps the work of a command, which then gets the context first. */
export type Run = <Parameters extends unknown[]>(
  work: (ctx: CommandContext, ...parameters: Parameters) => Promise<void>,
) => (...parameters: Parameters) => Promise<void>
