// Combining windowed aggregations: what one holds of each slice folded into another of the same configuration, so that
// several workers can take the rows of one source.
//
// Operators that have had the same watermarks name a row's partial alike, so those of one name are combined, as
// aggregations are (aggregate-combine.ts); scattered rows of the source go into the partials of the target at once. No
// window that the source has rows of may have left the target. The source is empty afterwards and can go on: it holds what
// has come since the last time, and a stream's workers bring that together whenever windows close.

import { Reason, Status } from "../abi/status";
import { Abi } from "../abi/layout";
import { fail, scratchMark, scratchReset } from "../memory/context";
import { regionFree } from "../memory/region";
import { backlogWork } from "./aggregate-backlog";
import { Combination, combineBegin, combineStep } from "./aggregate-combine";
import { Operator, operatorFailWith, operatorFree } from "./operator";
import { nextWindow } from "./window-close";
import { scatterFoldInto } from "./window-scatter";
import { NO_WINDOW, Windows, partialAt, partialFor, partialFrom, partialSlice, partialState, windowsOf } from "./windows";

/** What stands in `Windows.combining` of one that is being folded into another. */
const TAKEN: u32 = u32.MAX_VALUE;
/** Groups that a call goes through. */
const CALL_GROUPS: u32 = Abi.MORSEL_ROWS;

/** Whether windows of this kind can be combined: of fixed places, all of whose results leave once. */
export function windowCombines(operator: usize): bool {
  const self = windowsOf(operator);
  return self.sessions == 0 && self.changes == 0;
}

/** Whether it is being combined with another. */
// @ts-ignore: decorator
@inline
export function windowIsCombining(operator: usize): bool {
  return windowsOf(operator).combining != 0;
}

/** HAS_MORE, NEED_INPUT when all is there, or an error: after OUT_OF_MEMORY the call may be made again. */
export function windowCombine(context: usize, operator: usize, source: usize, handle: u32): i32 {
  const self = windowsOf(operator);
  const other = windowsOf(source);
  if (!windowCombines(operator) || !windowCombines(source)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (self.configHash != other.configHash) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_CONFIG);
  const begun = self.combining == handle;
  if (begun ? other.combining != TAKEN : (self.combining | other.combining) != 0)
    return fail(context, Status.BUSY, Reason.NONE);
  if (!begun) {
    if (!isInTime(operator, source)) return fail(context, Status.BAD_ARGUMENT, Reason.PORT_CLOSED);
    self.combining = handle;
    self.next = 0;
    self.folding = 0;
    other.combining = TAKEN;
    moveCounts(operator, source);
  }
  for (let left = CALL_GROUPS; left > 0; ) {
    const mark = scratchMark(context);
    const done = step(context, operator, source);
    scratchReset(context, mark);
    if (done < 0) return done;
    if (done == 0) {
      const work = changetype<Combination>(self.combination);
      regionFree(operator, work.map);
      work.map = 0;
      self.combining = 0;
      dropPartials(context, other);
      other.combining = 0;
      return Status.NEED_INPUT;
    }
    left -= min(left, <u32>done);
  }
  return Status.HAS_MORE;
}

/** Whether neither has ended, no window is leaving, and none has left that the source has rows of. */
function isInTime(operator: usize, source: usize): bool {
  const self = windowsOf(operator);
  const other = windowsOf(source);
  if ((changetype<Operator>(operator).ended | changetype<Operator>(source).ended) != 0) return false;
  if ((self.open | other.open) != 0 || other.closed != NO_WINDOW || other.back != 0) return false;
  const first = nextWindow(other);
  return first == NO_WINDOW || self.closed == NO_WINDOW || first > self.closed;
}

/** What the source has counted is the target's from now on. */
function moveCounts(operator: usize, source: usize): void {
  const self = windowsOf(operator);
  const other = windowsOf(source);
  self.nullTimes += other.nullTimes;
  self.lateRows += other.lateRows;
  self.partlyLateRows += other.partlyLateRows;
  other.nullTimes = 0;
  other.lateRows = 0;
  other.partlyLateRows = 0;
  const head = changetype<Operator>(operator);
  const otherHead = changetype<Operator>(source);
  head.rowsIn += otherHead.rowsIn;
  head.batchesIn += otherHead.batchesIn;
  head.rowsSelected += otherHead.rowsSelected;
  otherHead.rowsIn = 0;
  otherHead.batchesIn = 0;
  otherHead.rowsSelected = 0;
}

function dropPartials(context: usize, self: Windows): void {
  for (let index: u32 = 0; index < self.count; index++) operatorFree(context, partialState(partialAt(self, index)));
  self.first = 0;
  self.count = 0;
}

/** Goes on: groups done, 0 when that was all, or an error. */
function step(context: usize, operator: usize, source: usize): i32 {
  const self = windowsOf(operator);
  const other = windowsOf(source);
  const folded = scatterFoldInto(context, operator, source);
  if (folded != 0) return folded;
  if (self.next == other.count) return 0;
  const partial = partialAt(other, self.next);
  const target = partialFor(context, operator, partialSlice(partial), partialFrom(other, partial));
  if (target == 0) return Status.OUT_OF_MEMORY;
  const work = changetype<Combination>(self.combination);
  if (self.folding == 0) {
    const begun = begin(context, operator, work, target, partialState(partial));
    if (begun < 0) return begun;
    self.folding = 1;
  }
  const status = combineStep(context, operator, work, target, partialState(partial));
  if (status < 0 && work.broken) changetype<Operator>(operator).failed = 1;
  if (status != 0) return status;
  self.folding = 0;
  self.next++;
  return 1;
}

function begin(context: usize, operator: usize, work: Combination, target: usize, source: usize): i32 {
  let status = backlogWork(context, target, true);
  if (status >= 0) status = backlogWork(context, source, true);
  operatorFailWith(operator, target);
  operatorFailWith(operator, source);
  return status < 0 ? status : combineBegin(context, work, target, source);
}
