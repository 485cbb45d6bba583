// Windows of event time over an hour of events that come up to five seconds out of order.
//
// In stream mode the watermark closes windows as the hour goes by; in batch mode the rows are an unsorted
// history. The peers have no windows and no order to keep: they group by a bucket of the time, and overlapping
// windows are put together from buckets, as an expert would.

import {
  avg,
  col,
  count,
  cumulate,
  from,
  hop,
  session,
  sum,
  tumble,
  type Window,
} from "../../bindings/ts/index.js";
import { EVENTS_START_MS } from "../../fixtures/events.js";
import type { PlainTable } from "../input/plain-table.js";
import type { OutputColumn, RawResult } from "../result/canonical.js";
import type { BenchCase, PolarsQuery, Suite } from "./case.js";
import { codes, columnOf, int32, integersAsFloat64, mapped, occupied, pick } from "./typed-loops.js";

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

const WATERMARKS = { t: { column: "ts", outOfOrderness: "5 seconds" } };

const bounds: readonly OutputColumn[] = [
  { name: "window_start", kind: "timestamp" },
  { name: "window_end", kind: "timestamp" },
];

function sumsOutput(key: string): OutputColumn[] {
  return [...bounds, { name: key, kind: "int" }, { name: "total", kind: "int" }, { name: "n", kind: "int" }];
}

/** Sum and count by slice of time and key, in dense arrays: what the loops put windows together from. */
function slices(t: PlainTable, key: string, keys: number, sliceMs: number) {
  const [ts, ids, value] = [integersAsFloat64(t, "ts"), int32(t, key), int32(t, "value")];
  const count = Math.ceil(HOUR_MS / sliceMs);
  return {
    count,
    keys,
    run() {
      const [totals, counts] = [new Float64Array(count * keys), new Float64Array(count * keys)];
      for (let row = 0; row < ids.length; row++) {
        const at = (((ts[row]! - EVENTS_START_MS) / sliceMs) | 0) * keys + ids[row]!;
        totals[at]! += value[row]!;
        counts[at]! += 1;
      }
      return { totals, counts };
    },
  };
}

/** Cells of windows that have rows: window number * keys + key, with what the window's start and end are. */
function windowed(
  key: string,
  keys: number,
  totals: Float64Array | Int32Array,
  counts: Float64Array | Int32Array,
  boundsOf: (window: number) => readonly [start: number, end: number],
): RawResult {
  const cells = occupied(counts);
  const bounds = Array.from({ length: counts.length / keys }, (_, window) => boundsOf(window));
  const micros = (side: 0 | 1) => {
    const times = Float64Array.from(bounds, (both) => (EVENTS_START_MS + both[side]) * 1000);
    return mapped(cells, (cell) => times[(cell / keys) | 0]!);
  };
  const columns = {
    window_start: { values: micros(0) },
    window_end: { values: micros(1) },
    [key]: { values: cells.map((cell) => cell % keys) },
    total: { values: pick(totals, cells) },
    n: { values: pick(counts, cells) },
  };
  return { rows: cells.length, columns };
}

/** The binding has no truncation of times: milliseconds less their remainder. */
function polarsBuckets(key: string, sizeMs: number): PolarsQuery {
  return (pl, { t }) => {
    const time = pl.col("ts").cast(pl.Int64);
    const start = time.sub(time.modulo(pl.lit(BigInt(sizeMs))));
    return t!
      .lazy()
      .withColumns(start.alias("window_start"), start.plus(pl.lit(BigInt(sizeMs))).alias("window_end"))
      .groupBy(["window_start", "window_end", key])
      .agg(pl.col("value").cast(pl.Int64).sum().alias("total"), pl.len().alias("n"))
      .withColumns(
        pl.col("window_start").cast(pl.Datetime("ms")),
        pl.col("window_end").cast(pl.Datetime("ms")),
      );
  };
}

function sums(window: Window, key: string): BenchCase["plan"] {
  return () =>
    from("t")
      .window(window)
      .groupBy(key)
      .aggregate({ total: sum("value"), n: count() });
}

