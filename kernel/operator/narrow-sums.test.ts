// Sums of small integers side by side (narrow-sums.ts): they come to what the twin says and to the very state that sums apart
// leave, whatever a vector of them has that must go the usual way, and whatever is done with the operator between two pushes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT } from "../../bindings/ts/kernel/operator.js";
import { bool, type DataType, float64, int32, int64 } from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import {
  type Aggregate,
  BUILDS,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  slice,
  type Table,
} from "./testing.js";
import {
  apart,
  holdsApart,
  holdsWhereMemoryFails,
  interrupted,
  interruptedPushes,
  outcome,
  tellsGroups,
} from "./testing-apart.js";

const [KEY, A, B, C, WIDE, FLOAT, FLAG] = [0, 1, 2, 3, 4, 5, 6] as const;
const TYPES: readonly DataType[] = [int32, int32, int32, int32, int64, float64, bool];

const SHAPES: readonly (readonly Aggregate[])[] = [
  [{ name: "corr", of: A, second: B }],
  [
    { name: "avg", of: A },
    { name: "avg", of: B },
    { name: "sum", of: C },
  ],
  [{ name: "sum", of: A }, { name: "sum", of: B }, { name: "count" }],
  [
    { name: "variance", of: A },
    { name: "varPop", of: B },
    { name: "sum", of: C },
    { name: "count", of: B },
  ],
  // A lane without a partner, and more of them than a record has.
  [
    { name: "sum", of: A },
    { name: "sum", of: WIDE },
    { name: "covar", of: B, second: C },
  ],
  [
    { name: "corr", of: A, second: B },
    { name: "corr", of: B, second: C },
    { name: "variance", of: C },
  ],
  // Sums of other kinds beside them.
  [
    { name: "kurtosis", of: A },
    { name: "covar", of: A, second: B },
    { name: "sum", of: C, filter: FLAG },
    { name: "max", of: FLOAT },
    { name: "count", of: FLOAT },
  ],
];

/** What a stretch of rows is like. */
const KINDS = [
  "small",
  "thousands",
  "large",
  "huge",
  "nulls",
  "huge and nulls",
  "null keys",
  "new keys",
  "far keys",
  "floats' nulls",
] as const;
type Kind = (typeof KINDS)[number];
const SIZES: Partial<Record<Kind, number>> = {
  thousands: 5000,
  large: 100_000,
  huge: 2 ** 32,
  "huge and nulls": 2 ** 32,
};

function rowOf(kind: Kind, row: number): Value[] {
  const size = SIZES[kind] ?? 30;
  const integer = (salt: number): bigint =>
    BigInt((Math.imul(row + salt, 0x9e3779b1) >>> 0) % size) - BigInt(size / 2);
  const key = (row * 7) % 11;
  const isNull = kind.endsWith("nulls") && kind !== "floats' nulls" && row % 5 === 0;
  return [
    kind === "null keys" && row % 2 === 0
      ? null
      : BigInt(kind === "new keys" ? 40 + (row % 9) : kind === "far keys" ? 1_000_000_000 + (row % 3) : key),
    isNull ? null : integer(1),
    integer(20),
    isNull && row % 2 === 0 ? null : integer(300),
    integer(4) << 20n,
    kind === "floats' nulls" && row % 3 === 0 ? null : row / 3,
    row % 4 !== 0,
  ];
}

function tableOf(kinds: readonly Kind[], stretch: number): Table {
  const rows = kinds.flatMap((kind, at) =>
    Array.from({ length: stretch }, (_, row) => rowOf(kind, at * stretch + row)),
  );
  return TYPES.map((_, column) => rows.map((row) => row[column]!));
}

