// The slot of a key, as the cluster's specification computes it.
import { describe, expect, it } from 'vitest'
import { slotOf } from '../../../src/connection/redis/slots.ts'

describe('the slot of a key', () => {
  // The specification's check value of its CRC16 is 0x31c3; the others are replies of CLUSTER KEYSLOT.
  it.each([
    ['123456789', 0x31c3],
    ['', 0],
    ['foo', 12_182],
    ['bar', 5_061],
    ['zażółć', 10_926],
  ])('of %j is %d', (key, slot) => {
    expect(slotOf(key)).toBe(slot)
  })

  it('depends on the hash tag alone, if there is one', () => {
    expect(slotOf('era 1:{user:1}')).toBe(slotOf('user:1'))
    expect(slotOf('era 2:{user:1}:more{2}')).toBe(slotOf('user:1'))
    expect(slotOf('{name:a}b}')).toBe(slotOf('name:a'))
  })

  it('depends on the whole key if the tag is empty or does not end', () => {
    expect(slotOf('a{}b')).not.toBe(slotOf(''))
    expect(slotOf('a{b')).not.toBe(slotOf('b'))
  })
})
