import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { StateBatch } from "../../bindings/ts/kernel/state.js";
import { dictionary, float64, int16, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import {
  ArgumentError,
  ClosedError,
  CorruptStateError,
  MillraceError,
} from "../../bindings/ts/type/error.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import { batchOf, pulled, rowsOf, slice, type Table } from "./testing.js";
import { attempt, damaged } from "./testing-state.js";
import {
  consolidated,
  expectedWindow,
  openWindow,
  restarted,
  runWindow,
  type WindowQuery,
} from "./testing-window.js";

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open({ build: "simd", budget: "256 MiB" });
});
afterAll(() => kernel.close());

const ROWS = 240;
const table: Table = [
  Array.from({ length: ROWS }, (_, row) => ["a", "bb", null, "ä"][row % 4]!),
  Array.from({ length: ROWS }, (_, row) => BigInt(row % 3)),
  Array.from({ length: ROWS }, (_, row) => row / 8),
  Array.from({ length: ROWS }, (_, row) => BigInt(row) - BigInt((row * 7) % 23)),
];

function asking(parts: Partial<WindowQuery>): WindowQuery {
  return {
    query: {
      types: [dictionary(utf8, int16), int32, float64, int64],
      keys: [0, 1],
      aggregates: [
        { name: "sum", of: 2 },
        { name: "countDistinct", of: 0 },
        { name: "max", of: 0 },
        { name: "median", of: 2 },
        { name: "count" },
      ],
    },
    time: 3,
    window: { kind: "hop", length: 30n, step: 7n, offset: 3n },
    bound: 5n,
    ...parts,
  };
}

/** Two stacks, late rows and results that change: parts of every role. */
const everyRole = asking({ changes: { lateness: 12n, early: 0n } });
const early = asking({
  window: { kind: "cumulate", length: 40n, step: 6n, offset: 0n },
  changes: { lateness: 5n, early: 9n },
});

function drain(operator: Operator): Value[][] {
  const rows: Value[][] = [];
  rows.push(...rowsOf(pulled(operator)));
  return rows;
}

function pushed(asked: WindowQuery, operator: Operator, start: number, end: number): Value[][] {
  operator.push(batchOf(asked.query.types, slice(table, start, end)));
  return drain(operator);
}

function ended(operator: Operator): Value[][] {
  operator.watermark(END_OF_INPUT);
  const rows = drain(operator);
  operator.destroy();
  return rows;
}

const names = (rows: readonly Value[][]) => rows.map((row) => row.map(valueName).join(" | ")).sort();

/** An operator that has had half of the rows. */
function half(asked: WindowQuery): { operator: Operator; before: Value[][] } {
  const operator = openWindow(kernel, asked);
  return { operator, before: pushed(asked, operator, 0, ROWS / 2) };
}

function statesOf(asked: WindowQuery, rows = 7): StateBatch[] {
  const { operator } = half(asked);
  const states = [...operator.snapshot(rows)];
  operator.destroy();
  return states;
}

const cells = (batches: readonly StateBatch[], section: number) =>
  batches.filter((batch) => batch.section === section).flatMap((batch) => rowsOf([batch]));

