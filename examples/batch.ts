// Group an Arrow table: one plan, run as a batch. `npx tsx examples/batch.ts`

import { tableFromArrays } from "apache-arrow";
import { avg, col, count, desc, Engine, from, max, sum } from "millrace";

const trips = tableFromArrays({
  city: ["Lisbon", "Porto", "Lisbon", "Faro", "Porto", "Lisbon"],
  kilometres: Float64Array.of(4.2, 1.5, 11, 3.3, 7.1, 0.6),
  fare: Float64Array.of(6.25, 3.25, 14.5, 5, 9.5, 2.5),
  shared: [false, true, false, false, true, true],
});

const report = from(trips)
  .where(col("kilometres").ge(1))
  .withColumns({ perKilometre: col("fare").div(col("kilometres")) })
  .groupBy("city")
  .aggregate({
    trips: count(),
    fares: sum("fare"),
    shared: count().filter(col("shared")),
    mean: avg("perKilometre"),
    longest: max("kilometres"),
  })
  .where(col("trips").gt(1))
  .orderBy(desc("fares"));

console.log(report.explain());

const engine = await Engine.open();
try {
  const table = await engine.collect(report);
  for (const row of table) console.log(row.toString());
} finally {
  await engine.close();
}
