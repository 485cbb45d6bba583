// Windows on the engine: which rows are late, what closes windows and when, and what state is left.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRows } from "../../../twin/expression.js";
import { runPlan } from "../../../twin/plan.js";
import { type Value, writeBatch } from "../../../twin/values.js";
import { windowTwin } from "../../../twin/window.js";
import { fromArrow } from "../arrow/index.js";
import {
  approxCountDistinct,
  approxQuantile,
  argMax,
  arrayAgg,
  bottomK,
  col,
  count,
  countDistinct,
  cumulate,
  desc,
  Engine,
  first,
  from,
  global,
  hop,
  max,
  median,
  type Plan,
  type StreamOptions,
  session,
  stringAgg,
  sum,
  topK,
  tumble,
  type Window,
} from "../index.js";
import { bind } from "../plan/index.js";
import type { BatchData } from "../type/column.js";
import {
  type DataType,
  date64,
  dictionary,
  int32,
  int64,
  type Schema,
  timestamp,
  utf8,
} from "../type/data-type.js";
import { ArgumentError, MillraceError, OverflowError, PlanError } from "../type/error.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "256 MiB" });
});
afterAll(() => engine.close());

function batchOf(types: Readonly<Record<string, DataType>>, rows: readonly (readonly Value[])[]): BatchData {
  const fields = Object.entries(types).map(([name, type]) => ({ name, type, nullable: true }));
  return writeBatch(fields, rows);
}

function rowsOf(batches: readonly BatchData[]): Value[][] {
  return batches.flatMap(readRows);
}

const sorted = (rows: readonly (readonly Value[])[]) => rows.map((row) => row.map(String).join("|")).sort();

async function streamed(plan: Plan<unknown>, t: object, options: StreamOptions = {}) {
  const rows: Value[][] = [];
  const run = engine.stream(plan, { t }, options);
  for await (const batch of run) rows.push(...rowsOf(fromArrow(batch).batches));
  return { rows, stats: run.stats };
}

const collected = async (plan: Plan<unknown>, t: object) =>
  rowsOf(fromArrow(await engine.collect(plan, { t })).batches);

const EVENTS = { ts: timestamp("ms"), key: utf8, value: int32 };

/** Rows of [milliseconds, key, value], each batch in brackets of its own. */
const events = (...batches: (readonly (readonly [number | null, string, number])[])[]) =>
  batches.map((rows) =>
    batchOf(
      EVENTS,
      rows.map(([ts, key, value]) => [ts === null ? null : BigInt(ts), key, BigInt(value)]),
    ),
  );

const minutes = (window: Window): Plan<unknown> =>
  (from("t") as Plan)
    .window(window)
    .groupBy("key")
    .aggregate({ total: sum("value") });

it("keys and windows that are too many together to compute their groups' numbers", async () => {
  const types = { ts: timestamp("ms"), key: int32, other: int32, value: int32 };
  const plans = [["key"], ["key", "other"]].map((keys) =>
    (from("t") as Plan)
      .window(tumble("ts", "10 ms"))
      .groupBy(...keys)
      .aggregate({ total: sum("value"), n: count() }),
  );
  // Ranges of keys and of windows, all of them wide only where the others are narrow, in batches of their own.
  const draw = fc.record({
    keys: fc.constantFrom(3, 500, 20_000),
    others: fc.constantFrom(2, 40),
    span: fc.constantFrom(10, 4000, 100_000),
    rows: fc.constantFrom(1, 40, 700),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(draw, { minLength: 1, maxLength: 3 }), async (pieces) => {
      let start = 0;
      const batches = pieces.map(({ keys, others, span, rows }) => {
        const from = start;
        start += span;
        return batchOf(
          types,
          Array.from({ length: rows }, (_, row): Value[] => {
            const scattered = Math.imul(row + 1, 2654435761) >>> 0;
            return [
              BigInt(from + (scattered % span)),
              BigInt((scattered >>> 7) % keys),
              BigInt(scattered % others),
              BigInt(row),
            ];
          }),
        );
      });
      for (const plan of plans) {
        const expected = runPlan(bind(plan, { t: batches[0]!.schema }), batches).rows;
        expect(sorted(await collected(plan, batches))).toEqual(sorted(expected));
        const watermarks = { t: { column: "ts", outOfOrderness: "200 seconds" } };
        expect(sorted((await streamed(plan, batches, { watermarks })).rows)).toEqual(sorted(expected));
      }
    }),
    { numRuns: 12 },
  );
});

