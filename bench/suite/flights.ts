// Real data: 3 million flights within the United States, with delays (npm package vega-datasets).

import { avg, col, count, from, max, median, min, quantile, sum } from "../../bindings/ts/index.js";
import type { BenchCase, Suite } from "./case.js";
import { valuesByGroup } from "./column-loops.js";
import { codes, columnOf, integersAsFloat64, mapped, occupied, pick } from "./typed-loops.js";

const flights = (columns: readonly string[]) => ({ t: { fixture: "flights", columns } });

const busiestRoutes: BenchCase = {
  suite: "flights",
  name: "busiest-routes",
  question: "flights, mean delay and miles by origin and destination",
  inputs: flights(["origin", "destination", "delay", "distance"]),
  output: [
    { name: "origin", kind: "text" },
    { name: "destination", kind: "text" },
    { name: "flights", kind: "int" },
    { name: "delay", kind: "float" },
    { name: "miles", kind: "int" },
  ],
  plan: () =>
    from("t")
      .groupBy("origin", "destination")
      .aggregate({ flights: count(), delay: avg("delay"), miles: sum("distance") }),
  sql: `SELECT origin, destination, count(*) AS flights, avg(delay) AS delay, sum(distance) AS miles
    FROM t GROUP BY origin, destination`,
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy(["origin", "destination"])
      .agg(
        pl.len().alias("flights"),
        pl.col("delay").mean(),
        pl.col("distance").cast(pl.Int64).sum().alias("miles"),
      ),
  arquero: (aq, { t }) =>
    t!
      .groupby("origin", "destination")
      .rollup({ flights: aq.op.count(), delay: aq.op.mean("delay"), miles: aq.op.sum("distance") }),
  javascript: ({ t }) => {
    const [origin, destination] = [codes(t!, "origin"), codes(t!, "destination")];
    const [delay, distance] = [integersAsFloat64(t!, "delay"), integersAsFloat64(t!, "distance")];
    const width = destination.texts.length;
    return () => {
      const size = origin.texts.length * width;
      const [delays, miles] = [new Float64Array(size), new Float64Array(size)];
      const counts = new Float64Array(size);
      for (let row = 0; row < delay.length; row++) {
        const route = origin.codes[row]! * width + destination.codes[row]!;
        counts[route]! += 1;
        delays[route]! += delay[row]!;
        miles[route]! += distance[row]!;
      }
      const routes = occupied(counts);
      const columns = {
        origin: { values: routes.map((route) => Math.floor(route / width)), dictionary: origin.texts },
        destination: { values: routes.map((route) => route % width), dictionary: destination.texts },
        flights: { values: pick(counts, routes) },
        delay: { values: mapped(routes, (route) => delays[route]! / counts[route]!) },
        miles: { values: pick(miles, routes) },
      };
      return { rows: routes.length, columns };
    };
  },
  quick: "all",
};

const delayByMonth: BenchCase = {
  suite: "flights",
  name: "delay-by-month",
  question: "flights, least, greatest and mean delay by month and origin",
  inputs: flights(["date", "origin", "delay"]),
  output: [
    { name: "year", kind: "int" },
    { name: "month", kind: "int" },
    { name: "origin", kind: "text" },
    { name: "flights", kind: "int" },
    { name: "least", kind: "int" },
    { name: "greatest", kind: "int" },
    { name: "mean", kind: "float" },
  ],
  plan: () =>
    from("t")
      .groupBy({ year: col("date").year(), month: col("date").month() }, "origin")
      .aggregate({ flights: count(), least: min("delay"), greatest: max("delay"), mean: avg("delay") }),
  sql: `SELECT year(date) AS year, month(date) AS month, origin, count(*) AS flights, min(delay) AS least,
    max(delay) AS greatest, avg(delay) AS mean FROM t GROUP BY 1, 2, 3`,
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy([
        pl.col("date").dt.year().alias("year"),
        pl.col("date").dt.month().alias("month"),
        pl.col("origin"),
      ])
      .agg(
        pl.len().alias("flights"),
        pl.col("delay").min().alias("least"),
        pl.col("delay").max().alias("greatest"),
        pl.col("delay").mean().alias("mean"),
      ),
  javascript: ({ t }) => {
    const { ticksPerSecond } = columnOf(t!, "date");
    const [date, delay] = [integersAsFloat64(t!, "date"), integersAsFloat64(t!, "delay")];
    const origin = codes(t!, "origin");
    const dayTicks = 86_400 * ticksPerSecond;
    return () => {
      const { monthOfDay, firstDay, months, starts } = calendarOf(date, dayTicks);
      const size = months * origin.texts.length;
      const [sums, counts] = [new Float64Array(size), new Float64Array(size)];
      const lows = new Float64Array(size).fill(Number.POSITIVE_INFINITY);
      const highs = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
      for (let row = 0; row < date.length; row++) {
        const day = Math.floor(date[row]! / dayTicks) - firstDay;
        const group = origin.codes[row]! * months + monthOfDay[day]!;
        const value = delay[row]!;
        counts[group]! += 1;
        sums[group]! += value;
        if (value < lows[group]!) lows[group] = value;
        if (value > highs[group]!) highs[group] = value;
      }
      const groups = occupied(counts);
      const columns = {
        year: { values: groups.map((group) => starts[group % months]!.getUTCFullYear()) },
        month: { values: groups.map((group) => starts[group % months]!.getUTCMonth() + 1) },
        origin: { values: groups.map((group) => Math.floor(group / months)), dictionary: origin.texts },
        flights: { values: pick(counts, groups) },
        least: { values: pick(lows, groups) },
        greatest: { values: pick(highs, groups) },
        mean: { values: mapped(groups, (group) => sums[group]! / counts[group]!) },
      };
      return { rows: groups.length, columns };
    };
  },
};

