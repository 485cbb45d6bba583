// Stop a stream and go on later: its state is written to a file, and another engine goes on from there as if nothing had
// happened. `npx tsx examples/checkpoint.ts`

import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableFromArrays } from "apache-arrow";
import { count, Engine, from, readCheckpoint, sum, tumble } from "millrace";

const HOURS = 6;

/** A log that can be read from any of its rows on: two an hour, in batches of an hour. */
async function* orders(from = 0) {
  for (let hour = Math.floor(from / 2); hour < HOURS; hour++) {
    const table = tableFromArrays({
      hour: Int32Array.of(hour, hour),
      seller: ["ada", "bo"],
      amount: Float64Array.of(0.1, hour),
    });
    yield* table.slice(hour * 2 < from ? from - hour * 2 : 0).batches;
  }
}

const plan = from("orders")
  .window(tumble("hour", 2))
  .groupBy("seller")
  .aggregate({ turnover: sum("amount"), orders: count() });
const options = { watermarks: { orders: { column: "hour" } } };

const print = (batch: Iterable<{ window_start: number; seller: string; turnover: number }>) => {
  for (const { window_start, seller, turnover } of batch) console.log(window_start, seller, turnover);
};

const folder = await mkdtemp(join(tmpdir(), "millrace-"));
const file = join(folder, "orders.checkpoint");
try {
  const first = await Engine.open({ memory: "64 MiB" });
  const run = first.stream(plan, { orders: orders() }, options);
  for await (const batch of run) {
    print(batch as never);
    // What has been printed is not printed again. A new file takes the old one's place whole.
    await writeFile(`${file}.new`, await run.snapshot());
    await rename(`${file}.new`, file);
    if (run.stats.batchesOut === 2) break;
  }
  await first.close();

  const restore = await readFile(file);
  const [source] = readCheckpoint(restore).sources;
  console.log(`-- stopped after ${source!.rows} rows`);
  const second = await Engine.open({ memory: "64 MiB" });
  const rest = second.stream(plan, { orders: orders(source!.rows) }, { ...options, restore });
  for await (const batch of rest) print(batch as never);
  await second.close();
} finally {
  await rm(folder, { recursive: true });
}
