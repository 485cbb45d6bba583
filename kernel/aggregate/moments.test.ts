// Variance, covariance, correlation, skewness and kurtosis: against big fractions bit for bit, whatever the
// batches, parts and merges; against DuckDB; and where plain float arithmetic cancels.

import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { MomentName } from "../../bindings/ts/type/aggregate.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { TypeMismatchError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  rowsOf,
  type Table,
  TYPES,
  valuesOf,
} from "../operator/testing.js";

const ONE: readonly MomentName[] = [
  "variance",
  "varPop",
  "stddev",
  "stddevPop",
  "skewness",
  "kurtosis",
  "kurtosisPop",
];
const TWO: readonly MomentName[] = ["covar", "covarPop", "corr"];

/** A key, two arguments of these types, a filter. */
function query(x: types.DataType, y: types.DataType, keys: readonly number[], faults = 0): Query {
  const aggregates: Aggregate[] = [
    ...ONE.map((name) => ({ name, of: 1 })),
    ...TWO.map((name) => ({ name, of: 1, second: 2 })),
    { name: "corr", of: 2, second: 1, filter: 3 },
    { name: "kurtosis", of: 2, filter: 3 },
    { name: "avg", of: 1 },
    { name: "count", of: 2 },
  ];
  return { types: [types.int32, x, y, types.bool], keys, aggregates, faults };
}

const anyFloat = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -400, max: 400 }).map((x) => x / 100) },
  { weight: 2, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      0,
      -0,
      5e-324,
      -5e-324,
      1e300,
      -1e300,
      Number.MAX_VALUE,
      -Number.MAX_VALUE,
      2 ** -600,
    ),
  },
);
/** Finite floats, so that a result is more than NaN. */
const finite: fc.Arbitrary<Value> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 9, arbitrary: anyFloat },
);
const close: fc.Arbitrary<Value> = fc.integer({ min: 0, max: 1000 }).map((x) => 1e8 + x / 1000);

const numbers = TYPES.filter((type) => {
  const { kind } = types.valueType(type);
  return kind === "int" || kind === "float" || kind === "decimal";
});
const pairs = numbers.flatMap((x) =>
  numbers.filter((y) => types.valueType(x).kind === types.valueType(y).kind).map((y) => [x, y] as const),
);

