// Results of aggregations that stay in kernel memory, where keys that are texts may lie as codes: whoever reads them reads
// texts. Most of them: groups of several keys have each text several times.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { batchOf, named } from "../../../kernel/operator/testing.js";
import { fingerprint, resultRows } from "../../../test/testing-result.js";
import type { Value } from "../../../twin/values.js";
import {
  avg,
  col,
  count,
  Engine,
  type EngineOptions,
  from,
  type KernelTable,
  MemoryLimitError,
  type Plan,
  rowNumber,
  sum,
} from "../index.js";
import type { ResidentBatch } from "../kernel/resident.js";
import type { BatchData } from "../type/column.js";
import {
  type DataType,
  dictionary,
  float64,
  int16,
  int32,
  int64,
  largeUtf8,
  utf8,
} from "../type/data-type.js";

async function openReady(options: EngineOptions): Promise<Engine> {
  const engine = await Engine.open(options);
  await engine.ready();
  return engine;
}

const NAMES = ["name", "plain", "large", "k", "v", "f"];
const TYPES = [dictionary(utf8, int16), utf8, dictionary(largeUtf8, int32), int64, int64, float64];

/** Batches, each with dictionaries of its own; every other one has plain texts where `mixed`. */
function batches(rows: readonly (readonly Value[])[], size: number, mixed: boolean): BatchData[] {
  const plain = TYPES.map((type): DataType => (type.kind === "dictionary" ? type.value : type));
  const made: BatchData[] = [];
  for (let at = 0; at === 0 || at < rows.length; at += size) {
    const some = rows.slice(at, at + size);
    const types = mixed && made.length % 2 === 1 ? plain : TYPES;
    const columns = TYPES.map((_, column) => some.map((row) => row[column]!));
    made.push(named(NAMES, batchOf(types, columns, made.length % 9)));
  }
  return made;
}

const word = fc.option(fc.constantFrom("", "a", "b", "long enough for the arena", "é", "\u{1f600}"), {
  freq: 6,
});
const row = fc.tuple(
  word,
  word,
  word,
  fc.option(
    fc.bigInt(-3n, 40n).map((k) => k * 10n ** 9n),
    { freq: 9 },
  ),
  fc.bigInt(0n, 9n),
  fc.option(fc.double({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 })),
);
/** What comes behind the aggregation: its texts leave as they are, change, or are looked at. */
const AFTER = new Map<string, (plan: Plan) => Plan>([
  ["nothing", (plan) => plan],
  [
    "computed",
    (plan) => plan.withColumns({ upper: col("name").upper(), known: col("name").isNull() }) as Plan,
  ],
  ["filtered", (plan) => plan.where(col("name").ne("a")) as Plan],
  ["selected", (plan) => plan.select("name", { again: col("name") }) as Plan],
]);

const cases = fc.record({
  rows: fc.array(row, { maxLength: 90 }),
  others: fc.array(row, { maxLength: 30 }),
  size: fc.constantFrom(7, 100),
  mixed: fc.boolean(),
  keys: fc
    .shuffledSubarray(["name", "plain", "large", "k"], { minLength: 1 })
    .map((keys) => [...new Set(["name", ...keys])]),
  isDistinct: fc.boolean(),
  after: fc.constantFrom(...AFTER.keys()),
});

// biome-ignore lint/suspicious/noExplicitAny: columns of a source that declares none
const t = () => from("t") as Plan<any>;

/** What reads a result: by its texts, as they are and changed, by their order, and beside another table. */
function next(o: BatchData[]): (readonly [Plan, { readonly o?: BatchData[] }])[] {
  // biome-ignore lint/suspicious/noExplicitAny: columns of a source that declares none
  const other = from("o") as Plan<any>;
  return [
    [t().groupBy("name").aggregate({ n: count() }) as Plan, {}],
    [t().where(col("name").eq("a")) as Plan, {}],
    [t().where(col("name").lt("b")).orderBy("name") as Plan, {}],
    [t().select("name", { upper: col("name").upper(), known: col("name").isNull() }) as Plan, {}],
    [t().join(other, { on: "name" as never, how: "inner" }) as Plan, { o }],
    [other.join(t(), { on: "name" as never, how: "left" }) as Plan, { o }],
    [t().over({ partitionBy: "name", orderBy: "name" }, { nr: rowNumber() }) as Plan, {}],
    [t().unionAll(t()) as Plan, {}],
  ];
}

