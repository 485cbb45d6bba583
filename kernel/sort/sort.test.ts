// SORT against the naive twin: every type, both directions, nulls on either side, ties, limits, three builds.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { loadedType } from "../../bindings/ts/kernel/column-loader.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import {
  bool,
  decimal,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  typeName,
  uint8,
  uint16,
  uint32,
  uint64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import { ALL_TYPES, bitsOf } from "../../bindings/ts/type/testing.js";
import { sortRows } from "../../twin/plan.js";
import type { Value } from "../../twin/values.js";
import { SortFault } from "../abi/operator.js";
import { BUILDS, batchOf, rowsOf } from "../operator/testing.js";
import { awkward, bits, expected, FAULTS, open, pushRows, type Query, type Rows } from "./testing-sort.js";

function sorted(
  kernel: Kernel,
  query: Query,
  rows: Rows,
  sizes: readonly number[] = [],
  maxRows = 65536,
): Value[][] {
  const operator = open(kernel, query);
  try {
    pushRows(operator, query.types, rows, sizes);
    return rowsOf(operator.finish(maxRows));
  } finally {
    operator.destroy();
  }
}

/** Keys by which rows that come too late are told as they arrive. */
const LIMITED = [
  int8,
  uint8,
  int16,
  uint16,
  int32,
  uint32,
  int64,
  uint64,
  float32,
  float64,
  bool,
  decimal(38, 0),
  utf8,
];

const cases = fc
  .record({
    types: fc.array(fc.constantFrom(...ALL_TYPES), { minLength: 1, maxLength: 4 }),
    rows: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 400 })),
    faults: fc.constantFrom(...FAULTS),
    maxRows: fc.constantFrom(1, 7, 65536),
    limit: fc.option(fc.nat(60), { nil: undefined }),
    offset: fc.constantFrom(0, 0, 3),
    sizes: fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 6 }),
  })
  .chain(({ types, rows, faults, limit, offset, ...rest }) =>
    fc.record({
      ...Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, fc.constant(value)])),
      rows: fc
        .tuple(...types.map((type) => fc.array(awkward(type), { minLength: rows, maxLength: rows })))
        .map((columns) => Array.from({ length: rows }, (_, row) => columns.map((column) => column[row]!))),
      query: fc
        .array(
          fc.record({ column: fc.nat(types.length - 1), descending: fc.boolean(), nullsFirst: fc.boolean() }),
          { maxLength: 3 },
        )
        .map((by): Query => ({ types, by, faults, limit, offset })),
    }),
  ) as unknown as fc.Arbitrary<{
  query: Query;
  rows: Rows;
  sizes: readonly number[];
  maxRows: number;
}>;

/** Rows of several chunks and parts: a key with few and one with many values, as typed arrays. */
const MANY = 70_000;
const MANY_TYPES = [int64, float64];
const few = BigInt64Array.from({ length: MANY }, (_, row) =>
  BigInt((Math.imul(row, 2654435761) >>> 0) % 1000),
);
const many = Float64Array.from(
  { length: MANY },
  (_, row) => ((Math.imul(row, 40503) >>> 0) % 65_521) / 7 - 99,
);

/** The rows with these numbers. */
function manyRows(rows: Uint32Array): [BigInt64Array, Float64Array] {
  return [BigInt64Array.from(rows, (row) => few[row]!), Float64Array.from(rows, (row) => many[row]!)];
}

