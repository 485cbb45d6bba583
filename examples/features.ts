// What a recommender wants to know of items and users: counts, averages and correlations that slide with time.
//
//   npx millrace gen orders --rows 1M --out orders.arrow
//   npx millrace run examples/features.ts --input orders=orders.arrow

import { avg, col, corr, count, countDistinct, from, hop, lit } from "millrace";

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
    .select({ of: lit(of) }, "window_end", "id", "clicks", "payments", "others", "spent", "price_quantity");

export default features("item", "user").unionAll(features("user", "item"));
