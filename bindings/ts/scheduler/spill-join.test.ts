// Joins that spill: the rows of memory, bit by bit, in a fraction of it, and nothing left behind.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { OperatorKind } from "../../../kernel/abi/operator.js";
import { fingerprint, resultRows } from "../../../test/testing-result.js";
import { type Value, writeBatch } from "../../../twin/values.js";
import { col, count, Engine, type EngineOptions, from, MemoryLimitError, type Plan, sum } from "../index.js";
import { Operator } from "../kernel/index.js";
import type { BatchData } from "../type/column.js";
import {
  bool,
  type DataType,
  decimal,
  dictionary,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  type Schema,
  utf8,
} from "../type/data-type.js";
import {
  counted,
  expectNoFilesIn,
  memoryEndsAfter,
  type SpillingQuery,
  tellsOfDamagedFiles,
  tellsOfFailedWrites,
} from "./testing-spill.js";

const LEFT: Schema = {
  fields: [
    { name: "k", type: int64, nullable: true },
    { name: "text", type: dictionary(utf8, int32), nullable: true },
    { name: "x", type: float64, nullable: true },
    { name: "n", type: int32, nullable: false },
    { name: "b", type: bool, nullable: true },
  ],
};
const RIGHT: Schema = {
  fields: [
    { name: "k", type: int64, nullable: true },
    { name: "text", type: utf8, nullable: true },
    { name: "y", type: float64, nullable: true },
    { name: "m", type: int32, nullable: false },
    { name: "d", type: decimal(38, 2), nullable: true },
  ],
};
const ODD = [Number.NaN, -0, 0, Infinity, -Infinity, 5e-324];

/** Rows of one side: every tenth has no key, others have none, one or several of the other side. */
function cells(row: number, isRight: boolean): Value[] {
  const mixed = Math.imul(row + (isRight ? 1_000_003 : 0), 0x9e3779b1) >>> 0;
  const key = mixed % 10 === 0 ? null : BigInt(mixed % 60_013) * 1_000_003n;
  const text = mixed % 97 === 0 ? null : `${"é".repeat(mixed % 4)} a text of some length ${mixed % 30_011}`;
  const x = mixed % 9 === 0 ? ODD[mixed % 6]! : (mixed % 20_011) / 8;
  const last: Value = isRight ? (mixed % 7 === 0 ? null : BigInt(mixed)) : mixed % 3 === 0;
  return [key, text, x, BigInt(mixed % 1000), last];
}

function batchesOf(
  schema: Schema,
  rows: number,
  change: (cells: Value[], row: number) => Value[] = (same) => same,
): BatchData[] {
  const isRight = schema === RIGHT;
  const size = Math.ceil(rows / 10);
  return Array.from({ length: 10 }, (_, batch) =>
    writeBatch(
      schema.fields,
      Array.from({ length: Math.max(0, Math.min(size, rows - batch * size)) }, (_, at) =>
        change(cells(batch * size + at, isRight), batch * size + at),
      ),
    ),
  );
}

type Inputs = Record<string, readonly BatchData[]>;

const l = from("l") as Plan;
const r = from("r") as Plan;
const HOW = ["inner", "left", "right", "full", "semi", "anti"] as const;
const residual = col("n").le(col("m"));

const tables: Inputs = { l: batchesOf(LEFT, 24_000), r: batchesOf(RIGHT, 30_000) };

let directory: string;
let roomy: Engine;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "millrace-test-"));
  roomy = await Engine.open({ memory: "1 GiB" });
});
afterAll(async () => {
  await roomy.close();
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});

const expectedOf = async (plan: Plan, inputs: Inputs) =>
  fingerprint(resultRows(await roomy.collect(plan, inputs)));

const open = (memory: number | string, faults?: EngineOptions["faults"]) =>
  Engine.open({ memory, spill: { directory }, ...(faults === undefined ? {} : { faults }) });

const expectNoFiles = (engine: Engine) => expectNoFilesIn(directory, engine, 2 ** 20);

