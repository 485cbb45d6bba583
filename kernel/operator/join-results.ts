// What leaves a join: the work of its pulls, step by step.
//
// A step finds at most 2,048 rows, or pairs of rows (16,384 where those of a large side go through a window), drops what
// the residual refuses, marks who was matched, and is then handed on column by column, as far as the caller's limits
// allow. Between steps, and within one that is only half handed on, everything is in `Join`: a pull can stop anywhere, and
// be called again when memory was short.
//
// How long texts are is looked up only where the longest of the column, for each row, might pass the limits: the look
// is a cache miss a row. Without it a stream of two large sides takes 0.9 of the time (CPU time of the whole run, 400,000
// rows a side, six texts among thirteen columns).

import { Abi, Batch, Type } from "../abi/layout";
import { JoinType } from "../abi/operator";
import { Status } from "../abi/status";
import {
  builderReserveBytes,
  outputColumn,
  outputDescribe,
  outputRegion,
  outputReset,
} from "../column/builder";
import { Vector } from "../column/vector";
import { programBind, programOutput, programRun } from "../expression/program";
import { ROUGH_BYTES, TEXT_SLACK, appendNulls, gatherBound, gatherBytes, gatherCells } from "../join/gather";
import { RowWindow, windowCopy } from "../join/gather-rows";
import { gatherColumns } from "../join/gather-together";
import { KeyTier, Keys, NO_KEY, keysSpan } from "../join/keys";
import { ledgerClose } from "../join/ledger";
import { Listed, linksFind, linksList } from "../join/links";
import { Store, storeColumn, storeFree, storeMatched, storeNext } from "../join/store";
import { clearError, failMemory, scratchTake } from "../memory/context";
import { copyRun } from "../memory/copy";
import { regionFree } from "../memory/region";
import {
  CANDIDATES,
  changesAppendKinds,
  changesCountKeys,
  changesFindLone,
  changesFindPairs,
  changesLedger,
  changesScan,
  changesSettle,
} from "./join-changes";
import { joinFreshOutput, joinGive, joinHandOut, joinMissing } from "./join-direct";
import {
  Join,
  Phase,
  joinDecide,
  joinDuplicates,
  joinEnded,
  joinClosed,
  joinFilters,
  joinHeadCount,
  joinHeads,
  joinIndexSome,
  joinIndexed,
  joinIsNullAware,
  joinIsSmall,
  joinOf,
  joinPreserves,
  joinReserveHeads,
  joinStaysAway,
  joinStep,
  joinStore,
  joinTier,
} from "./join-state";
import { joinSettle } from "./join-range";
import { joinReadyDrop, joinReadyEnd } from "./join-ready";
import { timeAdvance } from "./join-time";
import { joinPairStep, joinWindowDrop, joinWindowFor, joinWindowsMake } from "./join-window";
import { joinPending } from "./join";
import { Operator } from "./operator";

/** Steps without a result after which a pull returns. */
const FRUITLESS_STEPS: u32 = 64;
/** Rows that a step looks at, at most. */
const SCAN_ROWS: u32 = 1 << 16;
const ALL_BYTES: u64 = 0x7fffffff;

/** The next rows: see op_pull. */
export function joinPull(context: usize, operator: usize, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const self = joinOf(operator);
  const limit: u64 = maxBytes == 0 ? ALL_BYTES : min<u64>(maxBytes, ALL_BYTES);
  if (self.given < self.written) {
    joinGive(self, out, maxRows, limit);
    return status(operator);
  }
  const most = min<u32>(maxRows, <u32>Abi.MORSEL_ROWS);
  if (!joinPending(operator)) return status(operator);
  if (!joinWindowsMake(self) || !joinFreshOutput(self, most)) return failMemory(context, 0);
  let rows: u32 = 0;
  let patience: u32 = joinIsSmall(self) ? 1 : FRUITLESS_STEPS;
  while (rows < most) {
    if (self.taken >= self.ready) {
      if (!joinPending(operator)) break;
      if (patience-- == 0) break;
      const status = advance(context, self);
      if (status < 0) return gaveUp(context, operator, out, rows, status);
      continue;
    }
    let some = min<u32>(self.ready - self.taken, most - rows);
    const room = limit - min<u64>(resultBytes(self), limit);
    if (stepBound(self, some) > room) {
      while (some > 1 && stepBytes(self, some) > room) some >>= 1;
      if (rows != 0 && stepBytes(self, some) > room) break;
    }
    if (!reserveTexts(self, self.output, self.columns, self.columnCount, self.taken, some)) {
      return gaveUp(context, operator, out, rows, failMemory(context, 0));
    }
    append(self, self.output, self.columns, self.columnCount, self.taken, some);
    if (self.changes != 0) changesAppendKinds(self, self.taken, some);
    self.taken += some;
    rows += some;
  }
  return answer(operator, out, rows);
}

