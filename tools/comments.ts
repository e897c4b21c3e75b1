// Checks comments on their own lines. Comments behind code are not checked.
import { readFileSync } from 'node:fs'
import type { Fault } from './exceptions.ts'
import { repositoryFiles } from './files.ts'
import { proseFaults } from './prose.ts'

const linesMax = 3

type Comment = { line: number; lines: string[] }

export function commentFaults(): Fault[] {
  const scripts = repositoryFiles('*.ts', '*.tsx', '*.mjs', ':!client/src/api-types.ts').map((file) => ({
    file,
    comments: scriptComments(read(file)),
  }))
  const others = repositoryFiles('*.yml', '.ci/run').map((file) => ({
    file,
    comments: runs(read(file), /^\s*#(?!!) ?/),
  }))
  return [...scripts, ...others].flatMap(({ file, comments }) =>
    comments.flatMap((comment) => faults(file, comment)),
  )
}

function faults(file: string, { line, lines }: Comment): Fault[] {
  const tag = lines.findIndex((text) => text.startsWith('@'))
  // Tags describe one parameter each, so only the text before them is limited.
  const text = tag === -1 ? lines : lines.slice(0, tag)
  const long = {
    rule: 'comments over three lines',
    file,
    line,
    message: `a comment of ${text.length} lines; give the reason in at most ${linesMax}, or name a decision record`,
  }
  return [
    ...(text.length > linesMax ? [long] : []),
    ...paragraphs(lines).flatMap((paragraph) => proseFaults({ file, line, text: paragraph })),
  ]
}

function paragraphs(lines: string[]): string[] {
  return lines
    .join('\n')
    .split(/\n(?=@|[-*] )/)
    .map((paragraph) => paragraph.replace(/^@(param|throws|returns) \S*/, '').replaceAll('\n', ' '))
}

function scriptComments(source: string[]): Comment[] {
  return [...runs(source, /^\s*\/\/ ?/), ...blocks(source)]
}

/** @returns groups of consecutive lines that start with the mark */
function runs(source: string[], mark: RegExp): Comment[] {
  const comments: Comment[] = []
  let current: Comment | undefined
  for (const [index, text] of source.entries()) {
    if (!mark.test(text)) {
      current = undefined
      continue
    }
    if (!current) {
      current = { line: index + 1, lines: [] }
      comments.push(current)
    }
    current.lines.push(text.replace(mark, '').trim())
  }
  return comments
}

function blocks(source: string[]): Comment[] {
  const comments: Comment[] = []
  let current: Comment | undefined
  for (const [index, text] of source.entries()) {
    if (!current && /^\s*\/\*/.test(text)) {
      current = { line: index + 1, lines: [] }
      comments.push(current)
    }
    if (!current) continue
    const words = text
      .replace(/^\s*(\/\*+|\*(?!\/))?/, '')
      .replace(/\*\/.*$/, '')
      .trim()
    if (words !== '') current.lines.push(words)
    if (text.includes('*/')) current = undefined
  }
  return comments
}

function read(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n')
}
