// Dictionaries that a join owns, so that texts can leave it as codes (KEEP_CODES).
//
// A result that stays in kernel memory outlives the batches that it came from, so it must not refer to their
// dictionaries: those are copied. A copy costs as much as the dictionary is long, whatever few rows use it, so rows
// have to come first: until there are half as many as it has values, and for good where each batch brings another
// one, texts leave as they are.
//
// Such results leave kernel memory as texts all the same. These are written to scratch, which is always there, a stretch of
// rows at a time, and the host copies them from the cache: a quarter of the time that its own loops over bytes take.

import { Column, Spelled } from "../abi/layout";
import { bitmapGet } from "../column/bitmap";
import { dictionaryAddress, dictionaryLength } from "../column/dictionary";
import { dictionaryAllocate } from "../group/codes";
import { contextEnter, scratchTake } from "../memory/context";
import { copyBytes } from "../memory/copy";
import { TEXT_SLACK, copyText } from "./gather";
import { wordLimit } from "./store";

/** What is spelled at once: so much that the host's call is nothing, and so little that it stays in the cache. */
const SPELLED_ROWS: u32 = 8192;
const SPELLED_BYTES: u32 = 1 << 17;

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
  const copy = dictionaryAllocate(region, length, bytes);
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

/** Bytes of the texts of `rows` codes (u32), without those that are null by `validity`, from its bit `first` on. */
export function codesBytes(dictionary: usize, codes: usize, rows: u32, validity: usize, first: u32): u64 {
  const offsets: usize = load<u32>(dictionary, <usize>Column.OFFSETS);
  const known = load<u32>(dictionary, <usize>Column.LENGTH);
  let bytes: u64 = 0;
  for (let row: u32 = 0; row < rows; row++) {
    const code = load<u32>(codes + ((<usize>row) << 2));
    if (code < known && (validity == 0 || bitmapGet(validity, first + row))) {
      const pair = load<u64>(offsets + ((<usize>code) << 2));
      bytes += <u64>(<u32>(pair >> 32) - <u32>pair);
    }
  }
  return bytes;
}

/**
 * The texts of up to `rows` codes (u32), and where each ends when the first one begins at `before`, as `Spelled` says. Ends
 * early where their room does. Rows that are null by `validity`, from its bit `first` on, have none.
 */
export function codesSpell(
  context: usize,
  dictionary: usize,
  codes: usize,
  rows: u32,
  validity: usize,
  first: u32,
  before: u32,
): usize {
  contextEnter(context);
  const spelled = scratchTake(context, <usize>Spelled.SIZE + TEXT_SLACK);
  const offsets: usize = load<u32>(dictionary, <usize>Column.OFFSETS);
  const values: usize = load<u32>(dictionary, <usize>Column.VALUES);
  const known = load<u32>(dictionary, <usize>Column.LENGTH);
  const most = min<u32>(rows, SPELLED_ROWS);
  const texts = spelled + <usize>Spelled.TEXTS;
  const limit = wordLimit();
  let slot = spelled + <usize>Spelled.ENDS;
  let bytes: u32 = 0;
  let row: u32 = 0;
  for (; row < most; row++) {
    const code = load<u32>(codes + ((<usize>row) << 2));
    if (code < known && (validity == 0 || bitmapGet(validity, first + row))) {
      const pair = load<u64>(offsets + ((<usize>code) << 2));
      const start = <u32>pair;
      const length = <u32>(pair >> 32) - start;
      if (length > SPELLED_BYTES - bytes) break;
      copyText(texts + <usize>bytes, values + <usize>start, length, limit);
      bytes += length;
    }
    store<u32>(slot, before + bytes);
    slot += 4;
  }
  store<u32>(spelled, row);
  return spelled;
}
