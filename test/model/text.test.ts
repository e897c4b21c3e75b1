// Properties of case folding that uniqueness, sorting and search depend on.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fold } from '../../src/model/text.ts'

// Without the one mark whose upper case is a letter of its own, which normal forms put in another place.
const text = fc
  .string({ unit: 'binary', maxLength: 40 })
  .filter((text) => !text.normalize('NFKD').includes('\u0345'))
describe('folding', () => {
  it('is idempotent', () => {
    fc.assert(
      fc.property(text, (text) => {
        expect(fold(fold(text))).toBe(fold(text))
      }),
      { numRuns: 2_000 },
    )
  })

  it('unifies all cases and normal forms of a text', () => {
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
