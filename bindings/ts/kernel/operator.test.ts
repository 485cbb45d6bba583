// Operator handles over real kernels: protocol, memory, refusals. What operators compute is tested in kernel/.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Status } from "../../../kernel/abi/status.js";
import { readColumn, type Value, writeColumn } from "../../../twin/values.js";
import type { BatchData, ColumnData } from "../type/column.js";
import {
  bool,
  type DataType,
  decimal,
  dictionary,
  float64,
  int32,
  int64,
  largeUtf8,
  typeName,
  uint32,
  utf8,
  valueType,
} from "../type/data-type.js";
import {
  ArgumentError,
  ClosedError,
  CorruptStateError,
  KernelTrapError,
  MalformedArrowError,
  MemoryLimitError,
  MillraceError,
  OverflowError,
  SchemaMismatchError,
  TypeMismatchError,
  UnknownColumnError,
} from "../type/error.js";
import { bitsOf, PLAIN_TYPES } from "../type/testing.js";
import { Kernel, type Operator, ResidentTable, Stage } from "./index.js";
import { BUILDS } from "./testing.js";

const BASES = [1024, 0x8000_0000] as const;

function batchOf(columns: { readonly [name: string]: ColumnData }): BatchData {
  const names = Object.keys(columns);
  return {
    schema: { fields: names.map((name) => ({ name, type: columns[name]!.type, nullable: true })) },
    length: columns[names[0]!]!.length,
    columns: names.map((name) => columns[name]!),
  };
}

function rowsOf(batches: Iterable<BatchData>): Value[][] {
  const rows: Value[][] = [];
  for (const batch of batches) {
    const columns = batch.columns.map(readColumn);
    for (let row = 0; row < batch.length; row++) rows.push(columns.map((values) => values[row]!));
  }
  return rows;
}

