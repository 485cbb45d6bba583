// Sorts that spill: the rows of memory in their order, bit by bit, in a fraction of it, and nothing left behind.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Schema as ArrowSchema,
  Field,
  Int32,
  List,
  makeVector,
  RecordBatch,
  Struct,
  Table,
  vectorFromArray,
} from "apache-arrow";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { inOrder, resultRows } from "../../../test/testing-result.js";
import { sortRows } from "../../../twin/plan.js";
import { type Value, writeBatch } from "../../../twin/values.js";
import {
  asc,
  col,
  count,
  desc,
  Engine,
  type EngineOptions,
  from,
  MemoryLimitError,
  type Plan,
  rowNumber,
  sum,
} from "../index.js";
import { Kernel, Operator } from "../kernel/index.js";
import { BUILDS } from "../kernel/testing.js";
import { SpillFolder } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import {
  binary,
  bool,
  decimal,
  dictionary,
  float64,
  int8,
  int16,
  int32,
  int64,
  type Schema,
  utf8,
} from "../type/data-type.js";
import { CELLS, drawnOrder } from "./testing-order.js";
import { refuseSorts } from "./testing-refusal.js";
import {
  counted,
  expectNoFilesIn,
  type SpillingQuery,
  tellsOfDamagedFiles,
  tellsOfFailedWrites,
} from "./testing-spill.js";

const SCHEMA: Schema = {
  fields: [
    { name: "k", type: int64, nullable: true },
    { name: "text", type: dictionary(utf8, int16), nullable: true },
    { name: "x", type: float64, nullable: true },
    { name: "n", type: int32, nullable: false },
    { name: "b", type: bool, nullable: true },
    { name: "d", type: decimal(38, 2), nullable: true },
    { name: "bytes", type: binary, nullable: true },
  ],
};
const ODD = [Number.NaN, -0, 0, Infinity, -Infinity, 5e-324];

function cells(row: number): Value[] {
  const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
  // Some rows come twice.
  const same = mixed % 50 === 0 ? 7 : mixed;
  const odd = same % 9 === 0;
  return [
    same % 101 === 0 ? null : BigInt(same % 20_003) * 1_000_003n - 10n ** 9n,
    same % 97 === 0 ? null : `${"é".repeat(same % 4)}text ${same % 3001}`,
    same % 83 === 0 ? null : odd ? ODD[same % 6]! : (same - 2 ** 31) * 10 ** ((same % 40) - 20),
    BigInt(same % 1000) - 500n,
    same % 11 === 0 ? null : same % 2 === 0,
    same % 89 === 0 ? null : BigInt(same) * 10n ** BigInt(same % 20) * (same % 3 === 0 ? -1n : 1n),
    same % 7 === 0 ? null : new Uint8Array([same & 255, 0, (same >> 8) & 3]),
  ];
}

const ROWS = 16_000;
const rows = Array.from({ length: ROWS }, (_, row) => cells(row));
const batchesOf = (all: readonly (readonly Value[])[], parts = 12): BatchData[] =>
  Array.from({ length: parts }, (_, at) =>
    writeBatch(
      SCHEMA.fields,
      all.slice(Math.floor((at * all.length) / parts), Math.floor(((at + 1) * all.length) / parts)),
    ),
  );
const batches = batchesOf(rows);

const t = from("t") as Plan;
const SORTS: Record<string, Plan> = {
  integers: t.orderBy("k") as Plan,
  texts: t.orderBy(desc("text", { nulls: "first" }), "n") as Plan,
  floats: t.orderBy(desc("x")) as Plan,
  "few values": t.orderBy("b", desc("n")) as Plan,
  decimals: t.orderBy(asc("d", { nulls: "first" })) as Plan,
  bytes: t.orderBy("bytes", "text") as Plan,
  computed: t
    .where(col("n").lt(400))
    .select({ m: col("n").mul(-3), text: col("text"), x: col("x") })
    .orderBy("m", "text") as Plan,
  "two times": t.orderBy("x").where(col("b")).orderBy("n") as Plan,
  "window functions": t.over({ partitionBy: "b", orderBy: "n" }, { r: rowNumber(), s: sum("n") }) as Plan,
  "an aggregation's": t
    .groupBy("k", "text")
    .aggregate({ s: sum("n"), c: count() })
    .orderBy("s", "k") as Plan,
};

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
});
afterAll(() => {
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});