function answer(operator: usize, out: usize, rows: u32): i32 {
  if (rows != 0) joinHandOut(joinOf(operator), out, 0, rows);
  return status(operator);
}

function status(operator: usize): i32 {
  if (joinPending(operator)) return Status.HAS_MORE;
  return changetype<Operator>(operator).ended ? Status.FINISHED : Status.NEED_INPUT;
}

/** What was gathered before memory ended leaves; any other error ends the operator. */
function gaveUp(context: usize, operator: usize, out: usize, rows: u32, status: i32): i32 {
  if (status != <i32>Status.OUT_OF_MEMORY) {
    changetype<Operator>(operator).failed = 1;
    return status;
  }
  if (rows == 0) return status;
  clearError(context);
  return answer(operator, out, rows);
}

// ---- one step

/** Finds the next rows, or does some of the work that leads to them. Negative status with the error recorded. */
function advance(context: usize, self: Join): i32 {
  self.ready = 0;
  self.taken = 0;
  if (self.candidates != 0) return settle(context, self);
  if (self.time != 0) {
    const status = timeAdvance(context, self);
    return status == 0 && self.candidates != 0 ? settle(context, self) : status;
  }
  switch (self.phase) {
    case Phase.PAIRS:
      if (self.changes != 0) changesFindPairs(self);
      else findPairs(self);
      return self.candidates != 0 ? settle(context, self) : 0;
    case Phase.LONE:
      if (self.changes != 0) changesFindLone(self);
      else findLone(self);
      return 0;
    case Phase.SCAN:
      if (self.changes != 0) return changesScan(context, self);
      scan(self);
      return 0;
    case Phase.INDEX:
      return index(context, self);
    default:
      close(self);
      return 0;
  }
}

function findPairs(self: Join): void {
  const skips = joinFilters(self) && self.residual == 0;
  if (skips && self.port == 0) {
    self.phase = Phase.LONE;
    self.at = 0;
    return;
  }
  if (skips) findFirstMatches(self);
  else if (joinDuplicates(self, 1 - self.port) || joinIsSmall(self)) walkChains(self);
  else lookUp(self);
  if (self.at < self.rows) return;
  self.phase = Phase.LONE;
  self.at = 0;
}

/** Where the other side has each key once at most: no chains to walk, and no branch on whether it is there. */
function lookUp(self: Join): void {
  const port = self.port;
  const rows = min<u32>(self.rows - self.at, joinPairStep(self));
  const mine = port == 0 ? self.found0 : self.found1;
  const theirs = port == 0 ? self.found1 : self.found0;
  // Nothing is being gathered now.
  const links = self.cells;
  const numbers = self.numbers + ((<usize>self.at) << 2);
  linksFind(joinHeads(self, 1 - port), joinHeadCount(self, 1 - port), numbers, rows, links);
  self.candidates = linksList(links, rows, self.first + self.at, Listed.LINKED, mine, theirs, 0, self.packing);
  self.at += rows;
}

function walkChains(self: Join): void {
  const most = joinPairStep(self);
  const heads = joinHeads(self, 1 - self.port);
  const other = joinStore(self, 1 - self.port);
  const mine = self.port == 0 ? self.found0 : self.found1;
  const theirs = self.port == 0 ? self.found1 : self.found0;
  const end = self.at + min<u32>(self.rows - self.at, SCAN_ROWS);
  let found: u32 = 0;
  let row = self.at;
  let link = self.chain;
  for (; row < end && found < most; row++) {
    if (link == 0) {
      const number = load<u32>(self.numbers + ((<usize>row) << 2));
      if (number != NO_KEY) link = load<u32>(heads + ((<usize>number) << 2));
    }
    while (link != 0 && found < most) {
      store<u32>(mine + ((<usize>found) << 2), self.first + row);
      store<u32>(theirs + ((<usize>found) << 2), link - 1);
      found++;
      link = load<u32>(storeNext(other, link - 1));
    }
    if (link != 0) break;
  }
  self.at = row;
  self.chain = link;
  self.candidates = found;
}

