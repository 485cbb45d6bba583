// Window functions over whole plans: the same bits as the naive twin's, whatever the mode, the batches and the order
// of arrival; DuckDB's figures; what watermarks let go, and what is refused.

import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  approxCountDistinct,
  asc,
  avg,
  bool,
  boolOr,
  col,
  corr,
  count,
  countDistinct,
  type DataType,
  decimal,
  denseRank,
  desc,
  dictionary,
  Engine,
  type Frame,
  first,
  firstValue,
  float32,
  float64,
  from,
  int16,
  int32,
  int64,
  lag,
  lastValue,
  lead,
  list,
  MemoryLimitError,
  max,
  median,
  min,
  OverflowError,
  type Plan,
  PlanError,
  rank,
  rowNumber,
  source,
  stddev,
  sum,
  TypeMismatchError,
  timestamp,
  topK,
  tumble,
  UnknownColumnError,
  utf8,
} from "../bindings/ts/index.js";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import { bind } from "../bindings/ts/plan/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { runPlan } from "../twin/plan.js";
import { type Value, writeBatch } from "../twin/values.js";
import { resultRows } from "./testing-result.js";

let engines: Engine[];
beforeAll(async () => {
  engines = await Promise.all(BUILDS.map((build) => Engine.open({ build, memory: "256 MiB" })));
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

type Row = readonly Value[];

const TYPES = { ts: timestamp("ms"), k: utf8, g: int32, x: float64, n: int64, b: bool } as const;
const NAMES = Object.keys(TYPES) as (keyof typeof TYPES)[];

const row = fc.tuple(
  fc.option(
    fc.nat(12).map((step) => BigInt(step * 1000)),
    { freq: 12 },
  ),
  fc.option(fc.constantFrom("", "a", "été", "\u{1f600}", "x".repeat(20)), { freq: 6 }),
  fc.option(fc.integer({ min: -2, max: 2 }).map(BigInt), { freq: 6 }),
  fc.option(
    fc.oneof(
      fc.double(),
      fc.constantFrom(0, -0, Number.NaN, Infinity, -Infinity, 0.1, 1 / 3, 1e300, -1e300, 5e-324),
    ),
    { freq: 6 },
  ),
  fc.option(fc.bigInt(-(2n ** 56n), 2n ** 56n), { freq: 6 }),
  fc.option(fc.boolean(), { freq: 6 }),
);

const FUNCTIONS = {
  row: rowNumber(),
  rank: rank(),
  dense: denseRank(),
  rows: count(),
  nonNull: count("x"),
  total: sum("x"),
  whole: sum("n"),
  mean: avg("n"),
  least: min("k"),
  most: max("x"),
  distinct: countDistinct("k"),
  spread: stddev("x"),
  linked: corr("n", "g"),
  some: sum("n", { filter: col("b") }),
  any: boolOr("b"),
  opening: first("k", "x"),
  about: approxCountDistinct("n"),
  before: lag("x"),
  earlier: lag("k", { offset: 3, default: "none" }),
  after: lead("n", { default: col("g") }),
  later: lead("b", { offset: 2 }),
  opener: firstValue("x"),
  closer: lastValue(col("n").add(1)),
  leastTrue: min("x", { filter: col("b") }),
  anyText: max(col("k").concat("!")),
  leastBool: min("b"),
} as const;
/** What does not know what it would be without a row. */
const NEVER_SLIDE: readonly string[] = ["opening", "about"];
const FUNCTION_NAMES = Object.keys(FUNCTIONS) as (keyof typeof FUNCTIONS)[];

interface Asked {
  readonly partitionBy: readonly string[];
  readonly order: readonly {
    readonly name: string;
    readonly descending: boolean;
    readonly nulls: "first" | "last";
  }[];
  readonly frame: { readonly rows?: Frame; readonly range?: Frame };
  readonly functions: readonly (keyof typeof FUNCTIONS)[];
}

const frames = fc.constantFrom<Asked["frame"]>(
  {},
  { rows: ["unbounded", 0] },
  { range: ["unbounded", 0] },
  { rows: ["unbounded", "unbounded"] },
);

/** Frames that slide, by order of one column where they go by its values. */
const sliding = fc
  .oneof(
    fc.record({
      unit: fc.constant("rows" as const),
      bounds: fc.tuple(fc.integer({ min: -4, max: 3 }), fc.integer({ min: -3, max: 4 })),
      open: fc.constantFrom("", "from", "to"),
      column: fc.constant(null),
    }),
    fc.record({
      unit: fc.constant("range" as const),
      bounds: fc.tuple(fc.integer({ min: -5, max: 3 }), fc.integer({ min: -3, max: 5 })),
      open: fc.constantFrom("", "", "from", "to"),
      column: fc.constantFrom("ts" as const, "g" as const, "n" as const),
    }),
    fc.record({
      unit: fc.constant("range" as const),
      bounds: fc.constant([0, 0] as [number, number]),
      open: fc.constantFrom("", "from", "to"),
      column: fc.constant(null),
    }),
  )
  .map(({ unit, bounds: [from, to], open, column }) => {
    const bound = (size: number) => (column === "ts" && size !== 0 ? `${size * 1000} ms` : size);
    const first = open === "from" ? "unbounded" : bound(open === "to" ? from : Math.min(from, to));
    const frame: Frame = [first, open === "to" ? "unbounded" : bound(Math.max(from, to))];
    return { frame: { [unit]: frame } as Asked["frame"], column };
  });

const asked: fc.Arbitrary<Asked> = fc.record({
  partitionBy: fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 2 }),
  order: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom(...NAMES),
      descending: fc.boolean(),
      nulls: fc.constantFrom("first" as const, "last" as const),
    }),
    { maxLength: 2, selector: ({ name }) => name },
  ),
  frame: frames,
  functions: fc.uniqueArray(fc.constantFrom(...FUNCTION_NAMES), { minLength: 1, maxLength: 6 }),
});

