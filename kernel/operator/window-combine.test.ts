// Windows of rows that were dealt out, brought together: the results of one operator over all rows, to the bit.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Stage } from "../../bindings/ts/kernel/input.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { dictionary, float64, int16, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import { ClosedError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import { BUILDS, batchOf, rowsOf, type Table } from "./testing.js";
import { LASTING, Retries, SMALL_TOO } from "./testing-retries.js";
import { expectedWindow, openWindow, runWindow, type WindowQuery, windows } from "./testing-window.js";

const TYPES = [dictionary(utf8, int16), int32, float64, int64];

function asking(window: WindowQuery["window"], keys: readonly number[], isSimple: boolean): WindowQuery {
  const counted = { name: "count" } as const;
  const sets = [
    { name: "countDistinct", of: 0 },
    { name: "median", of: 2 },
  ] as const;
  const aggregates = [
    { name: "sum", of: 2 } as const,
    { name: "max", of: 0 } as const,
    counted,
    ...(isSimple ? [] : sets),
  ];
  return { query: { types: TYPES, keys, aggregates }, time: 3, window };
}

/** Rows with times in [0, span), in no order or in order. */
function tableOf(rows: number, span: number, inOrder: boolean): Table {
  const mixed = Array.from({ length: rows }, (_, row) => Math.imul(row + 1, 0x9e3779b1) >>> 0);
  return [
    mixed.map((word) => (word % 11 === 0 ? null : `text ${word % 7}`)),
    mixed.map((word) => BigInt((word >>> 5) % 5)),
    mixed.map((word) => (word % 13 === 0 ? null : (word - 2 ** 31) * 10 ** ((word % 40) - 20))),
    mixed.map((word, row) =>
      word % 97 === 0 ? null : BigInt(inOrder ? Math.floor((row * span) / rows) : word % span),
    ),
  ];
}

/** The same in order, but that rows are behind by up to a fifth of all time. */
function laggingTable(rows: number, span: number): Table {
  const table = tableOf(rows, span, true);
  const times = table[3]!.map((time, row) =>
    time === null ? null : (time as bigint) - BigInt(Math.imul(row, 7919) % Math.max(1, span / 5)),
  );
  return [...table.slice(0, 3), times];
}

/** Operators that have had the rows, dealt out, a few at a time. */
function dealt(kernel: Kernel, asked: WindowQuery, table: Table, deal: readonly number[], size: number) {
  return Array.from({ length: Math.max(...deal) + 1 }, (_, which) => {
    const mine = table.map((column) => column.filter((_, row) => deal[row % deal.length] === which));
    const operator = openWindow(kernel, asked);
    for (let start = 0; start < mine[0]!.length; start += size)
      operator.push(
        batchOf(
          TYPES,
          mine.map((column) => column.slice(start, start + size)),
        ),
      );
    return operator;
  });
}

interface Mark {
  readonly before: number;
  readonly time: bigint;
}

/** Runs a history as several workers do: all are told each watermark, and brought together when windows close. */
function runDealt(
  kernel: Kernel,
  asked: WindowQuery,
  { table, watermarks }: { readonly table: Table; readonly watermarks: readonly Mark[] },
  deal: readonly number[],
) {
  const operators = Array.from({ length: Math.max(...deal) + 1 }, () => openWindow(kernel, asked));
  const [first, ...others] = operators as [Operator, ...Operator[]];
  const rows: Value[][] = [];
  let start = 0;
  for (const { before, time } of [...watermarks, { before: table[0]!.length, time: null }]) {
    for (const [which, operator] of operators.entries()) {
      const mine = table.map((column) =>
        column.slice(start, before).filter((_, row) => deal[row % deal.length] === which),
      );
      operator.push(batchOf(TYPES, mine));
    }
    start = before;
    const due = time === null || operators.filter((operator) => operator.watermark(time) !== 0).length > 0;
    if (!due) continue;
    for (const other of others) for (const _ of first.absorb(other));
    for (let batch = first.pull(50); batch !== null; batch = first.pull(50)) rows.push(...rowsOf([batch]));
  }
  const { lateRows, partlyLateRows, nullTimes, rowsIn } = first.stats();
  for (const other of others) other.destroy();
  return { rows: [...rows, ...ended(first)], lateRows, partlyLateRows, nullTimes, rowsIn };
}

