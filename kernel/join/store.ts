// A store: the rows of one side that a join keeps.
//
// A row is one piece of memory that holds the columns which results, the residual or a waiting index need, so that
// a row that is found by its key costs one or two cache misses however many columns it has. Short texts (up to 12
// bytes) lie in the row; longer ones in an arena of the store, or, those that came by dictionary, once a value in
// an interner. A column whose first batch came by dictionary, of not too many texts unless results keep codes (KEEP_CODES),
// has only the id of its texts in the rows, and interns those of plain batches too. What an index needs of a row (the next row of its key, whether it was matched) lies apart.
//
//   row:   columns, widest first, at their `offset`; booleans take a byte
//   text:  +0 u32 length   +4 up to 12 bytes, or (longer) +8 u32 address; coded: +0 u32 id
//
// Rows lie in chunks of 65,536, so that a store grows without copying what it has and without a pause; only the
// first chunk starts small and doubles.
//
// Room is made before a push applies anything (`storeReserve`). Rows are appended behind the last one and count
// once the whole push has succeeded (`storeCommit`): one that fails leaves nothing behind.
//
// Columns of a loaded table need not be copied: those that are lent lie where they are, and a chunk knows where its rows of them
// begin (lent.ts). They are read by way of copies of rows that have them too (gather-rows.ts), and by nothing else.
//
// Two pieces of a row are made only where somebody needs them: the link to the next row of its key, once a key has two
// (storeLink), and whether it was matched.
//
// Columns of four bytes, codes among them, are written four at a time, rows as vectors that shuffles make of theirs: with the
// heads of keys read ahead (join-state.ts) 0.92 of the time of a join of 10 million rows a side.
//
// Tried and lost: columns kept apart, texts as views. Sequential to write, but gathering rows of a large side in
// the order of keys then misses the cache for each column, and again for each text. All columns of 256 rows written (and,
// by pushes, gathered) before the next 256: 0.96 of the speed of a column of 2,048 at a time.

import { Abi, Column, Type } from "../abi/layout";
import { BITMAP_BYTES, VECTOR_SIZE, Vector } from "../column/vector";
import { bitmapAppend, bitmapBytes, bitmapGet, bitmapLoad } from "../column/bitmap";
import { regrow, regrowZeroed, vectorBytes, vectorIsValid } from "../column/builder";
import { typeWidth } from "../column/type";
import {
  programOutput,
  programOutputDictionary,
  programOutputDistinctBytes,
  programOutputTextBytes,
} from "../expression/program";
import { codesOfInterner } from "../group/codes";
import {
  INTERNER_SIZE,
  Interner,
  NO_ID,
  internCodes,
  internViews,
  internedAddress,
  internedLength,
  internerInit,
  internerReserve,
  internerUseDictionary,
} from "../group/interner";
import { readLimit } from "../memory/bounds";
import { ARENA_SIZE, Arena, arenaClear, arenaInit, arenaReserve, arenaTake } from "../memory/arena";
import { copyBytes } from "../memory/copy";
import { regionBlock, regionCut, regionFree } from "../memory/region";

export const CHUNK_SHIFT: u32 = 16;
const CHUNK: u32 = 1 << CHUNK_SHIFT;
export const CHUNK_MASK: u32 = CHUNK - 1;
const FIRST_ROWS: u32 = 1024;
const FIRST_TABLE: u32 = 64;
const MOST_ROWS: u64 = 0xfffffff0;
/** Longest text that lies in the row. */
export const SHORT_TEXT: u32 = 12;
/** Bytes behind the last row that may be read: short texts are copied as two words. */
const SLACK: usize = 16;

// @ts-ignore: decorator
@unmanaged
export class StoreColumn {
  type: u32;
  /** Bytes in a row, and where they begin. */
  width: u32;
  offset: u32;
  /** Output of the side's program. */
  output: u32;
  /** 1 once a null came. */
  nullable: u32;
  /** Per chunk u32 address of the validity bitmap. */
  validity: usize;
  /** Texts of dictionaries, and room for the ids of a vector; 0 until one comes. */
  interner: usize;
  ids: usize;
  /** Rows that the bitmap of the first chunk can hold. */
  firstRows: u32;
  /** 1 where rows have ids of texts; the interner's texts as a dictionary (codes.ts), and how many it has. */
  coded: u32;
  dictionary: usize;
  dictionaryLength: u32;
  /** Bytes of the longest text that lies in rows or the arena, or is lent. */
  longest: u32;
  /** 1 where values lie in a loaded table; `offset` is then of copies of rows, or NOWHERE. */
  lent: u32;
  /** Of such per chunk u32 address of the first row's value, or its offset of a text, and of what offset 0 of texts stands for. */
  places: usize;
  bases: usize;
}

