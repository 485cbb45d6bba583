// Aggregations whose sums lie side by side (push-sums.ts, narrow-sums.ts), and the same whose sums do not.

import { expect } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT } from "../../bindings/ts/kernel/operator.js";
import { AggregateFault } from "../abi/operator.js";
import {
  type BUILDS,
  expected,
  multiset,
  open,
  pulled,
  pushAll,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import { failEach, Retries, SMALL_TOO } from "./testing-retries.js";

/** The same without sums side by side. */
export function apart(query: Query): Query {
  return { ...query, faults: AggregateFault.NORMALISE_ALWAYS };
}

/** The results of a table that is pushed in parts of these sizes, in turn, and the state before them. */
export function outcome(kernel: Kernel, query: Query, table: Table, sizes: readonly number[]) {
  const operator = open(kernel, query);
  try {
    pushAll(operator, query, table, sizes);
    const state = multiset(rowsOf(operator.snapshot()));
    operator.watermark(END_OF_INPUT);
    return { rows: multiset(rowsOf(pulled(operator))), state };
  } finally {
    operator.destroy();
  }
}

/** Fails each allocation of what follows the first 1000 rows, which is made again then, and must come to the twin's results. */
export async function holdsWhereMemoryFails(
  build: (typeof BUILDS)[number],
  query: Query,
  table: Table,
): Promise<void> {
  const kernel = await Kernel.open({ build });
  const before = kernel.usedBytes;
  const rows = multiset(expected(query, table));
  const [start, rest] = [slice(table, 0, 1000), slice(table, 1000, 3000)];
  failEach(kernel, 1, 1, (nth) => {
    kernel.failAllocation(0);
    const operator = open(kernel, query);
    pushAll(operator, query, start);
    kernel.failAllocation((nth | SMALL_TOO) >>> 0);
    const retries = new Retries(kernel);
    retries.again(() => pushAll(operator, query, rest));
    retries.again(() => operator.watermark(END_OF_INPUT));
    expect(multiset(rowsOf(retries.pulls(operator, 100)))).toEqual(rows);
    operator.destroy();
    expect(kernel.usedBytes).toBe(before);
  });
}