describe("the state of windows", () => {
  test("names slices and windows by their bounds, oldest first", () => {
    const parts = cells(statesOf(everyRole), 1);
    const roles = parts.map((row) => Number(row[3]));
    expect(new Set(roles)).toEqual(new Set([0, 1, 2, 3, 4]));
    const slices = parts.filter((row) => Number(row[3]) < 3).map((row) => row[0] as bigint);
    expect(slices).toEqual([...slices].sort((a, b) => Number(a - b)));
    // 30 = 4 x 7 + 2: slices of 2 and 5 ticks.
    for (const row of parts.filter((row) => Number(row[3]) < 3))
      expect([2n, 5n]).toContain((row[1] as bigint) - (row[0] as bigint));
    for (const row of parts.filter((row) => row[3] === 4n))
      expect((row[1] as bigint) - (row[0] as bigint)).toBe(30n);
    expect(parts.filter((row) => row[3] === 3n)).toHaveLength(1);
  });

  test("of windows without rows is a header", () => {
    const operator = openWindow(kernel, everyRole);
    operator.watermark(17n);
    const states = [...operator.snapshot()];
    expect(states.map(({ section }) => section)).toEqual([0]);
    operator.destroy();
    const next = openWindow(kernel, everyRole);
    for (const state of states) next.merge(state);
    expect(next.stats().watermark).toBe(17n);
    next.destroy();
  });

  test("is the same after it was restored", () => {
    for (const asked of [everyRole, early, asking({}), asking({ window: { kind: "global" } })]) {
      const states = statesOf(asked, 1000);
      const operator = openWindow(kernel, asked);
      for (const state of states) operator.merge(state);
      const sorted = (batches: readonly StateBatch[]) => batches.map((batch) => names(rowsOf([batch])));
      expect(sorted([...operator.snapshot(1000)])).toEqual(sorted(states));
      operator.destroy();
    }
  });

  test("goes on where scattered rows wait", () => {
    for (const faults of [0, AggregateFault.NO_DIRECT, AggregateFault.NO_DIRECT | AggregateFault.SET_ASIDE]) {
      const { query } = asking({});
      const asked = asking({
        query: {
          ...query,
          faults,
          aggregates: [{ name: "sum", of: 2 }, { name: "max", of: 0 }, { name: "count" }],
        },
        window: { kind: "tumble", length: 1n, offset: 0n },
        bound: undefined,
      });
      const mixed = table.map((column) => column.map((_, row) => column[(row * 103) % ROWS]!));
      const history = { table: mixed, watermarks: [] };
      const wanted = names(expectedWindow(asked, history).rows);
      expect(names(runWindow(kernel, asked, history, [60], 65536, 1).rows)).toEqual(wanted);
    }
  });

  test("takes no memory for each part that it takes for one", () => {
    const lone = asking({ window: { kind: "tumble", length: 2n, offset: 0n }, bound: undefined });
    const operator = openWindow(kernel, lone);
    pushed(lone, operator, 0, ROWS);
    const { stateBytes, openWindows } = operator.stats();
    expect(openWindows).toBeGreaterThan(100);
    const next = restarted(kernel, lone, operator, 65536);
    expect(next.stats().stateBytes).toBeLessThan(stateBytes * 1.5);
    next.destroy();
  });

  test("can be read again after it was left half read", () => {
    const { operator } = half(everyRole);
    const whole = [...operator.snapshot(3)];
    for (let batches = 1; batches < whole.length; batches += 11) {
      let read = 0;
      for (const _ of operator.snapshot(3)) if (++read === batches) break;
      expect([...operator.snapshot(3)]).toEqual(whole);
    }
    operator.destroy();
  });

  test("each allocation fails in turn, and changes nothing or can only be destroyed", {
    timeout: 60_000,
  }, () => {
    for (const asked of [everyRole, early]) {
      const wanted = names(expectedWindow(asked, { table, watermarks: [] }).rows);
      const idle = [kernel.usedBytes, kernel.blocks];
      for (const nth of [...Array(20).keys()].map((step) => 1 + step * 7)) {
        const { operator, before } = half(asked);
        kernel.failAllocation(nth);
        const states = attempt(() => [...operator.snapshot(7)]);
        kernel.failAllocation(0);
        const again = [...operator.snapshot(7)];
        if (states !== null) expect(again).toEqual(states);
        const after = [...pushed(asked, operator, ROWS / 2, ROWS), ...ended(operator)];
        expect(consolidated([...before, ...after])).toEqual(wanted);
        const next = openWindow(kernel, asked);
        kernel.failAllocation(nth);
        const merged = attempt(() => again.map((state) => next.merge(state)));
        kernel.failAllocation(0);
        if (merged === null) next.destroy();
        else {
          const rest = [...pushed(asked, next, ROWS / 2, ROWS), ...ended(next)];
          expect(consolidated([...before, ...rest])).toEqual(wanted);
        }
        expect([kernel.usedBytes, kernel.blocks]).toEqual(idle);
      }
    }
  });

  test("damaged bytes never trap, and never go on for ever", { timeout: 60_000 }, () => {
    const idle = kernel.blocks;
    for (const asked of [everyRole, early, asking({})]) {
      const states = statesOf(asked);
      const places = fc.record({
        batch: fc.oneof(fc.constantFrom(0, 1, 2), fc.nat(states.length - 1)),
        column: fc.nat(20),
        part: fc.constantFrom("values" as const, "values" as const, "offsets" as const, "validity" as const),
        at: fc.nat(),
        bit: fc.nat(7),
      });
      fc.assert(
        fc.property(fc.array(places, { minLength: 1, maxLength: 2 }), (damages) => {
          const operator = openWindow(kernel, asked);
          try {
            attempt(() => {
              states.forEach((state, index) => {
                const here = damages.filter(({ batch }) => batch === index);
                operator.merge(here.reduce((batch, one) => damaged(batch, one), state));
              });
              let pulls = 0;
              const pull = () => {
                for (let more = true; more; ) {
                  ({ more } = operator.tryPull(11));
                  if (++pulls > 2000) throw new Error("results without end");
                }
              };
              operator.push(batchOf(asked.query.types, slice(table, ROWS / 2, ROWS)));
              pull();
              operator.watermark(END_OF_INPUT);
              pull();
            });
          } finally {
            operator.destroy();
          }
        }),
        { numRuns: 120 },
      );
    }
    expect(kernel.blocks).toBe(idle);
  });

  test("impossible parts are refused before anything is made of them", () => {
    const states = statesOf(everyRole, 1000);
    const list = states.findIndex(({ section }) => section === 1);
    const parts = cells(states, 1);
    const [back, sum, result] = [1n, 3n, 4n].map((role) => parts.findIndex((row) => row[3] === role));
    const refused = (column: number, row: number, value: bigint) => {
      const batch = states[list]!;
      const data = batch.columns[column]!;
      const values = data.values.slice();
      const view = new DataView(values.buffer);
      if (column === 3) view.setUint32(row * 4, Number(value), true);
      else view.setBigInt64(row * 8, value, true);
      const columns = batch.columns.map((one, at) => (at === column ? { ...data, values } : one));
      const operator = openWindow(kernel, everyRole);
      for (const state of states.slice(0, list)) operator.merge(state);
      expect(() => operator.merge({ ...batch, columns })).toThrow(CorruptStateError);
      operator.destroy();
    };
    refused(3, 0, 5n);
    const again = openWindow(kernel, everyRole);
    for (const state of states.slice(0, list + 1)) again.merge(state);
    expect(() => again.merge(states[list]!)).toThrow(CorruptStateError);
    again.destroy();
    // In the back, without a sum; twice the sum; a slice after it.
    refused(3, sum!, 0n);
    refused(3, result!, 3n);
    refused(3, parts.length - 1, 0n);
    // Bounds that are no slice's, slices out of order, and such as no time is in.
    refused(0, back!, (parts[back!]![0] as bigint) + 1n);
    refused(1, back!, (parts[back!]![1] as bigint) + 1n);
    refused(0, 0, 2n ** 63n - 1n);
    refused(0, 0, -(2n ** 63n));
    // Windows that the slice is not part of, or that have left.
    refused(2, 0, 2n ** 62n);
    refused(2, 0, -5n);
    // Bounds of a result, and of the sum.
    refused(0, result!, (parts[result!]![0] as bigint) + 1n);
    refused(2, result!, -(2n ** 63n));
    refused(1, sum!, (parts[sum!]![1] as bigint) + 70n);
  });

  test("that has anything to give is refused, and what has come of it is counted", () => {
    const states = statesOf(everyRole);
    const operator = openWindow(kernel, everyRole);
    const idle = operator.stats().stateBytes;
    // The watermark of the header.
    const columns = states[0]!.columns.map((data, column) => {
      if (column !== 6) return data;
      const values = data.values.slice();
      new DataView(values.buffer).setBigInt64(0, 10_000n, true);
      return { ...data, values };
    });
    for (const state of [{ ...states[0]!, columns }, ...states.slice(1, -1)]) operator.merge(state);
    expect(operator.stats().stateBytes).toBeGreaterThan(idle);
    expect(() => operator.merge(states.at(-1)!)).toThrow(CorruptStateError);
    expect(() => operator.pull()).toThrow(ClosedError);
    operator.destroy();
  });

  test("is refused by other windows, by other operators, and by windows that have had rows", () => {
    const states = statesOf(everyRole);
    const refuses = (asked: WindowQuery) => {
      const operator = openWindow(kernel, asked);
      expect(() => operator.merge(states[0]!)).toThrow(CorruptStateError);
      operator.destroy();
    };
    refuses({ ...everyRole, bound: 6n });
    refuses({ ...everyRole, window: { kind: "hop", length: 30n, step: 7n, offset: 4n } });
    refuses({ ...everyRole, changes: { lateness: 13n, early: 0n } });
    refuses({ ...everyRole, query: { ...everyRole.query, keys: [1, 0] } });
    refuses({ ...everyRole, nullTime: "error" });

    for (const begin of [
      (operator: Operator) => operator.push(batchOf(everyRole.query.types, slice(table, 0, 1))),
      (operator: Operator) => operator.watermark(-1000n),
    ]) {
      const operator = openWindow(kernel, everyRole);
      begin(operator);
      expect(() => operator.merge(states[0]!)).toThrow(ArgumentError);
      operator.destroy();
    }
  });

  test("is not that of windows that have ended, nor of sessions; a merge that is open takes nothing else", () => {
    const { operator } = half(everyRole);
    operator.watermark(END_OF_INPUT);
    expect(() => [...operator.snapshot()]).toThrow(/open|wait|pull/);
    drain(operator);
    expect(() => [...operator.snapshot()]).toThrow(MillraceError);
    operator.destroy();

    const session = openWindow(kernel, asking({ window: { kind: "session", gap: 3n } }));
    expect(() => [...session.snapshot()]).toThrow(MillraceError);
    session.destroy();

    const states = statesOf(everyRole);
    for (const until of [1, 2, 4, states.length - 1]) {
      const next = openWindow(kernel, everyRole);
      for (const state of states.slice(0, until)) next.merge(state);
      expect(() => pushed(everyRole, next, 0, 1)).toThrow(MillraceError);
      expect(() => next.watermark(5n)).toThrow(MillraceError);
      expect(() => next.pull()).toThrow(MillraceError);
      next.release();
      expect(() => next.merge(states[until]!)).toThrow(ClosedError);
      next.destroy();
    }
  });
});