const COLUMN_SIZE: usize = 68;

/** Pieces of fixed width a row, in chunks: rows, and what an index needs of them. */
// @ts-ignore: decorator
@unmanaged
class Slab {
  /** Per chunk u32 address. */
  chunks: usize;
  width: usize;
  /** Rows that the first chunk can hold. */
  firstRows: u32;
}

// @ts-ignore: decorator
@unmanaged
export class Store {
  /** The slabs: rows, next row of the same key (u32, plus one), whether the row was matched (a byte). */
  rowChunks: usize;
  rowBytes: usize;
  rowFirst: u32;
  nextChunks: usize;
  /** 0: no key has two rows so far, and no row is linked. */
  nextBytes: usize;
  nextFirst: u32;
  matchedChunks: usize;
  /** 0: nobody asks. */
  matchedBytes: usize;
  matchedFirst: u32;
  region: usize;
  columns: usize;
  columnCount: u32;
  rows: u32;
  /** Rows that there is room for. */
  capacity: u32;
  /** Chunks that the tables can name. */
  tableChunks: u32;
  /** A bitmap of ones, and one for shifted bits. */
  ones: usize;
  shifted: usize;
  arena: usize;
  /** Seed of the hashes of interned texts. */
  seed: u32;
  /** Which columns may be coded (`Coded`). */
  codes: u32;
  /** Where in a row the columns of four bytes lie that are written four at a time. */
  foursFrom: u32;
  foursTo: u32;
  /** A row of zeros, which is read where there is none. */
  none: usize;
  /** Columns that are lent, and bytes of a row that has those that are read, too. */
  lent: u32;
  fullBytes: usize;
}

/** Columns that came by dictionary and have only ids in the rows. */
export const enum Coded {
  NONE = 0,
  /** Those whose first dictionary has at most FEW_TEXTS: reading a text by its id then stays in the cache. */
  FEW = 1,
  ALL = 2,
}

/** Where two of seven columns are such ones (150,000 rows a side), a stream takes 0.97 of the time and a row 48 bytes instead of 72. */
const FEW_TEXTS: u32 = 1 << 14;

export const STORE_SIZE: usize = 112;
const SLABS: usize = 3;
const SLAB_SIZE: usize = 12;

// @ts-ignore: decorator
@inline
function slabOf(self: Store, index: usize): Slab {
  return changetype<Slab>(changetype<usize>(self) + index * SLAB_SIZE);
}

// @ts-ignore: decorator
@inline
export function storeColumn(store: Store, index: u32): StoreColumn {
  return changetype<StoreColumn>(store.columns + <usize>index * COLUMN_SIZE);
}

/**
 * An empty store of `columns` columns, whose `type` and `output` the caller sets before `storeLayout`. False when out
 * of memory.
 */
export function storeInit(address: usize, region: usize, columns: u32, seed: u32): bool {
  const self = changetype<Store>(address);
  self.region = region;
  self.seed = seed;
  self.columnCount = columns;
  self.columns = regionCut(region, <usize>columns * COLUMN_SIZE + 1);
  self.ones = regionCut(region, BITMAP_BYTES * 2);
  self.arena = regionCut(region, ARENA_SIZE);
  self.none = regionCut(region, <usize>columns * 16 + SLACK);
  self.nextBytes = 4;
  self.matchedBytes = 1;
  if (self.columns == 0 || self.ones == 0 || self.arena == 0 || self.none == 0) return false;
  memory.fill(self.none, 0, <usize>columns * 16 + SLACK);
  self.shifted = self.ones + BITMAP_BYTES;
  memory.fill(self.ones, 0xff, BITMAP_BYTES);
  arenaInit(changetype<Arena>(self.arena), region);
  return true;
}

/** Where in a row a column lies that nobody reads from there. */
export const NOWHERE: u32 = 0xffffffff;

