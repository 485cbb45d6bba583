// Rows kept by number until the input ends: each column in chunks of 65,536 rows that never move.
//
// A row is found by its number (chunk = number >> 16), values lie naturally aligned, one after the other.
// Booleans take a byte. Texts are views (u32 address, u32 length) of bytes in an arena, so that a row's text
// is one load away and no column is bound to 2 GiB. Null rows hold zeros. Validity is a bitmap a chunk.
//
// Room is reserved before rows are appended; appending cannot fail. The first chunk grows by doubling, so
// that small inputs stay small; all others are whole from the start, so nothing is copied twice.

import { Type } from "../abi/layout";
import { bitmapGet, bitmapTail } from "../column/bitmap";
import { vectorBytes, vectorIsValid, copyBytes, regrow } from "../column/builder";
import { textAddressAt, textLengthAt } from "../column/text";
import { typeWidth } from "../column/type";
import { Vector } from "../column/vector";
import { ARENA_SIZE, Arena, arenaClear, arenaInit, arenaReserve, arenaTake } from "../memory/arena";
import { copyRun } from "../memory/copy";
import { regionBlock, regionCut, regionFree } from "../memory/region";

export const CHUNK_SHIFT: u32 = 16;
export const CHUNK_ROWS: u32 = 65536;
export const CHUNK_MASK: u32 = 65535;
/** Rows of the first chunk at least. */
const FIRST_ROWS: u32 = 1024;
const MAX_ROWS: u64 = 0xffffff00;

// @ts-ignore: decorator
@unmanaged
export class RowStore {
  region: usize;
  columns: usize;
  columnCount: u32;
  rows: u32;
  /** Chunks that are allocated, and rows that the last of them can hold. */
  chunks: u32;
  lastRows: u32;
  /** Chunks that the columns' tables of addresses can hold. */
  tableRows: u32;
  arena: usize;
  /** u32 addresses of the chunks that the next column moves to, and of its bitmaps; 0 when nothing moves. */
  spareValues: usize;
  spareValidity: usize;
}

const ROW_STORE_SIZE: usize = 40;

// @ts-ignore: decorator
@unmanaged
export class StoreColumn {
  type: u32;
  /** Bytes a row. */
  width: u32;
  nulls: u32;
  /** u32 address of each chunk's values, and of its bitmap. */
  values: usize;
  validity: usize;
  reserved: u32;
  /** Texts: bytes of all rows. */
  bytes: u64;
}

export const STORE_COLUMN_SIZE: usize = 32;

/** An empty store of `count` columns, whose types `storeColumnInit` sets; 0 when out of memory. */
export function storeCreate(region: usize, count: u32): usize {
  const address = regionCut(region, ROW_STORE_SIZE);
  const columns = regionCut(region, max<usize>(<usize>count, 1) * STORE_COLUMN_SIZE);
  const arena = regionCut(region, ARENA_SIZE);
  if (address == 0 || columns == 0 || arena == 0) return 0;
  const self = changetype<RowStore>(address);
  self.region = region;
  self.columns = columns;
  self.columnCount = count;
  self.arena = arena;
  arenaInit(changetype<Arena>(arena), region);
  return address;
}

// @ts-ignore: decorator
@inline
export function storeColumn(kept: RowStore, column: u32): StoreColumn {
  return changetype<StoreColumn>(kept.columns + <usize>column * STORE_COLUMN_SIZE);
}

export function storeColumnInit(kept: RowStore, index: u32, type: u32): void {
  const column = storeColumn(kept, index);
  column.type = type;
  column.width = type == <u32>Type.BYTES ? 8 : type == <u32>Type.BOOL ? 1 : <u32>typeWidth(type);
}

/** Address of the value of row `row`, `width` bytes wide. */
// @ts-ignore: decorator
@inline
export function storeValue(column: StoreColumn, row: u32, width: usize): usize {
  return (
    <usize>load<u32>(column.values + ((<usize>(row >> CHUNK_SHIFT)) << 2)) + <usize>(row & CHUNK_MASK) * width
  );
}

