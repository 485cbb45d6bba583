// A join that follows changes: either side may be a changelog, whose -U and -D rows take earlier rows back, and what
// leaves is one, of +I and -D.
//
// Each row of a side counts 1, or -1 while it is owed (kernel/join/ledger.ts). A change, of a row that comes or one
// that goes, leaves with every row of the other side that matches it, and counts the product of both: that is linear, so
// for pairs neither the order of the changes nor whether a row was taken back before it came makes a difference. Rows
// that leave alone (padded, or of SEMI and ANTI) depend on whether the sum of what they match is above 0, which is kept
// for each row; where it passes between 0 and 1 the row leaves, or is taken back. So what has left is at any time the
// join of what has come, and taken together the changes are the join of what there is at the end, to the last bit.
//
// Where only keys decide (SEMI and ANTI without a residual) port 1 has a sum for each key instead, and rows of port 0 look
// there: neither goes through all rows of the other side's key.
//
// Rows that would leave for want of a match wait for the end of the other port, as in a join without changes, unless
// corrections are asked for (CORRECT). Once a port has ended the other's rows are not kept, and need not be: against
// rows that stay every change stands for itself. Rows whose key is null never match: they are not kept either, and where
// they leave they do so at once. NULL_AWARE they are kept in a chain of their own, and leave by the sums of all rows of
// port 1, and of those there without a key; when the latter passes between 0 and 1 all rows turn that no key keeps.
//
// The changes of a push are numbered as its rows are; one that takes back a row of the same push undoes it, and neither
// leaves. The pulls after it find pairs as other joins do, in steps that may stop anywhere (join-results.ts).
//
//   found 0 | found 1   u32 rows of a step: up to two steps of those that leave, then one of candidates
//   kinds               their row kinds

import { Abi, Batch, Type } from "../abi/layout";
import { JoinConfig, JoinFault, JoinFlag, JoinType, RowKind } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { outputColumn, vectorIsValid } from "../column/builder";
import { Vector } from "../column/vector";
import { programOutput, programOutputType, programOutputs, programRun } from "../expression/program";
import { NO_ROW } from "../join/gather";
import { Keys, NO_KEY, keysAssign, keysFind, keysReserve, keysSpan } from "../join/keys";
import {
  LEDGER_SIZE,
  Ledger,
  RowState,
  changeWeight,
  ledgerAdd,
  ledgerBefore,
  ledgerHash,
  ledgerInit,
  ledgerMatches,
  ledgerReserve,
  ledgerSet,
  ledgerSettle,
  ledgerState,
  ledgerTake,
  ledgerTouch,
  stateWeight,
} from "../join/ledger";
import { linkOf } from "../join/links";
import { storeAppend, storeClear, storeCommit, storeNext, storeReserve } from "../join/store";
import { fail, failMemory, failValue } from "../memory/context";
import { REGION_SIZE, regionBlock, regionBytes, regionCut, regionDestroy, regionInitLike } from "../memory/region";
import { changesCompact } from "./join-changes-compact";
import {
  Join,
  Phase,
  STEP,
  joinClosed,
  joinFilters,
  joinHeadCount,
  joinHeads,
  joinIsNullAware,
  joinLacksKey,
  joinPreserves,
  joinProgram,
  joinReserveHeads,
  joinStep,
  joinStore,
} from "./join-state";
import { Operator } from "./operator";

// @ts-ignore: decorator
@unmanaged
export class Changes {
  /** Per port the program's output that is the row kind, plus one; 0 where rows only come. */
  kind0: u32;
  kind1: u32;
  ledger0: usize;
  ledger1: usize;
  /** Per change of the push at hand u32 the row that comes or goes, NO_ROW where it was undone. */
  rows: usize;
  /** Per row of the push whether it is taken back, a byte. */
  signs: usize;
  /** Row kinds of the rows that are ready, a byte each. */
  kinds: usize;
  /** Two regions, of which one has what is kept of rows, and how many rows there are when it is looked at. */
  generations: usize;
  compactAt: u32;
  /** NULL_AWARE: the chain of rows of port 0 without a key; the sums of all rows of port 1, and of those without a key. */
  keyless: u32;
  all: i64;
  nulls: i64;
  /** Whether these were above 0 before the push at hand. */
  hadSome: u32;
  hadNulls: u32;
}

