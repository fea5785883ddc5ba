let lastMs = 0
let counter = 0

/**
 * A UUIDv7 (RFC 9562). Those made by one page sort in the order they were made: within a millisecond, or when
 * the clock goes back, the twelve bits after the version count on.
 */
export function uuidv7(
  now = Date.now(),
  random: (bytes: Uint8Array) => Uint8Array = (bytes) =>
    crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>),
): string {
  const bytes = random(new Uint8Array(16))
  if (now > lastMs) {
    lastMs = now
    // The upper bit stays free, so that there is room to count.
    counter = (((bytes[6] as number) << 8) | (bytes[7] as number)) & 0x7ff
  } else {
    counter += 1
    if (counter > 0xfff) {
      counter = 0
      lastMs += 1
    }
  }
  let ms = lastMs
  for (let place = 5; place >= 0; place -= 1) {
    bytes[place] = ms % 256
    ms = Math.floor(ms / 256)
  }
  bytes[6] = 0x70 | (counter >> 8)
  bytes[7] = counter & 0xff
  bytes[8] = 0x80 | ((bytes[8] as number) & 0x3f)
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
