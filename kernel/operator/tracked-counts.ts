// Counts of arguments that have had nulls (aggregate/count.ts), while rows are pushed.
//
// To count each row of an argument costs as much as to count rows, again for each argument, though all but some rows count.
// So from push to push counts say by how many rows they lag behind the count of rows, and only nulls are met: three means of
// columns with a null in each twentieth row, by 100 integers, take 0.75 of the time. Before anything but a push reaches the
// operator they are counts again (dispatch.ts), as before a further argument's first null.

import { Accumulator, Family } from "../aggregate/accumulator";
import { groupsOf, Aggregation, accumulatorAt, aggregationOf } from "./aggregation";
import { isPartial } from "./aggregate-partial";
import { isRetracting } from "./aggregate-retract";

/** Whether counts are to lag from a push of `rows` rows on that do not yet: where that is soon done. */
export function countsWait(operator: usize, rows: u32): bool {
  const self = aggregationOf(operator);
  if (self.rowsCounter == 0 || self.changelog != 0 || isRetracting(self) || isPartial(operator)) return false;
  if (groupsOf(self).count > rows) return false;
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const counts = accumulatorAt(self, index);
    if (counts.lags == 0 && mayLag(counts)) return true;
  }
  return false;
}

/** Lets counts lag. What lies beside sums has been added to the count of rows (`sumsSettle`), and none lags yet. */
export function countsLag(operator: usize): void {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const counts = accumulatorAt(self, index);
    if (!mayLag(counts)) continue;
    addRows(counts, changetype<Accumulator>(self.rowsCounter), -1);
    counts.lags = 1;
  }
}

/** Makes counts of all that lag: what lies beside sums has been added to the count of rows. */
export function countsSettle(operator: usize): void {
  const self = aggregationOf(operator);
  for (let index: u32 = 0; index < self.accumulatorCount; index++) {
    const counts = accumulatorAt(self, index);
    if (counts.lags == 0) continue;
    addRows(counts, changetype<Accumulator>(self.rowsCounter), 1);
    counts.lags = 0;
  }
}

function mayLag(self: Accumulator): bool {
  return self.family == <u32>Family.COUNT && self.tracking != 0 && self.argument >= 0 && self.filter < 0;
}

/** Adds the rows of all groups, so many times. */
function addRows(counts: Accumulator, rows: Accumulator, times: i64): void {
  const groups = min(rows.capacity, counts.capacity);
  for (let group: usize = 0; group < <usize>groups; group++) {
    const at = counts.values + (group << 3);
    store<i64>(at, load<i64>(at) + times * load<i64>(rows.values + group * <usize>rows.stride));
  }
}
