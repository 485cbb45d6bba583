import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeWindowConfig } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { type AggregateName, aggregateType } from "../../bindings/ts/type/aggregate.js";
import {
  bool,
  type DataType,
  dictionary,
  float64,
  int16,
  int32,
  int64,
  uint32,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import {
  ArgumentError,
  ClosedError,
  MemoryLimitError,
  MillraceError,
  OverflowError,
} from "../../bindings/ts/type/error.js";
import { valueName } from "../../twin/aggregate.js";
import type { Value } from "../../twin/values.js";
import type { TwinWindow } from "../../twin/window.js";
import { Type } from "../abi/layout.js";
import { AggregateFault, AggregateFunction, OperatorKind } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { WindowKind } from "../abi/window.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  multiset,
  type Query,
  rowsOf,
  slice,
  type Table,
  TYPES,
  valuesOf,
} from "./testing.js";
import { Retries } from "./testing-retries.js";
import {
  consolidated,
  expectedWindow,
  type History,
  type Outcome,
  openWindow,
  runWindow,
  timesOf,
  type WindowQuery,
  windowFields,
  windows,
} from "./testing-window.js";

const kernels = new Map<string, Kernel>();
beforeAll(async () => {
  for (const build of BUILDS) kernels.set(build, await Kernel.open({ build, budget: "512 MiB" }));
});

/** Rows of one window in an order of their own, windows in theirs. */
function comparable({ rows, ...rest }: Outcome) {
  const windowsOf = rows.map((row) => `${row[0]}..${row[1]}`);
  const inOrder = windowsOf.filter((name, i) => name !== windowsOf[i - 1]);
  return { ...rest, inOrder, rows: rows.map((row) => row.map(valueName).join(" | ")).sort() };
}

/** The last three columns of every query: the time, a filter and a where. */
function queryOf(
  types: readonly DataType[],
  keys: number,
  aggregates: readonly Aggregate[],
  where: boolean,
): Query {
  const all = [...types, int64, bool, bool];
  return {
    types: all,
    keys: types.map((_, i) => i).slice(0, keys),
    aggregates,
    where: where ? all.length - 1 : undefined,
  };
}

const cases = fc
  .record({
    types: fc.array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 3 }),
    keys: fc.integer({ min: 0, max: 2 }),
    rows: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 200 })),
    window: windows,
    bound: fc.option(fc.bigInt({ min: 0n, max: 20n }), { nil: undefined }),
    where: fc.boolean(),
    jitter: fc.constantFrom(0, 5, 30),
    sizes: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
    maxRows: fc.constantFrom(65536, 1, 7),
    restart: fc.constantFrom(1, 2, 3),
  })
  .chain(({ types, keys, rows, window, bound, where, jitter, sizes, maxRows, restart }) => {
    const column = (type: DataType) => fc.array(valuesOf(type), { minLength: rows, maxLength: rows });
    const time = types.length;
    const names = [
      ...["count", "countDistinct", "sum", "avg", "min", "max", "variance", "kurtosis"],
      ...["any", "boolOr", "median", "mode", "bitAnd", "bitXor"],
    ] as AggregateName[];
    const choices = types.flatMap((type, of) =>
      names.filter((name) => aggregateType(name, type) !== null).map((name) => ({ name, of })),
    );
    const aggregate = fc
      .record({
        choice: fc.constantFrom<{ name: Aggregate["name"]; of?: number }>({ name: "count" }, ...choices),
        filter: fc.option(fc.constant(time + 1), { nil: undefined, freq: 3 }),
      })
      .map(({ choice, filter }) => ({ ...choice, filter }));
    return fc
      .record({
        table: fc.tuple(...types.map(column), timesOf(rows, jitter), column(bool), column(bool)),
        aggregates: fc.array(aggregate, { minLength: keys === 0 ? 1 : 0, maxLength: 4 }),
        watermarks: fc.array(
          fc.record({ before: fc.integer({ min: 0, max: rows }), back: fc.bigInt({ min: -5n, max: 40n }) }),
          { maxLength: 3 },
        ),
      })
      .map(({ table, aggregates, watermarks }) => ({
        asked: { query: queryOf(types, keys, aggregates, where), time, window, bound } satisfies WindowQuery,
        history: { table, watermarks: placed(table[time]!, watermarks) } satisfies History,
        sizes,
        maxRows,
        restart,
      }));
  });

const changes = fc.record({
  lateness: fc.constantFrom(0n, 3n, 20n, 1000n),
  early: fc.constantFrom(0n, 1n, 7n, 50n),
});

/** Watermarks a little behind (or ahead of) the rows that they stand beside. */
function placed(times: readonly Value[], marks: readonly { before: number; back: bigint }[]) {
  return [...marks]
    .sort((a, b) => a.before - b.before)
    .map(({ before, back }) => ({ before, time: ((times[before] ?? times[0] ?? 0n) as bigint) - back }));
}