// @ts-ignore: decorator
@inline
export function storeIsValid(column: StoreColumn, row: u32): bool {
  return column.nulls == 0 || bitmapGet(storeBitmap(column, row), row & CHUNK_MASK) != 0;
}

/** The bitmap of the chunk that holds `row`. */
// @ts-ignore: decorator
@inline
export function storeBitmap(column: StoreColumn, row: u32): usize {
  return load<u32>(column.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
}

/** Room for `rows` more rows with `bytes` more bytes of texts; false (and nothing lost) when out of memory. */
export function storeReserve(kept: RowStore, rows: u32, bytes: u64): bool {
  const need: u64 = <u64>kept.rows + <u64>rows;
  if (need > MAX_ROWS || bytes > 0x7fffff00) return false; // unreached: needs 2^31 rows, or 2 GiB of texts in a push
  if (kept.chunks == 1 && kept.lastRows < CHUNK_ROWS && need > <u64>kept.lastRows) {
    if (!growFirst(kept, <u32>min<u64>(CHUNK_ROWS, max<u64>(need, <u64>kept.lastRows << 1)))) return false;
  }
  while (capacity(kept) < need) if (!addChunk(kept, need)) return false;
  if (bytes == 0) return true;
  return arenaReserve(changetype<Arena>(kept.arena), <usize>bytes);
}

function capacity(kept: RowStore): u64 {
  return kept.chunks == 0 ? 0 : (<u64>(kept.chunks - 1) << CHUNK_SHIFT) + <u64>kept.lastRows;
}

function growFirst(kept: RowStore, rows: u32): bool {
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    const values = regrow(
      kept.region,
      load<u32>(column.values),
      <usize>kept.rows * column.width,
      <usize>rows * column.width,
    );
    if (values == 0) return false;
    store<u32>(column.values, <u32>values);
  }
  kept.lastRows = rows;
  return true;
}

function addChunk(kept: RowStore, need: u64): bool {
  const chunk = kept.chunks;
  if (chunk == kept.tableRows && !growTables(kept)) return false;
  const rows = chunk == 0 ? <u32>min<u64>(CHUNK_ROWS, max<u64>(need, FIRST_ROWS)) : CHUNK_ROWS;
  const at: usize = (<usize>chunk) << 2;
  let made = true;
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    const values = made ? regionBlock(kept.region, <usize>rows * column.width) : 0;
    const bitmap = values != 0 ? regionBlock(kept.region, CHUNK_ROWS >> 3) : 0;
    store<u32>(column.values + at, <u32>values);
    store<u32>(column.validity + at, <u32>bitmap);
    made = bitmap != 0;
    if (made) memory.fill(bitmap, 0xff, CHUNK_ROWS >> 3);
  }
  if (made) {
    kept.chunks = chunk + 1;
    kept.lastRows = rows;
    return true;
  }
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    regionFree(kept.region, load<u32>(column.values + at));
    regionFree(kept.region, load<u32>(column.validity + at));
  }
  return false;
}

function growTables(kept: RowStore): bool {
  const rows = max<u32>(16, kept.tableRows << 1);
  const used: usize = (<usize>kept.tableRows) << 2;
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    const values = regrow(kept.region, column.values, used, (<usize>rows) << 2);
    if (values == 0) return false;
    column.values = values;
    const validity = regrow(kept.region, column.validity, used, (<usize>rows) << 2);
    if (validity == 0) return false;
    column.validity = validity;
  }
  kept.tableRows = rows;
  return true;
}

/** Appends the first `rows` rows of one vector to column `index`. Every column, then `storeAdvance`. */
export function storeAppend(kept: RowStore, index: u32, vector: Vector, rows: u32): void {
  const first = min<u32>(rows, CHUNK_ROWS - (kept.rows & CHUNK_MASK));
  if (vector.type == <u32>Type.BYTES) appendTexts(kept, index, vector, rows);
  else {
    appendValues(kept, index, vector, 0, first, kept.rows);
    if (first < rows) appendValues(kept, index, vector, first, rows - first, kept.rows + first);
  }
  if (vector.validity != 0) appendNulls(kept, index, vector, rows);
}

