// What `describe` puts into kernel memory, read back from there by its descriptors alone.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Column, Type } from "../../../kernel/abi/layout.js";
import { readColumn as valuesOf, writeColumn } from "../../../twin/values.js";
import type { BatchData, ColumnData } from "../type/column.js";
import {
  type DataType,
  dictionary,
  float64,
  int32,
  int64,
  largeUtf8,
  typeName,
  utf8,
  valueType,
} from "../type/data-type.js";
import {
  ArgumentError,
  MalformedArrowError,
  MemoryLimitError,
  TypeMismatchError,
  UnknownColumnError,
} from "../type/error.js";
import { ALL_TYPES, arbitraryColumn, bitsOf, oneColumn } from "../type/testing.js";
import { readBatch, readColumn } from "./descriptor.js";
import { Stage } from "./input.js";
import { Kernel } from "./kernel.js";
import { Stages } from "./stages.js";

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open({ build: "scalar", base: 0x8000_0000 });
});
afterAll(() => kernel.close());

/** A column as its descriptor tells it, as a view of kernel memory. */
function described(at: number, skip: number, rows: number, type: DataType): ColumnData {
  const column = readColumn(kernel.memory.view, at);
  expect(column.values % 64).toBe(0);
  const view = (address: number, bytes: number) => kernel.memory.bytes.slice(address, address + bytes);
  const texts = column.type === Type.BYTES || column.type === Type.LARGE_BYTES;
  const values = new Uint8Array(column.base + column.valuesBytes);
  values.set(view(column.values, column.valuesBytes), column.base);
  const entries =
    column.dictionary === 0
      ? null
      : described(
          column.dictionary,
          0,
          readColumn(kernel.memory.view, column.dictionary).length,
          valueType(type),
        );
  return {
    type,
    length: rows,
    offset: column.offset + skip,
    nullCount: column.nullCount,
    validity: column.validity === 0 ? null : view(column.validity, column.validityBytes),
    offsets: texts && rows > 0 ? view(column.offsets, column.offsetsBytes) : null,
    values,
    dictionary: entries === null ? null : { id: column.dictionaryId, values: entries },
  };
}

function readBack(address: number, types: readonly DataType[]): unknown[][] {
  const batch = readBatch(kernel.memory.view, address);
  expect(batch.columns).toBe(types.length);
  return types.map((type, i) =>
    valuesOf(described(batch.descriptors + i * Column.SIZE, batch.offset, batch.rows, type)).map(bitsOf),
  );
}

describe.each(ALL_TYPES.map((type) => [typeName(type), type] as const))("%s", (_, type) => {
  test("any rows of a staged or loaded batch are there as they were", () => {
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(arbitraryColumn(type), fc.nat(40), fc.nat(40), ({ values, column }, a, b) => {
        const start = Math.min(a, b, values.length);
        const rows = Math.min(Math.max(a, b), values.length) - start;
        const expected = values.slice(start, start + rows).map(bitsOf);
        const stage = new Stage(kernel);
        expect(readBack(stage.batch(oneColumn(column)).describe([0], start, rows), [type])).toEqual([
          expected,
        ]);
        stage.free();
        const table = kernel.load([oneColumn(column)]);
        expect(table.rows).toBe(values.length);
        expect(readBack(table.batches[0]!.describe([0], start, rows), [type])).toEqual([expected]);
        const copy = table.batches[0]!.copy();
        expect(readBack(copy.describe([0], start, rows), [type])).toEqual([expected]);
        if (type.kind !== "dictionary") {
          const host = copy.toHost().columns[0]!;
          expect(valuesOf(host).map(bitsOf)).toEqual(values.map(bitsOf));
          expect(host.nullCount).toBe(values.filter((value) => value === null).length);
          expect(host.offset).toBe(0);
        }
        copy.free();
        table.free();
      }),
      { numRuns: 20 },
    );
    expect(kernel.usedBytes).toBe(before);
  });
});

