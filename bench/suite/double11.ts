// Double 11: the questions of a shopping festival's day over its event stream.
//
// The turnover screen, which the verdict is of, is put to every engine; the other scenarios (double11-scenarios.ts) to
// DuckDB alone. As a stream it emits what changed with every batch, as a screen that is looked at does.

import { col, count, from, groupingSets, sum } from "../../bindings/ts/index.js";
import type { RawResult } from "../result/canonical.js";
import type { ArqueroQuery, BenchCase, JavaScriptLoop, PolarsQuery, Suite } from "./case.js";
import { SCENARIOS } from "./double11-scenarios.js";
import { codes, columnOf, integersAsFloat64, occupied } from "./typed-loops.js";

const SECOND_MS = 1000;
const MINUTE_SECONDS = 60;

/** Keys of the boards beside the total; a row of a board has nulls in the others' columns. */
const BOARDS = ["second", "minute", "category", "province"] as const;
type Board = (typeof BOARDS)[number];

/** The binding has no truncation of times: milliseconds less their remainder. */
const polars: PolarsQuery = (pl, { orders }) => {
  const time = pl.col("event_time").cast(pl.Int64);
  const truncated = (ms: bigint) => time.sub(time.modulo(pl.lit(ms))).cast(pl.Datetime("ms"));
  const paid = orders!
    .lazy()
    .filter(pl.col("status").eq(pl.lit("paid")))
    .withColumns(truncated(1000n).alias("second"), truncated(60_000n).alias("minute"));
  const figures = [pl.col("amount").sum().alias("gmv"), pl.len().alias("orders")];
  const typeOf = (board: Board) => (board === "second" || board === "minute" ? pl.Datetime("ms") : pl.Utf8);
  const keyed = (by: Board | null) =>
    BOARDS.map((key) =>
      key === by ? pl.col(key).cast(typeOf(key)) : pl.lit(null).cast(typeOf(key)).alias(key),
    );
  const board = (by: Board | null) =>
    (by === null ? paid.select(...figures) : paid.groupBy([by]).agg(...figures)).select(
      ...keyed(by),
      pl.col("gmv"),
      pl.col("orders"),
    );
  return pl.concat([...BOARDS.map(board), board(null)]);
};

const arquero: ArqueroQuery = (aq, { orders }) => {
  const paid = orders!.filter("d => d.status === 'paid'").derive({
    second: "d => floor(d.event_time / 1000) * 1000",
    minute: "d => floor(d.event_time / 60000) * 60000",
  });
  const board = (by: readonly Board[]) => {
    const figures = paid.groupby(...by).rollup({ gmv: aq.op.sum("amount"), orders: aq.op.count() });
    const others = BOARDS.filter((key) => !by.includes(key));
    return figures.derive(Object.fromEntries(others.map((key) => [key, "d => null"])));
  };
  return board([]).concat(BOARDS.map((key) => board([key])));
};

/** One pass over the rows: seconds, categories and provinces index arrays; minutes and the total are sums of seconds. */
const javascript: JavaScriptLoop = ({ orders }) => {
  const status = columnOf(orders!, "status", false);
  const paid = status.dictionary!.indexOf("paid");
  const [statuses, valid] = [status.values as Int32Array, status.valid];
  const [category, province] = [codes(orders!, "category"), codes(orders!, "province")];
  const time = integersAsFloat64(orders!, "event_time");
  const fen = integersAsFloat64(orders!, "amount", false);
  let [first, last] = [Infinity, -Infinity];
  for (const ms of time) [first, last] = [Math.min(first, ms), Math.max(last, ms)];
  // From a whole minute on, so that sixty seconds of the arrays are one.
  const origin = MINUTE_SECONDS * Math.floor(first / SECOND_MS / MINUTE_SECONDS);
  const seconds = time.length === 0 ? 0 : Math.floor(last / SECOND_MS) - origin + 1;
  return () => {
    const bySecond = sums(seconds);
    const byCategory = sums(category.texts.length);
    const byProvince = sums(province.texts.length);
    for (let row = 0; row < statuses.length; row++) {
      if (statuses[row] !== paid || (valid !== null && valid[row] === 0)) continue;
      const amount = fen[row]!;
      const second = Math.floor(time[row]! / SECOND_MS) - origin;
      bySecond.gmv[second]! += amount;
      bySecond.orders[second]! += 1;
      byCategory.gmv[category.codes[row]!]! += amount;
      byCategory.orders[category.codes[row]!]! += 1;
      byProvince.gmv[province.codes[row]!]! += amount;
      byProvince.orders[province.codes[row]!]! += 1;
    }
    const byMinute = coarser(bySecond, MINUTE_SECONDS);
    const total = coarser(bySecond, Math.max(1, seconds));
    const micros = (second: number) => 1e6 * (origin + second);
    return stacked([
      { sums: bySecond, key: "second", value: micros },
      { sums: byMinute, key: "minute", value: (minute) => micros(MINUTE_SECONDS * minute) },
      { sums: byCategory, key: "category", value: (code) => category.texts[code]! },
      { sums: byProvince, key: "province", value: (code) => province.texts[code]! },
      { sums: total, key: null, value: () => null },
    ]);
  };
};

