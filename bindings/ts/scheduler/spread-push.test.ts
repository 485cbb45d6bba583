// Streams whose rows several workers take: the results, counts, checkpoints and errors of one thread.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { resultRows } from "../../../test/testing-result.js";
import { type Value, writeBatch } from "../../../twin/values.js";
import {
  avg,
  col,
  count,
  countDistinct,
  cube,
  cumulate,
  Engine,
  type EngineOptions,
  from,
  hop,
  int32,
  median,
  min,
  type Plan,
  type RunStats,
  readCheckpoint,
  type StreamOptions,
  sum,
  timestamp,
  tumble,
  variance,
  WorkerError,
} from "../index.js";
import type { BatchData } from "../type/column.js";
import { dictionary, float64, int16, int64, type Schema, utf8 } from "../type/data-type.js";

const SCHEMA: Schema = {
  fields: [
    { name: "at", type: timestamp("ms"), nullable: true },
    { name: "mark", type: timestamp("ms"), nullable: true },
    { name: "few", type: int32, nullable: true },
    { name: "many", type: int64, nullable: true },
    { name: "text", type: utf8, nullable: true },
    { name: "word", type: dictionary(utf8, int16), nullable: true },
    { name: "x", type: float64, nullable: true },
  ],
};

const START = 1_700_000_000_000n;

/** Rows whose times go on by `step` ms a row, and lie up to `disorder` ms behind that. */
function rowsOf(rows: number, step: number, disorder: number, seed: number): Value[][] {
  return Array.from({ length: rows }, (_, row) => {
    const mixed = Math.imul(row + seed, 0x9e3779b1) >>> 0;
    const at = START + BigInt(Math.round(row * step)) - BigInt(disorder === 0 ? 0 : mixed % disorder);
    return [
      mixed % 199 === 0 ? null : at,
      row % 40 === 39 ? START + BigInt(Math.round(row * step) - (disorder >> 1)) : null,
      mixed % 101 === 0 ? null : BigInt(mixed % 7),
      mixed % 97 === 0 ? null : BigInt(mixed % 301) * 1_000_003n,
      mixed % 89 === 0 ? null : `t${mixed % 23}`,
      mixed % 83 === 0 ? null : `w${mixed % 5}`,
      mixed % 79 === 0 ? null : (mixed - 2 ** 31) * 10 ** ((mixed % 40) - 20),
    ];
  });
}

/** Batches of `sizes` rows by turns; one without rows where there are none. */
function cut(rows: readonly Value[][], ...sizes: readonly number[]): BatchData[] {
  const batches: BatchData[] = [];
  for (let start = 0; start < Math.max(1, rows.length); ) {
    const end = start + sizes[batches.length % sizes.length]!;
    batches.push(writeBatch(SCHEMA.fields, rows.slice(start, end)));
    start = end;
  }
  return batches;
}

const t = from("t") as Plan;
const PLANS: Readonly<Record<string, Plan>> = {
  groups: t.groupBy("text").aggregate({ s: sum("x"), a: avg("x"), d: countDistinct("many") }) as Plan,
  "no keys": t.where(col("few").lt(5)).aggregate({ s: sum("x"), v: variance("x"), c: count() }) as Plan,
  "grouping sets": t.groupBy(cube("few", "word")).aggregate({ s: sum("x") }) as Plan,
  tumbling: t
    .window(tumble("at", "2 seconds", { nullTime: "drop" }))
    .groupBy("few", "word")
    .aggregate({ s: sum("x"), l: min("text"), c: count() }) as Plan,
  "tumbling, filtered": t
    .where(col("few").lt(3))
    .window(tumble("at", "700 milliseconds", { nullTime: "drop" }))
    .groupBy("text")
    .aggregate({ s: sum("x"), c: count() }) as Plan,
  hopping: t
    .window(hop("at", "5 seconds", "300 milliseconds", { nullTime: "drop" }))
    .groupBy("few")
    .aggregate({ s: sum("x"), m: median("x") }) as Plan,
  "cumulating, then tumbling": t
    .window(cumulate("at", "6 seconds", "2 seconds", { nullTime: "drop" }))
    .groupBy("few")
    .aggregate({ s: sum("x"), c: count() })
    .window(tumble("window_time", "12 seconds"))
    .aggregate({ s: sum("s"), c: sum("c") }) as Plan,
};