/** Gives the columns their places in a row: behind those that it has lie, in copies of it, those that are lent. */
export function storeLayout(self: Store): void {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    const text: u32 = column.coded ? 4 : 16;
    column.width = column.type == <u32>Type.BYTES ? text : max<u32>(1, <u32>typeWidth(column.type));
  }
  let offset: u32 = 0;
  for (let width: u32 = 16; width != 0; width >>= 1) {
    if (width == 4) self.foursFrom = offset;
    if (width == 2) self.foursTo = offset - ((offset - self.foursFrom) & 15);
    offset = place(self, width, 0, offset);
  }
  self.rowBytes = aligned(offset);
  offset = <u32>self.rowBytes;
  for (let width: u32 = 16; width != 0; width >>= 1) offset = place(self, width, 1, offset);
  self.fullBytes = aligned(offset);
}

/** Gives the columns of so many bytes that are lent, or are not, their places from `offset` on; what follows them. */
function place(self: Store, width: u32, lent: u32, offset: u32): u32 {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.width != width || column.lent != lent || (lent && column.offset == NOWHERE)) continue;
    column.offset = offset;
    offset += width;
  }
  return offset;
}

function aligned(bytes: u32): u32 {
  const align: u32 = bytes >= 8 ? 7 : 3;
  return (bytes + align) & ~align;
}

// ---- room

/** Room for `more` rows, and for the texts of the batch that `program` is bound to. False when out of memory. */
export function storeReserve(self: Store, program: usize, more: u32): bool {
  const need: u64 = <u64>self.rows + <u64>more;
  if (need > MOST_ROWS) return false; // unreached: four thousand million rows
  if (self.capacity == 0) storeChooseCoded(self, program);
  if (need > <u64>self.capacity && !grow(self, <u32>need)) {
    // Rows may be laid out otherwise the next time.
    if (self.capacity == 0) storeFree(self);
    return false;
  }
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    // A dictionary's texts are interned, and reserved, when its codes come.
    if (column.type == <u32>Type.BYTES && !column.coded && !column.lent) bytes += programOutputTextBytes(program, column.output);
  }
  return bytes <= 0x7fffffff && arenaReserve(changetype<Arena>(self.arena), <usize>bytes);
}

/** Before the first row: texts that come by dictionary are kept as ids. */
export function storeChooseCoded(self: Store, program: usize): void {
  if (self.codes == <u32>Coded.NONE) return;
  const most: u32 = self.codes == <u32>Coded.ALL ? 0xffffffff : FEW_TEXTS;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.type != <u32>Type.BYTES) continue;
    const dictionary = programOutputDictionary(program, column.output);
    column.coded = dictionary != 0 && load<u32>(dictionary, <usize>Column.LENGTH) <= most ? 1 : 0;
  }
  storeLayout(self);
}

/** The texts of a coded column as a dictionary, for all rows so far; 0 when out of memory. */
export function storeDictionary(self: Store, index: u32): usize {
  const column = storeColumn(self, index);
  const count = changetype<Interner>(column.interner).count;
  if (column.dictionary != 0 && column.dictionaryLength == count) return column.dictionary;
  const dictionary = codesOfInterner(self.region, column.interner);
  if (dictionary == 0) return 0;
  column.dictionary = dictionary;
  column.dictionaryLength = count;
  return dictionary;
}

function grow(self: Store, need: u32): bool {
  let first = CHUNK;
  if (need < CHUNK) first = max<u32>(need, min<u32>(CHUNK, max<u32>(FIRST_ROWS, self.capacity << 1)));
  const chunks: u32 = ((max<u32>(need, 1) - 1) >> CHUNK_SHIFT) + 1;
  if (chunks > self.tableChunks && !growTables(self, chunks)) return false;
  for (let index: usize = 0; index < SLABS; index++) {
    if (!growSlab(self, slabOf(self, index), first, chunks)) return false;
  }
  for (let index: u32 = 0; index < self.columnCount; index++) {
    if (!growBitmap(self, storeColumn(self, index), first, chunks)) return false;
  }
  self.capacity = chunks == 1 ? first : chunks << CHUNK_SHIFT;
  return true;
}

function growTables(self: Store, chunks: u32): bool {
  const count = max<u32>(chunks, max<u32>(FIRST_TABLE, self.tableChunks << 1));
  for (let index: usize = 0; index < SLABS; index++) {
    const slab = slabOf(self, index);
    const table = growTable(self, slab.chunks, count);
    if (table == 0) return false;
    slab.chunks = table;
  }
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    const table = growTable(self, column.validity, count);
    if (table == 0) return false;
    column.validity = table;
    if (column.lent && !growPlaces(self, column, count)) return false;
  }
  self.tableChunks = count;
  return true;
}

