// How long one row takes through a running stream: in, through the state, and its consequence out.

import { count, from, max, min, sum } from "../../bindings/ts/index.js";
import type { BenchCase, Suite } from "./case.js";
import { columnLoop } from "./column-loops.js";

const changes = {
  suite: "latency",
  inputs: { t: { fixture: "events", columns: ["key10k", "value"] } },
  output: [
    { name: "key10k", kind: "int" },
    { name: "total", kind: "int" },
    { name: "n", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("key10k")
      .aggregate({ total: sum("value"), n: count() }),
  javascript: columnLoop({
    keys: ["key10k"],
    measures: { total: { kind: "sum", column: "value" }, n: { kind: "rows" } },
  }),
  latency: true,
} satisfies Partial<BenchCase>;

const push: BenchCase = {
  ...changes,
  name: "push",
  question: "one row in, the changed sum and count of its key out: 10,000 keys in state",
  quick: "fast",
};

const mixed: BenchCase = {
  ...changes,
  name: "mixed",
  question: "the same, 1,000 rows a second, while the engine collects a group-by over and over",
  background: () =>
    from("t")
      .groupBy("key10k")
      .aggregate({ total: sum("value"), least: min("value"), most: max("value"), n: count() }),
};

export const latencySuite: Suite = {
  name: "latency",
  title: "a row's time through a running stream",
  cases: [push, mixed],
};