const slid: fc.Arbitrary<Asked> = fc
  .tuple(asked, sliding, fc.boolean())
  .map(([whole, { frame, column }, descending]) => {
    const nulls = whole.order[0]?.nulls ?? ("last" as const);
    const order = column === null ? whole.order : [{ name: column, descending, nulls }];
    const functions = whole.functions.filter((name) => !NEVER_SLIDE.includes(name));
    return { ...whole, order, frame, functions };
  });

function planOf({ partitionBy, order, frame, functions }: Asked): Plan<unknown> {
  const ranked =
    order.length > 0 ? functions : functions.filter((name) => name !== "rank" && name !== "dense");
  const named = Object.fromEntries(ranked.map((name) => [`f_${name}`, FUNCTIONS[name]]));
  const orderBy = order.map(({ name, descending, nulls }) => (descending ? desc : asc)(name, { nulls }));
  return (from("t") as Plan).over({ partitionBy, orderBy, ...frame }, { ...named, f_last: count() });
}

function batchOf(rows: readonly Row[], offset = 0, encode = (type: DataType) => type): BatchData {
  const fields = NAMES.map((name) => ({ name, type: encode(TYPES[name]), nullable: true }));
  return writeBatch(fields, rows, { offset, bitmap: offset % 2 === 1 });
}

function cut(
  rows: readonly Row[],
  cuts: readonly number[],
  encode?: (type: DataType) => DataType,
): BatchData[] {
  const at = [0, ...cuts.map((one) => Math.min(one, rows.length)).sort((a, b) => a - b), rows.length];
  return at.slice(1).map((end, index) => batchOf(rows.slice(at[index], end), index % 9, encode));
}

/** Rows as sorted texts in which every bit shows. */
function bits(rows: readonly Row[]): string[] {
  return rows.map((cells) => cells.map(show).join("|")).sort();
}

function show(value: Value): string {
  if (typeof value !== "number") return `${typeof value}:${value}`;
  return Number.isNaN(value)
    ? "NaN"
    : `f${new BigUint64Array(Float64Array.of(value).buffer)[0]!.toString(16)}`;
}

const twin = (plan: Plan<unknown>, rows: readonly Row[]) => {
  const whole = batchOf(rows);
  return bits(runPlan(bind(plan, { t: whole.schema }), [whole]).rows);
};

async function streamed(plan: Plan<unknown>, t: object, options: object = {}) {
  const rows: Value[][] = [];
  const run = engines[0]!.stream(plan, { t }, options);
  for await (const batch of run) rows.push(...resultRows(batch));
  return { rows, stats: run.stats };
}

const encoded = (type: DataType) => (type.kind === "bool" ? type : dictionary(type, int16));

