// Reads the number that a person typed, and rejects one that would be stored as another number.

export const numberFault =
  'must be a number such as 3 or 0.5 with at most 15 digits; keep a longer one as text'

const digitsMax = 400
const pattern = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?$/i

/** @returns undefined for text that is no number, or one that a double (IEEE 754) does not hold as it is written */
export function readNumber(text: string): number | undefined {
  const written = decimalOf(text.trim())
  const value = Number(text)
  if (written === undefined || !Number.isFinite(value)) return undefined
  return decimalOf(String(value)) === written ? value : undefined
}

/** @returns the same text for each spelling of a number */
function decimalOf(text: string): string | undefined {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = pattern.exec(text) ?? []
  const digits = (whole + fraction).replace(/^0+/, '')
  if (whole + fraction === '' || text.length > digitsMax) return undefined
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  const power = Number(exponent) - fraction.length + digits.length - significant.length
  return `${sign === '-' ? '-' : ''}${significant}e${power}`
}