/** The result in plenty of memory, and what of it was taken besides what an idle engine has. */
async function inMemory(plan: Plan): Promise<{ expected: string[]; idle: number; taken: number }> {
  const engine = await Engine.open({ memory: "1 GiB" });
  const idle = engine.stats().usedBytes;
  const expected = inOrder(resultRows(await engine.collect(plan, { t: batches })));
  const taken = engine.stats().peakBytes - idle;
  await engine.close();
  return { expected, idle, taken };
}

const open = (memory: number | string, options: EngineOptions = {}) =>
  Engine.open({ memory, spill: { directory }, ...options });

const expectNoFiles = (engine: Engine) => expectNoFilesIn(directory, engine, 2 ** 20);

describe("sorts", () => {
  it.each(Object.entries(SORTS))("%s: the order of memory", async (_name, plan) => {
    const { expected, idle, taken } = await inMemory(plan);
    const memory = Math.floor(idle + 0.5 * taken);
    const small = await Engine.open({ memory });
    await expect(small.collect(plan, { t: batches })).rejects.toThrow(MemoryLimitError);
    await small.close();
    const engine = await open(memory);
    expect(inOrder(resultRows(await engine.collect(plan, { t: batches })))).toEqual(expected);
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    expectNoFiles(engine);
    const streamed: Value[][] = [];
    for await (const part of engine.stream(plan, { t: batches }, { batchRows: 1000 })) {
      expect(part.numRows).toBeLessThanOrEqual(1000);
      streamed.push(...resultRows(part));
    }
    expect(inOrder(streamed)).toEqual(expected);
    expectNoFiles(engine);
    await engine.close();
  });

  /** A key with few equal ones, and what shows where a row came from. */
  function largeTable(rows: number): Table {
    const [keys, values] = [new BigInt64Array(rows), new Float64Array(rows)];
    for (let row = 0; row < rows; row++) {
      const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
      keys[row] = BigInt(mixed % 400_009) - 200_000n;
      values[row] = row / 7;
    }
    return new Table({ k: makeVector(keys), v: makeVector(values) });
  }

  function bytesOf(table: Table): Buffer {
    const parts = table.schema.fields.map((_, column) =>
      Buffer.concat(
        table.getChildAt(column)!.data.map(({ values }) => {
          const { buffer, byteOffset, byteLength } = values as Float64Array;
          return Buffer.from(buffer, byteOffset, byteLength);
        }),
      ),
    );
    return Buffer.concat(parts);
  }

  it.each(BUILDS)("%s: from a tenth of the memory on", async (build) => {
    const plan = from("t").orderBy(desc("k"));
    const large = largeTable(400_000);
    const roomy = await Engine.open({ memory: "1 GiB" });
    const idle = roomy.stats().usedBytes;
    const expected = bytesOf(await roomy.collect(plan, { t: large }));
    const taken = roomy.stats().peakBytes - idle;
    await roomy.close();
    for (const share of [0.1, 0.3, 0.8]) {
      const engine = await open(Math.floor(idle + share * taken), { build });
      expect(bytesOf(await engine.collect(plan, { t: large })).equals(expected)).toBe(true);
      expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
      expectNoFiles(engine);
      await engine.close();
    }
  });

  it("rows that come in order, or in reverse, are read once", async () => {
    const plan = t.orderBy("k") as Plan;
    const { expected, idle, taken } = await inMemory(plan);
    const byKey = sortRows(rows, [{ column: 0, descending: false, nullsFirst: false }]);
    for (const ordered of [byKey, [...byKey].reverse()]) {
      const engine = await open(Math.floor(idle + 0.5 * taken));
      const result = await engine.collect(plan, { t: batchesOf(ordered) });
      expect(inOrder(resultRows(result))).toEqual(expected);
      const { bytesWritten, bytesRead } = engine.stats().spill!;
      expect(bytesRead).toBeLessThan(1.2 * bytesWritten);
      await engine.close();
    }
  });

  it("rows that come nearly in order, or whose values move on, are hardly written twice", async () => {
    const plan = t.orderBy("k", "n") as Plan;
    const { expected, idle, taken } = await inMemory(plan);
    const byKey = sortRows(rows, [
      { column: 0, descending: false, nullsFirst: false },
      { column: 3, descending: false, nullsFirst: false },
    ]);
    const jittered = byKey
      .map((row, at) => ({ row, at: at + ((at * 7919) % 50) }))
      .sort((a, b) => a.at - b.at)
      .map(({ row }) => row);
    const turned = [...jittered.slice(ROWS / 2).reverse(), ...jittered.slice(0, ROWS / 2)];
    const written = async (given: readonly (readonly Value[])[]) => {
      const engine = await open(Math.floor(idle + 0.3 * taken));
      const result = await engine.collect(plan, { t: batchesOf(given, 40) });
      expect(inOrder(resultRows(result))).toEqual(expected);
      expectNoFiles(engine);
      const { bytesWritten } = engine.stats().spill!;
      await engine.close();
      return bytesWritten;
    };
    const once = await written(byKey);
    for (const given of [jittered, turned]) expect(await written(given)).toBeLessThan(1.6 * once);
  });

  it("a result that stays in the kernel's memory", async () => {
    const plan = SORTS.texts!;
    const { expected, idle, taken } = await inMemory(plan);
    for (const share of [0.6, 0.9, 1.2]) {
      const engine = await open(Math.floor(idle + share * taken));
      const kept = await engine.collect(plan, { t: batches }, { result: "kernel" });
      expect(inOrder(resultRows(kept.toArrow()))).toEqual(expected);
      kept.free();
      expectNoFiles(engine);
      await engine.close();
    }
  });

  it("a limit needs no files", async () => {
    const engine = await open("8 MiB");
    const first = await engine.collect(t.orderBy("k").limit(10, 5) as Plan, { t: batches });
    const { expected } = await inMemory(SORTS.integers!);
    expect(inOrder(resultRows(first))).toEqual(expected.slice(5, 15));
    expect(engine.stats().spill!.bytesWritten).toBe(0);
    await engine.close();
  });

  it("what fits is not written", async () => {
    const engine = await open("64 MiB");
    await engine.collect(SORTS.integers!, { t: batches });
    expect(engine.stats().spill).toEqual({ bytesWritten: 0, bytesRead: 0, files: 0, bytes: 0 });
    await engine.close();
  });

  it("several at once share the memory", async () => {
    const names = ["integers", "texts", "an aggregation's"];
    const engine = await open("24 MiB");
    const got = await Promise.all(names.map((name) => engine.collect(SORTS[name]!, { t: batches })));
    for (const [at, name] of names.entries()) {
      expect(inOrder(resultRows(got[at]!))).toEqual((await inMemory(SORTS[name]!)).expected);
    }
    expectNoFiles(engine);
    await engine.close();
  });
});

