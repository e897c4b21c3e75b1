// Questions to the person at the terminal. They appear on stderr, so that stdout holds results only.
import { CommandError, Interrupted } from '../exit-codes.ts'

/** Loaded on first use, because most commands ask nothing. */
const prompts = () => import('@clack/prompts')

const output = process.stderr

/**
 * Asks before something is lost.
 * @throws CommandError if the answer is no, or if there is no terminal and `--yes` is missing
 */
export async function confirmLoss(question: string, isConfirmed: boolean): Promise<void> {
  if (isConfirmed) return
  if (!isInteractive()) throw new CommandError('usage', 'This command needs --yes without a terminal.')
  const { confirm, isCancel } = await prompts()
  const answer = await confirm({ message: question, initialValue: false, output })
  if (isCancel(answer)) throw new Interrupted()
  if (!answer) throw new CommandError('failed', 'Nothing was changed.')
}

/** @throws CommandError without a terminal. @param instead says how to give it otherwise */
export async function askPassword(message: string, instead: string): Promise<string> {
  if (!isInteractive()) throw new CommandError('usage', instead)
  const { password, isCancel } = await prompts()
  const answer = await password({ message, output })
  if (isCancel(answer)) throw new Interrupted()
  return answer
}

function isInteractive(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true
}