const delayQuantiles: BenchCase = {
  suite: "flights",
  name: "delay-quantiles",
  question: "median and ninth decile of the delay by month and origin",
  inputs: flights(["date", "origin", "delay"]),
  output: [
    { name: "year", kind: "int" },
    { name: "month", kind: "int" },
    { name: "origin", kind: "text" },
    { name: "median", kind: "float" },
    { name: "decile", kind: "float" },
  ],
  plan: () =>
    from("t")
      .groupBy({ year: col("date").year(), month: col("date").month() }, "origin")
      .aggregate({ median: median("delay"), decile: quantile("delay", 0.9) }),
  sql: `SELECT year(date) AS year, month(date) AS month, origin, median(delay) AS median,
    quantile_cont(delay, 0.9) AS decile FROM t GROUP BY 1, 2, 3`,
  polars: (pl, { t }) =>
    t!
      .lazy()
      .groupBy([
        pl.col("date").dt.year().alias("year"),
        pl.col("date").dt.month().alias("month"),
        pl.col("origin"),
      ])
      .agg(pl.col("delay").median().alias("median"), pl.col("delay").quantile(0.9, "linear").alias("decile")),
  javascript: ({ t }) => {
    const { ticksPerSecond } = columnOf(t!, "date");
    const [date, delay] = [integersAsFloat64(t!, "date"), integersAsFloat64(t!, "delay")];
    const origin = codes(t!, "origin");
    const valid = new Uint8Array(delay.length).fill(1);
    const dayTicks = 86_400 * ticksPerSecond;
    return () => {
      const { monthOfDay, firstDay, months, starts } = calendarOf(date, dayTicks);
      const ids = new Int32Array(date.length);
      for (let row = 0; row < date.length; row++) {
        const day = Math.floor(date[row]! / dayTicks) - firstDay;
        ids[row] = origin.codes[row]! * months + monthOfDay[day]!;
      }
      const firstRows = new Int32Array(months * origin.texts.length);
      const { starts: begins, grouped } = valuesByGroup({ ids, firstRows }, { values: delay, valid });
      const groups = occupied(firstRows.map((_, group) => begins[group + 1]! - begins[group]!));
      const [medians, deciles] = [new Float64Array(groups.length), new Float64Array(groups.length)];
      groups.forEach((group, at) => {
        const sorted = grouped.subarray(begins[group]!, begins[group + 1]!).sort();
        medians[at] = interpolated(sorted, 0.5);
        deciles[at] = interpolated(sorted, 0.9);
      });
      const columns = {
        year: { values: groups.map((group) => starts[group % months]!.getUTCFullYear()) },
        month: { values: groups.map((group) => starts[group % months]!.getUTCMonth() + 1) },
        origin: { values: groups.map((group) => Math.floor(group / months)), dictionary: origin.texts },
        median: { values: medians },
        decile: { values: deciles },
      };
      return { rows: groups.length, columns };
    };
  },
};

/** The value at position (n - 1) p of sorted values, between two of them in proportion. */
function interpolated(sorted: Float64Array, p: number): number {
  const position = (sorted.length - 1) * p;
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (position - below);
}

/** A month number for every day from the first to the last, and where each month starts. */
function calendarOf(date: Float64Array, dayTicks: number) {
  let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let row = 0; row < date.length; row++) {
    if (date[row]! < first) first = date[row]!;
    if (date[row]! > last) last = date[row]!;
  }
  const [firstDay, lastDay] = [Math.floor(first / dayTicks), Math.floor(last / dayTicks)];
  const monthOfDay = new Int32Array(Math.max(0, lastDay - firstDay + 1));
  const starts: Date[] = [];
  for (let day = 0; day < monthOfDay.length; day++) {
    const when = new Date((firstDay + day) * 86_400_000);
    if (day === 0 || when.getUTCDate() === 1) starts.push(when);
    monthOfDay[day] = starts.length - 1;
  }
  return { monthOfDay, firstDay, months: starts.length, starts };
}

export const flightsSuite: Suite = {
  name: "flights",
  title: "flights within the United States",
  cases: [busiestRoutes, delayByMonth, delayQuantiles],
};