it("gives the twin's bits in every build, mode, split, order of arrival and encoding", {
  timeout: 240_000,
}, async () => {
  const cases = fc.record({
    rows: fc.array(row, { maxLength: 40 }),
    asked: fc.oneof(asked, slid),
    cuts: fc.array(fc.nat(40), { maxLength: 4 }),
    order: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, asked, cuts, order }) => {
      const plan = planOf(asked);
      const expected = twin(plan, rows);
      for (const engine of engines)
        expect(bits(resultRows(await engine.collect(plan, { t: batchOf(rows, 3) })))).toEqual(expected);
      const shuffled = [...rows.keys()].sort((a, b) => order[a]! - order[b]!).map((at) => rows[at]!);
      expect(bits((await streamed(plan, cut(shuffled, cuts), { batchRows: 3 })).rows)).toEqual(expected);
      expect(bits((await streamed(plan, cut(rows, cuts, encoded))).rows)).toEqual(expected);
    }),
    { numRuns: 120 },
  );
});

it("lets rows go as the watermark passes them, with the bits of the batch", {
  timeout: 240_000,
}, async () => {
  const cases = fc.record({
    rows: fc.array(fc.tuple(row, fc.nat(4)), { maxLength: 40 }),
    asked: fc.oneof(asked, slid),
    cuts: fc.array(fc.nat(40), { maxLength: 6 }),
    disorder: fc.constantFrom(0, 1, 4),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, asked, cuts, disorder }) => {
      const due = ([cells, jitter]: (typeof rows)[number]) =>
        Number((cells[0] as bigint | null) ?? 6000n) + (jitter % (disorder + 1)) * 1000;
      const arrived = [...rows].sort((a, b) => due(a) - due(b)).map(([cells]) => cells);
      const order = [{ name: "ts", descending: false, nulls: "last" as const }, ...asked.order.slice(1)];
      const byValue = Object.values(asked.frame)
        .flat()
        .some((bound) => typeof bound === "string" && bound !== "unbounded");
      if (asked.frame.range !== undefined && !byValue && asked.order.length === 1) order.splice(1);
      const counted = asked.frame.range?.map((bound) =>
        typeof bound === "number" && bound !== 0 ? `${bound} s` : bound,
      );
      const frame = counted === undefined ? asked.frame : { range: counted as unknown as Frame };
      const plan = planOf({
        ...asked,
        frame,
        order: order.filter(({ name }, at) => at === 0 || name !== "ts"),
      });
      const expected = twin(plan, arrived);
      const watermarks = { t: { column: "ts", outOfOrderness: `${disorder} seconds` } };
      for (const t of [
        cut(arrived, cuts),
        arrived.length === 0 ? batchOf([]) : arrived.map((cells) => batchOf([cells])),
      ]) {
        const { rows: results, stats } = await streamed(plan, t, { watermarks });
        expect(stats.lateRows).toBe(0);
        expect(bits(results)).toEqual(expected);
      }
    }),
    { numRuns: 80 },
  );
});

it("carries blocks of equal rows and open partitions over vectors and pushes", async () => {
  // Blocks of 3000 rows, half of each partition, over vectors of 2048 rows and pushes of 65536.
  const cells = Array.from(
    { length: 72_000 },
    (_, at): Row => [BigInt(Math.floor(at / 3000)), null, BigInt(at % 2), null, BigInt(at), at % 3 === 0],
  );
  const plan = (from("t") as Plan)
    .over({ partitionBy: "g", orderBy: "ts" }, { rows: count(), total: sum("n"), rank: rank() })
    .over(
      { partitionBy: "g", orderBy: ["ts", "n"], rows: ["unbounded", 0] },
      { row: rowNumber(), ever: sum("n") },
    )
    .select("n", "rows", "total", "rank", "row", "ever");
  const results = resultRows(await engines[0]!.collect(plan, { t: batchOf(cells) }));
  const sums = [0, 0];
  const ever = cells.map((_, at) => {
    sums[at % 2]! += at;
    return sums[at % 2]!;
  });
  const expected = cells.map((_, at) => {
    const block = Math.floor(at / 3000);
    const last = block * 3000 + 2998 + (at % 2);
    return [at, (block + 1) * 1500, ever[last], block * 1500 + 1, Math.floor(at / 2) + 1, ever[at]].join();
  });
  expect(results.map((row) => row.join()).sort()).toEqual(expected.sort());
});

