// Reads Biome's findings. Errors and warnings fail the check; three rules of level `info` are counted against the exceptions.
import { readFileSync } from 'node:fs'
import type { Fault } from './exceptions.ts'

const counted: Record<string, string> = {
  'lint/complexity/useMaxParams': 'functions over three parameters',
  'lint/style/noExcessiveLinesPerFile': 'files over 300 lines',
  'lint/suspicious/noImportCycles': 'import cycles',
}

type Report = {
  diagnostics: { category: string; message: string; location: { path: string; start: { line: number } } }[]
}

/** @param report the file that `biome check --reporter=json` wrote */
export function lintFaults(report: string): Fault[] {
  const { diagnostics }: Report = JSON.parse(readFileSync(report, 'utf8'))
  return diagnostics.flatMap(({ category, message, location: { path, start } }) => {
    const rule = counted[category]
    return rule === undefined ? [] : [{ rule, file: path, line: start.line, message }]
  })
}