function batchOf(columns: readonly (readonly [string, ColumnData])[]): BatchData {
  return {
    schema: { fields: columns.map(([name, { type }]) => ({ name, type, nullable: true })) },
    length: columns[0]![1].length,
    columns: columns.map(([, column]) => column),
  };
}

describe("stages", () => {
  test("take columns in the order asked for, and none that is not", () => {
    const stage = new Stage(kernel);
    const data = batchOf([
      ["a", writeColumn(int32, [1n, 2n])],
      ["bad", { ...writeColumn(int32, [1n, 2n]), values: new Uint8Array(1) }],
      ["c", writeColumn(utf8, ["x", null])],
    ]);
    expect(readBack(stage.batch(data).describe([2, 0], 0, 2), [utf8, int32])).toEqual([
      ["x", null],
      [1n, 2n],
    ]);
    expect(readBack(stage.batch(data).describe([], 0, 2), [])).toEqual([]);
    stage.free();
  });

  const type = dictionary(utf8);
  const column = (codes: ColumnData, id: number, ...texts: string[]): BatchData =>
    oneColumn({ ...codes, type, dictionary: { id, values: writeColumn(utf8, texts) } });
  const codes = (...values: bigint[]) => writeColumn(int32, values);
  const blockOf = (address: number) => {
    const batch = readBatch(kernel.memory.view, address);
    return readColumn(kernel.memory.view, readColumn(kernel.memory.view, batch.descriptors).dictionary);
  };

  test("keep a dictionary while it is the same, and follow it when it grows or changes", () => {
    const stage = new Stage(kernel);
    const stageIt = (data: BatchData) => stage.batch(data).describe([0], 0, data.length);
    const first = blockOf(stageIt(column(codes(0n, 1n), 900, "a", "b")));
    const second = blockOf(stageIt(column(codes(1n), 900, "a", "b")));
    expect(second).toEqual(first);
    const grown = column(codes(2n, 0n), 900, "a", "b", "c");
    expect(readBack(stageIt(grown), [type])).toEqual([["c", "a"]]);
    const shorter = blockOf(stageIt(column(codes(1n), 900, "a", "b")));
    expect(shorter).toMatchObject({ length: 2, values: blockOf(stageIt(grown)).values });
    expect(readBack(stageIt(column(codes(0n), 901, "z")), [type])).toEqual([["z"]]);
    stage.free();
  });

  test("of several stages have one copy of their source's dictionary, for as long as one of them reads it", () => {
    const [source, ...slots] = Array.from({ length: 3 }, () => new Stage(kernel));
    const before = kernel.blocks;
    const old = source!.batch(column(codes(1n, 0n), 910, "a", "b"));
    const addresses = [old.describe([0], 0, 2), ...slots.map((slot) => slot.describe(old, [0], 0, 2, 0))];
    expect(new Set(addresses).size).toBe(3);
    expect(new Set(addresses.map((address) => blockOf(address).values)).size).toBe(1);
    // A block for each stage's rows.
    expect(kernel.blocks).toBe(before + 4);
    const next = source!.batch(column(codes(0n), 911, "z"));
    const [first, second] = slots;
    const other = first!.describe(next, [0], 0, 1, 0);
    expect(kernel.blocks).toBe(before + 5);
    expect(readBack(other, [type])).toEqual([["z"]]);
    expect(readBack(addresses[2]!, [type])).toEqual([["b", "a"]]);
    second!.describe(next, [0], 0, 1, 0);
    expect(kernel.blocks).toBe(before + 4);
    source!.free();
    expect(readBack(other, [type])).toEqual([["z"]]);
    for (const slot of slots) slot.free();
    expect(kernel.blocks).toBe(before);
  });

  test("give everything back, also when memory ends in the middle", () => {
    const before = [kernel.usedBytes, kernel.blocks];
    const data = batchOf([
      ["a", writeColumn(dictionary(utf8), ["x", "y"])],
      ["b", writeColumn(float64, [1, null])],
    ]);
    for (const nth of [1, 2]) {
      const stage = new Stage(kernel);
      kernel.failAllocation(nth);
      expect(() => stage.batch(data).describe([0, 1], 0, 2)).toThrow(MemoryLimitError);
      expect(readBack(stage.batch(data).describe([0, 1], 0, 2), [dictionary(utf8), float64])).toEqual([
        ["x", "y"],
        [1, null],
      ]);
      stage.free();
      kernel.failAllocation(nth);
      expect(() => kernel.load([data, data])).toThrow(MemoryLimitError);
      kernel.failAllocation(0);
    }
    expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
  });
});

