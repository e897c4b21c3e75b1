// The derived columns by which users are found and sorted, and the patterns that a search looks for in them.
import { baseLetters } from './base-letters.ts'
import { nationalDigitsMin, type PhoneNumber, readPhoneNumber } from './phone-number.ts'
import { codePointCount, fold } from './text.ts'

/** Changes with the rules of this file and those below it: rows that an older version wrote are derived anew. */
export const searchRulesVersion = 1

/** The columns of `users` that are derived from what a user is called and reached by. */
export function derivedColumns(user: {
  username: string
  name: string | null
  contacts: { value: string }[]
}) {
  return {
    usernameFolded: fold(user.username),
    nameFolded: sortKey(user.name),
    searchText: searchText([user.username, user.name, ...user.contacts.map(({ value }) => value)]),
  }
}

const sortCharactersMax = 200

/**
 * The text that a name is sorted by, in code point order: its base letters, then the folded name where it has accents.
 * Each part is cut where an index entry would grow too long (NFKC can expand).
 */
export function sortKey(name: string | null): string {
  const folded = fold(name ?? '')
  const base = baseLetters(folded)
  const cut = (text: string) => [...text].slice(0, sortCharactersMax).join('')
  // U+0001 sorts before every character that is seen, so that a name comes before longer ones.
  return base === folded ? cut(base) : `${cut(base)}\u0001${cut(folded)}`
}

const cjk = '\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Hangul}\\p{sc=Bopomofo}ー'
const hasCjk = new RegExp(`[${cjk}]`, 'u')
// Characters that pg_trgm would skip as punctuation, those of CJK, and the range that stands for others below.
const encoded = new RegExp(`[^\\p{L}\\p{Nd}]|[${cjk}]|[\\ua000-\\ua48f]`, 'gu')

/**
 * A word in the alphabet of the search column, in which every part that can be searched for has a trigram. pg_trgm
 * indexes letters and digits only, so other characters become two letters. Han, kana and Hangul become three, since one
 * of them is worth a search. The letters come from ranges that stand for nothing else, so that a part of the encoding is
 * a part of the word, and nothing is left for LIKE to read as a wildcard.
 */
function encodeWord(word: string): string {
  return word.replace(encoded, (character) => {
    const code = character.codePointAt(0) ?? 0
    return hasCjk.test(character)
      ? String.fromCharCode(0x4e00 + (code >> 12), 0x5e00 + ((code >> 6) & 0x3f), 0x6e00 + (code & 0x3f))
      : String.fromCharCode(0xa000 + (code >> 10), 0x3400 + (code & 0x3ff))
  })
}

function words(text: string): string[] {
  return text.split(/\s+/u).filter(Boolean)
}

/**
 * The value of the search column: every word of every text, each behind one space. A text with a telephone number
 * adds a word of its digits; one with a country code also the digits that are dialled inside the country.
 */
export function searchText(texts: (string | null)[]): string {
  return texts
    .flatMap((text) => {
      const base = baseLetters(fold(text ?? ''))
      const number = readPhoneNumber(base)
      return [...words(base).map(encodeWord), ...(number ? [numberWord(number)] : [])]
    })
    .map((word) => ` ${word}`)
    .join('')
}

// Ends a telephone number in the search column.
const numberEnd = '\u7e00'

/**
 * The digits of a telephone number as a word: a letter for each three that follow each other, so that a trigram stands for
 * five digits. Trigrams of plain digits are shared by too many users to tell numbers apart.
 */
function encodeDigits(digits: string): string {
  return Array.from({ length: Math.max(0, digits.length - 2) }, (_, at) =>
    String.fromCharCode(0x7000 + Number(digits.slice(at, at + 3))),
  ).join('')
}

function numberWord({ digits, national }: PhoneNumber): string {
  return encodeDigits(digits) + numberEnd + encodeDigits(national?.dialled ?? '')
}

/** Parts of the search column, in its alphabet: it must contain all of `every`, or one of `orAny`. */
export type SearchClause = { every: string[]; orAny: string[] }

/**
 * The clauses that a row's search column must all meet: for each word that it is found, one of three characters or more
 * or with a CJK character anywhere, a shorter one at the start of a word. Neighbouring words that make a telephone
 * number may be found as that number instead.
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

function numberParts({ digits, national }: PhoneNumber): string[] {
  // Without a country code any part of a number will do.
  if (!national) return [encodeDigits(digits)]
  // A number that was stored without its country is the same number when it is whole.
  const stored = [national.dialled, national.number].filter((number) => number.length >= nationalDigitsMin)
  return [` ${encodeDigits(digits)}`, ...stored.map((number) => ` ${encodeDigits(number)}${numberEnd}`)]
}