function tumbling(name: string, key: string, keys: number, sizeMs: number): BenchCase {
  const seconds = sizeMs / SECOND_MS;
  return {
    suite: "windows",
    name,
    question: `sum, count of each ${seconds} seconds by ${keys.toLocaleString("en")} integers`,
    inputs: { t: { fixture: "events", columns: ["ts", key, "value"] } },
    output: sumsOutput(key),
    plan: sums(tumble("ts", `${seconds} seconds`), key),
    watermarks: WATERMARKS,
    sql: `SELECT time_bucket(INTERVAL ${seconds} SECOND, ts) AS window_start,
      time_bucket(INTERVAL ${seconds} SECOND, ts) + INTERVAL ${seconds} SECOND AS window_end,
      ${key}, sum(value) AS total, count(*) AS n FROM t GROUP BY ALL`,
    polars: polarsBuckets(key, sizeMs),
    javascript: ({ t }) => {
      const cut = slices(t!, key, keys, sizeMs);
      return () => {
        const { totals, counts } = cut.run();
        return windowed(key, keys, totals, counts, (at) => [at * sizeMs, (at + 1) * sizeMs]);
      };
    },
  };
}

const ysb: BenchCase = {
  suite: "windows",
  name: "ysb",
  question: "views of each 10 seconds by 100 campaigns",
  inputs: { t: { fixture: "events", columns: ["ts", "event_type", "campaign"] } },
  output: [...bounds, { name: "campaign", kind: "int" }, { name: "views", kind: "int" }],
  plan: () =>
    from("t")
      .where(col("event_type").eq("view"))
      .window(tumble("ts", "10 seconds"))
      .groupBy("campaign")
      .aggregate({ views: count() }),
  watermarks: WATERMARKS,
  sql: `SELECT time_bucket(INTERVAL 10 SECOND, ts) AS window_start,
    time_bucket(INTERVAL 10 SECOND, ts) + INTERVAL 10 SECOND AS window_end, campaign, count(*) AS views
    FROM t WHERE event_type = 'view' GROUP BY ALL`,
  polars: (pl, { t }) => {
    const time = pl.col("ts").cast(pl.Int64);
    const start = time.sub(time.modulo(pl.lit(10_000n)));
    return t!
      .lazy()
      .filter(pl.col("event_type").eq(pl.lit("view")))
      .withColumns(start.alias("window_start"), start.plus(pl.lit(10_000n)).alias("window_end"))
      .groupBy(["window_start", "window_end", "campaign"])
      .agg(pl.len().alias("views"))
      .withColumns(
        pl.col("window_start").cast(pl.Datetime("ms")),
        pl.col("window_end").cast(pl.Datetime("ms")),
      );
  },
  javascript: ({ t }) => {
    const { codes: types, texts } = codes(t!, "event_type");
    const view = texts.indexOf("view");
    const [ts, campaign] = [integersAsFloat64(t!, "ts"), int32(t!, "campaign")];
    const size = 10 * SECOND_MS;
    return () => {
      const views = countViews(ts, types, view, campaign, size);
      const { rows, columns } = windowed("campaign", 100, views, views, (at) => [at * size, (at + 1) * size]);
      const { window_start, window_end, campaign: campaigns, n } = columns;
      return {
        rows,
        columns: {
          window_start: window_start!,
          window_end: window_end!,
          campaign: campaigns!,
          views: n!,
        },
      };
    };
  },
  quick: "fast",
};

/** Rows of the type `view` in each slice of time by campaign; without a branch, which every third row would take. */
function countViews(
  ts: Float64Array,
  types: Int32Array,
  view: number,
  campaign: Int32Array,
  sliceMs: number,
): Int32Array {
  const views = new Int32Array((HOUR_MS / sliceMs) * 100);
  for (let row = 0; row < campaign.length; row++) {
    const at = (((ts[row]! - EVENTS_START_MS) / sliceMs) | 0) * 100 + campaign[row]!;
    views[at]! += Number(types[row] === view);
  }
  return views;
}

const HOP_SLICES = 100;
const HOP_SLIDE_MS = 10 * SECOND_MS;