describe("rows that are equal in what has an order keep theirs", () => {
  const list = new List(new Field("item", new Int32(), true));
  const type = new Struct([new Field("k", new Int32(), true), new Field("l", list, true)]);
  const parts = Array.from({ length: 10 }, (_, part) => {
    const values = Array.from({ length: 3000 }, (_, at) => {
      const row = part * 3000 + at;
      return { k: row % 5 === 0 ? null : (row * 7919) % 1000, l: [row, -1] };
    });
    return new RecordBatch(new ArrowSchema(type.children), vectorFromArray(values, type).data[0] as never);
  });

  it("lists wait on the host", async () => {
    const plan = from("t").orderBy(desc("k"));
    const roomy = await Engine.open({ memory: "1 GiB" });
    const expected = (await roomy.collect(plan, { t: parts })).toArray().map(String);
    await roomy.close();
    const engine = await open("1 MiB");
    const result = await engine.collect(plan, { t: new Table(parts) });
    expect(result.toArray().map(String)).toEqual(expected);
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    expectNoFiles(engine);
    await engine.close();
  });

  it("the bits of NaNs are those that came, in that order", async () => {
    const bits = BigUint64Array.from({ length: 30_000 }, (_, row) => 0x7ff8000000000000n + BigInt(row));
    const schema: Schema = { fields: [{ name: "x", type: float64, nullable: false }] };
    const column = {
      type: float64,
      length: bits.length,
      offset: 0,
      nullCount: 0,
      validity: null,
      offsets: null,
      values: new Uint8Array(bits.buffer),
      dictionary: null,
    };
    const engine = await open("1 MiB");
    const result = await engine.collect(from("t").orderBy("x"), {
      t: [{ schema, length: bits.length, columns: [column] }],
    });
    const got = result.getChildAt(0)!.data.flatMap(({ values }) => {
      const floats = values as Float64Array;
      return [...new BigUint64Array(floats.buffer, floats.byteOffset, floats.length)];
    });
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    expect(got).toEqual([...bits]);
    await engine.close();
  });
});

