// What engines tell of their queries, by `stats()` and to a meter.

import { expect, it } from "vitest";
import { writeColumn } from "../../../twin/values.js";
import { ArgumentError, Engine, from, int32, type MetricsMeter, sum } from "../index.js";
import type { BatchData } from "../type/column.js";

const ROWS = 1000;
const batch: BatchData = {
  schema: { fields: [{ name: "v", type: int32, nullable: false }] },
  length: ROWS,
  columns: [
    writeColumn(
      int32,
      Array.from({ length: ROWS }, (_, row) => BigInt(row)),
    ),
  ],
};
const batches = Array.from({ length: 10 }, () => batch);
const plan = from("t").aggregate({ s: sum("v") });

/** A meter that notes what it is told: name, value, attributes. */
class NotingMeter implements MetricsMeter {
  readonly told: [string, number, Record<string, string> | undefined][] = [];
  readonly #gauges = new Map<string, Set<(result: never) => void>>();

  createCounter(name: string) {
    return {
      add: (value: number, attributes?: Record<string, string>) => this.told.push([name, value, attributes]),
    };
  }

  createHistogram(name: string) {
    return {
      record: (value: number, attributes?: Record<string, string>) =>
        this.told.push([name, value, attributes]),
    };
  }

  createObservableGauge(name: string) {
    const callbacks = new Set<(result: never) => void>();
    this.#gauges.set(name, callbacks);
    return {
      addCallback: (callback: (result: never) => void) => callbacks.add(callback),
      removeCallback: (callback: (result: never) => void) => callbacks.delete(callback),
    };
  }

  observe(name: string): number[] {
    const values: number[] = [];
    for (const callback of this.#gauges.get(name)!)
      callback({ observe: (value: number) => values.push(value) } as never);
    return values;
  }

  values(name: string): number[] {
    return this.told.filter(([told]) => told === name).map(([, value]) => value);
  }
}

it.each([1, 2])("counts rows, bytes, morsels and time of each query, with %i workers", async (workers) => {
  const engine = await Engine.open({ workers });
  await engine.ready();
  const seen: unknown[] = [];
  const table = await engine.load(batches);
  const progress = ({ rows }: { rows: number }) => {
    if (rows > 0) seen.push(...engine.stats().queries);
  };
  await engine.collect(plan, { t: table }, { progress });
  expect(seen.at(-1)).toMatchObject({
    id: 1,
    mode: "batch",
    rowsIn: 10 * ROWS,
    batchesIn: 10,
    bytesIn: 40 * ROWS,
    morsels: 10,
  });
  const { queries, finished } = engine.stats();
  expect(queries).toEqual([]);
  expect(finished).toMatchObject({
    completed: 1,
    ended: 0,
    rowsIn: 10 * ROWS,
    bytesIn: 40 * ROWS,
    rowsOut: 1,
  });
  expect(finished.runningMs).toBeGreaterThan(0);
  await engine.collect(plan, { t: table }, { result: "kernel" }).then((kept) => kept.free());
  expect(engine.stats().finished).toMatchObject({ completed: 2, rowsOut: 2, morsels: 20 });

  const run = engine.stream(plan, { t: batches });
  const next = run.next();
  expect(engine.stats().queries).toMatchObject([{ id: 3, mode: "stream" }]);
  expect(engine.stats().queries[0]!.workers.length).toBe(workers === 1 ? 0 : workers);
  await next;
  await run.return();
  expect(engine.stats().queries).toEqual([]);
  expect(engine.stats().finished).toMatchObject({ completed: 2, ended: 1, rowsIn: 30 * ROWS });
  table.free();
  await engine.close();
});

it("says what each worker has done for a query", async () => {
  const engine = await Engine.open({ workers: 3 });
  await engine.ready();
  const sums: number[][] = [];
  const progress = ({ rows }: { rows: number }) => {
    const [query] = engine.stats().queries;
    if (rows > 0 && query) sums.push(query.workers.map(({ morsels }) => morsels));
  };
  await engine.collect(plan, { t: batches }, { progress });
  // All morsels but the first one, which goes the way of one thread.
  expect(sums.at(-1)!.length).toBe(3);
  expect(sums.at(-1)!.reduce((sum, morsels) => sum + morsels, 0)).toBe(9);
  await engine.close();
});

it("tells a meter", async () => {
  const meter = new NotingMeter();
  const engine = await Engine.open({ meter });
  await engine.collect(plan, { t: batches });
  const controller = new AbortController();
  const stopped = engine.collect(plan, { t: batches }, { signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(stopped).rejects.toThrow("enough");
  expect(meter.told.filter(([name]) => name === "millrace.queries")).toEqual([
    ["millrace.queries", 1, { mode: "batch", outcome: "completed" }],
    ["millrace.queries", 1, { mode: "batch", outcome: "ended" }],
  ]);
  expect(meter.values("millrace.rows").slice(0, 2)).toEqual([10 * ROWS, 1]);
  expect(meter.values("millrace.bytes")[0]).toBe(40 * ROWS);
  expect(meter.values("millrace.query.duration")[0]).toBeGreaterThan(0);
  expect(meter.observe("millrace.memory.used")[0]).toBeGreaterThan(0);
  expect(meter.observe("millrace.queries.running")).toEqual([0]);
  await engine.close();
  expect(meter.observe("millrace.memory.used")).toEqual([]);
});

it("refuses what is no meter", async () => {
  await expect(Engine.open({ meter: { createCounter: () => ({ add() {} }) } as never })).rejects.toThrow(
    ArgumentError,
  );
});