const hop100: BenchCase = {
  suite: "windows",
  name: "hop-100",
  question: "sum, count of 1,000 seconds, every 10 seconds, by 100 campaigns: each row in 100 windows",
  inputs: { t: { fixture: "events", columns: ["ts", "campaign", "value"] } },
  output: sumsOutput("campaign"),
  plan: sums(hop("ts", "1000 seconds", "10 seconds"), "campaign"),
  watermarks: WATERMARKS,
  sql: `WITH slices AS (SELECT time_bucket(INTERVAL 10 SECOND, ts) AS slice, campaign, sum(value) AS total, count(*) AS n
      FROM t GROUP BY ALL)
    SELECT slice - INTERVAL 10 SECOND * back AS window_start, slice + INTERVAL 10 SECOND * (100 - back) AS window_end,
      campaign, sum(total) AS total, sum(n) AS n
    FROM slices, range(100) AS r(back) GROUP BY ALL`,
  javascript: ({ t }) => {
    const cut = slices(t!, "campaign", 100, HOP_SLIDE_MS);
    return () => {
      const { totals, counts } = cut.run();
      const windows = cut.count + HOP_SLICES - 1;
      const [sum, rows] = [running(totals, cut.count, windows), running(counts, cut.count, windows)];
      return windowed("campaign", 100, sum, rows, (at) => {
        const start = (at - HOP_SLICES + 1) * HOP_SLIDE_MS;
        return [start, start + HOP_SLICES * HOP_SLIDE_MS];
      });
    };
  },
};

/** Window w holds slices w - 99 to w: the one before, plus a slice, less a slice. */
function running(slices: Float64Array, count: number, windows: number): Float64Array {
  const out = new Float64Array(windows * 100);
  for (let window = 0; window < windows; window++) {
    for (let key = 0; key < 100; key++) {
      const before = window === 0 ? 0 : out[(window - 1) * 100 + key]!;
      const entered = window < count ? slices[window * 100 + key]! : 0;
      const left = window >= HOP_SLICES ? (slices[(window - HOP_SLICES) * 100 + key] ?? 0) : 0;
      out[window * 100 + key] = before + entered - left;
    }
  }
  return out;
}

const cumulateHour: BenchCase = {
  suite: "windows",
  name: "cumulate",
  question: "sum, count of the hour so far, every minute, by 100 campaigns",
  inputs: { t: { fixture: "events", columns: ["ts", "campaign", "value"] } },
  output: sumsOutput("campaign"),
  plan: sums(cumulate("ts", "1 hour", "1 minute"), "campaign"),
  watermarks: WATERMARKS,
  sql: `WITH slices AS (SELECT time_bucket(INTERVAL 1 MINUTE, ts) AS slice, campaign, sum(value) AS total, count(*) AS n
      FROM t GROUP BY ALL)
    SELECT time_bucket(INTERVAL 1 HOUR, slice) AS window_start,
      time_bucket(INTERVAL 1 HOUR, slice) + INTERVAL 1 MINUTE * minutes AS window_end,
      campaign, sum(total) AS total, sum(n) AS n
    FROM slices, range(1, 61) AS r(minutes) WHERE minutes > minute(slice) GROUP BY ALL`,
  javascript: ({ t }) => {
    const cut = slices(t!, "campaign", 100, MINUTE_MS);
    return () => {
      const { totals, counts } = cut.run();
      for (let at = 100; at < totals.length; at++) {
        totals[at]! += totals[at - 100]!;
        counts[at]! += counts[at - 100]!;
      }
      return windowed("campaign", 100, totals, counts, (at) => [0, (at + 1) * MINUTE_MS]);
    };
  },
};

const SESSION_GAP_MS = MINUTE_MS;

const sessions: BenchCase = {
  suite: "windows",
  name: "session",
  question: "sum, count of each visit of 10,000 users: events no more than a minute apart",
  inputs: { t: { fixture: "events", columns: ["ts", "user", "value"] } },
  output: sumsOutput("user"),
  plan: sums(session("ts", "1 minute"), "user"),
  watermarks: WATERMARKS,
  sql: `WITH gaps AS (SELECT ts, "user", value,
      coalesce(ts - lag(ts) OVER w > INTERVAL 1 MINUTE, true) AS begins FROM t WINDOW w AS (PARTITION BY "user" ORDER BY ts)),
    numbered AS (SELECT *, sum(begins::INTEGER) OVER (PARTITION BY "user" ORDER BY ts ROWS UNBOUNDED PRECEDING) AS visit FROM gaps)
    SELECT min(ts) AS window_start, max(ts) + INTERVAL 1 MINUTE AS window_end, "user", sum(value) AS total, count(*) AS n
    FROM numbered GROUP BY "user", visit`,
  javascript: ({ t }) => {
    const [ts, user, value] = [integersAsFloat64(t!, "ts"), int32(t!, "user"), int32(t!, "value")];
    return () => {
      // Rows come nearly in order: by user, latest first, a list of visits that is seldom searched further.
      const visits: { user: number; first: number; last: number; total: number; n: number }[][] = [];
      for (let row = 0; row < user.length; row++) {
        const time = ts[row]!;
        let visit = { user: user[row]!, first: time, last: time, total: value[row]!, n: 1 };
        const own = visits[visit.user] ?? [];
        const apart: typeof own = [];
        for (const other of own) {
          if (time - other.last > SESSION_GAP_MS || other.first - time > SESSION_GAP_MS) {
            apart.push(other);
            continue;
          }
          visit = {
            user: visit.user,
            first: Math.min(visit.first, other.first),
            last: Math.max(visit.last, other.last),
            total: visit.total + other.total,
            n: visit.n + other.n,
          };
        }
        apart.unshift(visit);
        visits[visit.user] = apart;
      }
      const all = visits.flat();
      const micros = (time: (visit: (typeof all)[number]) => number) =>
        all.map((visit) => time(visit) * 1000);
      const columns = {
        window_start: { values: micros(({ first }) => first) },
        window_end: { values: micros(({ last }) => last + SESSION_GAP_MS) },
        user: { values: all.map((visit) => visit.user) },
        total: { values: all.map(({ total }) => total) },
        n: { values: all.map(({ n }) => n) },
      };
      return { rows: all.length, columns };
    };
  },
};

