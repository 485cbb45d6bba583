// The short way of a join: a push whose rows find one row of the other side at most leaves with the push.
//
// It is taken once the other port has ended, where that side has each key once and there is no residual: then a
// push gives no more rows than it has, and they are written from the program's registers to the result, a vector
// at a time, without being kept in between. Pulls only hand them out.
//
// Measured over q1 to q4 of the join benchmark (1 M rows), together with results that stay where they are made: from 1.2
// to 1.9 times DuckDB's speed to 4.3 to 5.7 times. Texts by dictionary that leave as codes (join/codes.ts), room for the
// texts of the other side made once a push, loops of four rows and no branch on whether a row has a match: from 0.44
// times Polars' speed to about 1.
//
// What a vector has of a column is two pages. A loop over one column of it after the other reads and writes as many places at
// once as there are columns, two pages each, which memory does not bear: from 26 places on such a copy goes at 7 GB/s, where
// long ones go at 14. So columns that lie in the batch wait until the whole push is looked up, and are then written one by
// one, by the bitmap of the rows that leave (column/pack.ts); the other side's are written for eight vectors at a time.
// Where all rows of a push leave, and the result stays where it is, columns of a loaded table are not written at all: the
// result lies in the table (builderLend), which takes 0.68 of the time of a left join, and 0.86 of an as-of join.
//
// Where the other side is large its rows are copied before their columns are gathered (join/gather-rows.ts), which takes
// 0.74 of the time for q5 of 10 million rows.

import { Abi, Batch, Type } from "../abi/layout";
import { JoinFault, JoinFlag, JoinType } from "../abi/operator";
import { Status } from "../abi/status";
import { bitmapGet } from "../column/bitmap";
import {
  Builder,
  builderAppendVector,
  builderLend,
  builderReserveBytes,
  outputColumn,
  outputDescribe,
  outputDetach,
  outputRegion,
  outputReset,
  outputShrink,
} from "../column/builder";
import { pack32, pack64 } from "../column/pack";
import { PIECE, packTexts } from "../column/pack-texts";
import { typeWidth } from "../column/type";
import { Vector } from "../column/vector";
import {
  programCodes,
  programLeavesTexts,
  programOffsets,
  programOutput,
  programOutputDictionary,
  programOutputDictionaryId,
  programOutputTextBytes,
  programOutputType,
  programRun,
  programShares,
  programTextBase,
  programValidity,
  programValues,
} from "../expression/program";
import { CODES_SIZE, Codes, codesCopy } from "../join/codes";
import { ROUGH_BYTES, TEXT_SLACK, appendRows, appendTexts, gatherBound, gatherBytes, gatherCells, gatherMissing, gatherTarget } from "../join/gather";
import { gatherColumns } from "../join/gather-together";
import { RowWindow, windowCopy } from "../join/gather-rows";
import { CodeLinks, codeLinks } from "../join/code-links";
import { Keys, keysDistances, keysFind } from "../join/keys";
import { Listed, linksFind, linksFindFrom, linksList } from "../join/links";
import { Store, storeColumn, storeDictionary, storeMatched } from "../join/store";
import { failMemory } from "../memory/context";
import { regionBlock } from "../memory/region";
import { copyRun } from "../memory/copy";
import {
  Join,
  STEP,
  joinFar,
  joinClosed,
  joinDuplicates,
  joinFilters,
  joinHeadCount,
  joinHeads,
  joinIsMarked,
  joinIsNullAware,
  joinIsSmall,
  joinPreserves,
  joinProgram,
  joinStore,
} from "./join-state";
import { joinWindow, joinWindowsMake } from "./join-window";
import { Operator } from "./operator";

/** Rows of the other side that are written together. */
const FAR_ROWS: u32 = STEP << 3;

/** Whether a push on this port may go the short way. */
export function joinIsDirect(self: Join, port: u32): bool {
  return (
    joinClosed(self, 1 - port) &&
    self.changes == 0 &&
    self.residual == 0 &&
    !joinDuplicates(self, 1 - port) &&
    !(joinFilters(self) && port == 1) &&
    !joinIsMarked(self, port) &&
    !joinIsSmall(self)
  );
}

