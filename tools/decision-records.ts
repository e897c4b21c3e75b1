// Checks the form of decision records: a number of their own, a status, and a row in the list.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { repositoryFiles } from './files.ts'

const directory = 'docs/adr'

/** @returns a line for each record with a fault */
export function recordFaults(): string[] {
  const list = readFileSync(`${directory}/README.md`, 'utf8')
  const seen = new Map<string, string>()
  return repositoryFiles(`${directory}/[0-9]*.md`).flatMap((file) => {
    const number = basename(file).slice(0, 4)
    const other = seen.get(number)
    seen.set(number, file)
    const source = readFileSync(file, 'utf8')
    return [
      ...(other ? [`${file} has the number of ${other}`] : []),
      ...(source.startsWith(`# ${Number(number)}. `)
        ? []
        : [`${file} must begin with "# ${Number(number)}. "`]),
      ...(/\n\nStatus: /.test(source) ? [] : [`${file} must state its status below the title`]),
      ...(list.includes(`| [${number}](${basename(file)}) |`)
        ? []
        : [`${directory}/README.md must list ${file}`]),
    ]
  })
}
