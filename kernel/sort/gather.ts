// Rows on their way out: each column fetched once, by row number, into a builder.
//
// A block of row numbers is taken through all columns before the next, so the numbers stay in the cache. Null
// rows hold zeros in the store, so values are fetched without asking.

import { Type } from "../abi/layout";
import { Builder, builderSetBit, builderSetNull, copyBytes } from "../column/builder";
import { StoreColumn, storeIsValid, storeValue } from "./row-store";

/** Rows of a block. */
export const GATHER_ROWS: u32 = 8192;

/**
 * Appends `count` rows of a column, whose numbers are the low bits (`mask`) of the u64 at `words`, to a builder
 * with room for them and their texts.
 */
export function gatherColumn(column: StoreColumn, words: usize, mask: u64, count: u32, builder: Builder): void {
  if (column.nulls != 0) gatherNulls(column, words, mask, count, builder);
  const start: usize = builder.length;
  switch (column.type) {
    case Type.BOOL:
      gatherBits(column, words, mask, count, builder);
      break;
    case Type.BYTES:
      gatherTexts(column, words, mask, count, builder);
      break;
    case Type.I128:
      gatherWide(column, words, mask, count, builder.values + (start << 4));
      break;
    default:
      gatherFixed(column, words, mask, count, builder.values + start * <usize>column.width);
  }
  builder.length += count;
}

function gatherNulls(column: StoreColumn, words: usize, mask: u64, count: u32, builder: Builder): void {
  for (let at: u32 = 0; at < count; at++) {
    const row = <u32>(load<u64>(words + ((<usize>at) << 3)) & mask);
    if (!storeIsValid(column, row)) builderSetNull(builder, builder.length + at);
  }
}

function gatherFixed(column: StoreColumn, words: usize, mask: u64, count: u32, target: usize): void {
  switch (column.width) {
    case 1:
      gather<u8>(column, words, mask, count, target);
      break;
    case 2:
      gather<u16>(column, words, mask, count, target);
      break;
    case 4:
      gather<u32>(column, words, mask, count, target);
      break;
    default:
      gather<u64>(column, words, mask, count, target);
  }
}

function gather<T>(column: StoreColumn, words: usize, mask: u64, count: u32, target: usize): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    store<T>(target, load<T>(storeValue(column, <u32>(load<u64>(at) & mask), sizeof<T>())));
    target += sizeof<T>();
  }
}

function gatherWide(column: StoreColumn, words: usize, mask: u64, count: u32, target: usize): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const from = storeValue(column, <u32>(load<u64>(at) & mask), 16);
    store<u64>(target, load<u64>(from));
    store<u64>(target, load<u64>(from, 8), 8);
    target += 16;
  }
}

function gatherBits(column: StoreColumn, words: usize, mask: u64, count: u32, builder: Builder): void {
  for (let at: u32 = 0; at < count; at++) {
    const row = <u32>(load<u64>(words + ((<usize>at) << 3)) & mask);
    builderSetBit(builder, builder.length + at, load<u8>(storeValue(column, row, 1)));
  }
}

function gatherTexts(column: StoreColumn, words: usize, mask: u64, count: u32, builder: Builder): void {
  let offset = builder.offsets + ((<usize>builder.length) << 2);
  let bytes = builder.bytes;
  for (let at: u32 = 0; at < count; at++) {
    const view = storeValue(column, <u32>(load<u64>(words + ((<usize>at) << 3)) & mask), 8);
    const length = load<u32>(view, 4);
    copyBytes(builder.values + <usize>bytes, load<u32>(view), length);
    bytes += length;
    offset += 4;
    store<u32>(offset, bytes);
  }
  builder.bytes = bytes;
}
