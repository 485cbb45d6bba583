// Adding integers of one byte by keys of one byte: what copies of loaded columns are read for (abi/layout.ts, Column.NARROW).
//
// What is added to a place waits for what was added there just before. So by one key rows go to four tables in turn, which are
// added up in the end: 0.48 of the time where rows have one key or two, 0.82 by 10 keys, and no more by 100. By two keys a loop
// of its own for few pairs took 0.82 by four of them, and was not kept: it is code that hardly any input meets.
//
// By one key there are 256 places whatever the keys: they are words of 64 bits, of which the upper half counts the rows and
// the lower adds the values. So nobody need look at the keys before, and what a vector adds is known apart from the groups
// until it is known that they have all of its keys. One byte at a time comes to fewer instructions than places computed as vectors
// do (lane-rows.ts).
//
// By two keys, which are known, words of 32 bits hold a push where they are few for that: 10,000 of them fit the first-level
// cache, where the sums' own lanes do not. Their numbers are computed as vectors, some rows at a time, and read again: one loop
// over all takes 1.4 times as long (in C, too; with it words are hardly faster than lanes). Addresses instead of numbers: no faster.

/** Tables of the places of one key that rows go to in turn, and bytes of each. */
const TABLES: usize = 4;
const TABLE: usize = 2048;
/** Bytes of the places of one key. Values of a push, 65,536 of them at most, come to less than 32 bits. */
export const PLACES_BYTES: usize = TABLES * TABLE;

const ONE: u64 = 1 << 32;

/** Counts rows, and adds their values, in places that are zero before. */
export function addBytes(places: usize, keys: usize, values: usize, rows: u32): void {
  addEach<u8, u64>(places, keys, values, rows);
  for (let at = places; at < places + TABLE; at += 16) {
    const near = i64x2.add(v128.load(at), v128.load(at + TABLE));
    const far = i64x2.add(v128.load(at + 2 * TABLE), v128.load(at + 3 * TABLE));
    v128.store(at, i64x2.add(near, far));
  }
}

/** Adds values to words of 32 bits with these numbers (u16 each). */
export function addByNumbers16(words: usize, numbers: usize, values: usize, rows: u32): void {
  addEach<u16, u32>(words, numbers, values, rows);
}

/** `K` is the type of keys or numbers, `W` that of words: those of 64 bits count rows, too, and lie in tables. */
function addEach<K, W>(words: usize, keys: usize, values: usize, rows: u32): void {
  const apart: usize = sizeof<W>() == 8 ? TABLE : 0;
  const end = values + <usize>rows;
  for (const whole = values + <usize>(rows & ~7); values < whole; values += 8) {
    addWord<W>(words, load<K>(keys), load<u8>(values));
    addWord<W>(words + apart, load<K>(keys, sizeof<K>()), load<u8>(values, 1));
    addWord<W>(words + 2 * apart, load<K>(keys, 2 * sizeof<K>()), load<u8>(values, 2));
    addWord<W>(words + 3 * apart, load<K>(keys, 3 * sizeof<K>()), load<u8>(values, 3));
    addWord<W>(words, load<K>(keys, 4 * sizeof<K>()), load<u8>(values, 4));
    addWord<W>(words + apart, load<K>(keys, 5 * sizeof<K>()), load<u8>(values, 5));
    addWord<W>(words + 2 * apart, load<K>(keys, 6 * sizeof<K>()), load<u8>(values, 6));
    addWord<W>(words + 3 * apart, load<K>(keys, 7 * sizeof<K>()), load<u8>(values, 7));
    keys += 8 * sizeof<K>();
  }
  for (; values < end; values++) {
    addWord<W>(words, load<K>(keys), load<u8>(values));
    keys += sizeof<K>();
  }
}

// @ts-ignore: decorator
@inline
function addWord<W>(words: usize, number: u32, value: u32): void {
  const word = words + ((<usize>number) << (sizeof<W>() == 8 ? 3 : 2));
  store<W>(word, load<W>(word) + (sizeof<W>() == 8 ? <W>(ONE | <u64>value) : <W>value));
}

// @ts-ignore: decorator
@inline
export function placeRows(places: usize, key: u32): u32 {
  return load<u32>(places + ((<usize>key) << 3), 4);
}

// @ts-ignore: decorator
@inline
export function placeSum(places: usize, key: u32): u32 {
  return load<u32>(places + ((<usize>key) << 3));
}

/** Adds values by two keys, of which the second's values are `stride` lanes apart; those of keys 0 at `lanes`. */
export function addBytesByTwo(lanes: usize, keys: usize, others: usize, stride: u32, values: usize, rows: u32): void {
  for (const end = keys + <usize>rows; keys < end; keys++) {
    const at = lanes + (<usize>(load<u8>(keys) + load<u8>(others++) * stride) << 3);
    store<u64>(at, load<u64>(at) + <u64>load<u8>(values++));
  }
}

/** Numbers of 16 bits that two keys come to, of which the second's values are `stride` apart; `first` is taken from each. */
export function numbersOfTwo(keys: usize, others: usize, stride: u32, first: u32, rows: u32, numbers: usize): void {
  const strides = i16x8.splat(<i16>stride);
  const firsts = i16x8.splat(<i16>first);
  const end = keys + <usize>rows;
  for (const whole = end - 8; keys <= whole; keys += 8) {
    const codes = i16x8.add(v128.load_ext<u8>(keys), i16x8.mul(v128.load_ext<u8>(others), strides));
    v128.store(numbers, i16x8.sub(codes, firsts));
    others += 8;
    numbers += 16;
  }
  for (; keys < end; keys++) {
    store<u16>(numbers, <u16>(load<u8>(keys) + load<u8>(others++) * stride - first));
    numbers += 2;
  }
}

/** Adds words of 32 bits to lanes of 64. */
export function addWords(lanes: usize, words: usize, count: u32): void {
  const end = words + ((<usize>count) << 2);
  for (const whole = end - 8; words <= whole; words += 8) {
    v128.store(lanes, i64x2.add(v128.load(lanes), v128.load32x2_u(words)));
    lanes += 16;
  }
  if (words < end) store<u64>(lanes, load<u64>(lanes) + <u64>load<u32>(words));
}
