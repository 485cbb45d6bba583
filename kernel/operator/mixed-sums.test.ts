// Sums side by side (mixed-sums.ts): they come to what the twin says and to the very state that sums apart leave, whatever a
// vector of them has that must go the usual way, and whatever is done with the operator between two pushes.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { dictionary, float64, int32, utf8 } from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pushAll,
  type Query,
  resultsOfCut,
  rowsOf,
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
import {
  FILTER,
  FLAG_KEY,
  FLOAT,
  INT_KEY,
  KINDS,
  type Kind,
  LARGE,
  NARROW,
  OTHER,
  SMALL,
  TEXT_KEY,
  TYPES,
  tableOf,
  UNSIGNED_KEY,
} from "./testing-stretches.js";

const SHAPES: readonly (readonly Aggregate[])[] = [
  [{ name: "avg", of: FLOAT }],
  [{ name: "sum", of: FLOAT }, { name: "count" }],
  [
    { name: "sum", of: FLOAT },
    { name: "sum", of: SMALL },
  ],
  [
    { name: "sum", of: LARGE },
    { name: "sum", of: FLOAT },
  ],
  [
    { name: "sum", of: SMALL },
    { name: "avg", of: FLOAT },
  ],
  [
    { name: "avg", of: LARGE },
    { name: "sum", of: FLOAT },
  ],
  [
    { name: "sum", of: SMALL },
    { name: "sum", of: NARROW },
    { name: "sum", of: FLOAT },
  ],
  [
    { name: "sum", of: SMALL },
    { name: "sum", of: LARGE },
    { name: "sum", of: FLOAT },
  ],
  [
    { name: "avg", of: SMALL },
    { name: "avg", of: LARGE },
    { name: "avg", of: FLOAT },
  ],
  [
    { name: "avg", of: LARGE },
    { name: "sum", of: LARGE },
    { name: "variance", of: SMALL },
    { name: "avg", of: FLOAT },
  ],
  [
    { name: "sum", of: FLOAT },
    { name: "sum", of: OTHER },
    { name: "sum", of: SMALL, filter: FILTER },
    { name: "count" },
  ],
  [
    { name: "avg", of: FLOAT },
    { name: "sum", of: SMALL },
    { name: "count", of: OTHER },
  ],
  [
    { name: "sum", of: FLOAT, filter: FILTER },
    { name: "sum", of: OTHER },
    { name: "min", of: SMALL },
    { name: "count", of: SMALL },
  ],
];

const shape = fc.record({
  keys: fc.constantFrom([INT_KEY], [UNSIGNED_KEY], [TEXT_KEY], [INT_KEY, FLAG_KEY], [FLAG_KEY]),
  aggregates: fc.constantFrom(...SHAPES),
  where: fc.constantFrom(undefined, undefined, FILTER),
});

/** Groups that take more than a small table. */
const MANY = 9001;

/** The same rows by many integers and texts: those of a stretch of new or null keys stay. */
function byMany(table: Table): Table {
  const isPlain = (row: number) => table[INT_KEY]![row] !== null && (table[INT_KEY]![row] as bigint) < 30n;
  const many = (row: number) => BigInt((row * 7919) % MANY);
  return table.map((column, at) =>
    column.map((value, row) => {
      if (!isPlain(row)) return value;
      if (at === INT_KEY) return many(row);
      if (at === UNSIGNED_KEY) return many(row) + 3_000_000_000n;
      return at === TEXT_KEY ? `key ${many(row)}` : value;
    }),
  );
}

const SHORT = Array.from({ length: 300 }, () => 20);

