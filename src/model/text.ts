// How text is compared: one folding for uniqueness, sorting and search, done here so that none of
// them depends on a database's locale.

/**
 * Text as it is compared without regard to case: NFKC, then Unicode's full case mappings down, up and down
 * again (which unify ẞ, ß and SS), with the final sigma made an ordinary one. Folding twice changes nothing.
 */
export function fold(text: string): string {
  const lower = text.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase()
  return lower.normalize('NFKC').replaceAll('ς', 'σ')
}

/** Length in characters (Unicode code points), as people and JSON Schema count it. */
export function codePointCount(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

/**
 * Whether a user pool that does not regard case, as ours must not, takes two usernames for one. That is less than
 * what is the same to us: it knows nothing of ß and ss.
 */
export function isSamePoolUsername(username: string, other: string): boolean {
  return username.toLowerCase() === other.toLowerCase()
}