it("tells float32 peers and wide decimals apart, and forgets integer partitions that are past", async () => {
  const types = { ts: timestamp("ms"), id: int64, f: float32, w: decimal(38, 2) };
  const fields = Object.entries(types).map(([name, type]) => ({ name, type, nullable: true }));
  const floats = [0, -0, 1.5, Number.NaN, null, -1.5, 1.5, Number.NaN];
  const rows = Array.from({ length: 450 }, (_, at): Value[] => {
    const wide = BigInt((at * 7) % 11) * (at % 2 === 0 ? 10n ** 30n : -3n);
    // Rows of a partition are near each other: hardly any is open for long.
    return [BigInt(at), BigInt(at >> 2) * 10n ** 12n, floats[at % 8]!, at % 13 === 5 ? null : wide];
  });
  const batches = Array.from({ length: 30 }, (_, at) =>
    writeBatch(fields, rows.slice(at * 15, at * 15 + 15)),
  );
  const t = from("t") as Plan;
  const id = { partitionBy: "id", orderBy: "ts" };
  for (const [plan, streams] of [
    [t.over({ orderBy: "f" }, { rank: rank(), rows: count() }), false],
    [t.over({ ...id, rows: [-2, 0] }, { least: min("w"), most: max("w") }), true],
    [t.over({ ...id, range: ["-3 ms", 0] }, { least: min("w"), total: sum("w") }), true],
  ] as const) {
    const expected = bits(runPlan(bind(plan, { t: { fields } }), batches).rows);
    expect(bits(resultRows(await engines[0]!.collect(plan, { t: batches })))).toEqual(expected);
    if (!streams) continue;
    const { rows: results } = await streamed(plan, batches, { watermarks: { t: { column: "ts" } } });
    expect(bits(results)).toEqual(expected);
  }
});

it("forgets integer partitions by the thousand as they pass", async () => {
  const fields = ["ts", "id", "n"].map((name) => ({
    name,
    type: name === "ts" ? timestamp("ms") : int64,
    nullable: true,
  }));
  // Four rows a partition, each of them past before the next but two begins.
  const rows = Array.from({ length: 24_000 }, (_, at): Value[] => [
    BigInt(at),
    BigInt(at >> 2) * 10n ** 12n,
    BigInt(at),
  ]);
  const batches = Array.from({ length: 48 }, (_, at) =>
    writeBatch(fields, rows.slice(at * 500, at * 500 + 500)),
  );
  const plan = (from("t") as Plan)
    .over({ partitionBy: "id", orderBy: "ts", rows: [-1, 0] }, { total: sum("n"), most: max("n") })
    .select("n", "total", "most");
  const { rows: results } = await streamed(plan, batches, { watermarks: { t: { column: "ts" } } });
  const wanted = rows.map((_, at) => [at, at % 4 === 0 ? at : 2 * at - 1, at].join());
  expect(results.map((row) => row.join()).sort()).toEqual(wanted.sort());
});

