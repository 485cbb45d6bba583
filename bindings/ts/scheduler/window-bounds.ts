// window_start, window_end and window_time of results: from the operator's numbers to the time column's type.
//
// Results leave a window at a time, so most rows repeat the bounds of the row before; what is not a plain tick
// (a month, a day of a zone) is looked up in the calendar once for each such run.

import { Type } from "../../../kernel/abi/layout.js";
import { leastStep, type TimeScale, timeOf } from "../plan/index.js";
import { type ColumnData, validColumn } from "../type/column.js";
import { byteWidth, physicalType, typeName } from "../type/data-type.js";
import { OverflowError } from "../type/error.js";
import { INTEGER_ARRAYS } from "../type/integer-array.js";

/** The three columns, from start and end as 64-bit numbers on the scale; all null for the global window. */
export function windowBounds(
  scale: TimeScale,
  isGlobal: boolean,
  start: ColumnData,
  end: ColumnData,
): ColumnData[] {
  if (isGlobal) return [0, 1, 2].map(() => nulls(scale, start.length));
  const [from, to] = [words(start), words(end)];
  const step = leastStep(scale.type);
  if (scale.kind === "ticks" && physicalType(scale.type) === Type.I64 && step === 1n) {
    return [
      validColumn(scale.type, start.length, bytesOf(from)),
      validColumn(scale.type, end.length, bytesOf(to)),
      last(scale, to),
    ];
  }
  return [
    converted(scale, from, "window_start", (number) => timeOf(scale, number)),
    converted(scale, to, "window_end", (number) => timeOf(scale, number)),
    converted(scale, to, "window_time", (number) => timeOf(scale, number) - step),
  ];
}

/** A 64-bit column's values as pairs of 32-bit words, low first: faster than as bigints. */
function words({ values, offset, length }: ColumnData): Int32Array {
  const start = offset * 8;
  const bytes = values.subarray(start, start + length * 8);
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Int32Array(aligned.buffer, aligned.byteOffset, length * 2);
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function nulls(scale: TimeScale, length: number): ColumnData {
  const values = new Uint8Array(length * byteWidth(physicalType(scale.type)));
  const validity = new Uint8Array(Math.ceil(length / 64) * 8);
  return { ...validColumn(scale.type, length, values), nullCount: length, validity };
}

/** The last tick before each end. */
function last(scale: TimeScale, to: Int32Array): ColumnData {
  const out = new Int32Array(to.length);
  for (let at = 0; at < to.length; at += 2) {
    const low = to[at]!;
    out[at] = low - 1;
    out[at + 1] = to[at + 1]! - (low === 0 ? 1 : 0);
  }
  return validColumn(scale.type, to.length / 2, bytesOf(out));
}

function converted(
  scale: TimeScale,
  numbers: Int32Array,
  name: string,
  convert: (number: bigint) => bigint,
): ColumnData {
  const type = physicalType(scale.type) as keyof typeof INTEGER_ARRAYS;
  const rows = numbers.length / 2;
  const out = new INTEGER_ARRAYS[type](rows);
  let value: number | bigint = 0;
  for (let row = 0; row < rows; row++) {
    const at = row * 2;
    if (row === 0 || numbers[at] !== numbers[at - 2] || numbers[at + 1] !== numbers[at - 1]) {
      const exact = convert((BigInt(numbers[at + 1]!) << 32n) | BigInt(numbers[at]! >>> 0));
      value = out instanceof BigInt64Array || out instanceof BigUint64Array ? exact : Number(exact);
      out[row] = value;
      if (BigInt(out[row]!) !== exact) throw overflow(scale, name, exact);
    }
    out[row] = value;
  }
  return validColumn(scale.type, rows, bytesOf(out));
}

function overflow({ type }: TimeScale, column: string, value: bigint): OverflowError {
  return new OverflowError(
    `column "${column}": ${value} does not fit ${typeName(type)}, the time column's type`,
    {
      column,
      value,
      expected: typeName(type),
    },
  );
}
