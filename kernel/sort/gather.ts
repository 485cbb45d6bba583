// Rows on their way out: each column fetched once, by row number, into a builder.
//
// A block of row numbers is taken through all columns before the next, so the numbers stay in the cache. Null
// rows hold zeros in the store, so values are fetched without asking. Of texts the views are fetched first, which
// says how many bytes they take, then the bytes.

import { Type } from "../abi/layout";
import { Builder, builderReserveBytes, builderSetBit, builderSetNull, copyBytes } from "../column/builder";
import { scratchMark, scratchReset, scratchTake } from "../memory/context";
import { copyRun } from "../memory/copy";
import { CHUNK_MASK, CHUNK_ROWS, StoreColumn, storeIsValid, storeValue } from "./row-store";

/** Rows of a block. */
export const GATHER_ROWS: u32 = 8192;

/**
 * Appends at most GATHER_ROWS rows of a column, whose numbers, counted from `first`, are the low bits (`mask`) of the
 * u64 at `words`, to a
 * builder with room for them; `consecutive`: each number is that of the row before plus 1. False when there is no room for their texts.
 */
export function gatherColumn(
  context: usize,
  region: usize,
  column: StoreColumn,
  words: usize,
  mask: u64,
  first: u32,
  count: u32,
  builder: Builder,
  consecutive: bool,
): bool {
  if (column.nulls != 0) gatherNulls(column, words, mask, first, count, builder);
  const start: usize = builder.length;
  switch (column.type) {
    case Type.BOOL:
      gatherBits(column, words, mask, first, count, builder);
      break;
    case Type.BYTES:
      if (!gatherTexts(context, region, column, words, mask, first, count, builder)) return false;
      break;
    case Type.I128:
      gatherWide(column, words, mask, first, count, builder.values + (start << 4));
      break;
    default:
      if (consecutive) {
        copyRows(column, first + <u32>(load<u64>(words) & mask), count, builder.values + start * <usize>column.width);
      } else gatherFixed(column, words, mask, first, count, builder.values + start * <usize>column.width);
  }
  builder.length += count;
  return true;
}

/** Rows [row, row + count), which lie next to each other but for the ends of chunks. */
function copyRows(column: StoreColumn, row: u32, count: u32, target: usize): void {
  const width: usize = column.width;
  while (count != 0) {
    const some = min(count, CHUNK_ROWS - (row & CHUNK_MASK));
    copyRun(target, storeValue(column, row, width), <usize>some * width);
    target += <usize>some * width;
    row += some;
    count -= some;
  }
}

function gatherNulls(column: StoreColumn, words: usize, mask: u64, first: u32, count: u32, builder: Builder): void {
  for (let at: u32 = 0; at < count; at++) {
    const row = first + <u32>(load<u64>(words + ((<usize>at) << 3)) & mask);
    if (!storeIsValid(column, row)) builderSetNull(builder, builder.length + at);
  }
}

function gatherFixed(column: StoreColumn, words: usize, mask: u64, first: u32, count: u32, target: usize): void {
  switch (column.width) {
    case 1:
      gather<u8>(column, words, mask, first, count, target);
      break;
    case 2:
      gather<u16>(column, words, mask, first, count, target);
      break;
    case 4:
      gather<u32>(column, words, mask, first, count, target);
      break;
    default:
      gather<u64>(column, words, mask, first, count, target);
  }
}

function gather<T>(column: StoreColumn, words: usize, mask: u64, first: u32, count: u32, target: usize): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    store<T>(target, load<T>(storeValue(column, first + <u32>(load<u64>(at) & mask), sizeof<T>())));
    target += sizeof<T>();
  }
}

function gatherWide(column: StoreColumn, words: usize, mask: u64, first: u32, count: u32, target: usize): void {
  const end = words + ((<usize>count) << 3);
  for (let at = words; at < end; at += 8) {
    const from = storeValue(column, first + <u32>(load<u64>(at) & mask), 16);
    store<u64>(target, load<u64>(from));
    store<u64>(target, load<u64>(from, 8), 8);
    target += 16;
  }
}

function gatherBits(column: StoreColumn, words: usize, mask: u64, first: u32, count: u32, builder: Builder): void {
  for (let at: u32 = 0; at < count; at++) {
    const row = first + <u32>(load<u64>(words + ((<usize>at) << 3)) & mask);
    builderSetBit(builder, builder.length + at, load<u8>(storeValue(column, row, 1)));
  }
}

function gatherTexts(
  context: usize,
  region: usize,
  column: StoreColumn,
  words: usize,
  mask: u64,
  first: u32,
  count: u32,
  builder: Builder,
): bool {
  const mark = scratchMark(context);
  const views = scratchTake(context, (<usize>GATHER_ROWS) << 3);
  gather<u64>(column, words, mask, first, count, views);
  const end = views + ((<usize>count) << 3);
  let total: u64 = 0;
  for (let view = views; view < end; view += 8) total += load<u32>(view, 4);
  const room = total <= 0x7fffffff && builderReserveBytes(region, builder, <usize>total);
  if (room) copyTexts(builder, views, end);
  scratchReset(context, mark);
  return room;
}

function copyTexts(builder: Builder, views: usize, end: usize): void {
  const base = builder.values;
  let to = base + <usize>builder.bytes;
  let offset = builder.offsets + ((<usize>builder.length) << 2);
  for (let view = views; view < end; view += 8) {
    const length = load<u32>(view, 4);
    copyBytes(to, load<u32>(view), length);
    to += length;
    offset += 4;
    store<u32>(offset, <u32>(to - base));
  }
  builder.bytes = <u32>(to - base);
}
