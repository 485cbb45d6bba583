// The turnover screen of a Double 11, as a plan module for the command:
//
//   npx millrace gen orders --rows 1M --out orders.arrow
//   npx millrace run examples/gmv.ts --input orders=orders.arrow
//   npx millrace run examples/gmv.ts --input orders=orders.arrow --mode stream
//
// (from a checkout: `npm run millrace -- gen ...`). Both modes print the same figures.

import { asc, col, count, desc, from, sum } from "millrace";

export default from("orders")
  .where(col("status").eq("paid"))
  .groupBy({ minute: col("event_time").dateTrunc("minute") }, "category", "province")
  .aggregate({ gmv: sum("amount"), orders: count() })
  .orderBy(asc("minute"), desc("gmv"))
  .limit(20);
