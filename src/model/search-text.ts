// Derives the columns by which users are searched and sorted, and the patterns of a search.
import { baseLetters } from './base-letters.ts'
import { nationalDigitsMin, type PhoneNumber, readPhoneNumber } from './phone-number.ts'
import { codePointCount, fold } from './text.ts'

/** Increment it when this file or its imports change a derived value; the next migration then derives all rows again. */
export const searchRulesVersion = 2

/** The columns of `users` that are derived from the username, the name, the contacts and the external id. */
export function derivedColumns(user: {
  username: string
  name: string | null
  contacts: { value: string }[]
  externalId: string | null
}) {
  return {
    usernameFolded: fold(user.username),
    nameFolded: sortKey(user.name),
    searchText: searchText([
      user.username,
      user.name,
      ...user.contacts.map(({ value }) => value),
      user.externalId,
    ]),
  }
}

const sortCharactersMax = 200

/**
 * The sort key of a name, in code point order: its base letters, then the folded name if it has accents. Each part is
 * truncated, because NFKC can expand a name beyond the limit of an index entry.
 */
export function sortKey(name: string | null): string {
  const folded = fold(name ?? '')
  const base = baseLetters(folded)
  const cut = (text: string) => [...text].slice(0, sortCharactersMax).join('')
  // U+0001 sorts before every visible character, so that a name sorts before longer names.
  return base === folded ? cut(base) : `${cut(base)}\u0001${cut(folded)}`
}

const cjk = '\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Hangul}\\p{sc=Bopomofo}ー'
const hasCjk = new RegExp(`[${cjk}]`, 'u')
// Punctuation, which pg_trgm would skip, CJK characters, and the range that encodes other characters below.
const encoded = new RegExp(`[^\\p{L}\\p{Nd}]|[${cjk}]|[\\ua000-\\ua48f]`, 'gu')

/**
 * Encodes a word so that every searchable part has a trigram (docs/adr/0022-encode-words-for-trigrams.md): CJK
 * characters become three letters and punctuation two, from ranges that nothing else uses.
 */
function encodeWord(word: string): string {
  if (!ascii.test(word)) return word.replace(encoded, encodeCharacter)
  // A regular expression without Unicode properties is several times faster.
  return word.replace(asciiPunctuation, (character) => encodedAscii[character.charCodeAt(0)] ?? character)
}

function encodeCharacter(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return hasCjk.test(character)
    ? String.fromCharCode(0x4e00 + (code >> 12), 0x5e00 + ((code >> 6) & 0x3f), 0x6e00 + (code & 0x3f))
    : String.fromCharCode(0xa000 + (code >> 10), 0x3400 + (code & 0x3ff))
}

const ascii = /^[\x21-\x7e]*$/
const asciiPunctuation = /[^A-Za-z0-9]/g
const encodedAscii = Array.from({ length: 0x7f }, (_, code) => encodeCharacter(String.fromCharCode(code)))

function words(text: string): string[] {
  return text.split(/\s+/u).filter(Boolean)
}

/**
 * The value of the search column: every word of every text, each after one space. A telephone number adds a word of
 * its digits; with a country code, also of its national digits.
 */
export function searchText(texts: (string | null)[]): string {
  let all = ''
  for (const text of texts) {
    if (text === null) continue
    const base = baseLetters(fold(text))
    for (const word of words(base)) all += ` ${encodeWord(word)}`
    const number = readPhoneNumber(base)
    if (number) all += ` ${numberWord(number)}`
  }
  return all
}

// Marks the end of a telephone number in the search column.
const numberEnd = '\u7e00'

/**
 * Encodes every three consecutive digits as one letter, so that a trigram covers five digits. Trigrams of plain digits
 * match too many users to be selective.
 */
function encodeDigits(digits: string): string {
  let letters = ''
  for (let at = 0; at + 3 <= digits.length; at++)
    letters += String.fromCharCode(0x7000 + Number(digits.slice(at, at + 3)))
  return letters
}

function numberWord({ digits, national }: PhoneNumber): string {
  return encodeDigits(digits) + numberEnd + encodeDigits(national?.dialled ?? '')
}

/** Encoded parts of the search column: it must contain all of `every`, or one of `orAny`. */
export type SearchClause = { every: string[]; orAny: string[] }

/**
 * The clauses that a row must all meet. Words of three characters or more and words with CJK characters match
 * anywhere, shorter ones at the start of a word. Adjacent words that form a telephone number may match as that number.
 */
export function searchClauses(search: string): SearchClause[] {
  const clauses: SearchClause[] = []
  let run: string[] = []
  const endRun = () => {
    const number = readPhoneNumber(run.join(' '))
    const every = [...new Set(run)].map(wordPart)
    if (number) clauses.push({ every, orAny: numberParts(number) })
    else clauses.push(...every.map((part) => ({ every: [part], orAny: [] })))
    run = []
  }
  const seen = new Set<string>()
  for (const word of words(baseLetters(fold(search)))) {
    if (/^(?:tel:)?[\d+()./-]+$/.test(word)) run.push(word)
    else {
      if (run.length > 0) endRun()
      if (!seen.has(word)) clauses.push({ every: [wordPart(word)], orAny: [] })
      seen.add(word)
    }
  }
  if (run.length > 0) endRun()
  return clauses
}

function wordPart(word: string): string {
  const isAnywhere = codePointCount(word) >= 3 || hasCjk.test(word)
  return (isAnywhere ? '' : ' ') + encodeWord(word)
}

const rareTrigramsMax = 8
const longPartMin = 8

/**
 * Trigrams with digits of a long encoded part. They are often its rarest, because users share names and domains. Adjacent
 * ones in the result overlap little, so that each excludes other rows: docs/adr/0031-narrow-long-words-by-their-digits.md.
 */
export function rareTrigrams(part: string): string[] {
  const characters = [...part]
  if (characters.length < longPartMin) return []
  // From the end, where numbers differ most.
  const withDigits = characters
    .map((_, at) => characters.slice(at, at + 3).join(''))
    .slice(0, -2)
    .filter((trigram) => /\p{Nd}/u.test(trigram))
    .reverse()
  const spread = [0, 1, 2].flatMap((first) => withDigits.filter((_, at) => at % 3 === first))
  return [...new Set(spread)].slice(0, rareTrigramsMax)
}

function numberParts({ digits, national }: PhoneNumber): string[] {
  // Without a country code, any part of a number matches.
  if (!national) return [encodeDigits(digits)]
  // A complete national number also matches numbers that were stored without a country code.
  const stored = [national.dialled, national.number].filter((number) => number.length >= nationalDigitsMin)
  return [` ${encodeDigits(digits)}`, ...stored.map((number) => ` ${encodeDigits(number)}${numberEnd}`)]
}
