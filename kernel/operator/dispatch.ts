// From handle to operator: argument checks that every kind shares, then one switch on the kind.
//
// A switch instead of function pointers: first-class functions would put a table and a data segment into
// the module. Whatever fails after an operator has begun to apply a batch marks it failed, and from then
// on it can only be destroyed; OUT_OF_MEMORY before any row was applied leaves it as it was.

import { Abi, Batch, ErrorRecord } from "../abi/layout";
import { AggregateFlag, OperatorKind, OperatorStats } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { insideMemory } from "../memory/bounds";
import { contextEnter, contextError, contextRoot, fail } from "../memory/context";
import { regionBytes } from "../memory/region";
import { BACKLOG_PARTITIONS } from "./aggregate-backlog";
import { waitingParts } from "./aggregate-waiting";
import { Combination, aggregateCombine, aggregateCombines, aggregateCombining, aggregateIsAlike, combineGaveUp } from "./aggregate-combine";
import { divisionTakes } from "./aggregate-division";
import { rowsHeld, rowsIn as aggregateRowsIn, rowsOut as aggregateRowsOut, rowsPrepare, rowsWidth } from "./aggregate-leave";
import { aggregateMerge, aggregateMergeOpen, aggregateRelease } from "./aggregate-merge";
import { aggregatePull } from "./aggregate-output";
import { TOGETHER_MOST, TOGETHER_SET, togetherPush } from "./aggregate-together";
import {
  partialClose,
  partialCount,
  partialFree,
  partialHasLeft,
  partialMustRestart,
} from "./aggregate-partial";
import { FOLD_PARTS, aggregateFoldBegin, aggregateFoldPart, aggregateFolds } from "./aggregate-fold";
import { aggregateIsSound, aggregateReads, aggregateShare } from "./aggregate-share";
import { READY_PARTS, aggregateReadyBegin, aggregateReadyPart } from "./aggregate-ready";
import { aggregateSnapshot } from "./aggregate-snapshot";
import {
  aggregateCreate,
  aggregateGroups,
  aggregatePending,
  aggregateProbes,
  aggregatePush,
  aggregateRestart,
  aggregateSlots,
  aggregateTier,
} from "./hash-aggregate";
import { aggregationOf } from "./aggregation";
import {
  joinBytes,
  joinCreate,
  joinDestroy,
  joinEnd,
  joinKeyTier,
  joinKeys,
  joinLateRows,
  joinPassed,
  joinPending,
  joinPortEnded,
  joinProbes,
  joinPush,
  joinSlots,
  joinWatermark,
} from "./join";
import { joinPull } from "./join-results";
import {
  ENDED,
  Operator,
  handleCreate,
  handleFree,
  handleOperator,
  operatorAllocate,
  operatorFree,
} from "./operator";
import { framesGroups, framesPending, framesPull, framesWatermark } from "./frames";
import { framesCreate } from "./frames-create";
import { framesPush } from "./frames-push";
import { overCreate, overGroups, overPending, overPull, overPush, overWatermark } from "./over";
import { joinAttach, joinIsSound, joinReads } from "./join-attach";
import { joinLeave, joinLeaves } from "./join-leave";
import { JOIN_PARTS, joinReadyBegin, joinReadyPart } from "./join-ready";
import {
  DIVISION_PARTS,
  aggregateCombinePart,
  aggregateDivide,
  aggregateDivided,
  aggregateDivides,
  aggregateSharesTexts,
} from "./aggregate-divide";
import { aggregatePartIsComplete } from "./aggregate-drain";
import { aggregatePack, aggregatePackLike } from "./aggregate-pack";
import { sumsYield } from "./narrow-sums";
import { partitionCreate, partitionPending, partitionPull, partitionPush } from "./partition";
import { windowPull, windowIsDue } from "./window-close";
import { windowCombine, windowCombines, windowIsCombining } from "./window-combine";
import {
  windowCreate,
  windowGroups,
  windowLate,
  windowPush,
  windowSlots,
  windowTier,
  windowWatermark,
  windowsHeld,
} from "./window-aggregate";
import { windowMerge } from "./window-merge";
import { windowPass } from "./window-pass";
import { windowSnapshot, windowStateRelease } from "./window-snapshot";
import { windowHasState, windowMergeOpen } from "./window-state";
import { windowsBytes, windowsDestroy, windowsOf } from "./windows";
import { projectCreate, projectPending, projectPull, projectPush } from "./project";
import { sortCreate, sortIsInOrder, sortParts, sortPull, sortPush } from "./sort";
import { sortIsSound } from "./sort-range";
import { sortCombine, sortDivideBy, sortIsDivided, sortIsShared, sortMeasure, sortRelease, sortSplit, sortTakeParts } from "./sort-share";

/** More groups than a host can have in mind. */
const MANY: u32 = 1 << 30;
/** What of an operator is being read: its state, or rows that leave. */
const SNAPSHOT_OPEN: u32 = 1;
const ROWS_OPEN: u32 = 2;
/** The end of time: the watermark after the last row. */
const END: i64 = i64.MAX_VALUE;

