// Double 11: the questions of a shopping festival's day over its event stream.

import { col, count, from, sum } from "../../bindings/ts/index.js";
import type { BenchCase, Suite } from "./case.js";
import { SCENARIOS } from "./double11-scenarios.js";
import { codes, columnOf, integersAsFloat64, WordPairGroups } from "./typed-loops.js";

const MINUTE_MS = 60_000;

const gmv: BenchCase = {
  suite: "double11",
  name: "gmv",
  question: "turnover and orders by minute, category and province over the paid events",
  inputs: {
    t: { fixture: "orders", columns: ["event_time", "status", "category", "province", "amount"] },
  },
  output: [
    { name: "minute", kind: "timestamp" },
    { name: "category", kind: "text" },
    { name: "province", kind: "text" },
    { name: "gmv", kind: { decimal: 2 } },
    { name: "orders", kind: "int" },
  ],
  plan: () =>
    from("t")
      .where(col("status").eq("paid"))
      .groupBy({
        minute: col("event_time").dateTrunc("minute"),
        category: col("category"),
        province: col("province"),
      })
      .aggregate({ gmv: sum("amount"), orders: count() }),
  sql: `SELECT date_trunc('minute', event_time) AS minute, category, province, sum(amount) AS gmv, count(*) AS orders
    FROM t WHERE status = 'paid' GROUP BY 1, 2, 3`,
  // The binding has no truncation of times: milliseconds less their remainder in the minute.
  polars: (pl, { t }) => {
    const time = pl.col("event_time").cast(pl.Int64);
    return t!
      .lazy()
      .filter(pl.col("status").eq(pl.lit("paid")))
      .withColumns(time.sub(time.modulo(pl.lit(60_000n))).alias("minute"))
      .groupBy(["minute", "category", "province"])
      .agg(pl.col("amount").sum().alias("gmv"), pl.len().alias("orders"))
      .withColumns(pl.col("minute").cast(pl.Datetime("ms")));
  },
  arquero: (aq, { t }) =>
    t!
      .filter("d => d.status === 'paid'")
      .groupby({ minute: "d => floor(d.event_time / 60000) * 60000" }, "category", "province")
      .rollup({ gmv: aq.op.sum("amount"), orders: aq.op.count() }),
  javascript: ({ t }) => {
    const status = columnOf(t!, "status", false);
    const paid = status.dictionary!.indexOf("paid");
    const [statuses, valid] = [status.values as Int32Array, status.valid];
    const [category, province] = [codes(t!, "category"), codes(t!, "province")];
    const time = integersAsFloat64(t!, "event_time");
    const fen = integersAsFloat64(t!, "amount", false);
    const provinces = province.texts.length;
    return () => {
      const table = new WordPairGroups(1 << 16);
      let [sums, counts] = [new Float64Array(1 << 17), new Float64Array(1 << 17)];
      for (let row = 0; row < statuses.length; row++) {
        if (statuses[row] !== paid || (valid !== null && valid[row] === 0)) continue;
        const minute = Math.floor(time[row]! / MINUTE_MS);
        const group = table.group(minute, category.codes[row]! * provinces + province.codes[row]!);
        if (group === sums.length) [sums, counts] = [doubled(sums), doubled(counts)];
        sums[group]! += fen[row]!;
        counts[group]! += 1;
      }
      const groups = table.groups;
      const [minutes, pairs] = [table.lows.subarray(0, groups), table.highs.subarray(0, groups)];
      const columns = {
        minute: { values: Float64Array.from(minutes, (minute) => minute * MINUTE_MS * 1000) },
        category: { values: pairs.map((pair) => Math.floor(pair / provinces)), dictionary: category.texts },
        province: { values: pairs.map((pair) => pair % provinces), dictionary: province.texts },
        gmv: { values: sums.subarray(0, groups) },
        orders: { values: counts.subarray(0, groups) },
      };
      return { rows: groups, columns };
    };
  },
  quick: "all",
};

function doubled(values: Float64Array): Float64Array<ArrayBuffer> {
  const out = new Float64Array(2 * values.length);
  out.set(values);
  return out;
}

export const double11Suite: Suite = {
  name: "double11",
  title: "a Double 11's event stream",
  cases: [gmv, ...SCENARIOS],
};
