// Columns of the side that comes last, which leave with their push: written by a bitmap of the rows that stay or, where all
// do and the result stays in kernel memory, left where the input has them.

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { RowRandom } from "../../../fixtures/random.js";
import { batchOf, named } from "../../../kernel/operator/testing.js";
import { fingerprint, resultRows } from "../../../test/testing-result.js";
import type { Value } from "../../../twin/values.js";
import { col, concat, Engine, from, type KernelTable, type Plan } from "../index.js";
import type { BatchData } from "../type/column.js";
import {
  bool,
  type DataType,
  dictionary,
  float64,
  int8,
  int16,
  int32,
  int64,
  largeUtf8,
  utf8,
} from "../type/data-type.js";

const engine = await Engine.open({ build: "simd" });
afterAll(() => engine.close());

const LEFT = ["k", "plain", "name", "short", "v", "at", "small", "flag", "large"];
const TYPES: readonly DataType[] = [
  int32,
  utf8,
  dictionary(utf8, int32),
  dictionary(utf8, int16),
  float64,
  int64,
  int8,
  bool,
  largeUtf8,
];
const RIGHT = ["k", "label", "n"];
const RIGHT_TYPES: readonly DataType[] = [int32, utf8, int64];

const ALPHABET = ["a", "bc", "é", "\u{1f600}", "xyz"];

interface Shape {
  readonly rows: number;
  /** Share of the left rows that have a match. */
  readonly matched: number;
  /** Characters of a text at most; now and then one is some hundred bytes long. */
  readonly length: number;
  /** Whether every column has nulls, but for the key. */
  readonly nulls: boolean;
  /** Rows of a batch, and rows before its first in the buffers. */
  readonly size: number;
  readonly offset: number;
  readonly seed: number;
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  rows: fc.oneof(fc.nat(600), fc.constantFrom(64, 71, 72, 73, 128, 2048, 2049, 5000)),
  matched: fc.constantFrom(0, 0.05, 0.5, 0.9, 0.99, 1, 1),
  length: fc.constantFrom(0, 3, 12, 40),
  nulls: fc.boolean(),
  size: fc.constantFrom(100, 1000, 70_000),
  offset: fc.constantFrom(0, 0, 3, 11),
  seed: fc.integer(),
});

const ALL: Omit<Shape, "rows" | "seed"> = { matched: 0.9, length: 8, nulls: false, size: 0, offset: 0 };

const KEYS = 50;

/** Left rows; keys below KEYS have a match. */
function leftRows({ rows, matched, length, nulls, seed }: Shape): Value[][] {
  const draws = new RowRandom(seed >>> 0, "own columns");
  let drawn = 0;
  const next = () => draws.unit(drawn++);
  const text = () => {
    const count = next() < 0.01 ? 300 : Math.floor(next() * (length + 1));
    return Array.from({ length: count }, () => ALPHABET[Math.floor(next() * ALPHABET.length)]).join("");
  };
  const few = ["", "one", "two", "a text that is longer", "é"];
  const some = (value: () => Value) => (nulls && next() < 0.1 ? null : value());
  return Array.from({ length: rows }, (_, row) => [
    BigInt(Math.floor(next() * KEYS) + (next() < matched ? 0 : KEYS)),
    some(text),
    some(() => few[Math.floor(next() * few.length)]!),
    some(() => few[Math.floor(next() * few.length)]!),
    some(() => (next() < 0.1 ? -0 : next() * 1e9)),
    some(() => BigInt(row)),
    some(() => BigInt(Math.floor(next() * 256) - 128)),
    some(() => next() < 0.5),
    some(text),
  ]);
}

const RIGHT_ROWS: Value[][] = Array.from({ length: KEYS }, (_, key) => [
  BigInt(key),
  key % 7 === 3 ? null : `label ${key}`,
  key % 5 === 1 ? null : BigInt(key) * 10n,
]);