/**
 * SEMI and ANTI, from port 1: rows of port 0 whose key comes there for the first time. They are matched all
 * together, so the newest of them tells whether that has happened.
 */
function findFirstMatches(self: Join): void {
  const kept = joinStore(self, 0);
  const most = joinStep(self);
  let found: u32 = 0;
  let row = self.at;
  let link = self.chain;
  for (; row < self.rows && found < most; row++) {
    if (link == 0) {
      const number = load<u32>(self.numbers + ((<usize>row) << 2));
      if (number != NO_KEY) link = load<u32>(self.heads0 + ((<usize>number) << 2));
      if (link != 0 && load<u8>(storeMatched(kept, link - 1))) link = 0;
    }
    while (link != 0 && found < most) {
      store<u8>(storeMatched(kept, link - 1), 1);
      store<u32>(self.found0 + ((<usize>found) << 2), link - 1);
      found++;
      link = load<u32>(storeNext(kept, link - 1));
    }
    if (link != 0) break;
  }
  self.at = row;
  self.chain = link;
  if (self.type == <u32>JoinType.ANTI) return;
  self.ready = found;
  self.sides = 1;
}

/** Pairs that the residual passes mark their rows, and are ready. */
function settle(context: usize, self: Join): i32 {
  if (self.residual != 0) {
    const status = refuse(context, self);
    if (status < 0) return status;
  }
  if (self.changes != 0) {
    changesSettle(self);
    return 0;
  }
  const count = self.candidates;
  self.candidates = 0;
  if (joinPreserves(self, 0)) mark(joinStore(self, 0), self.found0, count);
  if (joinPreserves(self, 1)) mark(joinStore(self, 1), self.found1, count);
  if (!joinFilters(self)) {
    self.ready = count;
    self.sides = 3;
    return 0;
  }
  const firsts = markFirst(joinStore(self, 0), self.found0, count);
  if (self.type == <u32>JoinType.ANTI) return 0;
  self.ready = firsts;
  self.sides = 1;
  return 0;
}

function mark(kept: Store, rows: usize, count: u32): void {
  for (let at: u32 = 0; at < count; at++) store<u8>(storeMatched(kept, load<u32>(rows + ((<usize>at) << 2))), 1);
}

/** Marks rows, and keeps of the list those that were not marked before. */
function markFirst(kept: Store, rows: usize, count: u32): u32 {
  let left: u32 = 0;
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(rows + ((<usize>at) << 2));
    const flag = storeMatched(kept, row);
    store<u32>(rows + ((<usize>left) << 2), row);
    left += load<u8>(flag) ? 0 : 1;
    store<u8>(flag, 1);
  }
  return left;
}

/** Runs the residual over the candidates and keeps the pairs that pass. */
function refuse(context: usize, self: Join): i32 {
  const count = self.candidates;
  const output = self.residualOutput;
  const batch = scratchTake(context, <usize>Batch.SIZE);
  if (batch == 0 || !outputReset(output, count)) return failMemory(context, 0);
  self.sides = 3;
  const first = self.changes != 0 ? CANDIDATES : 0;
  const found0 = self.found0 + ((<usize>first) << 2);
  const found1 = self.found1 + ((<usize>first) << 2);
  if (!reserveTexts(self, output, self.residualColumns, self.residualCount, first, count)) return failMemory(context, 0);
  append(self, output, self.residualColumns, self.residualCount, first, count);
  outputDescribe(output, batch, count, 0);
  const bound = programBind(context, self.residual, batch);
  if (bound < 0) return bound;
  const passed = programRun(context, self.residual, 0, count);
  if (passed < 0) return passed;
  const rows = changetype<Vector>(programOutput(self.residual, 0)).values;
  for (let at: u32 = 0; at < <u32>passed; at++) {
    const row = (<usize>load<u32>(rows + ((<usize>at) << 2))) << 2;
    store<u32>(found0 + ((<usize>at) << 2), load<u32>(found0 + row));
    store<u32>(found1 + ((<usize>at) << 2), load<u32>(found1 + row));
  }
  self.candidates = passed;
  return 0;
}

