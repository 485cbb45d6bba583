import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalResult, type OutputColumn, type RawResult } from "./canonical.js";
import { checksum } from "./checksum.js";
import { firstDifference } from "./compare.js";

const OUTPUTS: OutputColumn[] = [
  { name: "key", kind: "text" },
  { name: "id", kind: "int" },
  { name: "sum", kind: "float" },
];

interface Row {
  key: string | null;
  id: bigint | null;
  sum: number | null;
}

const row: fc.Arbitrary<Row> = fc.record({
  key: fc.option(fc.constantFrom("a", "b", "é", "", "省"), { nil: null }),
  id: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { nil: null }),
  sum: fc.option(fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, -1.5)), { nil: null }),
});

function raw(rows: readonly Row[]): RawResult {
  const columns = {
    key: { values: rows.map(({ key }) => key) },
    id: { values: rows.map(({ id }) => id) },
    sum: { values: rows.map(({ sum }) => sum) },
  };
  return { rows: rows.length, columns };
}

function canonical(rows: readonly Row[]) {
  return canonicalResult(OUTPUTS, raw(rows));
}

describe("canonical results", () => {
  test("checksums do not depend on the row order", () => {
    const shuffled = fc
      .array(row, { maxLength: 40 })
      .chain((rows) => fc.tuple(fc.constant(rows), fc.shuffledSubarray(rows, { minLength: rows.length })));
    fc.assert(
      fc.property(shuffled, ([rows, other]) => {
        expect(checksum(canonical(other))).toBe(checksum(canonical(rows)));
        expect(firstDifference(canonical(rows), canonical(other), 0)).toBeNull();
      }),
    );
  });

  test("checksums tell one changed value apart, the sign of zero included", () => {
    const rows: Row[] = [
      { key: "a", id: 1n, sum: 0 },
      { key: null, id: -1n, sum: 2 },
    ];
    const sums = [
      rows,
      [{ ...rows[0]!, sum: -0 }, rows[1]!],
      [{ ...rows[0]!, id: 2n }, rows[1]!],
      [{ ...rows[0]!, key: null }, rows[1]!],
      [{ ...rows[0]!, key: "b" }, rows[1]!],
      [rows[0]!],
    ].map((changed) => checksum(canonical(changed)));
    expect(new Set(sums).size).toBe(sums.length);
    expect(sums[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  test("codes with a dictionary, strings, numbers and bigints are the same rows", () => {
    const coded = canonicalResult(OUTPUTS, {
      rows: 3,
      columns: {
        key: { values: Int8Array.of(2, 0, 0), dictionary: ["x", "unused", "y"], valid: [1, 1, 0] },
        id: { values: Float64Array.of(-(2 ** 40) - 1, 7, 5) },
        sum: { values: Float64Array.of(1, 2, 3) },
      },
    });
    const plain = canonical([
      { key: "x", id: 7n, sum: 2 },
      { key: null, id: 5n, sum: 3 },
      { key: "y", id: -(2n ** 40n) - 1n, sum: 1 },
    ]);
    expect(checksum(coded)).toBe(checksum(plain));
  });

  test("rows are ordered: nulls first, then negative before positive, NaN last", () => {
    const outputs: OutputColumn[] = [{ name: "v", kind: "float" }];
    const values = [3, Number.NaN, -1, null, -0, 0, -7, Number.POSITIVE_INFINITY];
    const { columns } = canonicalResult(outputs, { rows: values.length, columns: { v: { values } } });
    expect(columns[0]!.valid![0]).toBe(0);
    expect([...(columns[0]!.values as Float64Array)].slice(1)).toEqual([
      -7,
      -1,
      -0,
      0,
      3,
      Number.POSITIVE_INFINITY,
      Number.NaN,
    ]);
  });

  test("refuse what their kind cannot hold", () => {
    const outputs: OutputColumn[] = [{ name: "n", kind: "int" }];
    const of = (value: number | bigint) => () =>
      canonicalResult(outputs, { rows: 1, columns: { n: { values: [value] } } });
    expect(of(0.5)).toThrow(/"n" holds 0.5/);
    expect(of(2n ** 63n)).toThrow(/64 bits/);
    expect(() => canonicalResult(outputs, { rows: 1, columns: {} })).toThrow(/no column "n"/);
    expect(() => canonicalResult(outputs, { rows: 2, columns: { n: { values: [1] } } })).toThrow(/1 rows/);
  });

  test("an ordered result keeps its order", () => {
    const outputs: OutputColumn[] = [{ name: "n", kind: "int" }];
    const of = (values: number[]) => canonicalResult(outputs, { rows: 2, columns: { n: { values } } }, true);
    expect(checksum(of([2, 1]))).not.toBe(checksum(of([1, 2])));
  });
});

describe("comparison", () => {
  test("floats may differ within the tolerance and no further", () => {
    const of = (sum: number) => canonical([{ key: "a", id: 1n, sum }]);
    expect(firstDifference(of(1), of(1 + 5e-10))).toBeNull();
    expect(firstDifference(of(1), of(1 + 5e-10), 0)).toMatch(/sum/);
    expect(firstDifference(of(1), of(1 + 3e-9))).toBe("sum, sorted row 0: 1 against 1.000000003");
    expect(firstDifference(of(Number.NaN), of(Number.NaN))).toBeNull();
    expect(firstDifference(of(Number.NaN), of(1))).not.toBeNull();
  });

  test("what is left when terms cancel is compared with the column's largest value", () => {
    const of = (...sums: number[]) =>
      canonicalResult([{ name: "sum", kind: "float" }], {
        rows: sums.length,
        columns: { sum: { values: sums } },
      });
    expect(firstDifference(of(0, 100), of(2e-16, 100))).toBeNull();
    expect(firstDifference(of(0, 100), of(2e-16, 100), 0)).not.toBeNull();
    expect(firstDifference(of(0, 100), of(1e-9, 100))).not.toBeNull();
    expect(firstDifference(of(0), of(2e-16))).not.toBeNull();
  });

  test("names what differs", () => {
    const a = canonical([{ key: "a", id: 1n, sum: 1 }]);
    expect(firstDifference(a, canonical([]))).toBe("1 rows against 0");
    expect(firstDifference(a, canonical([{ key: "b", id: 1n, sum: 1 }]))).toBe(
      'key, sorted row 0: "a" against "b"',
    );
    expect(firstDifference(a, canonical([{ key: null, id: 1n, sum: 1 }]))).toMatch(/against null/);
    expect(firstDifference(a, canonical([{ key: "a", id: 2n, sum: 1 }]))).toBe(
      "id, sorted row 0: 1 against 2",
    );
  });
});

describe("lists", () => {
  const outputs: OutputColumn[] = [
    { name: "id", kind: "int" },
    { name: "list", kind: "list-of-float" },
  ];
  const of = (ids: number[], lists: (ArrayLike<number> | null)[]) =>
    canonicalResult(outputs, {
      rows: ids.length,
      columns: { id: { values: ids }, list: { values: lists } },
    });

  test("move with their rows, whatever they were held in", () => {
    const one = of([3, 1, 2], [[5, 4], null, Float64Array.of(7)]);
    const other = of([1, 2, 3], [null, [7], Float64Array.of(5, 4)]);
    expect(checksum(one)).toBe(checksum(other));
    expect(firstDifference(one, other, 0)).toBe(null);
  });

  test.each([
    [[[5, 4], null, [7]], /sorted row 0: null against \[5, 4\]/],
    [[null, [7, 1], [5, 4]], /sorted row 1: \[7\] against \[7, 1\]/],
    [[null, [7], [5, 4.5]], /sorted row 2: \[5, 4\] against \[5, 4.5\]/],
  ])("differ from %j", (lists, message) => {
    const own = of([1, 2, 3], [null, [7], [5, 4]]);
    const other = of([1, 2, 3], lists);
    expect(firstDifference(own, other)).toMatch(message);
    expect(checksum(other)).not.toBe(checksum(own));
  });

  test("are compared within the tolerance of floats", () => {
    expect(firstDifference(of([1], [[5, 4]]), of([1], [[5, 4 + 1e-12]]))).toBe(null);
    expect(firstDifference(of([1], [[5, 4]]), of([1], [[5, 4 + 1e-12]]), 0)).not.toBe(null);
  });
});
