// Key columns: each group key brought to a fixed-width form in which equal means bit-equal.
//
// Texts become interned ids, booleans and narrow integers widen to 4 bytes, floats lose the two
// ambiguities of their bits (-0 becomes +0, every NaN becomes 0x7ff8000000000000), fixed-width
// dictionaries are resolved. What is already in that form is used in place, without a copy.

import { Type } from "../abi/layout";
import { Vector } from "../column/vector";
import { widenShort } from "../column/widen";
import { typeWidth } from "../column/type";
import { Interner, internCodes, internViews, internerHasWhole, internerUseDictionary } from "./interner";

// @ts-ignore: decorator
@unmanaged
export class KeyColumn {
  /** `Type` of the key in results. */
  type: u32;
  /** Bytes of the normal form: 4, 8 or 16. */
  width: u32;
  /** Byte offset in a packed row. */
  offset: u32;
  /** Output of the program that holds the key. */
  output: u32;
  /** Interner of BYTES keys, else 0. */
  interner: usize;
  /** VECTOR_ROWS x `width` bytes for keys that need a copy. */
  buffer: usize;
  /** The vector at hand, in normal form. */
  values: usize;
  validity: usize;
  /** Direct tier: smallest and largest value so far. */
  low: i64;
  high: i64;
  /** Direct tier: the same with the vector at hand, which may turn out not to fit. */
  nextLow: i64;
  nextHigh: i64;
  /** Direct tier: slots (a power of two) less one, and the distance between two codes. */
  mask: u32;
  stride: u32;
  /** What all values are multiples of, or multiples apart; 0 where nothing is known. */
  step: i64;
  /** Direct tier: codes of the vector at hand (u32 each) where they count steps from `base` on; else 0 (stepped.ts). */
  base: i64;
  /** Rows of such a key so far. */
  seen: u64;
  codes: usize;
  /** BYTES keys of results that leave as codes: their dictionary, 0 while there is none, and how many texts it has. */
  dictionary: usize;
  dictionaryLength: u32;
  /** Rows of results that were known of when it was last made, or memory was short for it. */
  dictionaryRows: u32;
}

export const KEY_COLUMN_SIZE: usize = 112;

export function keyWidth(type: u32): u32 {
  if (type == <u32>Type.BYTES || type == <u32>Type.BOOL) return 4;
  return max<u32>(4, <u32>typeWidth(type));
}

/** Brings the first `rows` rows of `vector` to normal form; false when out of memory. */
export function keyLoad(key: KeyColumn, vector: Vector, rows: u32): bool {
  key.validity = vector.validity;
  if (key.interner != 0) return internVector(key, vector, rows);
  const values = vector.values;
  key.values = key.buffer;
  switch (key.type) {
    case Type.BOOL:
      loadBits(values, rows, key.buffer);
      break;
    case Type.I8:
    case Type.U8:
    case Type.I16:
    case Type.U16:
      widenShort(key.type, values, rows, key.buffer);
      break;
    case Type.F32:
      loadFloat32(values, rows, key.buffer);
      break;
    case Type.F64:
      loadFloat64(values, rows, key.buffer);
      break;
    default:
      key.values = values;
  }
  return true;
}

/** Whether a vector of a key that is a text has codes of a dictionary all of whose texts are known, and within the range so far. */
export function keyKnowsCodes(key: KeyColumn, codes: Vector): bool {
  if (key.interner == 0 || codes.dictionary == 0) return false;
  const isWhole = internerHasWhole(key.interner, codes.dictionary, codes.dictionaryId);
  return isWhole && <i64>changetype<Interner>(key.interner).count - 1 <= key.high;
}

// Source and target may be the same buffer: elements grow, so these walk backwards.

function loadBits(values: usize, rows: u32, buffer: usize): void {
  for (let row: i32 = <i32>rows - 1; row >= 0; row--) {
    store<u32>(buffer + ((<usize>row) << 2), (load<u8>(values + <usize>(row >> 3)) >> <u8>(row & 7)) & 1);
  }
}

function loadFloat32(values: usize, rows: u32, buffer: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    const value = load<f32>(values + ((<usize>row) << 2));
    const bits: u32 = value != value ? 0x7fc00000 : value == 0 ? 0 : reinterpret<u32>(value);
    store<u32>(buffer + ((<usize>row) << 2), bits);
  }
}

function loadFloat64(values: usize, rows: u32, buffer: usize): void {
  for (let row: u32 = 0; row < rows; row++) {
    const value = load<f64>(values + ((<usize>row) << 3));
    const bits: u64 = value != value ? 0x7ff8000000000000 : value == 0 ? 0 : reinterpret<u64>(value);
    store<u64>(buffer + ((<usize>row) << 3), bits);
  }
}

function internVector(key: KeyColumn, vector: Vector, rows: u32): bool {
  const interner = key.interner;
  key.values = key.buffer;
  if (vector.dictionary == 0) return internViews(interner, vector.values, vector.validity, rows, key.buffer);
  if (!internerUseDictionary(interner, vector.dictionary, vector.dictionaryId, rows)) return false;
  if (changetype<Interner>(interner).identity != 0) {
    key.values = vector.values;
    return true;
  }
  return internCodes(interner, vector.dictionary, vector.values, vector.validity, rows, key.buffer);
}