/** Where candidates lie in `found0` and `found1`, and how many rows there is room for. */
export const CANDIDATES: u32 = STEP * 2;
export const FOUND_ROWS: u32 = STEP * 3;
/** Rows that a step looks at, at most. */
const SCAN_ROWS: u32 = 1 << 16;

// @ts-ignore: decorator
@inline
export function changesOf(self: Join): Changes {
  return changetype<Changes>(self.changes);
}

// @ts-ignore: decorator
@inline
export function changesLedger(self: Join, port: u32): Ledger {
  return changetype<Ledger>(port == 0 ? changesOf(self).ledger0 : changesOf(self).ledger1);
}

/** Whether the configuration asks for changes. */
export function changesAreAsked(self: Join, kinds: u32): bool {
  return kinds != 0 || (self.flags & <u32>JoinFlag.CORRECT) != 0;
}

/** Whether the configuration's row kinds are sound: outputs of the programs, each an I8. */
export function changesAreSound(self: Join, config: usize): bool {
  const kinds = load<u32>(config, <usize>JoinConfig.KINDS);
  if (!changesAreAsked(self, kinds)) return true;
  for (let port: u32 = 0; port < 2; port++) {
    const kind = kindOf(kinds, port);
    const program = joinProgram(self, port);
    if (kind == 0) continue;
    if (kind > programOutputs(program) || programOutputType(program, kind - 1) != <u32>Type.I8) return false;
  }
  return true;
}

function kindOf(kinds: u32, port: u32): u32 {
  return port == 0 ? kinds & 0xffff : kinds >> 16;
}

/** False when out of memory. */
export function changesCreate(self: Join, region: usize, kinds: u32): bool {
  const address = regionCut(region, offsetof<Changes>());
  const generations = regionCut(region, REGION_SIZE * 2);
  if (address == 0 || generations == 0) return false;
  regionInitLike(generations, region);
  regionInitLike(generations + REGION_SIZE, region);
  self.changes = address;
  const changes = changesOf(self);
  changes.generations = generations;
  changes.kind0 = kindOf(kinds, 0);
  changes.kind1 = kindOf(kinds, 1);
  changes.rows = regionBlock(region, <usize>Abi.MORSEL_ROWS * 4);
  changes.signs = regionBlock(region, <usize>Abi.MORSEL_ROWS);
  changes.kinds = regionBlock(region, <usize>CANDIDATES);
  return changes.rows != 0 && changes.signs != 0 && changes.kinds != 0;
}

/** Ledgers without rows in a region, one a port; false when out of memory. */
export function changesLedgers(self: Join, region: usize, seed: u32): bool {
  const changes = changesOf(self);
  changes.ledger0 = regionCut(region, LEDGER_SIZE);
  changes.ledger1 = regionCut(region, LEDGER_SIZE);
  if (changes.ledger0 == 0 || changes.ledger1 == 0) return false;
  const hashZero = (self.fault & <u32>JoinFault.HASH_ZERO) != 0;
  const counts = changesCountKeys(self);
  const counts0 = joinPreserves(self, 0) || (joinFilters(self) && !counts);
  const counts1 = joinPreserves(self, 1) || counts;
  return (
    ledgerInit(changes.ledger0, region, changes.kind0 != 0, counts0, hashZero, seed) &&
    ledgerInit(changes.ledger1, region, changes.kind1 != 0 && !counts, counts1, hashZero, seed)
  );
}

/** Whether rows of port 1 only tell which keys there are: then one row of each key is kept, with their sum. */
export function changesCountKeys(self: Join): bool {
  return joinFilters(self) && self.residual == 0;
}

