// Values as unsigned integers of the same order: sign bits flipped, floats in total order, texts as words.
//
//   integers   two's complement with the sign bit flipped
//   floats     -Inf .. -0 < +0 .. +Inf < NaN; all NaNs are one
//   texts      8 bytes at a time, the first byte highest, zeros past the end (the length decides among those
//              that are equal then: a text is less than the same text followed by zero bytes)

const SIGN: u64 = 0x8000000000000000;

/** The value at `address` in the order of its type. Booleans are u8. */
// @ts-ignore: decorator
@inline
export function normal<T>(address: usize): u64 {
  if (isFloat<T>()) {
    if (sizeof<T>() == 8) {
      let bits = load<u64>(address);
      if ((bits & ~SIGN) > 0x7ff0000000000000) bits = 0x7ff8000000000000;
      return bits ^ (<u64>(<i64>bits >> 63) | SIGN);
    }
    let bits = load<u32>(address);
    if ((bits & 0x7fffffff) > 0x7f800000) bits = 0x7fc00000;
    return <u64>(bits ^ (<u32>(<i32>bits >> 31) | 0x80000000));
  }
  if (isSigned<T>()) return <u64>(<i64>load<T>(address)) ^ SIGN;
  return <u64>load<T>(address);
}

/** The high word of the 128-bit integer at `address`; its low word needs no change. */
// @ts-ignore: decorator
@inline
export function normalHigh(address: usize): u64 {
  return load<u64>(address, 8) ^ SIGN;
}

/** Bytes [from, from + 8) of a text. Reads no byte past its end. */
// @ts-ignore: decorator
@inline
export function textWord(address: usize, length: u32, from: u32): u64 {
  return length >= from + 8 ? bswap<u64>(load<u64>(address + <usize>from)) : lastWord(address, length, from);
}

function lastWord(address: usize, length: u32, from: u32): u64 {
  if (from >= length) return 0;
  const rest = length - from;
  const at = address + <usize>from;
  // The last 8 bytes of a text that has them, moved up; else byte by byte.
  if (length >= 8) return bswap<u64>(load<u64>(at + <usize>rest - 8)) << (<u64>(8 - rest) << 3);
  let word: u64 = 0;
  for (let byte: u32 = 0; byte < rest; byte++) word |= <u64>load<u8>(at + <usize>byte) << (<u64>(7 - byte) << 3);
  return word;
}

/** The low `unit` bits of each of a word's bytes, next to each other: 8 x `unit` bits. */
// @ts-ignore: decorator
@inline
export function squeeze(word: u64, unit: u64): u64 {
  if (unit == 8) return word;
  const bytes = word & (0x0101010101010101 * ((<u64>1 << unit) - 1));
  const pairs = (bytes & 0x00ff00ff00ff00ff) | (((bytes >> 8) & 0x00ff00ff00ff00ff) << unit);
  const quads = (pairs & 0x0000ffff0000ffff) | (((pairs >> 16) & 0x0000ffff0000ffff) << (2 * unit));
  return (quads & 0xffffffff) | ((quads >> 32) << (4 * unit));
}