it("a filter that computes leaves vectors without a row, and its errors name their row", async () => {
  const plan = (from("t") as Plan)
    .where(col("value").add(col("more")).gt(0))
    .window(tumble("ts", "1 second"))
    .aggregate({ n: count(), total: sum("value") });
  const table = (large: number) =>
    writeBatch(
      ["ts", "value", "more"].map((name) => ({
        name,
        type: name === "ts" ? timestamp("ms") : int64,
        nullable: true,
      })),
      Array.from({ length: 6000 }, (_, row): Value[] => [
        BigInt(row),
        row < 2500 ? -1n : BigInt(row % 7),
        row === large ? 2n ** 63n - 1n : 1n,
      ]),
    );
  const seconds = [2, 3, 4, 5].map((second) => {
    const rows = Array.from({ length: 1000 }, (_, row) => second * 1000 + row).filter((row) => row >= 2500);
    const total = rows.reduce((sum, row) => sum + (row % 7), 0);
    return [BigInt(rows.length), BigInt(total)];
  });
  const results = await collected(plan, [table(-1)]);
  expect(sorted(results.map((row) => row.slice(-2)))).toEqual(sorted(seconds));
  await expect(collected(plan, [table(5003)])).rejects.toMatchObject({ code: "OVERFLOW", row: 5003 });
});