/** Empties the result's builders, or (KEEP_RESULTS) begins new ones. False when out of memory. */
export function joinFreshOutput(self: Join, rows: u32): bool {
  const keeps = (self.flags & <u32>JoinFlag.KEEP_RESULTS) != 0;
  if (self.handedOut && keeps && !outputDetach(self.output)) return false;
  self.handedOut = 0;
  return outputReset(self.output, rows);
}

/** Describes rows [from, from + rows) of the result; they have left then. */
export function joinHandOut(self: Join, out: usize, from: u32, rows: u32): void {
  const first = outputColumn(self.output, 0);
  const kept = (self.flags & <u32>JoinFlag.KEEP_RESULTS) != 0;
  if (kept && from == 0 && self.columnCount != 0 && first.length < first.capacity >> 1) outputShrink(self.output);
  outputDescribe(self.output, out, rows, 0);
  store<u32>(out, from, <usize>Batch.OFFSET);
  self.handedOut = 1;
}

/** Writes the rows that leave because of the batch that the port's program is bound to. */
export function joinPushDirect(context: usize, operator: usize, self: Join, port: u32, rows: u32): i32 {
  const program = joinProgram(self, port);
  if (!joinWindowsMake(self) || !joinDirectReserve(self, port, program, rows)) return failMemory(context, 0);
  const packs = ASC_FEATURE_SIMD && !joinIsNullAware(self);
  programLeavesTexts(program, packs && leavesTexts(self, port, program));
  const status = writeRows(context, operator, self, port, program, rows, packs);
  programLeavesTexts(program, false);
  return status;
}

function writeRows(context: usize, operator: usize, self: Join, port: u32, program: usize, rows: u32, packs: bool): i32 {
  const window = joinWindow(self, port);
  const byCode = linksOfCodes(self, port, program, rows);
  let selected: u32 = 0;
  let leaving: u32 = 0;
  for (let start: u32 = 0; start < rows; start += <u32>Abi.VECTOR_ROWS) {
    const count = programRun(context, program, start, min<u32>(<u32>Abi.VECTOR_ROWS, rows - start));
    if (count < 0) return count;
    if (count == 0) continue;
    if (!findLinks(self, port, program, count, byCode)) return failMemory(context, 0);
    const bits = self.leave + <usize>(start >> 3);
    const found = find(self, port, program, count, bits);
    if (!joinDirectAppend(self, port, program, count, found, packs ? bits : 0, packs, window)) return failMemory(context, 0);
    selected += count;
    leaving += found;
  }
  const all = window == 0 ? joinDirectFlush(self, port, false) : appendWindow(self, port, changetype<RowWindow>(window));
  if (!all) return failMemory(context, 0);
  if (packs) joinDirectRest(self, port, program, rows, leaving);
  changetype<Operator>(operator).rowsSelected += selected;
  self.written = leaving;
  self.given = 0;
  return leaving == 0 ? Status.NEED_INPUT : Status.HAS_MORE;
}

/** Empties the result and makes room for a push of so many rows. False when out of memory. */
export function joinDirectReserve(self: Join, port: u32, program: usize, rows: u32): bool {
  reserveFar(self, port, rows);
  if (!joinFreshOutput(self, rows)) return false;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const builder = outputColumn(self.output, index);
    if (builder.type != <u32>Type.BYTES) continue;
    const column = self.columns + <usize>index * 8;
    const side = load<u32>(column);
    const kept = joinStore(self, side);
    const at = load<u32>(column, 4);
    builder.dictionary = side == port ? ownDictionary(self, index, program, rows) : keptDictionary(self, kept, at);
    if (builder.dictionary != 0) continue;
    // Once for the push, where that is not much: builders that grow step by step copy what they have.
    let bytes = <u64>max(TEXT_SLACK, PIECE);
    if (side == port) bytes += <u64>programOutputTextBytes(program, storeColumn(kept, at).output);
    else if (kept.rows != 0) bytes += min<u64>(gatherBound(kept, at, rows), ROUGH_BYTES);
    if (bytes > 0x7fffffff || !builderReserveBytes(load<u32>(self.output), builder, <usize>bytes)) return false;
  }
  return true;
}

