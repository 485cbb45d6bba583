// Which loaded columns have a copy in bytes (narrow.ts), and what is in it.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeColumn } from "../../../twin/values.js";
import type { ColumnData } from "../type/column.js";
import {
  type DataType,
  dictionary,
  float32,
  int16,
  int32,
  int64,
  uint32,
  uint64,
  utf8,
} from "../type/data-type.js";
import { oneColumn } from "../type/testing.js";
import { Kernel } from "./kernel.js";

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open({ build: "scalar", budget: "8 MiB" });
});
afterAll(() => kernel.close());

/** The bytes of a loaded column's rows; null where it has no copy. */
function bytesOf(column: ColumnData, of = kernel): number[] | null {
  const table = of.load([oneColumn(column)]);
  const descriptor = table.batches[0]!.column(0)!;
  const { narrow = 0, offset } = descriptor;
  const bytes =
    narrow === 0 ? null : [...of.memory.bytes.slice(narrow + offset, narrow + offset + column.length)];
  expect(descriptor.trusted).toBe(narrow !== 0);
  table.free();
  return bytes;
}

const INTEGERS: readonly DataType[] = [int32, uint32, int64, uint64];

describe.each(INTEGERS.map((type) => [type.kind, type] as const))("%s", (_, type) => {
  test("has its values, where all that are not null are from 0 to 255, and 255 for null where any is", () => {
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        fc.array(
          fc.option(fc.oneof(fc.nat(255), fc.nat(254), fc.constantFrom(-1, 254, 255, 256, 2 ** 31 - 1)), {
            freq: 6,
          }),
        ),
        fc.nat(20),
        fc.boolean(),
        (drawn, offset, bitmap) => {
          const values = drawn.map((value) =>
            value === null ? null : BigInt(type.kind === "int" && type.signed ? value : Math.abs(value)),
          );
          const column = writeColumn(type, values, { offset, bitmap });
          const most = values.includes(null) ? 254n : 255n;
          const fits = values.every((value) => value === null || (value >= 0n && value <= most));
          const bytes = bytesOf(column);
          if (values.length === 0 || !fits) {
            expect(bytes).toBeNull();
            return;
          }
          expect(bytes).toEqual(values.map((value) => (value === null ? 255 : Number(value))));
        },
      ),
    );
    expect(kernel.usedBytes).toBe(before);
  });

  test("has none for a value that is a multiple of 256 more", () => {
    const far = type === int64 || type === uint64 ? 2n ** 40n + 3n : 2n ** 20n + 3n;
    expect(bytesOf(writeColumn(type, [1n, 2n, far]))).toBeNull();
    expect(bytesOf(writeColumn(type, [1n, null, 3n]))).toEqual([1, 255, 3]);
  });
});

test("codes have copies where there are 256 at most, and none where one is not of the dictionary", () => {
  const texts = Array.from({ length: 257 }, (_, at) => `text ${at}`);
  const type = dictionary(utf8);
  const few = writeColumn(type, ["b", "a", "b"]);
  const codes = [...new Int32Array(few.values.slice().buffer)].slice(few.offset);
  expect(bytesOf(few)).toEqual(codes);
  expect(bytesOf(writeColumn(type, texts.slice(0, 256)))).toHaveLength(256);
  expect(bytesOf(writeColumn(type, texts))).toBeNull();
  expect(bytesOf(writeColumn(type, [...texts.slice(0, 255), null]))!.slice(-2)).toEqual([254, 255]);
  expect(bytesOf(writeColumn(type, [...texts.slice(0, 256), null]))).toBeNull();
  expect(bytesOf({ ...few, values: new Uint8Array(new Int32Array([0, 2, 1]).buffer), offset: 0 })).toBeNull();
});

test("other columns have none", () => {
  expect(bytesOf(writeColumn(int16, [1n]))).toBeNull();
  expect(bytesOf(writeColumn(float32, [1]))).toBeNull();
  expect(bytesOf(writeColumn(utf8, ["a"]))).toBeNull();
});

test("what is read but once, and copies of a loaded batch, have none", () => {
  const data = oneColumn(writeColumn(int32, [1n, 2n]));
  const once = kernel.load([data], undefined, false);
  expect(once.batches[0]!.column(0)!.narrow ?? 0).toBe(0);
  once.free();
  const table = kernel.load([data]);
  const copy = table.batches[0]!.copy();
  expect(copy.column(0)!.narrow ?? 0).toBe(0);
  copy.free();
  table.free();
});

test("there are none where a quarter of the budget would not be left", async () => {
  const rows = 256 * 1024;
  const column = writeColumn(
    int32,
    Array.from({ length: rows }, (_, row) => BigInt(row & 255)),
  );
  const large = await Kernel.open({ build: "scalar", budget: "4 MiB" });
  expect(bytesOf(column, large)).toHaveLength(rows);
  large.close();
  const small = await Kernel.open({ build: "scalar", budget: "2 MiB" });
  const before = small.usedBytes;
  expect(bytesOf(column, small)).toBeNull();
  expect(small.usedBytes).toBe(before);
  small.close();
});
