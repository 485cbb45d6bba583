// Results that leave partition by partition, and whose groups are forgotten then (DRAINS): each group once, with the sums that
// it has otherwise, however few rows a pull takes and wherever memory ends.

import { describe, expect, test } from "vitest";
import { asDraining, asShared } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT } from "../../bindings/ts/kernel/operator.js";
import { decimal, float64, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import { ClosedError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  BUILDS,
  expected,
  multiset,
  openAs,
  pushAll,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import { failEach, hasFailed, Retries, SMALL_TOO } from "./testing-retries.js";

const ROWS = 500;
/** A column of the table: a value for each row, every `nulls`-th of them null. */
const column = (nulls: number, value: (row: number) => Value): Value[] =>
  Array.from({ length: ROWS }, (_, row) => (nulls !== 0 && row % nulls === 3 ? null : value(row)));
const [NUMBER, TEXT, SMALL, FAR, SPECIAL, WIDE, LATE] = [0, 1, 2, 3, 4, 5, 6] as const;
const TYPES = [int64, utf8, int32, float64, float64, decimal(38, 0), int64];
const TABLE: Table = [
  column(17, (row) => BigInt((row * 7) % 311) * 10n ** 12n),
  column(19, (row) => `text ${row % 150}`),
  column(13, (row) => BigInt(row % 40) - 20n),
  // Sums that widen as they go on, and keep limbs beside them.
  column(11, (row) => 2 ** (((row * 331) % 1900) - 950)),
  column(0, (row) => (row % 23 === 4 ? [Number.NaN, Infinity, -Infinity][row % 3]! : -0)),
  column(29, (row) => BigInt(row % 50) * 10n ** 34n),
  // Its first null comes when many groups are there.
  Array.from({ length: ROWS }, (_, row): Value => (row % 7 === 2 && row > 450 ? null : BigInt(row) << 50n)),
];
const AGGREGATES: Query["aggregates"] = [
  { name: "count" },
  { name: "sum", of: SMALL },
  { name: "sum", of: FAR },
  { name: "sum", of: SPECIAL },
  { name: "avg", of: WIDE },
  { name: "avg", of: LATE },
  { name: "variance", of: SMALL },
  { name: "sum", of: FAR, fast: true },
];
const ASIDE = AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT;
const QUERIES: readonly Query[] = [
  ...[[NUMBER], [TEXT], [SMALL, NUMBER], [TEXT, SMALL, NUMBER]].map((keys) => ({
    types: TYPES,
    keys,
    aggregates: AGGREGATES.filter(({ fast }) => !fast),
    faults: ASIDE | AggregateFault.TINY_TABLES,
  })),
  { types: TYPES, keys: [NUMBER], aggregates: AGGREGATES.slice(0, 2), faults: ASIDE },
  {
    types: TYPES,
    keys: [NUMBER],
    aggregates: AGGREGATES.slice(1, 3),
    faults: ASIDE | AggregateFault.HASH_ZERO,
  },
  // An extreme has no value that it is zero by: nothing leaves early.
  {
    types: TYPES,
    keys: [NUMBER],
    aggregates: [{ name: "max", of: SMALL }, { name: "count" }],
    faults: ASIDE,
  },
];
const CUTS = [20, 60, 61, 200, 440];

describe.each(BUILDS)("results that leave partition by partition, %s build", (build) => {
  test.each([...QUERIES.keys()])("query %i: every group leaves once", async (at) => {
    const query = QUERIES[at]!;
    const kernel = await Kernel.open({ build });
    const before = kernel.usedBytes;
    const rows = multiset(expected(query, TABLE));
    for (const maxRows of [1, 7, 64, 65_536]) {
      const operator = openAs(kernel, query, asDraining);
      pushAll(operator, query, TABLE, CUTS);
      expect(multiset(rowsOf(operator.finish(maxRows)))).toEqual(rows);
      expect(operator.stats().groups).toBe(rows.length);
      operator.destroy();
      expect(kernel.usedBytes).toBe(before);
    }
  });

  // Sums that do not widen: an operator whose sums cannot has failed for good.
  const aggregates: Query["aggregates"] = [
    { name: "count" },
    { name: "avg", of: SMALL },
    { name: "count", of: LATE },
  ];

  test.each([
    { keys: [NUMBER], maxRows: 65_536 },
    { keys: [SMALL, NUMBER], maxRows: 30 },
    { keys: [TEXT, SMALL, NUMBER], maxRows: 65_536 },
  ])(
    "by $keys: a pull for which an allocation fails is made again, $maxRows rows",
    async ({ keys, maxRows }) => {
      const kernel = await Kernel.open({ build });
      const query = { types: TYPES, keys, aggregates, faults: ASIDE | AggregateFault.TINY_TABLES };
      const rows = multiset(expected(query, TABLE));
      let failures = 0;
      const pulls = (nth: number) => {
        kernel.failAllocation(0);
        const operator = openAs(kernel, query, asDraining);
        pushAll(operator, query, TABLE, CUTS);
        operator.watermark(END_OF_INPUT);
        const retries = new Retries(kernel);
        kernel.failAllocation((nth | 0x8000_0000) >>> 0);
        expect([nth, multiset(rowsOf(retries.pulls(operator, maxRows)))]).toEqual([nth, rows]);
        failures += retries.failures;
        operator.destroy();
      };
      failEach(kernel, 1, 1, pulls);
      expect(failures).toBeGreaterThan(4);
    },
  );

  describe("of parts of others, as these are complete", () => {
    const PARTS = 256;
    /** Operators that have a third of the rows each. */
    const divided = (kernel: Kernel, query: Query) =>
      [0, 1, 2].map((third) => {
        const source = openAs(kernel, query, asShared);
        const [from, to] = [third, third + 1].map((at) => Math.floor((at * ROWS) / 3)) as [number, number];
        pushAll(source, query, slice(TABLE, from, to), [50]);
        source.divide(PARTS);
        return source;
      });

    test.each([...QUERIES.keys()])("query %i: every group leaves once", async (at) => {
      const query = QUERIES[at]!;
      const kernel = await Kernel.open({ build });
      const before = kernel.usedBytes;
      const sources = divided(kernel, query);
      for (const maxRows of [1, 7, 65_536]) {
        const target = openAs(kernel, query, asDraining);
        const rows: Value[][] = [];
        for (let part = 0; part < PARTS; part++) {
          for (const source of sources) target.combinePart(source, part);
          for (let batch = target.pull(maxRows); batch !== null; batch = target.pull(maxRows))
            rows.push(...rowsOf([batch]));
        }
        const early = rows.length;
        rows.push(...rowsOf(target.finish(maxRows)));
        expect(multiset(rows)).toEqual(multiset(expected(query, TABLE)));
        expect(target.stats().groups).toBe(rows.length);
        // Texts are told by their hashes here, rows that are all in one part have been looked up before, and extremes have no
        // value that they are zero by.
        const isOne = (query.faults! & AggregateFault.HASH_ZERO) !== 0;
        const stays = query.keys.includes(TEXT) || isOne || query.aggregates[0]!.name === "max";
        expect(early).toBe(stays ? 0 : rows.length);
        target.destroy();
      }
      for (const source of sources) source.destroy();
      expect(kernel.usedBytes).toBe(before);
    });

    test("few groups wait for the next parts, and so do those of whom nobody asks", async () => {
      const kernel = await Kernel.open({ build });
      const query = { ...QUERIES[0]!, faults: AggregateFault.NO_DIRECT };
      const sources = divided(kernel, query);
      const [asked, left] = [0, 1].map(() => openAs(kernel, query, asDraining));
      for (let part = 0; part < PARTS; part++) {
        for (const source of sources) for (const target of [asked!, left!]) target.combinePart(source, part);
        expect(asked!.pull()).toBeNull();
      }
      for (const target of [asked!, left!])
        expect(multiset(rowsOf(target.finish()))).toEqual(multiset(expected(query, TABLE)));
      for (const one of [...sources, asked!, left!]) one.destroy();
    });

    test("a part that was complete, and all but parts, are refused", async () => {
      const kernel = await Kernel.open({ build });
      const query = QUERIES[4]!;
      const sources = divided(kernel, query);
      const other = openAs(kernel, query, asShared);
      const target = openAs(kernel, query, asDraining);
      const rows: Value[][] = [];
      for (let part = PARTS; part-- > 0; ) {
        for (const source of sources) target.combinePart(source, part);
        for (let batch = target.pull(); batch !== null; batch = target.pull()) rows.push(...rowsOf([batch]));
        if (part !== 100) continue;
        for (const complete of [PARTS - 1, 100])
          expect(() => target.combinePart(sources[0]!, complete)).toThrow(ClosedError);
        expect(() => pushAll(target, query, TABLE, [])).toThrow(ClosedError);
        expect(() => [...target.absorb(other)]).toThrow(ClosedError);
        expect(() => other.shareResults(target, 0, 2)).toThrow();
        expect(() => [...target.snapshot()]).toThrow();
      }
      rows.push(...rowsOf(target.finish()));
      expect(multiset(rows)).toEqual(multiset(expected(query, TABLE)));
      for (const one of [...sources, other, target]) one.destroy();
    });

    test.each([[NUMBER], [SMALL, NUMBER]])(
      "by %j: a pull for which an allocation fails is made again",
      async (...keys) => {
        const kernel = await Kernel.open({ build });
        const query = { types: TYPES, keys, aggregates, faults: ASIDE | AggregateFault.TINY_TABLES };
        const rows = multiset(expected(query, TABLE));
        const sources = divided(kernel, query);
        let failures = 0;
        for (let nth = 1, isOver = false; !isOver; nth++) {
          const target = openAs(kernel, query, asDraining);
          const retries = new Retries(kernel);
          const got: Value[][] = [];
          for (let part = 0; part < PARTS; part++) {
            for (const source of sources) target.combinePart(source, part);
            // While parts are taken memory is there.
            if (part === 0) kernel.failAllocation((nth | SMALL_TOO) >>> 0);
            for (const batch of retries.pulls(target, 30)) got.push(...rowsOf([batch]));
            if (part === 0) isOver = !hasFailed(kernel);
            kernel.failAllocation(0);
          }
          got.push(...rowsOf(target.finish()));
          expect([nth, multiset(got)]).toEqual([nth, rows]);
          failures += retries.failures;
          target.destroy();
        }
        expect(failures).toBeGreaterThan(0);
        for (const source of sources) source.destroy();
      },
    );
  });
});
