// The commands and their options.
import { Command } from 'commander'
import manifest from '../package.json' with { type: 'json' }
import { addAvatars } from './commands/avatars.ts'
import { addCompletion } from './commands/completion.ts'
import { addExport } from './commands/export.ts'
import { addImport } from './commands/import.ts'
import { addJobs } from './commands/jobs.ts'
import { addSignIn } from './commands/sign-in.ts'
import { addUsers } from './commands/users.ts'
import type { GlobalOptions, Run } from './context.ts'
import { openOutput } from './output/output.ts'
import { openSession } from './session.ts'

export function buildProgram(signal: AbortSignal): Command {
  const program = new Command('user-directory')
    .description('The command line of the user directory.')
    .version(manifest.version)
    .option('--server <url>', 'the service; by default that of the last sign-in, or http://localhost:3000')
    .option('--json', 'JSON on stdout, one value in each line')
    .option('--allow-http', 'sends the token without TLS')
    .exitOverride()
    .showHelpAfterError('Use --help for the options.')
  const run: Run =
    (work) =>
    async (...parameters) => {
      const options = program.opts<GlobalOptions>()
      const ctx = {
        output: openOutput(options.json === true),
        options,
        signal,
        openSession: () => openSession(options),
      }
      await work(ctx, ...parameters)
    }
  addSignIn(program, run)
  addUsers(program, run)
  addImport(program, run)
  addAvatars(program, run)
  addExport(program, run)
  addJobs(program, run)
  addCompletion(program)
  return program
}