function growPlaces(self: Store, column: StoreColumn, count: u32): bool {
  const places = growTable(self, column.places, count);
  if (places == 0) return false;
  column.places = places;
  const bases = growTable(self, column.bases, count);
  column.bases = bases;
  return bases != 0;
}

function growTable(self: Store, table: usize, count: u32): usize {
  const old: usize = (<usize>self.tableChunks) << 2;
  const bytes: usize = (<usize>count) << 2;
  return regrowZeroed(self.region, table, old, bytes);
}

function growSlab(self: Store, slab: Slab, first: u32, chunks: u32): bool {
  if (slab.width == 0) return true;
  const table = slab.chunks;
  if (first > slab.firstRows) {
    const used = <usize>slab.firstRows * slab.width;
    const block = regrow(self.region, load<u32>(table), used, <usize>first * slab.width + SLACK);
    if (block == 0) return false;
    store<u32>(table, <u32>block);
    slab.firstRows = first;
  }
  for (let chunk: u32 = 1; chunk < chunks; chunk++) {
    const at: usize = (<usize>chunk) << 2;
    if (load<u32>(table + at) != 0) continue;
    const block = regionBlock(self.region, <usize>CHUNK * slab.width + SLACK);
    if (block == 0) return false;
    store<u32>(table + at, <u32>block);
  }
  return true;
}

function growBitmap(self: Store, column: StoreColumn, first: u32, chunks: u32): bool {
  const table = column.validity;
  if (first > column.firstRows) {
    const used: usize = column.firstRows == 0 ? 0 : bitmapBytes(column.firstRows);
    const bytes = bitmapBytes(first);
    const block = regrow(self.region, load<u32>(table), used, bytes);
    if (block == 0) return false;
    memory.fill(block + used, 0xff, bytes - used);
    store<u32>(table, <u32>block);
    column.firstRows = first;
  }
  for (let chunk: u32 = 1; chunk < chunks; chunk++) {
    const at: usize = (<usize>chunk) << 2;
    if (load<u32>(table + at) != 0) continue;
    const block = regionBlock(self.region, CHUNK >> 3);
    if (block == 0) return false;
    memory.fill(block, 0xff, CHUNK >> 3);
    store<u32>(table + at, <u32>block);
  }
  return true;
}

/** Makes the links of rows, none of which leads anywhere, where there are none. False when out of memory. */
export function storeLink(self: Store): bool {
  if (self.nextBytes != 0) return true;
  self.nextBytes = 4;
  const chunks = self.capacity == 0 ? 0 : ((self.capacity - 1) >> CHUNK_SHIFT) + 1;
  const slab = slabOf(self, 1);
  if (chunks != 0 && !growSlab(self, slab, min<u32>(self.capacity, CHUNK), chunks)) {
    // What there is of them is found when they are asked for again.
    self.nextBytes = 0;
    return false;
  }
  for (let done: u32 = 0; done < self.rows; done += CHUNK)
    memory.fill(storeNext(self, done), 0, (<usize>min<u32>(self.rows - done, CHUNK)) << 2);
  return true;
}

/** Forgets the rows and keeps their room. */
export function storeClear(self: Store): void {
  self.rows = 0;
  arenaClear(changetype<Arena>(self.arena));
}

/** Gives back all memory of the rows. */
export function storeFree(self: Store): void {
  arenaClear(changetype<Arena>(self.arena));
  for (let index: usize = 0; index < SLABS; index++) {
    const slab = slabOf(self, index);
    freeTable(self, slab.chunks);
    slab.chunks = 0;
    slab.firstRows = 0;
  }
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    freeTable(self, column.validity);
    column.validity = 0;
    column.firstRows = 0;
    column.nullable = 0;
    regionFree(self.region, column.places);
    regionFree(self.region, column.bases);
    column.places = 0;
    column.bases = 0;
    column.lent = 0;
  }
  if (self.lent) {
    self.lent = 0;
    storeLayout(self);
  }
  self.rows = 0;
  self.capacity = 0;
  self.tableChunks = 0;
}

function freeTable(self: Store, table: usize): void {
  if (table == 0) return;
  for (let chunk: u32 = 0; chunk < self.tableChunks; chunk++)
    regionFree(self.region, load<u32>(table + ((<usize>chunk) << 2)));
  regionFree(self.region, table);
}

// ---- rows