describe.each(BUILDS)("moments, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  function run(asked: Query, table: Table, size: number, parts: number): string[] {
    const whole = open(kernel, asked);
    const rows = table[0]!.length;
    for (let part = 0; part < parts; part++) {
      const some = open(kernel, asked);
      const mine = table.map((column) => column.filter((_, row) => row % parts === part));
      pushAll(some, asked, mine, Array(Math.ceil(rows / size)).fill(size));
      for (const state of some.snapshot()) whole.merge(state);
      some.destroy();
    }
    const results = multiset(rowsOf(whole.finish()));
    whole.destroy();
    return results;
  }

  const shape = {
    size: fc.integer({ min: 1, max: 300 }),
    parts: fc.integer({ min: 1, max: 3 }),
    faults: fc.constantFrom(AggregateFault.NONE, AggregateFault.NORMALISE_ALWAYS),
    grouped: fc.boolean(),
  };

  function check(
    [x, y]: readonly [types.DataType, types.DataType],
    rows: readonly (readonly Value[])[],
    { size, parts, faults, grouped }: { size: number; parts: number; faults: number; grouped: boolean },
  ): void {
    const asked = query(x, y, grouped ? [0] : [], faults);
    const table = [0, 1, 2, 3].map((column) => rows.map((row) => row[column]!));
    const wanted = multiset(expected(asked, table));
    expect(run(asked, table, size, parts)).toEqual(wanted);
    const turned = table.map((column) => [...column].reverse());
    expect(run(asked, turned, 1000, 1)).toEqual(wanted);
  }

  test("every number type, with nulls, filters, extremes, NaN and infinities", () => {
    const table = fc.constantFrom(...pairs).chain(([x, y]) =>
      fc.record({
        pair: fc.constant([x, y] as const),
        rows: fc.array(
          fc.tuple(fc.constantFrom<Value>(0n, 1n, 2n), valuesOf(x), valuesOf(y), valuesOf(types.bool)),
          { maxLength: 40 },
        ),
      }),
    );
    fc.assert(
      fc.property(table, fc.record(shape), ({ pair, rows }, how) => check(pair, rows, how)),
      { numRuns: 60 },
    );
  });

  test.each([
    ["of all sizes", finite],
    ["close to 1e8", close],
  ])("finite floats %s", (_, values) => {
    const rows = fc.array(fc.tuple(fc.constantFrom<Value>(0n, 1n), values, values, valuesOf(types.bool)), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(rows, fc.record(shape), (some, how) => check([types.float64, types.float64], some, how)),
      { numRuns: 40 },
    );
  });

  test.each([
    ["int32", types.int32, () => BigInt(Math.floor(random() * 2 ** 32) - 2 ** 31)],
    ["int64", types.int64, () => BigInt(Math.floor(random() * 2 ** 53)) * 1024n - 2n ** 62n],
    ["float64", types.float64, () => Math.round(random() * 1e8) / 1e6],
    ["float32", types.float32, () => Math.fround(random() - 0.5)],
    ["decimal", types.decimal(20, 4), () => BigInt(Math.floor(random() * 1e12)) - 5n * 10n ** 11n],
  ])("many rows of %s over several vectors", (_, type, next) => {
    const n = 5000;
    const table: Table = [
      Array.from({ length: n }, (_, i) => BigInt(i % 7)),
      Array.from({ length: n }, (_, i) => (i % 50 === 3 ? null : next())),
      Array.from({ length: n }, (_, i) => (i % 60 === 5 ? null : next())),
      Array.from({ length: n }, (_, i) => i % 3 !== 0),
    ];
    const asked = query(type, type, [0]);
    const wanted = multiset(expected(asked, table));
    expect(run(asked, table, 5000, 1)).toEqual(wanted);
    expect(run(asked, table, 777, 2)).toEqual(wanted);
  });

  test.each([
    ["int32", types.int32, 31],
    ["int64", types.int64, 40],
    ["decimal", types.decimal(20, 4), 40],
  ] as const)("few values of %s of every size, some of them in proportion", (_, type, bits) => {
    for (let bit = 1; bit <= bits; bit++) {
      const rows: Value[][] = [];
      for (let group = 0; group < 120; group++) {
        const next = () => BigInt(Math.floor((random() * 2 - 1) * 2 ** (bit - (group % 2))));
        const [factor, more] = [BigInt((group % 5) - 2), BigInt(group % 3)];
        const size = 1 + (group % 12);
        for (let row = 0; row < size; row++) {
          const x = group % 7 === 0 ? next() / 2n : next();
          const y = group % 7 === 0 ? (x * factor) / 2n + more : next();
          rows.push([BigInt(group), x, y, row % 3 !== 0]);
        }
      }
      const table = [0, 1, 2, 3].map((column) => rows.map((row) => row[column]!));
      const asked = query(type, type, [0]);
      expect(run(asked, table, 1000, 1)).toEqual(multiset(expected(asked, table)));
    }
  });

  // Windows of two, three and four limbs, and rows among theirs that do not fit, or are not split.
  const ODD = [0, -0, 1e-9, 2 ** -60, 1e-70, -1e-250, 1e40, -1e100, 1e200, Number.NaN, Infinity, null];
  test.each([
    ["whole numbers", () => Math.floor(random() * 2000) - 1000],
    ["quarters", () => Math.floor(random() * 4e6) / 4 - 5e5],
    ["six decimals", () => Math.round(random() * 1e8) / 1e6],
    ["large and small by turns", () => (random() - 0.5) * (random() < 0.5 ? 1e30 : 1e-30)],
  ])("many %s, with a few that are unlike them", (_, next) => {
    const n = 3000;
    const groups = 40;
    const column = (every: number): Value[] =>
      Array.from({ length: n }, (_, i) =>
        i > 500 && i % groups < 30 && random() < 1 / every ? ODD[Math.floor(random() * ODD.length)]! : next(),
      );
    for (const every of [4, 100]) {
      const table: Table = [
        Array.from({ length: n }, (_, i) => BigInt(i % groups)),
        column(every),
        column(every),
        Array.from({ length: n }, (_, i) => i % 3 !== 0),
      ];
      const asked = query(types.float64, types.float64, [0]);
      const wanted = multiset(expected(asked, table));
      expect(run(asked, table, n, 1)).toEqual(wanted);
      expect(run(asked, table, 301, 2)).toEqual(wanted);
    }
  });

  test.each([
    ["correlation", [{ name: "corr", of: 1, second: 2 }]],
    ["a deviation", [{ name: "stddev", of: 1 }]],
    [
      "a covariance and a variance",
      [
        { name: "covar", of: 2, second: 1 },
        { name: "variance", of: 2 },
      ],
    ],
    [
      "sums and a deviation",
      [
        { name: "sum", of: 2 },
        { name: "sum", of: 1 },
        { name: "stddev", of: 1 },
        { name: "sum", of: 3 },
      ],
    ],
  ] as [string, Aggregate[]][])("products of 32-bit integers in pairs of sums: %s", (_, aggregates) => {
    const n = 4099;
    for (const range of [16, 2 ** 20, 2 ** 32]) {
      for (const nulls of [false, true]) {
        const column = (): Value[] =>
          Array.from({ length: n }, (_, i) =>
            nulls && i % 50 === 3 ? null : BigInt(Math.floor((random() - 0.5) * range)),
          );
        const table: Table = [
          Array.from({ length: n }, (_, i) => BigInt(i % 7)),
          column(),
          column(),
          column().map((x) => x ?? 0n),
        ];
        const asked: Query = {
          types: [types.int32, types.int32, types.int32, types.int64],
          keys: [0],
          aggregates,
        };
        const wanted = multiset(expected(asked, table));
        expect(run(asked, table, n, 1)).toEqual(wanted);
        expect(run(asked, table, 777, 2)).toEqual(wanted);
      }
    }
  });

  test("where sums of floats cancel, nothing is lost", () => {
    const asked: Query = {
      types: [types.float64],
      keys: [],
      aggregates: [
        { name: "variance", of: 0 },
        { name: "stddevPop", of: 0 },
        { name: "variance", of: 0, fast: true },
      ],
    };
    const results = (values: readonly number[]) => {
      const operator = open(kernel, asked);
      operator.push(batchOf(asked.types, [values]));
      const [row] = rowsOf(operator.finish());
      operator.destroy();
      return row!;
    };
    expect(results([1e8 + 4, 1e8 + 7, 1e8 + 13, 1e8 + 16])).toEqual([30, Math.sqrt(22.5), 30]);
    expect(results([1e15 + 1, 1e15 + 2, 1e15 + 3])[0]).toBe(1);
    // Squares pass the largest float, and the deviation does not.
    expect(results([1e308, -1e308]).slice(0, 2)).toEqual([Infinity, 1e308]);
    expect(results([5e-324, -5e-324])[1]).toBe(5e-324);
    expect(results([1, Infinity]).slice(0, 2)).toEqual([Number.NaN, Number.NaN]);
    expect(results([1])).toEqual([null, 0, null]);
    expect(results([])).toEqual([null, null, null]);
  });

  test("a changelog says what has changed", () => {
    const asked: Query = {
      types: [types.float64, types.float64],
      keys: [],
      aggregates: [
        { name: "variance", of: 0 },
        { name: "corr", of: 0, second: 1 },
      ],
      changelog: true,
    };
    const operator = open(kernel, asked);
    const drained = (rows: Table) => {
      operator.push(batchOf(asked.types, rows));
      return rowsOf([operator.pull()!]);
    };
    expect(drained([[1], [2]])).toEqual([[null, Number.NaN, 0n]]);
    expect(drained([[3], [1]])).toEqual([
      [null, Number.NaN, 1n],
      [2, -1, 2n],
    ]);
    operator.destroy();
  });

  test("fast moments are near, in one go and merged", () => {
    const n = 3000;
    const x = Array.from({ length: n }, () => 1e6 + random() ** 2 * 10);
    const table: Table = [
      Array.from({ length: n }, (_, i) => BigInt(i % 3)),
      x,
      x.map((value) => value * 2 + random()),
      Array.from({ length: n }, (_, i) => i % 4 !== 0),
    ];
    const exact = query(types.float64, types.float64, [0]);
    const aggregates = exact.aggregates.slice(0, 12).map((aggregate) => ({ ...aggregate, fast: true }));
    const asked: Query = { ...exact, aggregates };
    const wanted = expected({ ...exact, aggregates: exact.aggregates.slice(0, 12) }, table);
    for (const parts of [1, 4]) {
      const whole = open(kernel, asked);
      for (let part = 0; part < parts; part++) {
        const some = open(kernel, asked);
        pushAll(
          some,
          asked,
          table.map((column) => column.filter((_, row) => row % parts === part)),
          [100, 900],
        );
        for (const state of some.snapshot()) whole.merge(state);
        some.destroy();
      }
      const rows = rowsOf(whole.finish());
      whole.destroy();
      for (const row of rows) {
        const other = wanted.find(([key]) => key === row[0])!;
        row.slice(1).forEach((value, i) => {
          expect(value).toBeCloseTo(other[i + 1] as number, 6);
        });
      }
    }
  });

  test("arguments of different kinds, or a missing second one, are refused", () => {
    const columns = [
      { name: "i", type: types.int32, nullable: true },
      { name: "f", type: types.float64, nullable: true },
    ];
    const create = (second?: string) =>
      kernel.hashAggregate({
        columns,
        keys: [],
        aggregates: [{ name: "c", function: "corr", column: "i", second }],
      });
    expect(() => create("f")).toThrow(TypeMismatchError);
    expect(() => create()).toThrow("second is missing");
    create("i").destroy();
  });
});