/** Runs a plan in so much memory, which does not do without files. */
async function agrees(plan: Plan, memory: number | string, inputs: Inputs = tables): Promise<void> {
  const expected = await expectedOf(plan, inputs);
  const small = await Engine.open({ memory });
  await expect(small.collect(plan, inputs)).rejects.toThrow(MemoryLimitError);
  await small.close();
  const engine = await open(memory);
  try {
    const got = fingerprint(resultRows(await engine.collect(plan, inputs)));
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    expectNoFiles(engine);
    expect(got.length).toBe(expected.length);
    expect(got).toEqual(expected);
  } finally {
    await engine.close();
  }
}

describe("in a tenth of the memory", () => {
  const large: Inputs = { l: batchesOf(LEFT, 80_000), r: batchesOf(RIGHT, 100_000) };
  it.each(["inner", "full", "anti"] as const)("%s by a number", async (how) => {
    const plan = l.join(r, { on: "k", how });
    const engine = await Engine.open({ memory: "1 GiB" });
    await engine.collect(plan, large);
    const { peakBytes, usedBytes } = engine.stats();
    await engine.close();
    // What an engine takes that does nothing, and a join without rows, is no part of it.
    await agrees(plan, Math.max(usedBytes + Math.floor((peakBytes - usedBytes) / 10), 3 * 2 ** 19), large);
  });
});

describe("every kind", () => {
  it.each(HOW)("%s by a number", async (how) => {
    await agrees(l.join(r, { on: "k", how }), "2 MiB");
  });

  it.each(HOW)("%s by a text, of a dictionary on one side, with a residual", async (how) => {
    await agrees(l.join(r, { on: "text", how, residual }), "2 MiB");
  });
});

describe("sizes and keys", () => {
  const one = (every: number) => (row: Value[], number: number) => [
    number % every === 0 ? 7n : row[0]!,
    ...row.slice(1),
  ];

  it.each(HOW)(
    "%s where one key has half of the rows on both sides",
    async (how) => {
      const inputs = { l: batchesOf(LEFT, 14_000, one(2)), r: batchesOf(RIGHT, 16_000, one(2)) };
      // Few of the pairs are matches: there are 56 million.
      const few = col("n").eq(col("m").add(990));
      const plan = l.join(r, { on: "k", how, residual: few }).where(col("n").gt(0)) as Plan;
      await agrees(plan, "2560 KiB", inputs);
    },
    60_000,
  );

  it("one key alone, whose rows come in pieces", async () => {
    const inputs = { l: batchesOf(LEFT, 10_000, one(1)), r: batchesOf(RIGHT, 10_000, one(1)) };
    for (const how of ["semi", "left", "right", "full"] as const) {
      await agrees(l.join(r, { on: "k", how, residual: col("n").eq(col("m").add(999)) }), "2 MiB", inputs);
    }
  }, 60_000);

  it("several keys of types that differ, with nulls that are equal", async () => {
    const left = l.select({
      n: col("n").cast(int16),
      x: col("x").cast(float32),
      text: col("text"),
      b: col("b"),
    });
    const plan = left.join(r, { on: { n: "m", x: "y", text: "text" }, how: "full", nullsEqual: true });
    await agrees(plan as Plan, "2 MiB");
  });

  it.each(["left", "right", "full", "anti"] as const)("%s with an empty side", async (how) => {
    for (const empty of ["l", "r"] as const) {
      const inputs = { ...tables, [empty]: batchesOf(empty === "l" ? LEFT : RIGHT, 0) };
      const plan = l.join(r, { on: "k", how });
      const expected = await expectedOf(plan, inputs);
      const engine = await open("2 MiB");
      expect(fingerprint(resultRows(await engine.collect(plan, inputs)))).toEqual(expected);
      expectNoFiles(engine);
      await engine.close();
    }
  });

  it("not without keys, nor in a stream", async () => {
    const engine = await open("2 MiB");
    const cross = l.join(r, { how: "cross" });
    await expect(engine.collect(cross, tables)).rejects.toThrow(MemoryLimitError);
    const rows = async () => {
      for await (const _ of engine.stream(l.join(r, { on: "k" }), tables));
    };
    await expect(rows()).rejects.toThrow(MemoryLimitError);
    expectNoFiles(engine);
    await engine.close();
  });
});