/** Where a row's piece lies: `chunks` has the u32 address of each chunk's first one, and one takes `width` bytes. */
// @ts-ignore: decorator
@inline
export function pieceOf(chunks: usize, row: u32, width: usize): usize {
  return <usize>load<u32>(chunks + ((<usize>(row >> CHUNK_SHIFT)) << 2)) + <usize>(row & CHUNK_MASK) * width;
}

/** Address of a row. */
// @ts-ignore: decorator
@inline
export function storeRow(self: Store, row: u32): usize {
  return pieceOf(self.rowChunks, row, self.rowBytes);
}

/** Address of the u32 that holds the next row of the same key, plus one. */
// @ts-ignore: decorator
@inline
export function storeNext(self: Store, row: u32): usize {
  return pieceOf(self.nextChunks, row, 4);
}

/** Address of the byte that tells whether a row was matched. */
// @ts-ignore: decorator
@inline
export function storeMatched(self: Store, row: u32): usize {
  return pieceOf(self.matchedChunks, row, 1);
}

/** Address of a column of a row, where its next rows' lie `storeStride` bytes apart as far as the chunk goes. */
export function storeCell(self: Store, column: StoreColumn, row: u32): usize {
  return column.lent ? pieceOf(column.places, row, column.width) : storeRow(self, row) + <usize>column.offset;
}

export function storeStride(self: Store, column: StoreColumn): usize {
  return column.lent ? <usize>column.width : self.rowBytes;
}

/** Whether a column of a row is null. */
export function storeIsNull(column: StoreColumn, row: u32): bool {
  if (!column.nullable) return false;
  const bits: usize = load<u32>(column.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
  return !bitmapGet(bits, row & CHUNK_MASK);
}

/**
 * Appends the `count` rows that the program holds as rows `first` and on, but for columns that are lent, of which it notes
 * the nulls; they do not count yet. False when out of memory.
 */
export function storeAppend(self: Store, program: usize, first: u32, count: u32): bool {
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    const vector = changetype<Vector>(programOutput(program, column.output));
    if (!column.lent && !appendIds(self, program, column, vector, count)) return false;
    for (let done: u32 = 0; done < count; ) {
      const some = min<u32>(count - done, CHUNK - ((first + done) & CHUNK_MASK));
      appendValidity(self, column, vector, done, first + done, some);
      const target = storeRow(self, first + done) + <usize>column.offset;
      // unreached: texts have their room, see storeReserve
      if (!column.lent && !isTogether(self, column) && !appendPart(self, column, vector, done, target, some)) return false;
      done += some;
    }
  }
  if (ASC_FEATURE_SIMD) {
    for (let offset = self.foursFrom; offset < self.foursTo; offset += 16) appendFours(self, program, offset, first, count);
  }
  return true;
}

/** Interns the texts of a vector that came by dictionary, or are kept as ids. False when out of memory. */
function appendIds(self: Store, program: usize, column: StoreColumn, vector: Vector, count: u32): bool {
  if (vector.dictionary != 0) {
    const distinct = programOutputDistinctBytes(program, column.output);
    if (!internVector(self, column, vector, count, distinct)) return false;
  } else if (column.coded && !internPlain(self, column, vector, count)) return false;
  if (column.coded && vector.validity != 0) dropIds(column.ids, vector.validity, count);
  return true;
}

/** Whether a column is written together with its neighbours in the row. */
// @ts-ignore: decorator
@inline
function isTogether(self: Store, column: StoreColumn): bool {
  return ASC_FEATURE_SIMD && column.offset - self.foursFrom < self.foursTo - self.foursFrom;
}

