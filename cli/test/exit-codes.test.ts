import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ConnectionError, ProblemError } from '../../client/src/index.ts'
import { CommandError, exitCodeOf, exitCodes, Interrupted } from '../src/exit-codes.ts'

it('the README lists every exit code once, and no other', async () => {
  const readme = await readFile(join(import.meta.dirname, '../README.md'), 'utf8')
  const [, table = ''] = /\| Exit code \|.*\n\|.*\n((?:\|.*\n)+)/.exec(readme) ?? []
  expect([...table.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))).toEqual(
    Object.values(exitCodes),
  )
})

it.each([
  [400, 'failed'],
  [401, 'forbidden'],
  [403, 'forbidden'],
  [404, 'notFound'],
  [409, 'conflict'],
  [412, 'conflict'],
  [413, 'failed'],
  [429, 'unreachable'],
  [500, 'failed'],
  [502, 'unreachable'],
  [503, 'unreachable'],
  [504, 'unreachable'],
] as const)('an answer with status %s ends the command as %s', (status, name) => {
  expect(exitCodeOf(new ProblemError({ status }))).toBe(exitCodes[name])
})

it('no answer, Ctrl-C and errors of the command have codes of their own', () => {
  const lost = new ConnectionError('lost', { cause: undefined, isTimeout: false })
  const errors = [lost, new Interrupted(), new CommandError('usage', 'wrong'), new Error('unexpected')]
  expect(errors.map(exitCodeOf)).toEqual([7, 130, 2, 1])
})
