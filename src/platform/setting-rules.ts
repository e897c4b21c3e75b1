// The forms of settings that several variables share.

/** @returns the fault of a value; undefined for a valid one */
export type Rule = (text: string) => string | undefined

export const matches =
  (pattern: RegExp, fault: string): Rule =>
  (text) =>
    pattern.test(text) ? undefined : fault

export const url =
  (protocols: string[], description: string): Rule =>
  (text) =>
    URL.canParse(text) && protocols.includes(new URL(text).protocol) ? undefined : `must be ${description}`

export const web = url(['http:', 'https:'], 'an http:// or https:// URL')

export const list: Rule = (text) => (itemsOf(text).length > 0 ? undefined : 'must contain at least one value')

/** The values of a list that is separated by commas. */
export function itemsOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}
