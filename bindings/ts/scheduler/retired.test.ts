// What the kernel keeps of runs that are over: an object of each class, and nothing of the caller's.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { makeVector, Table, vectorFromArray } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { asc, count, Engine, from, type Inputs, type Plan, sum } from "../index.js";
import { Kernel } from "../kernel/index.js";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Whether the object goes; what a run has set going behind its back may hold it for some turns. */
async function goes(object: WeakRef<object>): Promise<boolean> {
  for (let turn = 0; turn < 20 && object.deref() !== undefined; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    collectGarbage();
  }
  return object.deref() === undefined;
}

function tableOf(rows: number): Table {
  return new Table({
    k: makeVector(Int32Array.from({ length: rows }, (_, row) => row % 100)),
    x: makeVector(Float64Array.from({ length: rows }, (_, row) => row / 3)),
    s: vectorFromArray(Array.from({ length: rows }, (_, row) => `text ${row % 10}`)),
  });
}

const t = () => from("t") as Plan;
const PLANS: Readonly<Record<string, () => Plan>> = {
  aggregation: () =>
    t()
      .groupBy("k")
      .aggregate({ s: sum("x"), n: count() }),
  "aggregation by texts": () => t().groupBy("s").aggregate({ n: count() }),
  sort: () => t().orderBy(asc("x")),
  join: () => t().join(from("u") as Plan, { on: "k" as never }) as Plan,
};

async function run(engine: Engine, plan: Plan, inputs: Inputs, mode: string): Promise<number> {
  if (mode === "batch") return (await engine.collect(plan, inputs)).numRows;
  let rows = 0;
  for await (const batch of engine.stream(plan, inputs)) rows += batch.numRows;
  return rows;
}

describe.each([1, 2])("an engine of %i threads", (workers) => {
  it.each(
    Object.entries(PLANS).flatMap(([name, plan]) =>
      ["batch", "stream"].map((mode) => [name, mode, plan] as const),
    ),
  )("holds nothing of the inputs of a run that is over: %s, %s", async (_, mode, plan) => {
    const engine = await Engine.open({ workers, memory: "256 MiB" });
    await engine.ready();
    const asked = async () => {
      const inputs = { t: tableOf(300_000), u: tableOf(100) };
      const rows = await run(engine, plan(), inputs, mode);
      expect(rows).toBeGreaterThan(0);
      return Object.values(inputs).map(
        (table) => new WeakRef<object>(table.getChildAt(0)!.data[0]!.values.buffer as ArrayBuffer),
      );
    };
    const used = engine.stats().usedBytes;
    for (const data of await asked()) expect(await goes(data)).toBe(true);
    expect(engine.stats().usedBytes).toBe(used);
    await engine.close();
  });
});

describe("Kernel.retire", () => {
  class Part {}

  it("keeps an object until the next one of its class, or the kernel, goes", async () => {
    const kernel = await Kernel.open();
    const retired = () => {
      const part = new Part();
      kernel.retire(part);
      return new WeakRef<object>(part);
    };
    const first = retired();
    expect(await goes(first)).toBe(false);
    const second = retired();
    expect(await goes(first)).toBe(true);
    expect(await goes(second)).toBe(false);
    kernel.close();
    expect(await goes(second)).toBe(true);
    expect(await goes(retired())).toBe(true);
  });
});
