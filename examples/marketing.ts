// Today's turnover by hour and category against the same hour yesterday, as a plan module for the command. Yesterday
// is a finished history, today arrives; one plan.
//
//   npx millrace gen orders --rows 1M --out today.arrow
//   npx millrace gen orders-yesterday --rows 1M --out yesterday.arrow
//   npx millrace run examples/marketing.ts --input orders=today.arrow --input yesterday=yesterday.arrow

import { col, count, from, sum, tumble } from "millrace";

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

export default turnover("orders")
  .select("category", "gmv", "orders", { hour: col("window_start") })
  .join(before, { on: ["hour", "category"], how: "left" })
  .withColumns({ growth: col("orders").div(col("orders_before")) });