/** Where only keys decide: whether rows of port 0 of a key, or without one, leave. */
function leavesByKey(self: Join, number: u32): bool {
  if (!joinIsNullAware(self)) return isAlone(self, countOf(self, number));
  const changes = changesOf(self);
  if (changes.nulls > 0) return false;
  return number == NO_KEY ? changes.all <= 0 : countOf(self, number) <= 0;
}

/** The sum of the rows of port 1 that have a key. */
function countOf(self: Join, number: u32): i32 {
  if (self.heads1 == 0) return 0;
  const link = linkOf(self.heads1, self.headCount1, number);
  return link == 0 ? 0 : load<i32>(ledgerMatches(changesLedger(self, 1), link - 1));
}

/** The region that has what is kept of rows. */
export function changesGeneration(self: Join): usize {
  return joinStore(self, 0).region;
}

export function changesBytes(self: Join): u32 {
  return regionBytes(changesGeneration(self));
}

export function changesDestroy(self: Join): void {
  const generations = changesOf(self).generations;
  regionDestroy(generations);
  regionDestroy(generations + REGION_SIZE);
}

// ---- what leaves alone

/** Whether rows of the port leave alone: padded, or of a join that has only rows of port 0. */
function leavesAlone(self: Join, port: u32): bool {
  return joinPreserves(self, port) || (port == 0 && joinFilters(self));
}

/** Whether rows of the port that nothing matches leave only when the other one has ended. */
function waits(self: Join, port: u32): bool {
  if ((self.flags & <u32>JoinFlag.CORRECT) != 0 || self.type == <u32>JoinType.SEMI) return false;
  return leavesAlone(self, port) && !joinClosed(self, 1 - port);
}

/** Whether rows of the port leave alone as soon as they can. */
function leavesNow(self: Join, port: u32): bool {
  return leavesAlone(self, port) && !waits(self, port);
}

/** Whether a row leaves alone that matches so many. */
// @ts-ignore: decorator
@inline
function isAlone(self: Join, matches: i32): bool {
  return (matches > 0) == (self.type == <u32>JoinType.SEMI);
}

// ---- input

/** Takes in the changes of a batch that the port's program is bound to: see op_push. */
export function changesPush(context: usize, operator: usize, self: Join, port: u32, program: usize, batch: usize): i32 {
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  const counts = port == 1 && changesCountKeys(self);
  const keeps = counts || !joinClosed(self, 1 - port);
  if (!keeps) storeClear(joinStore(self, port));
  else changesCompact(self);
  const kept = joinStore(self, port);
  const keys = changetype<Keys>(self.keys);
  const first = kept.rows;
  if (
    !storeReserve(kept, program, rows) ||
    (keeps && !keysReserve(keys, program, rows)) ||
    !ledgerReserve(changesLedger(self, port), first + rows)
  )
    return failMemory(context, 0);
  let selected: u32 = 0;
  for (let start: u32 = 0; start < rows; start += <u32>Abi.VECTOR_ROWS) {
    const count = programRun(context, program, start, min<u32>(<u32>Abi.VECTOR_ROWS, rows - start));
    if (count < 0) return count;
    if (count == 0) continue;
    const status = readKinds(context, self, port, program, count, selected);
    if (status < 0) return status;
    const numbers = self.numbers + ((<usize>selected) << 2);
    const numbered = keeps
      ? keysAssign(keys, port, program, count, numbers) &&
        joinReserveHeads(self, 0, keysSpan(keys)) &&
        joinReserveHeads(self, 1, keysSpan(keys))
      : keysFind(keys, port, program, count, numbers);
    if (!numbered || !storeAppend(kept, program, first + selected, count)) return failMemory(context, 0);
    selected += count;
  }
  storeCommit(kept, selected);
  changetype<Operator>(operator).rowsSelected += selected;
  if (selected == 0) return Status.NEED_INPUT;
  if (counts) count(self, first, selected);
  else if (keeps) keep(self, port, first, selected);
  else pass(self, port, selected);
  if (joinStore(self, 1 - port).rows == 0 && !leavesAlone(self, port)) return Status.NEED_INPUT;
  self.phase = Phase.PAIRS;
  self.port = port;
  self.rows = selected;
  self.at = 0;
  self.chain = 0;
  return Status.HAS_MORE;
}