// @ts-ignore: decorator
@inline
export function storeAdvance(kept: RowStore, rows: u32): void {
  kept.rows += rows;
}

/** Rows [from, from + count) of the vector to the chunk that holds row `row`. */
function appendValues(kept: RowStore, index: u32, vector: Vector, from: u32, count: u32, row: u32): void {
  const column = storeColumn(kept, index);
  const width: usize = column.width;
  const target = storeValue(column, row, width);
  if (column.type != <u32>Type.BOOL) {
    copyRun(target, vector.values + <usize>from * width, <usize>count * width);
    return;
  }
  for (let at: u32 = 0; at < count; at++) {
    store<u8>(target + <usize>at, <u8>bitmapGet(vector.values, from + at));
  }
}

function appendTexts(kept: RowStore, index: u32, vector: Vector, rows: u32): void {
  const column = storeColumn(kept, index);
  const bytes = vectorBytes(vector, rows);
  let to = arenaTake(changetype<Arena>(kept.arena), bytes);
  column.bytes += bytes;
  for (let row: u32 = 0; row < rows; row++) {
    const target = storeValue(column, kept.rows + row, 8);
    if (!vectorIsValid(vector, row)) continue;
    const length = textLengthAt(vector, row);
    copyBytes(to, textAddressAt(vector, row), length);
    store<u64>(target, <u64>(<u32>to) | (<u64>length << 32));
    to += <usize>length;
  }
}

/** Appends the `count` rows of one vector whose u16 numbers stand at `rows`. Every column, then `storeAdvance`. */
export function storeAppendSome(kept: RowStore, index: u32, vector: Vector, rows: usize, count: u32): void {
  const column = storeColumn(kept, index);
  const width: usize = column.width;
  for (let at: u32 = 0; at < count; at++) {
    const row = <u32>load<u16>(rows + ((<usize>at) << 1));
    const target = storeValue(column, kept.rows + at, width);
    if (!vectorIsValid(vector, row)) {
      column.nulls++;
      storeSetNull(column, kept.rows + at, width);
    } else if (column.type == <u32>Type.BOOL) store<u8>(target, <u8>bitmapGet(vector.values, row));
    else if (column.type == <u32>Type.BYTES) appendText(kept, column, vector, row, target);
    else copyBytes(target, vector.values + <usize>row * width, width);
  }
}

function appendText(kept: RowStore, column: StoreColumn, vector: Vector, row: u32, target: usize): void {
  const length = textLengthAt(vector, row);
  const text = arenaTake(changetype<Arena>(kept.arena), length);
  copyBytes(text, textAddressAt(vector, row), length);
  column.bytes += length;
  store<u64>(target, <u64>(<u32>text) | (<u64>length << 32));
}

/** Clears the bits of the vector's null rows, and zeroes their values. */
function appendNulls(kept: RowStore, index: u32, vector: Vector, rows: u32): void {
  const column = storeColumn(kept, index);
  const width: usize = column.width;
  for (let start: u32 = 0; start < rows; start += 64) {
    let nulls = ~load<u64>(vector.validity + <usize>(start >> 3)) & bitmapTail(min<u32>(64, rows - start));
    column.nulls += <u32>popcnt<u64>(nulls);
    for (; nulls != 0; nulls &= nulls - 1) {
      const row = kept.rows + start + <u32>ctz<u64>(nulls);
      storeSetNull(column, row, width);
    }
  }
}

// @ts-ignore: decorator
@inline
function storeSetNull(column: StoreColumn, row: u32, width: usize): void {
  const byte = storeBitmap(column, row) + <usize>((row & CHUNK_MASK) >> 3);
  store<u8>(byte, load<u8>(byte) & ~(<u8>1 << <u8>(row & 7)));
  memory.fill(storeValue(column, row, width), 0, width);
}

/**
 * Appends `count` rows of another store of the same columns, whose numbers, counted from `first`, are the low bits
 * (`mask`) of the u64 at `words`. Room must have been reserved.
 */
