// The form of ids.

export const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** @returns the UUID in lower case; undefined for what is none */
export function readUuid(text: string): string | undefined {
  return uuidPattern.test(text) ? text.toLowerCase() : undefined
}
