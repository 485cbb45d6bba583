// Copies of a few bytes. The bulk instruction is a call into the host's C library: for the short keys and
// texts that tables and builders copy one by one, it costs more than the rest of the row.

/** Past this the bulk instruction wins. */
const SHORT: usize = 64;

/** Copies `length` bytes; the ranges do not overlap. */
// @ts-ignore: decorator
@inline
export function copyBytes(to: usize, from: usize, length: usize): void {
  if (length > SHORT) memory.copy(to, from, length);
  else copyShort(to, from, length);
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
