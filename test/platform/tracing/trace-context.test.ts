// The headers of W3C Trace Context.
import { expect, it } from 'vitest'
import { readTraceContext } from '../../../src/platform/tracing/trace-context.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentId = '00f067aa0ba902b7'
const valid = `00-${traceId}-${parentId}-01`

it('continues the trace of a valid header, and reads the sampled flag alone', () => {
  expect(readTraceContext(valid)).toEqual({ traceId, parentId, isSampled: true, state: '' })
  const isSampled = (flags: string) => readTraceContext(`00-${traceId}-${parentId}-${flags}`)?.isSampled
  expect(['00', '01', '02', '03', 'fe', 'ff'].map(isSampled)).toEqual([false, true, false, true, false, true])
})

it('reads the known parts of later versions', () => {
  expect(readTraceContext(`01-${traceId}-${parentId}-01`)?.traceId).toBe(traceId)
  expect(readTraceContext(`cc-${traceId}-${parentId}-00-what-the-future-adds`)?.isSampled).toBe(false)
})

it.each([
  ['absent', undefined],
  ['empty', ''],
  ['of version ff', `ff-${traceId}-${parentId}-01`],
  ['longer than version 00', `${valid}-00`],
  ['followed by other text', `01-${traceId}-${parentId}-01.`],
  ['in upper case', valid.toUpperCase()],
  ['with a trace id of zeros', `00-${'0'.repeat(32)}-${parentId}-01`],
  ['with a parent id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
  ['with a short trace id', `00-${traceId.slice(1)}-${parentId}-01`],
  ['with other characters', `00-${traceId.slice(1)}g-${parentId}-01`],
  ['sent twice', `${valid}, ${valid}`],
  ['surrounded by spaces', ` ${valid} `],
  ['huge', `01-${traceId}-${parentId}-01-${'a'.repeat(16_000)}`],
  ['huge and malformed', '0'.repeat(16_000)],
])('begins a new trace for a parent that is %s', (_, header) => {
  expect(readTraceContext(header, 'vendor=value')).toBeUndefined()
})

it.each([
  ['congo=t61rcWkgMzE'],
  ['rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'],
  ['rojo=1 ,\tcongo=2, ,'],
  ['tenant1@vendor=x,0a@b=y'],
  [`a=${'v'.repeat(256)}`],
  [Array.from({ length: 32 }, (_, at) => `k${at}=v`).join()],
])('keeps the state %s', (state) => {
  expect(readTraceContext(valid, state)?.state).toBe(state)
})

it.each([
  ['without a value', 'congo'],
  ['with an empty value', 'congo='],
  ['with a key in upper case', 'Congo=1'],
  ['with a key that begins with a digit', '0congo=1'],
  ['with a repeated key', 'a=1,b=2,a=3'],
  ['with a control character', 'a=\u0001'],
  ['with another character than ASCII', 'a=é'],
  ['with two equals signs', 'a=b=c'],
  ['with a value of 257 characters', `a=${'v'.repeat(257)}`],
  ['with a key of 257 characters', `${'a'.repeat(257)}=v`],
  ['with 33 members', Array.from({ length: 33 }, (_, at) => `k${at}=v`).join()],
  ['that is huge', Array.from({ length: 4_000 }, (_, at) => `k${at}=v`).join()],
])('ignores a state %s, but continues the trace', (_, state) => {
  expect(readTraceContext(valid, state)).toEqual({ traceId, parentId, isSampled: true, state: '' })
})
