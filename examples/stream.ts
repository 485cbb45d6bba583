// Follow sensors as they report: the same kind of plan over an endless source, emitting its changes.
// `npx tsx examples/stream.ts`

import { setTimeout as wait } from "node:timers/promises";
import { tableFromArrays } from "apache-arrow";
import { avg, col, count, Engine, from } from "millrace";

async function* readings() {
  for (let second = 0; ; second++) {
    yield* tableFromArrays({
      sensor: ["roof", "cellar"],
      celsius: Float64Array.of(20 + second / 10, second % 3 === 0 ? Number.NaN : 12),
    }).batches;
    await wait(1);
  }
}

const means = from("readings")
  .where(col("celsius").isNaN().not())
  .groupBy("sensor")
  .aggregate({ readings: count(), mean: avg("celsius") });

const KINDS = ["+I", "-U", "+U", "-D"];

const engine = await Engine.open({ memory: "64 MiB" });
const run = engine.stream(means, { readings: readings() }, { emit: "onUpdate" });
try {
  for await (const batch of run) {
    for (const { sensor, readings, mean, row_kind } of batch) {
      console.log(KINDS[row_kind], sensor, String(readings), mean.toFixed(2));
    }
    // Leaving the loop ends the source and gives the memory back.
    if (run.stats.batchesIn >= 4) break;
  }
} finally {
  await engine.close();
}
