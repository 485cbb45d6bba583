// A table of a data lake, synchronised: its snapshot, then its changes, in one stream. What is taken back is in no sum,
// what came once is in it once. Turnover and open orders by the sellers' provinces.
//
//   npx millrace gen lake-orders --rows 1M --out orders.arrow
//   npx millrace gen lake-sellers --rows 1M --out sellers.arrow
//   npx millrace run examples/lake-sync.ts --input orders=orders.arrow --input sellers=sellers.arrow

import { col, count, from, sum } from "millrace";

const bySeller = from("orders")
  .changelog()
  .groupBy("seller_id")
  .aggregate({
    gmv: sum("amount", { filter: col("status").ne("open") }),
    orders: count(),
    open: count({ filter: col("status").eq("open") }),
  });

export default bySeller
  .join(from("sellers"), { on: "seller_id" })
  .groupBy("province")
  .aggregate({ sellers: count(), gmv: sum("gmv"), orders: sum("orders"), open: sum("open") });