/** Notes which rows of the vector at hand are taken back. Negative status with the error recorded. */
function readKinds(context: usize, self: Join, port: u32, program: usize, rows: u32, done: u32): i32 {
  const changes = changesOf(self);
  const output = port == 0 ? changes.kind0 : changes.kind1;
  const signs = changes.signs + <usize>done;
  if (output == 0) {
    memory.fill(signs, 0, rows);
    return 0;
  }
  const kinds = changetype<Vector>(programOutput(program, output - 1));
  for (let row: u32 = 0; row < rows; row++) {
    const kind = load<u8>(kinds.values + <usize>row);
    const valid = vectorIsValid(kinds, row);
    if (kind > 3 || !valid) {
      if (valid) failValue(context, Type.I8, kind, 0);
      return fail(context, Status.BAD_ARGUMENT, Reason.ROW_KIND);
    }
    // -U and -D are odd.
    store<u8>(signs + <usize>row, kind & 1);
  }
  return 0;
}

/** The rows of a push that is not kept: each is a change of its own. */
function pass(self: Join, port: u32, count: u32): void {
  const changes = changesOf(self);
  const ledger = changesLedger(self, port);
  for (let row: u32 = 0; row < count; row++) {
    ledgerSet(ledger, row, load<u8>(changes.signs + <usize>row));
    store<u32>(changes.rows + ((<usize>row) << 2), row);
  }
}

/** Keeps the rows of a push that come, takes out those that they take back, and lists the changes. */
function keep(self: Join, port: u32, first: u32, count: u32): void {
  const changes = changesOf(self);
  const ledger = changesLedger(self, port);
  const kept = joinStore(self, port);
  for (let at: u32 = 0; at < count; at++) {
    const row = first + at;
    const sign: u32 = load<u8>(changes.signs + <usize>at);
    const number = load<u32>(self.numbers + ((<usize>at) << 2));
    const change = changes.rows + ((<usize>at) << 2);
    store<u32>(change, row);
    if (number == NO_KEY && !joinIsNullAware(self)) {
      ledgerSet(ledger, row, <u32>RowState.GONE | (sign ^ 1));
      continue;
    }
    if (ledger.retracts) ledgerHash(ledger, kept, row);
    const found = sign != 0 || ledger.owed != 0 ? ledgerTake(ledger, kept, row, sign) : 0;
    if (found == 0) {
      ledgerAdd(ledger, row, sign);
      changesLink(self, port, row, number);
      continue;
    }
    ledgerSet(ledger, row, RowState.GONE);
    unlink(self, port, found - 1, number);
    const undone = found - 1 >= first;
    if (undone) store<u32>(changes.rows + ((<usize>(found - 1 - first)) << 2), NO_ROW);
    store<u32>(change, undone ? NO_ROW : found - 1);
  }
}

/** A change of the sum of its key, before which there was no row of it, or there were some. */
const HAD_SOME: u32 = 0x80000000;

/**
 * Adds the rows of a push of port 1 to the sums of their keys, of which the first row stands for the others. A change is
 * left for each key whose sum has passed between 0 and 1: what the push adds and takes away again moves nothing.
 */