it("agrees with DuckDB", async () => {
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const cell = fc.tuple(fc.nat(5), fc.integer({ min: 0, max: 2 }), fc.integer({ min: -9, max: 9 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(cell, { minLength: 1, maxLength: 30 }),
      fc.constantFrom("rows", "range"),
      async (cells, by) => {
        // The last column tells all rows apart, so that SQL's order of ties is one.
        const rows = cells.map(
          ([ts, g, n], id): Row => [BigInt(ts * 1000), null, BigInt(g), null, BigInt(n * 100 + id), null],
        );
        const plan = (from("t") as Plan)
          .over(
            { partitionBy: "g", orderBy: by === "rows" ? ["ts", "n"] : "ts", [by]: ["unbounded", 0] },
            {
              total: sum("n"),
              most: max("n"),
              mean: avg("n"),
              rows: count(),
              ...(by === "range" ? { rank: rank(), dense: denseRank() } : { row: rowNumber() }),
            },
          )
          .drop("ts", "k", "x", "b");
        const ours = resultRows(await engines[0]!.collect(plan, { t: batchOf(rows) }));
        const values = rows.map(([ts, , g, , n]) => `(${ts}, ${g}, ${n})`).join();
        const order = by === "rows" ? "ts, n" : "ts";
        const over = `OVER (PARTITION BY g ORDER BY ${order} ${by} BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)`;
        const extra = by === "range" ? `rank() ${over}, dense_rank() ${over}` : `row_number() ${over}`;
        const answer = await duckdb.runAndReadAll(
          `SELECT g::INTEGER, n::BIGINT, (sum(n) ${over})::BIGINT, (max(n) ${over})::BIGINT, avg(n) ${over}, count(*) ${over}, ${extra} FROM (VALUES ${values}) AS t(ts, g, n)`,
        );
        const theirs = answer
          .getRows()
          .map((cells) =>
            cells.map((value) =>
              typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value,
            ),
          );
        const plain = (cells: readonly unknown[]) => cells.map((value) => Number(value).toFixed(6)).join("|");
        expect(ours.map(plain).sort()).toEqual(theirs.map(plain).sort());
      },
    ),
    { numRuns: 30 },
  );
});

it("agrees with DuckDB about frames that slide, and rows before and after", async () => {
  const duckdb = await (await DuckDBInstance.create(":memory:")).connect();
  const cell = fc.tuple(fc.nat(9), fc.integer({ min: 0, max: 2 }), fc.integer({ min: -9, max: 9 }));
  const bounds = fc
    .tuple(fc.integer({ min: -3, max: 2 }), fc.nat(4))
    .map(([from, more]) => [from, from + more] as const);
  const sqlBound = (bound: number, unit: string) =>
    bound === 0 ? "CURRENT ROW" : `${Math.abs(bound)}${unit} ${bound < 0 ? "PRECEDING" : "FOLLOWING"}`;
  await fc.assert(
    fc.asyncProperty(
      fc.array(cell, { minLength: 1, maxLength: 30 }),
      bounds,
      fc.constantFrom("rows", "range"),
      async (cells, [low, high], by) => {
        const rows = cells.map(
          ([ts, g, n], id): Row => [BigInt(ts * 1000), null, BigInt(g), null, BigInt(n * 100 + id), null],
        );
        const orderBy = by === "rows" ? ["ts" as const, "n" as const] : ["ts" as const];
        const frame: Frame = by === "rows" ? [low, high] : [`${low * 1000} ms`, `${high * 1000} ms`];
        const shifts = by === "rows";
        const plan = (from("t") as Plan)
          .over(
            { partitionBy: "g", orderBy, [by]: frame },
            {
              rows: count(),
              total: sum("n"),
              least: min("n"),
              most: max("n"),
              mean: avg("n"),
              ...(shifts
                ? {
                    opening: firstValue("n"),
                    closing: lastValue("n"),
                    before: lag("n", { offset: 2, default: 7 }),
                    after: lead("n"),
                  }
                : {}),
            },
          )
          .drop("ts", "k", "x", "b");
        const ours = resultRows(await engines[0]!.collect(plan, { t: batchOf(rows) }));
        const values = rows.map(([ts, , g, , n]) => `(${ts}, ${g}, ${n})`).join();
        const unit = by === "rows" ? "" : "000";
        const [start, end] = [low, high].map((bound) => sqlBound(bound, unit));
        const window = `PARTITION BY g ORDER BY ${orderBy.join()}`;
        const over = `OVER (${window} ${by} BETWEEN ${start} AND ${end})`;
        const plain = `OVER (${window})`;
        const extra = shifts
          ? `, first_value(n) ${over}, last_value(n) ${over}, lag(n, 2, 7) ${plain}, lead(n) ${plain}`
          : "";
        const answer = await duckdb.runAndReadAll(
          `SELECT g::INTEGER, n::BIGINT, count(*) ${over}, (sum(n) ${over})::BIGINT, min(n) ${over}, max(n) ${over}, avg(n) ${over}${extra} FROM (VALUES ${values}) AS t(ts, g, n)`,
        );
        const plainRow = (cells: readonly unknown[]) =>
          cells.map((value) => (value === null ? "null" : Number(value).toFixed(6))).join("|");
        expect(ours.map(plainRow).sort()).toEqual(answer.getRows().map(plainRow).sort());
      },
    ),
    { numRuns: 30 },
  );
});

describe("deduplicate", () => {
  const cases = fc.record({
    rows: fc.array(row, { maxLength: 40 }),
    by: fc.uniqueArray(fc.constantFrom("k" as const, "g" as const, "b" as const), { minLength: 1 }),
    keep: fc.constantFrom("first" as const, "last" as const),
    orderBy: fc.constantFrom("ts", "x"),
  });

  it("keeps one row for each key, whatever the mode", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, by, keep, orderBy }) => {
        const plan = (from("t") as Plan).deduplicate({ by, keep, orderBy });
        const expected = twin(plan, rows);
        expect(bits(resultRows(await engines[0]!.collect(plan, { t: batchOf(rows) })))).toEqual(expected);
        expect(bits((await streamed(plan, cut(rows, [7, 20]))).rows)).toEqual(expected);
        const keys = new Set(
          rows.map((cells) => by.map((name) => String(cells[NAMES.indexOf(name)])).join("|")),
        );
        expect(expected).toHaveLength(keys.size);
      }),
      { numRuns: 60 },
    );
  });

  it("keeps a row again when the last of its key is long past", async () => {
    const timed = fc.tuple(fc.option(fc.nat(30), { freq: 12 }), fc.constantFrom("a", "b"), fc.nat(3));
    await fc.assert(
      fc.asyncProperty(
        fc.array(timed, { maxLength: 30 }),
        fc.integer({ min: 1, max: 6 }),
        async (cells, within) => {
          const rows = cells.map(
            ([ts, k, g]): Row => [ts === null ? null : BigInt(ts * 1000), k, BigInt(g), null, null, null],
          );
          const order = (a: Row, b: Row) =>
            Number((a[0] ?? 99_000n) as bigint) - Number((b[0] ?? 99_000n) as bigint) ||
            Number(a[2]) - Number(b[2]);
          const kept = ["a", "b"].flatMap((k) => {
            const own = rows.filter((cells) => cells[1] === k).sort(order);
            return own.filter(([ts], at) => {
              const before = own[at - 1]?.[0];
              if (before === undefined) return true;
              if (ts === null || before === null) return ts !== before;
              return Number(ts as bigint) - Number(before as bigint) > within * 1000;
            });
          });
          const plan = (from("t") as Plan).deduplicate({
            by: "k",
            orderBy: "ts",
            within: `${within} seconds`,
          });
          expect(twin(plan, rows)).toEqual(bits(kept));
          expect(bits(resultRows(await engines[0]!.collect(plan, { t: batchOf(rows) })))).toEqual(bits(kept));
          const arrived = [...rows].sort(order);
          const t = rows.length === 0 ? batchOf([]) : arrived.map((cells) => batchOf([cells]));
          const { rows: results, stats } = await streamed(plan, t, { watermarks: { t: { column: "ts" } } });
          expect(stats.lateRows).toBe(0);
          expect(bits(results)).toEqual(bits(kept));
        },
      ),
      { numRuns: 40 },
    );
  });

  it("forgets keys behind the watermark: a month of event time", async () => {
    const plan = (from("t") as Plan).deduplicate({ by: "k", orderBy: "ts", within: "1 hour" });
    const states: number[] = [];
    async function* month() {
      for (let hour = 0; hour < 720; hour++) {
        yield batchOf(
          Array.from({ length: 100 }, (_, at): Row => {
            return [BigInt(hour * 3_600_000 + at * 36_000), `${hour} ${at >> 1}`, null, null, null, null];
          }),
        );
        if (hour % 180 === 179) states.push(run.stats.stateBytes);
      }
    }
    let count = 0;
    const run = engines[0]!.stream(plan, { t: month() }, { watermarks: { t: { column: "ts" } } });
    for await (const batch of run) count += resultRows(batch).length;
    expect(count).toBe(36_000);
    expect(states.at(-1)).toBeLessThan(1.5 * states[0]!);
  });

  it("lets first rows go with the watermark, once", async () => {
    const of = (ts: number, k: string): Row => [BigInt(ts), k, null, null, null, null];
    const batches = [[of(5, "a"), of(3, "a")], [of(20, "b"), of(4, "a")], [of(21, "a")], [of(60, "c")]].map(
      (rows) => batchOf(rows),
    );
    const plan = (from("t") as Plan).deduplicate({ by: "k", orderBy: "ts" });
    const seen: string[] = [];
    async function* arriving() {
      for (const [at, batch] of batches.entries()) {
        seen.push(`batch ${at}`);
        yield batch;
      }
    }
    const watermarks = { t: { column: "ts", outOfOrderness: "10 ms" } };
    for await (const batch of engines[0]!.stream(plan, { t: arriving() }, { watermarks }))
      seen.push(...resultRows(batch).map(([ts, k]) => `${k} ${ts}`));
    expect(seen).toEqual(["batch 0", "batch 1", "a 3", "batch 2", "batch 3", "b 20", "c 60"]);
  });
});