describe("corrections", () => {
  const options: StreamOptions = {
    emit: "onUpdate",
    watermarks: { t: { column: "ts", outOfOrderness: "5 ms" } },
  };
  const changes = (plan: Plan<unknown>, t: object) => streamed(plan, t, options);
  /** What the changes leave. */
  const left = (rows: readonly Value[][]) => {
    const names: string[] = [];
    for (const row of rows) {
      const [name] = sorted([row.slice(0, -1)]);
      const kind = Number(row.at(-1));
      if (kind === 0 || kind === 2) names.push(name!);
      else expect(names.splice(names.indexOf(name!), 1)).toEqual([name]);
    }
    return names.sort();
  };

  it("a late row takes the window's result back", async () => {
    const plan = minutes(tumble("ts", "10 ms", { allowedLateness: "20 ms" }));
    const t = events([
      [3, "a", 1],
      [4, "b", 5],
      [30, "a", 2],
      [5, "a", 10],
      [60, "a", 3],
      [6, "a", 100],
    ]);
    const { rows, stats } = await changes(plan, t);
    expect(rows.map(String)).toEqual(["0,10,9,a,11,0", "0,10,9,b,5,0", "30,40,39,a,2,0", "60,70,69,a,3,0"]);
    expect(stats.lateRows).toBe(1);
    const apart = await changes(
      plan,
      events(
        [
          [3, "a", 1],
          [4, "b", 5],
          [30, "a", 2],
        ],
        [[5, "a", 10]],
        [[7, "c", 0]],
      ),
    );
    expect(apart.rows.map(String)).toEqual([
      "0,10,9,a,1,0",
      "0,10,9,b,5,0",
      "0,10,9,a,1,1",
      "0,10,9,a,11,2",
      "0,10,9,c,0,0",
      "30,40,39,a,2,0",
    ]);
  });

  it("a late row that joins two sessions takes both back", async () => {
    const plan = minutes(session("ts", "10 ms", { allowedLateness: "1 s" }));
    const batches = events(
      [
        [0, "a", 1],
        [18, "a", 2],
        [100, "a", 4],
      ],
      [[9, "a", 8]],
    );
    const { rows } = await changes(plan, batches);
    expect(rows.slice(0, 2).map(String)).toEqual(["0,10,9,a,1,0", "18,28,27,a,2,0"]);
    expect(sorted(rows.slice(2, 5))).toEqual(["0|10|9|a|1|3", "0|28|27|a|11|0", "18|28|27|a|2|3"]);
    expect(left(rows)).toEqual(["0|28|27|a|11", "100|110|109|a|4"]);
  });

  it("windows leave early when the watermark passes a multiple", async () => {
    const plan = minutes(tumble("ts", "100 ms", { earlyEvery: "20 ms" }));
    const batches = events([[3, "a", 1]], [[27, "a", 2]], [[30, "a", 4]], [[50, "b", 8]], [[51, "b", 16]]);
    const { rows } = await changes(plan, batches);
    // The first watermark passes one, too.
    expect(rows.map(String)).toEqual([
      "0,100,99,a,1,0",
      "0,100,99,a,1,1",
      "0,100,99,a,3,2",
      "0,100,99,a,3,1",
      "0,100,99,a,7,2",
      "0,100,99,b,8,0",
      "0,100,99,b,8,1",
      "0,100,99,b,24,2",
    ]);
  });

  it("leave what a batch gives, whatever comes when", { timeout: 60_000 }, async () => {
    const early = { allowedLateness: "1 hour", earlyEvery: "7 ms" };
    const late = { allowedLateness: "1 hour" };
    const windowsOf = (extra: object): Window[] => [
      tumble("ts", "10 ms", extra),
      hop("ts", "30 ms", "7 ms", extra),
      hop("ts", "20 ms", "2 ms", extra),
      cumulate("ts", "25 ms", "10 ms", extra),
      session("ts", "6 ms", extra),
    ];
    const cases = fc.record({
      rows: fc.array(fc.tuple(fc.nat(90), fc.constantFrom("a", "b", "ä"), fc.integer({ min: -9, max: 9 })), {
        maxLength: 40,
      }),
      size: fc.integer({ min: 1, max: 40 }),
      window: fc.constantFrom(...windowsOf(early), ...windowsOf(late), global("ts", { earlyEvery: "9 ms" })),
    });
    const property = fc.asyncProperty(cases, async ({ rows, size, window }) => {
      const plan = (from("t") as Plan)
        .window(window)
        .groupBy("key")
        .aggregate({
          total: sum("value"),
          n: countDistinct("value"),
          unlike: sum("value", { distinct: true }),
          middle: median("value"),
          most: max("key"),
          opening: first("key", "value"),
          closing: argMax("value", "key"),
          about: approxCountDistinct("value"),
          tenth: approxQuantile("value", 0.1),
          best: topK("value", 3),
          named: bottomK("key", 2),
          by: topK("key", 2, { by: "value" }),
          all: arrayAgg("value"),
          text: stringAgg("key", "+", { orderBy: "value" }),
        });
      const cut: (typeof rows)[] = [];
      for (let at = 0; at < rows.length; at += size) cut.push(rows.slice(at, at + size));
      const { rows: given, stats } = await changes(plan, events(...(cut.length === 0 ? [[]] : cut)));
      expect(stats.lateRows).toBe(0);
      expect(left(given)).toEqual(sorted(await collected(plan, events(rows))));
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

describe("late rows", () => {
  const cases = fc.record({
    rows: fc.array(fc.tuple(fc.integer({ min: -20, max: 60 }), fc.integer({ min: 0, max: 3 })), {
      maxLength: 40,
    }),
    bound: fc.nat(12),
    filtered: fc.boolean(),
    cuts: fc.array(fc.nat(40), { maxLength: 4 }),
    window: fc
      .tuple(
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 10 }),
        fc.constantFrom("tumble", "hop", "cumulate", "session"),
      )
      .map(([a, b, kind]) => ({ kind, length: BigInt(Math.max(a, b)), step: BigInt(Math.min(a, b)) })),
  });

  it("are those behind the watermark of all rows before them, whatever the batches and filters", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, bound, filtered, cuts, window }) => {
        const { kind, length, step } = window;
        const made = {
          tumble: () => tumble("ts", length),
          session: () => session("ts", length),
          hop: () => hop("ts", length, step),
          cumulate: () => cumulate("ts", length, step),
        };
        let plan = from("t") as Plan;
        if (filtered) plan = plan.where(col("v").gt(0));
        const windowed = plan.window(made[kind]()).aggregate({ total: sum("v"), rows: count() });
        // The twin hears of every row's time, and has only the rows that pass.
        const twin = rows.flatMap(([ts, v], row) => {
          const before = rows.slice(0, row).map(([time]) => time);
          const watermark =
            before.length === 0 ? [] : [{ watermark: BigInt(Math.max(...before) - bound - 1) }];
          return [...watermark, ...(filtered && v === 0 ? [] : [{ row, time: BigInt(ts) }])];
        });
        const expected = windowTwin(
          twin,
          kind === "session" ? { kind, gap: length } : { kind, length, step, offset: 0n },
          null,
          () => "",
        );
        const wanted = expected.windows
          .filter((one) => one.rows.length > 0)
          .map(({ start, end, rows: held }) => {
            const total = held.reduce((all, row) => all + rows[row]![1], 0);
            return [start, end, end - 1n, BigInt(total), BigInt(held.length)];
          });
        const all = rows.map(([ts, v]) => [BigInt(ts), BigInt(v)]);
        const ends = [0, ...cuts.map((at) => Math.min(at, all.length)).sort((a, b) => a - b), all.length];
        const parts = ends
          .slice(1)
          .map((end, at) => batchOf({ ts: int64, v: int32 }, all.slice(ends[at], end)));
        const singles = all.length === 0 ? parts : all.map((row) => batchOf({ ts: int64, v: int32 }, [row]));
        for (const t of [parts, singles]) {
          const { rows: got, stats } = await streamed(windowed, t, {
            watermarks: { t: { column: "ts", outOfOrderness: bound } },
          });
          expect(sorted(got)).toEqual(sorted(wanted));
          expect(stats.lateRows).toBe(expected.late.length);
        }
      }),
      { numRuns: 100 },
    );
  });

  // The operator keeps such a bound itself, vector by vector; a function of the user's is asked row by row.
  it("are the same by a bound and by a function that says the same, whatever a filter lets through", async () => {
    const stream = fc.record({
      rows: fc.integer({ min: 1, max: 9000 }),
      spread: fc.constantFrom(0, 30, 3000),
      rise: fc.constantFrom(0, 0.01, 0.3, 1),
      bound: fc.constantFrom(0, 25, 400),
      kept: fc.constantFrom(0, 0.02, 0.5, 1),
      nulls: fc.constantFrom(0, 0, 0.01, 0.5),
      type: fc.constantFrom<DataType>(int64, int32, dictionary(int64), timestamp("us")),
      window: fc.constantFrom("tumble", "hop", "cumulate", "session"),
      length: fc.constantFrom(40, 200, 1000),
      batch: fc.constantFrom(100, 2500, 10_000),
      seed: fc.nat(),
    });
    await fc.assert(
      fc.asyncProperty(stream, async ({ rows, batch, window, length, type, bound, ...odds }) => {
        let state = odds.seed;
        const draw = () => {
          state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
          return state / 2 ** 32;
        };
        const all = Array.from({ length: rows }, (_, row): Value[] => {
          const ts = BigInt(Math.floor(row * odds.rise - draw() ** 4 * odds.spread));
          const kept = draw() < odds.kept || (odds.kept === 0 && row === rows >> 1);
          return [draw() < odds.nulls ? null : ts, kept ? "yes" : "no", BigInt(row % 5), BigInt(row)];
        });
        const types = { ts: type, kept: dictionary(utf8), key: int32, v: int64 };
        const t: BatchData[] = [];
        for (let at = 0; at < rows; at += batch) t.push(batchOf(types, all.slice(at, at + batch)));
        const timed = (size: number) => (type.kind === "timestamp" ? `${size} us` : size);
        const options = { nullTime: "drop" } as const;
        const made = {
          tumble: () => tumble("ts", timed(length), options),
          session: () => session("ts", timed(length), options),
          hop: () => hop("ts", timed(length), timed((length >> 1) + 1), options),
          cumulate: () => cumulate("ts", timed(length), timed((length >> 2) + 1), options),
        };
        const plan = (from("t") as Plan)
          .where(col("kept").eq("yes"))
          .window(made[window]())
          .groupBy("key")
          .aggregate({ total: sum("v"), n: count() }) as Plan<unknown>;
        const run = async (watermark: object) => {
          const late: Value[][] = [];
          const { rows: got, stats } = await streamed(plan, t, {
            watermarks: { t: { column: "ts", ...watermark } },
            late: (rows) => void late.push(...rowsOf(fromArrow(rows).batches)),
          });
          const { lateRows, nullTimes, watermark: last } = stats;
          return { got: sorted(got), late: sorted(late), lateRows, nullTimes, last };
        };
        const byBound = await run({ outOfOrderness: timed(bound) });
        expect(byBound).toEqual(await run({ advance: (time: bigint) => time - BigInt(bound) - 1n }));
      }),
      { numRuns: 25 },
    );
  });

  it("go to whoever wants them, whole, from batches of any kind", async () => {
    const types = { ts: timestamp("ms"), key: dictionary(utf8), value: int32, note: utf8 };
    const rows: Value[][] = [
      [100_000n, "a", 1n, "first"],
      [5n, "b", null, "late é"],
      [60_001n, null, 3n, ""],
      [6n, null, 4n, null],
      [200_000n, "a", 5n, "x"],
      [60_001n, "b", 6n, "late too"],
    ];
    const expected = [rows[1], rows[3], rows[5]];
    const t = [batchOf(types, rows.slice(0, 3)), batchOf(types, rows.slice(3))];
    const resident = await engine.load(t);
    const plan = minutes(tumble("ts", "1 minute"));
    const watermarks = { t: { column: "ts" } };
    for (const input of [t, resident, rows.map((row) => batchOf(types, [row]))]) {
      const got: Value[][] = [];
      const late = async (batch: object) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        got.push(...rowsOf(fromArrow(batch).batches));
      };
      const { stats } = await streamed(plan, input, { watermarks, late });
      expect(got).toEqual(expected);
      expect(stats.lateRows).toBe(3);
    }
    resident.free();
    const failing = () => Promise.reject(new Error("the sink is full"));
    await expect(streamed(plan, t, { watermarks, late: failing })).rejects.toThrow("the sink is full");
    await expect(streamed(plan, t, { watermarks, late: "keep" as never })).rejects.toThrow(ArgumentError);
    expect(engine.stats().activeRuns).toBe(0);
  });

  it("are counted and leave no trace", async () => {
    const t = events(
      [
        [0, "a", 1],
        [60_000, "a", 2],
      ],
      [
        [59_999, "a", 4],
        [61_000, "b", 8],
      ],
    );
    const { rows, stats } = await streamed(minutes(tumble("ts", "1 minute")), t, {
      watermarks: { t: { column: "ts" } },
    });
    expect(rows).toEqual([
      [0n, 60_000n, 59_999n, "a", 1n],
      [60_000n, 120_000n, 119_999n, "a", 2n],
      [60_000n, 120_000n, 119_999n, "b", 8n],
    ]);
    expect(stats).toMatchObject({ lateRows: 1, nullTimes: 0, watermark: 60_999n });
  });
});

