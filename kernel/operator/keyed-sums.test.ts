// One sum by one key or two (keyed-sums.ts) comes to what the twin says,
// whatever a vector has that must go the usual way.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT } from "../../bindings/ts/kernel/operator.js";
import {
  bool,
  type DataType,
  dictionary,
  int8,
  int16,
  int32,
  int64,
  uint32,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pulled,
  pushAll,
  type Query,
  resultsOfCut,
  resultsOfTable,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import {
  FILTER,
  FLAG_KEY,
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
const KEYS: readonly (readonly number[])[] = [
  [INT_KEY],
  [UNSIGNED_KEY],
  [TEXT_KEY],
  [INT_KEY, FLAG_KEY],
  [FLAG_KEY, TEXT_KEY],
  [UNSIGNED_KEY, TEXT_KEY],
  [FLAG_KEY],
  [TEXT_KEY, FLAG_KEY, INT_KEY],
];

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
          expect(resultsOfTable(kernel, query, table, sizes)).toEqual(multiset(expected(query, table)));
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each(
    SHAPES.flatMap((aggregates, at) =>
      [0, 2].map((step) => [at, KEYS[(at + step) % 5]!, aggregates] as const),
    ),
  )("shape %i by columns %j, of vectors of every kind", async (_, keys, aggregates) => {
    const kernel = await Kernel.open({ build });
    const query: Query = { types: TYPES, keys, aggregates };
    for (const kind of KINDS) {
      const table = tableOf(["plain", "plain", kind, "plain"], 2500);
      expect(resultsOfTable(kernel, query, table, [3001, 6000])).toEqual(multiset(expected(query, table)));
    }
  });
});

// Keys that do not depend on each other, so that all of their combinations come.

const [INT, CODE, SHORT, BIT, UNSIGNED, TEXT, VALUE, LONG, KIND] = [0, 1, 2, 3, 4, 5, 6, 7, 8] as const;
const PAIR_TYPES: readonly DataType[] = [
  int32,
  dictionary(utf8),
  int16,
  bool,
  uint32,
  utf8,
  int32,
  int64,
  int8,
];
const PAIRS: readonly (readonly number[])[] = [
  [CODE],
  [INT, CODE],
  [CODE, INT],
  [CODE, TEXT],
  [SHORT, UNSIGNED],
  [BIT, CODE],
  [INT, BIT],
  [INT, INT],
  [CODE, SHORT, BIT],
  [UNSIGNED, BIT, INT],
];
const SUMS: readonly (readonly Aggregate[])[] = [
  [{ name: "sum", of: VALUE }],
  [{ name: "sum", of: LONG }],
  [{ name: "avg", of: VALUE }],
  [{ name: "count" }, { name: "sum", of: VALUE }],
  [{ name: "count" }, { name: "avg", of: LONG }],
  [{ name: "sum", of: LONG }, { name: "count" }],
  [
    { name: "max", of: VALUE },
    { name: "min", of: VALUE },
  ],
];

/** A stretch of rows: how many, from where on keys lie, how many values each has, and what of it is null. */
interface Stretch {
  readonly rows: number;
  readonly low: number;
  readonly span: number;
  readonly nulls: "none" | "keys" | "values";
}

function pairsOf(stretches: readonly Stretch[]): Table {
  const rows = stretches.flatMap(({ rows, low, span, nulls }) =>
    Array.from({ length: rows }, (_, row) => {
      const first = Math.imul(row + 1, 0x9e3779b1) >>> 0;
      const second = Math.imul(first ^ (first >>> 15), 0x85ebca6b) >>> 0;
      const a = low + ((first >>> 8) % span);
      const b = low + ((second >>> 8) % span);
      const isKeyNull = nulls === "keys" && row % 7 === 0;
      const key = <T>(value: T): T | null => (isKeyNull && row % 2 === 0 ? null : value);
      return [
        key(BigInt(a)),
        isKeyNull ? null : `code ${b}`,
        BigInt(b % 30_000),
        second % 2 === 0,
        key(BigInt(Math.abs(b) + 4_000_000_000)),
        `text ${a}`,
        nulls === "values" && row % 9 === 0 ? null : BigInt(row % 2 === 0 ? -2147483648 : 2147483647 - row),
        nulls === "values" && row % 5 === 0 ? null : BigInt(first) * BigInt(row - 40),
        0n,
      ];
    }),
  );
  return PAIR_TYPES.map((_, column) => rows.map((row) => row[column]!));
}

const stretches = fc.array(
  fc.record({
    rows: fc.integer({ min: 1, max: 3000 }),
    low: fc.constantFrom(0, 0, 0, -3, 5, -70_000),
    span: fc.constantFrom(1, 3, 3, 4, 9, 40),
    nulls: fc.constantFrom("none", "none", "none", "keys", "values"),
  }),
  { minLength: 1, maxLength: 6 },
);

