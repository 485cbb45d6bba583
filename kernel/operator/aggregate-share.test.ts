// Results that several aggregations give of one that has ended (op_share): together they are its results, whatever the
// keys' tier, the number of parts and what has left before, and nothing of it changes.

import { beforeAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { decimal, dictionary, float64, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import { ArgumentError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  expected,
  multiset,
  open,
  pulled,
  pushAll,
  type Query,
  rowsOf,
  type Table,
} from "./testing.js";
import { failEach, Retries } from "./testing-retries.js";

const ROWS = 3000;
const TABLE: Table = [
  Array.from({ length: ROWS }, (_, row): Value => (row % 17 === 3 ? null : `text ${row % 140}`)),
  Array.from({ length: ROWS }, (_, row): Value => (row % 19 === 5 ? null : BigInt(((row * 7) % 250) + 900))),
  Array.from({ length: ROWS }, (_, row): Value => (row % 13 === 2 ? null : row / 3)),
  Array.from({ length: ROWS }, (_, row): Value => `value ${(row * 11) % 90}`),
  Array.from({ length: ROWS }, (_, row): Value => (row % 7 === 0 ? null : BigInt(row) * 1_000_003n)),
];
const TYPES = [dictionary(utf8, int32), int64, float64, utf8, decimal(38, 3)];
/** Aggregates of each kind of accumulator that can be shared. */
const AGGREGATES: readonly Aggregate[] = [
  { name: "sum", of: 2 },
  { name: "avg", of: 2 },
  { name: "sum", of: 1 },
  { name: "count" },
  { name: "count", of: 2 },
  { name: "min", of: 1 },
  { name: "max", of: 2 },
  { name: "min", of: 3 },
  { name: "sum", of: 4 },
  { name: "countDistinct", of: 3 },
  { name: "topK", of: 2, limit: 3 },
  { name: "bottomK", of: 4, limit: 2 },
  { name: "argMax", of: 3, second: 2 },
  { name: "variance", of: 2 },
  { name: "corr", of: 2, second: 2 },
];
const KEYS: Readonly<Record<string, Partial<Query> & Pick<Query, "keys">>> = {
  "texts of a dictionary": { keys: [0] },
  integers: { keys: [1] },
  "two keys": { keys: [0, 1] },
  "keys that are looked up": { keys: [1], faults: AggregateFault.NO_DIRECT },
  "texts that are looked up": { keys: [3, 1], faults: AggregateFault.NO_DIRECT | AggregateFault.TINY_TABLES },
};

const queryOf = (of: Partial<Query> & Pick<Query, "keys">): Query => ({
  types: TYPES,
  aggregates: AGGREGATES,
  ...of,
});

function ended(kernel: Kernel, query: Query): Operator {
  const operator = open(kernel, query);
  pushAll(operator, query, TABLE, [1500, 700]);
  operator.watermark(END_OF_INPUT);
  return operator;
}

describe.each(BUILDS)("shared results, %s build", (build) => {
  let kernel: Kernel;
  beforeAll(async () => {
    kernel = await Kernel.open({ build });
  });

  describe.each(Object.entries(KEYS))("%s", (_name, of) => {
    const query = queryOf(of);

    test.each([1, 2, 7, 64])("%i parts are what the owner has not given yet, in its order", (parts) => {
      const before = kernel.usedBytes;
      const whole = ended(kernel, query);
      const rows = rowsOf(pulled(whole, 65_536));
      expect(multiset(rows)).toEqual(multiset(expected(query, TABLE)));
      whole.destroy();
      for (const given of [0, 1, 60]) {
        const owner = ended(kernel, query);
        const first = given === 0 ? [] : rowsOf([owner.pull(given)!]);
        const readers = Array.from({ length: parts }, () => open(kernel, query));
        for (const [part, reader] of readers.entries())
          expect(reader.shareResults(owner, part, parts)).toBe(true);
        // In turns, as several threads pull them.
        const parted = readers.map((): Value[][] => []);
        for (let left = true; left; ) {
          left = false;
          for (const [part, reader] of readers.entries()) {
            const batch = reader.pull(23);
            if (batch === null) continue;
            left = true;
            parted[part]!.push(...rowsOf([batch]));
          }
        }
        expect([...first, ...parted.flat()]).toEqual(rows);
        // The owner still has what it had.
        expect([...first, ...rowsOf(pulled(owner))]).toEqual(rows);
        for (const one of [...readers, owner]) one.destroy();
      }
      expect(kernel.usedBytes).toBe(before);
    });
  });

  test("of integers in a range around which the numbers go, parts are of those that can have rows", () => {
    const query: Query = { types: [int64], keys: [0], aggregates: [{ name: "count" }] };
    for (const low of [-700n, 0n, 5n, 3900n, 4090n, 10n ** 15n]) {
      const values = Array.from({ length: 1000 }, (_, row): Value => low + BigInt((row * 3) % 1000));
      const owner = open(kernel, query);
      owner.push(batchOf(query.types, [values]));
      owner.watermark(END_OF_INPUT);
      const counts = [0, 1, 2, 3].map((part) => {
        const reader = open(kernel, query);
        reader.shareResults(owner, part, 4);
        const rows = rowsOf(pulled(reader)).length;
        reader.destroy();
        return rows;
      });
      expect(counts.reduce((sum, rows) => sum + rows, 0)).toBe(1000);
      for (const rows of counts) expect(Math.abs(rows - 250)).toBeLessThan(3);
      owner.destroy();
    }
  });

  test("what cannot be shared says so", () => {
    const query = queryOf({ keys: [1] });
    const refusals: readonly Query[] = [
      { ...query, aggregates: [{ name: "quantile", of: 2, p: 0.5 }] },
      { ...query, aggregates: [{ name: "mode", of: 3 }] },
      { ...query, keys: [] },
    ];
    for (const refused of refusals) {
      const owner = ended(kernel, refused);
      const reader = open(kernel, refused);
      expect(reader.shareResults(owner, 0, 2)).toBe(false);
      for (const one of [reader, owner]) one.destroy();
    }
    const running = open(kernel, query);
    const owner = ended(kernel, query);
    const [reader, other] = [open(kernel, query), open(kernel, queryOf({ keys: [0] }))];
    expect(() => reader.shareResults(running, 0, 2)).toThrow(/waiting/);
    expect(() => other.shareResults(owner, 0, 2)).toThrow(/configuration/);
    expect(() => reader.shareResults(owner, 2, 2)).toThrow(ArgumentError);
    expect(() => owner.shareResults(owner, 0, 2)).toThrow(ArgumentError);
    expect(reader.shareResults(owner, 1, 2)).toBe(true);
    // It takes nothing, has no state, and gives nothing to others.
    expect(() => reader.shareResults(owner, 1, 2)).toThrow(/waiting/);
    expect(running.shareResults(reader, 0, 1)).toBe(false);
    expect(() => reader.push(batchOf(TYPES, TABLE))).toThrow(/ended/);
    expect(() => [...reader.snapshot()]).toThrow(/waiting/);
    expect(() => reader.isAlike(owner)).toThrow(/waiting/);
    expect(() => reader.ready()).toThrow(/waiting/);
    expect(reader.stats()).toMatchObject({ groups: 0, rowsIn: 0 });
    expect(reader.pull(1)!.length).toBe(1);
    owner.destroy();
    expect(() => reader.pull(1)).toThrow(ArgumentError);
    for (const one of [running, reader, other]) one.destroy();
  });

  test("a pull for which there is no memory can be made again", () => {
    const query = queryOf({ keys: [0] });
    const rows = multiset(expected(query, TABLE));
    const before = kernel.usedBytes;
    let failures = 0;
    failEach(kernel, 1, 2, (nth) => {
      kernel.failAllocation(0);
      const owner = ended(kernel, query);
      const readers = [0, 1].map(() => open(kernel, query));
      for (const [part, reader] of readers.entries()) reader.shareResults(owner, part, 2);
      const retries = new Retries(kernel);
      kernel.failAllocation((nth | 0x8000_0000) >>> 0);
      expect(multiset(readers.flatMap((reader) => rowsOf(retries.pulls(reader, 40))))).toEqual(rows);
      failures += retries.failures;
      for (const one of [...readers, owner]) one.destroy();
      expect(kernel.usedBytes).toBe(before);
    });
    expect(failures).toBeGreaterThan(5);
  });
});