test("as DuckDB, to nine digits", async () => {
  const kernel = await Kernel.open();
  const connection = await (await DuckDBInstance.create(":memory:")).connect();
  const n = 200;
  const x = Array.from({ length: n }, () => random() ** 3 * 100);
  const y = x.map((value) => value * 3 + random() * 50);
  const key = x.map((_, i) => (i < 1 ? 0 : i < 3 ? 1 : i < 6 ? 2 : i < 9 ? 3 : 4));
  const values = x.map((value, i) => {
    const constant = key[i] === 3;
    return `(${key[i]}, ${constant ? 5 : value}::double, ${constant ? 5 : y[i]}::double)`;
  });
  const sql = [
    ..."var_samp var_pop stddev_samp stddev_pop skewness kurtosis kurtosis_pop"
      .split(" ")
      .map((f) => `${f}(x)`),
    ..."covar_samp covar_pop corr".split(" ").map((f) => `${f}(x, y)`),
  ];
  const answer = await connection.runAndReadAll(
    `SELECT k, ${sql.join(", ")} FROM (VALUES ${values.join(", ")}) t(k, x, y) GROUP BY k ORDER BY k`,
  );
  connection.closeSync();
  const full = query(types.float64, types.float64, [0]);
  const asked: Query = { ...full, aggregates: full.aggregates.slice(0, 10) };
  const operator = open(kernel, asked);
  operator.push(
    batchOf(asked.types, [
      key.map((k) => BigInt(k)),
      x.map((value, i) => (key[i] === 3 ? 5 : value)),
      y.map((value, i) => (key[i] === 3 ? 5 : value)),
      x.map(() => true),
    ]),
  );
  const rows = rowsOf(operator.finish()).sort((a, b) => Number(a[0]! as bigint) - Number(b[0]! as bigint));
  operator.destroy();
  expect(rows.length).toBe(5);
  rows.forEach((row, k) => {
    answer
      .getRows()
      [k]!.slice(1)
      .forEach((theirs, i) => {
        const ours = row[i + 1] as number | null;
        const what = `${sql[i]} of group ${k}`;
        if (theirs === null || Number.isNaN(theirs)) expect(ours, what).toBe(theirs);
        else
          expect(Math.abs(ours! - (theirs as number)), what).toBeLessThanOrEqual(
            1e-9 * Math.abs(theirs as number),
          );
      });
  });
});

let seed = 42;

/** A small generator: the same numbers in every run. */
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  const high = seed >>> 5;
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return (high * 67108864 + (seed >>> 6)) / 2 ** 53;
}