/** Runs rows as several workers do where one operator keeps the time: it takes what closes windows itself. */
function runPassing(kernel: Kernel, asked: WindowQuery, table: Table, deal: readonly number[], size: number) {
  const operators = Array.from({ length: Math.max(...deal) + 1 }, () => openWindow(kernel, asked));
  const [first, ...others] = operators as [Operator, ...Operator[]];
  const stage = new Stage(kernel);
  const rows: Value[][] = [];
  for (let start = 0, piece = 0; start < table[0]!.length; start += size, piece++) {
    const data = batchOf(
      TYPES,
      table.map((column) => column.slice(start, start + size)),
    );
    const address = stage.describe(stage.batch(data), first.columns, 0, data.length, start);
    const before = first.watermarkTime;
    if (first.passes(address, data.schema, start)) {
      operators[deal[piece % deal.length]!]!.pushDescribed(address, data.schema, start);
      continue;
    }
    expect(first.watermarkTime).toBe(before);
    for (const other of others) for (const _ of first.absorb(other));
    first.pushDescribed(address, data.schema, start);
    for (let batch = first.pull(50); batch !== null; batch = first.pull(50)) rows.push(...rowsOf([batch]));
    for (const other of others) if (first.watermarkTime !== null) other.watermark(first.watermarkTime);
  }
  for (const other of others) for (const _ of first.absorb(other));
  const { lateRows, partlyLateRows, nullTimes, rowsIn } = first.stats();
  for (const other of others) other.destroy();
  stage.free();
  return { rows: [...rows, ...ended(first)], lateRows, partlyLateRows, nullTimes, rowsIn };
}

function ended(operator: Operator): Value[][] {
  operator.watermark(END_OF_INPUT);
  const rows: Value[][] = [];
  for (let batch = operator.pull(50); batch !== null; batch = operator.pull(50))
    rows.push(...rowsOf([batch]));
  operator.destroy();
  return rows;
}

const names = (rows: readonly Value[][]) => rows.map((row) => row.map(valueName).join(" | ")).sort();

const cases = fc.record({
  window: windows.filter(({ kind }) => kind !== "session"),
  keys: fc.constantFrom([], [0], [1], [0, 1], [2]),
  isSimple: fc.boolean(),
  rows: fc.constantFrom(0, 3, 300),
  span: fc.constantFrom(20, 2000, 100_000),
  inOrder: fc.boolean(),
  deal: fc.array(fc.nat(3), { minLength: 1, maxLength: 9 }),
  size: fc.constantFrom(7, 90, 300),
});

