// Reads the trace that a request belongs to: W3C Trace Context, https://www.w3.org/TR/trace-context.

export type TraceContext = {
  /** 32 hexadecimal digits. */
  traceId: string
  /** The caller's span: 16 hexadecimal digits. */
  parentId: string
  isSampled: boolean
  /** The vendors' values as sent; empty without valid ones. */
  state: string
}

// Section 3.2.2: version, trace id, parent id and flags. Version 00 ends there; later ones may add parts after a dash.
const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
// Our bound on later versions; the longest header has 16 KB.
const parentCharactersMax = 512
const sampledFlag = 1

/**
 * @param parent the traceparent header; repeated ones are joined by commas, and so invalid
 * @param state the tracestate header
 * @returns undefined without a valid parent: the request then begins a new trace (section 4.3)
 */
export function readTraceContext(parent: string | undefined, state = ''): TraceContext | undefined {
  if (parent === undefined || parent.length > parentCharactersMax) return undefined
  const [, version, traceId = '', parentId = '', flags = '', rest] = form.exec(parent) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined
  const isSampled = (Number.parseInt(flags, 16) & sampledFlag) !== 0
  return { traceId, parentId, isSampled, state: isTraceState(state) ? state : '' }
}

// Section 3.3.1.3. Vendors must be able to send 512 characters; more may be left out.
const stateCharactersMax = 512
const membersMax = 32
const key = /^(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})$/
// Printable ASCII without comma and equals sign, which does not end in a space.
const value = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

function isTraceState(state: string): boolean {
  if (state.length > stateCharactersMax) return false
  const members = state.split(',').map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
  const keys = new Set<string>()
  for (const member of members) {
    // Empty members are allowed.
    if (member === '') continue
    const end = member.indexOf('=')
    const name = member.slice(0, end)
    if (end === -1 || !key.test(name) || !value.test(member.slice(end + 1)) || keys.has(name)) return false
    keys.add(name)
  }
  return members.length <= membersMax
}
