// Results of joins that stay in kernel memory, where texts may lie as codes: whoever reads them reads texts.

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { batchOf, named } from "../../../kernel/operator/testing.js";
import { fingerprint, resultRows } from "../../../test/testing-result.js";
import type { Value } from "../../../twin/values.js";
import { col, count, Engine, from, type Plan } from "../index.js";
import type { BatchData } from "../type/column.js";
import { type DataType, dictionary, int16, int32, int64, largeUtf8, utf8 } from "../type/data-type.js";

const engine = await Engine.open({ build: "simd" });
afterAll(() => engine.close());

const LEFT = ["k", "name", "plain", "large", "v"];
const RIGHT = ["k", "label", "note"];

const LEFT_TYPES = [int32, dictionary(utf8, int16), utf8, dictionary(largeUtf8, int32), int64];
const RIGHT_TYPES = [int32, dictionary(utf8, int16), utf8];

/** Batches, each with dictionaries of its own; every other one has plain texts where `mixed`. */
function batches(
  names: readonly string[],
  types: readonly DataType[],
  rows: readonly (readonly Value[])[],
  size: number,
  mixed: boolean,
): BatchData[] {
  const plain = types.map((type) => (type.kind === "dictionary" ? type.value : type));
  const made: BatchData[] = [];
  for (let at = 0; at === 0 || at < rows.length; at += size) {
    const some = rows.slice(at, at + size);
    const coded = !mixed || made.length % 2 === 0;
    made.push(
      named(
        names,
        batchOf(
          coded ? types : plain,
          types.map((_, column) => some.map((row) => row[column]!)),
          made.length % 9,
        ),
      ),
    );
  }
  return made;
}

const word = fc.option(fc.constantFrom("", "a", "b", "long enough for the arena", "é", "\u{1f600}"), {
  freq: 6,
});
const key = fc.option(fc.bigInt(0n, 30n), { freq: 9 });
const cases = fc.record({
  left: fc.array(fc.tuple(key, word, word, word, fc.bigInt(0n, 9n)), { maxLength: 60 }),
  right: fc.array(fc.tuple(key, word, word), { maxLength: 40 }),
  unique: fc.boolean(),
  size: fc.constantFrom(7, 100),
  mixed: fc.tuple(fc.boolean(), fc.boolean()),
  how: fc.constantFrom("inner" as const, "left" as const, "right" as const, "full" as const, "semi" as const),
  on: fc.constantFrom("k", { name: "label" }),
});

test("kept results have the rows of copied ones, and are an input like any other", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ left, right, unique, size, mixed, how, on }) => {
      const at = typeof on === "string" ? 0 : 1;
      const rights = unique
        ? right.filter((row, i) => right.findIndex((other) => other[at] === row[at]) === i)
        : right;
      const l = batches(LEFT, LEFT_TYPES, left, size, mixed[0]);
      const r = batches(RIGHT, RIGHT_TYPES, rights, size, mixed[1]);
      const plan = (from("l") as Plan).join(from("r") as Plan, { on: on as never, how }) as Plan;
      const copied = await engine.collect(plan, { l, r });
      const kept = await engine.collect(plan, { l, r }, { result: "kernel" });
      expect(fingerprint(resultRows(kept.toArrow()))).toEqual(fingerprint(resultRows(copied)));
      expect(kept.toArrow().schema.toString()).toBe(copied.schema.toString());
      const loaded = [await engine.load(l), await engine.load(r)] as const;
      const again = await engine.collect(plan, { l: loaded[0], r: loaded[1] }, { result: "kernel" });
      for (const table of loaded) table.free();
      expect(fingerprint(resultRows(again.toArrow()))).toEqual(fingerprint(resultRows(copied)));
      const next = [
        (from("t") as Plan).groupBy("name").aggregate({ n: count() } as never),
        (from("t") as Plan).where(col("name").eq("a") as never).orderBy("plain" as never),
      ] as Plan[];
      for (const second of next) {
        const want = fingerprint(resultRows(await engine.collect(second, { t: copied })));
        expect(fingerprint(resultRows(await engine.collect(second, { t: again })))).toEqual(want);
      }
      again.free();
      kept.free();
    }),
    { numRuns: 150 },
  );
  expect(engine.stats().activeRuns).toBe(0);
});
