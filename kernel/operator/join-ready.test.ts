// Indexing a join's side by parts (op_ready, op_ready_part) against indexing it whole: the same rows in the same order,
// whichever parts are done before the first pull, in any order, and however often keys come.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import { float64, int32, int64, uint32, utf8 } from "../../bindings/ts/type/data-type.js";
import { ArgumentError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { JoinFault } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { BUILDS, batchOf, multiset, pulled, rowsOf, type Table, TYPES } from "./testing.js";
import { expectedJoin, HOWS, type JoinQuery, openJoin } from "./testing-join.js";
import { LASTING } from "./testing-retries.js";

const PARTS = 64;
const END = 2n ** 63n - 1n;
/** Rows from which on a side has parts, where steps are not small. */
const MANY = 2 ** 18;

describe.each(BUILDS)("indexing by parts, %s build", async (build) => {
  const kernel = await Kernel.open({ build, budget: "512 MiB" });
  const start = { used: kernel.usedBytes, blocks: kernel.blocks };
  afterAll(() => expect({ used: kernel.usedBytes, blocks: kernel.blocks }).toEqual(start));

  /** A join whose side `port` has come and ended. */
  function built(query: JoinQuery, port: 0 | 1, table: Table): Operator {
    const operator = openJoin(kernel, query);
    for (let row = 0; row < table[0]!.length; row += 65536) {
      const part = table.map((column) => column.slice(row, row + 65536));
      expect(operator.push(batchOf(query.types[port], part, row % 3), 0, undefined, 0, port)).toBe(0);
    }
    expect(operator.watermark(END, port)).toBe(Status.HAS_MORE);
    return operator;
  }

  /** What comes of the other side. */
  function probed(operator: Operator, query: JoinQuery, port: 0 | 1, table: Table): Value[][] {
    const batches = [...pulled(operator)];
    const other = (1 - port) as 0 | 1;
    if (operator.push(batchOf(query.types[other], table), 0, undefined, 0, other) === Status.HAS_MORE)
      batches.push(...pulled(operator));
    if (operator.watermark(END, other) === Status.HAS_MORE) batches.push(...pulled(operator));
    return rowsOf(batches);
  }

  const cases = fc.record({
    key: fc.constantFrom(int32, uint32, int64),
    how: fc.constantFrom(...HOWS),
    port: fc.constantFrom(0 as const, 1 as const),
    nullsEqual: fc.boolean(),
    residual: fc.boolean(),
    // Keys that come once, or now and then twice, or many times; null or not.
    sides: fc.tuple(
      fc.uniqueArray(fc.option(fc.integer({ min: 3, max: 9000 })), { minLength: 1, maxLength: 60 }),
      fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 3 }),
      fc.array(fc.option(fc.integer({ min: 0, max: 9100 })), { maxLength: 40 }),
    ),
    parts: fc.array(fc.nat(PARTS - 1), { maxLength: 5 }),
    all: fc.boolean(),
  });

  test("gives what indexing whole gives", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(cases, ({ key, how, port, nullsEqual, residual, sides, parts, all }) => {
        const types = [key, int64, utf8];
        const query: JoinQuery = {
          types: [types, types],
          keys: 1,
          how,
          nullsEqual,
          residual: residual ? [1, 1] : undefined,
          buildFirst: true,
          faults: JoinFault.SMALL_STEPS,
        };
        const [once, again, others] = sides;
        const keys = [...once, ...again.map((at) => once[at % once.length]!)];
        const table = (of: readonly (number | null)[]): Table => [
          of.map((value) => (value === null ? null : BigInt(value))),
          of.map((_, row) => BigInt(row % 7)),
          of.map((_, row) => `text ${row}`),
        ];
        const [kept, probes] = [table(keys), table([...others, ...once.slice(0, 9)])];
        const shared = built(query, port, kept);
        const whole = built(query, port, kept);
        expect(shared.ready()).toBe(PARTS);
        for (const part of all ? [...parts, ...Array(PARTS).keys()] : parts) shared.readyPart(part);
        const rows = probed(shared, query, port, probes);
        expect(rows).toEqual(probed(whole, query, port, probes));
        const tables = port === 0 ? ([kept, probes] as const) : ([probes, kept] as const);
        expect(multiset(rows)).toEqual(multiset(expectedJoin(query, tables)));
        for (const operator of [shared, whole]) operator.destroy();
      }),
      { numRuns: 300 },
    );
  });

  const inner: JoinQuery = {
    types: [
      [int32, float64],
      [int32, float64],
    ],
    keys: 1,
    how: "inner",
    buildFirst: true,
  };
  const numbered = (keys: readonly number[]): Table => [keys.map(BigInt), keys.map((_, row) => row / 2)];

  test.each([0, 1, 2])("many rows, %i keys of which come twice", (twice) => {
    const keys = Array.from({ length: MANY }, (_, row) => (row * 7919) % MANY);
    for (let at = 0; at < twice; at++) keys[MANY - 1 - 70_000 * at] = keys[100 + at]!;
    const probes = numbered([...keys.slice(90, 120), 5, -1, 2 ** 30]);
    const [shared, whole] = [1, 1].map(() => built(inner, 1, numbered(keys)));
    expect(shared!.ready()).toBe(PARTS);
    for (let part = PARTS - 1; part >= 0; part--) shared!.readyPart(part);
    const rows = probed(shared!, inner, 1, probes);
    expect(rows).toEqual(probed(whole!, inner, 1, probes));
    expect(rows.length).toBe(31 + twice);
    for (const operator of [shared!, whole!]) operator.destroy();
  });

  test("has no parts where one thread does as well, or nothing waits", () => {
    const small = { ...inner, faults: JoinFault.SMALL_STEPS };
    const some = numbered([1, 2, 3]);
    const none = (query: JoinQuery, port: 0 | 1 = 1, table = some) => {
      const operator = built(query, port, table);
      expect(operator.ready()).toBe(0);
      operator.readyPart(3);
      expect([...pulled(operator)]).toEqual([]);
      operator.destroy();
    };
    none(inner);
    none({ ...small, types: [TYPES, TYPES], keys: 2 }, 1, Array(TYPES.length).fill([null]));
    none({ ...small, faults: JoinFault.SMALL_STEPS | JoinFault.NO_DENSE });
    none({ ...small, buildFirst: false });
    none(small, 0, numbered([0, 2 ** 30]));
    none(small, 1, [[], []]);
    const operator = openJoin(kernel, small);
    operator.push(batchOf(small.types[1], some), 0, undefined, 0, 1);
    // It has not ended; then it is indexed; then nothing is left to do.
    expect(operator.ready()).toBe(0);
    operator.watermark(END, 1);
    expect([operator.ready(), operator.ready()]).toEqual([PARTS, PARTS]);
    expect(() => operator.readyPart(PARTS)).toThrow(ArgumentError);
    expect([...pulled(operator)]).toEqual([]);
    expect(operator.ready()).toBe(0);
    operator.watermark(END, 0);
    [...pulled(operator)];
    expect(operator.ready()).toBe(0);
    operator.readyPart(0);
    operator.destroy();
  });

  test("a side that has parts when the other one ends has none then", () => {
    for (const port of [0, 1] as const) {
      const query = { ...inner, how: "full", faults: JoinFault.SMALL_STEPS } as const;
      const operator = built(query, port, numbered([1, 2, 2]));
      expect(operator.ready()).toBe(PARTS);
      operator.readyPart(0);
      operator.watermark(END, 1 - port);
      operator.readyPart(1);
      expect(rowsOf(pulled(operator)).length).toBe(3);
      expect(operator.ready()).toBe(0);
      operator.readyPart(2);
      operator.destroy();
    }
  });

  test("where memory ends nothing is lost", () => {
    const query = { ...inner, faults: JoinFault.SMALL_STEPS };
    const probes = numbered([1, 2, 9]);
    for (let nth = 1; nth <= 2; nth++) {
      const operator = built(query, 1, numbered([1, 2, 2]));
      kernel.failAllocation(nth | LASTING);
      expect(() => operator.ready()).toThrow(MemoryLimitError);
      kernel.failAllocation(0);
      expect(operator.ready()).toBe(PARTS);
      expect(probed(operator, query, 1, probes).length).toBe(3);
      operator.destroy();
    }
  });
});
