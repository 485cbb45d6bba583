// Results that stay in kernel memory though their last step does not keep them there: copied or loaded as they come, batch by
// batch; and groups that a projection reads where the aggregation has left them.

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
  lit,
  MemoryLimitError,
  max,
  min,
  OverflowError,
  type Plan,
  rowNumber,
  sum,
  timestamp,
  tumble,
} from "../index.js";
import type { BatchData } from "../type/column.js";
import { dictionary, float64, int32, largeUtf8, utf8 } from "../type/data-type.js";

const engine = await Engine.open({ build: "simd" });
afterAll(() => engine.close());

const ROWS = 150_000;
const WORDS = ["", "a", "éé", "a text that is longer than others", "\u{1f600}"];

function cells(row: number): Value[] {
  const name = row % 11 === 0 ? null : WORDS[row % WORDS.length]!;
  const long = `${WORDS[row % WORDS.length]}${row % 70_000}`;
  return [BigInt((row * 7919) % 1000), row / 3, BigInt(row), name, long, WORDS[row % 3]!];
}

function batch(rows: readonly (readonly Value[])[]): BatchData {
  const types = [int32, float64, timestamp("ms"), utf8, largeUtf8, dictionary(utf8)];
  const columns = types.map((_, column) => rows.map((row) => row[column]!));
  return named(["k", "v", "at", "name", "long", "word"], batchOf(types, columns));
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
  "groups with a projection behind them": rows()
    .groupBy("at")
    .aggregate({ n: count(), s: sum("v") })
    .select("s", "at", { mean: col("s").div(col("n")) }) as Plan,
  "groups that a filter leaves": rows()
    .groupBy("name", "k")
    .aggregate({ n: count() })
    .where(col("n").gt(27)) as Plan,
  "groups by texts with a projection behind them": rows()
    .groupBy("long", "word")
    .aggregate({ most: max("k"), least: min("k") })
    .select("word", { range: col("most").sub(col("least")) }, "long") as Plan,
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
    for (const plan of Object.values(PLANS)) {
      const want = fingerprint(resultRows(await engine.collect(plan, { t })));
      const kept = await shared.collect(plan, { t }, { result: "kernel" });
      expect(fingerprint(resultRows(kept.toArrow()))).toEqual(want);
      kept.free();
    }
  } finally {
    await shared.close();
  }
});

/** What `PLANS["groups by texts with a projection behind them"]` gives. */
function ranges(): Value[][] {
  const groups = new Map<string, { most: bigint; least: bigint; word: Value; long: Value }>();
  for (const [k, , , , long, word] of all) {
    const key = `${long}/${word}`;
    const { most, least } = groups.get(key) ?? { most: k as bigint, least: k as bigint };
    const higher = (k as bigint) > most ? (k as bigint) : most;
    const lower = (k as bigint) < least ? (k as bigint) : least;
    groups.set(key, { most: higher, least: lower, word: word!, long: long! });
  }
  return [...groups.values()].map(({ most, least, word, long }) => [word, most - least, long]);
}

test.each([1, 2])("groups that a projection reads where they lie, by %i workers", async (workers) => {
  const plan = PLANS["groups by texts with a projection behind them"]!;
  const want = fingerprint(ranges());
  const build = workers === 1 ? "simd" : "threads";
  const counted = await Engine.open({ build, workers });
  try {
    const leaving = await counted.collect(plan, { t });
    expect(fingerprint(resultRows(leaving))).toEqual(want);
    const kept = await counted.collect(plan, { t }, { result: "kernel" });
    expect(fingerprint(resultRows(kept.toArrow()))).toEqual(want);
    kept.free();
    const arriving: Value[][] = [];
    for await (const some of counted.stream(plan, { t }, { batchRows: 1000 })) {
      expect(some.numRows).toBeLessThanOrEqual(1000);
      arriving.push(...resultRows(some));
    }
    expect(fingerprint(arriving)).toEqual(want);
    expect(counted.stats().finished.rowsOut).toBe(3 * want.length);
  } finally {
    await counted.close();
  }
});

test("rows of kept projections and joins count as rows out", async () => {
  const counted = await Engine.open({ build: "simd" });
  try {
    const joined = rows().join(rows().where(col("k").lt(3)), { on: "at" }) as Plan;
    for (const plan of [PLANS["a filter"]!, joined]) {
      const before = counted.stats().finished.rowsOut;
      const kept = await counted.collect(plan, { t }, { result: "kernel" });
      expect(counted.stats().finished.rowsOut - before).toBe(kept.rows);
      expect(kept.rows).toBeGreaterThan(0);
      kept.free();
    }
  } finally {
    await counted.close();
  }
});

test("a projection of groups that fails leaves nothing behind", async () => {
  const failing = rows()
    .groupBy("at", "k")
    .aggregate({ n: count() })
    .select({ over: col("n").add(lit(2n ** 63n - 1n)) }) as Plan;
  const before = engine.stats().usedBytes;
  await expect(engine.collect(failing, { t }, { result: "kernel" })).rejects.toThrow(OverflowError);
  expect(engine.stats().usedBytes).toBe(before);
  await expect(engine.collect(failing, { t })).rejects.toThrow(OverflowError);
  expect(engine.stats().usedBytes).toBe(before);
});
