// Event time through whole plans: which rows are late for whatever takes them, watermarks through every kind of step,
// times at the ends of their type, and very many windows that are open at once.

import type { RecordBatch } from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  col,
  count,
  cumulate,
  type DataType,
  date32,
  desc,
  Engine,
  from,
  global,
  hop,
  int8,
  int32,
  int64,
  lag,
  MemoryLimitError,
  max,
  OverflowError,
  type Plan,
  rowNumber,
  type StreamOptions,
  session,
  sum,
  timestamp,
  tumble,
  uint8,
  uint64,
  utf8,
  type Window,
} from "../bindings/ts/index.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { type Value, writeBatch } from "../twin/values.js";
import { windowsAround } from "../twin/window.js";
import { fingerprint, resultRows } from "./testing-result.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "1 GiB" });
});
afterAll(() => engine.close());

const TYPES = { id: int64, ts: int64, key: utf8, n: int64 };
type Row = readonly [id: bigint, ts: bigint, key: string, n: bigint];

function batchOf(types: Readonly<Record<string, DataType>>, rows: readonly (readonly Value[])[]): BatchData {
  return writeBatch(
    Object.entries(types).map(([name, type]) => ({ name, type, nullable: true })),
    rows,
  );
}

const rowsBatch = (rows: readonly Row[]) => batchOf(TYPES, rows);

const left = from("t") as Plan;
const right = (from("u") as Plan).select("key", { uid: col("id"), at: col("ts"), m: col("n") });
const NAMES = batchOf({ key: utf8, name: utf8 }, [
  ["a", "first"],
  ["b", "second"],
]);

const figures = (plan: Plan<unknown>, window: Window): Plan<unknown> =>
  (plan as Plan)
    .window(window)
    .groupBy("key")
    .aggregate({ rows: count(), total: sum("n"), newest: max("id") });

/** Steps that take event time: a late row is in no result of theirs, and what is left is that of the other rows. */
const EXACT: Readonly<Record<string, Plan<unknown>>> = {
  tumbling: figures(left, tumble("ts", 10)),
  running: left.over(
    { partitionBy: "key", orderBy: "ts" },
    { row: rowNumber(), total: sum("n"), before: lag("n") },
  ),
  sliding: left.over({ partitionBy: "key", orderBy: "ts", range: [-5, 0] }, { most: max("n") }),
  "the first of each key": left.deduplicate({ by: "key", orderBy: "ts" }),
  "the first in a while": left.deduplicate({ by: "key", orderBy: "ts", within: 7 }),
  "windows of rows": left.countWindow({ by: "key", orderBy: "ts", size: 2 }, { total: sum("n") }),
  "windows behind functions": figures(
    left.over({ partitionBy: "key", orderBy: "ts" }, { row: rowNumber() }),
    tumble("ts", 10),
  ),
  "joined with a table": figures(
    left.join(from("names") as Plan, { on: "key" as never, how: "left" }),
    tumble("ts", 10),
  ),
  "an interval": left.join(right, {
    on: "key" as never,
    within: { left: "ts", right: "at", from: -4, to: 4 } as never,
    suffix: "_u",
  }),
  "as of": left.asofJoin(right, { on: ["ts", "at"], by: "key" } as never) as Plan<unknown>,
};

/** Steps of whose windows a row may miss some, or whose sessions may be gone. */
const PARTLY: Readonly<Record<string, Plan<unknown>>> = {
  hopping: figures(left, hop("ts", 20, 6)),
  cumulating: figures(left, cumulate("ts", 20, 6)),
  sessions: figures(left, session("ts", 5)),
};

async function streamed(
  plan: Plan<unknown>,
  inputs: Readonly<Record<string, object>>,
  options: StreamOptions,
) {
  const [rows, late]: [Value[][], bigint[]] = [[], []];
  const take = (batch: RecordBatch) => {
    const ids = batch.getChild("id") ?? batch.getChild("uid");
    for (const id of ids!) late.push(id as bigint);
  };
  const run = engine.stream(plan, inputs, { ...options, late: take });
  for await (const batch of run) rows.push(...resultRows(batch));
  const { lateRows, partlyLateRows } = run.stats;
  return { rows: fingerprint(rows), late: late.sort((a, b) => Number(a - b)), lateRows, partlyLateRows };
}

