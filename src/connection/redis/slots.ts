// Hash slots of a cluster, and sets of them as ranges.
// https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

export const slotCount = 16_384

/** Ranges of slots, each with its first and its last slot. */
export type Slots = (readonly [from: number, to: number])[]

/** @param key its hash tag, if there is one, decides alone */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  return crc16(close > open + 1 ? key.slice(open + 1, close) : key) % slotCount
}

// CRC16-CCITT (XMODEM): polynomial 0x1021, initial value 0.
const crcTable = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

function crc16(text: string): number {
  let crc = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    // UTF-8 has the same bytes for ASCII only.
    if (code > 127) return crcOfBytes(Buffer.from(text))
    crc = nextCrc(crc, code)
  }
  return crc
}

function crcOfBytes(bytes: Buffer): number {
  let crc = 0
  for (const byte of bytes) crc = nextCrc(crc, byte)
  return crc
}

function nextCrc(crc: number, byte: number): number {
  return ((crc << 8) ^ (crcTable[((crc >> 8) ^ byte) & 0xff] ?? 0)) & 0xffff
}