describe.each(BUILDS)("one sum by several keys, %s build", (build) => {
  test("is the twin's, whatever keys come from push to push", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        fc.constantFrom(...PAIRS),
        fc.constantFrom(...SUMS),
        stretches,
        fc.array(fc.integer({ min: 1, max: 4500 }), { maxLength: 5 }),
        fc.boolean(),
        (keys, aggregates, parts, sizes, changelog) => {
          const query: Query = { types: PAIR_TYPES, keys, aggregates };
          const table = pairsOf(parts);
          const twin = multiset(expected(query, table));
          expect(resultsOfTable(kernel, query, table, sizes)).toEqual(twin);
          // Rows that may be taken back, of which none is, go the usual way.
          const more: Partial<Query> = changelog ? { kind: KIND } : {};
          if (changelog) expect(resultsOfTable(kernel, { ...query, ...more }, table, sizes)).toEqual(twin);
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 80 },
    );
  });

  test.each(PAIRS.flatMap((keys) => SUMS.map((aggregates, at) => [keys, at, aggregates] as const)))(
    "by columns %j, shape %i, as keys become more",
    async (keys, _, aggregates) => {
      const kernel = await Kernel.open({ build });
      const query: Query = { types: PAIR_TYPES, keys, aggregates };
      const plain = { rows: 5000, low: -2, span: 4, nulls: "none" } as const;
      const table = pairsOf([plain, plain, { ...plain, span: 6 }, plain, { ...plain, nulls: "keys" }, plain]);
      const sizes = [5000, 5003, 5000, 9997];
      expect(resultsOfTable(kernel, query, table, sizes)).toEqual(multiset(expected(query, table)));
    },
  );

  test.each([[INT], [UNSIGNED], [CODE], [CODE, CODE]].map((keys) => [keys] as const))(
    "by columns %j, as keys become more in the midst of many rows",
    async (keys) => {
      const kernel = await Kernel.open({ build });
      const plain = { rows: 17_000, low: 2, span: 4, nulls: "none" } as const;
      const table = pairsOf([
        plain,
        plain,
        { ...plain, rows: 3000, span: 9 },
        plain,
        { ...plain, nulls: "values" },
      ]);
      for (const aggregates of [SUMS[0]!, SUMS[3]!]) {
        const query: Query = { types: PAIR_TYPES, keys, aggregates };
        const sizes = [17_000, 20_000, 17_000, 17_000];
        expect(resultsOfTable(kernel, query, table, sizes)).toEqual(multiset(expected(query, table)));
      }
    },
  );

  test.each([[CODE], [CODE, CODE], [INT, CODE]].map((keys) => [keys] as const))(
    "by columns %j, whose texts are all known from the first rows on",
    async (keys) => {
      const kernel = await Kernel.open({ build });
      const plain = { rows: 9000, low: 2, span: 40, nulls: "none" } as const;
      const table = pairsOf([
        plain,
        plain,
        { ...plain, nulls: "values" },
        plain,
        { ...plain, nulls: "keys" },
        { ...plain, span: 43 },
      ]);
      const batch = batchOf(PAIR_TYPES, table);
      for (const aggregates of SUMS) {
        const query: Query = { types: PAIR_TYPES, keys, aggregates };
        const twin = multiset(expected(query, table));
        for (const sizes of [[3000], [9001, 18_000], [54_000]])
          expect(resultsOfCut(kernel, query, batch, sizes)).toEqual(twin);
      }
    },
  );

  test("takes as many groups as can be computed, and more", async () => {
    const kernel = await Kernel.open({ build });
    for (const span of [200, 250, 300, 1000]) {
      for (const keys of [
        [INT, CODE],
        [SHORT, TEXT],
      ]) {
        const query: Query = { types: PAIR_TYPES, keys, aggregates: [{ name: "avg", of: VALUE }] };
        const part = { rows: 9000, low: -100, span, nulls: "none" } as const;
        const table = pairsOf([part, part, { ...part, span: span + 60 }]);
        expect(resultsOfTable(kernel, query, table, [9000, 9000])).toEqual(multiset(expected(query, table)));
      }
    }
  });

  test.each([
    [CODE, TEXT],
    [INT, CODE],
    [SHORT, UNSIGNED],
  ])("by columns %i and %i, a push that memory refuses can come again", async (...keys) => {
    const kernel = await Kernel.open({ build });
    const plain = { rows: 4100, low: 0, span: 4, nulls: "none" } as const;
    const table = pairsOf([plain, plain, { ...plain, span: 90 }, plain, { ...plain, low: 200, span: 500 }]);
    const first = plain.rows * 2;
    const budget = kernel.budgetBytes;
    for (const aggregates of [SUMS[0]!, SUMS[4]!]) {
      const query: Query = { types: PAIR_TYPES, keys, aggregates };
      const twin = multiset(expected(query, table));
      const rest = batchOf(query.types, slice(table, first, table[0]!.length));
      let refused = 0;
      for (let extra = 0; ; extra += 3 * 2 ** 15) {
        const operator = open(kernel, query);
        pushAll(operator, query, slice(table, 0, first), [plain.rows]);
        kernel.setBudget(kernel.usedBytes + extra);
        let fits = true;
        try {
          operator.push(rest);
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          fits = false;
          refused++;
        }
        kernel.setBudget(budget);
        if (!fits) operator.push(rest);
        operator.watermark(END_OF_INPUT);
        expect(multiset(rowsOf(pulled(operator)))).toEqual(twin);
        operator.destroy();
        if (fits) break;
      }
      expect(refused).toBeGreaterThan(0);
    }
  });
});
