// Lists the repository's files with git.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/** @param patterns git pathspecs, such as `*.md` */
export function repositoryFiles(...patterns: string[]): string[] {
  const options = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...patterns]
  // Git lists a deleted file until the deletion is staged.
  return execFileSync('git', options, { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file && existsSync(file))
}
