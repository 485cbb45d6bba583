// Memory of single queries: bound where it is allocated, given back whole, and waited for.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeVector, Table } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { ArgumentError, col, count, Engine, from, MemoryLimitError, type Plan, sum } from "../index.js";
import { BUILDS } from "../kernel/testing.js";

const ROWS = 100_000;
const keys = Int32Array.from({ length: ROWS }, (_, row) => Math.imul(row, 0x9e3779b1) >>> 8);
const values = Float64Array.from({ length: ROWS }, (_, row) => row / 3);
const whole = new Table({ k: makeVector(keys), x: makeVector(values) });
const t = new Table(
  Array.from({ length: 10 }, (_, part) => whole.slice((part * ROWS) / 10, ((part + 1) * ROWS) / 10)).flatMap(
    ({ batches }) => batches,
  ),
);

const groups = from("t")
  .groupBy("k")
  .aggregate({ s: sum("x"), c: count() }) as Plan;
const sorted = from("t").where(col("k").gt(5)).orderBy("x") as Plan;
const small = from("t").aggregate({ s: sum("x") }) as Plan;

/** Of rows of numbers in any order. */
function checksum(table: Table): string {
  const columns = table.schema.fields.map((_, index) => table.getChildAt(index)!.toArray() as Float64Array);
  const bits = new Uint32Array(2);
  const float = new Float64Array(bits.buffer);
  let sum = 0;
  for (let row = 0; row < table.numRows; row++) {
    let hash = 0;
    for (const column of columns) {
      float[0] = Number(column[row]);
      hash = Math.imul(hash ^ bits[0]! ^ Math.imul(bits[1]!, 0x85ebca6b), 0x9e3779b1);
    }
    sum = (sum + hash) | 0;
  }
  return `${table.numRows} rows, ${sum}`;
}

async function failing(run: Promise<unknown>): Promise<MemoryLimitError> {
  const error = await run.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(MemoryLimitError);
  return error as MemoryLimitError;
}

describe.each(BUILDS)("%s: a query of so much memory", (build) => {
  it("fails past it, says what held how much, and leaves the rest to others", async () => {
    const engine = await Engine.open({ build, memory: "64 MiB" });
    const idle = engine.stats().usedBytes;
    const expected = checksum(await engine.collect(groups, { t }));
    const error = await failing(engine.collect(groups, { t }, { memory: "2 MiB" }));
    expect(error.message).toMatch(/of the query: .* of the 2 MiB that it may take/);
    expect(error.held.map(({ what }) => what)).not.toContain("loaded tables");
    expect(error.held.map(({ what }) => what).join()).toMatch(/hash aggregate/);
    const all = error.held.reduce((total, { bytes }) => total + bytes, 0);
    expect(all).toBeGreaterThan(2 ** 20);
    expect(all).toBeLessThanOrEqual(2 * 2 ** 20);
    expect(engine.stats().usedBytes).toBe(idle);
    expect(checksum(await engine.collect(groups, { t }, { memory: "32 MiB" }))).toEqual(expected);
    await failing(
      (async () => {
        for await (const _ of engine.stream(sorted, { t }, { memory: 2 ** 20 }));
      })(),
    );
    expect(engine.stats().usedBytes).toBe(idle);
    await engine.close();
  });

  it("spills within it", async () => {
    const directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
    const engine = await Engine.open({ build, memory: "64 MiB", spill: { directory } });
    const idle = engine.stats().usedBytes;
    const limit = 4 * 2 ** 20;
    const roomy = await Engine.open({ memory: "64 MiB" });
    for (const plan of [groups, sorted]) {
      const got = await engine.collect(plan, { t }, { memory: limit });
      expect(checksum(got)).toEqual(checksum(await roomy.collect(plan, { t })));
    }
    const { spill, peakBytes, usedBytes } = engine.stats();
    expect(spill!.bytesWritten).toBeGreaterThan(0);
    expect(peakBytes).toBeLessThanOrEqual(idle + limit + 1024);
    expect(usedBytes).toBe(idle);
    await roomy.close();
    await engine.close();
    rmSync(directory, { recursive: true });
  });

  it("gives back what its result holds when that is freed", async () => {
    const engine = await Engine.open({ build, memory: "64 MiB" });
    const idle = engine.stats().usedBytes;
    const kept = await engine.collect(groups, { t }, { memory: "32 MiB", result: "kernel" });
    expect(engine.stats().usedBytes).toBeGreaterThan(idle);
    expect(checksum(kept.toArrow())).toEqual(checksum(await engine.collect(groups, { t })));
    kept.free();
    expect(engine.stats().usedBytes).toBe(idle);
    await engine.close();
  });
});