/** Rows of the push at hand that leave alone, now that all their matches are known. */
function findLone(self: Join): void {
  const port = self.port;
  const filters = joinFilters(self);
  const last = joinClosed(self, 1 - port);
  const alone = last && (joinPreserves(self, port) || (port == 0 && self.type == <u32>JoinType.ANTI));
  const chosen = port == 0 && filters && self.residual == 0;
  if (!alone && !chosen) {
    self.phase = Phase.IDLE;
    return;
  }
  const kept = joinStore(self, port);
  const heads = joinHeads(self, 1 - port);
  const rows = port == 0 ? self.found0 : self.found1;
  const end = self.at + min<u32>(self.rows - self.at, joinStep(self));
  const leaves: u32 = self.type == <u32>JoinType.SEMI ? 1 : 0;
  const aware = alone && joinIsNullAware(self);
  let found: u32 = 0;
  for (let row = self.at; row < end; row++) {
    const flag = storeMatched(kept, self.first + row);
    let has: u32 = load<u8>(flag);
    if (chosen) {
      const number = load<u32>(self.numbers + ((<usize>row) << 2));
      has = number != NO_KEY && load<u32>(heads + ((<usize>number) << 2)) != 0 ? 1 : 0;
      store<u8>(flag, <u8>has);
    }
    if (aware && joinStaysAway(self, self.first + row)) has = 1;
    store<u32>(rows + ((<usize>found) << 2), self.first + row);
    found += has == leaves ? 1 : 0;
  }
  self.at = end;
  if (end == self.rows) self.phase = Phase.IDLE;
  // Of an ANTI whose other port is open, matches are only noted.
  self.ready = alone || leaves ? found : 0;
  self.sides = 1 << port;
}

// ---- the end of a port

/** Begins what follows from a port's end. */
function close(self: Join): void {
  self.port = self.ended0 && !self.closed0 ? 0 : 1;
  self.at = 0;
  self.phase = Phase.SCAN;
}

/** Rows of the other side that nothing matched, and that nothing will any more. */
function scan(self: Join): void {
  const port = 1 - self.port;
  const kept = joinStore(self, port);
  const wanted = joinPreserves(self, port) || (port == 0 && self.type == <u32>JoinType.ANTI);
  // A port that has closed before kept nothing since but the rows of its last push.
  if (wanted && !isPassing(self, port)) {
      const rows = port == 0 ? self.found0 : self.found1;
    const most = joinStep(self);
    const end = self.at + min<u32>(kept.rows - self.at, SCAN_ROWS);
    const aware = joinIsNullAware(self);
    let row = self.at;
    let found: u32 = 0;
    for (; row < end && found < most; row++) {
      if (load<u8>(storeMatched(kept, row)) || (aware && joinStaysAway(self, row))) continue;
      store<u32>(rows + ((<usize>found) << 2), row);
      found++;
    }
    self.at = row;
    self.ready = found;
    self.sides = 1 << port;
    if (row < kept.rows) return;
  }
  self.phase = Phase.INDEX;
}

/** Whether the store of a port holds only the rows of its last push: the other port closed before it. */
function isPassing(self: Join, port: u32): bool {
  return joinClosed(self, 1 - port);
}

/** Lets the other side's rows go, and makes this side's index ready for those that come there. */
function index(context: usize, self: Join): i32 {
  const port = self.port;
  const other = 1 - port;
  // Rows of a step that is still to be handed on lie there: this is never reached before they left.
  const stays = self.changes != 0 && other == 1 && changesCountKeys(self);
  if (!isPassing(self, other) && !stays) drop(self, other);
  // Of changes rows are indexed as they come.
  if (!joinEnded(self, other) && self.changes == 0) {
    const keys = changetype<Keys>(self.keys);
    if (joinTier(self) == <u32>KeyTier.UNDECIDED) joinDecide(self, port);
    joinReadyEnd(context, self);
    if (!joinReserveHeads(self, port, keysSpan(keys)) || !joinIndexSome(self, port)) return failMemory(context, 0);
    if (joinIndexed(self, port) < joinStore(self, port).rows) return 0;
    joinSettle(self, port);
  }
  if (port == 0) self.closed0 = 1;
  else self.closed1 = 1;
  self.phase = Phase.IDLE;
  if (self.closed0 && self.closed1) {
    drop(self, 0);
    drop(self, 1);
  }
  return 0;
}

function drop(self: Join, port: u32): void {
  const kept = joinStore(self, port);
  joinReadyDrop(self, port);
  storeFree(kept);
  if (self.changes != 0) ledgerClose(changesLedger(self, port));
  regionFree(kept.region, joinHeads(self, port));
  joinWindowDrop(self, port);
  regionFree(outputRegion(self.output), self.farBlock);
  self.farBlock = 0;
  if (port == 0) {
    self.heads0 = 0;
    self.headCount0 = 0;
    self.indexed0 = 0;
  } else {
    self.heads1 = 0;
    self.headCount1 = 0;
    self.indexed1 = 0;
  }
}