describe("windows close", () => {
  /** Results by the number of batches that had been read when they came. */
  async function timed(plan: Plan<unknown>, t: readonly BatchData[], options: StreamOptions) {
    const seen: string[] = [];
    let read = 0;
    async function* source() {
      for (const batch of t) {
        read += 1;
        yield batch;
      }
      read = Number.POSITIVE_INFINITY;
    }
    for await (const batch of engine.stream(plan, { t: source() }, options)) {
      for (const row of rowsOf(fromArrow(batch).batches)) seen.push(`${read}: ${row.join(" ")}`);
    }
    return seen;
  }

  const three = events([[1_000, "a", 1]], [[61_000, "a", 2]], [[125_000, "a", 4]]);

  it("when the watermark reaches their last moment", async () => {
    const plan = minutes(tumble("ts", "1 minute"));
    expect(
      await timed(plan, three, { watermarks: { t: { column: "ts", outOfOrderness: "1 s 1 ms" } } }),
    ).toEqual(["3: 0 60000 59999 a 1", "3: 60000 120000 119999 a 2", "Infinity: 120000 180000 179999 a 4"]);
    const [first] = await timed(plan, three, { watermarks: { t: { column: "ts", outOfOrderness: "1 s" } } });
    expect(first).toBe("2: 0 60000 59999 a 1");
  });

  it("at the end of input where no watermark is declared", async () => {
    expect(
      (await timed(minutes(tumble("ts", "1 minute")), three, {})).every((line) =>
        line.startsWith("Infinity"),
      ),
    ).toBe(true);
  });

  it("by a column of watermarks, and by a function of the user's", async () => {
    const plan = (from("t") as Plan).window(tumble("ts", 10)).aggregate({ n: count() });
    const marked = [[[1n, null]], [[12n, 9n]], [[8n, null]], [[30n, 29n]]].map((rows) =>
      batchOf({ ts: int64, mark: int64 }, rows as Value[][]),
    );
    expect(await timed(plan, marked, { watermarks: { t: { column: "ts", punctuation: "mark" } } })).toEqual([
      "2: 0 10 9 1",
      "4: 10 20 19 1",
      "Infinity: 30 40 39 1",
    ]);
    const advance = (time: bigint) => (time === 30n ? 29n : null);
    expect(await timed(plan, marked, { watermarks: { t: { column: "ts", advance } } })).toEqual([
      "4: 0 10 9 2",
      "4: 10 20 19 1",
      "Infinity: 30 40 39 1",
    ]);
  });

  it("one inside the other, whose rows are never late", async () => {
    const inner = (from("t") as Plan)
      .window(tumble("ts", "1 minute"))
      .groupBy("key")
      .aggregate({ total: sum("value") });
    const outer = inner
      .window(tumble("window_time", "1 hour"))
      .aggregate({ minutes: count(), total: sum("total") });
    const t = Array.from(
      { length: 200 },
      (_, minute) =>
        events([
          [minute * 60_000, "a", minute],
          [minute * 60_000 + 1, "b", 1],
        ])[0]!,
    );
    const { rows, stats } = await streamed(outer, t, { watermarks: { t: { column: "ts" } } });
    expect(sorted(rows)).toEqual(sorted(runPlan(bind(outer, { t: t[0]!.schema }), t).rows));
    expect(stats.lateRows).toBe(0);
    const seen = await timed(outer, t, { watermarks: { t: { column: "ts" } } });
    expect(seen.slice(0, 3).map((line) => Number(line.split(":")[0]))).toEqual([61, 121, 181]);
  });

  it("over dates, whose last moment is a date, with a watermark in the middle of a day", async () => {
    const dayMs = 86_400_000n;
    const t = Array.from({ length: 40 }, (_, at) =>
      batchOf({ ts: date64, value: int64 }, [[BigInt(at) * dayMs, BigInt(at)]]),
    );
    const inner = (from("t") as Plan).window(tumble("ts", "2 days")).aggregate({ total: sum("value") });
    const plan = inner.over({ orderBy: "window_time" }, { soFar: sum("total") }) as Plan;
    const { rows, stats } = await streamed(plan, t, {
      watermarks: { t: { column: "ts", outOfOrderness: "12 hours" } },
    });
    expect(stats.lateRows).toBe(0);
    expect(sorted(rows)).toEqual(sorted(runPlan(bind(plan, { t: t[0]!.schema }), { t }).rows));
    expect(rows.map(([, , time]) => time)).toEqual(
      Array.from({ length: 20 }, (_, at) => BigInt(2 * at + 1) * dayMs),
    );
  });

  it("in the order that is asked for, as they close", async () => {
    const rows = (minute: number): [number, string, number][] =>
      [..."cab"].map((key, at) => [minute * 60_000 + at, key, minute]);
    const t = events(rows(0), rows(1), rows(2));
    const watermarks = { t: { column: "ts" } };
    const plan = minutes(tumble("ts", "1 minute")) as Plan;
    const byKey = plan.select("window_start", "window_end", "key").orderBy("window_end", "key");
    expect(await timed(byKey, t, { watermarks })).toEqual([
      ...["2: 0 60000 a", "2: 0 60000 b", "2: 0 60000 c"],
      ...["3: 60000 120000 a", "3: 60000 120000 b", "3: 60000 120000 c"],
      ...["Infinity: 120000 180000 a", "Infinity: 120000 180000 b", "Infinity: 120000 180000 c"],
    ]);
    const first = plan.orderBy("window_start", desc("key")).limit(4, 1).select("window_end", "key");
    expect(await timed(first, t, { watermarks })).toEqual([
      "2: 60000 b",
      "2: 60000 a",
      "3: 120000 c",
      "3: 120000 b",
    ]);
    const backwards = plan.orderBy(desc("window_end"), "key");
    const seen = await timed(backwards, t, { watermarks });
    expect(seen.every((line) => line.startsWith("Infinity"))).toBe(true);
    for (const one of [byKey, first, backwards]) {
      expect((await streamed(one, t, { watermarks })).rows).toEqual(await collected(one, t));
    }
    expect(engine.stats().activeRuns).toBe(0);
  });

  it("sessions when no row can join them any more, and windows over sessions after that", async () => {
    const visits = (from("t") as Plan).window(session("ts", "30 s")).groupBy("key").aggregate({ n: count() });
    const t = events([[1_000, "a", 1]], [[31_000, "a", 1]], [[61_000, "b", 1]], [[61_001, "b", 1]]);
    // A row of "a" at 61,000 would still have joined: it is the end of the first session.
    expect(await timed(visits, t, { watermarks: { t: { column: "ts" } } })).toEqual([
      "4: 1000 61000 60999 a 2",
      "Infinity: 61000 91001 91000 b 2",
    ]);
    const perMinute = visits.window(tumble("window_time", 61_000 as never)).aggregate({ n: count() });
    expect(() => bind(perMinute, { t: t[0]!.schema })).toThrow(PlanError);
    const outer = visits.window(tumble("window_time", "61 s")).aggregate({ visits: count() });
    const { rows, stats } = await streamed(outer, t, { watermarks: { t: { column: "ts" } } });
    expect(rows).toEqual(await collected(outer, t));
    expect(stats.lateRows).toBe(0);
  });

  it("at the end behind what holds rows back: no row comes late to them", async () => {
    const last = (from("t") as Plan).groupBy("key").aggregate({ n: count() });
    const plan = last.window(tumble("n", 10)).aggregate({ keys: count() });
    const { rows, stats } = await streamed(plan, three, { watermarks: { t: { column: "ts" } } });
    expect(rows).toEqual([[0n, 10n, 9n, 1n]]);
    expect(stats.lateRows).toBe(0);
  });

  it("over a cast of the time column, in its unit", async () => {
    const plan = (from("t") as Plan)
      .withColumns({ at: col("ts").cast(timestamp("s")) })
      .window(tumble("at", "1 minute"))
      .aggregate({ n: count() });
    const seen = await timed(plan, three, { watermarks: { t: { column: "ts", outOfOrderness: "1 s" } } });
    expect(seen[0]).toBe("2: 0 60 59 1");
  });
});

