// Networks that click far more than they do over the day: clicks by hopping minute against the network's own mean.
//
//   npx millrace gen orders --rows 1M --out orders.arrow
//   npx millrace run examples/attack.ts --input orders=orders.arrow

import { asc, col, count, desc, from, hop } from "millrace";

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

export default minutes
  .join(baseline, { on: "network" })
  .select("window_start", "network", "clicks", { times: col("clicks").div(col("mean")) })
  .where(col("times").gt(10))
  .orderBy(desc("clicks"), asc("window_start"), asc("network"))
  .limit(100);