/** Four columns of four bytes, which begin at `offset` of a row, of rows `first` and on: four rows of them as four vectors. */
function appendFours(self: Store, program: usize, offset: u32, first: u32, count: u32): void {
  const a = wordsAt(self, program, offset);
  const b = wordsAt(self, program, offset + 4);
  const c = wordsAt(self, program, offset + 8);
  const d = wordsAt(self, program, offset + 12);
  const stride = self.rowBytes;
  for (let done: u32 = 0; done < count; ) {
    const some = min<u32>(count - done, CHUNK - ((first + done) & CHUNK_MASK));
    let target = storeRow(self, first + done) + <usize>offset;
    let at = (<usize>done) << 2;
    done += some;
    const end = (<usize>done) << 2;
    for (; at + 16 <= end; at += 16) {
      const one = v128.load(a + at);
      const two = v128.load(b + at);
      const three = v128.load(c + at);
      const four = v128.load(d + at);
      const low = v128.shuffle<i32>(one, two, 0, 4, 1, 5);
      const high = v128.shuffle<i32>(one, two, 2, 6, 3, 7);
      const lower = v128.shuffle<i32>(three, four, 0, 4, 1, 5);
      const higher = v128.shuffle<i32>(three, four, 2, 6, 3, 7);
      v128.store(target, v128.shuffle<i64>(low, lower, 0, 2));
      v128.store(target + stride, v128.shuffle<i64>(low, lower, 1, 3));
      target += stride << 1;
      v128.store(target, v128.shuffle<i64>(high, higher, 0, 2));
      v128.store(target + stride, v128.shuffle<i64>(high, higher, 1, 3));
      target += stride << 1;
    }
    for (; at < end; at += 4) {
      store<u32>(target, load<u32>(a + at));
      store<u32>(target, load<u32>(b + at), 4);
      store<u32>(target, load<u32>(c + at), 8);
      store<u32>(target, load<u32>(d + at), 12);
      target += stride;
    }
  }
}

/** The values, or ids of texts, of the column that begins at `offset` of a row. */
function wordsAt(self: Store, program: usize, offset: u32): usize {
  let index: u32 = 0;
  while (storeColumn(self, index).offset != offset) index++;
  const column = storeColumn(self, index);
  return column.coded ? column.ids : changetype<Vector>(programOutput(program, column.output)).values;
}

/** Rows without a text have no id of one. */
function dropIds(ids: usize, validity: usize, count: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    if (!bitmapGet(validity, row)) store<u32>(ids + ((<usize>row) << 2), NO_ID);
  }
}

/** The rows appended so far count. */
export function storeCommit(self: Store, rows: u32): void {
  const first = self.rows;
  for (let done: u32 = 0; done < rows && self.matchedBytes != 0; ) {
    const some = min<u32>(rows - done, CHUNK - ((first + done) & CHUNK_MASK));
    memory.fill(storeMatched(self, first + done), 0, some);
    done += some;
  }
  self.rows = first + rows;
}

/** Values [from, from + count) of the vector to cells from `target` on, one a row. */
function appendPart(
  self: Store,
  column: StoreColumn,
  vector: Vector,
  from: u32,
  target: usize,
  count: u32,
): bool {
  const stride = self.rowBytes;
  const values = vector.values;
  if (vector.type == <u32>Type.BYTES) {
    if (column.coded) spread<u32>(column.ids + ((<usize>from) << 2), target, stride, count);
    else if (vector.dictionary != 0) appendInterned(column, vector, from, target, stride, count);
    else return appendTexts(self, column, vector, from, target, stride, count);
    return true;
  }
  if (vector.type == <u32>Type.BOOL) {
    for (let row: u32 = 0; row < count; row++) {
      const at = from + row;
      store<u8>(target, (load<u8>(values + <usize>(at >> 3)) >> <u8>(at & 7)) & 1);
      target += stride;
    }
    return true;
  }
  switch (column.width) {
    case 1:
      spread<u8>(values + <usize>from, target, stride, count);
      break;
    case 2:
      spread<u16>(values + ((<usize>from) << 1), target, stride, count);
      break;
    case 4:
      spread<u32>(values + ((<usize>from) << 2), target, stride, count);
      break;
    case 8:
      spread<u64>(values + ((<usize>from) << 3), target, stride, count);
      break;
    default:
      for (let row: u32 = 0; row < count; row++) {
        const value = values + ((<usize>(from + row)) << 4);
        store<u64>(target, load<u64>(value));
        store<u64>(target, load<u64>(value, 8), 8);
        target += stride;
      }
  }
  return true;
}

function spread<T>(values: usize, target: usize, stride: usize, count: u32): void {
  const end = values + <usize>count * sizeof<T>();
  for (; values < end; values += sizeof<T>()) {
    store<T>(target, load<T>(values));
    target += stride;
  }
}

function appendValidity(
  self: Store,
  column: StoreColumn,
  vector: Vector,
  from: u32,
  first: u32,
  count: u32,
): void {
  if (vector.validity == 0 && column.nullable == 0) return;
  let source = vector.validity == 0 ? self.ones : vector.validity;
  if (vector.validity != 0 && from != 0) {
    bitmapLoad(vector.validity, from, count, self.shifted);
    source = self.shifted;
  }
  const bits: usize = load<u32>(column.validity + ((<usize>(first >> CHUNK_SHIFT)) << 2));
  if (bitmapAppend(bits, first & CHUNK_MASK, source, 0, count) != count) column.nullable = 1;
}