describe("with workers", () => {
  it.runIf(BUILDS.includes("threads"))("what they allocate counts, too", async () => {
    const engine = await Engine.open({ workers: 3, memory: "128 MiB" });
    await engine.ready();
    const idle = engine.stats().usedBytes;
    const table = await engine.load(t);
    const many = from("t").groupBy("k", "x").aggregate({ c: count() }) as Plan;
    const expected = checksum(await engine.collect(many, { t: table }));
    const error = await failing(engine.collect(many, { t: table }, { memory: "4 MiB" }));
    expect(error.message).toMatch(/of the query/);
    expect(checksum(await engine.collect(many, { t: table }, { memory: "64 MiB" }))).toEqual(expected);
    table.free();
    expect(engine.stats().usedBytes).toBe(idle);
    await engine.close();
  });
});

describe("queries that wait", () => {
  it("begin one after the other where they do not fit beside each other", async () => {
    const engine = await Engine.open({ memory: "80 MiB" });
    const expected = checksum(await engine.collect(groups, { t }));
    const got = await Promise.all(
      Array.from({ length: 5 }, () => engine.collect(groups, { t }, { memory: "32 MiB", whenFull: "wait" })),
    );
    for (const result of got) expect(checksum(result)).toEqual(expected);
    expect(engine.stats().peakBytes).toBeLessThanOrEqual(2 * 32 * 2 ** 20 + 2 ** 20);
    await engine.close();
  });

  it("stop waiting when they are aborted, or the engine is closed", async () => {
    const engine = await Engine.open({ memory: "40 MiB" });
    const run = engine.stream(groups, { t }, { memory: "30 MiB", batchRows: 10 });
    await run.next();
    const controller = new AbortController();
    const options = { memory: "20 MiB", whenFull: "wait" } as const;
    const aborted = engine.collect(small, { t }, { ...options, signal: controller.signal });
    const next = engine.collect(small, { t }, options);
    const last = engine.collect(small, { t }, options);
    controller.abort(new Error("enough"));
    await expect(aborted).rejects.toThrow("enough");
    expect(engine.stats().activeRuns).toBe(3);
    await run.return();
    expect((await next).numRows).toBe(1);
    expect((await last).numRows).toBe(1);
    const again = engine.stream(groups, { t }, { memory: "30 MiB", batchRows: 10 });
    await again.next();
    const closed = engine.collect(small, { t }, options);
    const refused = expect(closed).rejects.toThrow(/closed/);
    await engine.close();
    await refused;
  });

  it("fail when nobody will give any memory back", async () => {
    const engine = await Engine.open({ memory: "8 MiB" });
    const table = await engine.load(t);
    const error = await failing(engine.collect(small, { t: table }, { memory: "7 MiB", whenFull: "wait" }));
    expect(error.message).toMatch(/no other query will give any back/);
    expect((await engine.collect(small, { t: table }, { memory: "2 MiB", whenFull: "wait" })).numRows).toBe(
      1,
    );
    table.free();
    await engine.close();
  });

  it("what makes no sense is refused", async () => {
    const engine = await Engine.open({ memory: "8 MiB" });
    const collect = (options: object) => engine.collect(small, { t }, options);
    await expect(collect({ memory: "16 MiB" })).rejects.toThrow(/16 MiB is more than the 8 MiB/);
    await expect(collect({ memory: 0 })).rejects.toThrow(ArgumentError);
    await expect(collect({ memory: "much" })).rejects.toThrow(ArgumentError);
    await expect(collect({ whenFull: "wait" })).rejects.toThrow(/needs to know for how much/);
    await expect(collect({ memory: "1 MiB", whenFull: "no" })).rejects.toThrow(/whenFull is/);
    expect(() => engine.stream(small, { t }, { memory: "16 MiB" })).toThrow(ArgumentError);
    expect(engine.stats().activeRuns).toBe(0);
    await engine.close();
  });
});
