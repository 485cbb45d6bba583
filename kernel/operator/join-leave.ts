// Kept rows leave a join whose host has no memory for them (KEEP_OUTPUTS), to be joined elsewhere, or later.
//
// They leave port by port, as all outputs of their side's program and a BOOL that tells whether the row has had a match,
// where rows of the port leave alone without one (false elsewhere: nobody asks): with MATCHED_LEFT or MATCHED_RIGHT another
// join, pushed these, goes on as if it had found the matches itself. So a host can join rows that did not fit piece by piece,
// by their keys. Rows that nothing can come of any more stay behind: those of a port whose other port has closed (they were
// only there for the push at hand), or has ended, as far as they were looked through for those that leave alone, and of SEMI
// and ANTI the matched ones.
//
// The join is as it was afterwards. While results wait that were found but not pulled (pairs of the last push, rows
// of a step) nothing leaves: whoever joins the rows again would give those twice, or not at all.

import { Abi, Type } from "../abi/layout";
import { JoinFlag } from "../abi/operator";
import { Reason, Status } from "../abi/status";
import { Builder, builderReserveBytes, builderSetBit, outputColumn, outputCreate, outputDescribe, outputReset } from "../column/builder";
import { TEXT_SLACK, gather, gatherBytes, gatherCells } from "../join/gather";
import { Store, storeColumn, storeMatched } from "../join/store";
import { fail, failMemory } from "../memory/context";
import { Join, Phase, STEP, joinClosed, joinFilters, joinOf, joinStore } from "./join-state";

/** Bits of SECTION besides the port: whether a row has come on port 1, and one without a key (NULL_AWARE). */
const SOME: u32 = 2;
const NULLS: u32 = 4;

/** Whether rows of this join can leave. */
export function joinLeaves(operator: usize): bool {
  const self = joinOf(operator);
  return (self.flags & <u32>JoinFlag.KEEP_OUTPUTS) != 0 && self.owner == 0;
}

/** The next rows, `maxRows` at most; of each port a batch at least, if only an empty one: see op_snapshot. */
export function joinLeave(context: usize, operator: usize, out: usize, maxRows: u32, first: bool): i32 {
  const self = joinOf(operator);
  if (hasResults(self)) return fail(context, Status.BUSY, Reason.NONE);
  if (first) begin(self, 0);
  const port = self.leavingPort;
  const output = outputOf(self, operator, port);
  const most = min<u32>(maxRows, <u32>Abi.MORSEL_ROWS);
  if (output == 0 || !outputReset(output, min<u32>(most, left(self, port)))) return failMemory(context, 0);
  const next = fill(self, port, output, most);
  if (next < 0) return failMemory(context, 0);
  const facts = (self.some1 ? SOME : 0) | (self.nulls1 ? NULLS : 0);
  outputDescribe(output, out, outputColumn(output, 0).length, port | facts);
  self.leavingRow = <u32>next;
  if (left(self, port) != 0) return Status.HAS_MORE;
  if (port == 1) return Status.FINISHED;
  begin(self, 1);
  return Status.HAS_MORE;
}

/** Whether pairs, or rows that leave alone, were found or are being looked for. */
function hasResults(self: Join): bool {
  const searches = self.phase == <u32>Phase.PAIRS || self.phase == <u32>Phase.LONE;
  return searches || self.candidates != 0 || self.taken < self.ready || self.given < self.written;
}

/** The port that leaves from now on. */
function begin(self: Join, port: u32): void {
  self.leavingPort = port;
  self.leavingRow = gone(self, port);
}

/** Rows of the port of which those without a match have left alone: the other one has ended. */
function gone(self: Join, port: u32): u32 {
  if (self.port == port) return 0;
  if (self.phase == <u32>Phase.SCAN) return self.at;
  return self.phase == <u32>Phase.INDEX ? joinStore(self, port).rows : 0;
}

/** Rows of the port that were not looked at. */
function left(self: Join, port: u32): u32 {
  return joinClosed(self, 1 - port) ? 0 : joinStore(self, port).rows - self.leavingRow;
}

function outputOf(self: Join, operator: usize, port: u32): usize {
  const known = port == 0 ? self.leaving0 : self.leaving1;
  if (known != 0) return known;
  const kept = joinStore(self, port);
  const output = outputCreate(operator, kept.columnCount + 1);
  if (output == 0) return 0;
  for (let index: u32 = 0; index < kept.columnCount; index++)
    outputColumn(output, index).type = storeColumn(kept, index).type;
  outputColumn(output, kept.columnCount).type = Type.BOOL;
  if (port == 0) self.leaving0 = output;
  else self.leaving1 = output;
  return output;
}

/** Writes rows from `leavingRow` on, `most` at most; answers the row after them, or -1 when out of memory. */
function fill(self: Join, port: u32, output: usize, most: u32): i64 {
  const kept = joinStore(self, port);
  const rows = port == 0 ? self.found0 : self.found1;
  const matched = outputColumn(output, kept.columnCount);
  const skips = port == 0 && joinFilters(self);
  const end = self.leavingRow + left(self, port);
  let row = self.leavingRow;
  while (matched.length < most && row < end) {
    const room = min<u32>(STEP, most - matched.length);
    let found: u32 = 0;
    for (; found < room && row < end; row++) {
      store<u32>(rows + ((<usize>found) << 2), row);
      found += skips && load<u8>(storeMatched(kept, row)) ? 0 : 1;
    }
    if (found != 0 && !append(kept, self.cells, rows, found, output, matched)) return -1;
  }
  return <i64>row;
}

function append(kept: Store, cells: usize, rows: usize, count: u32, output: usize, matched: Builder): bool {
  gatherCells(kept, rows, count, cells);
  for (let index: u32 = 0; index < kept.columnCount; index++) {
    const builder = outputColumn(output, index);
    if (builder.type == <u32>Type.BYTES) {
      const bytes = gatherBytes(kept, index, rows, count) + <u64>TEXT_SLACK;
      if (bytes > 0x7fffffff || !builderReserveBytes(load<u32>(output), builder, <usize>bytes)) return false;
    }
    gather(kept, cells, index, rows, count, builder, 0);
  }
  for (let at: u32 = 0; at < count; at++)
    builderSetBit(matched, matched.length + at, load<u8>(storeMatched(kept, load<u32>(rows + ((<usize>at) << 2)))));
  matched.length += count;
  return true;
}
