// The naive twin: the plan over lists of rows, written for being obviously right. It verifies, and is never timed.

import { fromArrow } from "../../bindings/ts/arrow/index.js";
import { asChangelog, bind } from "../../bindings/ts/plan/index.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import type { DataType, Schema } from "../../bindings/ts/type/data-type.js";
import { runPlan } from "../../twin/plan.js";
import type { Value } from "../../twin/values.js";
import { arrowTables, inputRows, scanBytes } from "../input/load.js";
import { millraceVersion } from "../report/machine.js";
import type { RawColumn, RawResult } from "../result/canonical.js";
import { type Engine, timed } from "./engine.js";

export const twin: Engine = {
  name: "twin",
  parallel: false,
  async open(of, files) {
    const tables = arrowTables(of, files);
    const inputs = Object.entries(tables).map(([name, table]) => ({ name, ...fromArrow(table) }));
    const run = () => twinResult(of.plan(), inputs);
    return {
      version: millraceVersion(),
      threads: 1,
      inputRows: inputRows(tables),
      inputBytes: scanBytes(tables),
      async run() {
        const { ms, value } = await timed(run);
        return { ms, outputRows: value.rows };
      },
      async result() {
        return run();
      },
      async close() {},
    };
  },
};

interface TwinTable {
  readonly name: string;
  readonly schema: Schema;
  readonly batches: readonly BatchData[];
}

function twinResult(plan: Parameters<typeof bind>[0], inputs: readonly TwinTable[]): RawResult {
  const schemas = Object.fromEntries(inputs.map(({ name, schema }) => [name, schema]));
  const bound = asChangelog(bind(plan, schemas), false);
  const data = Object.fromEntries(inputs.map(({ name, batches }) => [name, batches]));
  const { rows, schema: output } = runPlan(bound, data);
  const columns: Record<string, RawColumn> = {};
  output.fields.forEach((field, index) => {
    const convert = field.type.kind === "list" ? listItems : microseconds(field.type);
    columns[field.name] = { values: rows.map((row) => convert(row[index] ?? null)) as never };
  });
  return { rows: rows.length, columns };
}

/** The numbers of a list, which is a text in the twin. */
function listItems(list: Value): number[] | null {
  return typeof list === "string" ? list.slice(1, -1).split(", ").map(Number) : null;
}

/** Timestamps become microseconds, as canonical results have them. */
function microseconds(type: DataType): (value: Value) => Value {
  if (type.kind !== "timestamp") return (value) => value;
  const [factor, divisor] = { s: [1_000_000n, 1n], ms: [1000n, 1n], us: [1n, 1n], ns: [1n, 1000n] }[
    type.unit
  ] as [bigint, bigint];
  return (value) => (typeof value === "bigint" ? (value * factor) / divisor : value);
}
