// Joins by time in whole plans: the same rows in batch and stream mode, with watermarks and without, in every
// interleaving; namely the naive twin's, and DuckDB's.

import { DuckDBInstance } from "@duckdb/node-api";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromArrow } from "../bindings/ts/arrow/index.js";
import {
  ArgumentError,
  col,
  count,
  type DataType,
  date32,
  Engine,
  from,
  int32,
  int64,
  type Plan,
  PlanError,
  source,
  sum,
  TypeMismatchError,
  timestamp,
  tumble,
  UnknownColumnError,
  utf8,
} from "../bindings/ts/index.js";
import { BUILDS } from "../bindings/ts/kernel/testing.js";
import { bind } from "../bindings/ts/plan/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { runPlan } from "../twin/plan.js";
import { type Value, writeBatch } from "../twin/values.js";
import { multiset, valuesOf } from "./testing-rows.js";

let engines: Engine[];
let duckdb: Awaited<ReturnType<DuckDBInstance["connect"]>>;
beforeAll(async () => {
  engines = await Promise.all(BUILDS.map((build) => Engine.open({ build, memory: "512 MiB" })));
  duckdb = await (await DuckDBInstance.create(":memory:")).connect();
});
afterAll(() => Promise.all(engines.map((engine) => engine.close())));

type Rows = readonly (readonly Value[])[];

/** Trades in milliseconds, quotes in microseconds: they meet in microseconds. */
const TRADES = { sym: utf8, ts: timestamp("ms"), qty: int64 };
const QUOTES = { sym: utf8, ts: timestamp("us"), bid: int64 };

const batchOf = (types: Readonly<Record<string, DataType>>, rows: Rows): BatchData =>
  writeBatch(
    Object.entries(types).map(([name, type]) => ({ name, type, nullable: true })),
    rows,
  );

interface Case {
  readonly rows: readonly [Rows, Rows];
  /** In milliseconds: how far rows come behind others, and the bound that is declared; null for no watermarks. */
  readonly disorder: readonly [number | null, number | null];
  readonly cuts: readonly [readonly number[], readonly number[]];
  readonly waits: readonly number[];
}

const symbol = fc.constantFrom<Value>("a", "b", "c", null);
const rowsOf = (unit: bigint) =>
  fc.array(
    fc.tuple(
      symbol,
      fc.option(
        fc.nat(80).map((ms) => BigInt(ms) * unit),
        { freq: 15 },
      ),
      fc.option(fc.bigInt(0n, 4n), { freq: 6 }),
    ),
    { maxLength: 30 },
  );

const cases: fc.Arbitrary<Case> = fc.record({
  rows: fc.tuple(rowsOf(1n), rowsOf(1000n)),
  disorder: fc.tuple(fc.constantFrom(null, 0, 9, 40), fc.constantFrom(null, 0, 9, 40)),
  cuts: fc.tuple(fc.array(fc.nat(30), { maxLength: 5 }), fc.array(fc.nat(30), { maxLength: 5 })),
  waits: fc.array(fc.nat(2), { minLength: 2, maxLength: 9 }),
});

/** Rows in an order in which none is further behind the newest than the disorder. */
function arriving(rows: Rows, disorder: number | null, unit: bigint): Rows {
  const bound = BigInt(disorder ?? 0) * unit;
  const place = (row: readonly Value[], at: number) =>
    ((row[1] as bigint | null) ?? 0n) + (BigInt(at * 7919) % (bound + 1n));
  return [...rows.entries()]
    .sort(([a, x], [b, y]) => Number(place(x, a) - place(y, b)))
    .map(([, row]) => row);
}

