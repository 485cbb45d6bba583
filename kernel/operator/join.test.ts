// The join against its twin: all types of join, keys and orders of arrival, in each build; then what only it
// has to keep: long runs of equal keys in bounded steps, memory limits, and what it refuses.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import {
  type DataType,
  dictionary,
  float64,
  int8,
  int16,
  int32,
  int64,
  uint32,
  uint64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { ArgumentError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { JoinHow } from "../../twin/join.js";
import type { Value } from "../../twin/values.js";
import { JoinFault } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { BUILDS, batchOf, multiset, pulled, rowsOf, type Table, TYPES, valuesOf } from "./testing.js";
import {
  expectedJoin,
  feedsOf,
  HOWS,
  type JoinCase,
  type JoinQuery,
  joinCases,
  openJoin,
  runJoin,
} from "./testing-join.js";
import { Retries } from "./testing-retries.js";

describe.each(BUILDS)("join, %s build", async (build) => {
  const kernel = await Kernel.open({ build, budget: "512 MiB" });
  const start = { used: kernel.usedBytes, blocks: kernel.blocks };
  afterAll(() => expect({ used: kernel.usedBytes, blocks: kernel.blocks }).toEqual(start));

  function run({ query, tables, feeds, maxRows }: JoinCase): Value[][] {
    const operator = openJoin(kernel, query);
    try {
      return rowsOf(runJoin(operator, query, tables, feeds, maxRows));
    } finally {
      operator.destroy();
    }
  }

  test("any join, any order of arrival", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(joinCases(30), (one) => {
        expect(multiset(run(one))).toEqual(multiset(expectedJoin(one.query, one.tables)));
      }),
      { numRuns: 400 },
    );
  });

  test("any join of more rows than a word of a bitmap has bits", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(joinCases(200), (one) => {
        expect(multiset(run(one))).toEqual(multiset(expectedJoin(one.query, one.tables)));
      }),
      { numRuns: 60 },
    );
  });

  test("rows of several vectors that leave with their push, all, some and none", { timeout: 120_000 }, () => {
    const types: [DataType[], DataType[]] = [
      [int32, int32, float64, int16, utf8, dictionary(utf8, int32), dictionary(utf8, int16), int64],
      [int32, int64, utf8, dictionary(utf8, int32), uint32, int32, int32, dictionary(utf8, int16)],
    ];
    const sizes = fc.constantFrom(1, 7, 8, 63, 2047, 2048, 2049, 2055, 4096, 5003);
    const one = fc.record({
      rows: sizes,
      // Of a hundred keys so many are on the right side; of a hundred values so many are null.
      known: fc.constantFrom(0, 1, 50, 90, 100),
      nulls: fc.constantFrom(0, 0, 30),
      how: fc.constantFrom(...HOWS),
      kept: fc.boolean(),
      push: fc.constantFrom(65536, 3000),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(one, ({ rows, known, nulls, how, kept, push, seed }) => {
        let state = seed;
        const below = (n: number) => {
          state = (Math.imul(state, 1103515245) + 12345) >>> 0;
          return (state >>> 8) % n;
        };
        const some = (value: Value) => (below(100) < nulls ? null : value);
        const word = () => ["", "a", "seven77", "twelve bytes", "more than twelve bytes"][below(5)]!;
        const left = Array.from({ length: rows }, () => [
          some(BigInt(below(100))),
          some(BigInt(below(1000))),
          some(below(1000) / 8),
          some(BigInt(below(100))),
          some(word()),
          some(word()),
          some(word()),
          some(BigInt(below(1e9))),
        ]);
        const right = Array.from({ length: known }, (_, k) => [
          BigInt(k),
          BigInt(k) << 40n,
          some(word()),
          some(word()),
          BigInt(below(1e9)),
          some(BigInt(below(1e9))),
          BigInt(below(1e9)),
          some(word()),
        ]);
        const columns = (table: readonly (readonly Value[])[], count: number) =>
          Array.from({ length: count }, (_, column) => table.map((row) => row[column]!));
        const tables = [columns(left, types[0].length), columns(right, types[1].length)] as [Table, Table];
        const query: JoinQuery = { types, keys: 1, how, buildFirst: true, kept };
        const feeds = [
          { port: 1, rows: 37 },
          { port: 1, rows: 65536 },
          { port: 1, rows: -1 },
          ...Array.from({ length: 2 }, () => ({ port: 0, rows: push })),
        ];
        expect(multiset(run({ query, tables, feeds, maxRows: 65536 }))).toEqual(
          multiset(expectedJoin(query, tables)),
        );
      }),
      { numRuns: 60 },
    );
  });

  test.each([int32, uint32, int64, uint64])("one integer key of type %j, built first", (type) => {
    const extremes: bigint[] = [
      0n,
      1n,
      2n ** 31n - 1n,
      ...(type.signed ? [-1n, -(2n ** 31n)] : [2n ** 32n - 1n]),
    ];
    const key: fc.Arbitrary<bigint | null> = fc.option(
      fc.oneof(fc.constantFrom(...extremes), fc.bigInt(0n, 40n), fc.bigInt(100_000n, 100_050n)),
      { freq: 9 },
    );
    const side = fc.array(key, { maxLength: 40 });
    fc.assert(
      fc.property(
        side,
        side,
        fc.constantFrom(...HOWS),
        fc.boolean(),
        fc.boolean(),
        fc.nat(1),
        (a, b, how, nullsEqual, narrow, first) => {
          const keep = (keys: readonly (bigint | null)[]) =>
            keys.map((x) => (narrow && x !== null ? x % 1000n : x));
          const tables = [a, b].map((keys) => [keep(keys), keys.map((_, row) => BigInt(row))]) as [
            Value[][],
            Value[][],
          ];
          const types = [type, int64];
          const query: JoinQuery = { types: [types, types], keys: 1, how, nullsEqual, buildFirst: true };
          const feeds = [
            { port: first, rows: 65536 },
            { port: first, rows: -1 },
          ];
          expect(multiset(run({ query, tables, feeds, maxRows: 65536 }))).toEqual(
            multiset(expectedJoin(query, tables)),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([int32, uint32, int64, uint64])(
    "one integer key of type %j whose values lie close together, both sides open",
    (type) => {
      const least = type.signed ? -(2n ** BigInt(type.bits - 1)) : 0n;
      const greatest = 2n ** BigInt(type.bits - Number(type.signed)) - 1n;
      const near = fc
        .tuple(
          fc.constantFrom(least, least + 9n, 0n, 1000n, greatest - 90n, greatest),
          fc.array(fc.bigInt(0n, 60n)),
        )
        .map(([from, steps]) => steps.map((step) => (from + step > greatest ? greatest : from + step)));
      // Some rows close together, then some elsewhere, and again.
      const side = fc
        .array(fc.oneof({ weight: 5, arbitrary: near }, { weight: 1, arbitrary: fc.constant([null]) }), {
          maxLength: 6,
          size: "max",
        })
        .map((parts) => parts.flat() as (bigint | null)[]);
      const tiers = new Set<number>();
      fc.assert(
        fc.property(
          side,
          side,
          feedsOf,
          fc.constantFrom(...HOWS),
          fc.boolean(),
          fc.constantFrom(JoinFault.TINY_TABLES, JoinFault.TINY_TABLES | JoinFault.SMALL_STEPS),
          (a, b, feeds, how, nullsEqual, faults) => {
            const tables = [a, b].map((keys) => [keys, keys.map((_, row) => BigInt(row))]) as [
              Value[][],
              Value[][],
            ];
            const types = [type, int64];
            const query: JoinQuery = { types: [types, types], keys: 1, how, nullsEqual, faults };
            const operator = openJoin(kernel, query);
            try {
              const rows: Value[][] = [];
              for (const batch of runJoin(operator, query, tables, feeds)) {
                rows.push(...rowsOf([batch]));
                tiers.add(operator.stats().keyTier);
              }
              expect(multiset(rows)).toEqual(multiset(expectedJoin(query, tables)));
            } finally {
              operator.destroy();
            }
          },
        ),
        { numRuns: 250 },
      );
      // Those of a side that has ended are computed like a batch's.
      expect([...tiers].sort()).toEqual([2, 3, 5]);
    },
  );

  test("the range of keys grows with them, and goes on where they jump", () => {
    const types = [int64, int64];
    const operator = openJoin(kernel, { types: [types, types], keys: 1, how: "inner" });
    const push = (port: number, first: bigint, rows: number, step = 1n) => {
      const keys = Array.from({ length: rows }, (_, row) => first + BigInt(row) * step);
      operator.push(batchOf(types, [keys, keys.map((key) => key + BigInt(port))]), 0, rows, 0, port);
      return rowsOf(pulled(operator));
    };
    const pairs = (first: bigint, rows: number, step = 1n) =>
      Array.from({ length: rows }, (_, row) => first + BigInt(row) * step).map((key) => [
        key,
        key,
        key,
        key + 1n,
      ]);
    for (let batch = 0n; batch < 40n; batch++) {
      expect(push(0, 5000n * batch, 5000)).toEqual([]);
      expect(push(1, 5000n * batch, 5000)).toEqual(pairs(5000n * batch, 5000));
    }
    const dense = operator.stats();
    expect(dense.keyTier).toBe(5);
    // Two heads of four bytes for each number, and some room.
    expect(dense.tableSlots).toBeLessThan(2.5 * 200_000);
    // Far away, and far apart: looked up, beside those of the range.
    expect(push(0, 1n << 40n, 3000, 1_000_003n)).toEqual([]);
    expect(push(1, 1n << 40n, 3000, 1_000_003n)).toEqual(pairs(1n << 40n, 3000, 1_000_003n));
    expect(push(1, 199_000n, 1000)).toEqual(pairs(199_000n, 1000));
    expect(operator.stats()).toMatchObject({ keyTier: 5 });
    expect(operator.stats().tableSlots).toBeLessThan(dense.tableSlots + 32_768);
    operator.destroy();
  });

  test("the keys of a side that has ended are computed, however far the other side's are", () => {
    const types = [int64, int64];
    const none = [null, null];
    // 65,536 numbers are few enough for any rows.
    for (const [greatest, keyTier] of [
      [60_000n, 2],
      [70_000n, 3],
    ] as const) {
      for (const nullsEqual of [false, true]) {
        const operator = openJoin(kernel, { types: [types, types], keys: 1, how: "left", nullsEqual });
        const push = (port: number, keys: readonly (bigint | null)[]) => {
          const batch = batchOf(types, [keys, keys.map((_, row) => BigInt(row))]);
          operator.push(batch, 0, keys.length, 0, port);
          return rowsOf(pulled(operator));
        };
        const far = -(1n << 63n);
        expect(push(1, [-7n, null, greatest, 3n])).toEqual([]);
        expect(push(0, [far, 3n, 80_000n, null])).toHaveLength(nullsEqual ? 2 : 1);
        expect(operator.stats()).toMatchObject({ keyTier: 3 });
        operator.watermark(2n ** 63n - 1n, 1);
        expect(rowsOf(pulled(operator))).toHaveLength(nullsEqual ? 2 : 3);
        expect(operator.stats()).toMatchObject({ keyTier });
        expect(push(0, [far, -7n, null, 4n, greatest, greatest + 1n, -8n])).toEqual([
          [far, 0n, ...none],
          [-7n, 1n, -7n, 0n],
          [null, 2n, ...(nullsEqual ? [null, 1n] : none)],
          [4n, 3n, ...none],
          [greatest, 4n, greatest, 2n],
          [greatest + 1n, 5n, ...none],
          [-8n, 6n, ...none],
        ]);
        operator.destroy();
      }
    }
  });

  test("keys that are as far apart as their type allows are looked up", () => {
    const types = [int64];
    const operator = openJoin(kernel, { types: [types, types], keys: 1, how: "semi" });
    const keys = Array.from({ length: 9000 }, (_, row) =>
      BigInt.asIntN(64, BigInt(row) * (2n ** 64n / 9000n)),
    );
    for (let at = 0; at < 9000; at += 1500) {
      const batch = batchOf(types, [keys.slice(at, at + 1500)]);
      for (const port of [1, 0]) {
        const more = operator.push(batch, 0, 1500, 0, port) === Status.HAS_MORE;
        if (more) expect(rowsOf(pulled(operator))).toHaveLength(port === 0 ? 1500 : 0);
      }
    }
    expect(operator.stats()).toMatchObject({ keyTier: 3, groups: 9000 });
    operator.destroy();
  });

  /** Left rows of which most match one of the right ones, whose keys are unique and come in any order; rows in their order. */
  function copied(
    rights: readonly DataType[],
    lefts: number,
    rows: number,
    how: JoinHow,
    kept: boolean,
    first: 0 | 1,
  ) {
    const values = (type: DataType, count: number) =>
      fc.sample(valuesOf(type), { numRuns: count, seed: count });
    const key = (row: number) => (row % 11 === 0 ? null : BigInt((row * 7919) % (rows + (rows >> 3))));
    const left: Table = [
      Array.from({ length: lefts }, (_, row) => key(row)),
      Array.from({ length: lefts }, (_, row) => BigInt(row)),
      values(utf8, lefts),
    ];
    const keys = Array.from({ length: rows }, (_, row) => (row === 5 ? null : BigInt((row * 4801) % rows)));
    const right: Table = [keys, ...rights.map((type) => values(type, rows))];
    const types = [
      [int32, int64, utf8],
      [int32, ...rights],
    ] as const;
    const sides = first === 1 ? ([left, right] as const) : ([right, left] as const);
    const results = [JoinFault.NONE, JoinFault.COPY_ROWS].map((faults) => {
      const query: JoinQuery = {
        types: first === 1 ? types : [types[1], types[0]],
        keys: 1,
        how,
        kept,
        buildFirst: true,
        faults,
      };
      const operator = openJoin(kernel, query);
      const feeds = [
        { port: first, rows: 65536 },
        { port: first, rows: -1 },
        { port: 1 - first, rows: 65536 },
      ];
      const found: Value[][] = [];
      let bytes = 0;
      for (const batch of runJoin(operator, query, sides, feeds)) {
        found.push(...rowsOf([batch]));
        bytes = Math.max(bytes, operator.stats().stateBytes);
      }
      operator.destroy();
      return { found, bytes };
    });
    const [plain, copies] = results as [(typeof results)[0], (typeof results)[0]];
    expect(copies.found).toEqual(plain.found);
    expect(plain.found.length).toBeGreaterThan(0);
    // What is kept is only looked at when the join has ended.
    if (!kept) expect(copies.bytes).toBeGreaterThan(plain.bytes);
  }

  test("columns beside each other in a row, of any widths and in any order", { timeout: 60_000 }, () => {
    const type = fc.constantFrom<DataType>(int32, int64, float64, int16, utf8, dictionary(utf8, int32));
    const side = fc
      .tuple(fc.array(type, { maxLength: 10, size: "max" }), fc.integer({ min: 1, max: 60 }), fc.boolean())
      .map(([others, rows, repeats]) => {
        const values = (of: DataType, seed: number) => fc.sample(valuesOf(of), { numRuns: rows, seed });
        const keys = Array.from({ length: rows }, (_, row) => BigInt((row * 7) % (repeats ? 9 : 61)));
        return { types: [int32, ...others], table: [keys, ...others.map(values)] as Table };
      });
    fc.assert(
      fc.property(
        side,
        side,
        feedsOf,
        fc.constantFrom(...HOWS),
        fc.boolean(),
        fc.boolean(),
        (a, b, feeds, how, kept, buildFirst) => {
          const query: JoinQuery = { types: [a.types, b.types], keys: 1, how, kept, buildFirst };
          const tables = [a.table, b.table] as [Table, Table];
          const first = { port: 1, rows: -1 };
          for (const order of [feeds, [{ port: 1, rows: 65536 }, first]]) {
            const got = run({ query, tables, feeds: order, maxRows: 65536 });
            expect(multiset(got)).toEqual(multiset(expectedJoin(query, tables)));
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test("rows of every width are copied before their columns are gathered", () => {
    for (let columns = 0; columns <= 18; columns++) {
      const types = Array.from({ length: columns }, () => int32);
      for (const how of ["inner", "left"] as const) copied(types, 500, 300, how, false, 1);
    }
  });

  test.each([
    ["inner", 1],
    ["left", 1],
    ["right", 0],
    ["full", 1],
    ["full", 0],
  ] as const)("columns of every type from copied rows, %s, port %i first", (how, first) => {
    copied(TYPES, 3000, 700, how, false, first);
    copied(TYPES, 3000, 700, how, true, first);
  });

  test("copied rows of more than one window, and of one that a push ends in", { timeout: 60_000 }, () => {
    copied([utf8, int64], 45_000, 5000, "inner", false, 1);
    copied([utf8, int64], 45_000, 5000, "left", false, 1);
  });

  test.each([true, false])(
    "copied rows of two open sides, more than a window takes, each key once: %s",
    (unique) => {
      const types = [int32, utf8, int64];
      const rows = 40_000;
      const side = (salt: number): Table => [
        Array.from({ length: rows }, (_, row) => BigInt((row * salt) % (unique ? rows : rows >> 1))),
        Array.from({ length: rows }, (_, row) => (row % 13 === 4 ? null : `é ${row % 900}`)),
        Array.from({ length: rows }, (_, row) => BigInt(row)),
      ];
      const tables = [side(7919), side(4801)] as const;
      // Both sides come at once but for the last rows of the left one, which then finds a window's rows in one step.
      const feeds = [
        { port: 0, rows: 500 },
        { port: 1, rows: 30_000 },
        { port: 0, rows: 39_000 },
        { port: 1, rows: 10_000 },
      ];
      const results = [JoinFault.NONE, JoinFault.COPY_ROWS].map((faults) => {
        const query: JoinQuery = { types: [types, types], keys: 1, how: "inner", faults };
        return run({ query, tables: [...tables], feeds, maxRows: 65536 });
      });
      expect(results[0]).toHaveLength(unique ? rows : 2 * rows);
      expect(results[1]).toEqual(results[0]);
      for (const [a, , , b] of results[1]!) expect(a).toBe(b);
    },
  );

  test.each([false, true])("a text of thousands of bytes among short ones, built first: %s", (buildFirst) => {
    const text = (row: number) =>
      row === 7 ? "x".repeat(3000) : row % 5 === 0 ? null : `${row % 3} and more than fits`;
    const side = (rows: number): Table => [
      Array.from({ length: rows }, (_, row) => BigInt(row % 250)),
      Array.from({ length: rows }, (_, row) => text(row)),
      Array.from({ length: rows }, (_, row) => text(row + 1)),
    ];
    const types = [int64, dictionary(utf8, int16), utf8];
    const tables = [side(3000), side(200)] as [Table, Table];
    for (const how of ["inner", "left", "full", "semi"] as const) {
      const query: JoinQuery = { types: [types, types], keys: 1, how, buildFirst };
      const feeds = buildFirst
        ? [
            { port: 1, rows: 65536 },
            { port: 1, rows: -1 },
          ]
        : [];
      const want = multiset(expectedJoin(query, tables));
      for (const maxBytes of [0, 20_000]) {
        const operator = openJoin(kernel, query);
        const batches = [...runJoin(operator, query, tables, feeds, 65536, maxBytes)];
        operator.destroy();
        expect(multiset(rowsOf(batches))).toEqual(want);
        for (const { columns, length } of batches) {
          const bytes = columns.reduce((sum, { offsets, values }) => sum + (offsets ? values.length : 0), 0);
          if (maxBytes !== 0 && length > 1) expect(bytes).toBeLessThan(8 * maxBytes);
        }
      }
    }
  });

  test("rows of many chunks, in both orders and interleaved", () => {
    const rows = 70_000;
    const ids = Array.from({ length: rows }, (_, row) => BigInt((row * 7919) % rows));
    const texts = ids.map((id) => (id % 11n === 0n ? null : `text ${id}`));
    const numbers = [1n, 2n, 3n, 5n].map((times) => ids.map((id) => id * times));
    const left: Table = [ids, texts, ...numbers];
    const right: Table = [ids.map((id) => id + 100n), ids.map((id) => id % 2n === 0n)];
    for (const [buildFirst, faults] of [
      [true, JoinFault.NONE],
      [false, JoinFault.NONE],
      [false, JoinFault.COPY_ROWS],
    ] as const) {
      const query: JoinQuery = {
        types: [
          [int64, utf8, int32, int32, uint32, int32],
          [int64, TYPES[0]!],
        ],
        keys: 1,
        how: "full",
        buildFirst,
        faults,
      };
      const steps = Array.from({ length: 10 }, (_, step) => ({ port: step % 2, rows: 14_001 }));
      for (const feeds of buildFirst ? [[]] : [steps]) {
        let matched = 0;
        let lonely = 0;
        for (const [a, text, p, q, r, s, b, flag] of run({
          query,
          tables: [left, right],
          feeds,
          maxRows: 65536,
        })) {
          if (a === null || b === null) lonely += 1;
          else if (
            a === b &&
            p === a &&
            [q, r, s].every((value, at) => value === (a as bigint) * [2n, 3n, 5n][at]!) &&
            text === ((a as bigint) % 11n === 0n ? null : `text ${a}`) &&
            flag === ((b as bigint) % 2n === 0n)
          )
            matched += 1;
        }
        expect([matched, lonely]).toEqual([rows - 100, 200]);
      }
    }
  });

  test("texts by dictionary leave as codes where results are kept, as texts where too few rows pay for the copy", () => {
    const types = [int32, dictionary(utf8, int16), utf8];
    const side = (rows: number, values: number, step: number): Table => [
      Array.from({ length: rows }, (_, row) => BigInt(row * step)),
      Array.from({ length: rows }, (_, row) => (row % 7 === 3 ? null : `é ${row % values}`)),
      Array.from({ length: rows }, (_, row) => "x".repeat(row % 40)),
    ];
    const tables = [side(5000, 90, 1), side(3000, 40, 3)] as const;
    const codedColumns = (how: "inner" | "left", kept: boolean, few: boolean) => {
      const query: JoinQuery = { types: [types, types], keys: 1, how, buildFirst: true, kept };
      const [left, right] = few ? [tables[0].map((column) => column.slice(0, 20)), tables[1]] : tables;
      const want = multiset(expectedJoin(query, [left, right]));
      expect(multiset(run({ query, tables: [left, right], feeds: [], maxRows: 65536 }))).toEqual(want);
      const operator = openJoin(kernel, query);
      operator.push(batchOf(types, right), 0, undefined, 0, 1);
      operator.watermark(2n ** 63n - 1n, 1);
      while (operator.tryPullResident().more) {}
      operator.push(batchOf(types, tables[0]), 0, few ? 20 : 5000, 0, 0);
      const { batch } = operator.tryPullResident();
      const coded = [1, 4].map((column) => batch!.column(column)!.dictionary !== 0);
      batch!.free();
      operator.destroy();
      return coded;
    };
    expect(codedColumns("inner", true, false)).toEqual([true, true]);
    expect(codedColumns("left", true, false)).toEqual([true, true]);
    expect(codedColumns("inner", false, false)).toEqual([false, false]);
    expect(codedColumns("left", true, true)).toEqual([false, true]);
  });

  test("a kept result of few rows that no memory is left to shrink stays as it is", () => {
    const types = [int32, utf8, int8];
    const side = (rows: number, step: number): Table => [
      Array.from({ length: rows }, (_, row) => BigInt(row * step)),
      Array.from({ length: rows }, (_, row) => (row % 7 === 3 ? null : `text ${row}`)),
      Array.from({ length: rows }, (_, row) => BigInt(row % 100)),
    ];
    const tables = [side(3000, 1), side(40, 50)] as const;
    const query: JoinQuery = { types: [types, types], keys: 1, how: "inner", buildFirst: true, kept: true };
    const want = multiset(expectedJoin(query, tables));
    for (let nth = 0; nth < 24; nth++) {
      const operator = openJoin(kernel, query);
      operator.push(batchOf(types, tables[1]), 0, undefined, 0, 1);
      operator.watermark(2n ** 63n - 1n, 1);
      while (operator.tryPullResident().more) {}
      operator.push(batchOf(types, tables[0]), 0, undefined, 0, 0);
      const rows: Value[][] = [];
      for (let more = true; more; ) {
        // Shrinking begins with the pull that has all rows.
        kernel.failAllocation(nth);
        try {
          const pulled = operator.tryPullResident();
          more = pulled.more;
          kernel.failAllocation(0);
          if (pulled.batch === null) continue;
          rows.push(...rowsOf([pulled.batch.toHost()]));
          pulled.batch.free();
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          kernel.failAllocation(0);
        }
      }
      expect([nth, multiset(rows)]).toEqual([nth, want]);
      operator.destroy();
    }
  });

  test.each([int32, utf8, float64])("NOT IN over keys of type %j", (type) => {
    const value = (n: number): Value => (type === utf8 ? `t${n}` : type === float64 ? n + 0.5 : BigInt(n));
    const key = fc.option(fc.nat(9).map(value), { freq: 5 });
    const side = fc.array(key, { maxLength: 12 });
    fc.assert(
      fc.property(side, side, fc.boolean(), fc.boolean(), feedsOf, (a, b, sound, buildFirst, feeds) => {
        const tables = [[a], [sound ? b.filter((one) => one !== null) : b]] as const;
        const query: JoinQuery = {
          types: [[type], [type]],
          keys: 1,
          how: "anti",
          nullAware: true,
          buildFirst,
          kept: sound,
        };
        const got = run({ query, tables, feeds, maxRows: 65536 });
        expect(multiset(got)).toEqual(multiset(expectedJoin(query, tables)));
      }),
      { numRuns: 100 },
    );
  });

  test("a million rows of one key on both sides leave in bounded batches", () => {
    const query: JoinQuery = { types: [[int32], [int32]], keys: 1, how: "inner" };
    const operator = openJoin(kernel, query);
    const batch = batchOf([int32], [Array.from({ length: 65536 }, () => 7n)]);
    for (let push = 0; push < 16; push++) operator.push(batch, 0, 65536, 0, 1);
    const before = kernel.usedBytes;
    expect(operator.push(batch, 0, 65536, 0, 0)).toBe(Status.HAS_MORE);
    expect(() => operator.push(batch, 0, 65536, 0, 0)).toThrow(/output waiting/);
    for (let pull = 0; pull < 40; pull++) expect(operator.pull(65536)!.length).toBe(65536);
    expect(kernel.usedBytes - before).toBeLessThan(4 * 2 ** 20);
    operator.destroy();
  });

  test("texts of a batch stay below the bytes that were asked for", () => {
    const types = [int32, utf8];
    const query: JoinQuery = { types: [types, types], keys: 1, how: "inner" };
    const table: Table = [
      Array.from({ length: 50 }, (_, row) => BigInt(row % 3)),
      Array.from({ length: 50 }, () => "x".repeat(100)),
    ];
    const operator = openJoin(kernel, query);
    const batches = [...runJoin(operator, query, [table, table], [], 65536, 1000)];
    operator.destroy();
    const bytes = batches.map(({ columns }) =>
      columns.reduce((sum, { offsets, values }) => sum + (offsets === null ? 0 : values.length), 0),
    );
    expect(Math.max(...bytes)).toBeLessThanOrEqual(1000);
    expect(multiset(rowsOf(batches))).toEqual(multiset(expectedJoin(query, [table, table])));
  });

  test("rows that nobody will look for any more are not kept", () => {
    const query: JoinQuery = {
      types: [
        [int64, utf8],
        [int64, utf8],
      ],
      keys: 1,
      how: "left",
      buildFirst: true,
    };
    const operator = openJoin(kernel, query);
    const keys = Array.from({ length: 10_000 }, (_, row) => BigInt(row));
    const batch = batchOf([int64, utf8], [keys, keys.map((key) => `row ${key}`)]);
    operator.push(batch, 0, 10_000, 0, 1);
    expect([...operator.finish(65536, 1)]).toEqual([]);
    const drain = () => rowsOf(pulled(operator)).length;
    operator.push(batch, 0, 10_000, 0, 0);
    expect(drain()).toBe(10_000);
    const { stateBytes } = operator.stats();
    for (let push = 0; push < 5; push++) {
      operator.push(batch, 0, 10_000, 0, 0);
      expect(drain()).toBe(10_000);
    }
    expect(operator.stats().stateBytes).toBe(stateBytes);
    expect(operator.stats()).toMatchObject({ keyTier: 2, rowsIn: 70_000, rowsOut: 60_000 });
    operator.destroy();
  });

  test("a join of few rows has no room for the key numbers of many", () => {
    const types = [int64];
    const operator = openJoin(kernel, { types: [types, types], keys: 1, how: "inner" });
    operator.push(batchOf(types, [[1n, 2n, 3n]]), 0, 3, 0, 0);
    // Those of 65,536 rows alone take 256 KiB.
    expect(operator.stats().stateBytes).toBeLessThan(400 * 1024);
    const many = batchOf(types, [Array.from({ length: 65_536 }, (_, row) => BigInt(row))]);
    operator.push(many, 0, 65_536, 0, 1);
    expect(rowsOf([operator.pull()!])).toEqual([1n, 2n, 3n].map((key) => [key, key]));
    operator.destroy();
  });

  test("every allocation may fail: nothing is lost, and the call can be made again", () => {
    const types = [dictionary(utf8, int16), utf8, int64];
    const make = (salt: number): Table => {
      const rows = Array.from({ length: 40 }, (_, row) => row + salt);
      return [
        rows.map((row) => (row % 5 === 0 ? null : `key ${row % 17}`)),
        rows.map((row) => `payload ${row}`),
        rows.map((row) => (row % 4 === 0 ? null : BigInt(row))),
      ];
    };
    const tables = [make(0), make(9)] as const;
    for (const buildFirst of [false, true]) {
      for (const keys of [1, 3]) {
        const query: JoinQuery = { types: [types, types], keys, how: "full", residual: [2, 2], buildFirst };
        const want = multiset(expectedJoin(query, tables));
        const batches = tables.map((table) => batchOf(types, table));
        for (let nth = 1, failed = true; failed; nth++) {
          const retries = new Retries(kernel);
          const operator = openJoin(kernel, query);
          const { again } = retries;
          const rows: Value[][] = [];
          const drain = () => {
            for (const batch of retries.pulls(operator, 16)) rows.push(...rowsOf([batch]));
          };
          kernel.failAllocation(nth);
          for (const port of [1, 0]) {
            again(() => operator.push(batches[port]!, 0, 40, 0, port));
            drain();
          }
          for (const port of [0, 1]) {
            operator.watermark(2n ** 63n - 1n, port);
            drain();
          }
          kernel.failAllocation(0);
          operator.destroy();
          expect(multiset(rows)).toEqual(want);
          failed = retries.failures > 0;
        }
      }
    }
  });

  test("every allocation may fail where texts leave as codes", () => {
    const types = [utf8, dictionary(utf8, int16)];
    const make = (rows: number): Table => [
      Array.from({ length: rows }, (_, row) => `key ${row}`),
      Array.from({ length: rows }, (_, row) => (row % 4 === 0 ? null : `text ${row % 6}`)),
    ];
    const tables = [make(40), make(25)] as const;
    const query: JoinQuery = { types: [types, types], keys: 1, how: "left", kept: true };
    const want = multiset(expectedJoin(query, tables));
    const retries = new Retries(kernel);
    const { again } = retries;
    for (let nth = 1; nth <= 60; nth++) {
      const operator = openJoin(kernel, query);
      const batches = tables.map((table) => operator.stage(batchOf(types, table)));
      const rows: Value[][] = [];
      const drain = () => {
        for (let more = true; more; ) {
          const pulled = again(() => operator.tryPullResident(16));
          more = pulled.more;
          if (pulled.batch !== null) rows.push(...rowsOf([again(() => pulled.batch!.toHost())]));
          pulled.batch?.free();
        }
      };
      kernel.failAllocation(nth);
      again(() => operator.push(batches[1]!, 0, 25, 0, 1));
      operator.watermark(2n ** 63n - 1n, 1);
      drain();
      again(() => operator.push(batches[0]!, 0, 40, 0, 0));
      drain();
      operator.watermark(2n ** 63n - 1n, 0);
      drain();
      kernel.failAllocation(0);
      operator.destroy();
      expect(multiset(rows)).toEqual(want);
    }
    expect(retries.failures).toBeGreaterThan(5);
  });

  test("over the budget: an error, and a kernel that goes on", () => {
    const used = kernel.usedBytes;
    kernel.setBudget(used + 8 * 2 ** 20);
    const query: JoinQuery = {
      types: [
        [int64, utf8],
        [int64, utf8],
      ],
      keys: 1,
      how: "inner",
    };
    const operator = openJoin(kernel, query);
    const keys = Array.from({ length: 10_000 }, (_, row) => BigInt(row));
    const batch = batchOf([int64, utf8], [keys, keys.map((key) => `a text of some length ${key}`)]);
    expect(() => {
      for (let push = 0; push < 100; push++) operator.push(batch, 0, 10_000, 0, 1);
    }).toThrow(MemoryLimitError);
    operator.destroy();
    expect(kernel.usedBytes).toBe(used);
    kernel.setBudget("512 MiB");
  });

  test("what it refuses", () => {
    const query: JoinQuery = { types: [[int64], [int64]], keys: 1, how: "inner" };
    const operator = openJoin(kernel, query);
    const batch = batchOf([int64], [[1n]]);
    expect(() => operator.push(batch, 0, 1, 0, 2)).toThrow(ArgumentError);
    operator.watermark(2n ** 63n - 1n, 1);
    expect([...operator.finish(10, 1)]).toEqual([]);
    expect(() => operator.push(batch, 0, 1, 0, 1)).toThrow(/ended/);
    expect(() => [...operator.snapshot()]).toThrow(/another kind/);
    operator.destroy();
    expect(() => openJoin(kernel, { types: [[int64], [int32]], keys: 1, how: "inner" })).toThrow(
      ArgumentError,
    );
    expect(() => openJoin(kernel, { types: [[int64], [int64]], keys: 2, how: "inner" })).toThrow(
      ArgumentError,
    );
    const aware: JoinQuery = { types: [[int64], [int64]], keys: 1, how: "anti", nullAware: true };
    for (const other of [
      { how: "semi" as const },
      { keys: 0 },
      { nullsEqual: true },
      { residual: [0, 0] as const },
    ]) {
      expect(() => openJoin(kernel, { ...aware, ...other })).toThrow(ArgumentError);
    }
    expect(JoinFault.SMALL_STEPS).toBe(4);
  });
});
