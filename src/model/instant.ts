// Parses instants in ISO 8601's extended format, and in PostgreSQL's.

const pattern = /^(\d{4}-\d\d-\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:Z|([+-])(\d\d)(?::?(\d\d))?)$/i

/**
 * The seconds are optional; the time zone is `Z`, `+05`, `+0530` or `+05:30`. Users' times are whole milliseconds, so
 * any smaller fraction is returned as half a millisecond (`….1235Z`), which compares with them in the same way.
 * @returns the instant in UTC, such as `2026-11-22T10:00:00.123Z`; undefined if the text is malformed, not a day of
 *   the calendar, or outside the years 1 to 9999
 */
export function readInstant(text: string): string | undefined {
  const [
    ,
    day,
    hours,
    minutes,
    seconds = '00',
    fraction = '',
    sign,
    offsetHours = '00',
    offsetMinutes = '00',
  ] = pattern.exec(text) ?? []
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined
  const local = new Date(`${day}T${hours}:${minutes}:${seconds}.${fraction.slice(0, 3).padEnd(3, '0')}Z`)
  // JavaScript reads February 30 as March 2, and 24:00 as the next day.
  if (Number.isNaN(local.getTime()) || !local.toISOString().startsWith(`${day}T${hours}`)) return undefined
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000
  const instant = new Date(local.getTime() + (sign === '-' ? offset : -offset))
  const year = instant.getUTCFullYear()
  if (year < 1 || year > 9_999) return undefined
  return `${instant.toISOString().slice(0, -1)}${/[1-9]/.test(fraction.slice(3)) ? '5' : ''}Z`
}

/**
 * @param value as PostgreSQL writes it (`0001-01-01 00:00:00+00`), which JavaScript reads as the year 2001; a date that the
 *   driver has made of it passes
 */
export function readTimestamp(value: string | Date): Date {
  return typeof value === 'string' ? new Date(value.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00')) : value
}