const flightsHourly: BenchCase = {
  suite: "windows",
  name: "flights-hourly",
  question: "flights and mean delay of each hour by origin (real data, ordered by month)",
  inputs: { t: { fixture: "flights", columns: ["date", "origin", "delay"] } },
  output: [
    { name: "window_start", kind: "timestamp" },
    { name: "origin", kind: "text" },
    { name: "flights", kind: "int" },
    { name: "delay", kind: "float" },
  ],
  plan: () =>
    from("t")
      .window(tumble("date", "1 hour"))
      .groupBy("origin")
      .aggregate({ flights: count(), delay: avg("delay") }),
  sql: `SELECT time_bucket(INTERVAL 1 HOUR, date) AS window_start, origin, count(*) AS flights, avg(delay) AS delay
    FROM t GROUP BY ALL`,
  polars: (pl, { t }) => {
    const time = pl.col("date").cast(pl.Datetime("ms")).cast(pl.Int64);
    return t!
      .lazy()
      .withColumns(time.sub(time.modulo(pl.lit(3_600_000n))).alias("window_start"))
      .groupBy(["window_start", "origin"])
      .agg(pl.len().alias("flights"), pl.col("delay").mean())
      .withColumns(pl.col("window_start").cast(pl.Datetime("ms")));
  },
  javascript: ({ t }) => {
    const { ticksPerSecond } = columnOf(t!, "date");
    const [date, delay] = [integersAsFloat64(t!, "date"), integersAsFloat64(t!, "delay")];
    const origin = codes(t!, "origin");
    const [hour, width] = [3600 * ticksPerSecond, origin.texts.length];
    return () => {
      let [first, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (let row = 0; row < date.length; row++) {
        if (date[row]! < first) first = date[row]!;
        if (date[row]! > last) last = date[row]!;
      }
      const start = Math.floor(first / hour);
      const size = Math.max(0, Math.floor(last / hour) - start + 1) * width;
      const [sums, counts] = [new Float64Array(size), new Float64Array(size)];
      for (let row = 0; row < date.length; row++) {
        const cell = (Math.floor(date[row]! / hour) - start) * width + origin.codes[row]!;
        counts[cell]! += 1;
        sums[cell]! += delay[row]!;
      }
      const cells = occupied(counts);
      const hourOf = (cell: number) => (start + Math.floor(cell / width)) * 3_600_000_000;
      const columns = {
        window_start: { values: mapped(cells, hourOf) },
        origin: { values: cells.map((cell) => cell % width), dictionary: origin.texts },
        flights: { values: pick(counts, cells) },
        delay: { values: mapped(cells, (cell) => sums[cell]! / counts[cell]!) },
      };
      return { rows: cells.length, columns };
    };
  },
};

export const windowsSuite: Suite = {
  name: "windows",
  title: "windows of event time",
  cases: [
    ysb,
    tumbling("tumble-100", "campaign", 100, 10 * SECOND_MS),
    hop100,
    cumulateHour,
    tumbling("tumble-10k", "key10k", 10_000, MINUTE_MS),
    tumbling("tumble-1m", "key1m", 1_000_000, 30 * MINUTE_MS),
    sessions,
    flightsHourly,
  ],
};
