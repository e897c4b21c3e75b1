import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { openShell } from './command.ts'

const shell = await openShell()

const complete = async (...words: string[]) =>
  (await shell.run('__complete', '--', ...words)).stdout.split('\n').filter((word) => word !== '')

it('completes commands, options and the values of options', async () => {
  expect(await complete('us')).toEqual(['users'])
  expect(await complete('users', 'un')).toEqual(['unblock'])
  expect(await complete('users', 'list', '--status', '')).toEqual(['ACTIVE', 'BLOCKED'])
  expect(await complete('users', 'create', '--no-')).toEqual(['--no-password', '--no-avatar'])
  expect(await complete('users', 'list', '--se')).toEqual(['--search', '--server'])
  expect(await complete('completion', 'f')).toEqual(['fish'])
  expect(await complete('unknown', 'words')).toEqual([])
})

it('bash completes with the script', async () => {
  const script = `
    source <(user-directory completion bash)
    COMP_WORDS=(user-directory users unb); COMP_CWORD=2
    _user_directory
    echo "\${COMPREPLY[@]}"`
  const env = { PATH: `${shell.bin}:${process.env.PATH}` }
  const { stdout } = await promisify(execFile)('bash', ['-c', script], { env })
  expect(stdout).toBe('unblock\n')
})
