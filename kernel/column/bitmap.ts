// Bitmaps: Arrow's (any bit offset, no padding promised) brought to the kernel's (64-bit words from bit 0
// on, zero past the last row), and the few whole-bitmap operations that vectors need.
//
// A vector's bitmap is 32 words at most, so plain 64-bit words do; SIMD gained nothing over them.

/** Bytes of the words that hold `rows` bits. */
// @ts-ignore: decorator
@inline
export function bitmapBytes(rows: u32): usize {
  return ((<usize>rows + 63) >> 6) << 3;
}

// @ts-ignore: decorator
@inline
export function bitmapGet(bits: usize, row: u32): u32 {
  return (<u32>load<u8>(bits + <usize>(row >> 3)) >> (row & 7)) & 1;
}

/** The bits of the last word that lie below `rows`. */
// @ts-ignore: decorator
@inline
export function bitmapTail(rows: u32): u64 {
  return (rows & 63) == 0 ? <u64>-1 : (<u64>1 << (rows & 63)) - 1;
}

/** Zeroes the bits past the last row. */
// @ts-ignore: decorator
@inline
export function bitmapClearTail(words: usize, rows: u32): void {
  if ((rows & 63) == 0) return;
  const last = words + (<usize>(rows >> 6) << 3);
  store<u64>(last, load<u64>(last) & bitmapTail(rows));
}

/** Sets the first `rows` bits. */
export function bitmapFill(words: usize, rows: u32): void {
  memory.fill(words, 0xff, bitmapBytes(rows));
  bitmapClearTail(words, rows);
}

export function bitmapCount(words: usize, rows: u32): u32 {
  let count: u64 = 0;
  const bytes = bitmapBytes(rows);
  for (let at: usize = 0; at < bytes; at += 8) count += popcnt<u64>(load<u64>(words + at));
  return <u32>count;
}

/** Whether no bit is set. */
export function bitmapIsEmpty(words: usize, rows: u32): bool {
  let any: u64 = 0;
  const bytes = bitmapBytes(rows);
  for (let at: usize = 0; at < bytes; at += 8) any |= load<u64>(words + at);
  return any == 0;
}

/**
 * Copies `rows` bits from bit `offset` of `source` to words at `target`; true when all of them are set.
 * Reads no byte beyond those that hold the bits.
 */
export function bitmapLoad(source: usize, offset: u32, rows: u32, target: usize): bool {
  const shift: u64 = offset & 7;
  let from = source + <usize>(offset >> 3);
  const end = source + <usize>((<u64>offset + <u64>rows + 7) >> 3);
  let all: u64 = <u64>-1;
  let row: u32 = 0;
  // A whole word of shifted bits spans nine bytes.
  for (; rows - row >= 64; row += 64) {
    let word = load<u64>(from) >> shift;
    if (shift != 0) word |= <u64>load<u8>(from, 8) << (64 - shift);
    store<u64>(target, word);
    all &= word;
    from += 8;
    target += 8;
  }
  if (row < rows) {
    const mask = bitmapTail(rows);
    const word = partialWord(from, end, shift) & mask;
    store<u64>(target, word);
    all &= word | ~mask;
  }
  return all == <u64>-1;
}

/** Up to 64 bits of the bytes in [from, end), shifted down. */
function partialWord(from: usize, end: usize, shift: u64): u64 {
  let word: u64 = 0;
  let at: u64 = 0;
  for (; from < end && at < 64; from++) {
    word |= <u64>load<u8>(from) << at;
    at += 8;
  }
  word >>= shift;
  if (from < end) word |= <u64>load<u8>(from) << (64 - shift);
  return word;
}

/**
 * Collects bit `offset + rows[i]` for `count` u16 row numbers into words; true when all of them are set. Of 16 rows that lie
 * within 16 bytes, as most do where a filter leaves an eighth or more, all bits are had at once.
 */
export function bitmapGather(source: usize, offset: u32, selection: usize, count: u32, target: usize): bool {
  if (count == 0) return true;
  let all: u64 = <u64>-1;
  const last = source + ((<usize>offset + <usize>load<u16>(selection + (<usize>(count - 1) << 1))) >> 3);
  for (let row: u32 = 0; row < count; row += 64) {
    const some = min<u32>(64, count - row);
    let word: u64 = 0;
    for (let bit: u32 = 0; bit < some; ) {
      if (ASC_FEATURE_SIMD && some - bit >= 16) {
        const first = offset + <u32>load<u16>(selection);
        const bytes = source + <usize>(first >> 3);
        // Numbers of bits from there on.
        const start = i16x8.splat(<i16>(offset - (first & ~7)));
        const a = i16x8.add(v128.load(selection), start);
        const b = i16x8.add(v128.load(selection, 16), start);
        if (bytes + 15 <= last && !v128.any_true(v128.and(v128.or(a, b), i16x8.splat(~127)))) {
          const at = i8x16.narrow_i16x8_u(a, b);
          const its = i8x16.swizzle(v128.load(bytes), i8x16.shr_u(at, 3));
          const bits = i8x16.swizzle(i64x2.splat(0x8040201008040201), v128.and(at, i8x16.splat(7)));
          word |= <u64>i8x16.bitmask(i8x16.eq(v128.and(its, bits), bits)) << bit;
          selection += 32;
          bit += 16;
          continue;
        }
      }
      for (const end = min<u32>(bit + 16, some); bit < end; bit++) {
        const at: usize = <usize>offset + <usize>load<u16>(selection);
        word |= <u64>((load<u8>(source + (at >> 3)) >> <u8>(at & 7)) & 1) << bit;
        selection += 2;
      }
    }
    store<u64>(target, word);
    target += 8;
    all &= word | ~bitmapTail(some);
  }
  return all == <u64>-1;
}

/**
 * Writes `rows` bits of the words at `source` into `target` from bit `offset` on, zero where the bit of `mask`
 * (words, or 0) is; answers how many are set. Bits of `target` before and after them stay.
 */
export function bitmapAppend(target: usize, offset: u32, source: usize, mask: usize, rows: u32): u32 {
  const shift: u64 = offset & 63;
  let to = target + (<usize>(offset >> 6) << 3);
  let ones: u64 = 0;
  for (let row: u32 = 0; row < rows; row += 64) {
    const some = min<u32>(64, rows - row);
    const span = bitmapTail(some);
    let word = load<u64>(source + <usize>(row >> 3)) & span;
    if (mask != 0) word &= load<u64>(mask + <usize>(row >> 3));
    ones += popcnt<u64>(word);
    store<u64>(to, (load<u64>(to) & ~(span << shift)) | (word << shift));
    if (shift + <u64>some > 64) {
      const high = span >> (64 - shift);
      store<u64>(to, (load<u64>(to, 8) & ~high) | (word >> (64 - shift)), 8);
    }
    to += 8;
  }
  return <u32>ones;
}