// ---- columns

/** Bytes of the texts that the result has so far. */
function resultBytes(self: Join): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) bytes += <u64>outputColumn(self.output, index).bytes;
  return bytes;
}

/** Bytes of the texts of `count` rows of the step from `taken` on, in all result columns. */
function stepBytes(self: Join, count: u32): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    bytes += columnBytes(self, self.columns + <usize>index * 8, self.taken, count);
  }
  return bytes;
}

/** What these take at most, found without looking at them. */
function stepBound(self: Join, count: u32): u64 {
  let bytes: u64 = 0;
  for (let index: u32 = 0; index < self.columnCount; index++) {
    bytes += columnBound(self, self.columns + <usize>index * 8, count);
  }
  return bytes;
}

/** Whether a column (u32 port, u32 store column) has texts that are there, and not nulls alone. */
function hasTexts(self: Join, column: usize): bool {
  const port = load<u32>(column);
  const kept = joinStore(self, port);
  const isText = storeColumn(kept, load<u32>(column, 4)).type == <u32>Type.BYTES;
  return isText && ((self.sides >> port) & 1) != 0 && kept.rows != 0;
}

/** Bytes of the texts of one column. */
function columnBytes(self: Join, column: usize, from: u32, count: u32): u64 {
  if (!hasTexts(self, column)) return 0;
  const port = load<u32>(column);
  const rows = (port == 0 ? self.found0 : self.found1) + ((<usize>from) << 2);
  return gatherBytes(joinStore(self, port), load<u32>(column, 4), rows, count);
}

function columnBound(self: Join, column: usize, count: u32): u64 {
  if (!hasTexts(self, column)) return 0;
  return gatherBound(joinStore(self, load<u32>(column)), load<u32>(column, 4), count);
}

function reserveTexts(self: Join, output: usize, columns: usize, count: u32, from: u32, rows: u32): bool {
  for (let index: u32 = 0; index < count; index++) {
    const builder = outputColumn(output, index);
    if (builder.type != <u32>Type.BYTES) continue;
    const column = columns + <usize>index * 8;
    let bytes = columnBound(self, column, rows);
    if (bytes > ROUGH_BYTES) bytes = columnBytes(self, column, from, rows);
    if (bytes + <u64>TEXT_SLACK > ALL_BYTES) return false; // unreached: 2 GiB of texts
    if (!builderReserveBytes(load<u32>(output), builder, <usize>bytes + TEXT_SLACK)) return false;
  }
  return true;
}

function append(self: Join, output: usize, columns: usize, count: u32, from: u32, rows: u32): void {
  appendSide(self, 0, output, columns, count, from, rows);
  appendSide(self, 1, output, columns, count, from, rows);
}

/** The columns of one side. */
function appendSide(self: Join, side: u32, output: usize, columns: usize, count: u32, from: u32, rows: u32): void {
  const kept = joinStore(self, side);
  if (((self.sides >> side) & 1) != 0) {
    const listed = (side == 0 ? self.found0 : self.found1) + ((<usize>from) << 2);
    const lacks = self.changes != 0 && self.type != <u32>JoinType.INNER;
    const padded = lacks || (side == 1 && self.padded != 0);
    const window = joinWindowFor(self, side, rows);
    if (window == 0) {
      gatherCells(kept, listed, rows, self.cells);
      gatherColumns(kept, side, columns, count, output, self.cells, listed, rows, joinMissing(self, padded, listed, rows));
      return;
    }
    const through = changetype<RowWindow>(window);
    for (let done: u32 = 0; done < rows; done += through.most) {
      const some = min(rows - done, through.most);
      copyRun(through.rows, listed + ((<usize>done) << 2), (<usize>some) << 2);
      windowCopy(through, kept, some);
      const copies = changetype<Store>(through.copies);
      gatherColumns(copies, side, columns, count, output, through.cells, through.rows, some, joinMissing(self, padded, through.rows, some));
    }
    return;
  }
  for (let index: u32 = 0; index < count; index++) {
    if (load<u32>(columns + <usize>index * 8) == side) appendNulls(outputColumn(output, index), rows);
  }
}