// ---- texts

/** Texts that begin up to here can be read 16 bytes at a time. */
// @ts-ignore: decorator
@inline
export function wordLimit(): usize {
  return readLimit(16);
}

/** Writes a text's cell: the text itself where it is short, else its address. */
// @ts-ignore: decorator
@inline
export function writeCell(cell: usize, address: usize, length: u32, limit: usize): void {
  store<u32>(cell, length);
  if (length > SHORT_TEXT) store<u32>(cell, <u32>address, 8);
  else if (address <= limit) {
    const tail = load<u32>(address, 8);
    store<u64>(cell, load<u64>(address), 4);
    store<u32>(cell, tail, 12);
  } else copyBytes(cell + 4, address, length);
}

function appendTexts(
  self: Store,
  column: StoreColumn,
  vector: Vector,
  from: u32,
  target: usize,
  stride: usize,
  count: u32,
): bool {
  const limit = wordLimit();
  let longest = column.longest;
  for (let row: u32 = 0; row < count; row++) {
    if (vectorIsValid(vector, from + row)) {
      const view = load<u64>(vector.values + ((<usize>(from + row)) << 3));
      const length = <u32>(view >> 32);
      let address = <usize>(<u32>view);
      longest = max(longest, length);
      if (length > SHORT_TEXT) {
        const kept = arenaTake(changetype<Arena>(self.arena), length);
        if (kept == 0) return false; // unreached: storeReserve has made the room
        copyBytes(kept, address, length);
        address = kept;
      }
      writeCell(target, address, length, limit);
    } else store<u32>(target, 0);
    target += stride;
  }
  column.longest = longest;
  return true;
}

function hasInterner(self: Store, column: StoreColumn): bool {
  if (column.interner != 0) return true;
  const interner = regionCut(self.region, INTERNER_SIZE);
  const ids = regionBlock(self.region, <usize>Abi.VECTOR_ROWS * 4);
  if (ids == 0 || interner == 0 || !internerInit(interner, self.region, false, false, self.seed)) return false;
  column.ids = ids;
  column.interner = interner;
  return true;
}

/** Interns the texts of a vector without a dictionary, for a coded column. False when out of memory. */
function internPlain(self: Store, column: StoreColumn, vector: Vector, count: u32): bool {
  return (
    hasInterner(self, column) &&
    internerReserve(column.interner, count, vectorBytes(vector, count)) &&
    internViews(column.interner, vector.values, vector.validity, count, column.ids)
  );
}

/** Interns a vector's dictionary codes; their ids are at `column.ids` then. False when out of memory. */
function internVector(self: Store, column: StoreColumn, vector: Vector, count: u32, bytes: usize): bool {
  if (!hasInterner(self, column)) return false;
  const dictionary = vector.dictionary;
  return (
    internerReserve(column.interner, count, bytes) &&
    internerUseDictionary(column.interner, dictionary, vector.dictionaryId, count) &&
    internCodes(column.interner, dictionary, vector.values, vector.validity, count, column.ids)
  );
}

function appendInterned(
  column: StoreColumn,
  vector: Vector,
  from: u32,
  target: usize,
  stride: usize,
  count: u32,
): void {
  const limit = wordLimit();
  const interner = column.interner;
  column.longest = max(column.longest, changetype<Interner>(interner).longest);
  for (let row: u32 = 0; row < count; row++) {
    if (vectorIsValid(vector, from + row)) {
      const id = load<u32>(column.ids + ((<usize>(from + row)) << 2));
      writeCell(target, internedAddress(interner, id), internedLength(interner, id), limit);
    } else store<u32>(target, 0);
    target += stride;
  }
}

// ---- from one store to another

/**
 * Appends to an empty store of the same columns the rows of another for which `places` (u32 a row) has a place;
 * places ascend. False when out of memory.
 */