describe.each(BUILDS)("windows brought together, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const blocks = kernel.blocks;
  afterAll(() => expect(kernel.blocks).toBe(blocks));

  test("any windows, keys and ways to deal rows out: as one operator", () => {
    fc.assert(
      fc.property(cases, ({ window, keys, isSimple, rows, span, inOrder, deal, size }) => {
        const asked = asking(window, keys, isSimple);
        const table = tableOf(rows, span, inOrder);
        const alone = runWindow(kernel, asked, { table, watermarks: [] }, [size]);
        const [first, ...others] = dealt(kernel, asked, table, deal, size) as [Operator, ...Operator[]];
        expect(first.combines()).toBe(true);
        for (const other of others) {
          for (const _ of first.absorb(other));
          expect(other.stats()).toMatchObject({ rowsIn: 0, groups: 0, openWindows: 0, nullTimes: 0 });
          expect(other.pull()).toBeNull();
          other.destroy();
        }
        const { nullTimes, rowsIn } = first.stats();
        expect([nullTimes, rowsIn]).toEqual([alone.nullTimes, rows]);
        expect(names(ended(first))).toEqual(names(alone.rows));
      }),
      { numRuns: 60 },
    );
  });

  test("a stream dealt out, brought together whenever windows close: as one operator, late rows too", () => {
    fc.assert(
      fc.property(cases, fc.nat(4000), ({ window, keys, isSimple, rows, span, deal, size }, bound) => {
        const asked = asking(window, keys, isSimple);
        const history = { table: laggingTable(rows, span), watermarks: [] as Mark[] };
        for (let before = size; before < rows; before += size)
          history.watermarks.push({ before, time: BigInt(Math.floor((before * span) / rows) - bound) });
        const alone = runWindow(kernel, asked, history, [size]);
        const together = runDealt(kernel, asked, history, deal);
        expect(names(together.rows)).toEqual(names(alone.rows));
        const { lateRows, partlyLateRows, nullTimes, rowsIn } = together;
        expect([lateRows, partlyLateRows]).toEqual([alone.late.length, alone.partlyLate]);
        expect([nullTimes, rowsIn]).toEqual([alone.nullTimes, rows]);
      }),
      { numRuns: 150 },
    );
  });

  test("one that keeps the time by its rows is shown what others take: as one operator", () => {
    fc.assert(
      fc.property(cases, fc.nat(4000), ({ window, keys, isSimple, rows, span, deal, size }, bound) => {
        const asked = { ...asking(window, keys, isSimple), bound: BigInt(bound) };
        const table = laggingTable(rows, span);
        const alone = runWindow(kernel, asked, { table, watermarks: [] }, [size]);
        const together = runPassing(kernel, asked, table, deal, size);
        expect(names(together.rows)).toEqual(names(alone.rows));
        const { lateRows, partlyLateRows, nullTimes, rowsIn } = together;
        expect([lateRows, partlyLateRows]).toEqual([alone.late.length, alone.partlyLate]);
        expect([nullTimes, rowsIn]).toEqual([alone.nullTimes, rows]);
      }),
      { numRuns: 150 },
    );
  });

  test("memory that ends in the middle: the call is made again", () => {
    const asked = asking({ kind: "hop", length: 300n, step: 70n, offset: 0n }, [0, 1], true);
    let refused = 0;
    for (const span of [500, 50_000]) {
      const table = tableOf(600, span, false);
      const alone = runWindow(kernel, asked, { table, watermarks: [] });
      const [first, second] = dealt(kernel, asked, table, [0, 1, 1], 90) as [Operator, Operator];
      for (let nth = 1; ; nth++) {
        kernel.failAllocation(nth);
        try {
          for (const _ of first.absorb(second));
          break;
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          refused++;
        } finally {
          kernel.failAllocation(0);
        }
      }
      second.destroy();
      expect(names(ended(first))).toEqual(names(alone.rows));
    }
    expect(refused).toBeGreaterThan(5);
  });

  test("more groups than a call goes through: nothing else comes between", () => {
    const asked = asking({ kind: "tumble", length: 1_000_000n, offset: 0n }, [1], true);
    const [first, second, third] = [0, 1, 2].map(() => openWindow(kernel, asked)) as [
      Operator,
      Operator,
      Operator,
    ];
    const half = Array.from({ length: 35_000 }, (_, row) => row);
    for (const start of [0, 35_000]) {
      const numbers = half.map((row) => BigInt(start + row));
      second.push(batchOf(TYPES, [half.map(() => "text"), numbers, half, numbers]));
    }
    const calls = first.absorb(second);
    expect(calls.next().done).toBe(false);
    expect(() => [...first.absorb(third)]).toThrow(/read it before/);
    for (const _ of calls);
    for (const _ of first.absorb(third));
    expect(first.stats()).toMatchObject({ groups: 70_000, rowsIn: 70_000 });
    for (const operator of [first, second, third]) operator.destroy();
  });

  test("sessions, results that change and windows that have left already are refused", () => {
    const tumbling = { kind: "tumble", length: 10n, offset: 0n } as const;
    const table = tableOf(50, 100, true);
    for (const asked of [
      asking({ kind: "session", gap: 5n }, [0], true),
      { ...asking(tumbling, [0], true), changes: { lateness: 5n, early: 0n } },
    ]) {
      const operator = openWindow(kernel, asked);
      expect(operator.combines()).toBe(false);
      operator.destroy();
    }
    const [first, second] = dealt(kernel, asking(tumbling, [0], true), table, [0, 1], 50) as [
      Operator,
      Operator,
    ];
    const other = openWindow(kernel, asking(tumbling, [1], true));
    expect(() => [...first.absorb(other)]).toThrow();
    expect(() => [...first.absorb(first)]).toThrow();
    first.watermark(20n);
    while (first.pull() !== null);
    expect(() => [...first.absorb(second)]).toThrow(/ended|watermark|no more rows|closed/i);
    expect(() => [...second.absorb(first)]).toThrow();
    // Later rows than those of windows that have left.
    const third = openWindow(kernel, asking(tumbling, [0], true));
    third.watermark(20n);
    third.push(
      batchOf(
        TYPES,
        table.map((column) => column.slice(30)),
      ),
    );
    for (const _ of first.absorb(third));
    expect(first.stats()).toMatchObject({ rowsIn: 45 });
    third.destroy();
    for (const operator of [first, second, other]) operator.destroy();
  });

  test("memory that ends where sums outgrow their lanes as they come together fails the operator, or is asked for again", () => {
    const types = [int64, int64, int64];
    const asked: WindowQuery = {
      query: { types, keys: [0], aggregates: [{ name: "sum", of: 1 }] },
      time: 2,
      window: { kind: "tumble", length: 1_000_000n, offset: 0n },
    };
    const rows = Array.from({ length: 3072 }, (_, row) => BigInt(row));
    // Three quarters of a lane, and as many groups as are added at once: another quarter.
    const own = [rows.map(() => 5n), rows.map(() => 2n ** 50n), rows];
    const few = rows.slice(0, 2048);
    const brought = [few, few.map(() => 2n ** 49n), few];
    const whole = own.map((column, at) => [...column, ...brought[at]!]);
    const wanted = names(expectedWindow(asked, { table: whole, watermarks: [] }).rows);
    let failed = 0;
    for (let nth = 1; nth < 24; nth++) {
      for (const lasts of [LASTING, 0]) {
        const [first, second] = [own, brought].map((table) => {
          const operator = openWindow(kernel, asked);
          operator.push(batchOf(types, table));
          return operator;
        }) as [Operator, Operator];
        kernel.failAllocation((nth | SMALL_TOO | lasts) >>> 0);
        const retries = new Retries(kernel);
        try {
          retries.again(() => [...first.absorb(second)]);
          kernel.failAllocation(0);
          expect([nth, names(ended(first))]).toEqual([nth, wanted]);
        } catch (error) {
          expect(error).toBeInstanceOf(ClosedError);
          kernel.failAllocation(0);
          first.destroy();
          failed++;
        }
        second.destroy();
      }
    }
    expect(failed).toBeGreaterThan(0);
  });
});
