// Parses numeric command-line options.

/** @throws Error that names the option and the values it accepts */
export function positive(option: string, text: string, kind: 'any' | 'whole' = 'any'): number {
  const value = Number(text)
  if (value > 0 && Number.isFinite(value) && (kind === 'any' || Number.isInteger(value))) return value
  throw new Error(`${option} must be a ${kind === 'whole' ? 'whole ' : ''}number above 0, but is: ${text}`)
}
