// Rules of base letters, the search column, telephone numbers and the sort order of names.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { baseLetters } from '../../src/model/base-letters.ts'
import {
  derivedColumns,
  rareTrigrams,
  searchClauses,
  searchRulesVersion,
  searchText,
  sortKey,
} from '../../src/model/search-text.ts'
import { codePointCount, fold } from '../../src/model/text.ts'

const text = fc.string({ unit: 'binary', maxLength: 40 })
const word = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => /^[^\s\d+()./-]+$/u.test(base(text)))
const base = (text: string) => baseLetters(fold(text))

function isFound(texts: string[], search: string): boolean {
  const column = searchText(texts)
  return searchClauses(search).every(
    ({ every, orAny }) =>
      every.every((part) => column.includes(part)) || orAny.some((part) => column.includes(part)),
  )
}

describe('base letters', () => {
  it('are their own base letters', () => {
    fc.assert(
      fc.property(text, (text) => {
        expect(base(base(text))).toBe(base(text))
      }),
      { numRuns: 2_000 },
    )
  })

  // Node's collator has Unicode's weights; its version may differ from machine to machine, so the service sorts without it.
  it('of the accented letters of Latin, Greek and Cyrillic are those of Unicode’s collation', () => {
    const { compare } = new Intl.Collator('und', { sensitivity: 'base' })
    const differing: string[] = []
    for (let code = 0x80; code < 0x2000; code++) {
      const letter = String.fromCodePoint(code)
      if (!/\p{L}/u.test(letter) || !/[\p{sc=Latin}\p{sc=Greek}\p{sc=Cyrillic}]/u.test(letter)) continue
      // Folding turns the iota subscript into a letter, as its upper case is.
      const decomposed = letter.normalize('NFD')
      if (decomposed === letter || decomposed.includes('\u0345')) continue
      if (compare(letter, base(letter)) !== 0) differing.push(letter)
    }
    expect(differing).toEqual([])
  })

  it.each([
    ['zoë', 'zoe'],
    ['İbrahim', 'ibrahim'],
    ['ısmail', 'ismail'],
    ['Łódź', 'lodz'],
    ['Đặng', 'dang'],
    ['Ħal', 'hal'],
    ['Æsir', 'aesir'],
    ['Œuvre', 'oeuvre'],
    ['Groß', 'gross'],
    ['Þór', 'thor'],
    ['Guðrún', 'gudrun'],
    ['Ǿrsted', 'orsted'],
    ['Άννα', 'αννα'],
    ['Артём', 'артем'],
    ['O’Brien', "o'brien"],
    ['Jean–Luc', 'jean-luc'],
    ['مُحَمَّد', 'محمد'],
    ['أحمد', 'احمد'],
    ['אַבָּא', 'אבא'],
    ['١٢٣', '123'],
    ['葛\u{e0100}城', '葛城'],
    ['علی\u200cرضا', 'علیرضا'],
  ])('of %s are %s', (accented, plain) => expect(base(accented)).toBe(plain))

  it.each([
    ['Cyrillic й', 'й', 'и'],
    ['Thai', 'น้ำ', 'นำ'],
    ['Devanagari', 'कि', 'क'],
    ['Tamil', 'கா', 'க'],
    ['kana', 'が', 'か'],
    ['kana', 'ぱ', 'は'],
    ['Hangul', '각', '가'],
  ])('keep the marks that are letters: %s %s is not %s', (_script, one, other) => {
    expect(base(one)).toBe(fold(one))
    expect(base(one)).not.toBe(base(other))
  })
})

describe('the search column', () => {
  it('finds any part of three characters or more, any CJK character, the start of a word, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 4 }),
        word,
        fc.nat(12),
        fc.nat(12),
        (words, other, from, length) => {
          const letters = [...base(words[0] ?? '')]
          const part = letters
            .slice(from % letters.length)
            .slice(0, 3 + length)
            .join('')
          if (codePointCount(part) >= 3 && base(part) === part) expect(isFound(words, part)).toBe(true)
          const sought = base(other)
          const isAnywhere =
            codePointCount(sought) >= 3 || /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}]/u.test(sought)
          expect(isFound(words, sought)).toBe(
            words.some((word) => (isAnywhere ? base(word).includes(sought) : base(word).startsWith(sought))),
          )
        },
      ),
      { numRuns: 3_000 },
    )
  })

  it('contains only letters, digits and single spaces, so that the index covers all of it without wildcards', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), (texts) => {
        expect(searchText(texts)).toMatch(/^( [\p{L}\p{Nd}]+)*$/u)
        for (const { every, orAny } of searchClauses(texts.join(' ')))
          for (const part of [...every, ...orAny]) expect(part).toMatch(/^ ?[\p{L}\p{Nd}]+$/u)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['王小明', ['王', '小', '明', '小明', '王小明']],
    ['김철수', ['김', '철', '수', '철수']],
    ['ひらがな', ['ら', 'がな']],
    ['カタカナ', ['タ', 'ｶﾀ', 'ｶﾅ']],
    ['佐々木ー', ['々', '木', 'ー']],
    ['𠮷田', ['𠮷', '田']],
    ['ab王', ['b王', '王']],
  ])('finds one or two characters of %s anywhere', (name, parts) => {
    for (const part of parts) expect([part, isFound([name], part)]).toEqual([part, true])
    for (const part of ['李', '철수김', 'がら', 'b'])
      expect([part, isFound([name], part)]).toEqual([part, false])
  })

  it('is narrowed only by parts of a long word that have a digit, the last ones first', () => {
    const trigrams = (search: string) =>
      searchClauses(search).flatMap(({ every }) => every.map((part) => rareTrigrams(part)))
    expect(trigrams('wilson123456')).toEqual([['456', '123', '345', 'n12', '234', 'on1']])
    expect(trigrams('ada.lovelace@example.com 1234567 a1')).toEqual([[], [], []])
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '1', '.', '7', '\u0664', '\u{1d5ba}', '高', '%') }),
        (word) => {
          for (const { every } of searchClauses(word))
            for (const part of every) {
              const found = rareTrigrams(part)
              expect(found.length).toBeLessThanOrEqual(8)
              for (const trigram of found)
                expect([part.includes(trigram), codePointCount(trigram)]).toEqual([true, 3])
            }
        },
      ),
    )
  })

  it('never matches across two words, or half a character', () => {
    expect(isFound(['ada lovelace'], 'adalove')).toBe(false)
    expect(isFound(['a.b'], 'a-b')).toBe(false)
    // Encoded, these share their second half.
    expect(isFound(['\u{1f600}\u{1f601}\u{1f602}'], '\u{1f601}\u{1f602}\u{1f603}')).toBe(false)
  })
})

