// Copies of bytes, short or long, without the bulk instruction where SIMD is there.
//
// That instruction is a call into the host's C library. For the short keys and texts that tables and builders copy one
// by one the call costs more than the rest of the row. For the 8 KB that a vector has of a column, the library chooses the
// processor's string copy, which is slow to begin with and does not bear addresses that lie differently (texts): on an
// EPYC 7 GB/s, and 3 GB/s so, where a loop of four vectors of 16 bytes has 13 to 15 GB/s at every length from 2 KB on and
// wherever the bytes lie. For megabytes both take the same.

/** Past this whole vectors are copied. */
const SHORT: usize = 64;

/** Copies `length` bytes; the ranges do not overlap. */
// @ts-ignore: decorator
@inline
export function copyBytes(to: usize, from: usize, length: usize): void {
  if (length > SHORT) copyRun(to, from, length);
  else copyShort(to, from, length);
}

/** The same, for where mostly more than a few bytes are copied. */
export function copyRun(to: usize, from: usize, length: usize): void {
  if (!ASC_FEATURE_SIMD) {
    memory.copy(to, from, length);
    return;
  }
  if (length < 16) return copyShort(to, from, length);
  // The last 16 bytes overlap what the loop has copied.
  const last = from + length - 16;
  const tail = to + length - 16;
  for (; from + 48 <= last; from += 64) {
    v128.store(to, v128.load(from));
    v128.store(to, v128.load(from, 16), 16);
    v128.store(to, v128.load(from, 32), 32);
    v128.store(to, v128.load(from, 48), 48);
    to += 64;
  }
  for (; from < last; from += 16) {
    v128.store(to, v128.load(from));
    to += 16;
  }
  v128.store(tail, v128.load(last));
}

function copyShort(to: usize, from: usize, length: usize): void {
  if (length >= 8) {
    // The last 8 bytes overlap what the loop has copied.
    const last = length - 8;
    for (let at: usize = 0; at < last; at += 8) store<u64>(to + at, load<u64>(from + at));
    store<u64>(to + last, load<u64>(from + last));
    return;
  }
  if (length >= 4) {
    const last = length - 4;
    const tail = load<u32>(from + last);
    store<u32>(to, load<u32>(from));
    store<u32>(to + last, tail);
    return;
  }
  for (let at: usize = 0; at < length; at++) store<u8>(to + at, load<u8>(from + at));
}
