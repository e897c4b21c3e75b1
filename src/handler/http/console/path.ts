// Which requests belong to the console. Apart from the rest, which is loaded by the first of them.

/** @param path as sent */
export function isConsolePath(path: string): boolean {
  return path.startsWith('/console') && (path.length === 8 || path.charCodeAt(8) === 0x2f)
}
