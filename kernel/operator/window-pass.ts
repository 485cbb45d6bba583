// Rows that another operator takes, as the one that keeps the time of a stream sees them pass by.
//
// An operator with a BOUND moves its watermark by its own rows. Where several share the rows of a stream, each of them
// would be behind, and take rows that are late. But a row is late by the windows that are closed, not by the watermark
// as such: while none closes, all operators that have been told the last one that did judge alike. So the operator that
// keeps the time looks at the times of each batch first: a batch that closes nothing may go to any of them, and one that
// does is its own.

import { Abi, Batch } from "../abi/layout";
import { Reason, Status } from "../abi/status";
import { Vector } from "../column/vector";
import { programBind, programLoads } from "../expression/program";
import { fail, scratchMark, scratchReset, scratchTake } from "../memory/context";
import { firstOpenWindow, shapeHighest, shapeLowest } from "../window/shape";
import { windowCombines } from "./window-combine";
import { ROUTING_SIZE, Routing, loadAllTimes, newestOfAll, timeRange, watermarkAfter } from "./window-route";
import { shapeOf, windowsOf, windowsProgram } from "./windows";

const ROWS: u32 = Abi.VECTOR_ROWS;

/**
 * NEED_INPUT when the times of a batch close no window, and count as seen; HAS_MORE when they close one, or might:
 * nothing has changed then. Or an error.
 */
export function windowPass(context: usize, operator: usize, batch: usize): i32 {
  const self = windowsOf(operator);
  if (!windowCombines(operator)) return fail(context, Status.BAD_ARGUMENT, Reason.STATE_KIND);
  if (self.bound < 0) return Status.NEED_INPUT;
  const program = windowsProgram(operator);
  if (!programLoads(program, self.time)) return Status.HAS_MORE;
  const bound = programBind(context, program, batch);
  if (bound < 0) return bound;
  const shape = shapeOf(self);
  const newest = newestIn(context, operator, load<u32>(batch, <usize>Batch.ROWS));
  const watermark = watermarkAfter(self, self.watermark, newest);
  if (watermark != self.watermark) {
    if (self.watermark < shapeLowest(shape) || newest > shapeHighest(shape)) return Status.HAS_MORE;
    if (firstOpenWindow(shape, watermark) != firstOpenWindow(shape, self.watermark)) return Status.HAS_MORE;
  }
  self.newest = newest;
  self.watermark = watermark;
  return Status.NEED_INPUT;
}

/** The newest of the operator's times and those of the bound batch of `rows` rows. */
function newestIn(context: usize, operator: usize, rows: u32): i64 {
  let newest = windowsOf(operator).newest;
  const mark = scratchMark(context);
  const routing = changetype<Routing>(scratchTake(context, ROUTING_SIZE));
  for (let start: u32 = 0; start < rows; start += ROWS) {
    const within = scratchMark(context);
    const count = min(ROWS, rows - start);
    loadAllTimes(context, operator, start, count, routing);
    const times = changetype<Vector>(routing.all);
    if (times.validity != 0) newest = newestOfAll(routing, 0, count, newest);
    else {
      timeRange(times.values, count, routing.range);
      newest = max<i64>(newest, load<i64>(routing.range, 8));
    }
    scratchReset(context, within);
  }
  scratchReset(context, mark);
  return newest;
}