describe('a telephone number', () => {
  it.each([
    [
      '+44 20 7946 0123',
      [
        '+442079460123',
        '02079460123',
        '7946 0123',
        '(020) 7946-0123',
        '0044 20 7946 0123',
        '+44 (0)20 7946 0123',
      ],
      ['+49 20 7946 0123', '02079460124', '+20 7946 0123', '9460 7123'],
    ],
    ['+44 (0)20-7946-0123', ['+442079460123', '02079460123', '020 7946'], ['+440207946']],
    // Without a country: the same number in any country, when it is whole.
    ['020 7946 0123', ['+442079460123', '+49 20 79460123', '7946-0123'], ['+44 7946 0123', '+44 20 7946 01']],
    ['+7 495 123-45-67', ['8 (495) 123-45-67', '+74951234567', '495 1234567'], ['0495 1234567']],
    ['8 (495) 123-45-67', ['+7 495 123 45 67'], ['+44 495 123 45 67']],
    ['+36 1 234 5678', ['06 1 234 5678'], []],
    ['(415) 555-0123 ext. 12', ['+1 415 555 0123', '415.555.0123', '4155550123'], ['55501 2312']],
    ['tel:+1-415-555-0123', ['(415) 555-0123', '1 415 555 0123'], []],
    ['٠٢٠ ٧٩٤٦ ٠١٢٣', ['02079460123'], []],
    ['Mobile: +44 20 7946 0123 (after six)', ['tel:+442079460123', '020-7946-0123'], []],
    ['\u202a+44\u00a020\u00a07946\u20110123\u202c', ['020 79460123'], []],
    ['room 12345, floor 678', ['12345'], ['123 45', '45678']],
    ['anna.12345', ['12345'], ['12 345']],
  ])('%s is found by its digits, however they are written', (value, found, missed) => {
    for (const search of found) expect([search, isFound([value], search)]).toEqual([search, true])
    for (const search of missed) expect([search, isFound([value], search)]).toEqual([search, false])
  })

  it('matches beside other words, which must match too', () => {
    expect(isFound(['Ada', '+44 20 7946 0123'], 'ada 020 7946 0123')).toBe(true)
    expect(isFound(['Ada', '+44 20 7946 0123'], 'bea 020 7946 0123')).toBe(false)
  })

  it('does not hide numbers that are words', () => {
    expect(isFound(['desk 79460, floor 123'], '123 79460')).toBe(true)
    expect(isFound(['1 2 3 go'], '1 2 3')).toBe(true)
    expect(isFound(['x123'], '1 2 3')).toBe(false)
  })
})

describe('names', () => {
  it('are sorted by base letters first and accents second', () => {
    const names = [
      'Adam',
      'Åsa',
      'Émile',
      'Eva',
      'Otto',
      'Özil',
      'Zoe',
      'Zoë',
      'zoe b',
      'Zoë B',
      'Zoea',
      'Ева',
      'Ёва',
      'Ежи',
    ]
    const sorted = names
      .toReversed()
      .sort((a, b) => Buffer.compare(Buffer.from(sortKey(a)), Buffer.from(sortKey(b))))
    expect(sorted).toEqual(names)
  })

  it('have a bounded key, however far NFKC expands them', () => {
    expect(codePointCount(sortKey('\ufdfa'.repeat(200)))).toBe(200)
    expect(codePointCount(sortKey('é\ufdfa'.repeat(100)))).toBe(401)
    expect(sortKey(null)).toBe('')
  })
})

// When this fails, the columns of stored users are out of date: make the version grow, then record both here.
it('a change of the rules requires a new version of them', () => {
  const names = [
    'Zoë Ångström',
    'İbrahim',
    'Đặng',
    '王小明',
    '김철수',
    'ｶﾅ',
    'น้ำ',
    'أحمد',
    'Андрей',
    'a.b_c%',
    '\u{1f600}',
  ]
  const values = ['+44 (0)20 7946-0123', '0171 123456', 'desk 7, floor 12', 'tel:+1 415 555 0123 x9']
  const columns = names.map((name) =>
    derivedColumns({
      username: `${name}.1`,
      name,
      contacts: values.map((value) => ({ value })),
      externalId: `auth0|${name}`,
    }),
  )
  const hash = createHash('sha256').update(JSON.stringify(columns)).digest('hex').slice(0, 16)
  expect([searchRulesVersion, hash]).toEqual([2, 'f7c22e8ae3e869c1'])
})
