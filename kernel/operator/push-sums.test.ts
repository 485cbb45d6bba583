// Sums side by side (push-sums.ts): long pushes of few groups come to what the twin says and to the very state that sums
// apart leave, whatever a vector of them has that must go the usual way.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { type Aggregate, BUILDS, expected, multiset, open, pushAll, type Query } from "./testing.js";
import { apart, holdsWhereMemoryFails, outcome } from "./testing-apart.js";
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

const SHORT = Array.from({ length: 2000 }, () => 20);

describe.each(BUILDS)("sums side by side, %s build", (build) => {
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
          const long = outcome(kernel, query, table, sizes);
          expect(long.rows).toEqual(multiset(expected(query, table)));
          expect(long.state).toEqual(outcome(kernel, apart(query), table, sizes).state);
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
      const sizes = [2100, 9001, 14_000];
      const long = outcome(kernel, query, table, sizes);
      expect(long.rows).toEqual(multiset(expected(query, table)));
      expect(long.state).toEqual(outcome(kernel, apart(query), table, sizes).state);
    },
  );

  test.each<Kind>(["huge", "wide", "new"])("among rows that are added at once some are %s", async (kind) => {
    const kernel = await Kernel.open({ build });
    const query: Query = { types: TYPES, keys: [INT_KEY], aggregates: SHAPES[8]! };
    const table = tableOf(["plain", "plain", kind, "plain", "plain", "plain"], 6000);
    const sizes = [6000, 30_000];
    const long = outcome(kernel, query, table, sizes);
    expect(long.rows).toEqual(multiset(expected(query, table)));
    expect(long.state).toEqual(outcome(kernel, apart(query), table, sizes).state);
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

  test.runIf(build !== "scalar")(
    "a table is made for a long push of few groups, and only for such",
    async () => {
      const kernel = await Kernel.open({ build });
      const stateOf = (query: Query, sizes: readonly number[]) => {
        const operator = open(kernel, query);
        pushAll(operator, query, tableOf(["plain"], 6000), sizes);
        const { stateBytes } = operator.stats();
        operator.destroy();
        return stateBytes;
      };
      const query: Query = { types: TYPES, keys: [TEXT_KEY], aggregates: SHAPES[8]! };
      const bytes = stateOf(query, [3000]) - stateOf(apart(query), [3000]);
      expect(bytes).toBeGreaterThanOrEqual(8 * 32);
      expect(bytes).toBeLessThan(1000);
      expect(stateOf(query, SHORT) - stateOf(apart(query), SHORT)).toBe(0);
      const other: Query = { ...query, aggregates: SHAPES[8]!.slice(0, 2) };
      expect(stateOf(other, [3000])).toBe(stateOf(apart(other), [3000]));
    },
  );

  test("where an allocation fails the push is made again, or does without a table", async () => {
    const query: Query = { types: TYPES, keys: [TEXT_KEY], aggregates: SHAPES[8]! };
    await holdsWhereMemoryFails(build, query, tableOf(["plain"], 3000));
  });
});
