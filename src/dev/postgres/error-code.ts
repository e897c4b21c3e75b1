/** The code of a Node or PostgreSQL error, such as `ENOENT` or `42P04`. */
export function codeOf(error: unknown): string | undefined {
  return (error as { code?: string } | undefined)?.code
}
