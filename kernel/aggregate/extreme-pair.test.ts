// Least and greatest 32-bit integers in pairs: what the twin says, whether the rows of a vector count for both of a pair, for
// one or for neither, and the same when states are merged or operators absorbed.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
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
  rowsOf,
  type Table,
} from "../operator/testing.js";

const [KEY, A, B, C, FLOAT, FLAG] = [0, 1, 2, 3, 4, 5] as const;

const SHAPES: readonly (readonly Aggregate[])[] = [
  [
    { name: "max", of: A },
    { name: "min", of: B },
  ],
  [{ name: "min", of: A }, { name: "max", of: A }, { name: "count" }],
  [
    { name: "min", of: A },
    { name: "min", of: B },
    { name: "sum", of: C },
    { name: "max", of: C },
    { name: "max", of: B },
  ],
  // One without a partner, others of another type between them, and filters.
  [
    { name: "max", of: A },
    { name: "max", of: FLOAT },
    { name: "min", of: B, filter: FLAG },
    { name: "min", of: C },
  ],
];

const LIMIT = 2n ** 31n;
const integer = fc.oneof(
  { weight: 5, arbitrary: fc.bigInt({ min: -50n, max: 50n }) },
  { weight: 1, arbitrary: fc.constantFrom(-LIMIT, LIMIT - 1n, 0n) },
  { weight: 1, arbitrary: fc.bigInt({ min: -LIMIT, max: LIMIT - 1n }) },
);

/** A column of so many rows, with nulls in some stretches of it. */
function columnOf(values: readonly Value[], rows: number, salt: number, nulls: number): Value[] {
  return Array.from({ length: rows }, (_, row) =>
    nulls > 0 && row % (nulls * 700) > nulls * 500 && row % 3 === 0
      ? null
      : values[(row * (salt + 1) + (row >> 3)) % values.length]!,
  );
}

describe.each(BUILDS)("extremes in pairs, %s build", (build) => {
  test.each([
    ["small keys", int32, 40n, 1n],
    ["keys far apart", int64, 40n, 10n ** 12n],
    ["many keys", int64, 5000n, 10n ** 9n],
  ] as const)("are the twin's: %s", async (_, keyType: DataType, keys, step) => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    fc.assert(
      fc.property(
        fc.constantFrom(...SHAPES),
        fc.array(integer, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1, max: 6000 }),
        fc.constantFrom([0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 2, 3]),
        fc.integer({ min: 1, max: 2500 }),
        fc.boolean(),
        (aggregates, values, rows, nulls, size, grouped) => {
          const query: Query = {
            types: [keyType, int32, int32, int32, float64, bool],
            keys: grouped ? [KEY] : [],
            aggregates,
          };
          const key = Array.from({ length: rows }, (_, row) => ((BigInt(row) * 7n) % keys) * step);
          const [a, b, c] = nulls.map((each, at) => columnOf(values, rows, at, each));
          const table: Table = [key, a!, b!, c!, key.map(Number), key.map((_, row) => row % 4 !== 0)];
          const wanted = multiset(expected(query, table));
          const sizes = Array(Math.ceil(rows / size)).fill(size);
          const one = open(kernel, query);
          pushAll(one, query, table, sizes);
          const merged = open(kernel, query);
          for (const state of one.snapshot()) merged.merge(state);
          pushAll(merged, query, table, [rows]);
          for (const _ of merged.absorb(one)) void _;
          one.destroy();
          expect(multiset(rowsOf(merged.finish()))).toEqual(
            multiset(
              expected(
                query,
                table.map((column) => [...column, ...column, ...column]),
              ),
            ),
          );
          merged.destroy();
          const other = open(kernel, query);
          pushAll(other, query, table, sizes);
          expect(multiset(rowsOf(other.finish()))).toEqual(wanted);
          other.destroy();
          expect(kernel.usedBytes).toBe(before);
        },
      ),
      { numRuns: 40 },
    );
  });
});
