// Joins by a text that comes by dictionary: rows go from code to row in one step once there are enough of them, whichever
// dictionaries the batches have, and find what plain texts find.

import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { batchOf, named } from "../../../kernel/operator/testing.js";
import { fingerprint, resultRows } from "../../../test/testing-result.js";
import type { Value } from "../../../twin/values.js";
import { Engine, from, type Plan } from "../index.js";
import type { BatchData } from "../type/column.js";
import { dictionary, int16, int32, int64, utf8 } from "../type/data-type.js";
import { sliceRows } from "./rows.js";

const engine = await Engine.open({ build: "simd" });
afterAll(() => engine.close());

const TEXTS = ["", "a", "b", "ab", "é", "\u{1f600}", "a text that is longer than sixteen bytes", "A"];
const OTHERS = Array.from({ length: 40 }, (_, at) => `other ${at}`);

/** The same with the dictionary of column 0 as it was when it had `length` values. */
function earlier(batch: BatchData, length: number): BatchData {
  const [key, ...others] = batch.columns;
  const { id, values } = key!.dictionary!;
  const columns = [{ ...key!, dictionary: { id, values: { ...values, length, nullCount: -1 } } }, ...others];
  return { ...batch, columns };
}

const cases = fc.record({
  texts: fc.array(fc.option(fc.constantFrom(...TEXTS, ...OTHERS.slice(0, 3)), { freq: 12 }), {
    minLength: 1,
    maxLength: 400,
  }),
  right: fc.uniqueArray(fc.option(fc.constantFrom(...TEXTS, ...OTHERS.slice(30)), { freq: 12 }), {
    maxLength: 20,
  }),
  /** Batches: slices of one with its dictionary, that dictionary before it had grown, or a dictionary each. */
  batches: fc.constantFrom("sliced" as const, "growing" as const, "own" as const),
  size: fc.constantFrom(1, 5, 60, 500),
  index: fc.constantFrom(int16, int32),
  how: fc.constantFrom("inner" as const, "left" as const, "semi" as const, "anti" as const, "full" as const),
  nullsEqual: fc.boolean(),
});

test("codes find what texts find", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ texts, right, batches, size, index, how, nullsEqual }) => {
      // In order of first appearance, as dictionaries grow.
      const rows = texts.map((text, at): Value[] => [text, BigInt(at)]);
      const columns = (some: readonly (readonly Value[])[]) => [
        some.map((row) => row[0]!),
        some.map((row) => row[1]!),
      ];
      const types = [dictionary(utf8, index), int64];
      const whole = named(["k", "v"], batchOf(types, columns(rows)));
      const l: BatchData[] = [];
      for (let at = 0; at < rows.length; at += size) {
        const end = Math.min(rows.length, at + size);
        if (batches === "own") l.push(named(["k", "v"], batchOf(types, columns(rows.slice(at, end)))));
        else if (batches === "sliced") l.push(sliceRows(whole, at, end));
        else {
          const known = new Set(texts.slice(0, end).filter((text) => text !== null)).size;
          l.push(earlier(sliceRows(whole, at, end), known));
        }
      }
      const plain = [named(["k", "v"], batchOf([utf8, int64], columns(rows)))];
      const r = [named(["k", "n"], batchOf([utf8, int64], [right, right.map((_, at) => BigInt(at))]))];
      const plan = (from("l") as Plan).join(from("r") as Plan, { on: "k", how, nullsEqual } as never) as Plan;
      const want = fingerprint(resultRows(await engine.collect(plan, { l: plain, r })));
      expect(fingerprint(resultRows(await engine.collect(plan, { l, r })))).toEqual(want);
      const table = await engine.load(l);
      const kept = await engine.collect(plan, { l: table, r }, { result: "kernel" });
      table.free();
      expect(fingerprint(resultRows(kept.toArrow()))).toEqual(want);
      kept.free();
    }),
    { numRuns: 300 },
  );
});

test("a dictionary that takes its time is no worse than none", async () => {
  // 500 texts, ten rows at a time: after a hundred batches their links are found, and 50 more texts come later.
  const texts = Array.from({ length: 550 }, (_, at) => `text ${at}`);
  const codes = Array.from({ length: 3000 }, (_, row) => (row < 2000 ? (row * 7) % 500 : (row * 11) % 550));
  const ordered = [...texts.map((_, code) => code), ...codes];
  const whole = named(
    ["k", "v"],
    batchOf(
      [dictionary(utf8, int32), int64],
      [ordered.map((code) => texts[code]!), ordered.map((_, at) => BigInt(at))],
    ),
  );
  const l: BatchData[] = [];
  for (let at = 0; at < codes.length; at += 10) {
    const part = sliceRows(whole, 550 + at, 560 + at);
    l.push(at < 2000 ? earlier(part, 500) : part);
  }
  const some = texts.filter((_, at) => at % 3 !== 0);
  const r = [named(["k", "n"], batchOf([utf8, int64], [some, some.map((_, at) => BigInt(at))]))];
  for (const how of ["inner", "left", "anti"] as const) {
    const plan = (from("l") as Plan).join(from("r") as Plan, { on: "k", how } as never) as Plan;
    const want = codes.flatMap((code, at): Value[][] => {
      const match = some.indexOf(texts[code]!);
      const row = [texts[code]!, BigInt(550 + at)];
      if (how === "anti") return match < 0 ? [row] : [];
      if (match < 0) return how === "left" ? [[...row, null]] : [];
      return [[...row, BigInt(match)]];
    });
    expect(fingerprint(resultRows(await engine.collect(plan, { l, r })))).toEqual(fingerprint(want));
  }
});