type Clock = "bound" | "mark" | "function" | "none";

/** What says how far the time of "t" is; none where the plan has no window. */
function streamOptions(clock: Clock, disorder: number): StreamOptions {
  const column = "at";
  if (clock === "none") return {};
  if (clock === "mark") return { watermarks: { t: { column, punctuation: "mark" } } };
  if (clock === "function")
    return { watermarks: { t: { column, advance: (time) => time - BigInt(disorder >> 1) } } };
  return { watermarks: { t: { column, outOfOrderness: `${disorder >> 1} milliseconds` } } };
}

type Outcome = {
  /** Each with how many batches had been read when it left. */
  readonly rows: readonly string[];
  readonly counts: Omit<RunStats, "stateBytes" | "batchesOut">;
};

const text = (rows: readonly (readonly Value[])[]) =>
  rows.map((row) => row.map((cell) => (Object.is(cell, -0) ? "-0" : String(cell))).join("|")).sort();

async function outcome(
  engine: Engine,
  plan: Plan,
  data: Iterable<BatchData> | AsyncIterable<BatchData>,
  options: StreamOptions,
): Promise<Outcome> {
  let read = 0;
  async function* source() {
    for await (const batch of data) {
      read++;
      yield batch;
    }
  }
  const run = engine.stream(plan, { t: source() }, options);
  const rows: Value[][] = [];
  for await (const batch of run) rows.push(...resultRows(batch).map((row) => [read, ...row]));
  const { stateBytes: _bytes, batchesOut: _batches, ...counts } = run.stats;
  return { rows: text(rows), counts };
}

async function openReady(options: EngineOptions): Promise<Engine> {
  const engine = await Engine.open(options);
  await engine.ready();
  return engine;
}

const faults = { jitterUs: 50, spreadRows: 8 };

