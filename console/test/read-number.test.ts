// Numbers that a person types are stored as they are written, or rejected.
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { readNumber } from '../src/user/read-number.ts'

it('a number that a double holds as it is written is read, in each spelling', () => {
  const texts = ['3', ' 0.5 ', '-7', '+4', '.5', '5.', '007', '1.50', '1e3', '1000', '-0', '9007199254740991']
  expect(texts.map(readNumber)).toEqual([3, 0.5, -7, 4, 0.5, 5, 7, 1.5, 1000, 1000, -0, 9007199254740991])
})

it('a number that would be stored as another one, and text that is none, are rejected', () => {
  const rounded = ['9007199254740993', '0.12345678901234567890', '1e-400', '1e400', '1.0000000000000000001']
  const others = [
    '',
    ' ',
    '.',
    '-',
    'e5',
    '0x10',
    'Infinity',
    'NaN',
    '1,5',
    '1 000',
    '1e99999',
    '9'.repeat(500),
  ]
  for (const text of [...rounded, ...others]) expect(readNumber(text), text).toBe(undefined)
})

it('each number is read back from the text that the console shows', () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (number) => {
      expect(readNumber(String(number)) === number).toBe(true)
    }),
  )
})