export function create(context: usize, kind: u32, config: usize, length: u32): u32 {
  contextEnter(context);
  store<u32>(contextError(context), kind, <usize>ErrorRecord.KIND);
  const known = kind >= <u32>OperatorKind.HASH_AGGREGATE && kind <= <u32>OperatorKind.FRAMES;
  if (!known || !isAddress(config, length)) {
    fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
    return 0;
  }
  const operator = operatorAllocate(context, kind);
  if (operator == 0) {
    fail(context, Status.OUT_OF_MEMORY, Reason.MEMORY_LIMIT);
    return 0;
  }
  if (make(context, operator, config, length)) {
    const handle = handleCreate(contextRoot(context), operator);
    if (handle != 0) return handle;
    fail(context, Status.OUT_OF_MEMORY, Reason.BAD_HANDLE);
    if (kind == <u32>OperatorKind.WINDOW_AGGREGATE) windowsDestroy(context, operator);
  }
  free(context, operator);
  return 0;
}

function make(context: usize, operator: usize, config: usize, length: u32): bool {
  switch (changetype<Operator>(operator).kind) {
    case OperatorKind.HASH_AGGREGATE:
      return aggregateCreate(context, operator, config, length);
    case OperatorKind.WINDOW_AGGREGATE:
      return windowCreate(context, operator, config, length);
    case OperatorKind.SORT:
      return sortCreate(context, operator, config, length);
    case OperatorKind.PARTITION:
      return partitionCreate(context, operator, config, length);
    case OperatorKind.OVER:
      return overCreate(context, operator, config, length);
    case OperatorKind.FRAMES:
      return framesCreate(context, operator, config, length);
    case OperatorKind.JOIN:
      return joinCreate(context, operator, config, length);
    default:
      return projectCreate(context, operator, config, length);
  }
}

function free(context: usize, operator: usize): void {
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE) partialFree(context, operator);
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.JOIN) joinDestroy(operator);
  operatorFree(context, operator);
}

/** Ports of an operator. */
function ports(operator: usize): u32 {
  return changetype<Operator>(operator).kind == <u32>OperatorKind.JOIN ? 2 : 1;
}

/** Whether the port's last watermark has come. */
function hasEnded(operator: usize, port: u32): bool {
  const head = changetype<Operator>(operator);
  return head.kind == <u32>OperatorKind.JOIN ? joinPortEnded(operator, port) : head.ended != 0;
}

/** Whether an address that the host gave can be that of `bytes` bytes: not 0, aligned, inside the memory. */
function isAddress(address: usize, bytes: u32): bool {
  return address != 0 && (address & 7) == 0 && insideMemory(address, bytes);
}

/** Resolves the handle and refuses a failed operator; 0 with the error recorded. Its sums are where everybody looks for them. */
function enter(context: usize, handle: u32): usize {
  const operator = enterToPush(context, handle);
  if (operator != 0 && changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE) sumsYield(operator);
  return operator;
}

/** The same for a push, which goes on where the last one has left off. */
function enterToPush(context: usize, handle: u32): usize {
  contextEnter(context);
  const operator = handleOperator(context, handle);
  if (operator == 0) return 0;
  store<u32>(contextError(context), changetype<Operator>(operator).kind, <usize>ErrorRecord.KIND);
  if (changetype<Operator>(operator).failed) {
    fail(context, Status.FAILED, Reason.NONE);
    return 0;
  }
  return operator;
}

function status(context: usize): i32 {
  return load<i32>(contextError(context), <usize>ErrorRecord.STATUS);
}

function pending(operator: usize): bool {
  switch (changetype<Operator>(operator).kind) {
    case OperatorKind.HASH_AGGREGATE:
      return aggregatePending(operator);
    case OperatorKind.WINDOW_AGGREGATE:
      return windowIsDue(operator);
    case OperatorKind.SORT:
      return false;
    case OperatorKind.PARTITION:
      return partitionPending(operator);
    case OperatorKind.OVER:
      return overPending(operator);
    case OperatorKind.FRAMES:
      return framesPending(operator);
    case OperatorKind.JOIN:
      return joinPending(operator);
    default:
      return projectPending(operator);
  }
}

/** Whether a merge is half done, so that only the rest of it may come, or only parts may go. */
function merging(operator: usize): bool {
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.WINDOW_AGGREGATE)
    return windowMergeOpen(operator) || windowIsCombining(operator);
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.SORT) return sortIsShared(operator);
  return (
    changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE &&
    (aggregateMergeOpen(operator) || aggregateCombining(operator) || aggregateDivided(operator))
  );
}

/** Whether it must not end, nor give anything, for that. */
function withholds(operator: usize): bool {
  const isDivided = changetype<Operator>(operator).kind == <u32>OperatorKind.SORT && sortIsDivided(operator);
  return merging(operator) && !isDivided;
}

/** Whether it reads what another operator has kept, and that is gone. */
function isOrphan(context: usize, operator: usize): bool {
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.SORT) return !sortIsSound(context, operator);
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE) return !aggregateIsSound(context, operator);
  return changetype<Operator>(operator).kind == <u32>OperatorKind.JOIN && !joinIsSound(context, operator);
}