describe("months and the days of a zone", () => {
  const zoned = { ts: timestamp("ms", "Europe/Berlin"), v: int32 };
  const hours = (from: string, count: number) =>
    Array.from({ length: count }, (_, hour) => [BigInt(Date.parse(from) + hour * 3_600_000), 1n]);

  it("have their own lengths", async () => {
    // Clocks go forward on 2026-03-29 and back on 2026-10-25.
    for (const [start, lengths] of [
      ["2026-03-27T23:00:00Z", [24n, 23n, 24n]],
      ["2026-10-23T22:00:00Z", [24n, 25n, 24n]],
    ] as const) {
      const plan = (from("t") as Plan).window(tumble("ts", "1 day")).aggregate({ n: count() });
      const rows = await collected(plan, batchOf(zoned, hours(start, 71 + Number(lengths[1]! - 23n))));
      expect(rows.map((row) => row[3])).toEqual(lengths);
      expect(rows.map((row) => ((row[1] as bigint) - (row[0] as bigint)) / 3_600_000n)).toEqual(lengths);
      expect(rows[0]![0]).toBe(BigInt(Date.parse(start)));
    }
  });

  it("close in a stream when their last moment has passed", async () => {
    const t = hours("2026-01-30T12:00:00Z", 24 * 40).map((row) => batchOf(zoned, [row]));
    for (const window of [
      tumble("ts", "1 month"),
      hop("ts", "2 months", "1 month"),
      tumble("ts", "1 day"),
      cumulate("ts", "1 week", "1 day"),
    ]) {
      const plan = (from("t") as Plan).window(window).aggregate({ n: count() });
      const { rows, stats } = await streamed(plan, t, { watermarks: { t: { column: "ts" } } });
      expect(rows).toEqual(await collected(plan, t));
      expect(rows).toEqual(runPlan(bind(plan, { t: t[0]!.schema }), t).rows);
      expect(stats.lateRows).toBe(0);
    }
  });
});