describe("late rows", () => {
  const side = fc.array(
    fc.tuple(fc.integer({ min: -3, max: 6 }), fc.nat(40), fc.constantFrom("a", "b", "c"), fc.nat(9)),
    { maxLength: 40 },
  );
  /** Mostly forward, some rows far behind. */
  const inTime = (moves: readonly (readonly [number, number, string, number])[], firstId: number): Row[] => {
    let now = 0;
    return moves.map(([move, back, key, n], at) => {
      now += Math.max(move, 0);
      return [BigInt(firstId + at), BigInt(now - (move < 0 ? back : back % 3)), key, BigInt(n)];
    });
  };
  /** The rows that come when the watermark has passed all of the window of their time, of that many ticks. */
  const behind = (rows: readonly Row[], bound: number, window = 1n): bigint[] => {
    let newest: bigint | null = null;
    return rows.flatMap(([id, ts]) => {
      const watermark = newest === null ? null : newest - BigInt(bound) - 1n;
      if (newest === null || ts > newest) newest = ts;
      const last = ts - (((ts % window) + window) % window) + window - 1n;
      return watermark !== null && last <= watermark ? [id] : [];
    });
  };
  const cutAt = (rows: readonly Row[], size: number) => {
    const batches: BatchData[] = [];
    for (let at = 0; at < rows.length || at === 0; at += size)
      batches.push(rowsBatch(rows.slice(at, at + size)));
    return batches;
  };

  it.each(Object.entries({ ...EXACT, ...PARTLY }))(
    "%s: the same whatever the batches, and none certify the batch's result",
    { timeout: 60_000 },
    async (name, plan) => {
      const cases = fc.record({
        t: side,
        u: side,
        bound: fc.constantFrom(0, 2, 6, 20),
        size: fc.integer({ min: 2, max: 20 }),
      });
      let [some, none] = [0, 0];
      await fc.assert(
        fc.asyncProperty(cases, async ({ t: one, u: other, bound, size }) => {
          const t = inTime(one, 0);
          const u = inTime(other, 1000);
          const isJoin = name === "an interval" || name === "as of";
          const inputs = (cut: (rows: readonly Row[]) => object) => ({
            t: cut(t),
            ...(isJoin ? { u: cut(u) } : {}),
            ...(name === "joined with a table" ? { names: NAMES } : {}),
          });
          const watermarks = Object.fromEntries(
            (isJoin ? ["t", "u"] : ["t"]).map((source) => [source, { column: "ts", outOfOrderness: bound }]),
          );
          const whole = await streamed(plan, inputs(rowsBatch), { watermarks });
          for (const batch of [1, size]) {
            const batches = inputs((rows) => cutAt(rows, batch));
            expect(await streamed(plan, batches, { watermarks, batchRows: batch })).toEqual(whole);
          }
          const { late } = whole;
          expect(late).toHaveLength(whole.lateRows);
          const collect = async (kept: (row: Row) => boolean) =>
            fingerprint(
              resultRows(
                await engine.collect(
                  plan,
                  inputs((rows) => rowsBatch(rows.filter(kept))),
                ),
              ),
            );
          if (name in EXACT) {
            expect(whole.partlyLateRows).toBe(0);
            const windows = ["tumbling", "joined with a table"].includes(name);
            expect(late).toEqual(behind(t, bound, windows ? 10n : 1n).concat(isJoin ? behind(u, bound) : []));
            expect(whole.rows).toEqual(await collect(([id]) => !late.includes(id)));
          } else if (whole.lateRows + whole.partlyLateRows === 0) {
            expect(whole.rows).toEqual(await collect(() => true));
          }
          some += whole.lateRows;
          none += Number(whole.lateRows + whole.partlyLateRows === 0);
        }),
        { numRuns: 40 },
      );
      expect(some).toBeGreaterThan(0);
      expect(none).toBeGreaterThan(0);
    },
  );

  it("of both sides of a join by time are handed over, but for those that a condition leaves out", async () => {
    const plan = (left.where(col("n").lt(5)) as Plan).join(right.where(col("m").gt(0)), {
      within: { left: "ts", right: "at", from: -4, to: 4 } as never,
      suffix: "_u",
    });
    const rows = (first: number, ...events: [ts: number, n: number][]) =>
      events.map(([ts, n], at) => rowsBatch([[BigInt(first + at), BigInt(ts), "a", BigInt(n)]]));
    const inputs = {
      t: rows(0, [10, 1], [5, 1], [6, 9], [20, 1], [19, 2]),
      u: rows(100, [12, 1], [3, 1], [4, 0], [30, 1]),
    };
    const watermarks = { t: { column: "ts" }, u: { column: "ts" } };
    expect(await streamed(plan, inputs, { watermarks })).toMatchObject({ late: [1n, 4n, 101n], lateRows: 3 });
  });

  it("count apart where only some of their windows had closed", async () => {
    const at = (...times: number[]) => times.map((ts, id): Row => [BigInt(id), BigInt(ts), "a", 1n]);
    const run = async (window: Window, ...times: number[]) => {
      const { lateRows, partlyLateRows } = await streamed(
        figures(left, window),
        { t: rowsBatch(at(...times)) },
        {
          watermarks: { t: { column: "ts" } },
        },
      );
      return [lateRows, partlyLateRows];
    };
    expect(await run(tumble("ts", 10), 5, 8, 7, 12, 3)).toEqual([1, 0]);
    expect(await run(hop("ts", 20, 10), 5, 12, 8, 25, 3)).toEqual([1, 1]);
    expect(await run(cumulate("ts", 20, 5), 2, 8, 3, 13, 9)).toEqual([0, 2]);
    // At 17 the session of the first two has gone, which the row at 16 would have continued.
    expect(await run(session("ts", 5), 9, 11, 17, 16)).toEqual([0, 1]);
    expect(await run(session("ts", 5), 9, 11, 17, 12)).toEqual([0, 1]);
    expect(await run(session("ts", 10), 0, 2, 30, 12)).toEqual([1, 0]);
    expect(await run(session("ts", 10), 0, 8, 5)).toEqual([0, 0]);
  });
});

