// Arquero: the JavaScript data frame, over its own Arrow columns.

import { readFileSync } from "node:fs";
import { tableToIPC } from "apache-arrow";
import { arrowTables, inputRows, mapInputs, scanBytes } from "../input/load.js";
import { singleBatch } from "../input/single-batch.js";
import type { RawColumn } from "../result/canonical.js";
import { type Engine, importPeer, timed, UnavailableError } from "./engine.js";

export const arquero: Engine = {
  name: "arquero",
  parallel: false,
  async open(of, files) {
    const query = of.arquero;
    if (query === undefined) throw new UnavailableError("Arquero has no form of this question");
    const aq = await importPeer(() => import("arquero"), "arquero");
    const arrow = arrowTables(of, files);
    const tables = mapInputs(of, (name) =>
      aq.fromArrow(tableToIPC(singleBatch(arrow[name]!), "stream"), { useDate: false } as never),
    );
    const run = () => query(aq, tables).reify();
    let last: ReturnType<typeof run> | null = null;
    return {
      version: await packageVersion(),
      threads: 1,
      inputRows: inputRows(arrow),
      inputBytes: scanBytes(arrow),
      async run() {
        last = null;
        const { ms, value } = await timed(run);
        last = value;
        return { ms, outputRows: value.numRows() };
      },
      async result() {
        const table = last ?? run();
        const columns: Record<string, RawColumn> = {};
        for (const { name, kind } of of.output) {
          const values = Array.from(table.array(name) as Iterable<number | bigint | string | null>);
          // Timestamps come in milliseconds, decimals as doubles.
          const factor = kind === "timestamp" ? 1000 : typeof kind === "object" ? 10 ** kind.decimal : 1;
          columns[name] =
            factor === 1
              ? { values }
              : { values: values.map((value) => value && Math.round(Number(value) * factor)) };
        }
        return { rows: table.numRows(), columns };
      },
      async close() {},
    };
  },
};

async function packageVersion(): Promise<string> {
  const entry = new URL(import.meta.resolve("arquero"));
  for (let up = "."; up.length < 12; up = `${up}/..`) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(`${up}/package.json`, entry), "utf8"));
      if (name === "arquero") return version;
    } catch {
      // Not the package's root yet.
    }
  }
  return "unknown";
}
