import { afterEach, expect, it, vi } from "vitest";
import { double11Suite } from "../bench/suite/double11.js";
import type { Plan } from "../bindings/ts/index.js";
import { Engine, explain } from "../bindings/ts/index.js";
import { openFixture } from "../fixtures/catalog.js";

afterEach(() => {
  vi.restoreAllMocks();
});

/** What an example prints, line by line. */
async function printed(load: () => Promise<unknown>): Promise<string[]> {
  const lines: string[] = [];
  vi.spyOn(console, "log").mockImplementation((...words: unknown[]) => {
    lines.push(words.join(" "));
  });
  await load();
  return lines;
}

it("batch", async () => {
  const lines = await printed(() => import("./batch.js"));
  expect(lines[0]).toContain("hash aggregate");
  expect(lines.slice(1)).toEqual([
    expect.stringMatching(/"Lisbon", "trips": 2, "fares": 20.75, "shared": 0/),
    expect.stringMatching(/"Porto", "trips": 2, "fares": 12.75, "shared": 2/),
  ]);
});

it("stream", async () => {
  const lines = await printed(() => import("./stream.js"));
  expect(lines.slice(0, 4)).toEqual([
    "+I roof 1 20.00",
    "-U roof 1 20.00",
    "+U roof 2 20.05",
    "+I cellar 1 12.00",
  ]);
  expect(lines.length).toBe(10);
});

it("checkpoint", async () => {
  const lines = await printed(() => import("./checkpoint.js"));
  expect(lines).toEqual([
    "0 ada 0.2",
    "0 bo 1",
    "2 ada 0.2",
    "2 bo 5",
    "-- stopped after 10 rows",
    "4 ada 0.2",
    "4 bo 9",
  ]);
});

it("windows", async () => {
  const lines = await printed(() => import("./windows.js"));
  expect(lines.slice(0, 2)).toEqual(["after 24 orders: 2 results", "after 44 orders: 2 results"]);
  expect(lines.at(-1)).toBe("0 late, same as the batch: true");
});

it("files", async () => {
  const lines = await printed(() => import("./files.js"));
  expect(lines).toEqual([
    "2 rows written",
    '{"shop": "north", "sales": 2, "amount": 15.75}',
    '{"shop": "south", "sales": 1, "amount": 8}',
  ]);
});

it("partial and final", async () => {
  const lines = await printed(() => import("./partial-and-final.js"));
  expect(lines.sort()).toEqual(["key 1: total 1, rows 3", "key 2: total 0.30000000000000004, rows 2"]);
});

const SCENARIOS: Readonly<Record<string, () => Promise<{ default: unknown }>>> = {
  gmv: () => import("./gmv.js"),
  marketing: () => import("./marketing.js"),
  "anti-cheat": () => import("./anti-cheat.js"),
  logistics: () => import("./logistics.js"),
  attack: () => import("./attack.js"),
  features: () => import("./features.js"),
  index: () => import("./inverted-index.js"),
  "lake-sync": () => import("./lake-sync.js"),
  monitoring: () => import("./monitoring.js"),
};

it.each(Object.keys(SCENARIOS))(
  "%s: what the bench measures, the same figures in both modes",
  async (name) => {
    const plan = (await SCENARIOS[name]!()).default as Plan;
    const of = double11Suite.cases.find((candidate) => candidate.name === name)!;
    expect(explain(plan)).toBe(explain(of.plan()));
    const inputs: Record<string, object> = {};
    for (const [input, { fixture }] of Object.entries(of.inputs)) {
      inputs[input] = [...(await openFixture(fixture, { rows: 3000, seed: 7 })).batches(700)];
    }
    const engine = await Engine.open();
    const table = await engine.collect(plan, inputs);
    expect(table.numRows).toBeGreaterThan(1);
    const streamed: string[] = [];
    const { watermarks = {} } = of;
    for await (const batch of engine.stream(plan, inputs, { watermarks })) {
      streamed.push(...batch.toArray().map(String));
    }
    expect(streamed.sort()).toEqual(table.toArray().map(String).sort());
    await engine.close();
  },
);

it("gmv: what its updates leave is the batch's result, the total among them", async () => {
  const { default: plan } = await import("./gmv.js");
  const orders = [...(await openFixture("orders", { rows: 3000, seed: 7 })).batches(700)];
  const engine = await Engine.open();
  const left = new Map<string, number>();
  const totals: number[] = [];
  for await (const batch of engine.stream(plan, { orders }, { emit: "onUpdate" })) {
    for (const row of batch.toArray()) {
      const { row_kind, ...rest } = row.toJSON();
      const [key, sign] = [JSON.stringify(Object.values(rest).map(String)), row_kind & 1 ? -1 : 1];
      left.set(key, (left.get(key) ?? 0) + sign);
      const isTotal = [rest.second, rest.minute, rest.category, rest.province].every((of) => of === null);
      if (isTotal && sign === 1) totals.push(Number(rest.orders));
    }
  }
  const table = await engine.collect(plan, { orders });
  const rows = [...left].filter(([, count]) => count !== 0);
  expect(rows.every(([, count]) => count === 1)).toBe(true);
  expect(rows.map(([key]) => key).sort()).toEqual(
    table
      .toArray()
      .map((row) => JSON.stringify(Object.values(row.toJSON()).map(String)))
      .sort(),
  );
  // The screen's total after each of the batches, growing.
  expect(totals).toHaveLength(5);
  expect(totals).toEqual([...totals].sort((a, b) => a - b));
  await engine.close();
});