export function storeCopy(kept: RowStore, from: RowStore, words: usize, mask: u64, first: u32, count: u32): void {
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const source = storeColumn(from, index);
    const target = storeColumn(kept, index);
    for (let at: u32 = 0; at < count; at++) {
      const row = first + <u32>(load<u64>(words + ((<usize>at) << 3)) & mask);
      copyRow(kept, target, kept.rows + at, source, row);
    }
  }
  kept.rows += count;
}

function copyRow(kept: RowStore, target: StoreColumn, to: u32, source: StoreColumn, from: u32): void {
  const width: usize = source.width;
  const value = storeValue(target, to, width);
  if (!storeIsValid(source, from)) {
    target.nulls++;
    storeSetNull(target, to, width);
    return;
  }
  const old = storeValue(source, from, width);
  if (source.type != <u32>Type.BYTES) {
    copyBytes(value, old, width);
    return;
  }
  const length = load<u32>(old, 4);
  const text = arenaTake(changetype<Arena>(kept.arena), length);
  copyBytes(text, load<u32>(old), length);
  target.bytes += length;
  store<u64>(value, <u64>(<u32>text) | (<u64>length << 32));
}

/**
 * Appends rows [row, row + count) of another store of the same columns, for which there is room. Texts stay where
 * they are.
 */
export function storeAppendRows(kept: RowStore, from: RowStore, row: u32, count: u32): void {
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const source = storeColumn(from, index);
    const target = storeColumn(kept, index);
    const width: usize = source.width;
    let done: u32 = 0;
    while (done < count) {
      const here = row + done;
      const there = kept.rows + done;
      const some = min(count - done, CHUNK_ROWS - max(here & CHUNK_MASK, there & CHUNK_MASK));
      copyRun(storeValue(target, there, width), storeValue(source, here, width), <usize>some * width);
      if (source.nulls != 0) copyNulls(target, there, storeBitmap(source, here), here & CHUNK_MASK, some);
      done += some;
    }
    if (source.type == <u32>Type.BYTES) target.bytes += stretchBytes(source, row, count);
  }
  kept.rows += count;
}

/** Clears the bits of rows from `to` on whose bits from `from` on in `bitmap` are 0. */
function copyNulls(target: StoreColumn, to: u32, bitmap: usize, from: u32, count: u32): void {
  const bits = storeBitmap(target, to);
  const first = to & CHUNK_MASK;
  for (let at: u32 = 0; at < count; at++) {
    if (bitmapGet(bitmap, from + at) != 0) continue;
    target.nulls++;
    const byte = bits + <usize>((first + at) >> 3);
    store<u8>(byte, load<u8>(byte) & ~(<u8>1 << <u8>((first + at) & 7)));
  }
}

/** Bytes of the texts of rows [row, row + count). Null rows have views of no bytes. */
function stretchBytes(column: StoreColumn, row: u32, count: u32): u64 {
  let total: u64 = 0;
  for (let at: u32 = 0; at < count; at++) total += load<u32>(storeValue(column, row + at, 8), 4);
  return total;
}

/** The same of all columns. */
export function storeStretchBytes(kept: RowStore, row: u32, count: u32): u64 {
  let total: u64 = 0;
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    if (column.type == <u32>Type.BYTES) total += stretchBytes(column, row, count);
  }
  return total;
}

/** Copies the texts of the last `count` rows into the store's own memory, where there is room for them. */
export function storeAdoptTexts(kept: RowStore, count: u32): void {
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    if (column.type != <u32>Type.BYTES) continue;
    for (let row = kept.rows - count; row < kept.rows; row++) {
      const view = storeValue(column, row, 8);
      const length = load<u32>(view, 4);
      if (length == 0) continue;
      const text = arenaTake(changetype<Arena>(kept.arena), length);
      copyBytes(text, load<u32>(view), length);
      store<u32>(view, <u32>text);
    }
  }
}

/** Forgets the rows, but not the room for them; their texts lie elsewhere. */
export function storeRewind(kept: RowStore): void {
  const chunks = (kept.rows + CHUNK_MASK) >> CHUNK_SHIFT;
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    for (let chunk: u32 = 0; chunk < chunks && column.nulls != 0; chunk++) {
      memory.fill(load<u32>(column.validity + ((<usize>chunk) << 2)), 0xff, CHUNK_ROWS >> 3);
    }
    column.nulls = 0;
    column.bytes = 0;
  }
  kept.rows = 0;
}