describe("watermarks", () => {
  const names = (plan: Plan, how: "inner" | "left" | "right" | "full" | "semi" | "anti"): Plan =>
    plan.join(from("names") as Plan, { on: "key" as never, how }) as Plan;
  const hourly = (plan: Plan<unknown>, column: string) =>
    (plan as Plan).window(tumble(column, 10, { nullTime: "drop" })).aggregate({ rows: count() });
  const STEPS: Readonly<Record<string, Plan<unknown>>> = {
    "a filter and a projection": hourly(left.where(col("n").ge(0)).select("key", { at: col("ts") }), "at"),
    ...Object.fromEntries(
      (["inner", "left", "right", "full", "semi"] as const).map((how) => [
        `a ${how} join with a table`,
        hourly(names(left, how), "ts"),
      ]),
    ),
    "an anti join with a table": hourly(
      names(left.withColumns({ key: col("key").concat("?") }) as Plan, "anti"),
      "ts",
    ),
    "joins with tables, one behind the other": hourly(
      names(names(left, "semi").where(col("n").ge(0)) as Plan, "inner"),
      "ts",
    ),
    "a union": hourly(left.unionAll(from("t") as Plan), "ts"),
    "a union of joins": hourly(names(left, "semi").unionAll(names(from("t") as Plan, "semi")), "ts"),
    "an interval join": hourly(
      left.join(right, { within: { left: "ts", right: "at", from: -4, to: 4 } as never, suffix: "_u" }),
      "ts",
    ),
    "an as-of join": hourly(left.asofJoin(right, { on: ["ts", "at"], by: "key" } as never), "ts"),
    "a window": hourly(hourly(left, "ts"), "window_time"),
    sessions: hourly(left.window(session("ts", 2)).aggregate({ rows: count() }) as Plan, "window_time"),
    "windows in order": hourly((hourly(left, "ts") as Plan).orderBy("window_end"), "window_end"),
    "window functions": hourly(left.over({ orderBy: "ts" }, { row: rowNumber() }), "ts"),
    "frames that slide": hourly(left.over({ orderBy: "ts", range: [-3, 3] }, { rows: count() }), "ts"),
    "the first of each key": hourly(left.deduplicate({ by: "n", orderBy: "ts" }), "ts"),
    "windows of rows": hourly(left.countWindow({ orderBy: "ts", size: 2 }, { rows: count() }), "window_end"),
  };

  it.each(Object.entries(STEPS))("go through %s", async (_, plan) => {
    const rows = Array.from({ length: 12 }, (_, at): Row => [BigInt(at), BigInt(at * 5), "a", BigInt(at)]);
    let ended = false;
    const each = (mayEnd: boolean) => ({
      async *[Symbol.asyncIterator]() {
        for (const row of rows) {
          yield rowsBatch([row]);
          await new Promise((resolve) => setImmediate(resolve));
        }
        if (mayEnd) ended = true;
      },
    });
    const inputs = { t: each(true), u: each(false), names: NAMES };
    const watermarks = { t: { column: "ts" }, u: { column: "ts" } };
    const used = Object.fromEntries(
      Object.entries(inputs).filter(([name]) => sourceNames(plan).includes(name)),
    );
    const run = engine.stream(plan, used, {
      watermarks: Object.fromEntries(Object.entries(watermarks).filter(([name]) => name in used)),
    });
    const [before, all]: [Value[][], Value[][]] = [[], []];
    for await (const batch of run) {
      if (!ended) before.push(...resultRows(batch));
      all.push(...resultRows(batch));
    }
    expect(before.length).toBeGreaterThan(1);
    expect(run.stats.lateRows + run.stats.partlyLateRows).toBe(0);
    const tables = Object.fromEntries(
      Object.keys(used).map((name) => [name, name === "names" ? NAMES : rowsBatch(rows)]),
    );
    expect(fingerprint(all)).toEqual(fingerprint(resultRows(await engine.collect(plan, tables))));
  });

  it("of a table do not go through the join whose right side it is", async () => {
    const t = [-3n, 0n, 12n].map((ts) => rowsBatch([[ts, ts, "a", 1n]]));
    const plan = hourly(left.join(from("t") as Plan, { on: "ts" as never }), "ts");
    expect(await streamed(plan, { t }, { watermarks: { t: { column: "ts" } } })).toMatchObject({
      rows: fingerprint(resultRows(await engine.collect(plan, { t }))),
      lateRows: 0,
    });
  });

  it("wait behind a join for windows over another column, and for a side that is a stream", async () => {
    const registered = batchOf({ key: utf8, since: int64 }, [["a", 3n]]);
    const plan = hourly(left.join(from("names") as Plan, { on: "key" as never }), "since");
    const t = [1n, 50n, 99n].map((ts) => rowsBatch([[ts, ts, "a", 1n]]));
    const watermarks = { t: { column: "ts" } };
    const one = await streamed(plan, { t, names: registered }, { watermarks });
    expect(one).toMatchObject({ rows: ["bigint:0|bigint:10|bigint:9|bigint:3"], lateRows: 0 });
    let ended = false;
    async function* later() {
      yield registered;
      await new Promise((resolve) => setTimeout(resolve, 5));
      ended = true;
    }
    const over = hourly(left.join(from("names") as Plan, { on: "key" as never }), "ts");
    for await (const _ of engine.stream(over, { t, names: later() }, { watermarks }))
      expect(ended).toBe(true);
  });

  it("that would go back are ignored and counted, from a column and from a function", async () => {
    const fields = { ts: int64, mark: int64 };
    const rows = [
      [1n, null],
      [12n, 9n],
      [13n, 5n],
      [14n, 9n],
      [30n, 2n],
    ];
    const plan = left.window(tumble("ts", 10)).aggregate({ rows: count() });
    const run = async (t: object, watermark: object) => {
      const stream = engine.stream(plan, { t }, { watermarks: { t: { column: "ts", ...watermark } } });
      const seen: Value[][] = [];
      for await (const batch of stream) seen.push(...resultRows(batch));
      expect(seen.map(([start]) => start)).toEqual([0n, 10n, 30n]);
      return stream.stats.backwardWatermarks;
    };
    const whole = batchOf(fields, rows);
    const singles = rows.map((row) => batchOf(fields, [row]));
    const marks = new Map(rows.map(([ts, mark]) => [ts, mark]));
    for (const t of [whole, singles]) {
      expect(await run(t, { punctuation: "mark" })).toBe(2);
      expect(await run(t, { advance: (ts: bigint) => marks.get(ts) ?? null })).toBe(2);
      expect(await run(t, { outOfOrderness: 2n ** 60n })).toBe(0);
      expect(await run(t, {})).toBe(0);
    }
  });
});

