// What exactness costs: one query with exact float sums and with plain ones, over few groups and over many.
//
// Plain sums depend on the order of the rows, so their modes are compared within the peers' tolerance.

import { from, sum } from "../../bindings/ts/index.js";
import type { BenchCase, Suite } from "./case.js";
import { directSize, float64, int32, occupied, pick } from "./typed-loops.js";

/** `few`: 100 groups (id4); `many`: a hundredth of the rows (id6). */
function sumsOf(groups: "few" | "many", key: "id4" | "id6", exact: boolean): BenchCase {
  return {
    suite: "exact",
    name: `${groups}-${exact ? "exact" : "plain"}`,
    question: `${exact ? "exact" : "plain"} sum v3 by ${key}`,
    inputs: { t: { fixture: "groupby", columns: [key, "v3"] } },
    output: [
      { name: key, kind: "int" },
      { name: "v3", kind: "float" },
    ],
    plan: () =>
      from("t")
        .groupBy(key)
        .aggregate({ v3: exact ? sum("v3") : sum("v3", { fast: true }) }),
    sql: `SELECT ${key}, sum(v3) AS v3 FROM t GROUP BY ${key}`,
    polars: (pl, { t }) => t!.lazy().groupBy(key).agg(pl.col("v3").sum()),
    arquero: (aq, { t }) => t!.groupby(key).rollup({ v3: aq.op.sum("v3") }),
    javascript: ({ t }) => {
      const [keys, v3] = [int32(t!, key), float64(t!, "v3")];
      const size = directSize(keys);
      return () => {
        const [sums, counts] = [new Float64Array(size), new Uint32Array(size)];
        for (let row = 0; row < keys.length; row++) {
          const group = keys[row]!;
          sums[group]! += v3[row]!;
          counts[group]! += 1;
        }
        const found = occupied(counts);
        return {
          rows: found.length,
          columns: { [key]: { values: found }, v3: { values: pick(sums, found) } },
        };
      };
    },
    inexact: !exact,
    ...(groups === "many" ? { quick: "fast" } : {}),
  };
}

export const exactSuite: Suite = {
  name: "exact",
  title: "exact against plain float sums",
  cases: [
    sumsOf("few", "id4", true),
    sumsOf("few", "id4", false),
    sumsOf("many", "id6", true),
    sumsOf("many", "id6", false),
  ],
};
