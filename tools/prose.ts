// Checks English text sentence by sentence.
// textlint would bring over a hundred packages for these three rules; Node itself splits text into sentences.
import type { Fault } from './exceptions.ts'

const wordsMax = 30
/** Words that replace a standard term or hide the subject. */
const privateWords = /\b(nobody|mend(?:s|ed|ing)?|told|standing|welcome|patiently|whoever)\b/gi
const sentences = new Intl.Segmenter('en', { granularity: 'sentence' })

/** @param text one paragraph without line breaks */
export function proseFaults({ file, line, text }: { file: string; line: number; text: string }): Fault[] {
  return [...sentences.segment(text)].flatMap(({ segment }) => {
    const sentence = segment.trim()
    const words = sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length
    const start = sentence.slice(0, 50)
    const faults: Fault[] = []
    const add = (rule: string, message: string) => faults.push({ rule, file, line, message })
    if (words > wordsMax) add('sentences over 30 words', `${words} words: ${start}…`)
    if (/^(What|Who|That)\b/.test(sentence) && !sentence.endsWith('?'))
      add('sentences that begin with What, Who or That', `name the thing: ${start}…`)
    for (const [word] of sentence.matchAll(privateWords)) add('private words', `"${word}" in: ${start}…`)
    return faults
  })
}
