// Checks the sentences of documents, and that their links, paths and commands exist.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import GithubSlugger from 'github-slugger'
import { marked, type Token, type Tokens } from 'marked'
import type { Fault } from './exceptions.ts'
import { repositoryFiles } from './files.ts'
import { proseFaults } from './prose.ts'

type Document = { file: string; source: string; tokens: Token[] }

export function documentSentenceFaults(): Fault[] {
  return documents().flatMap(({ file, source, tokens }) => {
    const faults: Fault[] = []
    let from = 0
    for (const { raw, text } of tokens.flatMap(sentencesOf)) {
      // Searches the first line only, because the lexer removes the indentation of the others.
      from = Math.max(source.indexOf(raw.split('\n')[0] ?? raw, from), from)
      faults.push(...proseFaults({ file, line: lineAt(source, from), text }))
    }
    return faults
  })
}

/** @returns a line for each link, path or command that does not exist */
export function deadReferences(): string[] {
  const scripts = new Set(
    repositoryFiles('package.json', '*/package.json').flatMap((file) =>
      Object.keys(JSON.parse(readFileSync(file, 'utf8')).scripts ?? {}),
    ),
  )
  return documents().flatMap(({ file, source, tokens }) => {
    const dead: string[] = []
    const report = (what: string, raw: string) =>
      dead.push(`${file}:${lineAt(source, source.indexOf(raw))} ${what}`)
    for (const token of tokens) {
      if (token.type === 'link' || token.type === 'image') {
        if (!linkExists(file, token.href)) report(`dead link: ${token.href}`, token.raw)
      } else if (token.type === 'codespan') {
        const path = /^(?:src|test|tools|bench|infra|docs|migrations)\/[\w./-]+$/.exec(token.text)?.[0]
        if (path !== undefined && !existsSync(path)) report(`no such file: ${path}`, token.raw)
      }
    }
    if (file === 'CONTRIBUTING.md')
      dead.push(...tokens.flatMap(namesNotInFiles).map((what) => `${file} ${what}`))
    for (const [command, script] of source.matchAll(/npm run ([\w:-]+)/g))
      if (script !== undefined && !scripts.has(script)) report(`no such command: ${command}`, command)
    return dead
  })
}

/** A step that names a file and identifiers: each must occur in one of the step's files. */
function namesNotInFiles(token: Token): string[] {
  if (token.type !== 'list_item') return []
  const codes = allTokens(token.tokens ?? []).flatMap(({ type, text }: Token & { text?: string }) =>
    type === 'codespan' && text !== undefined ? [text] : [],
  )
  const files = codes.filter((text) => text.includes('/') && /\.\w+$/.test(text) && existsSync(text))
  if (files.length === 0) return []
  const content = files.map((file) => readFileSync(file, 'utf8')).join('\n')
  return codes
    .filter((text) => /^[A-Za-z_]\w*$/.test(text) && !content.includes(text))
    .map((text) => `no such name in ${files.join(', ')}: ${text}`)
}

function documents(): Document[] {
  return repositoryFiles('*.md').map((file) => {
    const source = readFileSync(file, 'utf8')
    return { file, source, tokens: allTokens(marked.lexer(source)) }
  })
}

/** @returns all tokens in order, nested ones included */
function allTokens(roots: Token[]): Token[] {
  const tokens: Token[] = []
  // biome-ignore lint/nursery/noFloatingPromises: the callback is synchronous, so there is no promise.
  marked.walkTokens(roots, (token) => {
    tokens.push(token)
  })
  return tokens
}

function sentencesOf(token: Token): { raw: string; text: string }[] {
  if (token.type === 'table') {
    const { header, rows } = token as Tokens.Table
    return [header, ...rows].flat().map((cell) => ({ raw: cell.text, text: plain(cell.tokens) }))
  }
  // Tight lists have `text` tokens, everything else `paragraph`.
  const own = token.type === 'paragraph' || (token.type === 'text' && token.tokens !== undefined)
  return own ? [{ raw: token.raw, text: plain(token.tokens ?? []) }] : []
}

/** @returns text without markup; inline code counts as one word */
function plain(tokens: Token[]): string {
  return tokens
    .map((token) => {
      if (token.type === 'codespan') return 'code'
      if ('tokens' in token && token.tokens) return plain(token.tokens)
      return token.type === 'text' || token.type === 'escape' ? token.text : ' '
    })
    .join('')
    .replaceAll('\n', ' ')
}

function linkExists(from: string, href: string): boolean {
  // URLs are not fetched, because the check must give the same result offline.
  if (/^[a-z]+:/i.test(href)) return true
  const [path = '', anchor] = href.split('#')
  const target = path === '' ? from : join(dirname(from), path)
  if (!existsSync(target)) return false
  return anchor === undefined || !target.endsWith('.md') || anchors(target).has(anchor)
}

function anchors(file: string): Set<string> {
  const slugger = new GithubSlugger()
  const found = new Set<string>()
  for (const token of allTokens(marked.lexer(readFileSync(file, 'utf8'))))
    if (token.type === 'heading') found.add(slugger.slug(token.text.replaceAll(/[`*]/g, '')))
  return found
}

function lineAt(source: string, index: number): number {
  return source.slice(0, Math.max(index, 0)).split('\n').length
}