function count(self: Join, first: u32, rows: u32): void {
  const changes = changesOf(self);
  const ledger = changesLedger(self, 1);
  changes.hadSome = changes.all > 0 ? 1 : 0;
  changes.hadNulls = changes.nulls > 0 ? 1 : 0;
  for (let at: u32 = 0; at < rows; at++) {
    const row = first + at;
    const number = load<u32>(self.numbers + ((<usize>at) << 2));
    const change = changes.rows + ((<usize>at) << 2);
    const weight = stateWeight(load<u8>(changes.signs + <usize>at));
    store<u32>(change, NO_ROW);
    ledgerSet(ledger, row, RowState.GONE);
    changes.all += weight;
    if (number == NO_KEY) {
      changes.nulls += weight;
      continue;
    }
    if (load<u32>(self.heads1 + ((<usize>number) << 2)) == 0) changesLink(self, 1, row, number);
    const known = load<u32>(self.heads1 + ((<usize>number) << 2)) - 1;
    const matches = ledgerMatches(ledger, known);
    const before = load<i32>(matches);
    store<i32>(matches, before + weight);
    if (!ledgerTouch(ledger, known)) continue;
    store<u32>(change, before > 0 ? HAD_SOME : 0);
  }
  for (let at: u32 = 0; at < rows; at++) {
    const change = changes.rows + ((<usize>at) << 2);
    const had = load<u32>(change);
    if (had == NO_ROW) continue;
    const known = load<u32>(self.heads1 + ((<usize>load<u32>(self.numbers + ((<usize>at) << 2))) << 2)) - 1;
    ledgerSettle(ledger, known);
    if (load<i32>(ledgerMatches(ledger, known)) > 0 == (had != 0)) store<u32>(change, NO_ROW);
  }
}

/** Puts a row into the chain of its key, or of those without one. */
export function changesLink(self: Join, port: u32, row: u32, number: u32): void {
  const ledger = changesLedger(self, port);
  const head = headOf(self, port, number);
  const next = load<u32>(head);
  store<u32>(storeNext(joinStore(self, port), row), next);
  store<u32>(head, row + 1);
  if (ledger.retracts == 0) return;
  store<u32>(ledgerBefore(ledger, row), 0);
  if (next != 0) store<u32>(ledgerBefore(ledger, next - 1), row + 1);
}

/** Address of the last row of a chain, plus one. */
function headOf(self: Join, port: u32, number: u32): usize {
  if (number == NO_KEY) return self.changes + offsetof<Changes>("keyless");
  return joinHeads(self, port) + ((<usize>number) << 2);
}

function unlink(self: Join, port: u32, row: u32, number: u32): void {
  const ledger = changesLedger(self, port);
  const kept = joinStore(self, port);
  const next = load<u32>(storeNext(kept, row));
  const before = load<u32>(ledgerBefore(ledger, row));
  if (next != 0) store<u32>(ledgerBefore(ledger, next - 1), before);
  store<u32>(before != 0 ? storeNext(kept, before - 1) : headOf(self, port, number), next);
}

// ---- one step

/** Candidates: changes beside the rows of the other side that are there. */
export function changesFindPairs(self: Join): void {
  const changes = changesOf(self);
  const port = self.port;
  const heads = joinHeads(self, 1 - port);
  const keys = joinHeadCount(self, 1 - port);
  const other = joinStore(self, 1 - port);
  const skip = (<usize>CANDIDATES) << 2;
  const mine = (port == 0 ? self.found0 : self.found1) + skip;
  const theirs = (port == 0 ? self.found1 : self.found0) + skip;
  const most = joinStep(self);
  const end = self.at + min<u32>(self.rows - self.at, SCAN_ROWS);
  // Rows of port 0 ask for the sum of their key; of port 1, that is what has changed, and none waits for it.
  const counts = changesCountKeys(self);
  const asks = counts && (port == 0 || !leavesNow(self, 0) || (joinIsNullAware(self) && changes.hadNulls != 0));
  const meet = heads != 0 && !asks;
  let found: u32 = 0;
  let at = self.at;
  let link = self.chain;
  for (; at < end && found < most && meet; at++) {
    const row = load<u32>(changes.rows + ((<usize>at) << 2));
    if (row == NO_ROW) continue;
    if (link == 0) link = linkOf(heads, keys, load<u32>(self.numbers + ((<usize>at) << 2)));
    if (counts) {
      const turned = isAlone(self, countOf(self, load<u32>(self.numbers + ((<usize>at) << 2)))) ? 1 : -1;
      for (; link != 0 && found < most; found++) {
        leave(self, 0, link - 1, NO_ROW, turned * stateWeight(ledgerState(changesLedger(self, 0), link - 1)));
        link = load<u32>(storeNext(other, link - 1));
      }
    }
    while (link != 0 && found < most) {
      store<u32>(mine + ((<usize>found) << 2), row);
      store<u32>(theirs + ((<usize>found) << 2), link - 1);
      found++;
      link = load<u32>(storeNext(other, link - 1));
    }
    if (link != 0) break;
  }
  self.at = meet ? at : self.rows;
  self.chain = link;
  self.candidates = counts ? 0 : found;
  if (counts) self.sides = 1;
  if (self.at < self.rows) return;
  self.phase = leavesAlone(self, port) ? Phase.LONE : Phase.IDLE;
  self.at = 0;
  if (port == 0 || !joinIsNullAware(self) || !leavesNow(self, 0)) return;
  // Keys have been seen to as if there were as many nulls as before.
  self.phase = Phase.LONE;
  if (changes.nulls > 0 == (changes.hadNulls != 0)) self.at = self.headCount0;
}