it("counts go on from a checkpoint", async () => {
  const fields = { ts: int64, key: utf8, n: int64, mark: int64 };
  const rows = [
    [5n, 11n],
    [12n, 4n],
    [8n, null],
    [30n, 29n],
    [1n, 7n],
    [25n, null],
    [28n, 3n],
  ].map(([ts, mark]) => batchOf(fields, [[ts!, "a", 1n, mark!]]));
  const plan = figures(left.withColumns({ id: col("ts") }) as Plan, hop("ts", 20, 10));
  const watermarks = { t: { column: "ts", punctuation: "mark" } };
  const counts = async (run: ReturnType<Engine["stream"]>) => {
    for await (const _ of run);
    const { lateRows, partlyLateRows, backwardWatermarks } = run.stats;
    return { lateRows, partlyLateRows, backwardWatermarks };
  };
  const whole = await counts(engine.stream(plan, { t: rows }, { watermarks }));
  expect(whole).toEqual({ lateRows: 1, partlyLateRows: 3, backwardWatermarks: 3 });
  for (let at = 1; at < rows.length; at++) {
    let saved: Promise<Uint8Array> | null = null;
    async function* until() {
      yield* rows.slice(0, at);
      saved = run.snapshot();
      await saved;
    }
    const run = engine.stream(plan, { t: until() }, { watermarks });
    for await (const _ of run);
    const rest = engine.stream(plan, { t: rows.slice(at) }, { watermarks, restore: await saved! });
    expect(await counts(rest)).toEqual(whole);
  }
});