describe.each(BUILDS)("sums of small integers, %s build", (build) => {
  test("are the twin's, whatever comes between pushes", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        fc.constantFrom(...SHAPES),
        fc.array(fc.constantFrom<Kind>("small", "small", "thousands", ...KINDS), {
          minLength: 2,
          maxLength: 8,
        }),
        fc.constantFrom(389, 700, 2300),
        interruptedPushes(100, 4500),
        fc.constantFrom([KEY], [KEY, FLAG]),
        (aggregates, kinds, stretch, pushes, keys) => {
          const query: Query = { types: TYPES, keys, aggregates };
          const table = tableOf(kinds, stretch);
          expect(interrupted(kernel, query, table, pushes)).toEqual(multiset(expected(query, table)));
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each(SHAPES.map((aggregates, at) => [at, aggregates] as const))(
    "shape %i, of vectors of every kind: the state of sums apart",
    async (_, aggregates) => {
      const kernel = await Kernel.open({ build });
      const query: Query = { types: TYPES, keys: [KEY], aggregates };
      const table = tableOf(
        ["small", "thousands", ...KINDS.flatMap((kind): Kind[] => ["small", kind])],
        2100,
      );
      for (const sizes of [[2100, 9001, 14_000], [60_000]]) {
        holdsApart(kernel, query, table, sizes);
      }
    },
  );

  test("correlations, and what else needs six sums, by pushes of any number of rows", async () => {
    const kernel = await Kernel.open({ build });
    const table = tableOf(["small", "small", "nulls", "small"], 2503);
    for (const aggregates of [
      SHAPES[0]!,
      [{ name: "corr", of: B, second: A }, { name: "count" }],
      [{ name: "corr", of: A, second: A }],
      [{ name: "covar", of: A, second: B }, { name: "variance", of: C }, { name: "count" }],
    ] satisfies (readonly Aggregate[])[]) {
      const query: Query = { types: TYPES, keys: [KEY], aggregates };
      const sizes = [2101, 1003, 77, 2050, 999, 3];
      holdsApart(kernel, query, table, sizes);
    }
  });

  // Squares come to 2^31 after 2,100,000, 210,000, 2100 and 200 rows, and to more than that with one.
  test.each([32, 100, 1000, 3200, 50_000, 2 ** 31])(
    "all rows of a group at -%i, whose sums pass what 32 bits hold",
    async (size) => {
      const kernel = await Kernel.open({ build });
      const query: Query = {
        types: TYPES,
        keys: [KEY],
        aggregates: [{ name: "corr", of: A, second: B }, ...SHAPES[1]!],
      };
      const length = 300_000;
      const column = (value: (row: number) => Value): Value[] =>
        Array.from({ length }, (_, row) => value(row));
      const table: Table = [
        column((row) => (row % 1000 === 0 ? 1n : 7n)),
        column((row) => BigInt(-size + (row % 2))),
        column((row) => BigInt(-size + (row % 3))),
        column(() => BigInt(-size)),
        column(() => 0n),
        column(() => 0),
        column(() => true),
      ];
      const beside = outcome(kernel, query, table, [50_000]);
      expect(beside).toEqual(outcome(kernel, apart(query), table, [50_000]));
      const sum = beside.rows.some((row) => row.includes(`bigint:${-299_700n * BigInt(size)}`));
      expect(sum).toBe(true);
    },
  );

  test.runIf(build !== "scalar")(
    "records are made for groups that are no more than twice a push's rows, and for sums enough",
    async () => {
      const kernel = await Kernel.open({ build });
      /** What an operator holds after a push of 3000 rows, after further ones of so many, and once it has ended. */
      const bytesOf = (query: Query, ...sizes: number[]) => {
        const operator = open(kernel, query);
        const table = tableOf(["small"], 4000);
        const bytes: number[] = [];
        pushAll(operator, query, slice(table, 0, 3000));
        for (const size of sizes) {
          pushAll(operator, query, slice(table, 3000, 3000 + size), [size]);
          bytes.push(operator.stats().stateBytes);
        }
        operator.watermark(END_OF_INPUT);
        bytes.push(operator.stats().stateBytes);
        operator.destroy();
        return bytes;
      };
      const query: Query = { types: TYPES, keys: [KEY], aggregates: SHAPES[0]! };
      const without = bytesOf(apart(query), 1000)[0]!;
      const sizes = [4, 1000, 1000, 4, 1000];
      const more = bytesOf(query, ...sizes).map((bytes) => bytes - without);
      expect(more.map((bytes) => bytes > 0)).toEqual([...sizes.map((size) => size === 1000), false]);
      // The range of a small integer key has room for 4096 values, and null.
      expect(more[1]).toBeGreaterThanOrEqual(4097 * 32);
      expect(more[1]).toBeLessThan(4200 * 32);
      const few: Query = { ...query, aggregates: SHAPES[2]!.slice(0, 2) };
      expect(bytesOf(few, 1000)).toEqual(bytesOf(apart(few), 1000));
    },
  );

  test.each(SHAPES.map((aggregates, at) => [at, aggregates] as const))(
    "shape %i, asked how many groups there are between pushes",
    async (_, aggregates) => {
      const kernel = await Kernel.open({ build });
      for (const keys of [[KEY], [KEY, FLAG]]) {
        const query: Query = { types: TYPES, keys, aggregates };
        const table = tableOf(["small", "small", "nulls", "new keys", "null keys", "far keys"], 1200);
        tellsGroups(kernel, query, table, 600);
      }
    },
  );

  test("where an allocation fails the push is made again, or does without records", async () => {
    const query: Query = { types: TYPES, keys: [KEY], aggregates: SHAPES[0]! };
    await holdsWhereMemoryFails(build, query, tableOf(["small", "new keys"], 1500));
  });
});
