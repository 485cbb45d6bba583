// One sum by one key (keyed-sums.ts) comes to what the twin says,
// whatever a vector has that must go the usual way.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT } from "../../bindings/ts/kernel/operator.js";
import {
  type Aggregate,
  BUILDS,
  expected,
  multiset,
  open,
  pulled,
  pushAll,
  type Query,
  rowsOf,
  type Table,
} from "./testing.js";
import {
  FILTER,
  INT_KEY,
  KINDS,
  type Kind,
  LARGE,
  OTHER,
  SMALL,
  TEXT_KEY,
  TYPES,
  tableOf,
  UNSIGNED_KEY,
} from "./testing-stretches.js";

const SHAPES: readonly (readonly Aggregate[])[] = [
  [{ name: "sum", of: SMALL }],
  [{ name: "sum", of: LARGE }],
  [{ name: "avg", of: SMALL }],
  [{ name: "count" }, { name: "sum", of: LARGE }],
  [
    { name: "sum", of: SMALL },
    { name: "sum", of: LARGE },
  ],
  [{ name: "sum", of: SMALL, filter: FILTER }],
  [
    { name: "sum", of: SMALL },
    { name: "count", of: OTHER },
  ],
];
const KEYS = [[INT_KEY], [UNSIGNED_KEY], [TEXT_KEY]] as const;

function results(kernel: Kernel, query: Query, table: Table, sizes: readonly number[]): string[] {
  const operator = open(kernel, query);
  try {
    pushAll(operator, query, table, sizes);
    operator.watermark(END_OF_INPUT);
    return multiset(rowsOf(pulled(operator)));
  } finally {
    operator.destroy();
  }
}

describe.each(BUILDS)("one sum by one key, %s build", (build) => {
  test("is the twin's, however rows come", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        fc.record({
          keys: fc.constantFrom(...KEYS),
          aggregates: fc.constantFrom(...SHAPES),
          where: fc.constantFrom(undefined, undefined, FILTER),
        }),
        fc.array(fc.constantFrom<Kind>("plain", "plain", "plain", ...KINDS), { minLength: 3, maxLength: 10 }),
        fc.constantFrom(5, 211, 700),
        fc.array(fc.integer({ min: 1, max: 4500 }), { maxLength: 6 }),
        (shape, kinds, stretch, sizes) => {
          const query: Query = { types: TYPES, ...shape };
          const table = tableOf(kinds, stretch);
          expect(results(kernel, query, table, sizes)).toEqual(multiset(expected(query, table)));
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each(SHAPES.flatMap((aggregates, at) => KEYS.map((keys) => [at, keys[0], aggregates] as const)))(
    "shape %i by column %i, of vectors of every kind",
    async (_, key, aggregates) => {
      const kernel = await Kernel.open({ build });
      const query: Query = { types: TYPES, keys: [key], aggregates };
      for (const kind of KINDS) {
        const table = tableOf(["plain", "plain", kind, "plain"], 2500);
        expect(results(kernel, query, table, [3001, 6000])).toEqual(multiset(expected(query, table)));
      }
    },
  );
});