/** Candidates that the residual has passed: they leave, they count as matches, and what that changes leaves, too. */
export function changesSettle(self: Join): void {
  const port = self.port;
  const skip = (<usize>CANDIDATES) << 2;
  const mine = (port == 0 ? self.found0 : self.found1) + skip;
  const theirs = (port == 0 ? self.found1 : self.found0) + skip;
  const own = changesLedger(self, port);
  const other = changesLedger(self, 1 - port);
  const pairs = !joinFilters(self);
  const corrects = leavesNow(self, 1 - port);
  const count = self.candidates;
  self.candidates = 0;
  self.ready = 0;
  self.sides = pairs ? 3 : 1;
  for (let at: u32 = 0; at < count; at++) {
    const row = load<u32>(mine + ((<usize>at) << 2));
    const theirRow = load<u32>(theirs + ((<usize>at) << 2));
    const state = ledgerState(own, row);
    const weight = changeWeight(state);
    const theirWeight = stateWeight(ledgerState(other, theirRow));
    if (own.counts && (state & <u32>RowState.GONE) == 0) {
      const matches = ledgerMatches(own, row);
      store<i32>(matches, load<i32>(matches) + theirWeight);
    }
    if (pairs) leave(self, port, row, theirRow, weight * theirWeight);
    if (!other.counts) continue;
    const matches = ledgerMatches(other, theirRow);
    const before = load<i32>(matches);
    const after = before + weight;
    store<i32>(matches, after);
    if (!corrects || before > 0 == after > 0) continue;
    leave(self, 1 - port, theirRow, NO_ROW, isAlone(self, after) ? theirWeight : -theirWeight);
  }
}

/** A row of the port beside one of the other leaves, or is taken back. */
function leave(self: Join, port: u32, row: u32, theirs: u32, weight: i32): void {
  const at = self.ready++;
  store<u32>((port == 0 ? self.found0 : self.found1) + ((<usize>at) << 2), row);
  store<u32>((port == 0 ? self.found1 : self.found0) + ((<usize>at) << 2), theirs);
  store<u8>(changesOf(self).kinds + <usize>at, <u8>(weight > 0 ? RowKind.INSERT : RowKind.DELETE));
}

/** Changes whose row leaves alone, now that all that it matches is known; of rows that wait, those without a key. */
export function changesFindLone(self: Join): void {
  const changes = changesOf(self);
  const port = self.port;
  if (port == 1 && joinIsNullAware(self)) {
    scanKeys(self, false);
    if (self.at > self.headCount0) self.phase = Phase.IDLE;
    return;
  }
  const ledger = changesLedger(self, port);
  const end = self.at + min<u32>(self.rows - self.at, joinStep(self));
  const wait = waits(self, port);
  const counts = changesCountKeys(self);
  self.sides = joinFilters(self) ? 1 : 3;
  for (let at = self.at; at < end; at++) {
    const number = load<u32>(self.numbers + ((<usize>at) << 2));
    if (wait && (number != NO_KEY || joinIsNullAware(self))) continue;
    const row = load<u32>(changes.rows + ((<usize>at) << 2));
    if (row == NO_ROW) continue;
    if (!(counts ? leavesByKey(self, chainOf(self, number, row)) : isAlone(self, load<i32>(ledgerMatches(ledger, row))))) continue;
    leave(self, port, row, NO_ROW, changeWeight(ledgerState(ledger, row)));
  }
  self.at = end;
  if (end == self.rows) self.phase = Phase.IDLE;
}