export function storeCopy(self: Store, other: Store, places: usize): bool {
  let count: u32 = 0;
  let bytes: u64 = 0;
  for (let row: u32 = 0; row < other.rows; row++) {
    if (load<u32>(places + ((<usize>row) << 2)) == NO_PLACE) continue;
    count++;
    bytes += longBytes(other, row);
  }
  if (count == 0) return true;
  if (!grow(self, count) || bytes > 0x7fffffff || !arenaReserve(changetype<Arena>(self.arena), <usize>bytes)) return false;
  for (let row: u32 = 0; row < other.rows; row++) {
    const place = load<u32>(places + ((<usize>row) << 2));
    if (place == NO_PLACE) continue;
    const to = storeRow(self, place);
    memory.copy(to, storeRow(other, row), other.rowBytes);
    store<u8>(storeMatched(self, place), load<u8>(storeMatched(other, row)));
    for (let index: u32 = 0; index < self.columnCount; index++) {
      const column = storeColumn(self, index);
      copyNull(storeColumn(other, index), row, column, place);
      if (column.type != <u32>Type.BYTES) continue;
      const cell = to + <usize>column.offset;
      const length = load<u32>(cell);
      if (length <= SHORT_TEXT) continue;
      const kept = arenaTake(changetype<Arena>(self.arena), length);
      if (kept == 0) return false; // unreached: there is room for all of them
      copyBytes(kept, load<u32>(cell, 8), length);
      store<u32>(cell, <u32>kept, 8);
    }
  }
  self.rows = count;
  return true;
}

/** Stands for a row that has no place. */
const NO_PLACE: u32 = 0xffffffff;

/** Bytes of a row's texts that do not lie in it. */
function longBytes(self: Store, row: u32): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = storeColumn(self, index);
    if (column.type != <u32>Type.BYTES) continue;
    const length = load<u32>(storeRow(self, row) + <usize>column.offset);
    if (length > SHORT_TEXT) bytes += length;
  }
  return bytes;
}

function copyNull(from: StoreColumn, row: u32, to: StoreColumn, place: u32): void {
  if (from.nullable == 0) return;
  const bits: usize = load<u32>(from.validity + ((<usize>(row >> CHUNK_SHIFT)) << 2));
  if (bitmapGet(bits, row & CHUNK_MASK)) return;
  const at = place & CHUNK_MASK;
  const byte = <usize>load<u32>(to.validity + ((<usize>(place >> CHUNK_SHIFT)) << 2)) + <usize>(at >> 3);
  store<u8>(byte, load<u8>(byte) & ~(1 << <u8>(at & 7)));
  to.nullable = 1;
}

/** Bytes of the texts of one column in rows `first` to `first + count`. */
export function storeTextBytes(self: Store, index: u32, first: u32, count: u32): u64 {
  const offset: usize = storeColumn(self, index).offset;
  let bytes: u64 = 0;
  for (let row: u32 = 0; row < count; row++) bytes += <u64>load<u32>(storeRow(self, first + row) + offset);
  return bytes;
}

/**
 * One column of rows `first` to `first + count`, at most a vector of them, as a vector: behind `vector` there is
 * room for its validity (BITMAP_BYTES) and then for 16 bytes a row. Texts stay where they are.
 */
export function storeVector(self: Store, index: u32, first: u32, count: u32, vector: Vector): void {
  const column = storeColumn(self, index);
  const validity = changetype<usize>(vector) + VECTOR_SIZE;
  const values = validity + BITMAP_BYTES;
  memory.fill(changetype<usize>(vector), 0, VECTOR_SIZE);
  vector.type = column.type;
  vector.values = values;
  if (column.nullable) {
    vector.validity = validity;
    memory.fill(validity, 0, BITMAP_BYTES);
  }
  if (column.type == <u32>Type.BOOL) memory.fill(values, 0, BITMAP_BYTES);
  for (let row: u32 = 0; row < count; row++) {
    const at = first + row;
    const cell = storeRow(self, at) + <usize>column.offset;
    if (column.nullable) {
      const bits: usize = load<u32>(column.validity + ((<usize>(at >> CHUNK_SHIFT)) << 2));
      setBit(validity, row, bitmapGet(bits, at & CHUNK_MASK));
    }
    if (column.type == <u32>Type.BYTES) {
      const length = load<u32>(cell);
      const address = length > SHORT_TEXT ? load<u32>(cell, 8) : <u32>(cell + 4);
      store<u64>(values + ((<usize>row) << 3), (<u64>length << 32) | <u64>address);
    } else if (column.type == <u32>Type.BOOL) setBit(values, row, load<u8>(cell));
    else memory.copy(values + <usize>row * <usize>column.width, cell, column.width);
  }
}

function setBit(bits: usize, at: u32, bit: u32): void {
  const byte = bits + <usize>(at >> 3);
  store<u8>(byte, load<u8>(byte) | (<u8>bit << <u8>(at & 7)));
}