describe("the rows of a stream on several workers", () => {
  let one: Engine;
  /** The other worker takes all that is spread. Slow: it is waited for each time. */
  let shy: Engine;
  const engines: Engine[] = [];
  beforeAll(async () => {
    one = await openReady({ workers: 1, memory: "256 MiB" });
    for (const workers of [2, 3, 7]) engines.push(await openReady({ workers, memory: "256 MiB", faults }));
    shy = await openReady({ workers: 2, memory: "256 MiB", faults: { spreadRows: 8, leavesPieces: true } });
  });
  afterAll(() => Promise.all([one, shy, ...engines].map((engine) => engine.close())));

  const cases = fc.record({
    name: fc.constantFrom(...Object.keys(PLANS)),
    clock: fc.constantFrom<Clock>("bound", "mark", "function"),
    rows: fc.constantFrom(0, 30, 300, 1500),
    step: fc.constantFrom(0, 1, 30, 400),
    disorder: fc.constantFrom(0, 40, 3000),
    sizes: fc.constantFrom([1], [7, 20], [64], [3, 90, 5], [500, 1]),
    seed: fc.nat(1000),
  });

  it("any plan, clock, order and batches: what one thread gives and counts", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async ({ name, clock, rows, step, disorder, sizes, seed }) => {
        const plan = PLANS[name]!;
        const isTimed = !["groups", "no keys", "grouping sets"].includes(name);
        const options = streamOptions(isTimed ? clock : "none", disorder);
        const data = cut(rowsOf(rows, step, disorder, seed), ...sizes);
        const expected = await outcome(one, plan, data, options);
        for (const engine of rows > 30 ? engines : [...engines, shy]) {
          const before = engine.stats().usedBytes;
          expect(await outcome(engine, plan, data, options)).toEqual(expected);
          expect(engine.stats().usedBytes).toBe(before);
        }
      }),
      { numRuns: Number(process.env.MILLRACE_WORKER_ROUNDS ?? 1) * 40 },
    );
  }, 120_000);

  it("windows that only another thread has rows of leave as soon as they are closed", async () => {
    for (const clock of ["bound", "mark", "function"] as const) {
      const options = streamOptions(clock, 0);
      const data = cut(rowsOf(300, 25, 0, 4), 20);
      const expected = await outcome(one, PLANS.tumbling!, data, options);
      expect(await outcome(shy, PLANS.tumbling!, data, options)).toEqual(expected);
    }
  });

  it("others do take rows, and stats say who", async () => {
    const data = cut(rowsOf(4000, 1, 0, 1), 500);
    for (const name of ["groups", "tumbling"]) {
      const engine = engines[1]!;
      const before = engine.stats().workers.each.map(({ morsels }) => morsels);
      // On a busy machine the calling thread may have done everything before another one is awake.
      await vi.waitFor(async () => {
        await outcome(engine, PLANS[name]!, data, streamOptions(name === "groups" ? "none" : "bound", 0));
        const { each } = engine.stats().workers;
        expect(each.every(({ morsels }, worker) => morsels > before[worker]!)).toBe(true);
      }, 30_000);
    }
  });

  it("a stream is saved on some workers and goes on on others", async () => {
    const data = cut(rowsOf(1200, 5, 1500, 3), 100);
    for (const name of ["groups", "grouping sets", "tumbling", "hopping"]) {
      const plan = PLANS[name]!;
      const options = streamOptions(["tumbling", "hopping"].includes(name) ? "bound" : "none", 1500);
      const expected = await outcome(one, plan, data, options);
      const results = expected.rows.map((row) => row.slice(row.indexOf("|") + 1)).sort();
      for (const [first, second] of [
        [engines[0]!, engines[2]!],
        [engines[2]!, one],
        [one, engines[1]!],
      ] as const) {
        const rows: Value[][] = [];
        let saved: Uint8Array | null = null;
        async function* source() {
          for (const [index, batch] of data.entries()) {
            if (index === 7) {
              // The run is waiting for this batch.
              saved = await run.snapshot();
              return;
            }
            yield batch;
          }
        }
        const run = first.stream(plan, { t: source() }, options);
        // What it gives after it was saved is given again.
        for await (const batch of run) if (saved === null) rows.push(...resultRows(batch));
        const rest = second.stream(plan, { t: data.slice(7) }, { ...options, restore: saved! });
        for await (const batch of rest) rows.push(...resultRows(batch));
        expect(text(rows)).toEqual(results);
        const { lateRows, partlyLateRows, nullTimes, rowsIn } = rest.stats;
        expect({ lateRows, partlyLateRows, nullTimes, rowsIn }).toEqual({
          lateRows: expected.counts.lateRows,
          partlyLateRows: expected.counts.partlyLateRows,
          nullTimes: expected.counts.nullTimes,
          rowsIn: expected.counts.rowsIn,
        });
      }
    }
  });

  it("several morsels of a long batch at a turn: the same, also when it is saved between two turns", async () => {
    const rows = Array.from({ length: 700_000 }, (_, row) => [
      BigInt(row % 7),
      BigInt(Math.imul(row, 977) % 5000),
    ]);
    const schema: Schema = {
      fields: [
        { name: "few", type: int32, nullable: true },
        { name: "many", type: int32, nullable: true },
      ],
    };
    const batch = (from: number) => writeBatch(schema.fields, rows.slice(from));
    const whole = batch(0);
    const plan = t.groupBy("few").aggregate({ s: sum("many"), a: avg("many"), c: count() }) as Plan;
    const expected = await outcome(one, plan, [whole], {});
    const results = expected.rows.map((row) => row.slice(row.indexOf("|") + 1));
    const plain = await openReady({ workers: 2, memory: "256 MiB" });
    for (const engine of [plain, engines[1]!]) {
      expect(await outcome(engine, plan, [whole], {})).toEqual(expected);
      for (const asks of [1, 5, 6]) {
        const run = engine.stream(plan, { t: [whole] });
        const going = run.next();
        let bytes: Uint8Array = new Uint8Array();
        // Each is answered after another turn.
        for (let ask = 0; ask < asks; ask++) bytes = await run.snapshot();
        await run.return();
        await going;
        const { rows: read } = readCheckpoint(bytes).sources[0]!;
        expect(read % 65_536 === 0 || read === rows.length).toBe(true);
        const rest = one.stream(plan, { t: [batch(read)] }, { restore: bytes });
        const given: Value[][] = [];
        for await (const part of rest) given.push(...resultRows(part));
        expect(text(given)).toEqual(results);
      }
    }
    await plain.close();
  });

  it("counts may be asked for at any time", async () => {
    const data = cut(rowsOf(2000, 5, 3000, 5), 200);
    const options = streamOptions("bound", 1000);
    const asked = async (engine: Engine) => {
      const seen: unknown[] = [];
      async function* source() {
        for (const batch of data) {
          const { lateRows, partlyLateRows, rowsIn, watermark } = run.stats;
          seen.push([lateRows, partlyLateRows, rowsIn, watermark]);
          yield batch;
        }
      }
      const run = engine.stream(PLANS.tumbling!, { t: source() }, options);
      for await (const _ of run);
      return seen;
    };
    const expected = await asked(one);
    expect(expected.at(-1)).not.toEqual([0, 0, 1800, null]);
    for (const engine of engines) expect(await asked(engine)).toEqual(expected);
  });

  it("the first row that fails is named, and nothing stays behind", async () => {
    const schema: Schema = { fields: [{ name: "v", type: int32, nullable: false }] };
    const data = Array.from({ length: 10 }, (_, at) =>
      writeBatch(
        schema.fields,
        Array.from({ length: 50 }, (_, row) => [at >= 6 && row >= 17 ? 2n ** 30n + BigInt(row) : 1n]),
      ),
    );
    const plan = t.aggregate({ s: sum(col("v").mul(2)) }) as Plan;
    for (const engine of [one, ...engines]) {
      const before = engine.stats().usedBytes;
      await expect(outcome(engine, plan, data, {})).rejects.toMatchObject({ code: "OVERFLOW", row: 317 });
      expect(engine.stats().usedBytes).toBe(before);
      expect(engine.stats().activeRuns).toBe(0);
    }
  });

  it("a stream that is left, or aborted, gives its memory back", async () => {
    const data = cut(rowsOf(3000, 10, 500, 9), 100);
    for (const engine of engines) {
      const before = engine.stats().usedBytes;
      for (let at = 1; at < 30; at += 7) {
        const controller = new AbortController();
        async function* source() {
          for (const [index, batch] of data.entries()) {
            if (index === at) controller.abort(new Error("enough"));
            yield batch;
          }
        }
        const options = { ...streamOptions("bound", 500), signal: controller.signal };
        await expect(async () => {
          for await (const _ of engine.stream(PLANS.tumbling!, { t: source() }, options));
        }).rejects.toThrow("enough");
        expect(engine.stats().usedBytes).toBe(before);
      }
      for await (const _ of engine.stream(PLANS.hopping!, { t: data }, streamOptions("bound", 500))) break;
      expect(engine.stats().usedBytes).toBe(before);
    }
  });
});

