// Times cut down to a unit as keys: the direct tier by steps, and the ways out of it, against the twin.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import * as types from "../../bindings/ts/type/data-type.js";
import type { Value } from "../../twin/values.js";
import { Opcode, TimePart } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { AggregateFault } from "../abi/operator.js";
import {
  aggregateSpec,
  BUILDS,
  batchOf,
  expected,
  multiset,
  pushAll,
  type Query,
  resultFields,
  rowsOf,
  slice,
  type Table,
} from "../operator/testing.js";

const DIRECT = 2;
const HASH = 3;
const RUNS = 200;
const I64_MIN = -(2n ** 63n);
const I64_MAX = 2n ** 63n - 1n;
const DAY = { s: 86_400n, ms: 86_400_000n, us: 86_400_000_000n, ns: 86_400_000_000_000n };
const PER_DAY = {
  [TimePart.DAY]: 1n,
  [TimePart.HOUR]: 24n,
  [TimePart.MINUTE]: 1440n,
  [TimePart.SECOND]: 86_400n,
};
type Cut = keyof typeof PER_DAY;

/** What a key is cut down to. */
interface Unit {
  readonly part: Cut;
  readonly perDay: bigint;
}

const stepOf = ({ part, perDay }: Unit) => perDay / PER_DAY[part];
const cut = (ticks: bigint, step: bigint) => ticks - (((ticks % step) + step) % step);

const QUERY: Query = {
  types: [types.int64, types.int64],
  keys: [0],
  aggregates: [{ name: "sum", of: 1 }, { name: "count" }],
};
/** Nothing counts rows: which groups have some is told by a byte each. */
const UNCOUNTED: Query = { ...QUERY, aggregates: [{ name: "max", of: 1 }] };

/** As `open` does, but the first column is cut down first. */
function openCut(kernel: Kernel, query: Query, { part, perDay }: Unit): Operator {
  const program = new ProgramBuilder();
  const { keys: _, aggregates, ...rest } = aggregateSpec(program, query);
  const time = program.load(0);
  const key = program.output(
    program.emit(Opcode.TIME_TRUNCATE, Type.I64, { a: time, arg0: part, immediate: perDay }),
  );
  return kernel.hashAggregate({
    ...rest,
    aggregates,
    keys: [{ output: key, type: Type.I64 }],
    program: program.encode(),
    columns: [0, 1],
    output: { fields: resultFields(query) },
  });
}

const wanted = (query: Query, unit: Unit, [times, values]: Table) => {
  const step = stepOf(unit);
  const keys = times!.map((time) => (time === null ? null : cut(time as bigint, step)));
  return multiset(expected(query, [keys, values!]));
};

const units: fc.Arbitrary<Unit> = fc.record({
  part: fc.constantFrom<Cut[]>(TimePart.DAY, TimePart.HOUR, TimePart.MINUTE, TimePart.SECOND),
  perDay: fc.constantFrom(...Object.values(DAY)),
});

/** Times that lie some steps from a place anywhere among the numbers of 64 bits, and now and then elsewhere. */
const cases = units.chain((unit) => {
  const step = stepOf(unit);
  // Cutting down must not leave the numbers there are.
  const clamp = (time: bigint) => (time < I64_MIN + step ? I64_MIN + step : time > I64_MAX ? I64_MAX : time);
  const place = fc.oneof(
    fc.bigInt({ min: -1000n * unit.perDay, max: 20_000n * unit.perDay }),
    fc.bigInt({ min: I64_MIN, max: I64_MAX }),
    fc.constantFrom(I64_MIN, I64_MAX, 0n, -1n),
  );
  const near = (steps: bigint) => fc.bigInt({ min: -steps * step, max: steps * step });
  return fc
    .record({
      unit: fc.constant(unit),
      base: place.map(clamp),
      offsets: fc.array(
        fc.oneof(
          { weight: 30, arbitrary: near(40n) },
          { weight: 5, arbitrary: near(3000n) },
          { weight: 1, arbitrary: near(100_000n) },
          { weight: 1, arbitrary: fc.bigInt({ min: I64_MIN, max: I64_MAX }) },
          { weight: 3, arbitrary: fc.constant(null) },
        ),
        { maxLength: 120 },
      ),
      ordered: fc.boolean(),
      sizes: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 6 }),
      count: fc.boolean(),
      faults: fc.constantFrom(AggregateFault.NONE, AggregateFault.NONE, AggregateFault.NO_DIRECT),
    })
    .map(({ base, offsets, ordered, ...rest }) => {
      const times = offsets.map((offset) => (offset === null ? null : clamp(base + offset)));
      if (ordered) times.sort((a, b) => (a === null || b === null ? 0 : a < b ? -1 : a > b ? 1 : 0));
      const table: Table = [times, times.map((_, row): Value => BigInt(row))];
      return { table, ...rest };
    });
});

