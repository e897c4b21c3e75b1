// How text is compared: one folding for uniqueness, sorting and search, done here so that none of
// them hangs on a database's locale.

/**
 * Text as it is compared without regard to case: NFKC, then Unicode's full case mappings down, up and down
 * again (which unify ẞ, ß and SS), with the final sigma made an ordinary one. Folding twice changes nothing.
 */
export function fold(text: string): string {
  const lower = text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase()
  return lower.normalize('NFKC').replaceAll('ς', 'σ')
}

/** What text is sorted by: its folding, cut where an index entry would grow too long (NFKC can expand). */
export function sortKey(text: string | null): string {
  return [...fold(text ?? '')].slice(0, 200).join('')
}

/** Length in characters (Unicode code points), as people and JSON Schema count it. */
export function characters(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

// Characters that pg_trgm would skip as punctuation, and the two ranges that stand for them below.
const encoded = /[^\p{L}\p{Nd}]|[\u3400-\u37ff\ua000-\ua48f]/gu

/**
 * A word in the alphabet of the search column. pg_trgm indexes letters and digits only, so that `...`
 * or `_%_` would have no trigram and be looked for in every row. Here every other character becomes two
 * letters, from ranges that stand for nothing else, so that any three characters have a trigram, a
 * substring of the encoding is a substring of the word, and nothing is left for LIKE to read as a
 * wildcard.
 */
function encodeWord(word: string): string {
  return word.replace(encoded, (character) => {
    const code = character.codePointAt(0) ?? 0
    return String.fromCharCode(0xa000 + (code >> 10), 0x3400 + (code & 0x3ff))
  })
}

function words(text: string): string[] {
  return fold(text).split(/\s+/u).filter(Boolean)
}

/** The value of the search column: every word of every text, each behind one space. */
export function searchText(texts: (string | null)[]): string {
  return texts
    .flatMap((text) => words(text ?? ''))
    .map((word) => ` ${encodeWord(word)}`)
    .join('')
}

/**
 * The LIKE patterns that a row's search column must all match: a word of three characters or more
 * anywhere, a shorter one at the start of a word.
 */
export function searchPatterns(search: string): string[] {
  return [...new Set(words(search))].map((word) =>
    characters(word) >= 3 ? `%${encodeWord(word)}%` : `% ${encodeWord(word)}%`,
  )
}

/**
 * Whether a user pool that does not regard case, as ours must not, takes two usernames for one. That is less than
 * what is the same to us: it knows nothing of ß and ss.
 */
export function isPoolName(username: string, other: string): boolean {
  return username.toLowerCase() === other.toLowerCase()
}
