// Joins whose build side is a loaded table of many rows: their wide columns are read where the table has them. The same rows
// out of the host's memory are copied, and give the same result, byte by byte.

import { Float64, Int32, Int64, Table, tableToIPC, Utf8, type Vector, vectorFromArray } from "apache-arrow";
import { afterAll, describe, expect, test } from "vitest";
import { col, Engine, from, type Plan } from "../index.js";

const ROWS = 300_000;
const KEYS = 330_000;

const texts = Array.from({ length: 1000 }, (_, at) =>
  at % 97 === 0 ? `é ${"long ".repeat(at % 40)}` : `text ${at}`,
);
const column = (type: Int32 | Int64 | Float64 | Utf8, value: (row: number) => unknown): Vector =>
  vectorFromArray(
    Array.from({ length: ROWS }, (_, row) => value(row)),
    type as never,
  );

/** Some keys have two rows, and some none. */
const manyRows = new Table({
  k: column(new Int32(), (row) => ((row * 7919) % KEYS) - (row % 50 === 0 ? 1 : 0)),
  a: column(new Int32(), (row) => row),
  b: column(new Int64(), (row) => (row % 13 === 3 ? null : BigInt(row) << 30n)),
  c: column(new Float64(), (row) => (row % 1000 === 7 ? -0 : row / 3)),
  name: column(new Utf8(), (row) => (row % 17 === 3 ? null : texts[(row * 31) % 1000])),
  d: column(new Int32(), (row) => -row),
});
const probe = new Table({
  k: column(new Int32(), (row) => (row % 19 === 5 ? null : (row * 104_729) % KEYS)),
  v: column(new Int64(), (row) => BigInt(row % 5000)),
});
const oneRow = new Table({ ...columnsOf(manyRows), k: column(new Int32(), (row) => (row * 7) % KEYS) });

function columnsOf(table: Table): Record<string, Vector> {
  return Object.fromEntries(table.schema.fields.map(({ name }) => [name, table.getChild(name)!]));
}

/** In batches the second of which begins where a chunk of kept rows does, or `late` rows behind. */
function batches(table: Table, late = 0): Table {
  const at = 2 ** 17 + late;
  return table.slice(0, at).concat(table.slice(at));
}

const HOWS = ["inner", "left", "right", "full", "semi", "anti"] as const;

// biome-ignore lint/suspicious/noExplicitAny: columns of a source that declares none
const rows = (name: string) => from(name) as Plan<any>;
const joined = (options: object) =>
  rows("left").join(rows("right"), { on: "k", ...options } as never) as Plan;

describe.each([1, 2])("%i workers", async (workers) => {
  const build = workers === 1 ? "simd" : "threads";
  const engine = await Engine.open({ build, workers, memory: "1 GiB" });
  afterAll(() => engine.close());
  const left = await engine.load(probe);

  async function check(plan: Plan, right: Table): Promise<void> {
    const want = await engine.collect(plan, { left, right });
    const before = engine.stats().usedBytes;
    const loaded = await engine.load(right);
    const kept = await engine.collect(plan, { left, right: loaded }, { result: "kernel" });
    // The result has what it needs of it.
    loaded.free();
    expect(kept.rows).toBe(want.numRows);
    expect(Buffer.compare(tableToIPC(kept.toArrow()), tableToIPC(want))).toBe(0);
    kept.free();
    expect(engine.stats().usedBytes).toBe(before);
  }

  test.each(HOWS)("%s", { timeout: 60_000 }, async (how) => {
    await check(joined({ how }), batches(manyRows));
    await check(joined({ how }), batches(oneRow));
    await check(joined({ how, residual: col("v").lt(col("a").mod(5000)) }), batches(manyRows));
  });

  test("tables that are freed in the midst of the run stay for it, and for a result that lies in them", async () => {
    const right = batches(oneRow);
    const want = await engine.collect(joined({ how: "left" }), { left, right });
    const before = engine.stats().usedBytes;
    const [mine, theirs] = [await engine.load(probe), await engine.load(right)];
    let isFreed = false;
    const progress = ({ rows }: { readonly rows: number }) => {
      if (isFreed || rows < ROWS + 1) return;
      isFreed = true;
      for (const table of [mine, theirs]) table.free();
    };
    const inputs = { left: mine, right: theirs };
    const kept = await engine.collect(joined({ how: "left" }), inputs, { result: "kernel", progress });
    expect(isFreed).toBe(true);
    // Something else takes what memory there is now.
    const other = await engine.load(right);
    expect(Buffer.compare(tableToIPC(kept.toArrow()), tableToIPC(want))).toBe(0);
    for (const table of [kept, other]) table.free();
    expect(engine.stats().usedBytes).toBe(before);
  });

  test("batches that begin elsewhere, and rows that a filter lets through, are copied", async () => {
    await check(joined({ how: "full" }), batches(oneRow, 1));
    const some = rows("left").join(rows("right").where(col("a").lt(280_000)), { on: "k" } as never) as Plan;
    await check(some, batches(oneRow));
  });
});

test("what is not copied takes no memory", async () => {
  const peak = async (late: number) => {
    const one = await Engine.open({ build: "simd", memory: "1 GiB" });
    const right = await one.load(batches(oneRow, late));
    const left = await one.load(probe);
    const { usedBytes } = one.stats();
    (await one.collect(joined({ how: "inner" }), { left, right }, { result: "kernel" })).free();
    const { peakBytes } = one.stats();
    await one.close();
    return peakBytes - usedBytes;
  };
  // The key, one number of 8 bytes, and the 16 of a text; what rows are looked up by takes some of it.
  expect((await peak(1)) - (await peak(0))).toBeGreaterThan(ROWS * 18);
});
