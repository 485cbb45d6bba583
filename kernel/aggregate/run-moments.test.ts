// Variances and deviations of floats whose values are kept for a quantile or a mode: the same bits as from sums, which are
// those of big fractions, whatever has to be known to round them.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT } from "../../bindings/ts/kernel/operator.js";
import { bool, type DataType, float32, float64, int32 } from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
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
  rowsOf,
  slice,
  type Table,
  valuesOf,
} from "../operator/testing.js";

const [KEY, VALUE, FLAG] = [0, 1, 2];
const NAMES = ["variance", "varPop", "stddev", "stddevPop"] as const;
const MOMENTS: readonly Aggregate[] = [
  ...NAMES.map((name) => ({ name, of: VALUE })),
  { name: "stddev", of: VALUE, filter: FLAG },
];
/** What keeps the values, of all rows and of those that the filter leaves. */
const KEPT: readonly Aggregate[] = [
  { name: "median", of: VALUE },
  { name: "mode", of: VALUE, filter: FLAG },
];

/** Moments over values that are kept, or over sums. */
function query(type: DataType, kept: boolean): Query {
  return { types: [int32, type, bool], keys: [KEY], aggregates: kept ? [...MOMENTS, ...KEPT] : MOMENTS };
}

const floats = (type: DataType): fc.Arbitrary<Value> => {
  const round = type === float32 ? Math.fround : (x: number) => x;
  return fc.oneof(
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 4, arbitrary: fc.integer({ min: -400, max: 400 }).map((x) => round(x / 100)) },
    { weight: 2, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }).map(round) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(0, -0, 5e-324, -5e-324, 2 ** -600, 1e300, -Number.MAX_VALUE).map(round),
    },
  );
};
const close = fc.integer({ min: 0, max: 1000 }).map((x): Value => 1e8 + x / 1000);

