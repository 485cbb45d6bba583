// Bursts of clicks of one user on one item, with clicks that were sent twice counted once, and beside them the share of
// their payments that the user had refunded.
//
//   npx millrace gen clicks --rows 1M --out clicks.arrow
//   npx millrace gen orders --rows 1M --out orders.arrow
//   npx millrace run examples/anti-cheat.ts --input clicks=clicks.arrow --input orders=orders.arrow

import { col, count, countDistinct, from, session } from "millrace";

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

export default bursts.join(refunds, { on: "user_id", how: "left" });