describe("rows without a time", () => {
  const t = events(
    [
      [0, "a", 1],
      [null, "a", 2],
    ],
    [
      [null, "b", 4],
      [1, "a", 8],
    ],
  );

  it("are an error that names the row", async () => {
    const error = (await collected(minutes(tumble("ts", "1 minute")), t).catch(
      (failure) => failure,
    )) as MillraceError;
    expect(error).toBeInstanceOf(MillraceError);
    expect(error.message).toMatch(/column "ts", row 1: .*time.*null/);
    expect(error).toMatchObject({ row: 1, column: "ts" });
    await expect(streamed(minutes(hop("ts", "1 minute", "30 s")), t)).rejects.toThrow(/row 1/);
  });

  it("are dropped and counted when asked for", async () => {
    for (const window of [
      tumble("ts", "1 minute", { nullTime: "drop" }),
      global("ts", { nullTime: "drop" }),
    ]) {
      const { rows, stats } = await streamed(minutes(window), t, { watermarks: { t: { column: "ts" } } });
      expect(rows.map((row) => row.slice(3))).toEqual([["a", 9n]]);
      expect(stats.nullTimes).toBe(2);
    }
  });
});

describe("what is refused", () => {
  it("watermarks that say nothing of the windows", async () => {
    const t = [batchOf({ ts: timestamp("ms"), other: timestamp("ms") }, [[1n, 2n]])];
    const watermarks = { t: { column: "other" } };
    const run = (plan: Plan<unknown>) => streamed(plan, t, { watermarks });
    const plan = (from("t") as Plan).window(tumble("ts", "1 s")).aggregate({ n: count() });
    await expect(run(plan)).rejects.toThrow(
      /watermark of "t" is on "other".*windows over "ts".*: window over "other"/,
    );
    const computed = (from("t") as Plan)
      .withColumns({ later: col("other").plus("1 hour") })
      .window(tumble("later", "1 s"))
      .aggregate({ n: count() });
    await expect(run(computed)).rejects.toThrow(PlanError);
    const nested = (from("t") as Plan)
      .window(tumble("other", "1 s"))
      .aggregate({ n: count() })
      .window(tumble("window_start", "1 minute"))
      .aggregate({ n: count() });
    await expect(run(nested)).rejects.toThrow(/window over its window_time/);
    await expect(streamed(plan, t, { watermarks: { s: { column: "ts" } } })).rejects.toThrow(ArgumentError);
    expect(await collected(plan, t)).toEqual([[0n, 1000n, 999n, 1n]]);
  });

  it("corrections on close", async () => {
    const plan = minutes(tumble("ts", "1 minute", { allowedLateness: "1 hour" }));
    await expect(streamed(plan, events([[0, "a", 1]]))).rejects.toThrow(/allowedLateness/);
    expect(await collected(plan, events([[0, "a", 1]]))).toEqual([[0n, 60_000n, 59_999n, "a", 1n]]);
  });

  it("bounds that the time column cannot hold", async () => {
    const t = batchOf({ ts: { kind: "int", bits: 8, signed: true }, v: int32 }, [[120n, 1n]]);
    const plan = (from("t") as Plan).window(tumble("ts", 100)).aggregate({ n: count() });
    await expect(collected(plan, t)).rejects.toThrow(OverflowError);
    await expect(collected(plan, t)).rejects.toThrow(/"window_end": 200 does not fit int8/);
  });
});

