// The other scenarios of a Double 11. Their plans are those of examples/, to the letter (a test compares them), so that
// what is measured is what a user starts from.
//
// DuckDB puts each question in SQL over the whole day; it has no windows that overlap and no sessions, so rows are
// multiplied by the windows that they are in, and sessions cut where the gap to the row before is reached.

import {
  asc,
  avg,
  col,
  corr,
  count,
  countDistinct,
  desc,
  from,
  hop,
  lit,
  max,
  min,
  quantileDisc,
  session,
  sum,
  tumble,
  when,
} from "../../bindings/ts/index.js";
import type { OutputColumn } from "../result/canonical.js";
import type { BenchCase } from "./case.js";

const ORDERS_CLOCK = { orders: { column: "event_time", outOfOrderness: "5 seconds" } };

const bounds: readonly OutputColumn[] = [
  { name: "window_start", kind: "timestamp" },
  { name: "window_end", kind: "timestamp" },
];

function columns(kind: OutputColumn["kind"], ...names: string[]): OutputColumn[] {
  return names.map((name) => ({ name, kind }));
}

const marketing: BenchCase = {
  suite: "double11",
  name: "marketing",
  question: "turnover by hour and category against the same hour of the day before",
  inputs: {
    orders: { fixture: "orders", columns: ["event_time", "status", "category", "amount"] },
    yesterday: { fixture: "orders-yesterday", columns: ["event_time", "status", "category", "amount"] },
  },
  output: [
    ...columns("timestamp", "hour"),
    ...columns("text", "category"),
    ...columns({ decimal: 2 }, "gmv", "gmv_before"),
    ...columns("int", "orders", "orders_before"),
    ...columns("float", "growth"),
  ],
  plan: () => {
    const turnover = (day: string) =>
      from(day)
        .where(col("status").eq("paid"))
        .window(tumble("event_time", "1 hour"))
        .groupBy("category")
        .aggregate({ gmv: sum("amount"), orders: count() });

    const before = turnover("yesterday").select("category", {
      hour: col("window_start").plus("1 day"),
      gmv_before: col("gmv"),
      orders_before: col("orders"),
    });

    return turnover("orders")
      .select("category", "gmv", "orders", { hour: col("window_start") })
      .join(before, { on: ["hour", "category"], how: "left" })
      .withColumns({ growth: col("orders").div(col("orders_before")) });
  },
  watermarks: ORDERS_CLOCK,
  sql: `WITH today AS (SELECT date_trunc('hour', event_time) AS hour, category::VARCHAR AS category, sum(amount) AS gmv, count(*) AS orders
      FROM orders WHERE status = 'paid' GROUP BY ALL),
    before AS (SELECT date_trunc('hour', event_time) + INTERVAL 1 DAY AS hour, category::VARCHAR AS category, sum(amount) AS gmv,
      count(*) AS orders FROM yesterday WHERE status = 'paid' GROUP BY ALL)
    SELECT today.hour, today.category, today.gmv, before.gmv AS gmv_before, today.orders, before.orders AS orders_before,
      today.orders / before.orders AS growth
    FROM today LEFT JOIN before ON today.hour = before.hour AND today.category = before.category`,
};

