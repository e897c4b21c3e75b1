// tools/exceptions.json counts the faults that files had when a rule was introduced, by rule and file.
// A file may have that many faults, and the list must shrink with them.
import { readFileSync, writeFileSync } from 'node:fs'

export type Fault = { rule: string; file: string; line: number; message: string }

type Exceptions = Record<string, Record<string, number>>

const list = 'tools/exceptions.json'

/** @returns unlisted faults and unneeded entries; undefined if there are none */
export function compareWithExceptions(faults: Fault[]): string | undefined {
  const allowed: Exceptions = JSON.parse(readFileSync(list, 'utf8'))
  const found = Map.groupBy(faults, ({ rule, file }) => `${rule}: ${file}`)
  const complaints: string[] = []
  for (const [key, group] of found) {
    const [{ rule, file } = { rule: '', file: '' }] = group
    const count = allowed[rule]?.[file] ?? 0
    if (group.length <= count) continue
    complaints.push(`${key}: ${group.length}, allowed ${count}`)
    complaints.push(...group.map(({ line, message }) => `  ${file}:${line} ${message}`))
  }
  const unneeded = Object.entries(allowed)
    .flatMap(([rule, files]) =>
      Object.entries(files).map(([file, count]) => ({ key: `${rule}: ${file}`, count })),
    )
    .filter(({ key, count }) => (found.get(key)?.length ?? 0) < count)
  if (unneeded.length > 0) {
    complaints.push(`${list} allows more than there is. Run: npm run check -- --shrink`)
    complaints.push(
      ...unneeded.map(({ key, count }) => `  ${key}: ${found.get(key)?.length ?? 0}, listed ${count}`),
    )
  }
  return complaints.length === 0 ? undefined : `${complaints.join('\n')}\n`
}

/** Lowers the list to the remaining faults. It never raises or adds an entry. */
export function shrinkExceptions(faults: Fault[]): void {
  const allowed: Exceptions = JSON.parse(readFileSync(list, 'utf8'))
  const left = Object.fromEntries(
    Object.entries(allowed).map(([rule, files]) => [
      rule,
      Object.fromEntries(
        Object.entries(files)
          .map(([file, count]) => {
            const now = faults.filter((fault) => fault.rule === rule && fault.file === file).length
            return [file, Math.min(count, now)] as const
          })
          .filter(([, count]) => count > 0),
      ),
    ]),
  )
  writeFileSync(list, `${JSON.stringify(left, null, 2)}\n`)
}