describe("state", () => {
  it("falls away with the watermark: a month of minutes takes no more than a day", async () => {
    const schema: Schema = {
      fields: ["ts", "key"].map((name) => ({
        name,
        type: name === "ts" ? timestamp("s") : int32,
        nullable: false,
      })),
    };
    const ROWS = 8_000;
    function* days(count: number) {
      for (let day = 0; day < count; day++) {
        const ts = new BigInt64Array(ROWS).map((_, row) =>
          BigInt(day * 86_400 + Math.floor((row * 86_400) / ROWS)),
        );
        const key = new Int32Array(ROWS).map((_, row) => row % 200);
        const columns = [ts, key].map((values, at) => ({
          type: schema.fields[at]!.type,
          length: ROWS,
          offset: 0,
          nullCount: 0,
          validity: null,
          offsets: null,
          values: new Uint8Array(values.buffer),
          dictionary: null,
        }));
        yield { schema, length: ROWS, columns };
      }
    }
    const plan = (from("t") as Plan)
      .window(hop("ts", "1 hour", "10 minutes"))
      .groupBy("key")
      .aggregate({ n: count() });
    async function peak(count: number) {
      let [most, rows] = [0, 0];
      const run = engine.stream(
        plan,
        { t: days(count) },
        { watermarks: { t: { column: "ts", outOfOrderness: "1 minute" } } },
      );
      for await (const batch of run) {
        rows += batch.numRows;
        most = Math.max(most, run.stats.stateBytes);
      }
      expect(rows).toBeGreaterThan(count * 20_000);
      return most;
    }
    const [day, month] = [await peak(1), await peak(30)];
    expect(month).toBeLessThan(1.5 * day);
    expect(engine.stats().activeRuns).toBe(0);
  });
});
