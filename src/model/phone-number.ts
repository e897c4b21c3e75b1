// Parses telephone numbers in any notation, so that a search finds them by their digits.

export type PhoneNumber = {
  /** Without the international call prefix. */
  digits: string
  /** The national number, without and with the national prefix; absent if the country is unknown. */
  national?: { number: string; dialled: string }
}

// Matches one number of digits, spaces and `+ ( ) - . /`, between words such as `tel:` or `(office)`, without its
// extension.
const pattern =
  /^(?:[^\d+(]*[\s:])?(\+?[\d(][\d\s()./-]*?)(?:(?:;ext=|[\s.,]*(?:ext\.?|x|#))\s*\d{1,6})?(?:[\s,;(]\D*)?$/

// Country codes of ITU-T E.164: one digit, two digits, else three.
const countryCode = /^(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9]\d\d)/

// National prefixes of ITU-T E.164 other than 0.
const prefixes: Record<string, string> = { 7: '8', 36: '06' }

/** Shorter numbers are searched as plain words, unless they begin with a country code. */
export const nationalDigitsMin = 5
const internationalDigitsMin = 3
// 15 by E.164, plus two for a prefix.
const digitsMax = 17

/** @param text folded to base letters. @returns undefined if it is not a telephone number */
export function readPhoneNumber(text: string): PhoneNumber | undefined {
  const number = pattern.exec(text)?.[1]?.trim()
  if (number === undefined) return undefined
  const isInternational = /^(?:\+|00)\s*[1-9]/.test(number)
  // In `+44 (0)20 …` the zero is the national prefix.
  const digits = isInternational
    ? number.replace('(0)', '').replace(/\D/g, '').replace(/^00/, '')
    : number.replace(/\D/g, '')
  const min = isInternational ? internationalDigitsMin : nationalDigitsMin
  if (digits.length < min || digits.length > digitsMax) return undefined
  const code = isInternational ? countryCode.exec(digits)?.[0] : undefined
  if (code === undefined) return { digits }
  const national = digits.slice(code.length)
  return { digits, national: { number: national, dialled: (prefixes[code] ?? '0') + national } }
}
