// Dictionaries that a join owns, so that texts can leave it as codes (KEEP_CODES).
//
// A result that stays in kernel memory outlives the batches that it came from, so it must not refer to their
// dictionaries: those are copied. A copy costs as much as the dictionary is long, whatever few rows use it, so rows
// have to come first: until there are half as many as it has values, and for good where each batch brings another
// one, texts leave as they are.
//
//   copy:  descriptor (a BYTES column)   i32 offsets   bytes

import { Column, ColumnFlag, Type } from "../abi/layout";
import { dictionaryAddress, dictionaryLength } from "../column/dictionary";
import { Interner, internedAddress, internedLength } from "../group/interner";
import { copyBytes } from "../memory/copy";
import { regionBlock } from "../memory/region";

const ALL_BYTES: u64 = 0x7fffffff;

/** What is known of the dictionaries that one result column's batches have. */
// @ts-ignore: decorator
@unmanaged
export class Codes {
  /** DICTIONARY_ID and length of the one that was copied last, and its copy; 0 where none was. */
  id: u32;
  length: u32;
  copy: usize;
  /** Rows that have come since. */
  rows: u32;
}

export const CODES_SIZE: usize = 16;

/**
 * The copy of a batch's dictionary (as programs bind it) for `rows` more rows; 0 where it is not worth it, or memory
 * is short: then texts leave.
 */
export function codesCopy(self: Codes, region: usize, dictionary: usize, id: u32, rows: u32): usize {
  const length = load<u32>(dictionary, <usize>Column.LENGTH);
  self.rows = min<u32>(self.rows, 0x7fffffff) + rows;
  if (id == 0) return 0;
  // It may have grown at its end since, or be an earlier state of what is known.
  if (self.copy != 0 && self.id == id && length <= self.length) return self.copy;
  if (<u64>length > <u64>self.rows << 1) return 0;
  let bytes: u64 = 0;
  for (let code: u32 = 0; code < length; code++) bytes += dictionaryLength(dictionary, code);
  const copy = allocate(region, length, bytes);
  if (copy == 0) return 0;
  const offsets: usize = load<u32>(copy, <usize>Column.OFFSETS);
  const values: usize = load<u32>(copy, <usize>Column.VALUES);
  let at: u32 = 0;
  for (let code: u32 = 0; code < length; code++) {
    const size = dictionaryLength(dictionary, code);
    store<u32>(offsets + ((<usize>code) << 2), at);
    copyBytes(values + <usize>at, dictionaryAddress(dictionary, code), size);
    at += size;
  }
  store<u32>(offsets + ((<usize>length) << 2), at);
  self.id = id;
  self.length = length;
  self.copy = copy;
  self.rows = 0;
  return copy;
}

/** An interner's texts as a dictionary whose codes are their ids; 0 where memory is short. */
export function codesOfInterner(region: usize, interner: usize): usize {
  const count = changetype<Interner>(interner).count;
  const copy = allocate(region, count, changetype<Interner>(interner).bytes);
  if (copy == 0) return 0;
  const offsets: usize = load<u32>(copy, <usize>Column.OFFSETS);
  const values: usize = load<u32>(copy, <usize>Column.VALUES);
  let at: u32 = 0;
  for (let id: u32 = 0; id < count; id++) {
    const size = internedLength(interner, id);
    store<u32>(offsets + ((<usize>id) << 2), at);
    copyBytes(values + <usize>at, internedAddress(interner, id), size);
    at += size;
  }
  store<u32>(offsets + ((<usize>count) << 2), at);
  return copy;
}

/** A descriptor with room for its values; 0 when out of memory, or past 2 GiB. */
function allocate(region: usize, length: u32, bytes: u64): usize {
  const offsetBytes = (<u64>length + 1) << 2;
  if (bytes > ALL_BYTES || offsetBytes > ALL_BYTES) return 0; // unreached: 2 GiB of texts
  const copy = regionBlock(region, <usize>Column.SIZE + <usize>offsetBytes + <usize>bytes);
  if (copy == 0) return 0;
  const offsets = copy + <usize>Column.SIZE;
  memory.fill(copy, 0, <usize>Column.SIZE);
  store<u32>(copy, <u32>Type.BYTES, <usize>Column.TYPE);
  store<u32>(copy, <u32>ColumnFlag.TRUSTED, <usize>Column.FLAGS);
  store<u32>(copy, length, <usize>Column.LENGTH);
  store<u32>(copy, <u32>(offsets + <usize>offsetBytes), <usize>Column.VALUES);
  store<u32>(copy, <u32>bytes, <usize>Column.VALUES_BYTES);
  store<u32>(copy, <u32>offsets, <usize>Column.OFFSETS);
  store<u32>(copy, <u32>offsetBytes, <usize>Column.OFFSETS_BYTES);
  return copy;
}