const byFew = (a: number, b: number) => Number(few[a]! - few[b]!) || many[a]! - many[b]!;
const byMany = (a: number, b: number) => many[b]! - many[a]! || Number(few[a]! - few[b]!);
const MANY_QUERIES = [
  { column: 0, descending: false, compare: byFew },
  { column: 1, descending: true, compare: byMany },
  { column: 1, descending: true, compare: byMany, offset: 30_000, limit: 2000 },
  { column: 1, descending: true, compare: byMany, offset: 30_000, faults: SortFault.TINY_CACHE },
  { column: 0, descending: false, compare: byFew, offset: 0, limit: 10 },
].map(({ column, descending, compare, offset, limit, faults }) => {
  const all = Uint32Array.from({ length: MANY }, (_, row) => row).sort(compare);
  const query: Query = {
    types: MANY_TYPES,
    by: [{ column, descending, nullsFirst: false }],
    offset,
    limit,
    faults,
  };
  const end = limit === undefined ? MANY : offset + limit;
  return { query, all, want: manyRows(all.subarray(offset ?? 0, end)) };
});

/** Keys whose highest bits tell little, so that parts are found by a sample: for row `row` and a draw from [0, 1). */
const UNEVEN: readonly { name: string; key: (row: number, draw: number) => number }[] = [
  { name: "spread evenly about 0", key: (_, draw) => draw * 1000 - 500 },
  { name: "one far above all others", key: (row, draw) => (row === 40_000 ? 1e300 : draw + 1) },
  { name: "a few far below", key: (row, draw) => (row % 20_000 === 77 ? -1e9 * draw : draw * 2 + 1) },
  { name: "of every magnitude", key: (row, draw) => Math.sign((row % 3) - 1) * 2 ** (draw * 1900 - 950) },
  { name: "half of them one", key: (row, draw) => (row % 2 === 0 ? 0.75 : draw) },
  {
    name: "NaN, infinities and both zeros",
    key: (row, draw) => [NaN, 1 / 0, -1 / 0, -0, 0, draw][row % 9] ?? -draw,
  },
  { name: "nothing but NaN and one", key: (row) => (row === 5 ? 1 : NaN) },
];

function sortedMany(kernel: Kernel, query: Query, rows: Uint32Array): [BigInt64Array, Float64Array] {
  return sortedColumns(kernel, query, manyRows(rows));
}

function sortedColumns(
  kernel: Kernel,
  query: Query,
  given: readonly [BigInt64Array, Float64Array],
): [BigInt64Array, Float64Array] {
  const columns = given.map((values, index) => ({
    type: MANY_TYPES[index]!,
    length: MANY,
    offset: 0,
    nullCount: 0,
    validity: null,
    offsets: null,
    values: new Uint8Array(values.buffer),
    dictionary: null,
  }));
  const fields = MANY_TYPES.map((type, index) => ({ name: `c${index}`, type, nullable: false }));
  const operator = open(kernel, query);
  try {
    operator.push({ schema: { fields }, length: MANY, columns });
    const [batch] = operator.finish(MANY);
    const values = batch!.columns.map((column) => column.values.slice().buffer);
    return [new BigInt64Array(values[0]!), new Float64Array(values[1]!)];
  } finally {
    operator.destroy();
  }
}