/** Of the plan's sources those that the tests give. */
function sourceNames(plan: Plan<unknown>): string[] {
  return ["t", "u", "names"].filter((name) => new RegExp(`(source|from)?\\b${name}\\b`).test(plan.explain()));
}

it("the greatest of each window leave with it", async () => {
  const places = (
    left
      .window(tumble("ts", 10))
      .groupBy("key")
      .aggregate({ total: sum("n") }) as Plan
  )
    .over({ partitionBy: "window_end", orderBy: ["window_end", desc("total")] }, { place: rowNumber() })
    .where(col("place").le(2))
    .select("window_end", "place", "key", "total");
  const keys = ["a", "b", "c"];
  const rows = Array.from(
    { length: 60 },
    (_, at): Row => [BigInt(at), BigInt(at), keys[at % 3]!, BigInt((at * 7) % 11)],
  );
  const expected = Array.from({ length: 6 }, (_, window) => {
    const held = rows.slice(window * 10, window * 10 + 10);
    const totals = keys.map((key) => held.reduce((sum, row) => sum + (row[2] === key ? row[3] : 0n), 0n));
    const order = [0, 1, 2].sort((a, b) => Number(totals[b]! - totals[a]!) || a - b).slice(0, 2);
    return order.map((at, place): Value[] => [
      BigInt(window * 10 + 10),
      BigInt(place + 1),
      keys[at]!,
      totals[at]!,
    ]);
  }).flat();
  expect(fingerprint(resultRows(await engine.collect(places, { t: rowsBatch(rows) })))).toEqual(
    fingerprint(expected),
  );
  const seen: Value[][] = [];
  let read = 0;
  function* arriving() {
    for (const row of rows) {
      read += 1;
      yield rowsBatch([row]);
    }
  }
  const reads: number[] = [];
  for await (const batch of engine.stream(
    places,
    { t: arriving() },
    { watermarks: { t: { column: "ts" } } },
  )) {
    seen.push(...resultRows(batch));
    reads.push(read);
  }
  expect(fingerprint(seen)).toEqual(fingerprint(expected));
  // Row 11 closes the window that ends at 10, and no other window has that end.
  expect(reads[0]).toBe(12);
});