/** Bytes of all texts. */
export function storeAllTextBytes(kept: RowStore): u64 {
  let total: u64 = 0;
  for (let index: u32 = 0; index < kept.columnCount; index++) total += storeColumn(kept, index).bytes;
  return total;
}

/** Bytes of the texts of `count` rows, named as in `storeCopy`. */
export function storeTextBytes(kept: RowStore, words: usize, mask: u64, first: u32, count: u32): u64 {
  let total: u64 = 0;
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    if (column.type != <u32>Type.BYTES) continue;
    for (let at: u32 = 0; at < count; at++) {
      const row = first + <u32>(load<u64>(words + ((<usize>at) << 3)) & mask);
      if (storeIsValid(column, row)) total += load<u32>(storeValue(column, row, 8), 4);
    }
  }
  return total;
}

// ---- moving rows to other numbers

/**
 * Room to move columns, one after the other, widest first: each takes the chunks that the one before has left.
 * False when out of memory.
 */
export function storeMoveBegin(kept: RowStore): bool {
  const table: usize = (<usize>kept.tableRows) << 2;
  let width: usize = 0;
  for (let index: u32 = 0; index < kept.columnCount; index++) width = max<usize>(width, storeColumn(kept, index).width);
  kept.spareValues = regionBlock(kept.region, table);
  kept.spareValidity = regionBlock(kept.region, table);
  let made = kept.spareValues != 0 && kept.spareValidity != 0;
  if (kept.spareValues != 0) memory.fill(kept.spareValues, 0, table);
  if (kept.spareValidity != 0) memory.fill(kept.spareValidity, 0, table);
  for (let chunk: u32 = 0; chunk < kept.chunks && made; chunk++) {
    const at: usize = (<usize>chunk) << 2;
    const values = regionBlock(kept.region, <usize>CHUNK_ROWS * width);
    const bitmap = regionBlock(kept.region, CHUNK_ROWS >> 3);
    store<u32>(kept.spareValues + at, <u32>values);
    store<u32>(kept.spareValidity + at, <u32>bitmap);
    made = values != 0 && bitmap != 0;
  }
  if (!made) storeMoveEnd(kept);
  return made;
}

export function storeMoveEnd(kept: RowStore): void {
  for (let chunk: u32 = 0; chunk < kept.chunks; chunk++) {
    const at: usize = (<usize>chunk) << 2;
    if (kept.spareValues != 0) regionFree(kept.region, load<u32>(kept.spareValues + at));
    if (kept.spareValidity != 0) regionFree(kept.region, load<u32>(kept.spareValidity + at));
  }
  regionFree(kept.region, kept.spareValues);
  regionFree(kept.region, kept.spareValidity);
  kept.spareValues = 0;
  kept.spareValidity = 0;
}

/** The column to move after `index`: the next of its width, or the first of the next lower one; -1 when none is left. */
export function storeNextToMove(kept: RowStore, index: i32, width: u32): i32 {
  for (; width != 0; width >>= 1) {
    for (index++; index < <i32>kept.columnCount; index++) {
      if (storeColumn(kept, index).width == width) return index;
    }
    index = -1;
  }
  return -1;
}

/** Before a column's first rows move. */
export function storeMoveColumn(kept: RowStore, index: u32): void {
  if (storeColumn(kept, index).nulls == 0) return;
  for (let chunk: u32 = 0; chunk < kept.chunks; chunk++) {
    memory.fill(load<u32>(kept.spareValidity + ((<usize>chunk) << 2)), 0xff, CHUNK_ROWS >> 3);
  }
}

/**
 * Moves rows [row, row + rows) of a column, all of one chunk: each to the next number of its part, which its u16
 * digit names. `numbers`: u32 a part.
 */