describe.each(BUILDS)("sort, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const blocks = kernel.blocks;
  afterAll(() => expect(kernel.blocks).toBe(blocks));

  test("any types, keys and splits: as the twin", () => {
    fc.assert(
      fc.property(cases, ({ query, rows, sizes, maxRows }) => {
        expect(bits(sorted(kernel, query, rows, sizes, maxRows))).toEqual(bits(expected(query, rows)));
      }),
      { numRuns: 150 },
    );
  });

  test("many rows: several chunks and parts, few and many ties, any direction of input", () => {
    const asTheyCame = Uint32Array.from({ length: MANY }, (_, row) => row);
    for (const { query, all, want } of MANY_QUERIES) {
      for (const rows of [asTheyCame, all, all.slice().reverse()]) {
        const [a, b] = sortedMany(kernel, query, rows);
        expect(a.length).toBe(want[0].length);
        expect(a.findIndex((value, row) => value !== want[0][row])).toBe(-1);
        expect(b.findIndex((value, row) => value !== want[1][row])).toBe(-1);
      }
    }
  });

  test.each(UNEVEN)("many rows by floats: $name", ({ key }) => {
    const values = Float64Array.from({ length: MANY }, (_, row) =>
      key(row, (Math.imul(row + 1, 2654435761) >>> 0) / 2 ** 32),
    );
    const numbers = BigInt64Array.from(values, (_, row) => BigInt((row * 7) % 11));
    const rank = (value: number) => (Number.isNaN(value) ? 2 : Object.is(value, -0) ? -1 : 0);
    const compare = (a: number, b: number) => {
      const [left, right] = [values[a]!, values[b]!];
      if (left < right || left > right) return left < right ? -1 : 1;
      return Math.sign(rank(left) - rank(right));
    };
    for (const descending of [false, true]) {
      const sign = descending ? -1 : 1;
      const order = Uint32Array.from({ length: MANY }, (_, row) => row).sort(
        (a, b) => sign * compare(a, b) || Number(numbers[a]! - numbers[b]!),
      );
      const query: Query = { types: MANY_TYPES, by: [{ column: 1, descending, nullsFirst: false }] };
      for (const faults of [0, SortFault.TINY_CACHE, SortFault.NARROW_WORDS]) {
        const found = sortedColumns(kernel, { ...query, faults }, [numbers, values]);
        expect(found[1].findIndex((value, row) => !Object.is(value, values[order[row]!]))).toBe(-1);
        expect(found[0].findIndex((value, row) => value !== numbers[order[row]!])).toBe(-1);
      }
    }
  });

  test.each([0, 1, 5, 40, 60])("many rows by integers below 2^%i, but for one", (bits) => {
    const values = BigInt64Array.from({ length: MANY }, (_, row) =>
      row === 60_000
        ? 2n ** 63n - 1n
        : BigInt(Math.floor(((Math.imul(row + 1, 2654435761) >>> 0) / 2 ** 32) * 2 ** bits)),
    );
    const numbers = Float64Array.from(values, (_, row) => (row * 7) % 11);
    const order = Uint32Array.from({ length: MANY }, (_, row) => row).sort((a, b) =>
      values[a]! < values[b]! ? -1 : values[a]! > values[b]! ? 1 : numbers[a]! - numbers[b]!,
    );
    const query: Query = { types: MANY_TYPES, by: [{ column: 0, descending: false, nullsFirst: false }] };
    for (const faults of [0, SortFault.TINY_CACHE]) {
      const found = sortedColumns(kernel, { ...query, faults }, [values, numbers]);
      expect(found[0].findIndex((value, row) => value !== values[order[row]!])).toBe(-1);
      expect(found[1].findIndex((value, row) => value !== numbers[order[row]!])).toBe(-1);
    }
  });

  test("rows that agree in long texts, one split off after the other", () => {
    const texts = Array.from({ length: 300 }, (_, row) => "x".repeat(row));
    const rows = [...texts, ...texts].map((text, row): Value[] => [text, BigInt(row % 7)]).reverse();
    const query: Query = { types: [utf8, int32], by: [{ column: 0, descending: false, nullsFirst: false }] };
    for (const faults of FAULTS) {
      expect(sorted(kernel, { ...query, faults }, rows)).toEqual(expected(query, rows));
    }
  });

  test("an offset past all rows leaves none, however they came", () => {
    const query: Query = {
      types: [int64],
      by: [{ column: 0, descending: false, nullsFirst: false }],
      offset: 100,
    };
    for (const step of [1n, -1n, 0n, 7n]) {
      const rows = Array.from({ length: 40 }, (_, row): Value[] => [(BigInt(row) * step) % 11n]);
      expect(sorted(kernel, query, rows)).toEqual([]);
      expect(sorted(kernel, { ...query, offset: 39 }, rows)).toEqual(
        expected({ ...query, offset: 39 }, rows),
      );
    }
    const rising = Array.from({ length: 40 }, (_, row): Value[] => [BigInt(row)]);
    for (const rows of [rising, rising.slice().reverse()]) expect(sorted(kernel, query, rows)).toEqual([]);
  });

  test("an offset past whole parts", () => {
    const rows = Array.from({ length: 900 }, (_, row): Value[] => [BigInt((row * 7919) % 907)]);
    for (const faults of FAULTS) {
      for (const offset of [100, 500, 899]) {
        const by = [{ column: 0, descending: false, nullsFirst: false }];
        const query: Query = { types: [int64], by, offset, faults };
        expect(sorted(kernel, query, rows)).toEqual(expected(query, rows));
      }
    }
  });

  test("rows that tie in everything keep their order: columns that are carried show it", () => {
    const program = new ProgramBuilder();
    for (const type of [int32, int32]) program.output(program.load(program.column(loadedType(type))));
    const operator = kernel.sort({
      program: program.encode(),
      keys: [{ output: 0, descending: true, nullsFirst: false }],
      carried: 1,
      columns: [0, 1],
      output: { fields: ["k", "n"].map((name) => ({ name, type: int32, nullable: true })) },
    });
    const rows = Array.from({ length: 5000 }, (_, row) => [BigInt((row * 7) % 5), BigInt(row)]);
    pushRows(operator, [int32, int32], rows, [1000, 30]);
    expect(rowsOf(operator.finish())).toEqual(
      [...rows].sort((a, b) => Number(b[0]! - a[0]!) || Number(a[1]! - b[1]!)),
    );
    operator.destroy();
  });

  test.each(LIMITED.map((type) => ({ name: typeName(type), type })))(
    "rows that come in order by $name, or in reverse, or nearly: whatever else they hold, and wherever batches end",
    ({ type }) => {
      const order = (values: readonly Value[], descending: boolean) =>
        sortRows(
          values.map((value) => [value]),
          [{ column: 0, descending, nullsFirst: false }],
        ).map(([value]) => value!);
      fc.assert(
        fc.property(
          fc.uniqueArray(
            awkward(type).filter((value) => value !== null),
            { maxLength: 150, selector: bitsOf },
          ),
          fc.constantFrom("none", "none", "repeat", "swap", "null"),
          fc.tuple(fc.nat(), fc.boolean(), fc.boolean(), fc.boolean()),
          fc.array(fc.integer({ min: 0, max: 70 }), { maxLength: 6 }),
          fc.constantFrom({}, {}, { offset: 3 }, { limit: 5 }, { faults: SortFault.TINY_CACHE }),
          fc.constantFrom(7, 65536),
          (kinds, flaw, [place, falling, descending, nullsFirst], sizes, rest, maxRows) => {
            const keys: Value[] = order(kinds, falling);
            const at = keys.length === 0 ? 0 : place % keys.length;
            if (flaw === "repeat" && keys.length !== 0) keys.splice(at, 0, keys[at]!);
            if (flaw === "swap" && at + 1 < keys.length) keys.splice(at, 2, keys[at + 1]!, keys[at]!);
            if (flaw === "null") keys.splice(at, 0, null);
            const rows = keys.map((key, row): Value[] => {
              const odd = row % 4 === 1;
              return [
                odd ? null : `text ${row % 7}`,
                key,
                row % 3 === 0,
                odd ? null : BigInt(row % 5) << 90n,
              ];
            });
            const types = [utf8, type, bool, decimal(38, 0)];
            const query: Query = { types, by: [{ column: 1, descending, nullsFirst }], ...rest };
            expect(bits(sorted(kernel, query, rows, sizes, maxRows))).toEqual(bits(expected(query, rows)));
          },
        ),
        { numRuns: 60 },
      );
    },
  );

  test.each([false, true])(
    "many rows in order, or in reverse but for the last (descending: %s)",
    (descending) => {
      for (const [first, step, last] of [
        [0, 1, MANY],
        [MANY, -1, -1],
        [0, 1, 5],
        [MANY, -1, MANY + 1],
      ] as const) {
        const values = BigInt64Array.from({ length: MANY }, (_, row) =>
          BigInt(row === MANY - 1 ? last : first + step * row),
        );
        const numbers = Float64Array.from({ length: MANY }, (_, row) => row);
        const sign = descending ? -1n : 1n;
        const order = Uint32Array.from({ length: MANY }, (_, row) => row).sort(
          (a, b) => Number(sign * (values[a]! - values[b]!)) || numbers[a]! - numbers[b]!,
        );
        const query: Query = { types: MANY_TYPES, by: [{ column: 0, descending, nullsFirst: false }] };
        const found = sortedColumns(kernel, query, [values, numbers]);
        expect(found[0].findIndex((value, row) => value !== values[order[row]!])).toBe(-1);
        expect(found[1].findIndex((value, row) => value !== numbers[order[row]!])).toBe(-1);
      }
    },
  );

  test.each(LIMITED.map((type) => ({ name: typeName(type), type })))(
    "the first few by $name, cut again and again",
    ({ type }) => {
      const same = (count: number) => fc.array(awkward(type), { minLength: count, maxLength: count });
      fc.assert(
        fc.property(
          same(120),
          fc.boolean(),
          fc.boolean(),
          fc.integer({ min: 1, max: 9 }),
          (values, descending, nullsFirst, limit) => {
            const rows = values.map((value, row): Value[] => [value, BigInt(row % 5)]);
            const query: Query = {
              types: [type, int16],
              by: [{ column: 0, descending, nullsFirst }],
              limit,
              faults: SortFault.CUT_OFTEN,
            };
            expect(bits(sorted(kernel, query, rows, Array(12).fill(10)))).toEqual(
              bits(expected(query, rows)),
            );
          },
        ),
        { numRuns: 12 },
      );
    },
  );

  test.each(LIMITED.map((type) => ({ name: typeName(type), type })))(
    "the first few by $name of batches of several vectors, with nulls and without, however they come",
    ({ type }) => {
      fc.assert(
        fc.property(
          fc.array(awkward(type), { minLength: 1, maxLength: 40 }),
          fc.constantFrom("mixed", "mixed", "rising", "falling"),
          fc.boolean(),
          fc.boolean(),
          fc.boolean(),
          fc.integer({ min: 1, max: 300 }),
          fc.constantFrom(1, 3, 1000),
          (pool, arrangement, hasNulls, descending, nullsFirst, limit, rare) => {
            const kinds = hasNulls ? pool : pool.filter((value) => value !== null);
            if (kinds.length === 0) return;
            // The least and greatest values are rare, or not: else all that is wanted may come with the first batch.
            const order = sortRows(
              kinds.map((value) => [value]),
              [{ column: 0, descending: false, nullsFirst: false }],
            ).map(([value]) => value!);
            let rows = Array.from({ length: 4400 }, (_, row): Value[] => {
              const draw = Math.imul(row + 1, 2654435761) >>> 8;
              const at = draw % rare === 0 ? draw % order.length : order.length >> 1;
              return [order[at]!, BigInt(draw % 5)];
            });
            if (arrangement !== "mixed") {
              const by = [{ column: 0, descending: arrangement === "falling", nullsFirst: false }];
              rows = sortRows(rows, by).map((row) => [...row]);
            }
            const query: Query = { types: [type, int16], by: [{ column: 0, descending, nullsFirst }], limit };
            const found = sorted(kernel, query, rows, [2100, 2090, 30]);
            expect(bits(found)).toEqual(bits(expected(query, rows)));
          },
        ),
        { numRuns: 20 },
      );
    },
  );

  test("each allocation of a sort of many columns fails in turn, when it is made and when it begins to leave", () => {
    // More columns than the first piece of memory describes; more rows than are sorted in one part, wide and narrow.
    const wide = [int32, int16, int64, utf8];
    const types = Array.from({ length: 160 }, (_, column) => wide[column % 4]!);
    const by = [{ column: 0, descending: false, nullsFirst: false }];
    const before = kernel.blocks;
    let refused = 0;
    for (let made = false; !made; ) {
      kernel.failAllocation(refused + 1);
      try {
        open(kernel, { types, by }).destroy();
        made = true;
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        refused++;
      }
      kernel.failAllocation(0);
      expect(kernel.blocks).toBe(before);
    }
    expect(refused).toBeGreaterThan(8);
    const count = 70_000;
    const scattered = Array.from({ length: count }, (_, row) => Math.imul(row + 1, 2654435761) >> 0);
    const rows = scattered.map((value): Value[] => [BigInt(value), BigInt(value >> 16)]);
    const operator = open(kernel, { types: [int32, int16], by });
    pushRows(operator, [int32, int16], rows, [65_000]);
    operator.watermark(2n ** 63n - 1n);
    const batches: BatchData[] = [];
    let late = 0;
    // What was had before another failed is kept: each is the first to fail, the second, the third.
    const order = [1, 1, 2, 1, 2, 3, 1, 2, 3, 4];
    for (let at = 0; ; at++) {
      kernel.failAllocation(order[at] ?? at);
      try {
        const batch = operator.pull(65_536);
        if (batch === null) break;
        batches.push(batch);
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        late++;
      }
    }
    kernel.failAllocation(0);
    operator.destroy();
    expect(late).toBeGreaterThan(3);
    const column = <T>(make: (bytes: ArrayBuffer) => ArrayLike<T>, at: number) =>
      batches.flatMap((batch) => Array.from(make(batch.columns[at]!.values.slice().buffer as ArrayBuffer)));
    const sortedValues = Int32Array.from(scattered).sort();
    expect(column((bytes) => new Int32Array(bytes), 0)).toEqual(Array.from(sortedValues));
    expect(column((bytes) => new Int16Array(bytes), 1)).toEqual(
      Array.from(sortedValues, (value) => value >> 16),
    );
  });

  test("batches end at max_bytes of texts, with one row at least", () => {
    const operator = open(kernel, { types: [utf8], by: [] });
    operator.push(batchOf([utf8], [["four", "a", "long".repeat(9), "b"]]));
    operator.watermark(2n ** 63n - 1n);
    const sizes: number[] = [];
    for (let batch = operator.pull(10, 5); batch !== null; batch = operator.pull(10, 5))
      sizes.push(batch.length);
    expect(sizes).toEqual([2, 1, 1]);
    operator.destroy();
  });

  test("a push or pull without memory changes nothing", () => {
    const types = [utf8, decimal(38, 0), float64];
    const rows: Rows = Array.from({ length: 3000 }, (_, row) => [
      `text ${row % 50}`,
      BigInt(row % 7),
      row % 11,
    ]);
    const query: Query = { types, by: [{ column: 1, descending: true, nullsFirst: false }], limit: 100 };
    const operator = open(kernel, { ...query, faults: SortFault.CUT_OFTEN });
    let refused = 0;
    for (let start = 0; start < rows.length; start += 150) {
      const part = rows.slice(start, start + 150);
      const batch = batchOf(
        types,
        types.map((_, column) => part.map((row) => row[column]!)),
      );
      for (let nth = 1; ; nth++) {
        kernel.failAllocation(nth);
        try {
          operator.push(batch);
          break;
        } catch {
          refused++;
        }
      }
    }
    kernel.failAllocation(0);
    operator.watermark(2n ** 63n - 1n);
    const result: Value[][] = [];
    for (let nth = 1; ; nth++) {
      kernel.failAllocation(nth);
      try {
        const batch = operator.pull(40);
        if (batch === null) break;
        result.push(...rowsOf([batch]));
        nth = 0;
      } catch {
        refused++;
      }
    }
    kernel.failAllocation(0);
    expect(result).toEqual(expected(query, rows));
    expect(refused).toBeGreaterThan(10);
    operator.destroy();
  });
});