async function* slowly(batches: readonly BatchData[], waits: readonly number[]): AsyncGenerator<BatchData> {
  for (const [at, batch] of batches.entries()) {
    for (let turn = 0; turn < waits[at % waits.length]!; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    yield batch;
  }
}

function batchesOf(
  types: Readonly<Record<string, DataType>>,
  rows: Rows,
  cuts: readonly number[],
): BatchData[] {
  const edges = [0, ...cuts.map((cut) => Math.min(cut, rows.length)).sort((a, b) => a - b), rows.length];
  return edges.slice(1).map((end, at) => batchOf(types, rows.slice(edges[at], end)));
}

async function streamed(plan: Plan<unknown>, one: Case, pick: number): Promise<Value[][]> {
  const [trades, quotes] = [
    arriving(one.rows[0], one.disorder[0], 1n),
    arriving(one.rows[1], one.disorder[1], 1000n),
  ];
  const watermark = (bound: number | null) =>
    bound === null ? {} : { column: "ts", outOfOrderness: `${bound} ms` };
  const run = engines[pick % engines.length]!.stream(
    plan,
    {
      trades: slowly(batchesOf(TRADES, trades, one.cuts[0]), one.waits),
      quotes: slowly(batchesOf(QUOTES, quotes, one.cuts[1]), one.waits.slice(1)),
    },
    {
      watermarks: Object.fromEntries(
        Object.entries({ trades: watermark(one.disorder[0]), quotes: watermark(one.disorder[1]) }).filter(
          ([, mark]) => "column" in mark,
        ),
      ) as never,
    },
  );
  const rows: Value[][] = [];
  for await (const batch of run) rows.push(...valuesOf(fromArrow(batch).batches));
  expect(run.stats.lateRows).toBe(0);
  return rows;
}

async function holds(plan: Plan<unknown>, one: Case, pick: number): Promise<Value[][]> {
  const inputs = { trades: batchOf(TRADES, one.rows[0]), quotes: batchOf(QUOTES, one.rows[1]) };
  const schemas = { trades: inputs.trades.schema, quotes: inputs.quotes.schema };
  const want = runPlan(bind(plan, schemas), { trades: [inputs.trades], quotes: [inputs.quotes] }).rows;
  const batch = valuesOf(fromArrow(await engines[pick % engines.length]!.collect(plan, inputs)).batches);
  expect(multiset(batch)).toEqual(multiset(want));
  expect(multiset(await streamed(plan, one, pick))).toEqual(multiset(want));
  return batch;
}

const trades = () => from("trades") as Plan;
const quotes = () => from("quotes") as Plan;

const asofOptions = fc.record({
  direction: fc.constantFrom("backward" as const, "forward" as const, "nearest" as const),
  tolerance: fc.option(fc.constantFrom("0 ms", "5 ms", "1 second"), { nil: undefined }),
  allowExactMatches: fc.boolean(),
  how: fc.constantFrom("left" as const, "inner" as const),
  by: fc.option(fc.constant(["sym"]), { nil: undefined, freq: 3 }),
});

it("as-of joins: batch, stream and twin agree", { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, asofOptions, fc.nat(2), fc.boolean(), async (one, options, pick, narrow) => {
      let plan = trades().asofJoin(quotes(), { ...options, on: "ts" } as never) as Plan;
      if (narrow) plan = plan.where(col("bid").gt(1), col("qty").gt(0)).select("qty", "bid");
      await holds(plan, one, pick);
    }),
    { numRuns: 120 },
  );
});

