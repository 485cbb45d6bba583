// Partial aggregation: the state leaves, batch by batch, for another operator to finish; what is kept is bounded.
//
// It leaves at the end of input, at a watermark, and as soon as keeping it does not pay: when a sample of the rows
// made nearly as many groups as it has rows, or when there are many groups. What leaves is a whole state, as of a
// snapshot, and the operator starts again empty. Rows that do not reduce are then passed on: every row is a group
// of its own, without a look at the table, one sample of rows after the other, until it is time to look again.
//
// Starting empty is what a new operator does, from a copy of the configuration, in the same handle: no family of
// accumulators needs a way back of its own.
//
//   operator: +768 Partial. It and the counts so far outlive the operator's other contents.

import { AggregateFault, AggregateFlag, OperatorStats } from "../abi/operator";
import { Status } from "../abi/status";
import { Tier } from "../group/state";
import { contextAccount, contextRoot } from "../memory/context";
import { heapAllocate, heapFree } from "../memory/heap";
import { aggregateSnapshot } from "./aggregate-snapshot";
import { aggregationOf, groupsOf } from "./aggregation";
import { Operator } from "./operator";

export const PARTIAL: usize = 768;
/** Rows after which the number of groups is judged, and after which passed rows leave. */
const SAMPLE_ROWS: u64 = 1 << 17;
/** Groups that are kept at most, but for those of the last push. */
const MOST_GROUPS: u32 = 1 << 20;
/** Samples that are passed on before one is grouped again: looking costs an eighth of not looking. */
const PASSED_SAMPLES: u32 = 7;

// @ts-ignore: decorator
@unmanaged
class Partial {
  /** The configuration, in a block of the heap; 0 where the operator is not partial. */
  config: usize;
  length: u32;
  /** 1 while a state is to be pulled; once its first batch has left; once all of it has. */
  open: u32;
  begun: u32;
  left: u32;
  /** Whether rows are passed on, and for how many samples already. */
  passing: u32;
  samples: u32;
  /** What has been counted in states that have left. */
  rowsIn: u64;
  rowsSelected: u64;
  batchesIn: u64;
}

// @ts-ignore: decorator
@inline
function partialOf(operator: usize): Partial {
  return changetype<Partial>(operator + PARTIAL);
}

// @ts-ignore: decorator
@inline
export function isPartial(operator: usize): bool {
  return partialOf(operator).config != 0;
}

/** Keeps a copy of the configuration, if it says PARTIAL, and tells whether rows are passed on. */
export function partialCreate(context: usize, operator: usize, config: usize, length: u32): bool {
  const self = aggregationOf(operator);
  if ((self.flags & <u32>AggregateFlag.PARTIAL) == 0) return true;
  const partial = partialOf(operator);
  self.backlogRefused = 1;
  groupsOf(self).appends = partial.passing;
  if (partial.config != 0) return true;
  partial.config = heapAllocate(contextRoot(context), contextAccount(context), length);
  partial.length = length;
  if (partial.config == 0) return false;
  memory.copy(partial.config, config, length);
  return true;
}

export function partialFree(context: usize, operator: usize): void {
  if (isPartial(operator)) heapFree(contextRoot(context), partialOf(operator).config);
}

/** Whether a state waits to be pulled. */
export function partialPending(operator: usize): bool {
  return partialOf(operator).open != 0;
}

/** After a push: HAS_MORE when the state is to leave now. */
export function partialPushed(operator: usize): i32 {
  const self = aggregationOf(operator);
  const groups = groupsOf(self);
  const partial = partialOf(operator);
  if (groups.tier == <u32>Tier.NONE) return Status.NEED_INPUT;
  const rows = changetype<Operator>(operator).rowsSelected;
  const enough = self.fault & <u32>AggregateFault.FLUSH_OFTEN ? rows != 0 : rows >= SAMPLE_ROWS;
  // Four groups of five rows: sending five rows costs about what grouping them does.
  const reduces = !partial.passing && <u64>groups.count * 5 <= rows * 4;
  if (groups.count < MOST_GROUPS && (reduces || !enough)) return Status.NEED_INPUT;
  partial.open = 1;
  if (!partial.passing) {
    partial.passing = reduces ? 0 : 1;
    partial.samples = 0;
  } else {
    partial.samples++;
    if (partial.samples >= PASSED_SAMPLES) partial.passing = 0;
  }
  return Status.HAS_MORE;
}

/** At a watermark: what is there is to leave. */
export function partialClose(operator: usize): void {
  if (isPartial(operator) && changetype<Operator>(operator).batchesIn != 0) partialOf(operator).open = 1;
}

/** Whether the operator has to start again before it goes on: its state has left altogether. */
export function partialMustRestart(operator: usize): bool {
  return partialOf(operator).left != 0 && changetype<Operator>(operator).ended == 0;
}

export function partialConfig(operator: usize): usize {
  return partialOf(operator).config;
}

export function partialConfigBytes(operator: usize): u32 {
  return partialOf(operator).length;
}

/** The next batch of the state that leaves. */
export function partialPull(context: usize, operator: usize, out: usize, maxRows: u32): i32 {
  const partial = partialOf(operator);
  const head = changetype<Operator>(operator);
  if (partial.open == 0 || partial.left != 0) return head.ended ? Status.FINISHED : Status.NEED_INPUT;
  const status = aggregateSnapshot(context, operator, out, maxRows, partial.begun == 0);
  if (status >= 0) partial.begun = 1;
  if (status != <i32>Status.FINISHED) return status;
  partial.left = 1;
  partial.rowsIn += head.rowsIn;
  partial.rowsSelected += head.rowsSelected;
  partial.batchesIn += head.batchesIn;
  head.rowsIn = 0;
  head.rowsSelected = 0;
  head.batchesIn = 0;
  return head.ended ? Status.FINISHED : Status.HAS_MORE;
}

/** The operator is empty again. */
export function partialRestarted(operator: usize): void {
  partialOf(operator).open = 0;
  partialOf(operator).begun = 0;
  partialOf(operator).left = 0;
}

/** Whether the operator's contents have left, so that there is nothing to count. */
export function partialHasLeft(operator: usize): bool {
  return partialOf(operator).left != 0;
}

/** Adds what states have taken along to the counts at `out`. */
export function partialCount(operator: usize, out: usize): void {
  const partial = partialOf(operator);
  add(out + <usize>OperatorStats.ROWS_IN, partial.rowsIn);
  add(out + <usize>OperatorStats.ROWS_SELECTED, partial.rowsSelected);
  add(out + <usize>OperatorStats.BATCHES_IN, partial.batchesIn);
}

function add(at: usize, count: u64): void {
  store<u64>(at, load<u64>(at) + count);
}
