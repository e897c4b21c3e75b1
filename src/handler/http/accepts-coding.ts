/** @param header `Accept-Encoding`. RFC 9110, section 12.5.3: a coding with the weight 0 is not accepted. */
export function acceptsCoding(header: string | undefined, coding: string): boolean {
  return (header ?? '').split(',').some((item) => {
    const [name = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    return name === coding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}