describe.each(BUILDS)("%s", (build) => {
  test("any windows over any rows are the twin's", { timeout: 60_000 }, () => {
    const kernel = kernels.get(build)!;
    fc.assert(
      fc.property(cases, ({ asked, history, sizes, maxRows, restart }) => {
        let outcome: Outcome;
        try {
          outcome = expectedWindow(asked, history);
        } catch (error) {
          expect(String(error)).toMatch(/does not fit/);
          expect(() => runWindow(kernel, asked, history)).toThrow(/overflows|digits/);
          return;
        }
        const wanted = comparable(outcome);
        expect(comparable(runWindow(kernel, asked, history, sizes, maxRows))).toEqual(wanted);
        expect(comparable(runWindow(kernel, asked, history))).toEqual(wanted);
        expect(comparable(runWindow(kernel, asked, history, sizes, maxRows, restart))).toEqual(wanted);
      }),
      { numRuns: build === "simd" ? 200 : 60 },
    );
  });

  test("what a changelog leaves is the twin's, also with late rows and early results", {
    timeout: 60_000,
  }, () => {
    const kernel = kernels.get(build)!;
    fc.assert(
      fc.property(cases, changes, ({ asked, history, sizes, maxRows, restart }, { lateness, early }) => {
        const changing = { ...asked, changes: { lateness, early } };
        let outcome: Outcome;
        try {
          outcome = expectedWindow(changing, history);
        } catch (error) {
          expect(String(error)).toMatch(/does not fit/);
          return;
        }
        const { rows, ...counts } = outcome;
        const wanted = rows.map((row) => row.map(valueName).join(" | ")).sort();
        for (const run of [
          () => runWindow(kernel, changing, history, sizes, maxRows),
          () => runWindow(kernel, changing, history),
          () => runWindow(kernel, changing, history, sizes, maxRows, restart),
        ]) {
          const { rows: changes, ...counted } = run();
          expect(consolidated(changes)).toEqual(wanted);
          expect(counted).toEqual(counts);
        }
      }),
      { numRuns: build === "simd" ? 200 : 60 },
    );
  });

  test("rows that partials set aside", { timeout: 60_000 }, () => {
    for (const window of [
      { kind: "tumble", length: 400n, offset: 0n },
      { kind: "hop", length: 900n, step: 200n, offset: 5n },
    ] as const) {
      const { asked, table } = stream(2000, window, 30n);
      const keys = table[1]!.map((_, row) => BigInt((row * 619) % 700));
      const aggregates: Aggregate[] = [{ name: "sum", of: 2 }, { name: "max", of: 1 }, { name: "count" }];
      const faults = AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT;
      const query = { ...asked, query: { ...asked.query, aggregates, keys: [1], faults } };
      const history = { table: [table[0]!, keys, table[2]!, table[3]!], watermarks: [] };
      const wanted = comparable(expectedWindow(query, history));
      for (const sizes of [[300], [50, 1, 700]]) {
        expect(comparable(runWindow(kernels.get(build)!, query, history, sizes))).toEqual(wanted);
      }
    }
  });

  test("a push that finds no memory changes nothing", { timeout: 60_000 }, () => {
    const kernel = kernels.get(build)!;
    withoutMemory(kernel, { kind: "tumble", length: 4n, offset: 1n }, undefined, [{ name: "sum", of: 2 }]);
    for (const window of [
      { kind: "hop", length: 30n, step: 7n, offset: 3n },
      { kind: "session", gap: 2n },
    ] as const) {
      withoutMemory(kernel, window);
      withoutMemory(kernel, window, { lateness: 10n, early: window.kind === "hop" ? 0n : 40n });
    }
  });

  test("rows scattered over many slices", { timeout: 60_000 }, () => {
    for (const window of [
      { kind: "tumble", length: 7n, offset: 0n },
      { kind: "hop", length: 70n, step: 12n, offset: 5n },
    ] as const) {
      const { asked, table } = stream(2500, window);
      const aggregates: Aggregate[] = [{ name: "sum", of: 2 }, { name: "max", of: 0 }, { name: "count" }];
      const query = { ...asked, query: { ...asked.query, aggregates } };
      const shuffled = table.map((column) => column.map((_, row) => column[(row * 1103) % 2500]!));
      const history = { table: shuffled, watermarks: [{ before: 1800, time: 300n }] };
      const wanted = comparable(expectedWindow(query, history));
      expect(comparable(runWindow(kernels.get(build)!, query, history, [900]))).toEqual(wanted);
      const whole = { table: shuffled, watermarks: [] };
      const all = comparable(expectedWindow(query, whole));
      for (const faults of [
        0,
        AggregateFault.NO_DIRECT,
        AggregateFault.NO_DIRECT | AggregateFault.SET_ASIDE,
      ]) {
        const faulty = { ...query, query: { ...query.query, faults } };
        for (const [size, maxRows] of [
          [900, 65536],
          [130, 11],
        ] as const)
          expect(comparable(runWindow(kernels.get(build)!, faulty, whole, [size], maxRows))).toEqual(all);
      }
      const keyless = { ...query, query: { ...query.query, keys: [], where: undefined } };
      expect(comparable(runWindow(kernels.get(build)!, keyless, whole, [700]))).toEqual(
        comparable(expectedWindow(keyless, whole)),
      );
    }
  });

  test("scattered rows leave no more bytes of texts together than asked for", () => {
    for (const faults of [0, AggregateFault.NO_DIRECT]) {
      const { asked, table } = stream(600, { kind: "tumble", length: 7n, offset: 0n });
      const aggregates: Aggregate[] = [{ name: "count" }];
      const texts = table[0]!.map((text, row) =>
        text === null ? null : `${text}${"x".repeat((row % 5) * 3)}`,
      );
      const types = [utf8, ...asked.query.types.slice(1)];
      const query = { ...asked, query: { ...asked.query, types, aggregates, faults } };
      const history = { table: [texts, ...table.slice(1)], watermarks: [] };
      const operator = openWindow(kernels.get(build)!, query);
      operator.push(batchOf(types, history.table));
      operator.watermark(END_OF_INPUT);
      const rows: Value[][] = [];
      for (let batch = operator.pull(65536, 20); batch !== null; batch = operator.pull(65536, 20)) {
        const some = rowsOf([batch]);
        const bytes = some.reduce((sum, row) => sum + Buffer.byteLength((row[2] as string | null) ?? ""), 0);
        expect(some.length === 1 || bytes <= 20).toBe(true);
        rows.push(...some);
      }
      operator.destroy();
      const empty = { late: [], partlyLate: 0, nullTimes: 0, backward: 0 };
      expect(comparable({ rows, ...empty })).toEqual(comparable(expectedWindow(query, history)));
    }
  });

  test("keys and slices that outgrow computed numbers", { timeout: 60_000 }, () => {
    const kernel = kernels.get(build)!;
    const { asked, table } = stream(3000, { kind: "tumble", length: 10n, offset: 0n });
    const aggregates: Aggregate[] = [{ name: "sum", of: 2 }, { name: "count" }];
    // First few keys and slices, then slices before and behind, then keys all over the place.
    const times = table[3]!.map((_, row) =>
      BigInt(((row * 37) % 400) * (row < 500 ? 1 : row % 2 === 0 ? 50 : -70)),
    );
    const keys = table[1]!.map((_, row) => BigInt(row < 1500 ? row % 3 : (row * 104729) % 100003));
    const query = { ...asked, query: { ...asked.query, aggregates, keys: [1] } };
    const history = { table: [table[0]!, keys, table[2]!, times], watermarks: [] };
    const wanted = comparable(expectedWindow(query, history));
    expect(comparable(runWindow(kernel, query, history, [250]))).toEqual(wanted);
    expect(comparable(runWindow(kernel, query, history))).toEqual(wanted);
  });

  test("slices of times near and far apart, at their edges", { timeout: 60_000 }, () => {
    const kernel = kernels.get(build)!;
    const length = fc.constantFrom(1n, 3n, 7n, 1000n, 86_400_000n, 2n ** 31n, 2n ** 50n + 1n, 2n ** 53n);
    const kind = fc.constantFrom("tumble", "hop", "halves", "cumulate");
    const near = fc.bigInt({ min: -2n, max: 2n });
    const place = fc.oneof(fc.bigInt({ min: 0n, max: 9n }), fc.bigInt({ min: 0n, max: 500n }));
    const around = fc.constantFrom(0n, 1n, -1n, 2n ** 20n, 2n ** 32n, -(2n ** 40n));
    const property = fc.property(
      length,
      kind,
      fc.bigInt({ min: -9n, max: 9n }),
      fc.array(fc.tuple(place, near), { minLength: 5, maxLength: 40 }),
      around,
      around,
      (length, kind, offset, places, first, other) => {
        const within = (slice: bigint) =>
          slice * length > 2n ** 61n || slice * length < -(2n ** 61n) ? 5n : slice;
        const times = places.map(
          ([slice, move], row) => (slice + within(row % 7 === 6 ? other : first)) * length + offset + move,
        );
        const step = kind === "hop" ? length : (length * 2n) / 3n + 1n;
        const window: TwinWindow =
          kind === "tumble"
            ? { kind, length, offset }
            : {
                kind: kind === "cumulate" ? kind : "hop",
                length,
                step: step > length ? length : step,
                offset,
              };
        const query = { types: [int64], keys: [], aggregates: [{ name: "count" as const }] };
        const asked = { query, time: 0, window };
        const history = { table: [times], watermarks: [] };
        const wanted = comparable(expectedWindow(asked, history));
        expect(comparable(runWindow(kernel, asked, history))).toEqual(wanted);
        expect(comparable(runWindow(kernel, asked, history, [9]))).toEqual(wanted);
      },
    );
    fc.assert(property, { numRuns: build === "simd" ? 150 : 60 });
  });

  test("vectors of times around where their upper halves change", { timeout: 60_000 }, () => {
    const kernel = kernels.get(build)!;
    const property = fc.property(
      fc.constantFrom(0n, 2n ** 32n, -(2n ** 32n), 2n ** 31n, -(2n ** 31n), 2n ** 61n),
      fc.constantFrom(10n, 500n, 2n ** 31n, 2n ** 32n + 3n, 2n ** 34n),
      fc.integer({ min: 120, max: 700 }),
      fc.bigInt({ min: 0n, max: 400n }),
      fc.array(fc.bigInt({ min: 0n, max: 300n }), { minLength: 1, maxLength: 17 }),
      (middle, spread, rows, bound, delays) => {
        const times = Array.from({ length: rows }, (_, row) => {
          const due = middle + (spread * BigInt(2 * row - rows)) / BigInt(2 * rows);
          return due - (spread * delays[row % delays.length]!) / 1000n;
        });
        const asked = {
          query: { types: [int64], keys: [], aggregates: [{ name: "count" as const }] },
          time: 0,
          window: { kind: "tumble", length: spread / 3n + 1n, offset: 0n },
          bound: (spread * bound) / 1000n,
        } as const;
        const history = { table: [times], watermarks: [] };
        const wanted = comparable(expectedWindow(asked, history));
        expect(comparable(runWindow(kernel, asked, history))).toEqual(wanted);
        expect(comparable(runWindow(kernel, asked, history, [190, 130]))).toEqual(wanted);
      },
    );
    fc.assert(property, { numRuns: build === "simd" ? 150 : 40 });
  });

  test("vectors of two slices next to each other, columns of every kind", { timeout: 60_000 }, () => {
    const kernel = kernels.get(build)!;
    const rows = 2600;
    const times = Array.from({ length: rows }, (_, row) => BigInt((row >> 1) + ((row * 7919) % 97)) - 40n);
    const passed = times.map((_, row) => row % 3 !== 1);
    for (const [index, type] of TYPES.entries()) {
      const pool = fc.sample(valuesOf(type), { numRuns: 61, seed: index });
      const values = times.map((_, row) => pool[(row * 31) % 61]!);
      const names = (["countDistinct", "min", "max", "any"] as const).filter((name) =>
        aggregateType(name, type),
      );
      const aggregates: Aggregate[] = [{ name: "count" }, ...names.map((name) => ({ name, of: 0 }))];
      const bound = index % 3 === 0 ? undefined : 100n - BigInt(index);
      for (const [keys, where] of [
        [1, false],
        [0, true],
      ] as const) {
        const query = queryOf([type], keys, aggregates, where);
        const asked = {
          query,
          time: 1,
          window: { kind: "tumble", length: 700n, offset: 3n },
          bound,
        } as const;
        const history = { table: [values, times, passed, passed], watermarks: [] };
        const wanted = comparable(expectedWindow(asked, history));
        expect(comparable(runWindow(kernel, asked, history))).toEqual(wanted);
        expect(comparable(runWindow(kernel, asked, history, [777]))).toEqual(wanted);
      }
    }
  });

  test.each(["before", "after"])("one time for all rows, written %s a filter", (place) => {
    const kernel = kernels.get(build)!;
    const rows = 2600;
    const query: Query = {
      types: [int64, int64, bool],
      keys: [],
      aggregates: [{ name: "count" }, { name: "sum", of: 1 }],
      where: 2,
    };
    const values = Array.from({ length: rows }, (_, row) => BigInt(row % 91));
    const passed = values.map((_, row) => row % 7 !== 3 && row < 2300);
    const table = [values.map(() => 1000n), values, passed];
    const window = { kind: "tumble", length: 90n, offset: 7n } as const;
    const wanted = expectedWindow({ query, time: 0, window }, { table, watermarks: [] });
    const program = new ProgramBuilder();
    const [, value, where] = [Type.I64, Type.I64, Type.BOOL].map((type) => program.column(type));
    const condition = program.load(where!);
    const literal = () => program.literal(Type.I64, 1000n);
    const early = place === "before" ? literal() : null;
    program.filter(condition);
    const [time, sum] = [early ?? literal(), program.load(value!)].map((register) =>
      program.output(register),
    );
    const operator = kernel.operator({
      kind: OperatorKind.WINDOW_AGGREGATE,
      config: encodeWindowConfig({
        ...window,
        kind: WindowKind.TUMBLE,
        time: time!,
        dropNullTime: true,
        keepLate: true,
        aggregate: {
          program: program.encode(),
          keys: [],
          aggregates: [
            { function: AggregateFunction.COUNT_ROWS },
            { function: AggregateFunction.SUM, argument: sum!, type: Type.I64 },
          ],
        },
      }),
      columns: [0, 1, 2],
      output: { fields: windowFields(query, false) },
      emitsPerPush: true,
    });
    operator.push(batchOf(query.types, table));
    operator.watermark(END_OF_INPUT);
    expect(multiset(rowsOf([operator.pull()!]))).toEqual(multiset(wanted.rows));
    operator.destroy();
  });

  test("very many sessions of one key, whatever the order", { timeout: 60_000 }, () => {
    const { asked, table } = stream(4000, { kind: "session", gap: 3n });
    const query = {
      ...asked.query,
      keys: [1],
      aggregates: [{ name: "count" }, { name: "min", of: 3 }] as Aggregate[],
    };
    const times = Array.from({ length: 4000 }, (_, row) => BigInt(((row * 2377) % 4001) * 3 - (row % 3)));
    const scattered = [table[0]!, table[1]!.map((_, row) => BigInt(row % 2)), table[2]!, times];
    const history = { table: scattered, watermarks: [{ before: 3000, time: 4000n }] };
    for (const lateness of [undefined, 300n]) {
      const changes = lateness === undefined ? undefined : { lateness, early: 0n };
      const wanted = expectedWindow({ ...asked, query, changes }, history);
      const given = runWindow(kernels.get(build)!, { ...asked, query, changes }, history, [700]);
      expect(given.late).toEqual(wanted.late);
      const rows = lateness === undefined ? given.rows.map((row) => [...row, 0n]) : given.rows;
      expect(consolidated(rows)).toEqual(wanted.rows.map((row) => row.map(valueName).join(" | ")).sort());
    }
  });

  describe("keys that are looked up at first, then computed", () => {
    const kinds = [
      [int32, -3000n, 5000],
      [int64, 2n ** 40n, 5000],
      [uint32, 2n ** 32n - 2600n, 2600],
      [int64, -(2n ** 62n), 4000],
    ] as const;
    // A few rows far apart choose the tier; then come many groups, and more slices.
    const sizes = [3, 3000, 700, 4000];
    const query: Query = {
      types: [int32, int64, float64, int64],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "count" },
        { name: "min", of: 1 },
        { name: "sum", of: 2 },
        { name: "count", of: 2 },
      ],
    };
    const tableOf = (low: bigint, range: number, nulls: boolean): Table => {
      const rows = Array.from({ length: 9000 }, (_, row) => row);
      return [
        rows.map((row) => (nulls && row % 50 === 7 ? null : low + BigInt((row * 1933) % range))),
        rows.map((row) => BigInt(row % 91) - 40n),
        rows.map((row) => (row % 6 === 1 ? null : row / 8)),
        rows.map((row) => BigInt(row - (row % 3))),
      ];
    };
    const tumbling: TwinWindow = { kind: "tumble", length: 6000n, offset: 0n };
    const hopping: TwinWindow = { kind: "hop", length: 6000n, step: 2000n, offset: 0n };

    test.each(kinds)("%o from %i", { timeout: 60_000 }, (type, low, range) => {
      const window = range === 5000 ? tumbling : hopping;
      const asked = { query: { ...query, types: [type, int64, float64, int64] }, time: 3, window, bound: 5n };
      const history = { table: tableOf(low, range, type === int64), watermarks: [] };
      const wanted = comparable(expectedWindow(asked, history));
      expect(comparable(runWindow(kernels.get(build)!, asked, history, sizes))).toEqual(wanted);
    });

    test("where memory does for it", { timeout: 60_000 }, () => {
      const kernel = kernels.get(build)!;
      const asked = { query, time: 3, window: tumbling, bound: 5n };
      const table = tableOf(-3000n, 5000, true);
      const wanted = comparable(expectedWindow(asked, { table, watermarks: [] }));
      const tiers = new Set<number>();
      let failed = 0;
      for (let nth = 0; nth < 40; nth += 3) {
        const operator = openWindow(kernel, asked);
        const rows: Value[][] = [];
        const drain = () => {
          for (let batch = operator.pull(); batch !== null; batch = operator.pull())
            rows.push(...rowsOf([batch]));
        };
        const run = () => {
          for (const [at, end] of [3, 3000, 6500, 9000].entries()) {
            const start = [0, 3, 3000, 6500][at]!;
            const push = () => operator.push(batchOf(query.types, slice(table, start, end)));
            kernel.failAllocation(start === 3 ? nth : 0);
            const refused = attempt(push) instanceof MemoryLimitError;
            kernel.failAllocation(0);
            if (refused) push();
            if (start === 3) tiers.add(operator.stats().keyTier);
            drain();
          }
          operator.watermark(END_OF_INPUT);
          drain();
        };
        // A sum that widens in the middle of a push fails the operator.
        if (attempt(run) instanceof ClosedError) failed++;
        else expect(comparable({ rows, late: [], partlyLate: 0, nullTimes: 0, backward: 0 })).toEqual(wanted);
        operator.destroy();
      }
      expect(failed).toBeLessThan(10);
      // Looked up where the attempt failed, computed elsewhere.
      expect([...tiers].sort()).toEqual([2, 3]);
    });
  });

  test("sessions of many keys", { timeout: 60_000 }, () => {
    const { asked, table } = stream(5000, { kind: "session", gap: 20n }, 12n);
    const types = [utf8, int32, float64, int64];
    const many = table.map((column, index) =>
      index > 1 ? column : column.map((_, row) => (index === 0 ? `key ${(row * 7919) % 1500}` : 0n)),
    );
    const history = { table: many, watermarks: [] };
    const query = { ...asked, query: { ...asked.query, types } };
    const wanted = comparable(expectedWindow(query, history));
    expect(wanted.rows.length).toBeGreaterThan(4000);
    expect(comparable(runWindow(kernels.get(build)!, query, history, [97]))).toEqual(wanted);
  });
});

