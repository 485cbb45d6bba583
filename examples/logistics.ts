// Parcels after their payment: how long they wait for their first scan, as quantiles by carrier, and how many were seen
// once and stand still since.
//
//   npx millrace gen orders --rows 1M --out orders.arrow
//   npx millrace run examples/logistics.ts --input orders=orders.arrow

import { col, count, from, max, min, quantileDisc } from "millrace";

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

export default parcels.groupBy("carrier").aggregate({
  parcels: count(),
  standing: count({ filter: col("last").eq(col("first")) }),
  median_wait: quantileDisc("wait", 0.5),
  p90_wait: quantileDisc("wait", 0.9),
  longest: max("wait"),
});