/** Room for the other side's rows of some vectors, where the push has several and there is memory; else of one. */
function reserveFar(self: Join, port: u32, rows: u32): void {
  if (rows > STEP && self.farBlock == 0) self.farBlock = regionBlock(outputRegion(self.output), (<usize>FAR_ROWS) << 3);
  const long = rows > STEP && self.farBlock != 0;
  self.farCount = 0;
  self.farMost = long ? FAR_ROWS : STEP;
  self.far = long ? self.farBlock : port == 0 ? self.found1 : self.found0;
  self.farCells = long ? self.farBlock + ((<usize>FAR_ROWS) << 2) : self.cells;
}

/** The dictionary that a column of the pushed side may leave as codes of; 0 where its texts leave. */
function ownDictionary(self: Join, index: u32, program: usize, rows: u32): usize {
  if (self.codes == 0) return 0;
  const output = storeColumn(joinStore(self, load<u32>(self.columns + <usize>index * 8)), load<u32>(self.columns + <usize>index * 8, 4)).output;
  const dictionary = programOutputDictionary(program, output);
  if (dictionary == 0) return 0;
  const codes = changetype<Codes>(self.codes + <usize>index * CODES_SIZE);
  return codesCopy(codes, load<u32>(self.output), dictionary, programOutputDictionaryId(program, output), rows);
}

/** The same for a column of the other side. */
function keptDictionary(self: Join, kept: Store, at: u32): usize {
  return self.codes != 0 && kept.rows != 0 && storeColumn(kept, at).coded ? storeDictionary(kept, at) : 0;
}

/** Where the links of the key's codes stand (code-links.ts); 0 where rows go the long way. */
function linksOfCodes(self: Join, port: u32, program: usize, rows: u32): usize {
  const known = changetype<CodeLinks>(self.codeLinks);
  const keys = changetype<Keys>(self.keys);
  return codeLinks(known, outputRegion(self.output), keys, port, program, rows, joinHeads(self, 1 - port), joinHeadCount(self, 1 - port));
}

/** The links of the vector's rows, in the place of their numbers; `byCode`: see `linksOfCodes`. False when out of memory. */
function findLinks(self: Join, port: u32, program: usize, count: u32, byCode: usize): bool {
  const keys = changetype<Keys>(self.keys);
  const heads = joinHeads(self, 1 - port);
  const headCount = joinHeadCount(self, 1 - port);
  if (byCode != 0) {
    const vector = changetype<Vector>(programOutput(program, 0));
    if (vector.validity == 0) {
      linksFind(byCode, changetype<CodeLinks>(self.codeLinks).length, vector.values, count, self.numbers);
      return true;
    }
  }
  const values = keysDistances(keys, program);
  if (values != 0) {
    linksFindFrom(heads, headCount, <u32>keys.low, values, count, self.numbers);
    return true;
  }
  if (!keysFind(keys, port, program, count, self.numbers)) return false;
  linksFind(heads, headCount, self.numbers, count, self.numbers);
  return true;
}

/**
 * Lists the vector's rows that leave, and beside each its row of the other side (NO_ROW where it has none); SIMD: also as
 * a bitmap (at `bits`), but for NULL_AWARE.
 */
function find(self: Join, port: u32, program: usize, count: u32, bits: usize): u32 {
  const mine = port == 0 ? self.found0 : self.found1;
  const theirs = joinFar(self);
  // ANTI wants the rows without a match, all others those with one.
  const others = self.type == <u32>JoinType.ANTI ? Listed.UNLINKED : Listed.LINKED;
  const listed = joinPreserves(self, port) ? Listed.ALL : others;
  const found = linksList(self.numbers, count, 0, listed, mine, theirs, bits, self.packing);
  if (joinPreserves(self, 1 - port)) mark(self, 1 - port, theirs, found);
  return joinIsNullAware(self) ? withKeys(self, program, found) : found;
}

/** NULL_AWARE: keeps of the listed rows those that leave though nulls may be equal to anything. */
function withKeys(self: Join, program: usize, count: u32): u32 {
  if (self.nulls1) return 0;
  const validity = changetype<Vector>(programOutput(program, 0)).validity;
  if (!self.some1 || validity == 0) return count;
  let found: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(self.found0 + ((<usize>at) << 2));
    store<u32>(self.found0 + ((<usize>found) << 2), row);
    found += bitmapGet(validity, row);
  }
  return found;
}

function mark(self: Join, port: u32, rows: usize, count: u32): void {
  const kept = joinStore(self, port);
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(rows + ((<usize>at) << 2));
    // A row that is not there is larger than any.
    if (row < kept.rows) store<u8>(storeMatched(kept, row), 1);
  }
}

