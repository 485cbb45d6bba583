// The columns of a window's start and end beside its results.

import { outputColumn } from "../column/builder";
import { windowEnd, windowStart } from "../window/shape";
import { Windows, shapeOf } from "./windows";

/** Writes a window's start and end beside the next `rows` rows of the output, for which there is room. */
export function fillBounds(self: Windows, output: usize, window: i64, rows: u32): void {
  const shape = shapeOf(self);
  fill(output, 0, windowStart(shape, window), rows);
  fill(output, 1, windowEnd(shape, window), rows);
}

function fill(output: usize, column: u32, time: i64, rows: u32): void {
  const builder = outputColumn(output, column);
  const end = builder.values + ((<usize>(builder.length + rows)) << 3);
  for (let at = builder.values + ((<usize>builder.length) << 3); at < end; at += 8) store<i64>(at, time);
  builder.length += rows;
}
