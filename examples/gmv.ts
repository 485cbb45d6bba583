// The turnover screen of a Double 11: paid orders by second, by minute, by category, by province, and the total so far,
// as a plan module for the command:
//
//   npx millrace gen orders --rows 1M --out orders.arrow
//   npx millrace run examples/gmv.ts --input orders=orders.arrow
//   npx millrace run examples/gmv.ts --input orders=orders.arrow --mode stream
//
// (from a checkout: `npm run millrace -- gen ...`). Both modes print the same figures. A screen that is up to date asks
// for changes: `engine.stream(plan, { orders }, { emit: "onUpdate" })` gives, with every batch that comes, the rows that
// it changed.

import { col, count, from, groupingSets, sum } from "millrace";

const second = { second: col("event_time").dateTrunc("second") };
const minute = { minute: col("event_time").dateTrunc("minute") };

export default from("orders")
  .where(col("status").eq("paid"))
  .groupBy(groupingSets([second], [minute], ["category"], ["province"], []))
  .aggregate({ gmv: sum("amount"), orders: count() });