function thrown(run: () => unknown): MillraceError {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const cases = BUILDS.flatMap((build) => BASES.map((base) => [build, base] as const));

describe.each(cases)("%s build, root block at %i", (build, base) => {
  let kernel: Kernel;
  let idle: readonly [number, number];
  beforeAll(async () => {
    kernel = await Kernel.open({ build, base, budget: "256 MiB" });
    idle = [kernel.usedBytes, kernel.blocks];
  });
  afterAll(() => {
    expect([kernel.usedBytes, kernel.blocks]).toEqual(idle);
    kernel.close();
  });

  const using = <T>(operator: Operator, run: (operator: Operator) => T): T => {
    try {
      return run(operator);
    } finally {
      operator.destroy();
    }
  };

  describe("project", () => {
    const columns = [
      { name: "x", type: int32 },
      { name: "keep", type: bool },
      { name: "t", type: largeUtf8 },
    ];
    const batch = batchOf({
      x: writeColumn(int32, [1n, null, 3n, 4n], { offset: 5 }),
      keep: writeColumn(bool, [true, true, null, false], { offset: 3 }),
      t: writeColumn(largeUtf8, ["a", "ß", "c", null]),
    });

    test("keeps the rows of a filter and the chosen columns", () => {
      using(kernel.project({ columns, select: ["t", "x"], where: "keep" }), (operator) => {
        expect(rowsOf(operator.process(batch))).toEqual([
          ["a", 1n],
          ["ß", null],
        ]);
        expect(operator.output.fields.map(({ name, type }) => [name, typeName(type)])).toEqual([
          ["t", "largeUtf8"],
          ["x", "int32"],
        ]);
        expect(operator.pull()).toBeNull();
        expect(operator.stats()).toMatchObject({ rowsIn: 4, rowsSelected: 2, rowsOut: 2, batchesIn: 1 });
      });
    });

    test("gives every type back as it came, from staged and resident batches", () => {
      const values: { [name: string]: ColumnData } = {};
      PLAIN_TYPES.forEach((type, i) => {
        values[`c${i}`] = sample(type);
        if (i % 3 === 0) values[`d${i}`] = writeColumn(dictionary(type), readColumn(sample(type)));
      });
      const data = batchOf(values);
      const specs = data.schema.fields.map(({ name, type }) => ({ name, type }));
      using(kernel.project({ columns: specs }), (operator) => {
        const expected = rowsOf([data]).map((row) => row.map(bitsOf));
        const shown = (batches: Iterable<BatchData>) => rowsOf(batches).map((row) => row.map(bitsOf));
        expect(shown(operator.process(data))).toEqual(expected);
        expect(operator.output.fields.map(({ type }) => typeName(type))).toEqual(
          specs.map(({ type }) => typeName(valueType(type))),
        );
        const table = kernel.load([data]);
        expect(shown(operator.process(table.batches[0]!))).toEqual(expected);
        operator.push(table.batches[0]!, 3, 4);
        const result = operator.pullResident()!;
        const kept = result.copy();
        expect(operator.pullResident()).toBeNull();
        expect(shown([kept.toHost()])).toEqual(expected.slice(3, 7));
        kept.free();
        table.free();
      });
    });

    test("results have zeroed padding and exact null counts, in one buffer of their own", () => {
      using(kernel.project({ columns, select: ["x", "t"] }), (operator) => {
        operator.push(batch);
        const [x, t] = operator.pull()!.columns;
        expect(x!.values.buffer).toBe(t!.values.buffer);
        expect([x!.nullCount, t!.nullCount]).toEqual([1, 1]);
        expect(x!.values.length).toBe(16);
        const whole = new Uint8Array(x!.values.buffer, x!.values.byteOffset + 16, 48);
        expect(whole.every((byte) => byte === 0)).toBe(true);
        expect(x!.values.byteOffset % 64).toBe(0);
        operator.push(batch, 2, 1);
        const again = operator.pull()!.columns[0]!;
        expect(again).toMatchObject({ nullCount: 0, validity: null });
      });
    });

    test("results can be kept in kernel memory as a table", () => {
      const operator = kernel.project({ columns, select: ["x", "t"] });
      const kept = [0, 2].map((start) => {
        operator.push(batch, start, 2);
        return operator.pullResident()!.copy();
      });
      const table = ResidentTable.of(kernel, operator.output, kept);
      operator.destroy();
      expect(table.rows).toBe(4);
      expect(table.bytes).toBeGreaterThan(0);
      expect(rowsOf(table.toHost())).toEqual([
        [1n, "a"],
        [null, "ß"],
        [3n, "c"],
        [4n, null],
      ]);
      table.free();
    });

    test("a result in kernel memory is another operator's input", () => {
      const first = kernel.project({ columns, select: ["x", "keep"] });
      const second = kernel.project({ columns: columns.slice(0, 2), select: ["x"], where: "keep" });
      expect(first.push(batch)).toBe(Status.HAS_MORE);
      const middle = first.pullResident()!;
      expect(rowsOf(second.process(middle))).toEqual([[1n], [null]]);
      first.destroy();
      second.destroy();
    });

    test("batches of more than a morsel go through process", () => {
      const long = batchOf({
        x: writeColumn(
          int64,
          Array.from({ length: 70_000 }, (_, i) => BigInt(i)),
        ),
      });
      using(kernel.project({ columns: [{ name: "x", type: int64 }] }), (operator) => {
        expect(thrown(() => operator.push(long))).toBeInstanceOf(ArgumentError);
        const sizes = [...operator.process(long)].map(({ length }) => length);
        expect(sizes.reduce((sum, size) => sum + size)).toBe(70_000);
      });
    });

    test("output has to be pulled before the next push", () => {
      using(kernel.project({ columns, select: ["x"] }), (operator) => {
        expect(operator.push(batch)).toBe(Status.HAS_MORE);
        expect(thrown(() => operator.push(batch)).message).toMatch(/output waiting/);
        expect(rowsOf([operator.pull()!])).toHaveLength(4);
        operator.push(batch, 0, 1);
        expect([...operator.finish()]).toHaveLength(1);
        expect(thrown(() => operator.push(batch))).toBeInstanceOf(ClosedError);
      });
    });
  });

  test("a batch waits to be taken, whatever is asked meanwhile", () => {
    const data = batchOf({ n: writeColumn(int64, [1n, 2n, 3n]) });
    const operator = kernel.project({ columns: data.schema.fields, select: ["n"] });
    const stage = new Stage(kernel);
    const address = stage.describe(stage.batch(data), operator.columnsOf(0), 0, 3, 0);
    operator.processDescribed(address, data.schema, 0, 0, 100, 2 ** 20);
    expect(operator.stats().rowsIn).toBe(3);
    expect(rowsOf([operator.taken()!])).toEqual([[1n], [2n], [3n]]);
    stage.free();
    operator.destroy();
  });

  describe("what bad input gets", () => {
    test("names that do not exist, types that do not fit", () => {
      const columns = [
        { name: "price", type: float64 },
        { name: "tags", type: { kind: "opaque", name: "List<Utf8>" } as const },
      ];
      const aggregate = (spec: object) => () =>
        kernel.hashAggregate({ columns, keys: [], aggregates: [], ...spec } as Parameters<
          Kernel["hashAggregate"]
        >[0]);
      expect(thrown(aggregate({ keys: ["prize"] }))).toBeInstanceOf(UnknownColumnError);
      expect(thrown(aggregate({ keys: ["tags"] })).message).toMatch(/column "tags" is a List<Utf8>/);
      expect(thrown(aggregate({ keys: ["price"], where: "price" })).message).toMatch(
        /must be a bool column, "price" is float64/,
      );
      expect(thrown(aggregate({ aggregates: [{ name: "s", function: "sum" }] })).message).toMatch(
        /sum takes an integer.*not nothing/,
      );
      expect(thrown(aggregate({}))).toBeInstanceOf(ArgumentError);
      const many = Array.from({ length: 33 }, () => "price");
      expect(thrown(aggregate({ keys: many })).message).toMatch(/two results|at most 32/);
      expect(
        thrown(aggregate({ keys: ["price"], aggregates: [{ name: "price", function: "count" }] })).message,
      ).toMatch(/two results are called "price"/);
      expect(thrown(() => kernel.project({ columns, select: ["tags"] }))).toBeInstanceOf(TypeMismatchError);
    });

    test("batches of another schema, before anything is read", () => {
      using(kernel.project({ columns: [{ name: "x", type: int32 }] }), (operator) => {
        const other = thrown(() => operator.push(batchOf({ x: writeColumn(uint32, [1n]) })));
        expect(other).toBeInstanceOf(SchemaMismatchError);
        expect(other).toMatchObject({
          column: "x",
          value: "uint32",
          expected: "int32",
          code: "SCHEMA_MISMATCH",
        });
        expect(thrown(() => operator.push(batchOf({ y: writeColumn(int32, [1n]) }))).message).toMatch(
          /"y" where "x" is expected/,
        );
        expect(
          rowsOf(operator.process(batchOf({ x: writeColumn(dictionary(int32), [7n, null, 7n]) }))),
        ).toEqual([[7n], [null], [7n]]);
      });
    });

    test("a dictionary index out of range, with row and value", () => {
      const column = writeColumn(dictionary(utf8), ["a", "b", "c", "d", ...Array(26).fill("a")]);
      const values = column.values.slice();
      new DataView(values.buffer).setInt32(17 * 4, 9, true);
      using(kernel.project({ columns: [{ name: "x", type: column.type }] }), (operator) => {
        const error = thrown(() => operator.push(batchOf({ x: { ...column, values } }), 0, 30, 1000));
        expect(error).toBeInstanceOf(MalformedArrowError);
        expect(error.message).toBe(
          'column "x", row 1017: dictionary index 9 is out of range, the dictionary has 4 values',
        );
        expect(error).toMatchObject({ column: "x", row: 1017, value: 9n });
      });
    });

    test("offsets that decrease in the middle, with row", () => {
      const column = writeColumn(utf8, ["aa", "bb", "cc", "dd"]);
      const offsets = new Uint8Array(Int32Array.of(0, 2, 6, 4, 8).buffer);
      using(kernel.project({ columns: [{ name: "x", type: utf8 }] }), (operator) => {
        const error = thrown(() => operator.push(batchOf({ x: { ...column, offsets } }), 1, 3));
        expect(error).toBeInstanceOf(MalformedArrowError);
        expect(error.message).toMatch(/^column "x", row 2: the offsets decrease/);
      });
    });

    test("a loaded batch is vouched for once all of it was read, and never before", () => {
      const good = writeColumn(utf8, ["aa", "bb", "cc", "dd"]);
      const bad = { ...good, offsets: new Uint8Array(Int32Array.of(0, 2, 6, 4, 8).buffer) };
      for (const [column, healthy] of [
        [good, true],
        [bad, false],
      ] as const) {
        const table = kernel.load([batchOf({ x: column })]);
        const batch = table.batches[0]!;
        const read = (start: number, rows: number) =>
          using(kernel.project({ columns: [{ name: "x", type: utf8 }] }), (operator) => {
            operator.push(batch, start, rows);
          });
        read(0, 1);
        expect(batch.column(0)!.trusted).toBe(false);
        for (const _ of [1, 2]) {
          if (healthy) read(0, 4);
          else expect(thrown(() => read(0, 4))).toBeInstanceOf(MalformedArrowError);
          expect(batch.column(0)!.trusted).toBe(healthy);
        }
        table.free();
      }
    });

    test("memory over the budget: nothing is applied, and the operator goes on", () => {
      const text = "x".repeat(2 ** 20);
      const large = batchOf({ x: writeColumn(utf8, Array(40).fill(text)) });
      using(kernel.project({ columns: [{ name: "x", type: utf8 }] }), (operator) => {
        kernel.setBudget("16 MiB");
        const error = thrown(() => operator.push(large));
        kernel.setBudget("256 MiB");
        expect(error).toBeInstanceOf(MemoryLimitError);
        expect(error.message).toMatch(/of the budget of 16 MiB are in use/);
        expect(operator.stats().rowsIn).toBe(0);
        expect(rowsOf(operator.process(large))).toHaveLength(40);
      });
    });

    test("every allocation that can fail is survived", () => {
      const data = batchOf({ x: writeColumn(dictionary(utf8), ["a", null, "b"]) });
      const run = () =>
        using(kernel.project({ columns: [{ name: "x", type: dictionary(utf8) }] }), (operator) =>
          rowsOf(operator.process(data)),
        );
      let failures = 0;
      for (let nth = 1; ; nth++) {
        kernel.failAllocation(nth);
        try {
          expect(run()).toEqual([["a"], [null], ["b"]]);
          break;
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          failures++;
        } finally {
          kernel.failAllocation(0);
          expect([kernel.usedBytes, kernel.blocks]).toEqual(idle);
        }
      }
      expect(failures).toBeGreaterThan(3);
    });

    test("a batch in another kernel's memory", async () => {
      const other = await Kernel.open({ build: "scalar" });
      const table = other.load([batchOf({ x: writeColumn(int32, [1n]) })]);
      using(kernel.project({ columns: [{ name: "x", type: int32 }] }), (operator) => {
        expect(thrown(() => operator.push(table.batches[0]!)).message).toMatch(/another kernel/);
      });
    });

    test("calls after destroy", () => {
      const operator = kernel.project({ columns: [{ name: "x", type: int32 }] });
      operator.destroy();
      operator.destroy();
      expect(thrown(() => operator.pull())).toBeInstanceOf(ClosedError);
      expect(operator.isOpen).toBe(false);
    });
  });

  describe("hash aggregate", () => {
    const columns = [
      { name: "k", type: dictionary(utf8) },
      { name: "v", type: int64 },
      { name: "d", type: decimal(10, 2) },
      { name: "big", type: bool },
    ];
    const batch = (keys: Value[], values: Value[]) =>
      batchOf({
        k: writeColumn(dictionary(utf8), keys),
        v: writeColumn(int64, values),
        d: writeColumn(decimal(10, 2), values),
        big: writeColumn(
          bool,
          values.map((value) => (value as bigint) > 2n),
        ),
      });
    const spec = {
      columns,
      keys: ["k"],
      aggregates: [
        { name: "total", function: "sum", column: "v" },
        { name: "rows", function: "count" },
        { name: "bigTotal", function: "sum", column: "d", filter: "big" },
        { name: "mean", function: "avg", column: "d" },
      ],
    } as const;
    const sorted = (rows: Value[][]) => rows.sort((a, b) => String(a[0]).localeCompare(String(b[0])));
    const expected = [
      ["a", 6n, 3n, 3n, 0.02],
      ["b", 4n, 1n, 4n, 0.04],
      [null, 5n, 1n, 5n, 0.05],
    ];

    test("sums by key, from batches with dictionaries of their own", () => {
      using(kernel.hashAggregate(spec), (operator) => {
        expect(operator.push(batch(["a", "a", null], [1n, 2n, 5n]))).toBe(Status.NEED_INPUT);
        operator.push(batch(["b", "a"], [4n, 3n]));
        expect(sorted(rowsOf(operator.finish()))).toEqual(expected);
        expect(operator.stats()).toMatchObject({ rowsIn: 5, rowsSelected: 5, groups: 3, batchesIn: 2 });
        expect(operator.output.fields.map(({ type }) => typeName(type))).toEqual([
          "utf8",
          "int64",
          "int64",
          "decimal(38, 2)",
          "float64",
        ]);
      });
    });

    test("a snapshot merges into another operator", () => {
      const [one, two] = [kernel.hashAggregate(spec), kernel.hashAggregate(spec)];
      one.push(batch(["a", "a", null], [1n, 2n, 5n]));
      two.push(batch(["b", "a"], [4n, 3n]));
      const state = [...two.snapshot(1)];
      expect(state[0]!.section).toBe(0);
      for (const part of state) one.merge(part);
      expect(sorted(rowsOf(one.finish()))).toEqual(expected);
      // Reading a snapshot leaves the operator as it was; giving up half-way does too.
      for (const _ of two.snapshot(1)) break;
      two.push(batch([null], [1n]));
      expect(sorted(rowsOf(two.finish()))[0]).toEqual(["a", 3n, 1n, 3n, 0.03]);
      one.destroy();
      two.destroy();
    });

    test("results that are lent lie where the ones before did; batches of a state do not", () => {
      const [one, two] = [kernel.hashAggregate(spec), kernel.hashAggregate(spec)];
      one.lendResults();
      one.push(batch(["a", "a", null], [1n, 2n, 5n]));
      one.push(batch(["b", "a"], [4n, 3n]));
      for (const part of [...one.snapshot(1)]) two.merge(part);
      const rows: Value[][] = [];
      const places = new Set<ArrayBufferLike>();
      for (const result of one.finish(1)) {
        rows.push(...rowsOf([result]));
        for (const { values } of result.columns) places.add(values.buffer);
      }
      expect(sorted(rows)).toEqual(expected);
      expect(places.size).toBe(1);
      expect(sorted(rowsOf([...two.finish(1)]))).toEqual(expected);
      one.destroy();
      two.destroy();
    });

    test("a state of another configuration is refused", () => {
      const [one, two] = [kernel.hashAggregate(spec), kernel.hashAggregate({ ...spec, keys: [] })];
      one.push(batch(["a"], [1n]));
      const [header] = [...one.snapshot()];
      expect(thrown(() => two.merge(header!))).toBeInstanceOf(CorruptStateError);
      one.destroy();
      two.destroy();
    });

    test("an overflow names the sum and the value", () => {
      using(kernel.hashAggregate({ ...spec, aggregates: [spec.aggregates[0]] }), (operator) => {
        operator.push(
          batch(
            ["a", "a"],
            [2n ** 63n - 1n, 1n].map((value) => value),
          ),
        );
        const error = thrown(() => rowsOf(operator.finish()));
        expect(error).toBeInstanceOf(OverflowError);
        expect(error.message).toBe('sum "total" overflows int64: 9223372036854775808');
        expect(error).toMatchObject({ column: "total", value: 2n ** 63n });
      });
    });

    test("resident and staged batches give the same", () => {
      const data = [batch(["a", "a", null], [1n, 2n, 5n]), batch(["b", "a"], [4n, 3n])];
      const table = kernel.load(data, ["k", "v", "d", "big"]);
      const stage = new Stage(kernel);
      using(kernel.hashAggregate(spec), (operator) => {
        for (const part of table.batches) operator.push(part);
        expect(sorted(rowsOf(operator.finish()))).toEqual(expected);
      });
      using(kernel.hashAggregate(spec), (operator) => {
        for (const part of data)
          for (let row = 0; row < part.length; row++) operator.push(stage.batch(part), row, 1);
        expect(sorted(rowsOf(operator.finish()))).toEqual(expected);
      });
      stage.free();
      table.free();
    });
  });
});

/** Nine values of a type, nulls among them. */
function sample(type: DataType): ColumnData {
  const value = (i: number): Value => {
    switch (type.kind) {
      case "bool":
        return i % 2 === 0;
      case "float":
        return [0.5, -0, Number.NaN, Number.POSITIVE_INFINITY, 7][i % 5]!;
      case "utf8":
      case "largeUtf8":
        return ["", "ä", "text", "日本", "z".repeat(40)][i % 5]!;
      case "binary":
      case "largeBinary":
        return Uint8Array.from({ length: i }, (_, at) => at * 31);
      case "int":
        return BigInt(i * 13);
      default:
        return BigInt(i * 13 - 40);
    }
  };
  return writeColumn(
    type,
    Array.from({ length: 9 }, (_, i) => (i % 4 === 3 ? null : value(i))),
    { offset: 2 },
  );
}

test("a trap kills the kernel, once and for all", async () => {
  const kernel = await Kernel.open({ build: "scalar" });
  const operator = kernel.project({ columns: [{ name: "x", type: int32 }] });
  const trapped = thrown(() => kernel.call((exports) => exports.op_push(0xffff_ff00, 1, 0, 0)));
  expect(trapped).toBeInstanceOf(KernelTrapError);
  expect(kernel.isAlive).toBe(false);
  for (const run of [
    () => kernel.allocate(1),
    () => operator.pull(),
    () => operator.push(batchOf({ x: writeColumn(int32, [1n]) })),
  ]) {
    expect(thrown(run)).toBe(trapped);
  }
  operator.destroy();
  kernel.close();
});

test("a closed kernel says so", async () => {
  const kernel = await Kernel.open({ build: "scalar" });
  const operator = kernel.project({ columns: [{ name: "x", type: int32 }] });
  kernel.close();
  kernel.close();
  expect(thrown(() => kernel.allocate(1))).toBeInstanceOf(ClosedError);
  expect(thrown(() => operator.pull())).toBeInstanceOf(ClosedError);
  operator.destroy();
});