describe("times near the ends of their type", () => {
  const T8 = Array.from({ length: 256 }, (_, at) => BigInt(at));

  it("are dropped and counted where those without a time are: exactly those whose windows do not fit", async () => {
    const cases = fc.record({
      type: fc.constantFrom(int8, uint8),
      kind: fc.constantFrom("tumble", "hop", "cumulate", "session"),
      size: fc.integer({ min: 1, max: 90 }),
      step: fc.integer({ min: 1, max: 90 }),
      offset: fc.integer({ min: -200, max: 200 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ type, kind, size, step: any, offset }) => {
        const step = Math.min(size, any);
        const [low, high] = type === int8 ? [-128n, 127n] : [0n, 255n];
        const times = T8.map((at) => at + low);
        const options = { nullTime: "drop", offset } as const;
        const window = {
          tumble: () => tumble("ts", size, options),
          hop: () => hop("ts", size, step, options),
          cumulate: () => cumulate("ts", size, step, options),
          session: () => session("ts", size, { nullTime: "drop" }),
        }[kind]();
        const [length, by, from] = [BigInt(size), BigInt(kind === "tumble" ? size : step), BigInt(offset)];
        const twin =
          kind === "cumulate"
            ? ({ kind, length, step: by, offset: from } as const)
            : ({ kind: "hop", length, step: by, offset: from } as const);
        const fit = times.filter((time) =>
          kind === "session"
            ? time + length <= high
            : windowsAround(twin, time).every(({ start, end }) => start >= low && end <= high),
        );
        // An argument that fails for every row that is left out.
        const t = batchOf(
          { ts: type, n: int64 },
          [...times, null].map((time) => [time, time !== null && fit.includes(time) ? time : 2n ** 62n]),
        );
        const plan = left.window(window).aggregate({ rows: count(), first: max(col("n").mul(2)) });
        const run = engine.stream(plan, { t }, { watermarks: { t: { column: "ts" } } });
        for await (const batch of run) resultRows(batch);
        expect(run.stats.nullTimes).toBe(257 - fit.length);
        expect(resultRows(await engine.collect(plan, { t })).length > 0).toBe(fit.length > 0);
      }),
      { numRuns: 60 },
    );
  });

  const END = 2n ** 63n - 1n;
  const DAY = 86_400_000_000n;
  it.each<[string, DataType, (nullTime: "error" | "drop") => Window, readonly bigint[], readonly bigint[]]>([
    [
      "microseconds",
      timestamp("us"),
      (nullTime) => hop("ts", "1 hour", "1 minute", { nullTime }),
      [0n, 1n],
      [END, -END],
    ],
    [
      "seconds",
      timestamp("s"),
      (nullTime) => cumulate("ts", "1 hour", "1 minute", { nullTime }),
      [0n],
      [END - 5n],
    ],
    [
      "a session",
      timestamp("ns"),
      (nullTime) => session("ts", "1 s", { nullTime }),
      [-END - 1n, 5n],
      [END - 5n],
    ],
    [
      "days of a zone",
      timestamp("us", "Europe/Berlin"),
      (nullTime) => tumble("ts", "1 day", { nullTime }),
      [0n, END - 3n * DAY],
      [END, -END - 1n],
    ],
    [
      "months",
      date32,
      (nullTime) => tumble("ts", "1 month", { nullTime }),
      [0n, 2n ** 31n - 100n],
      [2n ** 31n - 1n, -(2n ** 31n)],
    ],
    ["unsigned", uint64, (nullTime) => tumble("ts", 10, { nullTime }), [0n, 5n], [2n ** 63n, 2n ** 64n - 1n]],
    ["no window but one", uint64, (nullTime) => global("ts", { nullTime }), [0n, END], [2n ** 63n]],
  ])("of %s are an error, or dropped", async (_, type, window, inside, outside) => {
    const table = (times: readonly bigint[]) =>
      batchOf(
        { ts: type },
        times.map((time) => [time]),
      );
    const plan = (nullTime: "error" | "drop") => left.window(window(nullTime)).aggregate({ rows: count() });
    const total = (rows: readonly Value[][]) => rows.reduce((sum, row) => sum + (row[3] as bigint), 0n);
    for (const far of outside) {
      const t = table([...inside, far]);
      await expect(engine.collect(plan("error"), { t })).rejects.toThrow(
        /does not fit|overflow|out of range|cannot be/i,
      );
      const run = engine.stream(plan("drop"), { t });
      const rows: Value[][] = [];
      for await (const batch of run) rows.push(...resultRows(batch));
      expect(run.stats.nullTimes).toBe(1);
      const rest = resultRows(await engine.collect(plan("error"), { t: table(inside) }));
      expect(fingerprint(rows)).toEqual(fingerprint(rest));
      expect(total(rows) >= BigInt(inside.length)).toBe(true);
    }
  });

  it("are a typed error that names the row", async () => {
    const t = batchOf({ ts: timestamp("ms") }, [[1n], [END]]);
    const plan = left.window(tumble("ts", "1 minute")).aggregate({ rows: count() });
    const error = await engine.collect(plan, { t }).catch((failure) => failure);
    expect(error).toBeInstanceOf(OverflowError);
    expect(error).toMatchObject({ row: 1, column: "ts" });
  });
});