function batches(
  names: readonly string[],
  types: readonly DataType[],
  rows: readonly (readonly Value[])[],
  size: number,
  offset: number,
): BatchData[] {
  const made: BatchData[] = [];
  for (let at = 0; at === 0 || at < rows.length; at += size) {
    const some = rows.slice(at, at + size);
    const columns = types.map((_, column) => some.map((row) => row[column]!));
    made.push(named(names, batchOf(types, columns, offset)));
  }
  return made;
}

function expected(left: readonly (readonly Value[])[], outer: boolean): Value[][] {
  return left.flatMap((row) => {
    const match = RIGHT_ROWS[Number(row[0])];
    if (match === undefined) return outer ? [[...row, null, null]] : [];
    return [[...row, match[1]!, match[2]!]];
  });
}

const right = batches(RIGHT, RIGHT_TYPES, RIGHT_ROWS, KEYS, 0);

function joined(how: "inner" | "left"): Plan {
  return (from("l") as Plan).join(from("r") as Plan, { on: "k" as never, how }) as Plan;
}

function shown(table: KernelTable): string[] {
  return fingerprint(resultRows(table.toArrow()));
}

test("rows that stay keep their texts and numbers, whichever go", async () => {
  await fc.assert(
    fc.asyncProperty(shapes, fc.constantFrom("inner" as const, "left" as const), async (shape, how) => {
      const rows = leftRows(shape);
      const l = batches(LEFT, TYPES, rows, shape.size, shape.offset);
      const want = fingerprint(expected(rows, how === "left"));
      expect(fingerprint(resultRows(await engine.collect(joined(how), { l, r: right })))).toEqual(want);
      const kept = await engine.collect(joined(how), { l, r: right }, { result: "kernel" });
      expect(shown(kept)).toEqual(want);
      kept.free();
    }),
    { numRuns: 120 },
  );
});

test("a result that lies in its input outlives it, and gives all memory back", async () => {
  await fc.assert(
    fc.asyncProperty(
      shapes,
      fc.constantFrom("inner" as const, "left" as const),
      fc.boolean(),
      async (shape, how, first) => {
        const rows = leftRows(shape);
        const before = engine.stats().usedBytes;
        const l = await engine.load(batches(LEFT, TYPES, rows, shape.size, shape.offset));
        const r = await engine.load(right);
        const want = fingerprint(expected(rows, how === "left"));
        const kept = await engine.collect(joined(how), { l, r }, { result: "kernel" });
        if (first) l.free();
        r.free();
        // What is allocated now would lie where the input lay, had it gone.
        const other = await engine.load(
          batches(LEFT, TYPES, leftRows({ ...shape, seed: shape.seed + 1 }), shape.size, 0),
        );
        expect(shown(kept)).toEqual(want);
        // As the input of another join, whose result may lie in that of the first, and outlives it.
        const again = await engine.collect(
          (from("t") as Plan).join(
            from("u") as Plan,
            { on: "k" as never, how: "left", suffix: "_u" } as never,
          ) as Plan,
          { t: kept, u: right },
          { result: "kernel" },
        );
        kept.free();
        expect(shown(again)).toEqual(
          fingerprint(
            expected(rows, how === "left").map((row) => {
              const match = RIGHT_ROWS[Number(row[0])];
              return [...row, match?.[1] ?? null, match?.[2] ?? null];
            }),
          ),
        );
        again.free();
        other.free();
        l.free();
        expect(engine.stats().usedBytes).toBe(before);
      },
    ),
    { numRuns: 80 },
  );
});

