// The key hash, version 1: 64-bit multiply-xorshift over little-endian words.
//
// Equal for a value whether it came plain or through a dictionary, and equal in every build: partitioning
// across machines may rely on it. So it has no seed; the tables hash by slot-hash.ts, which has. Multiplication by an odd constant followed by a shift down, as in
// Fibonacci hashing and Murmur's finaliser; inputs of 8 bytes take one round and the finaliser. Reads of
// a text never leave it: tails are read by overlapping loads.

const K1: u64 = 0x9e3779b97f4a7c15;
const K2: u64 = 0xbf58476d1ce4e5b9;
const K3: u64 = 0x94d049bb133111eb;

// @ts-ignore: decorator
@inline
export function hashMix(hash: u64, word: u64): u64 {
  const mixed = (hash ^ word) * K1;
  return mixed ^ (mixed >> 32);
}

/** Spreads every input bit over the upper half, from which tables take their bits. */
// @ts-ignore: decorator
@inline
export function hashFinish(hash: u64): u64 {
  let h = (hash ^ (hash >> 30)) * K2;
  h = (h ^ (h >> 27)) * K3;
  return h ^ (h >> 31);
}

/** Hash of one 64-bit key. */
// @ts-ignore: decorator
@inline
export function hashWord(word: u64): u64 {
  const h = (word ^ (word >> 32)) * K1;
  return (h ^ (h >> 29)) * K3;
}

/** Hash of a text. */
export function hashBytes(address: usize, length: u32): u64 {
  let hash: u64 = <u64>length * K2;
  if (length >= 8) {
    const last = address + <usize>length - 8;
    for (let at = address; at < last; at += 8) hash = hashMix(hash, load<u64>(at));
    hash = hashMix(hash, load<u64>(last));
  } else {
    hash = hashMix(hash, shortWord(address, length));
  }
  return hashFinish(hash);
}

/** The bytes of a text shorter than 8 as one number, injective for a given length. */
// @ts-ignore: decorator
@inline
export function shortWord(address: usize, length: u32): u64 {
  if (length >= 4) return ((<u64>load<u32>(address)) << 32) | <u64>load<u32>(address + <usize>length - 4);
  if (length == 0) return 0;
  return (
    <u64>load<u8>(address) |
    ((<u64>load<u8>(address + <usize>(length >> 1))) << 8) |
    ((<u64>load<u8>(address + <usize>length - 1)) << 16)
  );
}

/** Whether two texts of the same length are equal. */
// @ts-ignore: decorator
@inline
export function bytesEqual(a: usize, b: usize, length: u32): bool {
  if (length >= 8) {
    const last: usize = <usize>length - 8;
    for (let at: usize = 0; at < last; at += 8) {
      if (load<u64>(a + at) != load<u64>(b + at)) return false;
    }
    return load<u64>(a + last) == load<u64>(b + last);
  }
  return shortWord(a, length) == shortWord(b, length);
}

/** Order of two texts by bytes (which is by code point for UTF-8): negative, 0 or positive. */
export function bytesCompare(a: usize, lengthA: u32, b: usize, lengthB: u32): i32 {
  const shared: usize = min<u32>(lengthA, lengthB);
  let at: usize = 0;
  while (at + 8 <= shared && load<u64>(a + at) == load<u64>(b + at)) at += 8;
  for (; at < shared; at++) {
    const difference = <i32>load<u8>(a + at) - <i32>load<u8>(b + at);
    if (difference != 0) return difference;
  }
  return lengthA < lengthB ? -1 : <i32>(lengthA > lengthB);
}