describe("stages of batches that are under way together", () => {
  const numbers = Array.from({ length: 50 }, (_, at) => BigInt(at));
  const data = batchOf([
    ["a", writeColumn(int32, numbers)],
    ["b", writeColumn(int64, numbers)],
  ]);

  test("share blocks where the batches lie in kernel memory, and hold what they describe until they are given back", () => {
    const table = kernel.load([data]);
    const [input] = table.batches;
    input!.describe([0, 1], 0, 1);
    const before = kernel.blocks;
    const stages = new Stages(kernel);
    const taken = numbers.slice(0, 40).map((row) => {
      const stage = stages.next(input!, 1);
      expect(stages.next(input!, 1)).toBe(stage);
      stages.take();
      return { row, stage, address: stage.describe(input!, [1], Number(row), 2, 0) };
    });
    expect(kernel.blocks).toBe(before + 3);
    for (const { row, address } of taken) expect(readBack(address, [int64])).toEqual([[row, row + 1n]]);
    // More columns than it has room for take a block of their own.
    const wider = taken[7]!.stage.describe(input!, [0, 1], 7, 1, 0);
    expect(readBack(wider, [int32, int64])).toEqual([[7n], [7n]]);
    expect(kernel.blocks).toBe(before + 4);
    for (const { row, address } of taken.filter(({ row }) => row !== 7n))
      expect(readBack(address, [int64])).toEqual([[row, row + 1n]]);
    for (const { stage } of taken) stages.giveBack(stage);
    stages.free();
    expect(kernel.blocks).toBe(before);
    // They can be used again.
    expect(readBack(stages.next(input!, 1).describe(input!, [0], 3, 1, 0), [int32])).toEqual([[3n]]);
    stages.free();
    table.free();
  });

  test("have a block each for rows on the host, and lose nothing where memory ends", () => {
    const before = kernel.blocks;
    const source = new Stage(kernel);
    const stages = new Stages(kernel);
    const staged = source.batch(data);
    kernel.failAllocation(1);
    expect(() => stages.next(staged, 1).describe(staged, [0], 0, 2, 0)).toThrow(MemoryLimitError);
    expect(readBack(stages.next(staged, 1).describe(staged, [0], 1, 2, 0), [int32])).toEqual([[1n, 2n]]);
    stages.free();
    source.free();
    const table = kernel.load([data]);
    const loaded = kernel.blocks;
    kernel.failAllocation(1);
    expect(() => stages.next(table.batches[0]!, 1)).toThrow(MemoryLimitError);
    stages.free();
    expect(kernel.blocks).toBe(loaded);
    table.free();
    expect(kernel.blocks).toBe(before);
  });
});

describe("tables", () => {
  test("load the columns asked for and share dictionaries between batches", () => {
    const type = dictionary(utf8);
    const values = writeColumn(utf8, ["a", "b", "c"]);
    const part = (length: number, ...codes: bigint[]): BatchData =>
      batchOf([
        ["d", { ...writeColumn(int32, codes), type, dictionary: { id: 77, values: { ...values, length } } }],
        ["n", writeColumn(int64, codes)],
      ]);
    const table = kernel.load([part(2, 0n, 1n), part(3, 2n)], ["d"]);
    expect(table.rows).toBe(3);
    const [one, two] = table.batches.map((batch) => batch.column(0)!);
    const dictionaryOf = (at: number) => readColumn(kernel.memory.view, at);
    expect(dictionaryOf(one!.dictionary)).toMatchObject({
      length: 2,
      values: dictionaryOf(two!.dictionary).values,
    });
    expect(readBack(table.batches[1]!.describe([0], 0, 1), [type])).toEqual([["c"]]);
    expect(() => table.batches[0]!.describe([1], 0, 1)).toThrow(/"n" is not in kernel memory/);
    expect(table.batches[0]!.source(1)).not.toBeNull();
    table.free();
    table.free();
    expect(() => kernel.load([part(1, 0n)], ["x"])).toThrow(UnknownColumnError);
    expect(kernel.load([]).rows).toBe(0);
  });
});