/** The chain that a change's row is in, or would be: a key that is not known has no number, but is no null. */
function chainOf(self: Join, number: u32, row: u32): u32 {
  if (number != NO_KEY || !joinIsNullAware(self) || joinLacksKey(self, row)) return number;
  return NO_KEY - 1;
}

/** The row kinds of rows [from, from + count) that are ready, behind those that the result has. */
export function changesAppendKinds(self: Join, from: u32, count: u32): void {
  const builder = outputColumn(self.output, self.columnCount);
  memory.copy(builder.values + <usize>builder.length, changesOf(self).kinds + <usize>from, count);
  builder.length += count;
}

// ---- the end of a port

/**
 * Port `self.port` has ended: of the other one the rows that have waited for that leave. Negative status, with the
 * error recorded, where a row is still owed.
 */
export function changesScan(context: usize, self: Join): i32 {
  const port = 1 - self.port;
  const owed = changesLedger(self, self.port).owed;
  if (owed != 0) {
    failValue(context, Type.I64, <u64>(-<i64>owed), 0);
    return fail(context, Status.BAD_ARGUMENT, Reason.RETRACTED_ABSENT);
  }
  if (waits(self, port) && changesCountKeys(self)) {
    scanKeys(self, true);
    if (self.at <= self.headCount0) return 0;
  } else if (waits(self, port)) {
    const ledger = changesLedger(self, port);
    const rows = joinStore(self, port).rows;
    const most = joinStep(self);
    const end = self.at + min<u32>(rows - self.at, SCAN_ROWS);
    self.sides = joinFilters(self) ? 1 : 3;
    let row = self.at;
    for (; row < end && self.ready < most; row++) {
      const state = ledgerState(ledger, row);
      if ((state & <u32>RowState.GONE) != 0 || !isAlone(self, load<i32>(ledgerMatches(ledger, row)))) continue;
      leave(self, port, row, NO_ROW, stateWeight(state));
    }
    self.at = row;
    if (row < rows) return 0;
  }
  self.phase = Phase.INDEX;
  return 0;
}

/**
 * ANTI: rows of port 0 by their keys, last those without one (NULL_AWARE). At the end of port 1 those that leave; before,
 * those that do, or are taken back, because of nulls or any rows there.
 */
function scanKeys(self: Join, ends: bool): void {
  const keys = self.headCount0;
  const ledger = changesLedger(self, 0);
  const kept = joinStore(self, 0);
  const most = joinStep(self);
  const end = self.at + min<u32>(keys + 1 - self.at, SCAN_ROWS);
  let number = self.at;
  let link = self.chain;
  self.sides = 1;
  for (; number < end && self.ready < most; number++) {
    const chain = number < keys ? number : NO_KEY;
    const leaves: i32 = leavesByKey(self, chain) ? 1 : 0;
    const weight = ends ? leaves : turnOf(self, chain, leaves);
    if (link == 0 && weight != 0) link = load<u32>(headOf(self, 0, chain));
    for (; link != 0 && self.ready < most; link = load<u32>(storeNext(kept, link - 1)))
      leave(self, 0, link - 1, NO_ROW, weight * stateWeight(ledgerState(ledger, link - 1)));
    if (link != 0) break;
  }
  self.at = number;
  self.chain = link;
}

/** NULL_AWARE, after a push of port 1: 1 where rows of the chain leave because of nulls or any rows there, -1, or 0. */
function turnOf(self: Join, chain: u32, leaves: i32): i32 {
  const changes = changesOf(self);
  if (chain == NO_KEY) return leaves - (changes.hadSome | changes.hadNulls ? 0 : 1);
  // The same but for the nulls, which have passed between none and some.
  if (changes.nulls <= 0) return leaves;
  return countOf(self, chain) <= 0 ? -1 : 0;
}
