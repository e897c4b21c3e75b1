// Instants as ISO 8601 writes them.

const written = /^(\d{4}-\d\d-\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:Z|([+-])(\d\d)(?::?(\d\d))?)$/i

/**
 * An instant of ISO 8601's extended format, in UTC: `2026-11-22T10:00:00.123Z`. The seconds may be left out; the time zone
 * is `Z`, `+05`, `+0530` or `+05:30`. A user's times are whole milliseconds: a further fraction is kept as half of one,
 * `….1235Z`, which compares with them in the same way.
 * @returns undefined when it is none, or no day of the calendar, or outside of the years 1 to 9999 in UTC
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
  ] = written.exec(text) ?? []
  if (Number(offsetHours) > 23 || Number(offsetMinutes) > 59) return undefined
  const local = new Date(`${day}T${hours}:${minutes}:${seconds}.${fraction.slice(0, 3).padEnd(3, '0')}Z`)
  // JavaScript takes February 30 for March 2, and 24:00 for the next day.
  if (Number.isNaN(local.getTime()) || !local.toISOString().startsWith(`${day}T${hours}`)) return undefined
  const offset = (Number(offsetHours) * 60 + Number(offsetMinutes)) * 60_000
  const instant = new Date(local.getTime() + (sign === '-' ? offset : -offset))
  const year = instant.getUTCFullYear()
  if (year < 1 || year > 9_999) return undefined
  return `${instant.toISOString().slice(0, -1)}${/[1-9]/.test(fraction.slice(3)) ? '5' : ''}Z`
}