/**
 * Runs a history with allocations that fail, each once. Sums that begin or widen in the middle of a push may fail the
 * operator, as ABI.md has it; whatever goes on must come to the same.
 */
function withoutMemory(
  kernel: Kernel,
  window: TwinWindow,
  changes?: WindowQuery["changes"],
  aggregates?: readonly Aggregate[],
): void {
  const { asked: plain, table } = stream(300, window, aggregates === undefined ? 5n : undefined);
  const query = { ...plain.query, aggregates: aggregates ?? plain.query.aggregates };
  const asked = { ...plain, query, changes };
  const outcomeOf = (outcome: Outcome) =>
    changes === undefined ? comparable(outcome) : { ...outcome, rows: consolidated(outcome.rows) };
  const expected = expectedWindow(asked, { table, watermarks: [] });
  const wanted =
    changes === undefined
      ? comparable(expected)
      : { ...expected, rows: expected.rows.map((row) => row.map(valueName).join(" | ")).sort() };
  const idle = kernel.blocks;
  const retries = new Retries(kernel);
  let failed = 0;
  for (let nth = 1; nth < 60; nth += 3) {
    const operator = openWindow(kernel, asked);
    const again = <T>(call: () => T): T => {
      kernel.failAllocation(nth);
      try {
        return retries.again(call);
      } finally {
        kernel.failAllocation(0);
      }
    };
    const outcome = attempt(() => runAgain(operator, asked, table, again));
    if (outcome instanceof ClosedError) failed++;
    else if (outcome instanceof Error) throw outcome;
    else expect(outcomeOf(outcome as Outcome)).toEqual(wanted);
    operator.destroy();
  }
  expect(retries.failures).toBeGreaterThan(10);
  expect(failed).toBeLessThan(10);
  expect(kernel.blocks).toBe(idle);
}

