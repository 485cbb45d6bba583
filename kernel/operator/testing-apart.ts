// Aggregations whose sums lie side by side (mixed-sums.ts, narrow-sums.ts), and the same whose sums do not.

import fc from "fast-check";
import { expect } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
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

/** Holds a table's results against the twin's, and the state before them against that of sums apart. */
export function holdsApart(kernel: Kernel, query: Query, table: Table, sizes: readonly number[]): void {
  const beside = outcome(kernel, query, table, sizes);
  expect(beside.rows).toEqual(multiset(expected(query, table)));
  expect(beside.state).toEqual(outcome(kernel, apart(query), table, sizes).state);
}

export interface InterruptedPush {
  readonly rows: number;
  readonly next: keyof typeof BETWEEN;
}

/** What may happen between two pushes; answers the operator that goes on. */
const BETWEEN = {
  nothing: (_kernel, _query, operator) => operator,
  "a watermark": (_kernel, _query, operator) => {
    operator.watermark(0n);
    return operator;
  },
  "a snapshot": (_kernel, _query, operator) => {
    rowsOf(operator.snapshot());
    return operator;
  },
  "a restore": (kernel, query, operator) => {
    const other = open(kernel, query);
    for (const state of operator.snapshot()) other.merge(state);
    operator.destroy();
    return other;
  },
  "that it comes into another": (kernel, query, operator) => {
    const other = open(kernel, query);
    for (const _ of other.absorb(operator)) void _;
    operator.destroy();
    return other;
  },
} as const satisfies Readonly<Record<string, (kernel: Kernel, query: Query, operator: Operator) => Operator>>;

/** Pushes of so many rows at least and at most, and what comes after each. */
export const interruptedPushes = (min: number, max: number): fc.Arbitrary<InterruptedPush[]> =>
  fc.array(
    fc.record({
      rows: fc.integer({ min, max }),
      next: fc.constantFrom(...(Object.keys(BETWEEN) as (keyof typeof BETWEEN)[])),
    }),
    { minLength: 1, maxLength: 6 },
  );

/** The results of a table that is pushed so, in turn. */
export function interrupted(kernel: Kernel, query: Query, table: Table, pushes: readonly InterruptedPush[]) {
  let operator = open(kernel, query);
  for (let start = 0, turn = 0; start < table[0]!.length; turn++) {
    const { rows, next } = pushes[turn % pushes.length]!;
    pushAll(operator, query, slice(table, start, start + rows), [rows]);
    start += rows;
    operator = BETWEEN[next](kernel, query, operator);
  }
  operator.watermark(END_OF_INPUT);
  const results = multiset(rowsOf(pulled(operator)));
  operator.destroy();
  return results;
}

/** Holds the number of groups after each push of `size` rows against what has come. */
export function tellsGroups(kernel: Kernel, query: Query, table: Table, size: number): void {
  const operator = open(kernel, query);
  const seen = new Set<string>();
  for (let start = 0; start < table[0]!.length; start += size) {
    const rows = slice(table, start, start + size);
    pushAll(operator, query, rows, [size]);
    for (let row = 0; row < rows[0]!.length; row++) seen.add(query.keys.map((key) => rows[key]![row]).join());
    expect(operator.stats().groups).toBe(seen.size);
  }
  operator.destroy();
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