describe("among other steps", () => {
  const both = l.join(r, { on: "k", how: "full" }) as Plan;
  const plans = {
    "an order behind it": both.orderBy("y", "n"),
    "an aggregation behind it": both.groupBy("text").aggregate({ s: sum("y"), c: count() }),
    "two joins": both.join(r.select({ m: col("m"), other: col("d") }).where(col("m").lt(3)), {
      on: "m",
      how: "left",
    }),
    "a join of joins": l.join(r, { on: "k" }).join(l.join(r, { on: "text", how: "semi" }), {
      on: "k",
      how: "left",
      suffix: "_again",
    }),
    "both sides filtered and computed": l
      .where(col("n").lt(900))
      .join(r.where(col("m").gt(100)).select({ k: col("k"), z: col("m").mul(2), y: col("y") }), {
        on: "k",
        how: "right",
        residual: col("n").lt(col("z")),
      }),
  };
  it.each(Object.entries(plans))(
    "%s",
    async (_name, plan) => {
      await agrees(plan as Plan, "3 MiB");
    },
    60_000,
  );

  it("results that stay in the kernel's memory, and profiles", async () => {
    const plan = l.join(r.where(col("m").lt(100)), { on: "k", how: "left" }).where(col("n").lt(100)) as Plan;
    const expected = await expectedOf(plan, tables);
    const engine = await open("2 MiB");
    const kept = await engine.collect(plan, tables, { result: "kernel" });
    expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
    expect(fingerprint(resultRows(kept.toArrow()))).toEqual(expected);
    kept.free();
    expectNoFiles(engine);
    const { result } = await engine.profile(plan, tables);
    expect(fingerprint(resultRows(result))).toEqual(expected);
    expectNoFiles(engine);
    await engine.close();
  });

  it("what fits is not written", async () => {
    const engine = await Engine.open({ memory: "512 MiB", spill: { directory }, workers: 2 });
    const result = await engine.collect(both, tables);
    expect(fingerprint(resultRows(result))).toEqual(await expectedOf(both, tables));
    expect(engine.stats().spill!.bytesWritten).toBe(0);
    await engine.close();
  });
});

/** Lets the `nth` push to a join find no memory. */
function refuse(nth: number) {
  const { push } = Operator.prototype;
  let pushes = 0;
  return vi.spyOn(Operator.prototype, "push").mockImplementation(function (this: Operator, ...input) {
    if (this.kind === OperatorKind.JOIN && ++pushes === nth) throw new MemoryLimitError("made to find none");
    return push.apply(this, input);
  });
}

/** Sides of few rows whose keys meet, differ in width and encoding, and are null. */
const TYPES: readonly (readonly DataType[])[] = [
  [int32, utf8, float64, int64, bool],
  [int64, dictionary(utf8, int16), float64, int8, float32],
];
const CELLS: readonly fc.Arbitrary<Value>[] = [
  fc.bigInt(-3n, 3n),
  fc.constantFrom("", "a", "b", "é", "x".repeat(40)),
  fc.constantFrom<Value>(0, -0, 1.5, Number.NaN, -Infinity),
  fc.bigInt(0n, 20n),
  fc.boolean(),
];
const rowsOf = (side: number) =>
  fc.array(
    fc.tuple(
      ...CELLS.map((cell, at) =>
        fc.option<Value>(at === 4 && side === 1 ? fc.constantFrom<Value>(0.5, -0, Number.NaN) : cell, {
          freq: 6,
          nil: null,
        }),
      ),
    ),
    { maxLength: 30 },
  );