function runAgain(
  operator: Operator,
  asked: WindowQuery,
  table: Table,
  again: <T>(call: () => T) => T,
): Outcome {
  const rows: Value[][] = [];
  const late: number[] = [];
  const drain = () => {
    for (let batch = again(() => operator.pull()); batch !== null; batch = again(() => operator.pull()))
      rows.push(...rowsOf([batch]));
  };
  for (let start = 0; start < 300; start += 100) {
    again(() => operator.push(batchOf(asked.query.types, slice(table, start, start + 100))));
    for (const row of operator.late()) late.push(start + row);
    drain();
  }
  operator.watermark(END_OF_INPUT);
  drain();
  return { rows, late, partlyLate: operator.stats().partlyLateRows, nullTimes: 0, backward: 0 };
}

/** A stream of text and integer keys, one tick every few rows, a little out of order. */
function stream(rows: number, window: TwinWindow, bound?: bigint): { asked: WindowQuery; table: Table } {
  const types = [dictionary(utf8, int16), int32, float64, int64];
  const each = <T>(make: (row: number) => T) => Array.from({ length: rows }, (_, row) => make(row));
  return {
    asked: {
      query: {
        types,
        keys: [0, 1],
        aggregates: [
          { name: "sum", of: 2 },
          { name: "countDistinct", of: 0 },
          { name: "max", of: 0 },
          { name: "count" },
        ],
      },
      time: 3,
      window,
      bound,
    },
    table: [
      each((row) => ["a", "bb", null, "ä"][row % 4]!),
      each((row) => BigInt(row % 3)),
      each((row) => row / 8),
      each((row) => BigInt(row >> 1) - BigInt((row * 7) % 9)),
    ],
  };
}