/** Columns of results that lie as codes. */
function codedColumns(table: KernelTable): number {
  let coded = 0;
  const batches = table.pin() as readonly ResidentBatch[];
  for (const batch of batches)
    for (let at = 0; at < table.schema.fields.length; at++)
      coded += Number((batch.column(at)?.dictionary ?? 0) !== 0);
  table.unpin();
  return coded;
}

describe.each([1, 2])("%i workers", (workers) => {
  let engine: Engine;
  beforeAll(async () => {
    const faults = workers === 1 ? {} : { divideGroups: 0, lookRows: 3 };
    engine =
      workers === 1
        ? await Engine.open({ build: "simd" })
        : await openReady({ build: "threads", workers, faults });
  });
  afterAll(() => engine.close());

  test("kept results have the rows of copied ones, and are an input like any other", async () => {
    let coded = 0;
    let codedBehind = 0;
    await fc.assert(
      fc.asyncProperty(cases, async ({ rows, others, size, mixed, keys, isDistinct, after }) => {
        const before = engine.stats().usedBytes;
        const [given, o] = [batches(rows, size, mixed), batches(others, size, !mixed)];
        const grouped = t().groupBy(...keys);
        const aggregation = (
          isDistinct ? t().distinct(...keys) : grouped.aggregate({ n: count(), s: sum("v"), m: avg("f") })
        ) as Plan;
        const plan = AFTER.get(after)!(aggregation);
        const groups = await engine.collect(aggregation, { t: given });
        const copied = await engine.collect(AFTER.get(after)!(t()), { t: groups });
        const want = fingerprint(resultRows(copied));
        const loaded = await engine.load(given);
        for (const input of [given, loaded]) {
          const kept = await engine.collect(plan, { t: input }, { result: "kernel" });
          const arrow = kept.toArrow();
          expect(fingerprint(resultRows(arrow))).toEqual(want);
          expect(arrow.schema.toString()).toBe(copied.schema.toString());
          if (after === "nothing") coded += codedColumns(kept);
          else codedBehind += codedColumns(kept);
          const later: (readonly [KernelTable, unknown])[] = [];
          for (const [second, right] of next(o)) {
            const texts = fingerprint(resultRows(await engine.collect(second, { t: copied, ...right })));
            expect(fingerprint(resultRows(await engine.collect(second, { t: kept, ...right })))).toEqual(
              texts,
            );
            later.push([await engine.collect(second, { t: kept, ...right }, { result: "kernel" }), texts]);
          }
          // Results of results outlive these.
          kept.free();
          for (const [again, texts] of later) {
            expect(fingerprint(resultRows(again.toArrow()))).toEqual(texts);
            again.free();
          }
        }
        loaded.free();
        expect(engine.stats().usedBytes).toBe(before);
      }),
      { numRuns: workers === 1 ? 60 : 25 },
    );
    // Of several workers it depends on who had which rows.
    expect(coded).toBeGreaterThan(workers === 1 ? 3 : 0);
    expect(codedBehind).toBeGreaterThan(workers === 1 ? 5 : 2);
    expect(engine.stats().activeRuns).toBe(0);
  });
  test.each(["nothing", "computed"])(
    "are right or refused, whatever memory there is: behind it %s",
    async (after) => {
      const rows = Array.from({ length: 6000 }, (_, row): Value[] => {
        const text = row % 11 === 0 ? null : `text ${row % 300}`;
        return [text, text, `${row % 7}`, BigInt(row) * 10n ** 9n, BigInt(row), row / 3];
      });
      const given = batches(rows, 1500, false);
      const plan = AFTER.get(after)!(t().groupBy("name", "large", "k").aggregate({ n: count() }) as Plan);
      const want = fingerprint(resultRows(await engine.collect(plan, { t: given })));
      const before = engine.stats().usedBytes;
      let refused = 0;
      for (let kib = 100; kib < 3000; kib += 100) {
        const kept = await engine
          .collect(plan, { t: given }, { memory: 1024 * kib, result: "kernel" })
          .catch((error: unknown) => {
            expect(error).toBeInstanceOf(MemoryLimitError);
            return null;
          });
        if (kept === null) refused++;
        else expect(fingerprint(resultRows(kept.toArrow()))).toEqual(want);
        kept?.free();
        expect(engine.stats().usedBytes).toBe(before);
      }
      expect(refused).toBeGreaterThan(0);
      expect(refused).toBeLessThan(29);
    },
  );
});