it("wherever memory ends, nothing is given twice or left out", async () => {
  const engine = await open("64 MiB");
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        rows: fc.tuple(rowsOf(0), rowsOf(1)),
        how: fc.constantFrom(...HOW),
        on: fc.constantFrom(["i"], ["s"], ["f"], ["v"], ["i", "s"], ["s", "f", "v"]),
        nulls: fc.constantFrom("none", "equal", "aware"),
        residual: fc.boolean(),
        pieces: fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })),
        nth: fc.integer({ min: 1, max: 10 }),
      }),
      async ({ rows, how, on, nulls, residual, pieces, nth }) => {
        const names = ["i", "s", "f", "v", "o"];
        const inputs = Object.fromEntries(
          ["l", "r"].map((name, side) => {
            const fields = TYPES[side]!.map((type, at) => ({ name: names[at]!, type, nullable: true }));
            const all = rows[side as 0 | 1] as Value[][];
            const size = Math.max(1, Math.ceil(all.length / pieces[side as 0 | 1]));
            const starts = all.length === 0 ? [0] : [...all.keys()].filter((row) => row % size === 0);
            return [name, starts.map((start) => writeBatch(fields, all.slice(start, start + size)))];
          }),
        );
        const nullAware = nulls === "aware" && how === "anti" && on.length === 1;
        const plan = l.join(r, {
          on,
          how,
          nullsEqual: nulls === "equal",
          nullAware,
          ...(residual && !nullAware && !([...on] as string[]).includes("v")
            ? { residual: col("v").le(col("v_right")) }
            : {}),
        } as never) as Plan;
        const expected = await expectedOf(plan, inputs);
        const spy = refuse(Math.min(nth, inputs.l!.length + inputs.r!.length));
        try {
          expect(fingerprint(resultRows(await engine.collect(plan, inputs)))).toEqual(expected);
        } finally {
          spy.mockRestore();
        }
        expectNoFiles(engine);
      },
    ),
    { numRuns: 400 },
  );
  expect(engine.stats().spill!.bytesWritten).toBeGreaterThan(0);
  await engine.close();
}, 60_000);

describe("faults", () => {
  const plan = l.join(r, { on: "k", how: "full" }) as Plan;

  const spilling = async (): Promise<SpillingQuery> => ({
    expected: await expectedOf(plan, tables),
    open: (spillHost) => open("2 MiB", { spillHost }),
    run: async (engine, options) => fingerprint(resultRows(await engine.collect(plan, tables, options))),
    expectNoFiles,
  });

  it("a write that fails, whichever it is, is a SpillError and leaves the engine as it was", async () => {
    await tellsOfFailedWrites(await spilling());
  });

  it("a torn file, or one whose bytes have changed, is a SpillError", async () => {
    await tellsOfDamagedFiles(await spilling());
  });

  it("a run that is aborted, or an engine that is closed, leaves nothing", async () => {
    const { counts, engine, writes, reads, again } = await counted(await spilling());
    const aborting = async (onWrite: number, onRead: number) => {
      const controller = new AbortController();
      const at = (wanted: number) => (nth: number) => {
        if (nth === wanted) controller.abort(new Error("enough"));
        return "fine";
      };
      counts.onWrite = at(onWrite);
      counts.onRead = at(onRead);
      await expect(again({ signal: controller.signal })).rejects.toThrow("enough");
      expectNoFiles(engine);
    };
    await aborting(2, 0);
    await aborting(writes >> 1, 0);
    await aborting(0, reads >> 1);
    let closing: Promise<void> | null = null;
    counts.onWrite = () => {};
    counts.onRead = (nth) => {
      if (nth === reads >> 1) closing = engine.close();
      return "fine";
    };
    await expect(again()).rejects.toThrow(/closed/);
    await closing;
    expect(readdirSync(directory)).toEqual([]);
  }, 60_000);

  it("rows that have left when memory runs out in the middle are not written twice", async () => {
    const engine = await open("2 MiB");
    const expected = await expectedOf(plan, tables);
    for (const most of [0, 1, 3]) {
      const spy = memoryEndsAfter(most, "snapshot");
      expect(fingerprint(resultRows(await engine.collect(plan, tables)))).toEqual(expected);
      expect(spy.mock.calls.length).toBeGreaterThan(1);
      spy.mockRestore();
      expectNoFiles(engine);
    }
    await engine.close();
  }, 60_000);
});