/**
 * Writes the listed rows to the result, column by column; those of the other side go through the window, where there is
 * one. Where `bits` are not 0, they are of the vector's rows that are listed. Where it `rests`, columns that can wait for
 * `joinDirectRest` do. False when out of memory.
 */
export function joinDirectAppend(
  self: Join,
  port: u32,
  program: usize,
  count: u32,
  found: u32,
  bits: usize,
  rests: bool,
  window: usize,
): bool {
  if (found == 0) return true;
  appendOwn(self, port, program, count, found, bits, rests);
  if (window == 0) {
    self.farCount += found;
    return self.farCount + STEP <= self.farMost || joinDirectFlush(self, port, false);
  }
  const rows = changetype<RowWindow>(window);
  copyRun(rows.rows + ((<usize>rows.count) << 2), self.far, (<usize>found) << 2);
  rows.count += found;
  return rows.count < rows.most || appendWindow(self, port, rows);
}

/** The same of rows of port 0 where it is known already where the other side's lie (`farCells`). */
export function joinDirectAppendFound(self: Join, program: usize, count: u32, found: u32, rests: bool): bool {
  if (found == 0) return true;
  appendOwn(self, 0, program, count, found, 0, rests);
  self.farCount += found;
  return self.farCount + STEP <= self.farMost || joinDirectFlush(self, 0, true);
}

/** Writes the other side's columns of the rows that wait; `known`: it is said where they lie. False when out of memory. */
export function joinDirectFlush(self: Join, port: u32, known: bool): bool {
  const count = self.farCount;
  const kept = joinStore(self, 1 - port);
  self.farCount = 0;
  if (!known) gatherCells(kept, self.far, count, self.farCells);
  return appendKept(self, 1 - port, kept, self.farCells, self.far, count);
}

function appendOwn(self: Join, port: u32, program: usize, count: u32, found: u32, bits: usize, rests: bool): void {
  const mine = port == 0 ? self.found0 : self.found1;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = self.columns + <usize>index * 8;
    if (load<u32>(column) != port) continue;
    const builder = outputColumn(self.output, index);
    const output = storeColumn(joinStore(self, port), load<u32>(column, 4)).output;
    if (rests && wholeColumn(builder, program, output) != 0) continue;
    const vector = changetype<Vector>(programOutput(program, output));
    if (found == count && (vector.dictionary == 0 || builder.dictionary != 0)) builderAppendVector(builder, vector, count);
    else appendRows(builder, vector, mine, found, bits, count, self.packing);
  }
}

/**
 * Where an own column lies for the whole push, if its rows can be written all at once: without nulls, of four or eight
 * bytes or (its offsets) plain texts, in the batch. 0 where they cannot.
 */
function wholeColumn(builder: Builder, program: usize, output: u32): usize {
  const isCode = builder.dictionary != 0;
  const isText = builder.type == <u32>Type.BYTES && !isCode;
  const width: u32 = isCode ? 4 : <u32>typeWidth(builder.type);
  if (width != 4 && width != 8 && !isText) return 0;
  const at = isText
    ? programOffsets(program, output)
    : isCode
      ? programCodes(program, output)
      : programValues(program, output);
  return at == 0 || programValidity(program, output) != 0 ? 0 : at;
}

/** Whether a key is of plain texts. */
export function joinHasTextKey(self: Join, program: usize): bool {
  for (let key: u32 = 0; key < self.keyCount; key++) {
    if (programOutputType(program, key) == <u32>Type.BYTES && programOutputDictionary(program, key) == 0) return true;
  }
  return false;
}

/** Whether nobody reads a view of the push's plain texts: no key is one, and columns of them are written all at once. */
function leavesTexts(self: Join, port: u32, program: usize): bool {
  if (joinHasTextKey(self, program)) return false;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = self.columns + <usize>index * 8;
    const builder = outputColumn(self.output, index);
    if (load<u32>(column) != port || builder.type != <u32>Type.BYTES) continue;
    const output = storeColumn(joinStore(self, port), load<u32>(column, 4)).output;
    if (programOutputDictionary(program, output) == 0 && wholeColumn(builder, program, output) == 0) return false;
  }
  return true;
}

/**
 * Writes the own columns that lie in the batch, for the `rows` of the push so far: all of them leave, or those that `leave`
 * has, `leaving` in number.
 */
