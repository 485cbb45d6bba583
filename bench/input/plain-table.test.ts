import {
  Bool,
  Decimal,
  Dictionary,
  Int32,
  makeData,
  makeVector,
  Table,
  TimestampMillisecond,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { expect, test } from "vitest";
import { plainTable } from "./plain-table.js";

test("chunks are joined, nulls become bytes", () => {
  const a = vectorFromArray([1, null, 3], new Int32());
  const b = vectorFromArray([4, 5], new Int32());
  const { rows, columns } = plainTable(new Table({ n: a.concat(b) }));
  expect(rows).toBe(5);
  expect(Array.from(columns.n!.values as Int32Array)).toEqual([1, 0, 3, 4, 5]);
  expect([...columns.n!.valid!]).toEqual([1, 0, 1, 1, 1]);
  expect(plainTable(new Table({ n: b })).columns.n!.valid).toBeNull();
});

test("texts are codes, whether the column was coded or not", () => {
  const type = new Dictionary(new Utf8(), new Int32());
  const table = new Table({
    coded: vectorFromArray(["b", "a", "b"], type),
    plain: vectorFromArray(["x", "y", "x"], new Utf8()),
  });
  const { coded, plain } = plainTable(table).columns;
  const texts = (column: typeof coded) =>
    Array.from(column!.values as Int32Array, (code) => column!.dictionary![Number(code)]);
  expect(texts(coded)).toEqual(["b", "a", "b"]);
  expect(texts(plain)).toEqual(["x", "y", "x"]);
  expect([coded!.coded, plain!.coded]).toEqual([true, false]);
});

test("decimals are their low 64 bits, and refused beyond", () => {
  const words = (high: number) => Uint32Array.of(5, 0, 0, 0, 0xffffffff, 0xffffffff, high, high);
  const vector = (high: number) =>
    makeVector(makeData({ type: new Decimal(2, 18, 128), length: 2, data: words(high) } as never));
  const column = plainTable(new Table({ d: vector(0xffffffff) })).columns.d!;
  expect(Array.from(column.values as BigInt64Array)).toEqual([5n, -1n]);
  expect(column.scale).toBe(2);
  expect(() => plainTable(new Table({ d: vector(7) }))).toThrow(/64 bits/);
});

test("times say their unit, booleans become bytes", () => {
  const table = new Table({
    t: vectorFromArray([new Date(1500)], new TimestampMillisecond()),
    b: vectorFromArray([true], new Bool()),
  });
  const { t, b } = plainTable(table).columns;
  expect(Array.from(t!.values as BigInt64Array)).toEqual([1500n]);
  expect(t!.ticksPerSecond).toBe(1000);
  expect(Array.from(b!.values as Uint8Array)).toEqual([1]);
});