const antiCheat: BenchCase = {
  suite: "double11",
  name: "anti-cheat",
  question: "bursts of clicks by user and item in sessions, repeats removed, with the share of refunds",
  inputs: {
    clicks: { fixture: "clicks", columns: ["click_id", "event_time", "user_id", "item_id"] },
    orders: { fixture: "orders", columns: ["event_type", "user_id"] },
  },
  output: [
    ...bounds,
    ...columns("int", "user_id", "item_id", "clicks", "sent"),
    ...columns("float", "refunded"),
  ],
  plan: () => {
    const bursts = from("clicks")
      .window(session("event_time", "10 minutes"))
      .groupBy("user_id", "item_id")
      .aggregate({ clicks: countDistinct("click_id"), sent: count() })
      .where(col("clicks").ge(10))
      .select("window_start", "window_end", "user_id", "item_id", "clicks", "sent");

    const refunds = from("orders")
      .where(col("event_type").isIn(["payment", "refund"]))
      .groupBy("user_id")
      .aggregate({
        payments: count({ filter: col("event_type").eq("payment") }),
        refunds: count({ filter: col("event_type").eq("refund") }),
      })
      .select("user_id", { refunded: col("refunds").div(col("payments")) });

    return bursts.join(refunds, { on: "user_id", how: "left" });
  },
  watermarks: { clicks: { column: "event_time", outOfOrderness: "5 seconds" } },
  sql: `WITH marked AS (SELECT *, CASE WHEN event_time - lag(event_time) OVER pair > INTERVAL 10 MINUTE
        THEN 1 ELSE 0 END AS cut FROM clicks WINDOW pair AS (PARTITION BY user_id, item_id ORDER BY event_time)),
    numbered AS (SELECT *, sum(cut) OVER (PARTITION BY user_id, item_id ORDER BY event_time
        RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS session FROM marked),
    bursts AS (SELECT min(event_time) AS window_start, max(event_time) + INTERVAL 10 MINUTE AS window_end, user_id, item_id,
      count(DISTINCT click_id) AS clicks, count(*) AS sent FROM numbered GROUP BY user_id, item_id, session
      HAVING count(DISTINCT click_id) >= 10),
    refunds AS (SELECT user_id, count(*) FILTER (event_type = 'refund') / count(*) FILTER (event_type = 'payment') AS refunded
      FROM orders WHERE event_type IN ('payment', 'refund') GROUP BY user_id)
    SELECT bursts.*, refunded FROM bursts LEFT JOIN refunds USING (user_id)`,
};

const attack: BenchCase = {
  suite: "double11",
  name: "attack",
  question: "networks that click far above their own mean, by hopping minute",
  inputs: {
    orders: { fixture: "orders", columns: ["event_time", "event_type", "source_ip"] },
  },
  output: [
    ...columns("timestamp", "window_start"),
    ...columns("int", "network", "clicks"),
    ...columns("float", "times"),
  ],
  ordered: true,
  plan: () => {
    const clicks = from("orders")
      .where(col("event_type").eq("click"))
      .select("event_time", { network: col("source_ip").idiv(256) });

    const minutes = clicks
      .window(hop("event_time", "1 minute", "20 seconds"))
      .groupBy("network")
      .aggregate({ clicks: count() })
      .where(col("clicks").ge(2));

    const baseline = clicks
      .groupBy("network")
      .aggregate({ day: count() })
      .select("network", { mean: col("day").div(1440) });

    return minutes
      .join(baseline, { on: "network" })
      .select("window_start", "network", "clicks", { times: col("clicks").div(col("mean")) })
      .where(col("times").gt(10))
      .orderBy(desc("clicks"), asc("window_start"), asc("network"))
      .limit(100);
  },
  watermarks: ORDERS_CLOCK,
  sql: `WITH c AS (SELECT event_time, source_ip // 256 AS network FROM orders WHERE event_type = 'click'),
    minutes AS (SELECT time_bucket(INTERVAL 20 SECOND, event_time) - INTERVAL 20 SECOND * k AS window_start, network,
      count(*) AS clicks FROM c, (SELECT unnest(range(3)) AS k) GROUP BY ALL HAVING count(*) >= 2),
    baseline AS (SELECT network, count(*) / 1440 AS mean FROM c GROUP BY network)
    SELECT window_start, network, clicks, clicks / mean AS times FROM minutes JOIN baseline USING (network)
    WHERE clicks / mean > 10 ORDER BY clicks DESC, window_start, network LIMIT 100`,
};