/** 0, or why an open port cannot take the batch now. */
function refusePush(context: usize, operator: usize, batch: usize): i32 {
  if (changetype<Operator>(operator).snapshotOpen || pending(operator) || merging(operator))
    return fail(context, Status.BUSY, Reason.NONE);
  if (isOrphan(context, operator)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  if (!isAddress(batch, <u32>Batch.SIZE)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  if (load<u32>(batch, <usize>Batch.ROWS) > <u32>Abi.MORSEL_ROWS)
    return fail(context, Status.BAD_ARGUMENT, Reason.TOO_MANY_ROWS);
  return 0;
}

/** Lets a batch that another operator is to take pass by the one that keeps the time: see window-pass.ts. */
export function pass(context: usize, handle: u32, batch: usize): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (changetype<Operator>(operator).kind != <u32>OperatorKind.WINDOW_AGGREGATE)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (hasEnded(operator, 0)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  const refused = refusePush(context, operator, batch);
  return refused < 0 ? refused : windowPass(context, operator, batch);
}

export function push(context: usize, handle: u32, port: u32, batch: usize): i32 {
  const operator = enterToPush(context, handle);
  if (operator == 0) return status(context);
  const head = changetype<Operator>(operator);
  store<i32>(contextError(context), <i32>port, <usize>ErrorRecord.PORT);
  if (port >= ports(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_PORT);
  if (hasEnded(operator, port)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  const refused = refusePush(context, operator, batch);
  if (refused < 0) return refused;
  const rows = load<u32>(batch, <usize>Batch.ROWS);
  let result: i32 = 0;
  switch (head.kind) {
    case OperatorKind.HASH_AGGREGATE:
      result = aggregatePush(context, operator, batch);
      break;
    case OperatorKind.WINDOW_AGGREGATE:
      result = windowPush(context, operator, batch);
      break;
    case OperatorKind.SORT:
      result = sortPush(context, operator, batch);
      break;
    case OperatorKind.PARTITION:
      result = partitionPush(context, operator, batch);
      break;
    case OperatorKind.OVER:
      result = overPush(context, operator, batch);
      break;
    case OperatorKind.FRAMES:
      result = framesPush(context, operator, batch);
      break;
    case OperatorKind.JOIN:
      result = joinPush(context, operator, port, batch);
      break;
    default:
      result = projectPush(context, operator, batch);
      break;
  }
  if (result >= 0) {
    head.rowsIn += rows;
    head.batchesIn++;
  }
  return result;
}

/** Pushes a batch to the `count` aggregations listed at `sets`, all fed by the program of the PROJECT of `handle`. */
export function pushTogether(context: usize, handle: u32, batch: usize, sets: usize, count: u32): i32 {
  const leader = enter(context, handle);
  if (leader == 0) return status(context);
  if (changetype<Operator>(leader).kind != <u32>OperatorKind.PROJECT)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (hasEnded(leader, 0)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (pending(leader)) return fail(context, Status.BUSY, Reason.NONE);
  if (!isAddress(batch, <u32>Batch.SIZE)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  if (load<u32>(batch, <usize>Batch.ROWS) > <u32>Abi.MORSEL_ROWS)
    return fail(context, Status.BAD_ARGUMENT, Reason.TOO_MANY_ROWS);
  if (count == 0 || count > TOGETHER_MOST || !isAddress(sets, count * <u32>TOGETHER_SET))
    return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  for (let index: u32 = 0; index < count; index++) {
    const operator = handleOperator(context, load<u32>(sets + <usize>index * TOGETHER_SET));
    if (operator == 0) return status(context);
    if (hasEnded(operator, 0)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
    if (changetype<Operator>(operator).snapshotOpen || pending(operator) || merging(operator))
      return fail(context, Status.BUSY, Reason.NONE);
    if (changetype<Operator>(operator).kind == <u32>OperatorKind.HASH_AGGREGATE) sumsYield(operator);
  }
  return togetherPush(context, leader, batch, sets, count);
}

export function watermark(context: usize, handle: u32, port: u32, time: i64): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (port >= ports(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_PORT);
  const head = changetype<Operator>(operator);
  if (head.snapshotOpen || withholds(operator)) return fail(context, Status.BUSY, Reason.NONE);
  if (head.kind == <u32>OperatorKind.JOIN && joinReads(operator))
    return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (head.kind == <u32>OperatorKind.WINDOW_AGGREGATE) windowWatermark(operator, time);
  if (head.kind == <u32>OperatorKind.JOIN) joinWatermark(operator, port, time);
  if (head.kind == <u32>OperatorKind.OVER) overWatermark(operator);
  if (head.kind == <u32>OperatorKind.FRAMES) framesWatermark(operator, time);
  if (time == END) {
    if (head.kind == <u32>OperatorKind.JOIN) joinEnd(operator, port);
    else head.ended = ENDED;
  }
  if (head.kind == <u32>OperatorKind.HASH_AGGREGATE) partialClose(operator);
  return pending(operator) || head.ended ? Status.HAS_MORE : Status.NEED_INPUT;
}

export function pull(context: usize, handle: u32, out: usize, maxRows: u32, maxBytes: u32): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (!isAddress(out, <u32>Batch.SIZE) || maxRows == 0) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  const head = changetype<Operator>(operator);
  if (head.snapshotOpen || withholds(operator)) return fail(context, Status.BUSY, Reason.NONE);
  if (isOrphan(context, operator)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  memory.fill(out, 0, <usize>Batch.SIZE);
  let result: i32 = 0;
  switch (head.kind) {
    case OperatorKind.HASH_AGGREGATE:
      result = partialMustRestart(operator)
        ? aggregateRestart(context, operator)
        : aggregatePull(context, operator, out, maxRows, maxBytes);
      break;
    case OperatorKind.PARTITION:
      result = partitionPull(context, operator, out, maxRows);
      break;
    case OperatorKind.WINDOW_AGGREGATE:
      result = windowPull(context, operator, out, maxRows, maxBytes);
      break;
    case OperatorKind.SORT:
      result = sortPull(context, operator, out, maxRows, maxBytes);
      break;
    case OperatorKind.OVER:
      result = overPull(context, operator, out, maxRows, maxBytes);
      break;
    case OperatorKind.FRAMES:
      result = framesPull(context, operator, out, maxRows, maxBytes);
      break;
    case OperatorKind.JOIN:
      result = joinPull(context, operator, out, maxRows, maxBytes);
      break;
    default:
      result = projectPull(context, operator, out);
      break;
  }
  head.rowsOut += load<u32>(out, <usize>Batch.ROWS);
  return result;
}

/** Whether an operator's state can be saved and merged. */
function hasState(operator: usize): bool {
  const kind = changetype<Operator>(operator).kind;
  if (kind == <u32>OperatorKind.WINDOW_AGGREGATE) return windowHasState(operator);
  return kind == <u32>OperatorKind.HASH_AGGREGATE;
}

/** A state, undivided (`parts` 0) or as one state for each partition that has groups; of a join the rows that it keeps. */
export function snapshot(context: usize, handle: u32, out: usize, maxRows: u32, parts: u32): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (!isAddress(out, <u32>Batch.SIZE) || maxRows == 0) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  const head = changetype<Operator>(operator);
  const isWindow = head.kind == <u32>OperatorKind.WINDOW_AGGREGATE;
  const isJoin = head.kind == <u32>OperatorKind.JOIN && joinLeaves(operator);
  if (!(hasState(operator) || isJoin) || ((isWindow || isJoin) && parts != 0))
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (isJoin) {
    const leaving = joinLeave(context, operator, out, maxRows, head.snapshotOpen == 0);
    head.snapshotOpen = leaving == <i32>Status.HAS_MORE ? SNAPSHOT_OPEN : 0;
    return leaving;
  }
  const isHeld = pending(operator) || merging(operator) || head.snapshotOpen == ROWS_OPEN;
  const isReader = head.kind == <u32>OperatorKind.HASH_AGGREGATE && aggregateReads(operator);
  if (isHeld || isReader || (head.ended && (isWindow || head.rowsOut != 0)))
    return fail(context, Status.BUSY, Reason.NONE);
  if (parts != 0 && !divisionTakes(operator, parts)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  memory.fill(out, 0, <usize>Batch.SIZE);
  const first = head.snapshotOpen == 0;
  const result = isWindow
    ? windowSnapshot(context, operator, out, maxRows, first)
    : aggregateSnapshot(context, operator, out, maxRows, first, parts);
  head.snapshotOpen = result == <i32>Status.HAS_MORE ? SNAPSHOT_OPEN : 0;
  return result;
}

export function snapshotParts(context: usize, handle: u32, out: usize, maxRows: u32, parts: u32): i32 {
  // 0 means undivided, but only inside.
  return snapshot(context, handle, out, maxRows, parts == 0 ? u32.MAX_VALUE : parts);
}

/** Rows that were set aside, a chunk of them, where the operator's leave. */
export function rowsOut(context: usize, handle: u32, out: usize): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (!isAddress(out, <u32>Batch.SIZE)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  const head = changetype<Operator>(operator);
  if (head.kind != <u32>OperatorKind.HASH_AGGREGATE) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (head.snapshotOpen == SNAPSHOT_OPEN || merging(operator) || head.rowsOut != 0)
    return fail(context, Status.BUSY, Reason.NONE);
  memory.fill(out, 0, <usize>Batch.SIZE);
  const more = rowsHeld(operator) && aggregateRowsOut(operator, out, head.snapshotOpen == 0);
  head.snapshotOpen = more ? ROWS_OPEN : 0;
  return more ? Status.HAS_MORE : Status.FINISHED;
}

/** Takes rows in that have left an operator of the same configuration. */
export function rowsIn(
  context: usize,
  handle: u32,
  rows: usize,
  count: u32,
  part: u32,
  here: u32,
  waiting: u32,
): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  const head = changetype<Operator>(operator);
  if (head.kind != <u32>OperatorKind.HASH_AGGREGATE || !aggregateDivides(operator))
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (part >= BACKLOG_PARTITIONS) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if (head.ended) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (head.snapshotOpen || merging(operator)) return fail(context, Status.BUSY, Reason.NONE);
  const ready = rowsPrepare(context, operator);
  if (ready < 0) return ready;
  const bytes: u64 = <u64>count * <u64>rowsWidth(operator);
  if (rows == 0 || (rows & 7) != 0 || !insideMemory(rows, bytes))
    return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  const applied = aggregateRowsIn(context, operator, rows, count, part, min(here, MANY), min(waiting, MANY));
  if (applied < 0) {
    head.failed = 1;
    return applied;
  }
  head.rowsIn += count;
  head.rowsSelected += count;
  return Status.NEED_INPUT;
}

export function merge(context: usize, handle: u32, batch: usize): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  const head = changetype<Operator>(operator);
  if (!hasState(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (!isAddress(batch, <u32>Batch.SIZE)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  const isWindow = head.kind == <u32>OperatorKind.WINDOW_AGGREGATE;
  if (isWindow && windowIsCombining(operator)) return fail(context, Status.BUSY, Reason.NONE);
  // Windows that are half there say nothing of what is due.
  if (head.snapshotOpen || (!(isWindow && merging(operator)) && pending(operator)))
    return fail(context, Status.BUSY, Reason.NONE);
  if (head.ended) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (isWindow) return windowMerge(context, operator, batch);
  if (aggregateCombining(operator)) return fail(context, Status.BUSY, Reason.NONE);
  return aggregateMerge(context, operator, batch);
}

/** Whether operators of this kind can be combined. */
function combines(operator: usize): bool {
  switch (changetype<Operator>(operator).kind) {
    case OperatorKind.HASH_AGGREGATE:
      return aggregateCombines(operator);
    case OperatorKind.WINDOW_AGGREGATE:
      return windowCombines(operator);
    default:
      return changetype<Operator>(operator).kind == <u32>OperatorKind.SORT;
  }
}

/** Folds what another operator holds in; 0 in its place only asks whether that can be done. */
export function combine(context: usize, handle: u32, other: u32): i32 {
  if (other == 0) {
    const asked = enter(context, handle);
    if (asked == 0) return status(context);
    return combines(asked) ? Status.NEED_INPUT : fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  }
  const source = enter(context, other);
  if (source == 0) return status(context);
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (operator == source) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  const head = changetype<Operator>(operator);
  const otherHead = changetype<Operator>(source);
  if (head.kind == <u32>OperatorKind.SORT && otherHead.kind == <u32>OperatorKind.SORT)
    return sortCombine(context, operator, source, other);
  const window = <u32>OperatorKind.WINDOW_AGGREGATE;
  if (head.kind == window && otherHead.kind == window) {
    const isHalf = windowMergeOpen(operator) || windowMergeOpen(source);
    if (head.snapshotOpen || otherHead.snapshotOpen || isHalf) return fail(context, Status.BUSY, Reason.NONE);
    return windowCombine(context, operator, source, other);
  }
  if (
    head.kind != <u32>OperatorKind.HASH_AGGREGATE ||
    otherHead.kind != <u32>OperatorKind.HASH_AGGREGATE ||
    !aggregateCombines(operator) ||
    !aggregateCombines(source)
  )
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (aggregationOf(operator).configHash != aggregationOf(source).configHash)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (head.ended || otherHead.ended) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  const begun = aggregateCombining(operator);
  if (head.snapshotOpen || otherHead.snapshotOpen || merging(source) || (merging(operator) && !begun))
    return fail(context, Status.BUSY, Reason.NONE);
  if (begun && changetype<Combination>(aggregationOf(operator).combination).source != other)
    return fail(context, Status.BUSY, Reason.NONE);
  return aggregateCombine(context, operator, source, other);
}

/** Begins to fold another operator in by parts; how many that has, 0 where it is to be combined. */
export function fold(context: usize, handle: u32, other: u32): i32 {
  const source = enterKind(context, other, OperatorKind.HASH_AGGREGATE);
  if (source == 0) return status(context);
  const operator = enterKind(context, handle, OperatorKind.HASH_AGGREGATE);
  if (operator == 0) return status(context);
  const refused = refuseFold(context, operator, source);
  return refused < 0 ? refused : aggregateFoldBegin(context, operator, source);
}

/** Folds one of these parts in; several threads may be at it, each with its own. */
export function foldPart(context: usize, handle: u32, other: u32, part: u32): i32 {
  const source = enterKind(context, other, OperatorKind.HASH_AGGREGATE);
  if (source == 0) return status(context);
  const operator = enterKind(context, handle, OperatorKind.HASH_AGGREGATE);
  if (operator == 0) return status(context);
  const refused = refuseFold(context, operator, source);
  if (refused < 0) return refused;
  if (part >= FOLD_PARTS || !aggregateFolds(operator, source)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  aggregateFoldPart(context, operator, source, part);
  return Status.NEED_INPUT;
}

function refuseFold(context: usize, operator: usize, source: usize): i32 {
  if (operator == source) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  if (aggregationOf(operator).configHash != aggregationOf(source).configHash)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  const head = changetype<Operator>(operator);
  const otherHead = changetype<Operator>(source);
  if (head.ended || otherHead.ended) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (head.snapshotOpen || otherHead.snapshotOpen || merging(operator) || merging(source))
    return fail(context, Status.BUSY, Reason.NONE);
  return 0;
}

/** Two aggregations of one configuration: 1 where they number their groups alike, and 2 more where packed rows mean the same. */
export function alike(context: usize, handle: u32, other: u32): i32 {
  const source = enter(context, other);
  if (source == 0) return status(context);
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  const kind = <u32>OperatorKind.HASH_AGGREGATE;
  if (changetype<Operator>(operator).kind != kind || changetype<Operator>(source).kind != kind)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (aggregationOf(operator).configHash != aggregationOf(source).configHash)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (aggregateReads(operator) || aggregateReads(source)) return fail(context, Status.BUSY, Reason.NONE);
  return (aggregateIsAlike(operator, source) ? 1 : 0) + (aggregateSharesTexts(operator, source) ? 2 : 0);
}

/**
 * Divides the groups among `parts` partitions; 0 only asks whether that can be done. `like` is an operator whose texts have
 * the same ids, so that they may be told by these; 0 where they are each operator's own.
 */
export function divide(context: usize, handle: u32, parts: u32, like: u32): i32 {
  const other: usize = like == 0 ? 0 : enterKind(context, like, OperatorKind.HASH_AGGREGATE);
  if (like != 0 && other == 0) return status(context);
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  const head = changetype<Operator>(operator);
  if (head.kind != <u32>OperatorKind.HASH_AGGREGATE || !aggregateDivides(operator))
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (parts == 0) return Status.NEED_INPUT;
  if (parts != DIVISION_PARTS) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if (head.ended) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (head.snapshotOpen || merging(operator)) return fail(context, Status.BUSY, Reason.NONE);
  if (other != 0 && aggregationOf(operator).configHash != aggregationOf(other).configHash)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (other != 0 && !aggregateSharesTexts(other, operator)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  return aggregateDivide(context, operator, other != 0);
}

/** Lets an aggregation keep its keys in words, as `like`, another one, has them; 0: as its own groups say. */
export function pack(context: usize, handle: u32, like: u32): i32 {
  const other: usize = like == 0 ? 0 : enterKind(context, like, OperatorKind.HASH_AGGREGATE);
  if (like != 0 && other == 0) return status(context);
  const operator = enterKind(context, handle, OperatorKind.HASH_AGGREGATE);
  if (operator == 0) return status(context);
  const head = changetype<Operator>(operator);
  if (operator == other) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  if ((aggregationOf(operator).flags & <u32>AggregateFlag.SHARED) == 0)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (other != 0 && aggregationOf(operator).configHash != aggregationOf(other).configHash)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (head.ended) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (head.snapshotOpen || merging(operator)) return fail(context, Status.BUSY, Reason.NONE);
  return other == 0 ? aggregatePack(operator) : aggregatePackLike(context, operator, other);
}

/** Folds a partition of a divided operator in, which is only read. */
export function combinePart(context: usize, handle: u32, other: u32, part: u32): i32 {
  const source = enter(context, other);
  if (source == 0) return status(context);
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  const head = changetype<Operator>(operator);
  if (operator == source) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  if (
    head.kind != <u32>OperatorKind.HASH_AGGREGATE ||
    changetype<Operator>(source).kind != <u32>OperatorKind.HASH_AGGREGATE ||
    !aggregateDivided(source) ||
    !aggregateDivides(operator)
  )
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (aggregationOf(operator).configHash != aggregationOf(source).configHash)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  if (part >= DIVISION_PARTS) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if (head.ended == ENDED || aggregatePartIsComplete(operator, part))
    return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
  if (head.snapshotOpen || merging(operator)) return fail(context, Status.BUSY, Reason.NONE);
  return aggregateCombinePart(context, operator, source, part);
}

/**
 * Begins to ready the results of an aggregation that has ended, or the index of a join's side that has; how many parts that
 * has, 0 where it takes no time.
 */
export function ready(context: usize, handle: u32): i32 {
  const operator = enterReadied(context, handle);
  if (operator == 0) return status(context);
  if (changetype<Operator>(operator).snapshotOpen || merging(operator)) return fail(context, Status.BUSY, Reason.NONE);
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.JOIN) return joinReadyBegin(context, operator);
  if (aggregateReads(operator)) return fail(context, Status.BUSY, Reason.NONE);
  return aggregateReadyBegin(context, operator);
}

/** Does one of these parts; several threads may be at it, each with its own. */
export function readyPart(context: usize, handle: u32, part: u32): i32 {
  const operator = enterReadied(context, handle);
  if (operator == 0) return status(context);
  const isJoin = changetype<Operator>(operator).kind == <u32>OperatorKind.JOIN;
  const parts = isJoin ? JOIN_PARTS : READY_PARTS;
  if (part >= parts) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if (isJoin) joinReadyPart(context, operator, part);
  else aggregateReadyPart(context, operator, part);
  return Status.NEED_INPUT;
}

function enterReadied(context: usize, handle: u32): usize {
  const operator = enter(context, handle);
  if (operator == 0 || changetype<Operator>(operator).kind == <u32>OperatorKind.JOIN) return operator;
  return enterKind(context, handle, OperatorKind.HASH_AGGREGATE);
}

/** Makes an aggregation without rows give a part of the results of one that has ended. */
export function share(context: usize, handle: u32, other: u32, part: u32, parts: u32): i32 {
  const kind = OperatorKind.HASH_AGGREGATE;
  const source = enterKind(context, other, kind);
  if (source == 0) return status(context);
  const operator = enterKind(context, handle, kind);
  if (operator == 0) return status(context);
  if (operator == source) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  if (part >= parts) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_CONFIG);
  if (changetype<Operator>(source).snapshotOpen || merging(source) || merging(operator))
    return fail(context, Status.BUSY, Reason.NONE);
  return aggregateShare(context, operator, source, other, part, parts);
}

/** The operator of a handle when it is of that kind; 0 with the error recorded. */
function enterKind(context: usize, handle: u32, kind: OperatorKind): usize {
  const operator = enter(context, handle);
  if (operator == 0 || changetype<Operator>(operator).kind == <u32>kind) return operator;
  fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  return 0;
}

/** Learns the ranges of a sort's columns. */
export function measure(context: usize, handle: u32): i32 {
  const operator = enterKind(context, handle, OperatorKind.SORT);
  if (operator == 0) return status(context);
  if (merging(operator)) return fail(context, Status.BUSY, Reason.NONE);
  return sortMeasure(context, operator);
}

/** Makes a sort without rows the leader of others, and finds what divides the rows of all of them into parts. */
export function split(context: usize, handle: u32, handles: usize, count: u32, parts: u32): i32 {
  const operator = enterKind(context, handle, OperatorKind.SORT);
  if (operator == 0) return status(context);
  if (merging(operator)) return fail(context, Status.BUSY, Reason.NONE);
  return sortSplit(context, operator, handles, count, parts);
}

/** Divides the rows of a sort as its leader says. */
export function divideBy(context: usize, handle: u32, leader: u32): i32 {
  const leading = enterKind(context, leader, OperatorKind.SORT);
  if (leading == 0) return status(context);
  const operator = enterKind(context, handle, OperatorKind.SORT);
  if (operator == 0) return status(context);
  return sortDivideBy(context, operator, leading);
}

/** Makes a sort without rows give some parts of what others hold. */
export function takeParts(context: usize, handle: u32, leader: u32, first: u32, count: u32): i32 {
  const leading = enterKind(context, leader, OperatorKind.SORT);
  if (leading == 0) return status(context);
  const operator = enterKind(context, handle, OperatorKind.SORT);
  if (operator == 0) return status(context);
  if (operator == leading) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  return sortTakeParts(context, operator, leading, leader, first, count);
}

/** Lets a join read what another has kept on a port. */
export function attach(context: usize, handle: u32, other: u32, port: u32): i32 {
  const source = enter(context, other);
  if (source == 0) return status(context);
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (operator == source) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  const join = <u32>OperatorKind.JOIN;
  if (changetype<Operator>(operator).kind != join || changetype<Operator>(source).kind != join)
    return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  return joinAttach(context, operator, source, other, port);
}

/** Ends an open pull or snapshot: output memory may be reused, a half-read snapshot is dropped. */
export function release(context: usize, handle: u32): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  const head = changetype<Operator>(operator);
  head.snapshotOpen = 0;
  if (head.kind == <u32>OperatorKind.HASH_AGGREGATE) {
    aggregateRelease(operator);
    // As with a half-done merge: it cannot be undone.
    if (aggregateCombining(operator)) {
      head.failed = 1;
      combineGaveUp(context, operator);
    }
  }
  if (head.kind == <u32>OperatorKind.WINDOW_AGGREGATE) {
    windowStateRelease(operator);
    if (windowIsCombining(operator)) head.failed = 1;
  }
  if (head.kind == <u32>OperatorKind.SORT) sortRelease(operator);
  return Status.NEED_INPUT;
}

export function destroy(context: usize, handle: u32): i32 {
  contextEnter(context);
  const operator = handleOperator(context, handle);
  if (operator == 0) return status(context);
  handleFree(contextRoot(context), handle);
  if (changetype<Operator>(operator).kind == <u32>OperatorKind.WINDOW_AGGREGATE) windowsDestroy(context, operator);
  free(context, operator);
  return Status.NEED_INPUT;
}

export function stats(context: usize, handle: u32, out: usize): i32 {
  contextEnter(context);
  const operator = handleOperator(context, handle);
  if (operator == 0) return status(context);
  if (!isAddress(out, <u32>OperatorStats.SIZE)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  const head = changetype<Operator>(operator);
  memory.fill(out, 0, <usize>OperatorStats.SIZE);
  store<i64>(out, i64.MIN_VALUE, <usize>OperatorStats.WATERMARK);
  const isAggregate = head.kind == <u32>OperatorKind.HASH_AGGREGATE;
  // Groups of which it gives results are another's.
  const aggregate = isAggregate && !partialHasLeft(operator) && !aggregateReads(operator);
  store<u64>(out, head.rowsIn, <usize>OperatorStats.ROWS_IN);
  store<u64>(out, head.rowsSelected, <usize>OperatorStats.ROWS_SELECTED);
  store<u64>(out, head.rowsOut, <usize>OperatorStats.ROWS_OUT);
  store<u64>(out, head.batchesIn, <usize>OperatorStats.BATCHES_IN);
  store<u64>(out, aggregate ? aggregateGroups(operator) : 0, <usize>OperatorStats.GROUPS);
  store<u64>(out, regionBytes(operator), <usize>OperatorStats.STATE_BYTES);
  store<u64>(out, aggregate ? aggregateSlots(operator) : 0, <usize>OperatorStats.TABLE_SLOTS);
  store<u64>(out, aggregate ? aggregateTier(operator) : 0, <usize>OperatorStats.KEY_TIER);
  store<u64>(out, aggregate ? aggregateProbes(operator) : 0, <usize>OperatorStats.PROBES);
  store<u64>(out, aggregate ? waitingParts(operator) : 0, <usize>OperatorStats.PARTITIONS);
  if (head.kind == <u32>OperatorKind.SORT) {
    store<u64>(out, sortParts(operator), <usize>OperatorStats.PARTITIONS);
    store<u64>(out, sortIsInOrder(operator) ? 1 : 0, <usize>OperatorStats.IN_ORDER);
  }
  if (isAggregate) partialCount(operator, out);
  if (head.kind == <u32>OperatorKind.WINDOW_AGGREGATE) windowStats(operator, out);
  if (head.kind == <u32>OperatorKind.JOIN) joinStats(operator, out);
  if (head.kind == <u32>OperatorKind.FRAMES) store<u64>(out, framesGroups(operator), <usize>OperatorStats.GROUPS);
  if (head.kind == <u32>OperatorKind.OVER) store<u64>(out, overGroups(operator), <usize>OperatorStats.GROUPS);
  return Status.NEED_INPUT;
}

/** What `stats` calls the watermark, without counting anything. */
export function time(context: usize, handle: u32): i64 {
  contextEnter(context);
  const operator = handleOperator(context, handle);
  if (operator == 0) return i64.MIN_VALUE;
  const kind = changetype<Operator>(operator).kind;
  if (kind == <u32>OperatorKind.WINDOW_AGGREGATE) return windowsOf(operator).watermark;
  return kind == <u32>OperatorKind.JOIN ? joinPassed(operator) : i64.MIN_VALUE;
}

function joinStats(operator: usize, out: usize): void {
  store<u64>(out, joinKeys(operator), <usize>OperatorStats.GROUPS);
  store<u64>(out, regionBytes(operator) + joinBytes(operator), <usize>OperatorStats.STATE_BYTES);
  store<u64>(out, joinSlots(operator), <usize>OperatorStats.TABLE_SLOTS);
  store<u64>(out, joinKeyTier(operator), <usize>OperatorStats.KEY_TIER);
  store<u64>(out, joinProbes(operator), <usize>OperatorStats.PROBES);
  store<u64>(out, joinLateRows(operator), <usize>OperatorStats.LATE_ROWS);
  store<i64>(out, joinPassed(operator), <usize>OperatorStats.WATERMARK);
}

function windowStats(operator: usize, out: usize): void {
  const windows = windowsOf(operator);
  store<u64>(out, windowGroups(operator), <usize>OperatorStats.GROUPS);
  store<u64>(out, windowsBytes(operator), <usize>OperatorStats.STATE_BYTES);
  store<u64>(out, windowSlots(operator), <usize>OperatorStats.TABLE_SLOTS);
  store<u64>(out, windowTier(operator), <usize>OperatorStats.KEY_TIER);
  store<u64>(out, windows.lateRows, <usize>OperatorStats.LATE_ROWS);
  store<u64>(out, windows.nullTimes, <usize>OperatorStats.NULL_TIMES);
  store<i64>(out, windows.watermark, <usize>OperatorStats.WATERMARK);
  store<u64>(out, windowsHeld(operator), <usize>OperatorStats.OPEN_WINDOWS);
  store<u64>(out, windows.backward, <usize>OperatorStats.BACKWARD_WATERMARKS);
  store<u64>(out, windows.partlyLateRows, <usize>OperatorStats.PARTLY_LATE_ROWS);
}

/** Rows of the last push that came too late, as one U32 column of row numbers. */
export function late(context: usize, handle: u32, out: usize): i32 {
  const operator = enter(context, handle);
  if (operator == 0) return status(context);
  if (!isAddress(out, <u32>Batch.SIZE)) return fail(context, Status.BAD_ARGUMENT, Reason.BAD_BATCH);
  memory.fill(out, 0, <usize>Batch.SIZE);
  if (changetype<Operator>(operator).kind != <u32>OperatorKind.WINDOW_AGGREGATE)
    return fail(context, Status.BAD_ARGUMENT, Reason.BAD_HANDLE);
  return windowLate(context, operator, out);
}
