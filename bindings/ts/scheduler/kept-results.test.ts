// Results that stay in kernel memory though their last step does not keep them there: loaded as they come, batch by batch.

import { afterAll, describe, expect, test } from "vitest";
import { batchOf, named } from "../../../kernel/operator/testing.js";
import { fingerprint, resultRows } from "../../../test/testing-result.js";
import type { Value } from "../../../twin/values.js";
import {
  arrayAgg,
  col,
  count,
  Engine,
  from,
  MemoryLimitError,
  type Plan,
  rowNumber,
  sum,
  timestamp,
  tumble,
} from "../index.js";
import type { BatchData } from "../type/column.js";
import { float64, int32, utf8 } from "../type/data-type.js";

const engine = await Engine.open({ build: "simd" });
afterAll(() => engine.close());

const ROWS = 150_000;
const WORDS = ["", "a", "éé", "a text that is longer than others", "\u{1f600}"];

function cells(row: number): Value[] {
  const name = row % 11 === 0 ? null : WORDS[row % WORDS.length]!;
  return [BigInt((row * 7919) % 1000), row / 3, BigInt(row), name];
}

function batch(rows: readonly (readonly Value[])[]): BatchData {
  const types = [int32, float64, timestamp("ms"), utf8];
  const columns = types.map((_, column) => rows.map((row) => row[column]!));
  return named(["k", "v", "at", "name"], batchOf(types, columns));
}

const all = Array.from({ length: ROWS }, (_, row) => cells(row));
const t = [batch(all.slice(0, 90_000)), batch(all.slice(90_000))];

// biome-ignore lint/suspicious/noExplicitAny: columns of a source that declares none
const rows = () => from("t") as Plan<any>;
const windows = () =>
  rows()
    .window(tumble("at", "20 seconds"))
    .groupBy("k")
    .aggregate({ n: count(), s: sum("v") });

const PLANS: Readonly<Record<string, Plan>> = {
  "a projection": rows().select("name", { w: col("v").mul(2) }) as Plan,
  "a filter": rows().where(col("k").lt(300)) as Plan,
  "a filter that no row passes": rows().where(col("k").lt(0)) as Plan,
  windows: windows() as Plan,
  "windows with a projection behind them": windows().select("n", "k") as Plan,
  "lists with a filter behind them": rows()
    .groupBy("k")
    .aggregate({ n: count(), all: arrayAgg("v", { orderBy: "v" }) })
    .where(col("k").lt(20)) as Plan,
  "window functions": rows()
    .where(col("k").lt(20))
    .over({ partitionBy: "k", orderBy: "v" }, { n: rowNumber() }) as Plan,
  "a union": rows().unionAll(rows().where(col("k").lt(2))) as Plan,
};

describe.each(Object.entries(PLANS))("%s", (_, plan) => {
  test("has the rows of a result that leaves, and gives its memory back", async () => {
    const want = fingerprint(resultRows(await engine.collect(plan, { t })));
    const before = engine.stats().usedBytes;
    const kept = await engine.collect(plan, { t }, { result: "kernel" });
    expect(kept.rows).toBe(want.length);
    expect(fingerprint(resultRows(kept.toArrow()))).toEqual(want);
    const again = await engine.collect((from("r") as Plan).aggregate({ n: count() } as never) as Plan, {
      r: kept,
    });
    expect(resultRows(again)).toEqual([[BigInt(want.length)]]);
    kept.free();
    expect(engine.stats().usedBytes).toBe(before);
  });

  test("gives all memory back where memory ends in the midst of it, or somebody stops it", async () => {
    const small = await Engine.open({ build: "simd", memory: "16 MiB" });
    try {
      const before = small.stats().usedBytes;
      for (const memory of ["1 MiB", "2 MiB", "3 MiB", "4 MiB"]) {
        const kept = await small
          .collect(plan, { t }, { memory, result: "kernel" })
          .catch((error: unknown) => {
            expect(error).toBeInstanceOf(MemoryLimitError);
            return null;
          });
        kept?.free();
        expect(small.stats().usedBytes).toBe(before);
      }
      const controller = new AbortController();
      const progress = () => controller.abort();
      await small
        .collect(plan, { t }, { signal: controller.signal, result: "kernel", progress })
        .then((kept) => kept.free())
        .catch(() => {});
      expect(small.stats().usedBytes).toBe(before);
    } finally {
      await small.close();
    }
  });
});

test("workers' results stay, too", async () => {
  const shared = await Engine.open({ build: "threads", workers: 2 });
  try {
    for (const plan of [
      PLANS["a filter"]!,
      PLANS.windows!,
      PLANS["windows with a projection behind them"]!,
    ]) {
      const want = fingerprint(resultRows(await engine.collect(plan, { t })));
      const kept = await shared.collect(plan, { t }, { result: "kernel" });
      expect(fingerprint(resultRows(kept.toArrow()))).toEqual(want);
      kept.free();
    }
  } finally {
    await shared.close();
  }
});
