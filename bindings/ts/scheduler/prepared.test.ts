// A plan that is run again: over the same tables, over others, in other modes.

import { makeVector, Table, vectorFromArray } from "apache-arrow";
import { afterAll, beforeAll, expect, it } from "vitest";
import { count, Engine, from, type Plan, sum } from "../index.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.open({ memory: "64 MiB" });
});
afterAll(() => engine.close());

const integers = new Table({ k: makeVector(Int32Array.of(1, 2, 1)), v: makeVector(Int32Array.of(1, 2, 3)) });
const floats = new Table({
  k: vectorFromArray(["a", "b", "a"]),
  v: makeVector(Float64Array.of(0.5, 1, 2)),
});
const bySum = (from("t") as Plan).groupBy("k").aggregate({ s: sum("v") });

async function sums(inputs: object): Promise<string[]> {
  const table = await engine.collect(bySum, inputs as never);
  return table.toArray().map((row) => `${row.k} ${row.s}`);
}

it("gives the same over a loaded table each time, and over others what they have", async () => {
  const loaded = await engine.load(integers);
  const others = await engine.load(floats);
  for (let round = 0; round < 3; round++) {
    expect((await sums({ t: loaded })).sort()).toEqual(["1 4", "2 2"]);
    expect((await sums({ t: loaded })).sort()).toEqual(["1 4", "2 2"]);
    expect((await sums({ t: others })).sort()).toEqual(["a 2.5", "b 1"]);
    expect((await sums({ t: floats })).sort()).toEqual(["a 2.5", "b 1"]);
  }
  loaded.free();
  others.free();
});

it("goes on after a schema that the plan cannot be bound to", async () => {
  const loaded = await engine.load(integers);
  const texts = new Table({ k: vectorFromArray(["a"]), v: vectorFromArray(["b"]) });
  for (let round = 0; round < 2; round++) {
    await expect(sums({ t: texts })).rejects.toThrow('"v"');
    expect((await sums({ t: loaded })).sort()).toEqual(["1 4", "2 2"]);
  }
  loaded.free();
});

it("keeps a batch, a stream and a changelog of one plan apart", async () => {
  const loaded = await engine.load(integers);
  const names = async (emit: "onClose" | "onUpdate") => {
    const columns = new Set<string>();
    for await (const batch of engine.stream(bySum, { t: loaded }, { emit }))
      for (const { name } of batch.schema.fields) columns.add(name);
    return [...columns];
  };
  for (let round = 0; round < 2; round++) {
    expect(await names("onUpdate")).toContain("row_kind");
    expect(await names("onClose")).toEqual(["k", "s"]);
    expect((await engine.collect(bySum, { t: loaded })).schema.fields.map(({ name }) => name)).toEqual([
      "k",
      "s",
    ]);
  }
  loaded.free();
});

it("reads the table that a plan has, or the one that a run gives instead", async () => {
  const plan = from(integers).groupBy("k").aggregate({ n: count() });
  const others = await engine.load(
    new Table({ k: makeVector(Int32Array.of(5)), v: makeVector(Int32Array.of(7)) }),
  );
  const keys = async (inputs: object) =>
    (await engine.collect(plan, inputs as never)).toArray().map((row) => row.k);
  for (let round = 0; round < 2; round++) {
    expect((await keys({})).sort()).toEqual([1, 2]);
    expect(await keys({ table: others })).toEqual([5]);
  }
  others.free();
});
