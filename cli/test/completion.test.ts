import { expect, it } from 'vitest'
import { openShell } from './command.ts'
import { candidatesInFish, typeAndTab } from './real-shells.ts'

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

it.each(['bash', 'zsh'] as const)('%s completes a command when Tab is pressed', async (name) => {
  const type = (line: string) => typeAndTab(name, line, shell.bin)
  expect(await type('user-directory users unb')).toBe('user-directory users unblock')
  expect(await type('user-directory users list --status B')).toBe(
    'user-directory users list --status BLOCKED',
  )
  // A file, because no word of the program fits.
  expect(await type('user-directory import /etc/hostn')).toBe('user-directory import /etc/hostname')
})

it('fish shows the words that fit, and files where none does', async () => {
  expect(await candidatesInFish('user-directory users un', shell.bin)).toEqual(['unblock'])
  expect(await candidatesInFish('user-directory users list --status ', shell.bin)).toEqual(
    expect.arrayContaining(['ACTIVE', 'BLOCKED']),
  )
  expect(await candidatesInFish('user-directory import /etc/hostn', shell.bin)).toEqual(['/etc/hostname'])
})
