// Readying results: what takes long before the first of them leaves, in parts that several threads may claim.
//
// Where every value of a group is kept, and many are (aggregate/log-parts.ts), values are laid group by group and the
// quantiles, modes and deviations of the groups found. Both are done a part of the groups at a time. For the medians of 10
// million values in 10,000 groups two threads take half as long as one, which gains nothing by it.
//
// Whoever pulls does the parts that nobody has claimed; so it is up to the host whether any are shared. The operator has
// ended: nothing comes any more that would change what was selected.

import { AggregateFunction } from "../abi/operator";
import { Status } from "../abi/status";
import { Accumulator, Family } from "../aggregate/accumulator";
import {
  PARTS,
  partsPlaceBase,
  partsPlaceGroup,
  partsPlaceSize,
  partsPlaces,
  partsSettleBegin,
  partsSettleEnd,
  partsSettlePart,
  partsSettling,
} from "../aggregate/log-parts";
import { isMoment } from "../aggregate/moments-result";
import { RESULT_SCRATCH, Result, logValue } from "../aggregate/results";
import { failMemory, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { regionBlock } from "../memory/region";
import { waitingRows } from "./aggregate-waiting";
import { Aggregation, accumulatorAt, aggregationOf, groupsOf, resultAt } from "./aggregation";
import { Operator } from "./operator";

/** Parts that can be claimed. */
export const READY_PARTS: u32 = PARTS;
/** Values of a log for each result that is kept: selecting among fewer is soon done, and results take memory. */
const VALUES_EACH: u64 = 4;

/** Begins: how many parts there are to be done, 0 where results do not take long, or OUT_OF_MEMORY with nothing lost. */
export function aggregateReadyBegin(context: usize, operator: usize): i32 {
  const self = aggregationOf(operator);
  const results = self.changelog == 0 && changetype<Operator>(operator).ended != 0 && waitingRows(operator) == 0;
  let parts: u32 = 0;
  for (let index: u32 = 0; index < self.accumulatorCount && results; index++) {
    const log = accumulatorAt(self, index);
    if (!isDivided(log)) continue;
    const before = partsSettling(log);
    if (!partsSettleBegin(log, groupsOf(self).count)) return failMemory(context, 0);
    if (!partsSettling(log)) continue;
    if (!before) makeRoom(operator, log);
    parts = READY_PARTS;
  }
  return parts;
}

// @ts-ignore: decorator
@inline
function isDivided(self: Accumulator): bool {
  return self.family == <u32>Family.LOG && self.side != 0;
}

/** Room for the results over a log, where they are few beside its values; the others are found as they leave. */
function makeRoom(operator: usize, log: Accumulator): void {
  const self = aggregationOf(operator);
  const groups = <u64>groupsOf(self).count;
  let left = log.rows / VALUES_EACH;
  for (let index: u32 = 0; index < self.resultCount && groups <= left; index++) {
    const result = resultAt(self, index);
    if (!isSelected(result, log) || result.ready != 0) continue;
    result.ready = regionBlock(operator, <usize>groups << 3);
    left -= groups;
  }
}

/** Whether a result is selected among a log's values, or computed from them. */
function isSelected(result: Result, log: Accumulator): bool {
  if (result.values != changetype<usize>(log)) return false;
  const fn = result.fn;
  return (
    fn == <u32>AggregateFunction.QUANTILE ||
    fn == <u32>AggregateFunction.QUANTILE_DISC ||
    fn == <u32>AggregateFunction.MODE ||
    isMoment(fn)
  );
}

/** Does a part, unless it is done or nothing has begun. Others may do other parts meanwhile. */
export function aggregateReadyPart(context: usize, operator: usize, part: u32): void {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const log = accumulatorAt(self, index);
    if (!isDivided(log) || !partsSettling(log) || !partsSettlePart(log, part)) continue;
    const mark = scratchMark(context);
    for (let at: u32 = 0; at < self.resultCount; at++) {
      const result = resultAt(self, at);
      if (result.ready != 0 && isSelected(result, log)) select(context, result, log, part);
    }
    scratchReset(context, mark);
  }
}

function select(context: usize, result: Result, log: Accumulator, part: u32): void {
  const value = scratchTake(context, 16);
  const scratch = scratchTake(context, RESULT_SCRATCH);
  const places = partsPlaces(log);
  for (let place: u32 = 0; place < places; place++) {
    const size = partsPlaceSize(log, part, place);
    if (size == 0) continue;
    logValue(result, partsPlaceBase(log, part, place), size, value, scratch);
    store<u64>(result.ready + ((<usize>partsPlaceGroup(log, part, place)) << 3), load<u64>(value));
  }
}

/** Does what is left. NEED_INPUT, or OUT_OF_MEMORY with nothing lost. */
export function aggregateReady(context: usize, operator: usize): i32 {
  const parts = aggregateReadyBegin(context, operator);
  if (parts <= 0) return parts;
  for (let part: u32 = 0; part < <u32>parts; part++) aggregateReadyPart(context, operator, part);
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const log = accumulatorAt(self, index);
    if (isDivided(log) && partsSettling(log)) partsSettleEnd(log);
  }
  return Status.NEED_INPUT;
}
