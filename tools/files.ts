// The files of the repository, as git knows them.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** @param patterns git pathspecs, such as `*.md` */
export function repositoryFiles(...patterns: string[]): string[] {
  const options = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns]
  // A deleted file stays listed until its deletion is committed.
  return execFileSync('git', options, { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file && existsSync(file))
}
