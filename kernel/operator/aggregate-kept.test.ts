// Results that stay where they are written (KEEP_RESULTS): each batch is as it was when all others have been pulled, with
// any key tier, and where memory ends in between.

import { describe, expect, test } from "vitest";
import { asKeeping } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { ResidentBatch } from "../../bindings/ts/kernel/resident.js";
import { float64, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import { BUILDS, expected, multiset, openAs, pushAll, type Query, rowsOf, type Table } from "./testing.js";
import { failEach, Retries } from "./testing-retries.js";

const ROWS = 400;
const TABLE: Table = [
  Array.from({ length: ROWS }, (_, row): Value => (row % 17 === 3 ? null : `text ${row % 40}`)),
  Array.from({ length: ROWS }, (_, row): Value => (row % 19 === 5 ? null : BigInt((row * 7) % 50))),
  Array.from({ length: ROWS }, (_, row): Value => (row % 13 === 2 ? null : row / 3)),
  Array.from({ length: ROWS }, (_, row): Value => `value ${(row * 11) % 90}`),
];
const TYPES = [utf8, int64, float64, utf8];
const AGGREGATES = [{ name: "sum", of: 2 }, { name: "min", of: 3 }, { name: "count" }] as const;
const QUERIES: readonly Query[] = [
  { types: TYPES, keys: [0], aggregates: AGGREGATES },
  { types: TYPES, keys: [1], aggregates: AGGREGATES },
  { types: TYPES, keys: [0, 1], aggregates: AGGREGATES, faults: AggregateFault.NO_DIRECT },
  { types: TYPES, keys: [], aggregates: AGGREGATES },
  {
    types: TYPES,
    keys: [0, 3, 1],
    aggregates: AGGREGATES,
    faults: AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT | AggregateFault.TINY_TABLES,
  },
];

/** All results in batches of `maxRows` at most, none of which is read before the last has come. */
function kept(operator: Operator, maxRows: number, again = <T>(call: () => T): T => call()): Value[][] {
  const batches: ResidentBatch[] = [];
  operator.watermark(END_OF_INPUT);
  for (let more = true; more; ) {
    more = again(() => operator.pullHere(maxRows, 0));
    const batch = operator.takenResident();
    if (batch !== null) batches.push(batch);
  }
  const rows = rowsOf(batches.map((batch) => again(() => batch.toHost())));
  for (const batch of batches) batch.free();
  return rows;
}

describe.each(BUILDS)("results that stay, %s build", (build) => {
  test.each([...QUERIES.keys()])("query %i: every batch is as it was, whatever came after", async (at) => {
    const query = QUERIES[at]!;
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    const rows = multiset(expected(query, TABLE));
    for (const maxRows of [1, 7, 64, 65_536]) {
      const operator = openAs(kernel, query, asKeeping, { keepsResults: true });
      pushAll(operator, query, TABLE, [50, 150]);
      expect(multiset(kept(operator, maxRows))).toEqual(rows);
      operator.destroy();
      expect(kernel.usedBytes).toBe(before);
    }
  });

  test("where an allocation fails the pull is made again, and what has left is as it was", async () => {
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    const query = QUERIES[2]!;
    const rows = multiset(expected(query, TABLE));
    let failures = 0;
    failEach(kernel, 1, 3, (nth) => {
      kernel.failAllocation(0);
      const operator = openAs(kernel, query, asKeeping, { keepsResults: true });
      pushAll(operator, query, TABLE);
      const retries = new Retries(kernel);
      kernel.failAllocation((nth | 0x8000_0000) >>> 0);
      expect(multiset(kept(operator, 60, retries.again))).toEqual(rows);
      failures += retries.failures;
      operator.destroy();
      expect(kernel.usedBytes).toBe(before);
    });
    expect(failures).toBeGreaterThan(10);
  });

  test("room for long texts that are not there goes back", async () => {
    const kernel = await Kernel.open({ build });
    const texts = Array.from({ length: 3000 }, (_, row): Value => `${row}`.padEnd(row === 7 ? 1300 : 5));
    const query: Query = {
      types: [utf8, int64],
      keys: [0, 1],
      aggregates: [],
      faults: AggregateFault.NO_DIRECT,
    };
    const table: Table = [texts, texts.map((_, row): Value => BigInt(row) << 40n)];
    const operator = openAs(kernel, query, asKeeping, { keepsResults: true });
    pushAll(operator, query, table);
    const { stateBytes } = operator.stats();
    operator.watermark(END_OF_INPUT);
    expect(operator.pullHere(65_536, 0)).toBe(false);
    expect(operator.takenResident()!.rows).toBe(3000);
    expect(operator.stats().stateBytes - stateBytes).toBeLessThan(200_000);
    operator.destroy();
  });
});