describe("a stream", () => {
  const at = (ts: number, n: number): Row => [BigInt(ts), "a", null, null, BigInt(n), null];

  it("leaves out and counts rows behind the watermark, and hands them over", async () => {
    const plan = (from("t") as Plan).over({ orderBy: "ts" }, { total: sum("n") }).select("ts", "total");
    const late: Value[][] = [];
    const t = [[at(10, 1)], [at(12, 2), at(9, 4)], [at(30, 8), at(11, 16)]].map((rows) => batchOf(rows));
    const options = {
      watermarks: { t: { column: "ts" } },
      late: (batch: object) => void late.push(...resultRows(batch)),
    };
    const { rows, stats } = await streamed(plan, t, options);
    expect(rows).toEqual([
      [10n, 1n],
      [12n, 3n],
      [30n, 11n],
    ]);
    expect(stats.lateRows).toBe(2);
    expect(late.map(([ts]) => ts)).toEqual([9n, 11n]);
  });

  it("lets a row go as soon as its frame is known", async () => {
    const t = () =>
      (async function* arriving() {
        for (const ts of [1, 4, 9, 30]) {
          order.push(`row ${ts}`);
          yield batchOf([at(ts, ts)]);
        }
      })();
    const order: string[] = [];
    const run = async (over: Plan<unknown>) => {
      order.length = 0;
      const watermarks = { t: { column: "ts" } };
      for await (const batch of engines[0]!.stream(over, { t: t() }, { watermarks }))
        order.push(...resultRows(batch).map((row) => row.join(" ")));
      return [...order];
    };
    const all = (from("t") as Plan).select("ts", "n");
    expect(
      await run(all.over({ orderBy: "ts", rows: [-1, 0] }, { total: sum("n"), before: lag("n") })),
    ).toEqual([...["row 1", "row 4", "1 1 1 ", "row 9", "4 4 5 1", "row 30", "9 9 13 4", "30 30 39 9"]]);
    expect(await run(all.over({ orderBy: "ts", rows: [0, 1] }, { total: sum("n") }))).toEqual([
      ...["row 1", "row 4", "row 9", "1 1 5", "row 30", "4 4 13", "9 9 39", "30 30 30"],
    ]);
    expect(await run(all.over({ orderBy: "ts", range: [0, "5 ms"] }, { total: sum("n") }))).toEqual([
      ...["row 1", "row 4", "row 9", "1 1 5", "row 30", "4 4 13", "9 9 9", "30 30 30"],
    ]);
    const behind = all
      .over({ orderBy: "ts", range: [0, "5 ms"] }, { total: sum("n") })
      .window(tumble("ts", "5 ms"))
      .aggregate({ sums: sum("total") })
      .select("window_end", "sums");
    expect(await run(behind)).toEqual([...["row 1", "row 4", "row 9", "row 30", "5 18", "10 9", "35 30"]]);
  });

  it("passes its watermark on to windows behind it", async () => {
    const plan = (from("t") as Plan)
      .over({ orderBy: "ts" }, { row: rowNumber() })
      .window(tumble("ts", "10 ms"))
      .aggregate({ last: max("row") })
      .select("window_end", "last");
    const order: string[] = [];
    async function* arriving() {
      for (const ts of [1, 2, 11, 25]) {
        order.push(`row ${ts}`);
        yield batchOf([at(ts, 0)]);
      }
    }
    const watermarks = { t: { column: "ts" } };
    for await (const batch of engines[0]!.stream(plan, { t: arriving() }, { watermarks }))
      order.push(...resultRows(batch).map(([end, last]) => `window ${end}: ${last}`));
    expect(order).toEqual([
      "row 1",
      "row 2",
      "row 11",
      "window 10: 2",
      "row 25",
      "window 20: 3",
      "window 30: 4",
    ]);
  });
});

