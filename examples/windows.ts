// Turnover by minute and shop while orders come in, up to five seconds out of order; then the same history as a
// batch, with the same figures. `npx tsx examples/windows.ts`

import { Table, TimestampMillisecond, vectorFromArray } from "apache-arrow";
import { count, Engine, float64, from, source, sum, timestamp, tumble, utf8 } from "millrace";

const START = Date.UTC(2026, 10, 11);
const HISTORY = Array.from({ length: 90 }, (_, order) => {
  const delay = (order * 7) % 5;
  return {
    ts: START + (order * 3 - delay) * 1000,
    shop: order % 3 === 0 ? "north" : "south",
    amount: 0.1 * order,
  };
});

function batch(orders: typeof HISTORY) {
  return new Table({
    ts: vectorFromArray(
      orders.map(({ ts }) => ts),
      new TimestampMillisecond(),
    ),
    shop: vectorFromArray(orders.map(({ shop }) => shop)),
    amount: vectorFromArray(orders.map(({ amount }) => amount)),
  });
}

async function* arriving() {
  for (let at = 0; at < HISTORY.length; at += 4) yield batch(HISTORY.slice(at, at + 4));
}

const orders = source("orders", { ts: timestamp("ms"), shop: utf8, amount: float64 });
const turnover = from(orders)
  .window(tumble("ts", "1 minute"))
  .groupBy("shop")
  .aggregate({ turnover: sum("amount"), orders: count() })
  .select("window_start", "shop", "turnover", "orders");

const line = (row: { toString(): string }) => row.toString();
const engine = await Engine.open({ memory: "64 MiB" });
try {
  const streamed: string[] = [];
  const watermarks = { orders: { column: "ts", outOfOrderness: "5 seconds" } };
  const run = engine.stream(turnover, { orders: arriving() }, { watermarks });
  for await (const minute of run) {
    // A minute is given as soon as no order of it can come any more.
    console.log(`after ${run.stats.rowsIn} orders: ${minute.numRows} results`);
    streamed.push(...minute.toArray().map(line));
  }
  const collected = (await engine.collect(turnover, { orders: batch(HISTORY) })).toArray().map(line);
  for (const result of streamed) console.log(result);
  console.log(
    `${run.stats.lateRows} late, same as the batch: ${streamed.sort().join() === collected.sort().join()}`,
  );
} finally {
  await engine.close();
}
