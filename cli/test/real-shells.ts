// Completes a command line in real shells, as a person who presses Tab.
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fetchProgram, findOnPath } from '../../test/support/debian.ts'

const run = promisify(execFile)

type Program = { command: string; env: Record<string, string> }

/**
 * Types a line and Tab in an interactive shell, in a terminal of zsh's module zpty.
 * @param bin the folder of the command
 * @returns the line after Tab
 */
export async function typeAndTab(shell: 'bash' | 'zsh', line: string, bin: string): Promise<string> {
  const zsh = await findShell('zsh')
  const start = shell === 'bash' ? 'bash --norc --noprofile -i' : `${zsh.command} -f -i`
  // Emacs' keys, whatever EDITOR says.
  const prepare = shell === 'bash' ? '' : `${zsh.setup}; bindkey -e; autoload -Uz compinit; compinit -u -D; `
  const script = `
    ${zsh.setup}
    zmodload zsh/zpty
    zpty shell ${start}
    zpty -w shell "${prepare}source <(user-directory completion ${shell}); echo REA''DY"
    zpty -r shell seen '*READY*'
    # Tab completes, Control-A goes to the start of the line, and echo shows the whole.
    zpty -w shell "${line}"$'\\t\\x01echo EN""D='
    zpty -r shell seen '*END=*'
    zpty -r shell seen $'*\\n'
    print -r -- "$seen"`
  const { stdout } = await run(zsh.command, ['-f', '-c', script], {
    env: { ...process.env, ...zsh.env, TERM: 'dumb', PATH: `${bin}:${process.env.PATH}` },
    timeout: 30_000,
  })
  return stdout.trim()
}

/** @returns the candidates that fish shows for a line */
export async function candidatesInFish(line: string, bin: string): Promise<string[]> {
  const fish = await findShell('fish')
  const script = `user-directory completion fish | source; complete --do-complete '${line}'`
  const { stdout } = await run(fish.command, ['--no-config', '-c', script], {
    env: { ...process.env, ...fish.env, PATH: `${bin}:${process.env.PATH}` },
    timeout: 30_000,
  })
  return stdout.split('\n').filter((candidate) => candidate !== '')
}

const packages = {
  zsh: ['zsh', 'zsh-common', 'libcap2', 'libtinfo6'],
  fish: ['fish', 'fish-common', 'libpcre2-32-0', 'libtinfo6'],
}

/** @returns the shell and, for an unpacked zsh, the commands that find its modules and functions */
async function findShell(name: 'zsh' | 'fish'): Promise<Program & { setup: string }> {
  const command = await findOnPath(name)
  if (command !== undefined) return { command, env: {}, setup: ':' }
  try {
    const program = name === 'zsh' ? 'bin/zsh' : 'usr/bin/fish'
    const found = await fetchProgram({ name, program, packages: packages[name] })
    return { ...found, setup: name === 'zsh' ? await setupOf(found.command.replace(`/${program}`, '')) : ':' }
  } catch (error) {
    const [reason] = (error as Error).message.split('\n')
    throw new Error(`The tests of the completion need ${name}. Install the package ${name}. (${reason})`)
  }
}

async function setupOf(root: string): Promise<string> {
  const folders = async (path: string) =>
    (await readdir(join(root, path), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
  const modules = (await folders('usr/lib')).filter((path) => /\/zsh\/[\d.]+$/.test(path))
  const functions = await folders('usr/share/zsh/functions')
  return `module_path=(${modules.join(' ')}); fpath=(${functions.join(' ')})`
}