const features: BenchCase = {
  suite: "double11",
  name: "features",
  question: "counts, averages and correlations of items and users that slide by 20 minutes",
  inputs: {
    orders: {
      fixture: "orders",
      columns: ["event_time", "event_type", "user_id", "item_id", "amount_float", "quantity", "status"],
    },
  },
  output: [
    ...columns("text", "of"),
    ...columns("timestamp", "window_end"),
    ...columns("int", "id", "clicks", "payments", "others"),
    ...columns("float", "spent", "price_quantity"),
  ],
  plan: () => {
    const features = (of: "item" | "user", other: "item" | "user") =>
      from("orders")
        .where(col("event_type").ne("scan"))
        .window(hop("event_time", "1 hour", "20 minutes"))
        .groupBy({ id: col(`${of}_id`) })
        .aggregate({
          clicks: count({ filter: col("event_type").eq("click") }),
          payments: count({ filter: col("event_type").eq("payment") }),
          others: countDistinct(`${other}_id`),
          spent: avg("amount_float", { filter: col("status").eq("paid") }),
          price_quantity: corr("amount_float", "quantity"),
        })
        .where(col("clicks").add(col("payments")).ge(2))
        .select(
          { of: lit(of) },
          "window_end",
          "id",
          "clicks",
          "payments",
          "others",
          "spent",
          "price_quantity",
        );

    return features("item", "user").unionAll(features("user", "item"));
  },
  watermarks: ORDERS_CLOCK,
  sql: `WITH e AS (SELECT *, time_bucket(INTERVAL 20 MINUTE, event_time) + INTERVAL 20 MINUTE * (k + 1) AS window_end
      FROM orders, (SELECT unnest(range(3)) AS k) WHERE event_type <> 'scan'),
    f AS (SELECT 'item' AS of, window_end, item_id AS id, count(*) FILTER (event_type = 'click') AS clicks,
        count(*) FILTER (event_type = 'payment') AS payments, count(DISTINCT user_id) AS others,
        avg(amount_float) FILTER (status = 'paid') AS spent, corr(amount_float, quantity) AS price_quantity
      FROM e GROUP BY window_end, item_id
      UNION ALL SELECT 'user', window_end, user_id, count(*) FILTER (event_type = 'click'),
        count(*) FILTER (event_type = 'payment'), count(DISTINCT item_id),
        avg(amount_float) FILTER (status = 'paid'), corr(amount_float, quantity)
      FROM e GROUP BY window_end, user_id)
    SELECT * FROM f WHERE clicks + payments >= 2`,
};

const index: BenchCase = {
  suite: "double11",
  name: "index",
  question: "an inverted index of item titles: a full build, then words that come and go",
  inputs: {
    postings: { fixture: "postings", columns: ["row_kind", "word", "item_id", "position"] },
  },
  output: [...columns("text", "word"), ...columns("int", "item_id", "occurrences", "first")],
  plan: () => {
    return from("postings")
      .changelog()
      .groupBy("word", "item_id")
      .aggregate({ occurrences: count(), first: min("position") });
  },
  sql: `SELECT word, item_id, count(*) AS occurrences, min(position) AS first FROM (
      SELECT word::VARCHAR AS word, item_id, position FROM postings WHERE row_kind = 0 EXCEPT ALL
      SELECT word::VARCHAR, item_id, position FROM postings WHERE row_kind = 3) GROUP BY word, item_id`,
};

const lakeSync: BenchCase = {
  suite: "double11",
  name: "lake-sync",
  question: "a snapshot, then its changes, joined and aggregated: orders by the province of their sellers",
  inputs: {
    orders: { fixture: "lake-orders", columns: ["row_kind", "seller_id", "status", "amount"] },
    sellers: { fixture: "lake-sellers", columns: ["seller_id", "province"] },
  },
  output: [
    ...columns("text", "province"),
    ...columns("int", "sellers", "orders", "open"),
    ...columns({ decimal: 2 }, "gmv"),
  ],
  plan: () => {
    const bySeller = from("orders")
      .changelog()
      .groupBy("seller_id")
      .aggregate({
        gmv: sum("amount", { filter: col("status").ne("open") }),
        orders: count(),
        open: count({ filter: col("status").eq("open") }),
      });

    return bySeller
      .join(from("sellers"), { on: "seller_id" })
      .groupBy("province")
      .aggregate({ sellers: count(), gmv: sum("gmv"), orders: sum("orders"), open: sum("open") });
  },
  sql: `WITH kept AS (SELECT seller_id, CASE WHEN row_kind IN (0, 2) THEN 1 ELSE -1 END AS sign, status, amount FROM orders),
    s AS (SELECT seller_id, sum(CASE WHEN status <> 'open' THEN sign * amount END) AS gmv, sum(sign) AS orders,
      coalesce(sum(CASE WHEN status = 'open' THEN sign END), 0) AS open FROM kept GROUP BY seller_id HAVING sum(sign) > 0)
    SELECT province, count(*) AS sellers, sum(orders) AS orders, sum(open) AS open, sum(gmv) AS gmv
    FROM s JOIN sellers USING (seller_id) GROUP BY province`,
};

