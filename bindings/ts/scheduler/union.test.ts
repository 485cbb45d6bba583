// Watermarks of several sources: the least of them through a union, also through one inside the other, and without
// those that have ended or are idle.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readRows } from "../../../twin/expression.js";
import { runPlan } from "../../../twin/plan.js";
import { type Value, writeBatch } from "../../../twin/values.js";
import { fromArrow } from "../arrow/index.js";
import { col, count, Engine, from, type Plan, rowNumber, type StreamOptions, sum, tumble } from "../index.js";
import { bind } from "../plan/index.js";
import type { BatchData } from "../type/column.js";
import { int32, timestamp } from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";
import { UnionStep } from "./union-step.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "64 MiB" });
});
afterAll(() => engine.close());

type Event = readonly [ts: number, n: number];

function batchOf(events: readonly Event[]): BatchData {
  const fields = [
    { name: "ts", type: timestamp("ms"), nullable: true },
    { name: "n", type: int32, nullable: true },
  ];
  return writeBatch(
    fields,
    events.map((event) => event.map(BigInt)),
  );
}

function rowsOf(batch: object): Value[][] {
  return fromArrow(batch).batches.flatMap(readRows);
}

const sorted = (rows: readonly (readonly Value[])[]) => rows.map((row) => row.join("|")).sort();
const side = (name: string) => from(name) as Plan;
const windows = (plan: Plan<unknown>) =>
  (plan as Plan).window(tumble("ts", "10 ms")).aggregate({ total: sum("n"), rows: count() });

const PLANS: Readonly<Record<string, Plan<unknown>>> = {
  windows: windows(side("a").unionAll(side("b"))),
  nested: windows(side("a").unionAll(side("b").where(col("n").gt(1)).unionAll(side("c")))),
  ordered: windows(side("a").unionAll(side("b"))).orderBy("window_end"),
  functions: side("a")
    .unionAll(side("b"))
    .over({ orderBy: "ts" }, { row: rowNumber(), total: sum("n") }),
  inside: windows(side("a"))
    .unionAll(windows(side("b")))
    .window(tumble("window_time", "20 ms"))
    .aggregate({ all: sum("total") }),
};

it("gives the batch's rows in a stream, none of them late", { timeout: 240_000 }, async () => {
  const events = fc.array(fc.array(fc.tuple(fc.nat(60), fc.nat(3)), { maxLength: 12 }), { maxLength: 4 });
  const cases = fc.record({ a: events, b: events, c: events, plan: fc.constantFrom(...Object.keys(PLANS)) });
  await fc.assert(
    fc.asyncProperty(cases, async ({ plan: name, ...given }) => {
      const plan = PLANS[name]!;
      const used = name === "nested" ? ["a", "b", "c"] : ["a", "b"];
      // Each source's rows are in order, batches are cut anywhere.
      const inputs = Object.fromEntries(
        used.map((source) => {
          const batches = given[source as "a"];
          const rows = batches.flat().sort((one, other) => one[0] - other[0]);
          const cut = batches.map(({ length }) => batchOf(rows.splice(0, length)));
          return [source, cut.length === 0 ? [batchOf([])] : cut];
        }),
      );
      const schemas = Object.fromEntries(used.map((source) => [source, inputs[source]![0]!.schema]));
      const expected = sorted(runPlan(bind(plan, schemas), inputs).rows);
      const watermarks = Object.fromEntries(used.map((source) => [source, { column: "ts" }]));
      const rows: Value[][] = [];
      const run = engine.stream(plan, inputs, { watermarks });
      for await (const batch of run) rows.push(...rowsOf(batch));
      expect(run.stats.lateRows).toBe(0);
      expect(sorted(rows)).toEqual(expected);
      expect(sorted(rowsOf(await engine.collect(plan, inputs)))).toEqual(expected);
    }),
    { numRuns: 25 },
  );
});

/** A source that gives what it is told, when it is told. */
class Tap {
  readonly #queue: { readonly events: readonly Event[] | null; readonly taken: () => void }[] = [];
  #wake: () => void = () => {};