describe("what is refused", () => {
  const t = from(source("t", TYPES)) as unknown as Plan;

  it("names what it is", () => {
    expect(() => t.over({ partitionBy: "nothing" }, { row: rowNumber() })).toThrow(UnknownColumnError);
    expect(() => t.over({ orderBy: "nothing" }, { row: rowNumber() })).toThrow(UnknownColumnError);
    expect(() => t.over({}, {})).toThrow(PlanError);
    expect(() => t.over({}, { rank: rank() })).toThrow(/ranks rows by orderBy/);
    expect(() => t.over({}, { middle: median("x") })).toThrow(/keeps all values/);
    expect(() => t.over({}, { once: sum("n", { distinct: true }) })).toThrow(/keeps all values/);
    expect(() => t.over({}, { top: topK("x", 2) })).toThrow(PlanError);
    expect(() => t.over({}, { x: rowNumber() })).toThrow(/two columns "x"/);
    expect(() => t.over({ rows: [-1.5, 0] }, { row: rowNumber() })).toThrow(/two whole numbers/);
    expect(() => t.over({ rows: ["1 second", 0] }, { row: rowNumber() })).toThrow(/two whole numbers/);
    expect(() => t.over({ rows: [2, 1] }, { row: rowNumber() })).toThrow(/ends before it begins/);
    expect(() => t.over({ orderBy: "ts", range: [-5, 0] }, { row: rowNumber() })).toThrow(/says its unit/);
    expect(() => t.over({ orderBy: "x", range: [-5, 0] }, { row: rowNumber() })).toThrow(TypeMismatchError);
    expect(() => t.over({ orderBy: ["ts", "n"], range: ["-1 s", 0] }, { row: rowNumber() })).toThrow(
      /one column/,
    );
    expect(() => t.over({ orderBy: "ts", range: ["-1 month", 0] }, { row: rowNumber() })).toThrow(/months/);
    expect(() => t.over({ rows: [-1, 0] }, { opening: first("k", "x") })).toThrow(/fall out of the frame/);
    expect(() => t.over({ rows: [-1, 0] }, { quick: sum("x", { fast: true }) })).toThrow(
      /fall out of the frame/,
    );
    expect(() => t.over({}, { before: lag("nothing") })).toThrow(UnknownColumnError);
    expect(() => t.over({}, { before: lag("x", { default: "none" }) })).toThrow(TypeMismatchError);
    expect(() => lag("x", { offset: -1 })).toThrow(/number of rows/);
    expect(() => t.over({ rows: ["unbounded", 0], range: ["unbounded", 0] }, { row: rowNumber() })).toThrow(
      /not by both/,
    );
    expect(() => t.over({}, { row: 1 as never })).toThrow(/not a window function/);
    expect(() => t.deduplicate({ by: [], orderBy: "ts" })).toThrow(PlanError);
    const within = "1 hour";
    expect(() => t.deduplicate({ by: "k", orderBy: "ts", keep: "last", within })).toThrow(/keep "first"/);
    expect(() => t.deduplicate({ by: "k", orderBy: "ts", within: "-1 hour" })).toThrow(/above 0/);
    expect(() => t.deduplicate({ by: "k", orderBy: "x", within: 1 })).toThrow(TypeMismatchError);
    expect(() => t.deduplicate({ by: "k", keep: "any" as never, orderBy: "ts" })).toThrow(
      /"first" or "last"/,
    );
    const lists = t.aggregate({ all: topK("x", 2) });
    expect(() => lists.over({}, { row: rowNumber() })).toThrow(TypeMismatchError);
    expect(list(float64).kind).toBe("list");
  });

  it("an overflow names the result, and memory is a limit", async () => {
    const rows: Row[] = Array.from({ length: 3 }, (_, at) => [BigInt(at), "a", null, null, 2n ** 62n, null]);
    const plan = (from("t") as Plan).over({ orderBy: "ts" }, { total: sum("n") });
    await expect(engines[0]!.collect(plan, { t: batchOf(rows) })).rejects.toThrow(OverflowError);
    const small = await Engine.open({ memory: "4 MiB" });
    const many = Array.from({ length: 60_000 }, (_, at): Row => [BigInt(at), `${at}`, 1n, at, 1n, true]);
    await expect(small.collect(plan, { t: batchOf(many) })).rejects.toThrow(MemoryLimitError);
    await small.close();
  });
});