const monitoring: BenchCase = {
  suite: "double11",
  name: "monitoring",
  question: "rates, errors and 99th percentiles by host; alerts for three bad minutes one after the other",
  inputs: {
    orders: { fixture: "orders", columns: ["event_time", "host", "http_status", "latency_ms"] },
  },
  output: [...bounds, ...columns("text", "host"), ...columns("int", "requests", "errors", "worst")],
  plan: () => {
    const minutes = from("orders")
      .where(col("host").isNotNull())
      .window(tumble("event_time", "1 minute"))
      .groupBy("host")
      .aggregate({
        requests: count(),
        errors: count({ filter: col("http_status").ge(500) }),
        p99: quantileDisc("latency_ms", 0.99),
      })
      .withColumns({
        bad: when(col("errors").mul(20).gt(col("requests")).or(col("p99").gt(1000)))
          .then(1)
          .otherwise(0),
      });

    return minutes
      .window(hop("window_time", "3 minutes", "1 minute"))
      .groupBy("host")
      .aggregate({ bad: sum("bad"), requests: sum("requests"), errors: sum("errors"), worst: max("p99") })
      .where(col("bad").eq(3))
      .select("window_start", "window_end", "host", "requests", "errors", "worst");
  },
  watermarks: ORDERS_CLOCK,
  sql: `WITH minutes AS (SELECT date_trunc('minute', event_time) AS minute, host, count(*) AS requests,
      count(*) FILTER (http_status >= 500) AS errors, quantile_disc(latency_ms, 0.99) AS p99
      FROM orders WHERE host IS NOT NULL GROUP BY ALL),
    w AS (SELECT minute - INTERVAL 1 MINUTE * k AS window_start, host, requests, errors, p99,
      CASE WHEN errors * 20 > requests OR p99 > 1000 THEN 1 ELSE 0 END AS bad
      FROM minutes, (SELECT unnest(range(3)) AS k))
    SELECT window_start, window_start + INTERVAL 3 MINUTE AS window_end, host, sum(requests) AS requests,
      sum(errors) AS errors, max(p99) AS worst FROM w GROUP BY window_start, host HAVING sum(bad) = 3`,
};

const logistics: BenchCase = {
  suite: "double11",
  name: "logistics",
  question:
    "parcels: the wait from payment to first scan as quantiles by carrier, and those that stand still",
  inputs: {
    orders: { fixture: "orders", columns: ["event_time", "event_type", "order_id", "carrier"] },
  },
  output: [
    ...columns("text", "carrier"),
    ...columns("int", "parcels", "standing", "median_wait", "p90_wait", "longest"),
  ],
  plan: () => {
    const payments = from("orders")
      .where(col("event_type").eq("payment"))
      .select("order_id", { paid_at: col("event_time") });

    const scans = from("orders")
      .where(col("event_type").eq("scan"))
      .select("order_id", "carrier", { seen_at: col("event_time") });

    const parcels = payments
      .join(scans, {
        on: "order_id",
        residual: col("seen_at")
          .ge(col("paid_at"))
          .and(col("seen_at").lt(col("paid_at").plus("6 hours"))),
      })
      .groupBy("order_id", "carrier")
      .aggregate({ paid_at: min("paid_at"), first: min("seen_at"), last: max("seen_at"), scans: count() })
      .withColumns({ wait: col("first").epoch().sub(col("paid_at").epoch()) });

    return parcels.groupBy("carrier").aggregate({
      parcels: count(),
      standing: count({ filter: col("last").eq(col("first")) }),
      median_wait: quantileDisc("wait", 0.5),
      p90_wait: quantileDisc("wait", 0.9),
      longest: max("wait"),
    });
  },
  sql: `WITH parcels AS (SELECT s.order_id, s.carrier, min(p.event_time) AS paid_at, min(s.event_time) AS first,
      max(s.event_time) AS last FROM orders p JOIN orders s ON p.order_id = s.order_id
      WHERE p.event_type = 'payment' AND s.event_type = 'scan' AND s.event_time >= p.event_time
        AND s.event_time < p.event_time + INTERVAL 6 HOUR GROUP BY ALL),
    waits AS (SELECT *, epoch_ms(first) // 1000 - epoch_ms(paid_at) // 1000 AS wait FROM parcels)
    SELECT carrier, count(*) AS parcels, count(*) FILTER (last = first) AS standing,
      quantile_disc(wait, 0.5) AS median_wait, quantile_disc(wait, 0.9) AS p90_wait, max(wait) AS longest
    FROM waits GROUP BY carrier`,
};

/** In the order of the contract, without gmv. */
export const SCENARIOS: readonly BenchCase[] = [
  marketing,
  antiCheat,
  logistics,
  attack,
  features,
  index,
  lakeSync,
  monitoring,
];