it("interval joins: batch, stream and twin agree", { timeout: 120_000 }, async () => {
  const options = fc.record({
    how: fc.constantFrom("inner", "left", "right", "full", "semi", "anti"),
    from: fc.constantFrom("-5 ms", "0 ms", "3 ms", "-300 us"),
    to: fc.constantFrom("4 ms", "5 ms", "30 ms"),
    residual: fc.boolean(),
    keys: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(cases, options, fc.nat(2), async (one, { how, from, to, residual, keys }, pick) => {
      const plan = trades().join(quotes(), {
        how: how as "inner",
        ...(keys ? { on: "sym" } : {}),
        within: { left: "ts", right: "ts", from, to },
        ...(residual ? { residual: col("qty").le(col("bid")) } : {}),
      } as never) as Plan;
      await holds(plan, one, pick);
    }),
    { numRuns: 120 },
  );
});

// ---- DuckDB

async function createTables(one: Case): Promise<void> {
  for (const [at, [name, column]] of [
    ["trades", "qty"],
    ["quotes", "bid"],
  ].entries()) {
    const moment = at === 0 ? "make_timestamp(ts::BIGINT * 1000)" : "make_timestamp(ts::BIGINT)";
    const values = one.rows[at as 0 | 1].map(
      ([sym, ts, value]) => `(${sym === null ? "NULL" : `'${sym}'`}, ${ts ?? "NULL"}, ${value ?? "NULL"})`,
    );
    await duckdb.run(
      `CREATE OR REPLACE TABLE ${name} AS SELECT sym, ${moment} AS ts, ${column}::BIGINT AS ${column} FROM (SELECT NULL::VARCHAR AS sym, NULL::BIGINT AS ts, NULL::BIGINT AS ${column} WHERE false${
        values.length === 0 ? "" : ` UNION ALL VALUES ${values.join(", ")}`
      })`,
    );
  }
}

const loosely = (rows: Rows) => rows.map((row) => row.map((value) => `${value}`).join(" | ")).sort();

it("DuckDB gives the same rows", { timeout: 120_000 }, async () => {
  const distinctTimes = (rows: Rows) => {
    const seen = new Set<string>();
    return rows.filter(([sym, ts]) => {
      const name = `${sym} ${ts}`;
      if (seen.has(name)) return false;
      seen.add(name);
      return true;
    });
  };
  await fc.assert(
    fc.asyncProperty(
      // Which of several rows of one time it takes, DuckDB does not say.
      cases.map((one) => ({ ...one, rows: [one.rows[0], distinctTimes(one.rows[1])] as const })),
      fc.constantFrom("backward" as const, "forward" as const),
      fc.boolean(),
      fc.constantFrom("left" as const, "inner" as const),
      fc.constantFrom("inner" as const, "left" as const, "right" as const, "full" as const),
      async (one, direction, strict, how, within) => {
        await createTables(one);
        const inputs = { trades: batchOf(TRADES, one.rows[0]), quotes: batchOf(QUOTES, one.rows[1]) };
        const check = async (plan: Plan, sql: string) => {
          const theirs = (await (await duckdb.runAndReadAll(sql)).getRows()) as Value[][];
          const ours = valuesOf(fromArrow(await engines[0]!.collect(plan, inputs)).batches);
          expect(loosely(ours), sql).toEqual(loosely(theirs));
        };
        const sign = `${direction === "backward" ? ">" : "<"}${strict ? "" : "="}`;
        await check(
          trades()
            .asofJoin(quotes(), { on: "ts", by: "sym", direction, allowExactMatches: !strict, how } as never)
            .select("sym", "qty", "bid") as Plan,
          `SELECT t.sym, t.qty, q.bid FROM trades t ASOF ${how} JOIN quotes q ON t.sym = q.sym AND t.ts ${sign} q.ts`,
        );
        await check(
          trades()
            .join(quotes(), {
              on: "sym",
              how: within,
              within: { left: "ts", right: "ts", from: "-5 ms", to: "9 ms" },
            } as never)
            .select("qty", "bid") as Plan,
          `SELECT t.qty, q.bid FROM trades t ${within} JOIN quotes q ON t.sym = q.sym AND q.ts BETWEEN t.ts - INTERVAL 5 MILLISECOND AND t.ts + INTERVAL 9 MILLISECOND`,
        );
      },
    ),
    { numRuns: 80 },
  );
});

// ---- plans

describe("plans", () => {
  const T = source("trades", TRADES);
  const Q = source("quotes", QUOTES);
  const schemas = {
    trades: batchOf(TRADES, []).schema,
    quotes: batchOf(QUOTES, []).schema,
  };

  it("name their columns, types and stages", () => {
    const plan = from(T).asofJoin(from(Q), { on: "ts", by: "sym", tolerance: "2 seconds" });
    expect(plan.schema!.fields.map(({ name, nullable }) => [name, nullable])).toEqual([
      ["sym", true],
      ["ts", true],
      ["qty", true],
      ["ts_right", true],
      ["bid", true],
    ]);
    expect(plan.explain()).toContain("left join on sym as of ts, backward, at most 2 seconds away");
    expect(plan.explain()).toContain("let go as the watermarks of both sides pass");
    const within = from(T).join(from(Q), {
      on: "sym",
      within: { left: "ts", right: "ts", from: "-5 seconds", to: "0 seconds" },
    });
    expect(within.explain()).toContain("inner join on sym within ts - ts from -5 seconds to 0 seconds");
    expect(from(T).join(from(Q), { on: "sym" }).explain()).toContain("grows without a bound");
  });

  it("refuse what cannot be", () => {
    const [left, right] = [trades(), quotes()];
    const bound = (plan: Plan<unknown>) => bind(plan, schemas);
    const asof = (options: object) => () => bound(left.asofJoin(right, options as never));
    const within = (options: object) => () =>
      bound(left.join(right, { on: "sym", within: { left: "ts", right: "ts", ...options } } as never));
    expect(asof({ on: "no" })).toThrow(UnknownColumnError);
    expect(asof({ on: "sym" })).toThrow(TypeMismatchError);
    expect(asof({ on: ["ts", "bid"] })).toThrow(/do not compare/);
    expect(asof({ on: 3 })).toThrow(ArgumentError);
    expect(asof({ on: "ts", direction: "sideways" })).toThrow(/"backward", "forward", "nearest"/);
    expect(asof({ on: "ts", how: "full" })).toThrow(ArgumentError);
    expect(asof({ on: "ts", allowExactMatches: 1 })).toThrow(ArgumentError);
    expect(asof({ on: "ts", suffix: "" })).toThrow(ArgumentError);
    expect(asof({ on: "ts", by: 1 })).toThrow(/asofJoin: by takes/);
    expect(asof({ on: "ts", tolerance: 5 })).toThrow(/says its unit/);
    expect(asof({ on: "ts", tolerance: "-1 ms" })).toThrow(/below 0/);
    expect(asof({ on: "ts", tolerance: "1 month" })).toThrow(/months differ in length/);
    expect(asof({ on: ["qty", "bid"], tolerance: 2n ** 63n })).toThrow(PlanError);
    expect(asof({ on: "ts", suffix: "_x", by: { sym: "sym" } })).not.toThrow();
    expect(within({ from: "1 ms" })).toThrow(/to is missing/);
    expect(within({ from: "2 ms", to: "1 ms" })).toThrow(/from is after to/);
    expect(within({ left: 1, from: "2 ms", to: "3 ms" })).toThrow(ArgumentError);
    expect(() =>
      left.join(right, { how: "cross", within: { left: "ts", right: "ts", from: 0, to: 1 } } as never),
    ).toThrow(PlanError);
    expect(() => left.asofJoin(3 as never, { on: "ts" } as never)).toThrow(ArgumentError);
    const dates = batchOf({ ts: date32, sym: int32 }, []).schema;
    expect(() =>
      bind(left.asofJoin(right, { on: "ts", by: "sym" } as never), { ...schemas, quotes: dates }),
    ).toThrow(/do not compare/);
  });

  it("refuse watermarks on other columns than the join's", async () => {
    const plan = from("trades").asofJoin(from("quotes") as Plan, { on: ["qty", "bid"] } as never);
    for (const name of ["trades", "quotes"]) {
      const run = engines[0]!.stream(
        plan,
        { trades: batchOf(TRADES, []), quotes: batchOf(QUOTES, []) },
        { watermarks: { [name]: { column: "ts" } } },
      );
      await expect(run.next()).rejects.toThrow(/is not the (left|right) side's time/);
    }
  });

  it("a window over the left time of the joined rows closes as both watermarks pass", async () => {
    const plan = (trades().asofJoin(quotes(), { on: "ts", by: "sym" } as never) as Plan)
      .window(tumble("ts", "10 ms"))
      .aggregate({ bids: sum("bid"), n: count() }) as Plan;
    const trade = (ms: number): Value[] => ["a", BigInt(ms), 1n];
    const quote = (ms: number, bid: number): Value[] => ["a", BigInt(ms) * 1000n, BigInt(bid)];
    const seen: string[] = [];
    async function* left() {
      for (const ms of [1, 5, 12, 31, 50]) {
        seen.push(`trade ${ms}`);
        yield batchOf(TRADES, [trade(ms)]);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    async function* right() {
      for (const [ms, bid] of [
        [0, 2],
        [4, 3],
        [11, 5],
        [40, 7],
      ] as const) {
        yield batchOf(QUOTES, [quote(ms, bid)]);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const run = engines[0]!.stream(
      plan,
      { trades: left(), quotes: right() },
      { watermarks: { trades: { column: "ts" }, quotes: { column: "ts" } } },
    );
    const rows: Value[][] = [];
    for await (const batch of run) {
      for (const row of valuesOf(fromArrow(batch).batches)) {
        rows.push([row[0]!, ...row.slice(3)]);
        seen.push(`window ${row[0]}`);
      }
    }
    expect(rows).toEqual([
      [0n, 5n, 2n],
      [10n, 5n, 1n],
      [30n, 5n, 1n],
      [50n, 7n, 1n],
    ]);
    expect(seen.indexOf("window 0")).toBeLessThan(seen.indexOf("trade 50"));
    expect(run.stats.lateRows).toBe(0);
  });
});