describe("bad batches", () => {
  const stageIt = (column: ColumnData, start = 0, rows = column.length) => {
    const stage = new Stage(kernel);
    try {
      return stage.batch(oneColumn(column)).describe([0], start, rows, 1000);
    } finally {
      stage.free();
    }
  };
  const text = writeColumn(utf8, ["ab", "c", "def"], { bitmap: true });
  const offsets = (...values: number[]) => new Uint8Array(Int32Array.from(values).buffer);

  test.each<[string, ColumnData, RegExp]>([
    [
      "values",
      { ...writeColumn(int32, [1n, 2n]), values: new Uint8Array(7) },
      /column "x": the values buffer has 7 bytes, 8 are needed/,
    ],
    [
      "bitmap",
      { ...text, nullCount: -1, validity: new Uint8Array(0) },
      /the validity bitmap has 0 bytes, 1 are needed/,
    ],
    ["no bitmap", { ...text, nullCount: 2, validity: null }, /2 nulls are announced/],
    [
      "offsets buffer",
      { ...text, offsets: offsets(0, 2, 3) },
      /the offsets buffer has 12 bytes, 16 are needed/,
    ],
    ["no offsets", { ...text, offsets: null }, /the offsets are missing/],
    ["negative offset", { ...text, offsets: offsets(-1, 2, 3, 6) }, /row 1000: offset -1 is negative/],
    [
      "offset past the end",
      { ...text, offsets: offsets(0, 2, 3, 7) },
      /row 1002: offset 7 runs past the end of the values, which have 6 bytes/,
    ],
    [
      "decreasing offsets",
      { ...text, offsets: offsets(5, 6, 3, 4) },
      /row 1001: offset 3 is less than the one before, 6/,
    ],
  ])("%s", (_, column, message) => {
    expect(() => stageIt(column)).toThrow(MalformedArrowError);
    expect(() => stageIt(column)).toThrow(message);
  });

  test("large offsets beyond what a number holds", () => {
    const large = writeColumn(largeUtf8, ["ab"]);
    const wild = new Uint8Array(BigInt64Array.of(0n, 2n ** 62n).buffer);
    expect(() => stageIt({ ...large, offsets: wild })).toThrow(MalformedArrowError);
  });

  test("rows outside the batch, columns that do not exist or do not match", () => {
    const column = writeColumn(int32, [1n, 2n]);
    for (const [start, rows] of [
      [0, 3],
      [2, 1],
      [-1, 1],
      [0.5, 1],
    ] as const) {
      expect(() => stageIt(column, start, rows)).toThrow(ArgumentError);
    }
    const stage = new Stage(kernel);
    expect(() => stage.batch(oneColumn(column)).describe([1], 0, 1)).toThrow(ArgumentError);
    expect(() => stage.batch({ ...oneColumn(column), length: 3 })).toThrow(
      /column "x" has 2 rows, its batch 3/,
    );
    expect(() => stage.batch({ ...oneColumn(column), columns: [] })).toThrow(MalformedArrowError);
    expect(() => stageIt({ ...column, type: dictionary(utf8) })).toThrow(/the dictionary is missing/);
    expect(() => stageIt({ ...column, type: { kind: "opaque", name: "List<Int32>" } })).toThrow(
      TypeMismatchError,
    );
    expect(() => stageIt({ ...column, type: { kind: "opaque", name: "List<Int32>" } })).toThrow(
      /column "x" is a List<Int32>/,
    );
  });
});
