// Files in, a file out: CSV to Arrow IPC through a plan, without holding the input in memory.
// `npx tsx examples/files.ts`

import { mkdtemp, rm, writeFile as writeText } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { col, count, Engine, from, readFile, sum, writeFile } from "millrace";

const folder = await mkdtemp(join(tmpdir(), "millrace-example-"));
const engine = await Engine.open();
try {
  const csv = join(folder, "sales.csv");
  await writeText(
    csv,
    "shop,day,amount\nnorth,2026-11-10,12.50\nsouth,2026-11-11,8\nnorth,2026-11-11,3.25\n",
  );

  const sales = await readFile(csv);
  const perShop = from("sales")
    .where(col("day").ge("2026-11-01"))
    .groupBy("shop")
    .aggregate({ sales: count(), amount: sum("amount") })
    .orderBy("shop");
  const table = await engine.collect(perShop, { sales });

  const { rows } = await writeFile(join(folder, "per-shop.arrow"), table);
  console.log(`${rows} rows written`);
  for await (const batch of await readFile(join(folder, "per-shop.arrow"))) {
    for (const row of batch) console.log(row.toString());
  }
} finally {
  await engine.close();
  await rm(folder, { recursive: true });
}