test("a filter reads texts that no result shows", async () => {
  const rows = leftRows({ ...ALL, rows: 5000, matched: 1, seed: 4 });
  const narrow = (plan: Plan) => plan.select("k" as never, "at" as never) as Plan;
  const plans: readonly [string, Plan, (text: string) => boolean][] = [
    ["like", (from("l") as Plan).where(col("plain").like("a%")) as Plan, (text) => text.startsWith("a")],
    ["equal texts", (from("l") as Plan).where(col("plain").eq(col("large"))) as Plan, () => false],
    [
      "texts that are made",
      (from("l") as Plan).where(concat(col("plain"), col("plain")).startsWith("aa")) as Plan,
      (text) => `${text}${text}`.startsWith("aa"),
    ],
  ];
  const l = await engine.load(batches(LEFT, TYPES, rows, 1000, 3));
  for (const [name, plan, passes] of plans) {
    const want = rows.filter((row) =>
      name === "equal texts" ? row[1] === row[8] : passes(row[1] as string),
    );
    const filtered = narrow(plan).join(from("r") as Plan, { on: "k" as never }) as Plan;
    const shown = resultRows(await engine.collect(filtered, { l, r: right }));
    expect(fingerprint(shown), name).toEqual(
      fingerprint(want.map((row) => [row[0]!, row[5]!, ...RIGHT_ROWS[Number(row[0])]!.slice(1)])),
    );
  }
  l.free();
});

test("where all rows leave, their columns take no memory again", async () => {
  const rows = leftRows({ ...ALL, rows: 10_000, length: 40, seed: 1 });
  const [batch] = batches(LEFT.slice(0, -1), TYPES.slice(0, -1), rows, 10_000, 0);
  const before = engine.stats().usedBytes;
  const l = await engine.load(Array.from({ length: 50 }, () => batch!));
  const loaded = engine.stats().usedBytes - before;
  const kept = await engine.collect(joined("left"), { l, r: right }, { result: "kernel" });
  // Bits, bytes and codes of 16 bits are copied, as are all columns of the right side.
  expect(engine.stats().usedBytes - before - loaded).toBeLessThan(0.5 * loaded);
  l.free();
  expect(engine.stats().usedBytes - before).toBeGreaterThan(loaded);
  kept.free();
  expect(engine.stats().usedBytes).toBe(before);
});

test("so do those of an as-of join", async () => {
  const rows = leftRows({ ...ALL, rows: 30_000, matched: 1, seed: 2 });
  const names = ["k", "n", "since"];
  const prices = Array.from({ length: 500 }, (_, row): Value[] => [
    BigInt(row % (KEYS + 5)),
    BigInt(row),
    BigInt(row * 55 + 1000),
  ]);
  const before = engine.stats().usedBytes;
  const l = await engine.load(batches(LEFT, TYPES, rows, 10_000, 5));
  const r = await engine.load(batches(names, [int32, int64, int64], prices, 500, 0));
  const plan = (from("l") as Plan).asofJoin(
    from("r") as Plan,
    { on: ["at", "since"], by: "k" } as never,
  ) as Plan;
  const copied = await engine.collect(plan, { l, r });
  const kept = await engine.collect(plan, { l, r }, { result: "kernel" });
  l.free();
  r.free();
  expect(shown(kept)).toEqual(fingerprint(resultRows(copied)));
  const latest = new Map<bigint, Value[]>();
  let next = 0;
  const want = rows.map((row) => {
    for (; next < prices.length && (prices[next]![2] as bigint) <= (row[5] as bigint); next++)
      latest.set(prices[next]![0] as bigint, prices[next]!);
    const price = latest.get(row[0] as bigint);
    return [...row, price?.[1] ?? null, price?.[2] ?? null];
  });
  expect(shown(kept)).toEqual(fingerprint(want));
  kept.free();
  expect(engine.stats().usedBytes).toBe(before);
});

test("workers leave columns where they lie, too", async () => {
  const shared = await Engine.open({ build: "threads", workers: 2 });
  try {
    const rows = leftRows({ ...ALL, rows: 140_000, seed: 3 });
    const l = await shared.load(batches(LEFT, TYPES, rows, 140_000, 0));
    for (const how of ["inner", "left"] as const) {
      const kept = await shared.collect(joined(how), { l, r: right }, { result: "kernel" });
      if (how === "left") l.free();
      expect(shown(kept)).toEqual(fingerprint(expected(rows, how === "left")));
      kept.free();
    }
  } finally {
    await shared.close();
  }
});
