// The textual form of UUIDs.

export const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** @returns the UUID in lower case; undefined if the text is not a UUID */
export function readUuid(text: string): string | undefined {
  return uuidPattern.test(text) ? text.toLowerCase() : undefined
}
