// SORT against the naive twin: every type, both directions, nulls on either side, ties, limits, three builds.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { loadedType } from "../../bindings/ts/kernel/column-loader.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import {
  type DataType,
  decimal,
  float64,
  int32,
  int64,
  utf8,
  valueType,
} from "../../bindings/ts/type/data-type.js";
import { ALL_TYPES, bitsOf } from "../../bindings/ts/type/testing.js";
import { sortRows } from "../../twin/plan.js";
import type { Value } from "../../twin/values.js";
import { SortFault } from "../abi/operator.js";
import { BUILDS, batchOf, rowsOf, valuesOf } from "../operator/testing.js";

interface Key {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

interface Query {
  readonly types: readonly DataType[];
  readonly by: readonly Key[];
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
  readonly faults?: number | undefined;
}

function open(kernel: Kernel, { types, by, ...rest }: Query): Operator {
  const program = new ProgramBuilder();
  for (const type of types) program.output(program.load(program.column(loadedType(type))));
  return kernel.sort({
    ...rest,
    program: program.encode(),
    keys: by.map(({ column, descending, nullsFirst }) => ({ output: column, descending, nullsFirst })),
    columns: types.map((_, index) => index),
    output: {
      fields: types.map((type, index) => ({ name: `c${index}`, type: valueType(type), nullable: true })),
    },
  });
}

type Rows = readonly (readonly Value[])[];

function pushRows(
  operator: Operator,
  types: readonly DataType[],
  rows: Rows,
  sizes: readonly number[],
): void {
  let start = 0;
  for (let index = 0; start < rows.length; index++) {
    const end = Math.min(rows.length, start + (sizes[index] ?? rows.length));
    const part = rows.slice(start, end);
    operator.push(
      batchOf(
        types,
        types.map((_, column) => part.map((row) => row[column]!)),
        index % 9,
        index % 2 === 1,
      ),
    );
    start = end;
  }
}

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

function expected({ by, offset = 0, limit }: Query, rows: Rows): Rows {
  return sortRows(rows, by).slice(offset, limit === undefined ? undefined : offset + limit);
}

const bits = (rows: Rows) => rows.map((row) => row.map(bitsOf));

const FAULTS = [
  0,
  SortFault.NARROW_WORDS,
  SortFault.TINY_CACHE,
  SortFault.CUT_OFTEN,
  SortFault.NARROW_WORDS | SortFault.TINY_CACHE | SortFault.CUT_OFTEN,
];

const TEXTS = [
  "",
  "\0",
  "a",
  "a\0",
  "a\0\0b",
  "shared prefix of more than 16 bytes",
  "shared prefix of more than 16 bytes!",
];
const awkward = (type: DataType): fc.Arbitrary<Value> =>
  valueType(type).kind === "utf8"
    ? fc.oneof(
        valuesOf(type),
        fc.constantFrom(...TEXTS),
        fc.nat(3).map((n) => "shared prefix ".repeat(n) + n),
      )
    : valuesOf(type);

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

const MANY_TYPES = [int64, float64, utf8];
const MANY_ROWS: Rows = Array.from({ length: 70_000 }, (_, row) => {
  const random = Math.imul(row, 2654435761) >>> 0;
  return [BigInt(random % 1000), (random % 7919) / 7, `text ${random % 977}`];
});
const by = (column: number, descending = false): Key[] => [{ column, descending, nullsFirst: false }];
const MANY = [
  { types: MANY_TYPES, by: by(0) },
  { types: MANY_TYPES, by: by(1, true) },
  { types: MANY_TYPES, by: by(2, true), limit: 1000, offset: 30_000 },
  { types: MANY_TYPES, by: by(2), limit: 10 },
].map((query: Query) => ({ query, want: expected(query, MANY_ROWS) }));

/** Index of the first row that differs, -1 when none does. */
function firstDifference(rows: Rows, want: Rows): number {
  if (rows.length !== want.length) return Math.min(rows.length, want.length);
  return rows.findIndex((row, index) => row.some((value, column) => !Object.is(value, want[index]![column])));
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
    for (const { query, want } of MANY) {
      expect(firstDifference(sorted(kernel, query, MANY_ROWS), want)).toBe(-1);
      if (query.limit !== undefined) continue;
      expect(firstDifference(sorted(kernel, query, want), want)).toBe(-1);
      expect(firstDifference(sorted(kernel, query, [...want].reverse()), want)).toBe(-1);
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
