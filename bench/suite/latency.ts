// How long one row takes through a running stream: in, through the state, and its consequence out.

import { count, from, sum } from "../../bindings/ts/index.js";
import type { BenchCase, Suite } from "./case.js";
import { columnLoop } from "./column-loops.js";

const push: BenchCase = {
  suite: "latency",
  name: "push",
  question: "one row in, the changed sum and count of its key out: 10,000 keys in state",
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
  quick: "fast",
};

export const latencySuite: Suite = {
  name: "latency",
  title: "a row's time through a running stream",
  cases: [push],
};