describe.each(BUILDS)("sums side by side, %s build", (build) => {
  const hasTables = build !== "scalar";

  test("are the twin's, and leave the state of sums apart", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        shape,
        fc.array(fc.constantFrom<Kind>("plain", "plain", "plain", ...KINDS), { minLength: 6, maxLength: 10 }),
        fc.constantFrom(389, 700),
        fc.array(fc.integer({ min: 600, max: 4500 }), { minLength: 2, maxLength: 6 }),
        ({ keys, aggregates, where }, kinds, stretch, sizes) => {
          const query: Query = { types: TYPES, keys, aggregates, where };
          const table = tableOf(kinds, stretch);
          holdsApart(kernel, query, table, sizes);
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 40 },
    );
  });

  test.each(SHAPES.map((aggregates, at) => [at, aggregates] as const))(
    "shape %i, of vectors of every kind",
    async (_, aggregates) => {
      const kernel = await Kernel.open({ build });
      const query: Query = { types: TYPES, keys: [INT_KEY], aggregates };
      const table = tableOf(["plain", "plain", ...KINDS.flatMap((kind): Kind[] => ["plain", kind])], 2100);
      holdsApart(kernel, query, table, [2100, 9001, 14_000]);
    },
  );

  test.each<[Kind, number]>([
    ["huge", 8],
    ["wide", 8],
    ["new", 8],
    ["huge", 6],
    ["tiny", 6],
  ])("among rows that are added at once some are %s, shape %i", async (kind, at) => {
    const kernel = await Kernel.open({ build });
    const query: Query = { types: TYPES, keys: [INT_KEY], aggregates: SHAPES[at]! };
    const table = tableOf(["plain", "plain", kind, "plain", "plain", "plain"], 6000);
    holdsApart(kernel, query, table, [6000, 30_000]);
  });

  test("are the twin's, whatever comes between pushes", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        shape,
        fc.array(fc.constantFrom<Kind>("plain", "plain", "plain", ...KINDS), { minLength: 3, maxLength: 8 }),
        interruptedPushes(300, 4500),
        ({ keys, aggregates, where }, kinds, pushes) => {
          const query: Query = { types: TYPES, keys, aggregates, where };
          const table = tableOf(kinds, 1400);
          expect(interrupted(kernel, query, table, pushes)).toEqual(multiset(expected(query, table)));
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 30 },
    );
  });

  test.runIf(hasTables)("are the twin's by many groups, whatever comes between pushes", async () => {
    const kernel = await Kernel.open({ build });
    fc.assert(
      fc.property(
        shape,
        fc.array(fc.constantFrom<Kind>("plain", "plain", "plain", ...KINDS), { minLength: 4, maxLength: 8 }),
        interruptedPushes(4000, 20_000),
        ({ keys, aggregates, where }, kinds, pushes) => {
          const query: Query = { types: TYPES, keys, aggregates, where };
          const table = byMany(tableOf(kinds, 6000));
          expect(interrupted(kernel, query, table, pushes)).toEqual(multiset(expected(query, table)));
        },
      ),
      { numRuns: 6 },
    );
  });

  test.runIf(hasTables).each([2, 4, 6, 11])(
    "shape %i, of vectors of every kind by many groups",
    async (at) => {
      const kernel = await Kernel.open({ build });
      const query: Query = { types: TYPES, keys: [INT_KEY], aggregates: SHAPES[at]! };
      const kinds: Kind[] = ["plain", "plain", "plain", "plain", "plain", ...KINDS];
      const table = byMany(tableOf([...kinds, "plain", "plain"], 2100));
      holdsApart(kernel, query, table, [10_500, 9001, 14_000]);
    },
  );

  // Two limbs hold what is below 128, and 2^22 such rows make the upper one wrap.
  test.runIf(hasTables).each([127.5, -127.5, 0])(
    "more rows than a large table's limbs may hold, most of them of one group, of %d",
    async (value) => {
      const kernel = await Kernel.open({ build });
      const query: Query = {
        types: [int32, float64, int32],
        keys: [0],
        aggregates: [
          { name: "sum", of: 1 },
          { name: "avg", of: 2 },
        ],
      };
      const length = 40_000;
      const column = (of: (row: number) => Value): Value[] => Array.from({ length }, (_, row) => of(row));
      const table: Table = [
        column((row) => (row % 32 !== 0 ? 5n : BigInt((row * 7919) % MANY))),
        column((row) => (row % 32 !== 0 ? value : 2 ** -40)),
        column((row) => BigInt(row % 3)),
      ];
      const batch = batchOf(query.types, table);
      const stateOf = (of: Query) => {
        const operator = open(kernel, of);
        for (let push = 0; push < 140; push++) operator.push(batch);
        const state = multiset(rowsOf(operator.snapshot()));
        operator.destroy();
        return state;
      };
      expect(stateOf(query)).toEqual(stateOf(apart(query)));
    },
  );

  test.each(SHAPES.map((aggregates, at) => [at, aggregates] as const))(
    "shape %i, asked how many groups there are between pushes",
    async (_, aggregates) => {
      const kernel = await Kernel.open({ build });
      const table = tableOf(["plain", "plain", "nulls", "new", "null keys", "far"], 1200);
      for (const keys of [[INT_KEY], [TEXT_KEY], [INT_KEY, FLAG_KEY]])
        tellsGroups(kernel, { types: TYPES, keys, aggregates }, table, 600);
    },
  );

  test.each([
    ["few", 0],
    ["few", 1],
    ["few", 6],
    ["few", 8],
    ["many", 4],
    ["many", 6],
  ] as const)("by %s texts that are all known from the first rows on, shape %i", async (spread, at) => {
    const kernel = await Kernel.open({ build });
    const types = TYPES.map((type, column) => (column === TEXT_KEY ? dictionary(utf8) : type));
    const query: Query = { types, keys: [TEXT_KEY], aggregates: SHAPES[at]! };
    const kinds: Kind[] = ["plain", "plain", "plain", "huge", "plain", "nulls", "null keys", "new", "plain"];
    const table = spread === "few" ? tableOf(kinds, 3000) : byMany(tableOf(kinds, 3000));
    const batch = batchOf(types, table);
    const results = [[10_000, 5000], [27_000]].map((sizes) => resultsOfCut(kernel, query, batch, sizes));
    const twin = multiset(expected(query, table));
    expect(results).toEqual([twin, twin]);
  });

  test.runIf(hasTables)("how many groups there are between pushes, where they are many", async () => {
    const kernel = await Kernel.open({ build });
    const table = byMany(tableOf(["plain", "plain", "nulls", "new", "null keys"], 6000));
    for (const at of [1, 4])
      tellsGroups(kernel, { types: TYPES, keys: [INT_KEY], aggregates: SHAPES[at]! }, table, 6000);
  });

  test("more rows than a table may hold in one push", async () => {
    const kernel = await Kernel.open({ build });
    const query: Query = { types: TYPES, keys: [INT_KEY], aggregates: SHAPES[8]! };
    const table = tableOf(["plain"], 150_001);
    expect(outcome(kernel, query, table, [1000]).rows).toEqual(multiset(expected(query, table)));
  });

  test.each(["least", "most"] as const)(
    "the %s integers of one group, as many as a table may hold",
    async (kind) => {
      const kernel = await Kernel.open({ build });
      const aggregates = [FLOAT, SMALL, SMALL].map(
        (of, at): Aggregate => ({ name: at < 2 ? "avg" : "variance", of }),
      );
      const query: Query = {
        types: TYPES,
        keys: [INT_KEY],
        aggregates: [...aggregates, { name: "avg", of: LARGE }],
      };
      const table = tableOf([kind], 80_000).map((column, at) =>
        at === INT_KEY ? column.map(() => 5n) : column,
      );
      expect(outcome(kernel, query, table, [80_000]).rows).toEqual(multiset(expected(query, table)));
    },
  );

  test.runIf(hasTables)("tables are made for long pushes, and stay until they are looked at", async () => {
    const kernel = await Kernel.open({ build });
    /** What is held for a table after each of these pushes, and once it has ended. */
    const tableBytes = (query: Query, table: Table, sizes: readonly number[]) => {
      const [beside, without] = [query, apart(query)].map((of) => {
        const operator = open(kernel, of);
        const bytes: number[] = [];
        let start = 0;
        for (const size of sizes) {
          pushAll(operator, of, slice(table, start, start + size), [size]);
          bytes.push(operator.stats().stateBytes);
          start += size;
        }
        operator.watermark(0n);
        bytes.push(operator.stats().stateBytes);
        operator.destroy();
        return bytes;
      });
      return beside!.map((bytes, at) => bytes - without![at]!);
    };
    const few = tableOf(["plain"], 6000);
    const query: Query = { types: TYPES, keys: [TEXT_KEY], aggregates: SHAPES[8]! };
    const [first, second, third, ended] = tableBytes(query, few, [1000, 1000, 20]);
    expect(first).toBe(0);
    expect(second).toBeGreaterThanOrEqual(8 * 32);
    expect(second).toBeLessThan(1000);
    expect(third).toBe(second);
    expect(ended).toBe(0);
    expect(tableBytes(query, few, SHORT)).toEqual([...SHORT.map(() => 0), 0]);
    const other: Query = { ...query, aggregates: SHAPES[8]!.slice(0, 2) };
    expect(tableBytes(other, few, [3000, 3000])).toEqual([0, 0, 0]);

    // A push that brings some texts more finds room for them.
    const texts: Query = { types: TYPES, keys: [TEXT_KEY], aggregates: SHAPES[6]! };
    const more = byMany(tableOf(["plain"], 9000));
    const growing = more.map((column) => [
      ...column.slice(0, 8300),
      ...column.slice(0, 2200),
      ...column.slice(8300),
    ]);
    const grown = tableBytes(texts, growing, [8300, 2200, 700]);
    expect(grown[1]).toBeGreaterThan(8300 * 32 * 1.4);
    expect(grown[2]).toBe(grown[1]);

    const many = byMany(tableOf(["plain"], 24_000));
    const sums: Query = { types: TYPES, keys: [INT_KEY], aggregates: SHAPES[6]! };
    const large = tableBytes(sums, many, [9500, 4000, 4200, 100]);
    expect(large.map((bytes) => bytes > 0)).toEqual([false, true, true, true, false]);
    expect(tableBytes(sums, many, [9500, 2000, 100])).toEqual([0, 0, 0, 0]);
    const wide: Query = { ...sums, aggregates: SHAPES[7]! };
    expect(tableBytes(wide, many, [9500, 4000, 4200])).toEqual([0, 0, 0, 0]);
  });

  test.each([2n ** 40n, 2n ** 47n, 2n ** 50n, -(2n ** 50n)])(
    "integers of one group, each %d, whose sum passes 64 bits while the table holds it",
    async (value) => {
      const kernel = await Kernel.open({ build });
      const query: Query = { types: TYPES, keys: [INT_KEY], aggregates: SHAPES[5]! };
      const table = tableOf(["plain"], 70_000).map((column, at) =>
        at === LARGE
          ? column.map(() => value)
          : at === INT_KEY
            ? column.map((_, row) => (row < 9 ? BigInt(row) : 5n))
            : column,
      );
      for (const sizes of [[1000], Array.from({ length: 35 }, () => 2000)])
        expect(outcome(kernel, query, table, sizes).rows).toEqual(multiset(expected(query, table)));
    },
  );

  test("where an allocation fails the push is made again, or does without a table", async () => {
    const query: Query = { types: TYPES, keys: [TEXT_KEY], aggregates: SHAPES[8]! };
    await holdsWhereMemoryFails(build, query, tableOf(["plain"], 3000));
  });
});
