// Windows of so many rows: the figures of rows cut by hand, in batches and streams, whatever the order of arrival.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ArgumentError,
  avg,
  count,
  countDistinct,
  desc,
  Engine,
  first,
  from,
  int64,
  max,
  min,
  type Plan,
  PlanError,
  source,
  sum,
  tumble,
  UnknownColumnError,
  utf8,
} from "../bindings/ts/index.js";
import { type Value, writeBatch } from "../twin/values.js";
import { resultRows } from "./testing-result.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "256 MiB" });
});
afterAll(() => engine.close());

type Row = readonly [ts: bigint, key: string | null, n: bigint | null];

const FIELDS = [
  { name: "ts", type: int64, nullable: true },
  { name: "key", type: utf8, nullable: true },
  { name: "n", type: int64, nullable: true },
];

const batchOf = (rows: readonly Row[]) => writeBatch(FIELDS, rows);

const plain = from("t") as Plan;
const AGGREGATES = {
  rows: count(),
  total: sum("n"),
  n: max("n"),
  least: min("n"),
  mean: avg("n"),
  kinds: countDistinct("n"),
} as const;

const text = (rows: readonly (readonly Value[])[]) => rows.map((row) => row.join("|")).sort();

/** Each key's rows cut by hand. Times are all different, so that there is one order. */
function expected(rows: readonly Row[], size: number, slide: number, descending = false): string[] {
  const keys = [...new Set(rows.map(([, key]) => key))];
  const windows = keys.flatMap((key) => {
    const own = rows.filter((row) => row[1] === key).sort(([a], [b]) => Number(a - b));
    if (descending) own.reverse();
    const results: Value[][] = [];
    for (let start = 0; start + size <= own.length; start += slide) {
      const held = own.slice(start, start + size);
      const values = held.flatMap(([, , n]) => (n === null ? [] : [n]));
      const none = values.length === 0;
      const total = values.reduce((total, n) => total + n, 0n);
      const ordered = [...values].sort((a, b) => Number(a - b));
      results.push([
        key,
        held[0]![0],
        held.at(-1)![0],
        BigInt(size),
        none ? null : total,
        ordered.at(-1) ?? null,
        ordered[0] ?? null,
        none ? null : Number(total) / values.length,
        BigInt(new Set(values).size),
      ]);
    }
    return results;
  });
  return text(windows);
}

async function streamed(plan: Plan<unknown>, t: object, options: object = {}): Promise<Value[][]> {
  const rows: Value[][] = [];
  for await (const batch of engine.stream(plan, { t }, options)) rows.push(...resultRows(batch));
  return rows;
}

it("gives each key's full windows, in batches and streams", async () => {
  const cases = fc.record({
    rows: fc
      .uniqueArray(fc.nat(60), { maxLength: 40 })
      .chain((times) =>
        fc.tuple(
          ...times.map((ts) =>
            fc.tuple(
              fc.constant(BigInt(ts)),
              fc.option(fc.constantFrom("a", "b", "été"), { freq: 8 }),
              fc.option(fc.integer({ min: -9, max: 9 }).map(BigInt), { freq: 8 }),
            ),
          ),
        ),
      ),
    size: fc.integer({ min: 1, max: 6 }),
    slide: fc.integer({ min: 1, max: 7 }),
    descending: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ rows, size, slide, descending }) => {
      const orderBy = descending ? desc("ts") : "ts";
      const plan = plain.countWindow({ by: "key", orderBy, size, slide }, AGGREGATES);
      const wanted = expected(rows, size, slide, descending);
      expect(text(resultRows(await engine.collect(plan, { t: batchOf(rows) })))).toEqual(wanted);
      const singles = rows.map((row) => batchOf([row]));
      expect(text(await streamed(plan, singles.length === 0 ? batchOf([]) : singles))).toEqual(wanted);
      const arrived = [...rows].sort(([a], [b]) => Number(a - b));
      const t = [arrived.slice(0, 11), arrived.slice(11)].map(batchOf);
      expect(text(await streamed(plan, t, { watermarks: { t: { column: "ts" } } }))).toEqual(wanted);
    }),
    { numRuns: 60 },
  );
});

it("lets a window go when its last row has come, and windows of time behind it too", async () => {
  const windows = plain.countWindow({ orderBy: "ts", size: 2 }, { total: sum("n") });
  const order: string[] = [];
  const run = async (plan: Plan<unknown>) => {
    order.length = 0;
    const arriving = async function* () {
      for (const ts of [1n, 2n, 7n, 11n, 30n]) {
        order.push(`row ${ts}`);
        yield batchOf([[ts, null, ts]]);
      }
    };
    for await (const batch of engine.stream(plan, { t: arriving() }, { watermarks: { t: { column: "ts" } } }))
      order.push(...resultRows(batch).map((row) => row.join(" ")));
    return [...order];
  };
  expect(await run(windows)).toEqual(["row 1", "row 2", "row 7", "1 2 3", "row 11", "row 30", "7 11 18"]);
  const timed = windows
    .drop("window_start")
    .rename({ window_end: "ended" })
    .window(tumble("ended", 10))
    .aggregate({ sums: sum("total") });
  expect(await run(timed.select("window_end", "sums"))).toEqual([
    ...["row 1", "row 2", "row 7", "row 11", "10 3", "row 30", "20 18"],
  ]);
});

describe("what is refused", () => {
  const t = from(source("t", { ts: int64, key: utf8, n: int64 }));

  it("names what it is", () => {
    const rows = count();
    expect(() => t.countWindow({ orderBy: "ts", size: 0 }, { rows })).toThrow(ArgumentError);
    expect(() => t.countWindow({ orderBy: "ts", size: 2, slide: 0.5 }, { rows })).toThrow(
      /slide is a number of rows/,
    );
    expect(() => t.countWindow({ orderBy: "ts", size: 2 }, {})).toThrow(PlanError);
    expect(() => t.countWindow({ orderBy: "nothing" as "ts", size: 2 }, { rows })).toThrow(
      UnknownColumnError,
    );
    expect(() => t.countWindow({ by: "nothing" as "ts", orderBy: "ts", size: 2 }, { rows })).toThrow(
      UnknownColumnError,
    );
    expect(() => t.countWindow({ by: "key", orderBy: "ts", size: 2 }, { key: rows })).toThrow(
      /two columns "key"/,
    );
    expect(() => t.countWindow({ orderBy: "ts", size: 2 }, { opening: first("n", "ts") })).toThrow(
      /fall out of the frame/,
    );
  });
});
