import { readFileSync } from 'node:fs'

/** Runs a CloudFront function of infra/edge. @returns the request to go on with, or an answer */
export function runEdge(file: string, event: object): Record<string, unknown> {
  const code = readFileSync(new URL(`../edge/${file}`, import.meta.url), 'utf8')
  return new Function('event', `${code}; return handler(event)`)(event)
}
