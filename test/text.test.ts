// How text is compared: properties that uniqueness, sorting and search stand on.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { characters, fold, searchPatterns, searchText, sortKey } from '../src/model/text.ts'

// Without the one mark whose upper case is a letter of its own, which normal forms put in another place.
const text = fc
  .string({ unit: 'binary', maxLength: 40 })
  .filter((text) => !text.normalize('NFKD').includes('\u0345'))
const word = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => !/\s/u.test(fold(text)) && fold(text) !== '')

describe('folding', () => {
  it('twice changes nothing', () => {
    fc.assert(
      fc.property(text, (text) => {
        expect(fold(fold(text))).toBe(fold(text))
      }),
      { numRuns: 2_000 },
    )
  })

  it('makes one of all cases and normal forms of a text', () => {
    fc.assert(
      fc.property(text, (text) => {
        for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'] as const)
          expect(fold(text.normalize(form))).toBe(fold(text))
        expect(fold(text.toUpperCase())).toBe(fold(text))
        expect(fold(text.toLowerCase())).toBe(fold(text))
      }),
      { numRuns: 1_000 },
    )
    // Not an `expect` for each: four hundred thousand of those take longer than the folding.
    const differing: [number, string][] = []
    for (let code = 0; code < 0x20_000; code++) {
      const character = String.fromCodePoint(code)
      if (!character.isWellFormed()) continue
      const folded = fold(character)
      for (const form of [character.toLowerCase(), character.toUpperCase(), folded])
        if (fold(form) !== folded) differing.push([code, form])
    }
    expect(differing).toEqual([])
  })

  it.each([
    ['straße', 'STRASSE'],
    ['straße', 'STRAẞE'],
    ['ΟΔΥΣΣΕΥΣ', 'οδυσσευς'],
    ['ﬁnn', 'FINN'],
    ['Ａｄａ', 'ada'],
    ['ǅ', 'ǆ'],
    ['K', 'k'],
    ['Å', 'å'],
    ['ſ', 's'],
  ])('%s is %s', (one, other) => expect(fold(one)).toBe(fold(other)))

  it.each([
    ['é', 'e'],
    ['ø', 'o'],
    ['Ж', 'ж́'],
  ])('%s is not %s', (one, other) => expect(fold(one)).not.toBe(fold(other)))
})

it('a sort key is bounded, whatever NFKC makes of the text', () => {
  expect(characters(sortKey('\ufdfa'.repeat(200)))).toBe(200)
  expect(sortKey(null)).toBe('')
})

describe('the search column', () => {
  // LIKE, as PostgreSQL reads it: nothing in a pattern but its ends and a first space may be special.
  const matches = (column: string, pattern: string) => column.includes(pattern.slice(1, -1))
  const isFound = (texts: string[], search: string) => {
    const column = searchText(texts)
    return searchPatterns(search).every((pattern) => matches(column, pattern))
  }

  it('finds any part of three characters or more, and no other', () => {
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 4 }),
        word,
        fc.nat(12),
        fc.nat(12),
        (words, other, from, length) => {
          const folded = [...fold(words[0] ?? '')]
          const part = folded
            .slice(from % folded.length)
            .slice(0, 3 + length)
            .join('')
          if (characters(part) >= 3) expect(isFound(words, part)).toBe(true)
          const sought = fold(other)
          if (characters(sought) >= 3)
            expect(isFound(words, sought)).toBe(words.some((word) => fold(word).includes(sought)))
          else expect(isFound(words, sought)).toBe(words.some((word) => fold(word).startsWith(sought)))
        },
      ),
      { numRuns: 3_000 },
    )
  })

  it('holds letters, digits and single spaces only, so that no part of it escapes the index or is a wildcard', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), (texts) => {
        expect(searchText(texts)).toMatch(/^( [\p{L}\p{Nd}]+)*$/u)
        for (const pattern of searchPatterns(texts.join(' ')))
          expect(pattern).toMatch(/^% ?[\p{L}\p{Nd}]+%$/u)
      }),
      { numRuns: 2_000 },
    )
  })

  it('never finds across two words, or in half a character', () => {
    expect(isFound(['ada lovelace'], 'adalove')).toBe(false)
    expect(isFound(['a.b'], 'a-b')).toBe(false)
    // Encoded, these share their second half.
    expect(isFound(['\u{1f600}\u{1f601}\u{1f602}'], '\u{1f601}\u{1f602}\u{1f603}')).toBe(false)
  })
})