describe.each(BUILDS)("keys in steps, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("agree with the twin wherever times lie, whatever comes after the first ones", () => {
    fc.assert(
      fc.property(cases, ({ unit, table, sizes, count, faults }) => {
        const query = { ...(count ? QUERY : UNCOUNTED), faults };
        const operator = openCut(kernel, query, unit);
        pushAll(operator, query, table, sizes);
        const { groups } = operator.stats();
        const rows = rowsOf(operator.finish(sizes[0]));
        operator.destroy();
        expect(multiset(rows)).toEqual(wanted(query, unit, table));
        expect(groups).toBe(rows.length);
      }),
      { numRuns: RUNS * 2 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("are saved, combined, divided and told as changes like others", () => {
    fc.assert(
      fc.property(cases, fc.nat({ max: 120 }), ({ unit, table, count, faults }, at) => {
        const query = { ...(count ? QUERY : UNCOUNTED), faults };
        const length = table[0]!.length;
        const parts = [slice(table, 0, Math.min(at, length)), slice(table, Math.min(at, length), length)];
        const filled = () =>
          parts.map((part) => {
            const operator = openCut(kernel, query, unit);
            pushAll(operator, query, part);
            return operator;
          });
        const all = wanted(query, unit, table);

        const [first, second] = filled();
        const merged = openCut(kernel, query, unit);
        for (const operator of [first!, second!])
          for (const state of operator.snapshot(7)) merged.merge(state);
        expect(multiset(rowsOf(merged.finish()))).toEqual(all);
        for (const _ of first!.absorb(second!)) expect(_).toBeUndefined();
        expect(multiset(rowsOf(first!.finish()))).toEqual(all);

        const [third, fourth] = filled();
        const apart = openCut(kernel, query, unit);
        for (const operator of [third!, fourth!]) {
          operator.divide(256);
          for (let part = 0; part < 256; part++) apart.combinePart(operator, part);
        }
        expect(multiset(rowsOf(apart.finish()))).toEqual(all);

        const changes = openCut(kernel, { ...query, changelog: true }, unit);
        const left = new Map<string, number>();
        for (const part of parts) {
          changes.push(batchOf(query.types, part));
          for (let batch = changes.pull(5); batch !== null; batch = changes.pull(5)) {
            for (const row of rowsOf([batch])) {
              const kind = row.pop();
              const [name] = multiset([row]);
              left.set(name!, (left.get(name!) ?? 0) + (kind === 0n || kind === 2n ? 1 : -1));
            }
          }
        }
        const told = [...left].flatMap(([name, times]) => Array<string>(times).fill(name));
        expect(told.sort()).toEqual(all);
        for (const operator of [first!, second!, merged, third!, fourth!, apart, changes]) operator.destroy();
      }),
      { numRuns: RUNS / 4 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  const seconds: Unit = { part: TimePart.SECOND, perDay: DAY.us };
  const second = stepOf(seconds);
  const START = 1_605_052_800n * second;
  const filledWith = (times: readonly (bigint | null)[], sizes: readonly number[] = []) => {
    const table: Table = [times, times.map((): Value => 1n)];
    const operator = openCut(kernel, QUERY, seconds);
    pushAll(operator, QUERY, table, sizes);
    const { keyTier, stateBytes } = operator.stats();
    expect(multiset(rowsOf(operator.finish()))).toEqual(wanted(QUERY, seconds, table));
    operator.destroy();
    return { keyTier, stateBytes };
  };
  const timesAt = (...seconds: number[]) => seconds.map((at) => START + BigInt(Math.round(at * 1e6)));
  const inOrder = (count: number, every: number) =>
    timesAt(...Array.from({ length: count }, (_, row) => row * every));

  test("stay direct while a day goes by, whatever the batches", () => {
    const day = inOrder(86_400, 1);
    const morsels = Array<number>(30).fill(3000);
    expect(filledWith(day, morsels).keyTier).toBe(DIRECT);
    const small = inOrder(3000, 0.4);
    expect(filledWith(small, Array<number>(3000).fill(1)).keyTier).toBe(DIRECT);
    // A hundred seconds late, and one that has no time.
    const late = [...small, ...timesAt(-100, -1, 1199), null];
    expect(filledWith(late, [1000, 1000]).keyTier).toBe(DIRECT);
  });

  test("leave for the hash table when a time comes before the base, or rows do not keep pace", () => {
    const some = inOrder(3000, 0.4);
    expect(filledWith([...some, ...timesAt(-5000)], [1000, 1000]).keyTier).toBe(HASH);
    expect(filledWith([...some, ...timesAt(100_000)], [1000, 1000]).keyTier).toBe(HASH);
    // Each jump is within reach, but all together are too many groups for so few rows.
    const jumps = timesAt(...Array.from({ length: 12 }, (_, at) => at * 10_000));
    const { keyTier, stateBytes } = filledWith(jumps, Array<number>(12).fill(1));
    expect(keyTier).toBe(HASH);
    expect(stateBytes).toBeLessThan(8e6);
  });

  test("null keys alone, before times and after them", () => {
    const none = Array<null>(20).fill(null);
    filledWith(none);
    filledWith([...none, ...inOrder(50, 1)], [20]);
    expect(filledWith([...inOrder(50, 1), ...none, ...inOrder(60, 1)], [50, 20]).keyTier).toBe(DIRECT);
  });
});
