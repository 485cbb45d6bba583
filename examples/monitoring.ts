// Hosts by minute: requests, errors, the 99th percentile of the latency. An alert for hosts that were bad in three
// minutes one after the other: a window over windows.
//
//   npx millrace gen orders --rows 1M --out orders.arrow
//   npx millrace run examples/monitoring.ts --input orders=orders.arrow

import { col, count, from, hop, max, quantileDisc, sum, tumble, when } from "millrace";

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

export default minutes
  .window(hop("window_time", "3 minutes", "1 minute"))
  .groupBy("host")
  .aggregate({ bad: sum("bad"), requests: sum("requests"), errors: sum("errors"), worst: max("p99") })
  .where(col("bad").eq(3))
  .select("window_start", "window_end", "host", "requests", "errors", "worst");