describe("many runs of few rows", () => {
  const narrow = [int8, fc.integer({ min: -128, max: 127 }).map(BigInt)] as const;
  const table = fc.array(fc.constantFrom(narrow, ...CELLS), { minLength: 1, maxLength: 4 }).chain((columns) =>
    fc.record({
      types: fc.constant(columns.map(([type]) => type)),
      rows: fc.array(fc.tuple(...columns.map(([, cell]) => fc.option(cell))), { maxLength: 60 }),
      by: drawnOrder(columns.length, 1),
      size: fc.integer({ min: 1, max: 9 }),
      refuse: fc.integer({ min: 1, max: 3 }),
      batchRows: fc.constantFrom(1, 3, 65_536),
    }),
  );

  it.each(BUILDS)("%s: give the twin's order", async (build) => {
    const kernel = await Kernel.open({ build, budget: "16 MiB" });
    const engine = Engine.over(kernel, null, await SpillFolder.open({ directory }));
    let every = 1;
    refuseSorts(kernel, () => every);
    await fc.assert(
      fc.asyncProperty(table, async ({ types, rows: some, by, size, refuse, batchRows }) => {
        every = refuse;
        const fields = types.map((type, at) => ({ name: `c${at}`, type, nullable: true }));
        const given = Array.from({ length: Math.ceil(some.length / size) }, (_, at) =>
          writeBatch(fields, some.slice(at * size, (at + 1) * size)),
        );
        const keys = by.map(({ column, descending, nullsFirst }) =>
          (descending ? desc : asc)(`c${column}`, { nulls: nullsFirst ? "first" : "last" }),
        );
        const plan = from("t").orderBy(...keys) as Plan;
        const got: Value[][] = [];
        const none = writeBatch(fields, []);
        for await (const part of engine.stream(plan, { t: [none, ...given] }, { batchRows }))
          got.push(...resultRows(part));
        expect(inOrder(got)).toEqual(inOrder(sortRows(some, by)));
        expectNoFiles(engine);
      }),
      { numRuns: 100 },
    );
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    await engine.close();
  });
});

describe("faults", () => {
  const plan = SORTS.texts!;

  async function spilling(): Promise<SpillingQuery & { memory: number }> {
    const { expected, idle, taken } = await inMemory(plan);
    const memory = Math.floor(idle + 0.5 * taken);
    return {
      expected,
      memory,
      open: (spillHost) => open(memory, { faults: { spillHost } }),
      run: async (engine, options) =>
        inOrder(resultRows(await engine.collect(plan, { t: batches }, options))),
      expectNoFiles,
    };
  }

  it("a write that fails, whichever it is, is a SpillError and leaves the engine as it was", async () => {
    await tellsOfFailedWrites(await spilling());
  });

  it("memory that ends while rows leave ends the run, and says so", async () => {
    const { engine, expected, again } = await counted(await spilling());
    const real = Operator.prototype.tryPull;
    for (const failAt of [1, 2, 3]) {
      let pulls = 0;
      const spy = vi.spyOn(Operator.prototype, "tryPull").mockImplementation(function (
        this: Operator,
        ...sizes
      ) {
        if (++pulls >= failAt) throw new MemoryLimitError("no room for rows");
        return real.apply(this, sizes);
      });
      const error = await again().catch((thrown: unknown) => thrown);
      spy.mockRestore();
      expect(error).toBeInstanceOf(MemoryLimitError);
      expectNoFiles(engine);
    }
    expect(await again()).toEqual(expected);
    await engine.close();
  });

  it("a torn file, or one whose bytes have changed, is a SpillError", async () => {
    await tellsOfDamagedFiles(await spilling());
  });

  it("a run that is aborted, or left, or an engine that is closed, leaves nothing", async () => {
    const query = await spilling();
    const { counts, engine, writes, reads, again } = await counted(query);
    for (const [event, at] of [
      ["onWrite", 3],
      ["onWrite", writes],
      ["onRead", reads >> 1],
    ] as const) {
      const controller = new AbortController();
      counts[event] = (nth) => {
        if (nth === at) controller.abort(new Error("enough"));
        return "fine";
      };
      await expect(again({ signal: controller.signal })).rejects.toThrow("enough");
      expectNoFiles(engine);
      counts.onWrite = () => {};
      counts.onRead = () => "fine";
    }
    await engine.close();
    const other = await open(query.memory);
    const left = other.stream(plan, { t: batches }, { batchRows: 100 });
    await left.next();
    expect(other.stats().spill!.files).toBeGreaterThan(0);
    await left.return();
    expectNoFiles(other);
    const closed = other.stream(plan, { t: batches }, { batchRows: 100 });
    await closed.next();
    await other.close();
    await expect(closed.next()).rejects.toThrow(/closed/);
    expect(readdirSync(directory)).toEqual([]);
  });
});
