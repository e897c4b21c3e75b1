// One entry of another system's file, before it is mapped to a user.

/** `line` as in `ImportRow`. The record is a fault if it cannot be read. */
export type SourceRecord = { line: number } & (
  | { value: Record<string, unknown>; fault?: never }
  | { fault: string }
)