  /** Null ends it. Resolves when all that was given has been dealt with. */
  give(events: readonly Event[] | null): Promise<void> {
    return new Promise((taken) => {
      this.#queue.push({ events, taken });
      this.#wake();
    });
  }

  async *[Symbol.asyncIterator]() {
    yield batchOf([]);
    for (;;) {
      const next = this.#queue.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (next.events === null) {
        next.taken();
        return;
      }
      yield batchOf(next.events);
      next.taken();
    }
  }
}

describe("windows over a union", () => {
  async function taps(options: StreamOptions, act: (a: Tap, b: Tap, seen: string[]) => Promise<void>) {
    const [a, b] = [new Tap(), new Tap()];
    const seen: string[] = [];
    const run = engine.stream(PLANS.windows!, { a, b }, options);
    const reading = (async () => {
      for await (const batch of run) {
        for (const [, end, , total] of rowsOf(batch)) seen.push(`${end}: ${total}`);
      }
    })();
    await act(a, b, seen);
    await reading;
    return { seen, stats: run.stats };
  }

  const WAIT = { timeout: 30_000 };

  it("close at the lesser watermark, and go on without an input that has ended", async () => {
    const watermarks = { a: { column: "ts" }, b: { column: "ts" } };
    await taps({ watermarks }, async (a, b, seen) => {
      await a.give([[1, 1]]);
      await a.give([[25, 2]]);
      expect(seen).toEqual([]);
      await b.give([[12, 4]]);
      expect(seen).toEqual(["10: 1"]);
      await b.give(null);
      await vi.waitFor(() => expect(seen).toEqual(["10: 1", "20: 4"]), WAIT);
      await a.give(null);
    });
  });

  it("go on without an idle input, which comes back", async () => {
    const watermarks = { a: { column: "ts" }, b: { column: "ts", idleTimeout: "40 ms" } };
    const { seen, stats } = await taps({ watermarks }, async (a, b, seen) => {
      await a.give([[1, 1]]);
      await a.give([[25, 2]]);
      await vi.waitFor(() => expect(seen).toEqual(["10: 1"]), WAIT);
      // Its first row is late, its second in time.
      await b.give([
        [5, 8],
        [22, 16],
      ]);
      await b.give(null);
      await a.give(null);
    });
    expect(seen).toEqual(["10: 1", "30: 18"]);
    expect(stats.lateRows).toBe(1);
  });

  it("wait for the end where one input has no watermark", async () => {
    const { seen } = await taps({ watermarks: { a: { column: "ts" } } }, async (a, b, seen) => {
      await a.give([[1, 1]]);
      await a.give([[95, 2]]);
      expect(seen).toEqual([]);
      await b.give(null);
      await a.give(null);
    });
    expect(seen).toEqual(["10: 1", "100: 2"]);
  });

  it.each(["soon", "0 seconds", "1 month", 5])("an idle timeout of %j is refused", async (idleTimeout) => {
    const watermarks = { a: { column: "ts", idleTimeout: idleTimeout as string } };
    const run = engine.stream(PLANS.windows!, { a: batchOf([]), b: batchOf([]) }, { watermarks });
    await expect(run.next()).rejects.toThrow(ArgumentError);
  });
});

it("a union counts an idle input again with its next row, and one that has ended no more", () => {
  const union = new UnionStep(batchOf([]).schema, true);
  union.watermark(30n, 0);
  expect(union.joined).toBeNull();
  expect(union.setIdle(1, true)).toBe(false);
  expect(union.joined).toBe(30n);
  expect(union.setIdle(0, true)).toBe(true);
  expect(union.joined).toBeNull();
  expect(union.setIdle(1, false)).toBe(true);
  union.watermark(20n, 1);
  union.watermark(10n, 1);
  expect(union.joined).toBe(20n);
  expect(union.setIdle(0, false)).toBe(false);
  union.finish(1);
  union.watermark(40n, 0);
  expect(union.joined).toBe(40n);
});
