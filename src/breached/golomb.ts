/**
 * Ascending numbers in few bits: the gap between one and the next as a Golomb code with a parameter of a power of two, which is within
 * a few hundredths of a bit of the least that a random set takes. S. W. Golomb, Run-length encodings (1966); R. F. Rice (1979).
 */

/** Of each gap that many bits are written as they are, the rest in unary: the best where gaps are 2^10 on average. */
const plainBits = 10
const plainMask = 2 ** plainBits - 1

/**
 * @param numbers ascending, none twice, below 2^31
 * @returns the codes, then ones up to the end of the last byte
 */
export function encodeNumbers(numbers: readonly number[]): Buffer {
  const unary = numbers.length === 0 ? 0 : numbers.at(-1)! >>> plainBits
  const bytes = Buffer.alloc(Math.ceil((numbers.length * (plainBits + 1) + unary) / 8))
  let [at, last] = [0, -1]
  // The buffer begins as zeros, so only ones are written.
  const writeOnes = (count: number) => {
    for (const end = at + count; at < end; at++) bytes[at >> 3]! |= 0x80 >> (at & 7)
  }
  for (const number of numbers) {
    const gap = number - last - 1
    writeOnes(gap >>> plainBits)
    at++
    for (let bit = plainBits - 1; bit >= 0; bit--, at++) if ((gap >> bit) & 1) bytes[at >> 3]! |= 0x80 >> (at & 7)
    last = number
  }
  const used = bytes.subarray(0, Math.ceil(at / 8))
  writeOnes(8 * used.length - at)
  return used
}

/** Whether a number is among those of {@link encodeNumbers}. Reads all of them in any case. */
export function hasNumber(bytes: Uint8Array, number: number): boolean {
  const end = 8 * bytes.length
  let [at, last, gap, isThere] = [0, -1, 0, false]
  while (at < end) {
    const isOne = (bytes[at >> 3]! >> (7 - (at & 7))) & 1
    at++
    if (isOne) {
      gap += 2 ** plainBits
      continue
    }
    // Ten bits are within three bytes.
    const byte = at >> 3
    const window = (bytes[byte]! << 16) | ((bytes[byte + 1] ?? 0) << 8) | (bytes[byte + 2] ?? 0)
    last += gap + ((window >> (24 - plainBits - (at & 7))) & plainMask) + 1
    at += plainBits
    gap = 0
    isThere = last === number || isThere
  }
  return isThere
}