describe("a windowed aggregation", () => {
  const tumble: TwinWindow = { kind: "tumble", length: 10n, offset: 0n };
  const lone = (window: TwinWindow, bound?: bigint): WindowQuery => ({
    query: { types: [int64], keys: [], aggregates: [{ name: "count" }] },
    time: 0,
    window,
    bound,
  });
  const push = (asked: WindowQuery, ...times: (bigint | null)[]) => {
    const operator = openWindow(kernels.get("simd")!, asked);
    operator.push(batchOf([int64], [times]));
    return operator;
  };

  test("closes when the watermark reaches the last tick, not before", () => {
    const operator = push(lone(tumble), 3n, 12n);
    expect(operator.watermark(8n)).toBe(Status.NEED_INPUT);
    expect(operator.watermark(9n)).toBe(Status.HAS_MORE);
    expect(() => operator.push(batchOf([int64], [[13n]]))).toThrow("output waiting");
    expect(rowsOf([operator.pull()!])).toEqual([[0n, 10n, 1n]]);
    expect(operator.pull()).toBeNull();
    operator.push(batchOf([int64], [[9n, 10n]]));
    expect([...operator.late()]).toEqual([0]);
    expect(rowsOf(operator.finish())).toEqual([[10n, 20n, 2n]]);
    operator.destroy();
  });

  test("joins sessions that a row bridges, and rows exactly a gap apart", () => {
    const operator = openWindow(kernels.get("simd")!, {
      query: {
        types: [int64, utf8],
        keys: [1],
        aggregates: [{ name: "count" }, { name: "countDistinct", of: 0 }],
      },
      time: 0,
      window: { kind: "session", gap: 10n },
    });
    const push = (...times: bigint[]) => operator.push(batchOf([int64, utf8], [times, times.map(() => "a")]));
    push(0n, 10n, 21n, 40n);
    expect(operator.stats().openWindows).toBe(3);
    push(15n, 0n);
    expect(operator.stats().openWindows).toBe(2);
    expect(operator.watermark(30n)).toBe(Status.NEED_INPUT);
    // Late by itself, but an open session takes it.
    push(12n);
    expect(operator.watermark(31n)).toBe(Status.HAS_MORE);
    expect(rowsOf([operator.pull()!])).toEqual([[0n, 31n, "a", 6n, 5n]]);
    expect(operator.pull()).toBeNull();
    push(21n, 22n, 31n);
    expect([...operator.late()]).toEqual([0]);
    expect(rowsOf(operator.finish())).toEqual([[22n, 50n, "a", 3n, 3n]]);
    operator.destroy();
  });

  test("counts rows behind the watermark that sessions begin with, whatever the batches", () => {
    const query: Query = { types: [int64], keys: [], aggregates: [{ name: "count" }] };
    const asked: WindowQuery = { query, time: 0, window: { kind: "session", gap: 13n }, bound: 7n };
    const history = { table: [[20n, 5n, 5n, 6n, 4n]], watermarks: [] };
    for (const sizes of [[5], [1], [2]]) {
      const { partlyLate, late } = runWindow(kernels.get("simd")!, asked, history, sizes);
      expect({ partlyLate, late }).toEqual({ partlyLate: 3, late: [] });
    }
    expect(expectedWindow(asked, history).partlyLate).toBe(3);
  });

  test("sessions that have left give their memory back", { timeout: 60_000 }, () => {
    const asked = stream(0, { kind: "session", gap: 5n }, 0n).asked;
    const operator = openWindow(kernels.get("simd")!, asked);
    const used: number[] = [];
    for (let at = 0; at < 60; at++) {
      const each = <T>(make: (row: number) => T) => Array.from({ length: 1000 }, (_, row) => make(row));
      const table = [
        each((row) => `key ${at * 1000 + row}`),
        each((row) => BigInt(row % 3)),
        each((row) => row / 8),
        each((row) => BigInt(at * 1000 + row)),
      ];
      for (const _ of operator.process(batchOf(asked.query.types, table)));
      expect(operator.stats().openWindows).toBeLessThan(20);
      used.push(operator.stats().stateBytes);
    }
    expect(Math.max(...used.slice(30))).toBeLessThanOrEqual(Math.max(...used.slice(0, 30)));
    operator.destroy();
  });

  test("counts watermarks that go backwards", () => {
    const operator = push(lone(tumble), 3n);
    operator.watermark(5n);
    operator.watermark(4n);
    operator.watermark(5n);
    expect(operator.stats()).toMatchObject({
      watermark: 5n,
      backwardWatermarks: 1,
      openWindows: 1,
      lateRows: 0,
    });
    operator.destroy();
  });

  test("has no watermark before there is one", () => {
    const operator = push(lone(tumble), 3n);
    expect(operator.stats().watermark).toBeNull();
    operator.destroy();
  });

  test("refuses times whose windows do not fit 64 bits, with the row", () => {
    for (const time of [2n ** 63n - 1n, 2n ** 63n - 14n, -(2n ** 63n), -(2n ** 63n) + 12n]) {
      for (const window of [
        tumble,
        { ...tumble, kind: "hop", step: 4n },
        { ...tumble, kind: "cumulate", step: 4n },
      ] as const) {
        const operator = openWindow(kernels.get("simd")!, { ...lone(window), nullTime: "error" });
        const error = attempt(() => operator.push(batchOf([int64], [[1n, time]])));
        expect(error).toBeInstanceOf(OverflowError);
        expect(error).toMatchObject({ row: 1, value: time });
        operator.destroy();
      }
    }
    const sessions = lone({ kind: "session", gap: 10n });
    const error = attempt(() => push({ ...sessions, nullTime: "error" }, 1n, 2n ** 63n - 10n));
    expect(error).toMatchObject({ row: 1, value: 2n ** 63n - 10n });
    for (const time of [2n ** 63n - 1n, -(2n ** 63n)])
      expect(rowsOf(push(lone({ kind: "global" }), time).finish())).toHaveLength(1);
    for (const time of [2n ** 63n - 21n, -(2n ** 63n) + 20n]) {
      const hop = lone({ kind: "hop", length: 10n, step: 3n, offset: 2n }, 0n);
      const history = { table: [[time]], watermarks: [] };
      expect(comparable(runWindow(kernels.get("simd")!, hop, history))).toEqual(
        comparable(expectedWindow(hop, history)),
      );
    }
  });

  test("drops and counts them where null times are dropped, though time goes on with them", () => {
    const far = 2n ** 63n - 5n;
    const windows: TwinWindow[] = [
      tumble,
      { kind: "hop", length: 10n, step: 4n, offset: 0n },
      { kind: "cumulate", length: 10n, step: 4n, offset: 0n },
      { kind: "session", gap: 10n },
    ];
    for (const window of windows) {
      // Their slice may be known from a time that fits.
      const known = push({ ...lone(window), nullTime: undefined }, far - 20n, far, null, far - 20n, far);
      expect(known.stats()).toMatchObject({ nullTimes: 3, lateRows: 0 });
      known.destroy();
      const bounded = push(lone(window, 3n), 5n, far, 6n);
      expect(bounded.stats()).toMatchObject({ nullTimes: 1, lateRows: 1, watermark: far - 4n });
      bounded.destroy();
    }
    const early = push(lone(tumble), -(2n ** 63n), -(2n ** 63n) + 12n, 3n);
    expect(rowsOf(early.finish())).toEqual([[0n, 10n, 1n]]);
    early.destroy();
  });

  test("each allocation of pushes that add windows to computed groups fails in turn", () => {
    const kernel = kernels.get("simd")!;
    const query: Query = {
      types: [int32, int64, int64],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }, { name: "count" }],
    };
    // More windows with every push, keys that begin to scatter, and too many of both in the end.
    const pieces = [
      [100, 20, 30],
      [300, 900, 30],
      [300, 9000, 200],
      [700, 90_000, 40_000],
    ] as const;
    let time = 0;
    const batches = pieces.map(([rows, span, keys]) => {
      const at = Array.from({ length: rows }, (_, row) => Math.imul(row + time + 1, 2654435761) >>> 0);
      const table = [
        at.map((value) => BigInt((value >>> 5) % keys)),
        at.map((value) => BigInt(value % 1000)),
        at.map((value) => BigInt(time + (value % span))),
      ];
      time += span;
      return batchOf(query.types, table);
    });
    const asked: WindowQuery = {
      query,
      time: 2,
      window: { kind: "tumble", length: 10n, offset: 0n },
      bound: 200_000n,
    };
    let refused = 0;
    const tell = () => {
      const operator = openWindow(kernel, asked);
      try {
        for (const batch of batches) {
          try {
            operator.push(batch);
          } catch (error) {
            expect(error).toBeInstanceOf(MemoryLimitError);
            refused++;
            operator.push(batch);
          }
        }
        kernel.failAllocation(0);
        return rowsOf(operator.finish())
          .map((row) => row.join())
          .sort();
      } finally {
        kernel.failAllocation(0);
        operator.destroy();
      }
    };
    const wanted = tell();
    for (let nth = 1, idle = 0; idle < 4; nth += 3) {
      const before = refused;
      let rows: string[] | null = null;
      kernel.failAllocation(nth);
      try {
        rows = tell();
      } catch (error) {
        expect(error).toBeInstanceOf(MillraceError);
        expect((error as MillraceError).code).not.toBe("KERNEL_TRAP");
        idle = 0;
        continue;
      }
      expect([nth, rows]).toEqual([nth, wanted]);
      idle = refused === before ? idle + 1 : 0;
    }
    expect(refused).toBeGreaterThan(5);
  });

  test("refuses a null time where they are not dropped", () => {
    const operator = openWindow(kernels.get("simd")!, { ...lone(tumble), nullTime: "error" });
    const error = attempt(() => operator.push(batchOf([int64], [[1n, 2n, null]])));
    expect(error).toBeInstanceOf(ArgumentError);
    expect(error).toMatchObject({ row: 2 });
    operator.destroy();
  });

  test("refuses lengths, steps and bounds that make no sense", () => {
    const refused: [TwinWindow, bigint?][] = [
      [{ kind: "tumble", length: 0n, offset: 0n }],
      [{ kind: "tumble", length: -5n, offset: 0n }],
      [{ kind: "tumble", length: 2n ** 61n, offset: 0n }],
      [{ kind: "hop", length: 10n, step: 11n, offset: 0n }],
      [{ kind: "hop", length: 10n, step: 0n, offset: 0n }],
      [{ kind: "cumulate", length: 10n, step: -1n, offset: 0n }],
      [{ kind: "session", gap: 0n }],
      [tumble, -2n],
      [tumble, 2n ** 61n],
    ];
    for (const [window, bound] of refused)
      expect(() => openWindow(kernels.get("simd")!, lone(window, bound))).toThrow(
        "configuration is malformed",
      );
  });

  describe("rows that are filtered out move time, too", () => {
    /** Counts, and sums of the time's second output, in windows of 10 over the first column; a filter is the second. */
    const openFiltered = (length: bigint) => {
      const program = new ProgramBuilder();
      const [at, passes] = [program.column(Type.I64), program.column(Type.BOOL)];
      program.filter(program.load(passes));
      const time = program.load(at);
      for (let output = 0; output < 2; output++) program.output(time);
      const config = encodeWindowConfig({
        kind: WindowKind.TUMBLE,
        time: 0,
        length,
        bound: 0n,
        allTimes: true,
        aggregate: {
          program: program.encode(),
          keys: [],
          aggregates: [
            { function: AggregateFunction.COUNT_ROWS },
            { function: AggregateFunction.SUM, argument: 1, type: Type.I64 },
          ],
        },
      });
      const fields = ["window_start", "window_end", "count", "sum"].map((name) => ({
        name,
        type: int64,
        nullable: true,
      }));
      return kernels.get("simd")!.operator({
        kind: OperatorKind.WINDOW_AGGREGATE,
        config,
        columns: [0, 1],
        output: { fields },
        emitsPerPush: true,
      });
    };
    const results = (
      operator: Operator,
      times: readonly bigint[],
      passes: readonly boolean[],
      size: number,
    ) => {
      const rows: Value[][] = [];
      for (let start = 0; start < times.length; start += size) {
        const table = [times.slice(start, start + size), passes.slice(start, start + size)];
        rows.push(...rowsOf(operator.process(batchOf([int64, bool], table))));
      }
      rows.push(...rowsOf(operator.finish()));
      operator.destroy();
      return rows;
    };

    test("a time that is an output twice", () => {
      const times = Array.from({ length: 9000 }, (_, row) => BigInt(row));
      const passes = times.map((_, row) => row % 3 !== 1);
      const wanted = [0n, 3000n, 6000n].map((start) => {
        const own = times.filter((time, row) => passes[row] && time >= start && time < start + 3000n);
        return [start, start + 3000n, BigInt(own.length), own.reduce((sum, time) => sum + time, 0n)];
      });
      expect(results(openFiltered(3000n), times, passes, 4500)).toEqual(wanted);
    });

    test("past all times that are taken", () => {
      const [first, last] = [-(2n ** 63n), 2n ** 63n - 2n];
      // One slice, and two: the last row would close them, or be before all, and comes after all others.
      for (const [dropped, ...times] of [
        [last, 3n, 4n, 5n],
        [last, 3n, 14n, 13n],
        [first, 3n, 4n, 5n],
        [first, 3n, 14n, 13n],
      ] as [bigint, ...bigint[]][]) {
        const counts = new Map<bigint, bigint[]>();
        for (const time of times) {
          const start = time - (time % 10n);
          counts.set(start, [...(counts.get(start) ?? []), time]);
        }
        const wanted = [...counts].map(([start, own]) => [
          start,
          start + 10n,
          BigInt(own.length),
          own.reduce((sum, time) => sum + time, 0n),
        ]);
        const operator = openFiltered(10n);
        const passes = [...times.map(() => true), false];
        expect(results(operator, [...times, dropped], passes, 10)).toEqual(wanted);
      }
    });
  });

  test("times at the very beginning, in more slices than are counted from there", () => {
    const lowest = -(2n ** 63n) + 2n;
    const asked = lone({ kind: "tumble", length: 1n, offset: 0n });
    const history = { table: [[lowest, lowest + 3n, lowest, lowest + 1n]], watermarks: [] };
    expect(comparable(runWindow(kernels.get("simd")!, asked, history))).toEqual(
      comparable(expectedWindow(asked, history)),
    );
  });

  test("keys whose numbers are not computed, however many come", () => {
    const rows = Array.from({ length: 4600 }, (_, row) => row);
    const near = rows.map((row) => (row < 3 ? BigInt(row) * 900_000n : BigInt((row * 1933) % 5000)));
    const far = rows.map((row) => BigInt(row) * 2n ** 40n);
    const times = rows.map((row) => BigInt(row));
    const sum: Aggregate = { name: "sum", of: 2 };
    const cases: [Table[number], readonly number[], readonly Aggregate[], WindowQuery["changes"]?][] = [
      [far, [0], [sum]],
      [near, [0, 1], [sum]],
      [near, [0], [sum, { name: "countDistinct", of: 2 }]],
      [near, [0], [sum], { lateness: 5n, early: 0n }],
    ];
    for (const [keys, by, aggregates, changes] of cases) {
      const query: Query = { types: [int64, int64, int64, int64], keys: by, aggregates };
      const window: TwinWindow = { kind: "tumble", length: 10_000n, offset: 0n };
      const asked: WindowQuery = { query, time: 3, window, bound: 5n, changes };
      const history = { table: [keys, far, times.map((time) => time % 7n), times], watermarks: [] };
      const given = runWindow(kernels.get("simd")!, asked, history, [3, 2000, 700, 1900]);
      const wanted = comparable(expectedWindow(asked, history)).rows;
      if (changes === undefined) expect(comparable(given).rows).toEqual(wanted);
      else expect(consolidated(given.rows)).toEqual(wanted);
    }
  });

  test("a sum past 64 bits among scattered rows fails the pull", () => {
    const query: Query = { types: [int64, int64], keys: [], aggregates: [{ name: "sum", of: 0 }] };
    const operator = openWindow(kernels.get("simd")!, { query, time: 1, window: tumble });
    const times = Array.from({ length: 60 }, (_, row) => BigInt((row * 37) % 400));
    operator.push(batchOf([int64, int64], [times.map(() => 2n ** 62n), times]));
    operator.watermark(END_OF_INPUT);
    expect(() => operator.pull()).toThrow(OverflowError);
    expect(() => operator.pull()).toThrow(ClosedError);
    operator.destroy();
  });

  test("sessions refuse null times, and those whose end does not fit 64 bits, with the row", () => {
    const session = lone({ kind: "session", gap: 10n });
    for (const [times, type] of [
      [[1n, 2n, null], ArgumentError],
      [[1n, 2n, 2n ** 63n - 11n], OverflowError],
    ] as const) {
      const operator = openWindow(kernels.get("simd")!, { ...session, nullTime: "error" });
      const error = attempt(() => operator.push(batchOf([int64], [times])));
      expect(error).toBeInstanceOf(type);
      expect(error).toMatchObject({ row: 2 });
      operator.destroy();
    }
  });

  test("a window that is half read is counted, and given back", () => {
    const kernel = kernels.get("simd")!;
    const idle = [kernel.usedBytes, kernel.blocks];
    const { asked, table } = stream(60, { kind: "hop", length: 20n, step: 10n, offset: 0n }, 2n);
    const operator = openWindow(kernel, asked);
    operator.push(batchOf(asked.query.types, table));
    operator.watermark(END_OF_INPUT);
    // The first window has one slice, whose sums are its result.
    while ((rowsOf([operator.pull(1)!])[0]![0] as bigint) < 0n);
    const { stateBytes } = operator.stats();
    expect(stateBytes).toBeGreaterThan(0);
    expect(stateBytes).toBeLessThanOrEqual(kernel.usedBytes - idle[0]!);
    operator.destroy();
    expect([kernel.usedBytes, kernel.blocks]).toEqual(idle);
  });

  test("corrections that wait are counted, and leave in batches of few bytes", () => {
    const { asked, table } = stream(200, { kind: "tumble", length: 5n, offset: 0n }, 3n);
    const aggregates: Aggregate[] = [{ name: "count" }, { name: "max", of: 0 }];
    const changing = {
      ...asked,
      query: { ...asked.query, aggregates, keys: [1] },
      changes: { lateness: 1000n, early: 0n },
    };
    const operator = openWindow(kernels.get("simd")!, changing);
    const rows: Value[][] = [];
    const drain = () => {
      for (let batch = operator.pull(4000, 1); batch !== null; batch = operator.pull(4000, 1)) {
        const some = rowsOf([batch]);
        // A text, or what it was and what it is.
        expect(some.filter((row) => row[4] !== null).length).toBeLessThanOrEqual(2);
        rows.push(...some);
      }
    };
    const late = table.map((column) => column.slice(0, 100));
    operator.push(batchOf(asked.query.types, table));
    drain();
    const { stateBytes } = operator.stats();
    operator.push(batchOf(asked.query.types, late));
    const waiting = operator.stats().stateBytes;
    expect(waiting).toBeGreaterThan(stateBytes);
    drain();
    expect(operator.stats().stateBytes).toBeLessThan(waiting);
    operator.watermark(END_OF_INPUT);
    drain();
    operator.destroy();
    const history = { table: table.map((column, at) => [...column, ...late[at]!]), watermarks: [] };
    expect(consolidated(rows)).toEqual(comparable(expectedWindow(changing, history)).rows);
  });

  test("very many sessions leave early, and in batches of few bytes", () => {
    const query: Query = { types: [utf8, int64], keys: [0], aggregates: [{ name: "count" }] };
    const asked: WindowQuery = {
      query,
      time: 1,
      window: { kind: "session", gap: 100n },
      bound: 0n,
      changes: { lateness: 0n, early: 10n },
    };
    const operator = openWindow(kernels.get("simd")!, asked);
    const keys = Array.from({ length: 17_000 }, (_, row) => `${10_000 + row}`);
    operator.push(batchOf(query.types, [keys, keys.map((_, row) => BigInt(row >> 10))]));
    const rows: Value[][] = [];
    for (let batch = operator.pull(65536, 500); batch !== null; batch = operator.pull(65536, 500)) {
      expect(batch.length).toBeLessThanOrEqual(100);
      rows.push(...rowsOf([batch]));
    }
    operator.destroy();
    expect(rows.map((row) => row[2]).sort()).toEqual(keys);
    expect(rows.every((row) => row[3] === 1n && row[4] === 0n)).toBe(true);
  });

  test("a push that memory will not do for leaves rows that were set aside where they are", async () => {
    const kernel = await Kernel.open({ build: "simd", budget: "12 MiB" });
    const query: Query = {
      types: [utf8, int64, int64],
      keys: [0, 1],
      aggregates: [{ name: "sum", of: 1 }],
      faults: AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT,
    };
    const asked = { query, time: 2, window: { kind: "tumble", length: 1000n, offset: 0n } } as const;
    const rows = Array.from({ length: 30 }, (_, row) => row);
    const table = [rows.map((row) => `key ${row % 9}`), rows.map(BigInt), rows.map(BigInt)];
    const huge = [rows.map((row) => `${row}`.repeat(130_000)), rows.map(BigInt), rows.map(BigInt)];
    let refused = 0;
    const operator = openWindow(kernel, asked);
    for (let nth = 1; nth < 60; nth++) {
      operator.push(batchOf(query.types, table));
      kernel.failAllocation((nth | 0x8000_0000) >>> 0);
      expect(() => operator.push(batchOf(query.types, huge))).toThrow(MemoryLimitError);
      kernel.failAllocation(0);
      refused++;
    }
    const wide = Array.from({ length: refused }, () => 0);
    const history = { table: table.map((column) => wide.flatMap((): Value[] => column)), watermarks: [] };
    expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expectedWindow(asked, history).rows));
    operator.destroy();
    kernel.close();
  });

  test("a month of event time holds what its open windows need", { timeout: 60_000 }, () => {
    const kernel = kernels.get("simd")!;
    const minute = 60_000n;
    const { asked } = stream(0, { kind: "hop", length: 60n * minute, step: 5n * minute, offset: 0n }, minute);
    const operator = openWindow(kernel, asked);
    const [used, rows] = [[] as number[], 60];
    let time = 1_700_000_000_000n;
    for (let day = 0; day < 30; day++) {
      for (let hour = 0; hour < 24; hour++) {
        const each = <T>(make: (row: number) => T) => Array.from({ length: rows }, (_, row) => make(row));
        const table = [
          each((row) => `key ${day * 50 + (row % 50)}`),
          each((row) => BigInt(row % 3)),
          each((row) => row / 8),
          each((row) => time + (BigInt(row) * 60n * minute) / BigInt(rows)),
        ];
        for (const _ of operator.process(batchOf(asked.query.types, table)));
        time += 60n * minute;
      }
      const { stateBytes, openWindows } = operator.stats();
      expect(openWindows).toBeLessThanOrEqual(14);
      used.push(stateBytes);
    }
    expect(used[29]!).toBeLessThan(used[1]! * 1.2);
    operator.destroy();
  });

  test("very many open windows give results or an error", { timeout: 60_000 }, async () => {
    const kernel = await Kernel.open({ build: "simd", budget: "64 MiB" });
    const operator = openWindow(kernel, lone({ kind: "tumble", length: 1n, offset: 0n }));
    const run = () => {
      for (let at = 0; at < 1_000_000; at += 50_000)
        operator.push(batchOf([int64], [Array.from({ length: 50_000 }, (_, row) => BigInt((at + row) * 2))]));
    };
    expect(attempt(run)).toBeInstanceOf(MemoryLimitError);
    operator.destroy();
    kernel.close();
  });
});

function attempt(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return error;
  }
}