interface Sums {
  readonly gmv: Float64Array;
  readonly orders: Float64Array;
}

function sums(groups: number): Sums {
  return { gmv: new Float64Array(groups), orders: new Float64Array(groups) };
}

/** Every `factor` groups as one. */
function coarser(fine: Sums, factor: number): Sums {
  const out = sums(Math.ceil(fine.gmv.length / factor));
  for (let group = 0; group < fine.gmv.length; group++) {
    const into = Math.floor(group / factor);
    out.gmv[into]! += fine.gmv[group]!;
    out.orders[into]! += fine.orders[group]!;
  }
  return out;
}

interface BoardSums {
  readonly sums: Sums;
  readonly key: Board | null;
  readonly value: (group: number) => number | string | null;
}

/** The boards' rows one after the other. */
function stacked(boards: readonly BoardSums[]): RawResult {
  const keys: Record<Board, (number | string | null)[]> = {
    second: [],
    minute: [],
    category: [],
    province: [],
  };
  const figures = { gmv: [] as number[], orders: [] as number[] };
  for (const { sums, key, value } of boards) {
    for (const group of occupied(sums.orders)) {
      for (const board of BOARDS) keys[board].push(board === key ? value(group) : null);
      figures.gmv.push(sums.gmv[group]!);
      figures.orders.push(sums.orders[group]!);
    }
  }
  const columns = Object.entries({ ...keys, ...figures }).map(([name, values]) => [name, { values }]);
  return { rows: figures.gmv.length, columns: Object.fromEntries(columns) };
}

const gmv: BenchCase = {
  suite: "double11",
  name: "gmv",
  question:
    "the turnover screen: paid orders by second, by minute, by category, by province, and the total so far",
  inputs: {
    orders: { fixture: "orders", columns: ["event_time", "status", "category", "province", "amount"] },
  },
  output: [
    { name: "second", kind: "timestamp" },
    { name: "minute", kind: "timestamp" },
    { name: "category", kind: "text" },
    { name: "province", kind: "text" },
    { name: "gmv", kind: { decimal: 2 } },
    { name: "orders", kind: "int" },
  ],
  plan: () => {
    const second = { second: col("event_time").dateTrunc("second") };
    const minute = { minute: col("event_time").dateTrunc("minute") };

    return from("orders")
      .where(col("status").eq("paid"))
      .groupBy(groupingSets([second], [minute], ["category"], ["province"], []))
      .aggregate({ gmv: sum("amount"), orders: count() });
  },
  emit: "onUpdate",
  sql: `SELECT date_trunc('second', event_time) AS second, date_trunc('minute', event_time) AS minute, category, province,
      sum(amount) AS gmv, count(*) AS orders
    FROM orders WHERE status = 'paid' GROUP BY GROUPING SETS ((1), (2), (3), (4), ())`,
  polars,
  arquero,
  javascript,
  quick: "fast",
};

export const double11Suite: Suite = {
  name: "double11",
  title: "a Double 11's event stream",
  cases: [gmv, ...SCENARIOS],
};