describe.each(BUILDS)("moments of values that are kept, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  /** Results of `parts` operators whose states are merged; `columns` of each row. */
  function run(asked: Query, table: Table, size: number, parts: number, columns: number): string[] {
    const whole = open(kernel, asked);
    for (let part = 0; part < parts; part++) {
      const some = parts === 1 ? whole : open(kernel, asked);
      const mine = table.map((column) => column.filter((_, row) => row % parts === part));
      pushAll(some, asked, mine, Array(Math.ceil(mine[0]!.length / size)).fill(size));
      if (some === whole) continue;
      for (const state of some.snapshot()) whole.merge(state);
      some.destroy();
    }
    const results = multiset(rowsOf(whole.finish()).map((row) => row.slice(0, columns)));
    whole.destroy();
    return results;
  }
  const all = 1 + MOMENTS.length + KEPT.length;

  test.each([
    ["any floats", float64, valuesOf(float64)],
    ["any floats of 32 bits", float32, valuesOf(float32)],
    ["finite floats of all sizes", float64, floats(float64)],
    ["finite floats of 32 bits", float32, floats(float32)],
    ["floats close to 1e8", float64, close],
  ])("%s", (_, type, values) => {
    const rows = fc.array(fc.tuple(fc.constantFrom<Value>(0n, 1n, null), values, valuesOf(bool)), {
      maxLength: 60,
    });
    const shape = fc.record({ size: fc.integer({ min: 1, max: 70 }), parts: fc.integer({ min: 1, max: 3 }) });
    fc.assert(
      fc.property(rows, shape, (some, { size, parts }) => {
        const table = [KEY, VALUE, FLAG].map((column) => some.map((row) => row[column]!));
        const asked = query(type, true);
        expect(run(asked, table, size, parts, all)).toEqual(multiset(expected(asked, table)));
      }),
      { numRuns: 60 },
    );
  });

  test("results halfway between two floats, and next to that, go to the even one", () => {
    // The square of an odd number between these has 54 bits, of which the last is set.
    const [least, most] = [94_906_267, 134_217_727];
    const odd = fc.integer({ min: 0, max: (most - least) / 2 }).map((x) => least + 2 * x);
    fc.assert(
      fc.property(
        odd,
        fc.integer({ min: -90, max: 90 }),
        fc.integer({ min: 0, max: 3 }),
        (x, exponent, far) => {
          const unit = 2 ** exponent;
          // Two alike and one far below do not change what the others are, but how it rounds.
          const values = [
            0,
            x * unit,
            ...Array<number>(far).fill((x * unit) / 2),
            ...(far === 3 ? [2 ** -70 * unit] : []),
          ];
          const table: Table = [values.map(() => 0n), values, values.map(() => true)];
          const asked = query(float64, true);
          expect(run(asked, table, 100, 1, all)).toEqual(multiset(expected(asked, table)));
        },
      ),
      { numRuns: 100 },
    );
  });

  let state = 88_172_645;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const fine = () => random() + random() / 2 ** 32;

  test.each<[string, () => number]>([
    ["six decimals", () => Math.round(random() * 1e8) / 1e6],
    ["of all bits", () => fine() - 0.5],
    ["far from 0", () => 1e6 + fine()],
    ["farther from 0 than the grid reaches", () => 1e12 + Math.round(random() * 1e6) / 1e6],
    ["mostly equal", () => (random() < 0.99 ? 1 / 3 : fine())],
    ["large and small by turns", () => (fine() - 0.5) * (random() < 0.5 ? 1e30 : 1e-30)],
    ["skewed", () => fine() ** -3],
    ["whole", () => Math.floor(random() * 1000) - 500],
    ["with infinities here and there", () => (random() < 0.001 ? Infinity : fine())],
    ["with NaN here and there", () => (random() < 0.001 ? Number.NaN : fine())],
    ["very large", () => (fine() - 0.5) * 1e200],
    ["very small", () => fine() * 2 ** -1060],
  ])("groups of any size, of values %s", (_, next) => {
    // Groups of 1, 2, 3, ... and of some thousands.
    const sizes = [...Array.from({ length: 140 }, (_, at) => at + 1), 255, 256, 257, 1000, 4099];
    const keys = sizes.flatMap((size, group) => Array<Value>(size).fill(BigInt(group)));
    const table: Table = [keys, keys.map(() => next()), keys.map(() => random() < 0.7)];
    const columns = 1 + MOMENTS.length;
    const wanted = run(query(float64, false), table, 4000, 1, columns);
    expect(run(query(float64, true), table, 4000, 1, columns)).toEqual(wanted);
    expect(run(query(float64, true), table, 777, 2, columns)).toEqual(wanted);
  });

  test("a large log, whose results are found while it is laid by groups", () => {
    const length = 200_000;
    // Half of the rows have a group each, so that there are some with one value, and results of few are not kept.
    for (const groups of [1, 700, 300_000]) {
      const table: Table = [
        Array.from({ length }, (_, row) => BigInt(row % 2 === 0 ? row % 5 : Math.imul(row, 7919) % groups)),
        Array.from({ length }, (_, row) => (row % 170 === 3 ? null : fine())),
        Array.from({ length }, (_, row) => row % 3 === 0),
      ];
      const columns = 1 + MOMENTS.length;
      const wanted = run(query(float64, false), table, 65_000, 1, columns);
      expect(run(query(float64, true), table, 65_000, 1, columns)).toEqual(wanted);
    }
  });

  test("values that come after results have left count with those before", () => {
    const asked: Query = { ...query(float64, true), changelog: true };
    const table: Table = [
      Array.from({ length: 300 }, (_, row) => BigInt(row % 3)),
      Array.from({ length: 300 }, () => fine()),
      Array.from({ length: 300 }, (_, row) => row % 2 === 0),
    ];
    const operator = open(kernel, asked);
    const last = new Map<unknown, Value[]>();
    for (let start = 0; start < 300; start += 100) {
      operator.push(batchOf(asked.types, slice(table, start, start + 100)));
      for (const row of rowsOf(pulled(operator))) last.set(row[0], row.slice(0, -1));
      const wanted = expected({ ...asked, changelog: false }, slice(table, 0, start + 100));
      expect(multiset([...last.values()])).toEqual(multiset(wanted));
    }
    operator.watermark(END_OF_INPUT);
    operator.destroy();
  });
});