describe("what fails of a row that no window takes", () => {
  const BEYOND = 2n ** 62n;
  const [START, END] = [-(2n ** 63n), 2n ** 63n - 1n];
  const run = async (rows: readonly (readonly [bigint | null, bigint])[]) => {
    const plan = left
      .window(tumble("ts", 10, { nullTime: "drop" }))
      .aggregate({ rows: count(), doubled: sum(col("n").add(col("n"))) });
    const inputs = { t: batchOf({ ts: int64, n: int64 }, rows) };
    return await streamed(plan, inputs, { watermarks: { t: { column: "ts", outOfOrderness: 0 } } });
  };

  it("fails the run where it is late", async () => {
    const fails = run([
      [50n, 1n],
      [5n, BEYOND],
    ]);
    await expect(fails).rejects.toMatchObject({ code: "OVERFLOW", row: 1, value: BEYOND });
  });

  it.each([null, START, START + 19n, END - 19n, END])(
    "is never computed where its time is %s",
    async (time) => {
      expect((await run([[time, BEYOND]])).rows).toEqual([]);
      const inside = [START + 20n, 5n, END - 20n].map((ts) => [ts, 1n] as const);
      expect((await run([...inside, [time, BEYOND]])).rows).toEqual((await run(inside)).rows);
    },
  );
});

describe("a million windows that are open at once", () => {
  const ROWS = 1_000_000;
  const column = (type: DataType, values: BigInt64Array | Int32Array) => ({
    type,
    length: ROWS,
    offset: 0,
    nullCount: 0,
    validity: null,
    offsets: null,
    values: new Uint8Array(values.buffer),
    dictionary: null,
  });
  /** A row every other tick, the last ones first. */
  const table = (): BatchData => ({
    schema: {
      fields: [
        { name: "ts", type: int64, nullable: false },
        { name: "key", type: int32, nullable: false },
      ],
    },
    length: ROWS,
    columns: [
      column(
        int64,
        new BigInt64Array(ROWS).map((_, at) => BigInt((ROWS - 1 - at) * 2)),
      ),
      column(
        int32,
        new Int32Array(ROWS).map((_, at) => at),
      ),
    ],
  });
  const WINDOWS: Readonly<Record<string, [Window, ("key" | "ts")[], number]>> = {
    tumbling: [tumble("ts", 2), [], ROWS],
    hopping: [hop("ts", 4, 2), [], ROWS + 1],
    sessions: [session("ts", 1), ["key"], ROWS],
  };

  // A million hopping ones take more than 1 GiB: a slice that belongs to several windows is kept apart.
  it.each(Object.entries(WINDOWS).filter(([name]) => name !== "hopping"))(
    "%s: results, with memory enough",
    { timeout: 120_000 },
    async (_, [window, keys, windows]) => {
      const plan = left
        .window(window)
        .groupBy(...keys)
        .aggregate({ rows: count() });
      const run = engine.stream(
        plan,
        { t: table() },
        { watermarks: { t: { column: "ts", outOfOrderness: 2 * ROWS } } },
      );
      let [results, last] = [0, -(2n ** 63n)];
      for await (const batch of run) {
        results += batch.numRows;
        for (const end of batch.getChild("window_end")!.toArray() as BigInt64Array) {
          if (end < last) throw new Error(`a window that ends at ${end} after one that ends at ${last}`);
          last = end;
        }
      }
      expect(results).toBe(windows);
      expect(run.stats.lateRows).toBe(0);
    },
  );

  it("of one row", { timeout: 120_000 }, async () => {
    const plan = left.window(hop("ts", ROWS, 1)).aggregate({ rows: count() });
    let results = 0;
    for await (const batch of engine.stream(plan, { t: batchOf({ ts: int64 }, [[5n]]) }))
      results += batch.numRows;
    expect(results).toBe(ROWS);
  });

  it("are an error where memory is short, and the engine goes on", { timeout: 120_000 }, async () => {
    const small = await Engine.open({ memory: "48 MiB" });
    for (const [window, keys] of Object.values(WINDOWS)) {
      const plan = left
        .window(window)
        .groupBy(...keys)
        .aggregate({ rows: count() });
      const watermarks = { t: { column: "ts", outOfOrderness: 2 * ROWS } };
      const run = (async () => {
        for await (const _ of small.stream(plan, { t: table() }, { watermarks }));
      })();
      await expect(run).rejects.toThrow(MemoryLimitError);
      const few = batchOf({ ts: int64, key: int32 }, [[5n, 1n]]);
      expect((await small.collect(plan, { t: few })).numRows).toBeGreaterThan(0);
    }
    await small.close();
  });
});
