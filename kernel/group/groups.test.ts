// Keys to groups: the tiers, the ways from one to the next, and dictionaries that change.

import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { nextDictionaryId } from "../../bindings/ts/type/column.js";
import type { DataType } from "../../bindings/ts/type/data-type.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import { type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { AggregateFault, AggregateFunction } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  rowsOf,
  type Table,
} from "../operator/testing.js";

const NONE = 0;
const DIRECT = 2;
const HASH = 3;

const ints = (count: number, f: (i: number) => number | null): Value[] =>
  Array.from({ length: count }, (_, i) => {
    const value = f(i);
    return value === null ? null : BigInt(value);
  });

describe.each(BUILDS)("groups, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  function run(query: Query, table: Table, sizes: readonly number[] = []) {
    const operator = open(kernel, query);
    pushAll(operator, query, table, sizes);
    const { keyTier, groups } = operator.stats();
    const rows = rowsOf(operator.finish());
    operator.destroy();
    expect(multiset(rows)).toEqual(multiset(expected(query, table)));
    expect(groups).toBe(rows.length);
    return keyTier;
  }

  const counted = (...keys: DataType[]): Query => ({
    types: [...keys, types.int32],
    keys: keys.map((_, i) => i),
    aggregates: [{ name: "sum", of: keys.length }],
  });

  test("each kind of key takes the tier that fits it", () => {
    const n = 3000;
    const values = ints(n, (i) => i % 7);
    const small = ints(n, (i) => (i % 11 === 0 ? null : (i % 100) - 50));
    const large: Value[] = Array.from({ length: n }, (_, i) => BigInt(i % 100) * 2n ** 40n);
    const texts: Value[] = Array.from({ length: n }, (_, i) => (i % 13 === 0 ? null : `t${i % 300}`));
    const flags: Value[] = Array.from({ length: n }, (_, i) => (i % 3 === 0 ? null : i % 2 === 0));
    expect(run(counted(), [values])).toBe(NONE);
    expect(run(counted(types.int32), [small, values])).toBe(DIRECT);
    expect(run(counted(types.int64), [small, values])).toBe(DIRECT);
    expect(run(counted(types.int64), [large, values])).toBe(HASH);
    expect(run(counted(types.utf8), [texts, values])).toBe(DIRECT);
    expect(run(counted(types.bool), [flags, values])).toBe(DIRECT);
    const few = texts.map((_, i): Value => (i % 17 === 0 ? null : `t${i % 20}`));
    expect(run(counted(types.utf8, types.int8, types.bool), [few, small, flags, values])).toBe(DIRECT);
    expect(run(counted(types.utf8, types.int8, types.bool), [texts, small, flags, values])).toBe(HASH);
    expect(run(counted(types.float64), [small.map((x) => (x === null ? null : Number(x) / 8)), values])).toBe(
      HASH,
    );
    expect(run(counted(types.decimal(20, 2)), [small, values])).toBe(HASH);
    expect(run({ ...counted(types.int32), faults: AggregateFault.NO_DIRECT }, [small, values])).toBe(HASH);
  });

  test("the more rows are expected, the more groups are computed", () => {
    const keys = ints(5000, (i) => ((i * 7919) % 1_000_003) - 500_000);
    const table = [keys, ints(5000, (i) => i)];
    const expecting = (rows: number) => run({ ...counted(types.int32), rows }, table, [2000, 1]);
    expect(expecting(0)).toBe(HASH);
    expect(expecting(100_000)).toBe(HASH);
    expect(expecting(600_000)).toBe(DIRECT);
    expect(expecting(2 ** 40)).toBe(DIRECT);
    const leaving = [...keys, ...ints(100, (i) => i * 10_000_000)];
    const query = { ...counted(types.int32), rows: 2 ** 20 };
    expect(run(query, [leaving, ints(5100, (i) => i)], [4000, 1100])).toBe(HASH);
  });

  test("where there is no room for so many, they are looked up", async () => {
    const small = await Kernel.open({ build, budget: "64 MiB" });
    const query = { ...counted(types.int32), rows: 2 ** 20 };
    const table = [ints(5000, (i) => i * 200), ints(5000, (i) => i)];
    const operator = open(small, query);
    pushAll(operator, query, table);
    expect(operator.stats().keyTier).toBe(HASH);
    expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, table)));
    operator.destroy();
    small.close();
  });

  test("a direct range grows downwards and upwards and wraps around its slots", () => {
    const keys = ints(9000, (i) => 1000 + (i % 2 === 0 ? 1 : -1) * Math.floor(i / 5));
    expect(run(counted(types.int32), [keys, ints(9000, (i) => i)], [1, 10, 100, 1000, 5])).toBe(DIRECT);
  });

  test("unsigned and extreme keys keep their values, direct or not", () => {
    const tops = [2n ** 64n - 1n, 2n ** 64n - 3n, 2n ** 63n, 2n ** 63n - 1n];
    for (const faults of [0, AggregateFault.NO_DIRECT]) {
      const query = { ...counted(types.uint64), faults };
      run(query, [[...tops.slice(0, 2), null], ints(3, (i) => i)]);
      run(query, [[...tops, null, ...tops], ints(9, (i) => i)], [2, 1, 1]);
      run(
        { ...counted(types.uint32), faults },
        [[2n ** 32n - 1n, 2n ** 32n - 2n, 0n, null], ints(4, (i) => i)],
        [2],
      );
      run({ ...counted(types.int64), faults }, [[-(2n ** 63n), 2n ** 63n - 1n, null, 0n], ints(4, (i) => i)]);
    }
  });

  test.each([false, true])(
    "what outgrows the direct tier keeps its numbers, with rows counted: %s",
    (count) => {
      const keys = ints(400, (i) => (i % 9 === 0 ? null : i < 200 ? i % 20 : i * 1_000_000));
      const others = ints(400, (i) => (i % 7 === 0 ? null : i % 3));
      for (const wide of [types.int32, types.int64]) {
        const query: Query = {
          types: [wide, types.int16, types.int32],
          keys: [0, 1],
          aggregates: [{ name: "sum", of: 2 }, ...(count ? [{ name: "count" } as const] : [])],
        };
        expect(run(query, [keys, others, ints(400, (i) => i)], [50, 50, 50, 60])).toBe(HASH);
        const lone: Query = {
          ...query,
          types: [wide, types.int32],
          keys: [0],
          aggregates: [{ name: "sum", of: 1 }, ...query.aggregates.slice(1)],
        };
        expect(run(lone, [keys, ints(400, (i) => i)], [50, 50, 50, 60])).toBe(HASH);
      }
    },
  );

  test("tables grow through their sub-tables without losing a key", () => {
    const n = 90_000;
    const keys: Value[] = Array.from({ length: n }, (_, i) =>
      i % 1000 === 0 ? null : BigInt(i) * 0x9e3779b97f4an,
    );
    const operator = open(kernel, counted(types.int64));
    const query = counted(types.int64);
    for (let round = 0; round < 2; round++)
      pushAll(operator, query, [keys, ints(n, () => 1)], [40_000, 40_000]);
    expect(operator.stats().groups).toBe(n - n / 1000 + 1);
    const rows = rowsOf(operator.finish());
    expect(new Set(rows.map((row) => row[0])).size).toBe(rows.length);
    expect(rows.every((row) => row[1] === (row[0] === null ? 180n : 2n))).toBe(true);
    operator.destroy();
  });

  test("equal hashes fall back on comparing keys", () => {
    const keys = ints(700, (i) => i * 77);
    const texts: Value[] = keys.map((key) => `prefix-of-eight-${key}`);
    const faults = AggregateFault.HASH_ZERO | AggregateFault.NO_DIRECT | AggregateFault.TINY_TABLES;
    run({ ...counted(types.int64), faults }, [[...keys, ...keys], ints(1400, (i) => i)], [300]);
    run(
      { ...counted(types.utf8, types.int64), faults },
      [[...texts, ...texts], [...keys, ...keys], ints(1400, (i) => i)],
      [300],
    );
  });

  test("thirty-two keys of mixed widths pack into one row", () => {
    const kinds = [
      types.int8,
      types.decimal(30, 1),
      types.utf8,
      types.float64,
      types.bool,
      types.int16,
      types.int64,
      types.float32,
    ];
    const keys = Array.from({ length: 32 }, (_, i) => kinds[i % kinds.length]!);
    const n = 120;
    const columns = keys.map((type, column): Value[] =>
      Array.from({ length: n }, (_, row) => {
        const value = (row * (column + 3)) % 5;
        if (value === 4) return null;
        if (type.kind === "utf8") return `v${value}`;
        if (type.kind === "bool") return value % 2 === 0;
        return type.kind === "float" ? value / 2 - 1 : BigInt(value);
      }),
    );
    run(counted(...keys), [...columns, ints(n, (i) => i)], [50]);
  });

  test("a key that an expression made, whose bitmap has no null left", () => {
    const program = new ProgramBuilder();
    const [a, b] = [program.load(program.column(Type.I64)), program.load(program.column(Type.I64))];
    program.output(program.emit(Opcode.COALESCE, Type.I64, { a, b }));
    const operator = kernel.hashAggregate({
      program: program.encode(),
      keys: [{ output: 0, type: Type.I64 }],
      aggregates: [{ function: AggregateFunction.COUNT_ROWS }],
      faults: AggregateFault.NO_DIRECT,
      columns: [0, 1],
      output: {
        fields: ["k", "n"].map((name) => ({ name, type: types.int64, nullable: true })),
      },
    });
    const rows = 5000;
    const left = ints(rows, (row) => (row % 2 === 0 ? row % 10 : null));
    const right = ints(rows, (row) => (row % 2 === 1 || row > 4500 ? row % 10 : null));
    operator.push(batchOf([types.int64, types.int64], [left, right]));
    const counts = Array.from({ length: 10 }, (_, key): Value[] => [BigInt(key), 500n]);
    expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(counts));
    operator.destroy();
  });

  test("a long first dictionary is learnt whole where many rows are expected", () => {
    const query = counted(types.dictionary(types.utf8, types.int32));
    const texts = Array.from({ length: 140_000 }, (_, row) => `text ${row}`);
    const whole = batchOf(query.types, [texts, ints(texts.length, (row) => row)]);
    const columns = whole.columns.map((column) => ({ ...column, length: 3000 }));
    const wanted = multiset(
      expected(
        query,
        [texts, ints(3000, (row) => row)].map((column) => column.slice(0, 3000)),
      ),
    );
    const learns = (rows: number) => {
      const operator = open(kernel, { ...query, rows });
      operator.push({ ...whole, length: 3000, columns });
      const learnt = operator.sharesTexts(operator);
      expect(multiset(rowsOf(operator.finish()))).toEqual(wanted);
      operator.destroy();
      return learnt;
    };
    expect([0, 2 ** 17, 2 ** 18, 2 ** 21, 2 ** 33].map(learns)).toEqual([false, false, true, true, true]);
  });

  test("each allocation fails where a first dictionary is learnt whole", () => {
    const query = counted(types.dictionary(types.utf8, types.int16));
    const rows = 3000;
    const table: Table = [
      Array.from({ length: rows }, (_, row) => `a text that takes some room ${row % 1100}`),
      ints(rows, (row) => row),
    ];
    const wanted = multiset(expected(query, table));
    for (let nth = 1, failed = true; failed; nth++) {
      const operator = open(kernel, query);
      const batch = batchOf(query.types, table);
      failed = false;
      kernel.failAllocation(nth);
      try {
        operator.push(batch);
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        failed = true;
        operator.push(batch);
      }
      // An allocation may have failed without the push.
      failed ||= nth < 12;
      kernel.failAllocation(0);
      expect([nth, multiset(rowsOf(operator.finish()))]).toEqual([nth, wanted]);
      operator.destroy();
    }
  });

  test("floats: zeros of both signs are one group, NaNs are one group", () => {
    const keys: Value[] = [0, -0, Number.NaN, 0 / 0, 1, null, -0, Number.NaN];
    for (const type of [types.float32, types.float64]) {
      const operator = open(kernel, counted(type));
      const query = counted(type);
      pushAll(operator, query, [keys, ints(8, () => 1)]);
      const rows = rowsOf(operator.finish());
      expect(multiset(rows)).toEqual(
        multiset([
          [0, 3n],
          [Number.NaN, 3n],
          [1, 1n],
          [null, 1n],
        ]),
      );
      operator.destroy();
    }
  });

  // Few rows a batch find their codes one by one; with many the first dictionary is learnt whole.
  const repeats = [1, 400];
  const orders = [
    [0, 1, 2, 3, 4],
    [3, 0, 1, 2, 4],
    [1, 4, 3, 0],
    [2, 3, 2],
    [5, 0, 5],
  ];
  test.each(repeats.flatMap((times) => orders.map((order) => ({ times, order }))))(
    "dictionaries may grow, be replaced, hold duplicates and nulls, and mix with plain texts: %o",
    ({ times, order }) => {
      const query = counted(types.dictionary(types.utf8));
      const plain = counted(types.utf8);
      const id = nextDictionaryId();
      const batches: { id: number; texts: Value[]; codes: (number | null)[] }[] = [
        { id, texts: ["a", "b"], codes: [0, 1, null, 1] },
        // The same dictionary, grown; a value that no row has.
        { id, texts: ["a", "b", "c", "", "unused"], codes: [3, 2, 1, 0] },
        // Another one, in another order.
        { id: nextDictionaryId(), texts: ["c", "d", "a"], codes: [0, 1, 2, null] },
        // Duplicates and a null inside.
        { id: nextDictionaryId(), texts: ["d", "d", null, "a", "a"], codes: [0, 1, 2, 3, 4, null] },
        // The first one again, longer still and without a null.
        { id, texts: ["a", "b", "c", "", "unused", "e"], codes: [3, 3, 5] },
        // Duplicates alone.
        { id: nextDictionaryId(), texts: ["d", "a", "d", "b"], codes: [0, 2, 3, 1, null] },
      ];
      const operator = open(kernel, query);
      const expectedTexts: Value[] = [];
      for (const which of order) {
        const { id, texts, codes } = batches[which]!;
        const all = Array.from({ length: times }, () => codes).flat();
        const indices = writeColumn(
          types.int32,
          all.map((code) => (code === null ? null : BigInt(code))),
        );
        const dictionary = { id, values: writeColumn(types.utf8, texts) };
        const key = { ...indices, type: types.dictionary(types.utf8), dictionary };
        const batch = batchOf(query.types, [[], all.map(() => 1n)]);
        operator.push({ ...batch, length: all.length, columns: [key, batch.columns[1]!] });
        expectedTexts.push(...all.map((code) => (code === null ? null : texts[code]!)));
      }
      // Plain texts join the same groups through the state, whose keys are plain.
      const other = open(kernel, plain);
      const more = ["a", "zz", null];
      other.push(batchOf(plain.types, [more, more.map(() => 1n)]));
      for (const state of other.snapshot()) operator.merge(state);
      other.destroy();
      const table: Table = [[...expectedTexts, ...more], [...expectedTexts, ...more].map(() => 1n)];
      const rows = rowsOf(operator.finish());
      expect(multiset(rows)).toEqual(multiset(expected(plain, table)));
      operator.destroy();
    },
  );

  test("small ranges of several keys: holes and late combinations, with nulls and without", () => {
    const n = 5000;
    const keys = (late: boolean, nulls: boolean): Value[][] => [
      ints(n, (i) => (nulls && i % 17 === 0 ? null : i % 4)),
      ints(n, (i) => (late && i > n - 3 ? 3 : i % (late ? 3 : 4))),
      Array.from({ length: n }, (_, i): Value => `t${Math.floor(i / 16) % 3}`),
    ];
    for (const late of [false, true]) {
      for (const nulls of [false, true]) {
        const table = [...keys(late, nulls), ints(n, (i) => i)];
        const tier = run(counted(types.int32, types.int32, types.utf8), table, [2048, 100]);
        expect(tier).toBe(DIRECT);
      }
    }
  });

  test("long texts with equal beginnings and lengths stay apart", () => {
    const base = "x".repeat(200);
    const texts: Value[] = Array.from({ length: 300 }, (_, i) => {
      const at = i % 200;
      return i < 200 ? `${base.slice(0, at)}y${base.slice(at + 1)}` : base.slice(0, i - 200);
    });
    run(counted(types.utf8), [[...texts, ...texts], ints(600, () => 1)], [100]);
  });
});