export function joinDirectRest(self: Join, port: u32, program: usize, rows: u32, leaving: u32): void {
  if (leaving == 0) return;
  const bits: usize = leaving == rows ? 0 : self.leave;
  const lends = (self.flags & <u32>JoinFlag.KEEP_RESULTS) != 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = self.columns + <usize>index * 8;
    if (load<u32>(column) != port) continue;
    const builder = outputColumn(self.output, index);
    const output = storeColumn(joinStore(self, port), load<u32>(column, 4)).output;
    const at = wholeColumn(builder, program, output);
    if (at == 0) continue;
    if (lends && bits == 0 && programShares(program, output)) {
      builderLend(outputRegion(self.output), builder, at, programTextBase(program, output), leaving);
      continue;
    }
    if (builder.type == <u32>Type.BYTES && builder.dictionary == 0) {
      if (bits == 0) appendTexts(builder, programTextBase(program, output), at, rows);
      else packTexts(builder, programTextBase(program, output), at, rows, bits);
    } else writeNumbers(self, builder, at, rows, bits);
    builder.length += leaving;
  }
}

/** Numbers, or codes, of all rows, or of those in `bits`. */
function writeNumbers(self: Join, builder: Builder, values: usize, rows: u32, bits: usize): void {
  const width: u32 = builder.dictionary != 0 ? 4 : <u32>typeWidth(builder.type);
  const target = gatherTarget(builder, width);
  if (bits == 0) copyRun(target, values, <usize>rows * <usize>width);
  else if (ASC_FEATURE_SIMD) {
    if (width == 4) pack32(values, bits, rows, self.packing, target);
    else pack64(values, bits, rows, self.packing, target);
  }
}

/** Writes the other side's columns of the rows in the window, which is empty then. False when out of memory. */
function appendWindow(self: Join, port: u32, window: RowWindow): bool {
  const count = window.count;
  window.count = 0;
  windowCopy(window, joinStore(self, 1 - port), count);
  return appendKept(self, 1 - port, changetype<Store>(window.copies), window.cells, window.rows, count);
}

/** Writes the columns of a side's rows, which are listed at `rows`, and lie where `cells` says. False when out of memory. */
function appendKept(self: Join, side: u32, kept: Store, cells: usize, rows: usize, count: u32): bool {
  if (count == 0) return true;
  const missing = joinMissing(self, joinPreserves(self, 1 - side), rows, count);
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const column = self.columns + <usize>index * 8;
    if (load<u32>(column) != side) continue;
    const builder = outputColumn(self.output, index);
    const at = load<u32>(column, 4);
    if (builder.type == <u32>Type.BYTES && builder.dictionary == 0 && kept.rows != 0) {
      let bytes = gatherBound(kept, at, count);
      if (bytes > ROUGH_BYTES) bytes = gatherBytes(joinStore(self, side), at, rows, count);
      bytes += <u64>TEXT_SLACK;
      if (bytes > 0x7fffffff || !builderReserveBytes(load<u32>(self.output), builder, <usize>bytes)) return false;
    }
  }
  gatherColumns(kept, side, self.columns, self.columnCount, self.output, cells, rows, count, missing);
  return true;
}

/** The bitmap of the listed rows that are not there, where there may be such; 0 where all are. */
export function joinMissing(self: Join, padded: bool, rows: usize, count: u32): usize {
  return padded && gatherMissing(rows, count, self.missing) ? self.missing : 0;
}

/** Hands out what a push has written: see op_pull. */
export function joinGive(self: Join, out: usize, maxRows: u32, limit: u64): void {
  let rows = min<u32>(self.written - self.given, maxRows);
  while (rows > 1 && textBytes(self, self.given, rows) > limit) rows >>= 1;
  joinHandOut(self, out, self.given, rows);
  self.given += rows;
}

/** Bytes of the texts of rows [from, from + rows) of the result. */
function textBytes(self: Join, from: u32, rows: u32): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    const builder = outputColumn(self.output, index);
    if (builder.type != <u32>Type.BYTES || builder.dictionary != 0) continue;
    const offsets = builder.offsets + ((<usize>from) << 2);
    bytes += <u64>(load<u32>(offsets + ((<usize>rows) << 2)) - load<u32>(offsets));
  }
  return bytes;
}