export function storeMoveRows(
  kept: RowStore,
  index: u32,
  row: u32,
  rows: u32,
  digits: usize,
  numbers: usize,
): void {
  const column = storeColumn(kept, index);
  const source = storeValue(column, row, column.width);
  const bitmap: usize = column.nulls == 0 ? 0 : storeBitmap(column, row);
  const end = digits + ((<usize>rows) << 1);
  switch (column.width) {
    case 1:
      move<u8>(kept, source, bitmap, digits, end, numbers);
      break;
    case 2:
      move<u16>(kept, source, bitmap, digits, end, numbers);
      break;
    case 4:
      move<u32>(kept, source, bitmap, digits, end, numbers);
      break;
    case 8:
      move<u64>(kept, source, bitmap, digits, end, numbers);
      break;
    default:
      moveWide(kept, source, bitmap, digits, end, numbers);
  }
}

/** The next number of the part that the digit at `at` names. */
// @ts-ignore: decorator
@inline
function takeNumber(numbers: usize, at: usize): u32 {
  const slot = numbers + ((<usize>load<u16>(at)) << 2);
  const number = load<u32>(slot);
  store<u32>(slot, number + 1);
  return number;
}

// @ts-ignore: decorator
@inline
function spareValue(chunks: usize, number: u32, width: usize): usize {
  const chunk: usize = load<u32>(chunks + ((<usize>(number >> CHUNK_SHIFT)) << 2));
  return chunk + <usize>(number & CHUNK_MASK) * width;
}

function move<T>(
  kept: RowStore,
  source: usize,
  bitmap: usize,
  digits: usize,
  end: usize,
  numbers: usize,
): void {
  const chunks = kept.spareValues;
  let bit: u32 = 0;
  for (let at = digits; at < end; at += 2) {
    const number = takeNumber(numbers, at);
    store<T>(spareValue(chunks, number, sizeof<T>()), load<T>(source));
    source += sizeof<T>();
    if (bitmap != 0) {
      if (bitmapGet(bitmap, bit) == 0) clearSpare(kept, number);
      bit++;
    }
  }
}

function moveWide(
  kept: RowStore,
  source: usize,
  bitmap: usize,
  digits: usize,
  end: usize,
  numbers: usize,
): void {
  const chunks = kept.spareValues;
  let bit: u32 = 0;
  for (let at = digits; at < end; at += 2) {
    const number = takeNumber(numbers, at);
    const target = spareValue(chunks, number, 16);
    store<u64>(target, load<u64>(source));
    store<u64>(target, load<u64>(source, 8), 8);
    source += 16;
    if (bitmap != 0) {
      if (bitmapGet(bitmap, bit) == 0) clearSpare(kept, number);
      bit++;
    }
  }
}

function clearSpare(kept: RowStore, number: u32): void {
  const bitmap: usize = load<u32>(kept.spareValidity + ((<usize>(number >> CHUNK_SHIFT)) << 2));
  const byte = bitmap + <usize>((number & CHUNK_MASK) >> 3);
  store<u8>(byte, load<u8>(byte) & ~(<u8>1 << <u8>(number & 7)));
}

/** After a column's last rows have moved: its old chunks are free for the next. */
export function storeMoved(kept: RowStore, index: u32): void {
  const column = storeColumn(kept, index);
  const values = column.values;
  column.values = kept.spareValues;
  kept.spareValues = values;
  if (column.nulls == 0) return;
  const validity = column.validity;
  column.validity = kept.spareValidity;
  kept.spareValidity = validity;
}

/** Gives every row's memory back; the store is empty then. */
export function storeClear(kept: RowStore): void {
  const region = kept.region;
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const column = storeColumn(kept, index);
    for (let chunk: u32 = 0; chunk < kept.chunks; chunk++) {
      const at: usize = (<usize>chunk) << 2;
      regionFree(region, load<u32>(column.values + at));
      regionFree(region, load<u32>(column.validity + at));
    }
    regionFree(region, column.values);
    regionFree(region, column.validity);
    column.values = 0;
    column.validity = 0;
    column.nulls = 0;
    column.bytes = 0;
  }
  storeMoveEnd(kept);
  arenaClear(changetype<Arena>(kept.arena));
  kept.rows = 0;
  kept.chunks = 0;
  kept.lastRows = 0;
  kept.tableRows = 0;
}