describe("threads of a stream", () => {
  it("one that ends fails the stream, and is replaced", async () => {
    const engine = await openReady({ workers: 2, faults: { ...faults, endAt: 40 } });
    const before = engine.stats().usedBytes;
    const data = cut(rowsOf(4000, 1, 0, 1), 100);
    let lost = 0;
    const deadline = performance.now() + 30_000;
    while (lost === 0 && performance.now() < deadline) {
      await outcome(engine, PLANS.groups!, data, {}).catch((error) => {
        expect(error).toBeInstanceOf(WorkerError);
        lost++;
      });
    }
    expect(lost).toBe(1);
    await vi.waitFor(() => expect(engine.stats().usedBytes).toBe(before), 10_000);
    await engine.close();
  });

  it("do not keep a script alive whose stream waits for its source", async () => {
    const held = () => process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;
    const before = held();
    const engine = await openReady({ workers: 3, faults });
    const data = cut(rowsOf(2000, 1, 0, 1), 100);
    let go = () => {};
    let waits = () => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const atGate = new Promise<void>((resolve) => {
      waits = resolve;
    });
    async function* source() {
      yield* data.slice(0, 10);
      waits();
      await gate;
      yield* data.slice(10);
    }
    const running = outcome(engine, PLANS.groups!, source(), {});
    await atGate;
    expect(held()).toBe(before);
    go();
    expect((await running).counts.rowsIn).toBe(2000);
    expect(held()).toBe(before);
    await engine.close();
  });
});
