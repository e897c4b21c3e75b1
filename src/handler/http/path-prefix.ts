// Adds the prefix under which the API is served to the references in its answers.

/**
 * Relative references in Location (RFC 9110, section 10.2.2) and Link (RFC 8288) are resolved against the host, so they need the prefix.
 *
 * @returns the header's value
 */
export function withPathPrefix({ name, value }: { name: string; value: string }, prefix: string): string {
  switch (name.toLowerCase()) {
    case 'location':
      return value.startsWith('/') ? prefix + value : value
    case 'link':
      return value.replace('<', `<${prefix}`)
    default:
      return value
  }
}
