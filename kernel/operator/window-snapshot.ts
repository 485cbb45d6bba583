// Saving the state of a windowed aggregation: see window-state.ts for what it is.

import { Abi, Batch, Type } from "../abi/layout";
import { OperatorKind } from "../abi/operator";
import { Status } from "../abi/status";
import { outputColumn, outputDescribe, outputReset } from "../column/builder";
import { failMemory } from "../memory/context";
import { sliceEnd, sliceStart, windowEnd, windowStart } from "../window/shape";
import { aggregateRelease } from "./aggregate-merge";
import { aggregateSnapshot } from "./aggregate-snapshot";
import { STATE_ROWS } from "./aggregate-state";
import { Operator } from "./operator";
import { changesFired, changesKept, changesResult, changesWindow } from "./window-changes";
import { scatterFoldAll } from "./window-scatter";
import { OWN_SECTIONS, PartRole, WindowState, windowStateOf, windowStateOutput } from "./window-state";
import { Windows, partialAt, partialFrom, partialPlace, partialSlice, partialState, shapeOf, windowsOf } from "./windows";

/** Writes the next batch of the state to `out`: the `first`, or the one after the last. HAS_MORE, then FINISHED. */
export function windowSnapshot(context: usize, operator: usize, out: usize, maxRows: u32, first: bool): i32 {
  const self = windowsOf(operator);
  const address = windowStateOf(operator);
  if (address == 0) return failMemory(context, 0);
  const state = changetype<WindowState>(address);
  if (first) {
    const folded = scatterFoldAll(context, operator);
    if (folded < 0) return folded;
    state.section = 0;
    state.cursor = 0;
    state.begun = 0;
  }
  const parts = partCount(self);
  if (state.section == 0) {
    if (!saveHeader(operator, state, parts)) return failMemory(context, 0);
    outputDescribe(state.header, out, 1, 0);
    state.section = 1;
    return parts == 0 ? Status.FINISHED : Status.HAS_MORE;
  }
  if (state.section == 1) {
    const rows = min(min(maxRows, STATE_ROWS), parts - state.cursor);
    if (!saveParts(operator, state, rows)) return failMemory(context, 0);
    outputDescribe(state.parts, out, rows, 1);
    state.cursor += rows;
    if (state.cursor < parts) return Status.HAS_MORE;
    state.section = OWN_SECTIONS;
    state.cursor = 0;
    return Status.HAS_MORE;
  }
  const part = partState(self, state.cursor);
  const status = aggregateSnapshot(context, part, out, maxRows, state.begun == 0);
  if (status < 0) return status;
  store<u32>(out, load<u32>(out, <usize>Batch.SECTION) + OWN_SECTIONS, <usize>Batch.SECTION);
  state.begun = 1;
  if (status != <i32>Status.FINISHED) return status;
  state.begun = 0;
  state.cursor++;
  return state.cursor == parts ? Status.FINISHED : Status.HAS_MORE;
}

/** Drops a half-read snapshot; a half-done merge cannot be undone. */
export function windowStateRelease(operator: usize): void {
  const self = windowsOf(operator);
  if (self.state == 0) return;
  const state = changetype<WindowState>(self.state);
  if (state.open) changetype<Operator>(operator).failed = 1;
  if (state.begun) aggregateRelease(partState(self, state.cursor));
  state.begun = 0;
}

// ---- parts: partials, the sum of the back, kept results

function partCount(self: Windows): u32 {
  return self.count + <u32>(self.back != 0) + changesKept(self);
}

function partState(self: Windows, index: u32): usize {
  if (index < self.count) return partialState(partialAt(self, index));
  const other = index - self.count;
  if (self.back == 0) return changesResult(self, other);
  return other == 0 ? self.back : changesResult(self, other - 1);
}

function saveParts(operator: usize, state: WindowState, rows: u32): bool {
  const self = windowsOf(operator);
  if (state.parts == 0) state.parts = windowStateOutput(operator, 1);
  if (state.parts == 0 || !outputReset(state.parts, rows)) return false;
  for (let row: u32 = 0; row < rows; row++) savePart(self, state.parts, state.cursor + row);
  return true;
}

function savePart(self: Windows, output: usize, index: u32): void {
  const shape = shapeOf(self);
  if (index < self.count) {
    const partial = partialAt(self, index);
    const slice = partialSlice(partial);
    const from = partialFrom(self, partial);
    append(output, sliceStart(shape, slice), sliceEnd(shape, slice), from, partialPlace(partial));
    return;
  }
  const other = index - self.count;
  if (self.back != 0 && other == 0) {
    append(output, sliceStart(shape, self.backFirst), sliceEnd(shape, self.backLast), self.closed, PartRole.SUM);
    return;
  }
  const window = changesWindow(self, self.back == 0 ? other : other - 1);
  append(output, windowStart(shape, window), windowEnd(shape, window), window, PartRole.RESULT);
}

function append(output: usize, start: i64, end: i64, window: i64, role: u32): void {
  append64(output, 0, start);
  append64(output, 1, end);
  append64(output, 2, window);
  append64(output, 3, <i64>role);
}

function append64(output: usize, column: u32, value: i64): void {
  const builder = outputColumn(output, column);
  const at = <usize>builder.length;
  if (builder.type == <u32>Type.U32) store<u32>(builder.values + (at << 2), <u32>value);
  else store<i64>(builder.values + (at << 3), value);
  builder.length++;
}

function saveHeader(operator: usize, state: WindowState, parts: u32): bool {
  const self = windowsOf(operator);
  const head = changetype<Operator>(operator);
  if (state.header == 0) state.header = windowStateOutput(operator, 0);
  if (state.header == 0 || !outputReset(state.header, 1)) return false;
  const output = state.header;
  append64(output, 0, <i64>Abi.VERSION);
  append64(output, 1, <i64>OperatorKind.WINDOW_AGGREGATE);
  append64(output, 2, <i64>self.configHash);
  append64(output, 3, <i64>head.rowsIn);
  append64(output, 4, <i64>head.rowsSelected);
  append64(output, 5, <i64>head.batchesIn);
  append64(output, 6, self.watermark);
  append64(output, 7, self.newest);
  append64(output, 8, self.closed);
  append64(output, 9, changesFired(self));
  append64(output, 10, self.flipped);
  append64(output, 11, <i64>self.lateRows);
  append64(output, 12, <i64>self.nullTimes);
  append64(output, 13, <i64>self.backward);
  append64(output, 14, <i64>parts);
  return true;
}
