// Joins that follow changes against their twin: the changes that leave, taken together, are the join of the rows that
// are left of both sides; where corrections are asked for, after every push.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import {
  bool,
  type DataType,
  decimal,
  dictionary,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { ArgumentError, RetractionError } from "../../bindings/ts/type/error.js";
import { consolidate, fingerprint } from "../../test/testing-result.js";
import type { Value } from "../../twin/values.js";
import { BUILDS, batchOf, rowsOf, slice, type Table, valuesOf } from "./testing.js";
import { expectedJoin, type Feed, feedsOf, HOWS, type JoinQuery, openJoin, runJoin } from "./testing-join.js";
import { Retries } from "./testing-retries.js";

const TYPES: readonly DataType[] = [
  int32,
  int64,
  utf8,
  float64,
  float32,
  bool,
  decimal(30, 2),
  dictionary(utf8, int16),
];
const END = 2n ** 63n - 1n;

interface Case {
  readonly query: JoinQuery;
  readonly tables: readonly [Table, Table];
  readonly feeds: readonly Feed[];
  readonly maxRows: number;
}

const numberOr = (value: Value, key: number): Value => (typeof value === "bigint" ? BigInt(key) : value);

/** Few keys and few rows, of which some come once too often and are taken back, perhaps before they come. */
const cases = (inOrder: boolean): fc.Arbitrary<Case> =>
  fc
    .record({
      keys: fc.array(fc.constantFrom(...TYPES), { maxLength: 2 }),
      payload: fc.tuple(
        fc.array(fc.constantFrom(...TYPES), { maxLength: 2 }),
        fc.array(fc.constantFrom(...TYPES), { maxLength: 2 }),
      ),
      changes: fc.tuple(fc.boolean(), fc.boolean()),
    })
    .chain(({ keys, payload, changes }) => {
      const columns = [0, 1].map((side) => [...keys, int64, ...payload[side as 0 | 1]]);
      const types = columns.map((own, side) => (changes[side] ? [...own, int8] : own));
      const side = (own: readonly DataType[]) =>
        fc.array(
          fc.record({
            row: fc.tuple(...own.map((type) => valuesOf(type))),
            like: fc.nat(5),
            extra: fc.boolean(),
            update: fc.boolean(),
            came: fc.nat(40),
            went: fc.nat(40),
          }),
          { maxLength: 24 },
        );
      return fc
        .record({
          left: side(columns[0]!),
          right: side(columns[1]!),
          feeds: feedsOf,
          maxRows: fc.constantFrom(1, 3, 65536),
          how: fc.constantFrom(...HOWS),
          corrects: fc.boolean(),
          nullsEqual: fc.boolean(),
          kept: fc.boolean(),
          residual: fc.option(fc.constant([keys.length, keys.length] as const), { nil: undefined, freq: 2 }),
          faults: fc.oneof(fc.constant(0), fc.constantFrom(1, 4, 5, 8)),
        })
        .map(({ left, right, feeds, maxRows, ...options }): Case => {
          // Rows are like one of the first ones, so that some are equal, and keys of both sides meet.
          const heads = left.slice(0, 6).map(({ row }) => row.slice(0, keys.length));
          const table = (drawn: typeof left, at: number): Table => {
            const changed = drawn.flatMap(({ row, like, extra, update, came, went }) => {
              const model = drawn[like % drawn.length]!.row;
              const head = heads.length === 0 ? row : heads[like % heads.length]!;
              const cells = (like % 3 === 0 ? row : model).map((value, column) =>
                column < keys.length
                  ? (head[column] ?? null)
                  : column === keys.length
                    ? numberOr(value, like)
                    : value,
              );
              const [first, last] = inOrder ? [Math.min(came, went), Math.max(came, went)] : [came, went];
              const change = (kind: bigint, due: number) => ({ row: [...cells, kind], due });
              if (!changes[at] || !extra) return [change(update ? 2n : 0n, first)];
              return [change(update ? 2n : 0n, first), change(update ? 1n : 3n, last)];
            });
            const sorted = changed.sort((a, b) => a.due - b.due).map((one) => one.row);
            return types[at]!.map((_, column) => sorted.map((row) => row[column]!));
          };
          // Without a changelog corrections alone make changes.
          const corrects = options.corrects || !changes.some(Boolean);
          const aware = options.how === "anti" && keys.length === 1 && options.faults !== 8;
          const given = aware
            ? { ...options, nullAware: true, nullsEqual: false, residual: undefined }
            : options;
          const query = { ...given, corrects, types: types as never, keys: keys.length, changes };
          return { query, tables: [table(left, 0), table(right, 1)], feeds, maxRows };
        });
    });

/** A side's changes up to some row, as a table. */
const upTo = (table: Table, rows: number): Table => slice(table, 0, rows);

describe.each(BUILDS)("join over changes, %s build", async (build) => {
  const kernel = await Kernel.open({ build, budget: "512 MiB" });
  const start = { used: kernel.usedBytes, blocks: kernel.blocks };
  afterAll(() => expect({ used: kernel.usedBytes, blocks: kernel.blocks }).toEqual(start));

  test("any join, any order of the changes", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(cases(false), ({ query, tables, feeds, maxRows }) => {
        const operator = openJoin(kernel, query);
        try {
          const rows = rowsOf(runJoin(operator, query, tables, feeds, maxRows));
          expect(fingerprint(consolidate(rows))).toEqual(fingerprint(expectedJoin(query, tables)));
        } finally {
          operator.destroy();
        }
      }),
      { numRuns: 300 },
    );
  });

  test("with corrections, what has left is the join of what has come", { timeout: 60_000 }, () => {
    fc.assert(
      fc.property(cases(true), ({ query: drawn, tables, feeds, maxRows }) => {
        const query = { ...drawn, corrects: true, kept: false };
        const operator = openJoin(kernel, query);
        const at = [0, 0];
        const left: Value[][] = [];
        try {
          for (const { port, rows } of feeds) {
            const table = tables[port as 0 | 1];
            const end = Math.min(table[0]?.length ?? 0, at[port]! + Math.max(rows, 0));
            const batch = batchOf(
              query.types[port as 0 | 1],
              slice(table, at[port]!, end),
              Math.abs(rows) % 9,
              true,
            );
            operator.push(batch, 0, undefined, 0, port);
            at[port] = end;
            for (let one = operator.pull(maxRows); one !== null; one = operator.pull(maxRows))
              left.push(...rowsOf([one]));
            const come = [upTo(tables[0], at[0]!), upTo(tables[1], at[1]!)] as const;
            expect(fingerprint(consolidate(left))).toEqual(fingerprint(expectedJoin(query, come)));
          }
        } finally {
          operator.destroy();
        }
      }),
      { numRuns: 150 },
    );
  });

  const types = [int32, utf8, int8];
  const query: JoinQuery = { types: [types, [int32, utf8]], keys: 1, how: "full", changes: [true, false] };
  const changed = (rows: readonly (readonly [bigint, string, bigint])[]): Table =>
    [0, 1, 2].map((column) => rows.map((row) => row[column]!));

  test("of rows of one key the equal one goes, however many there are", () => {
    const operator = openJoin(kernel, { ...query, how: "inner" });
    const rows = 20_000;
    const names = Array.from({ length: rows }, (_, row) => `the name of row ${row}`);
    const side = (kind: bigint) => changed(names.map((name) => [7n, name, kind] as const));
    operator.push(batchOf([int32, utf8], [[7n], ["right"]]), 0, undefined, 0, 1);
    operator.push(batchOf(types, side(0n)), 0, undefined, 0, 0);
    let came = 0;
    for (let one = operator.pull(); one !== null; one = operator.pull()) came += one.length;
    const before = Date.now();
    operator.push(batchOf(types, side(3n)), 0, undefined, 0, 0);
    const left: Value[][] = [];
    for (let one = operator.pull(); one !== null; one = operator.pull()) left.push(...rowsOf([one]));
    expect(Date.now() - before).toBeLessThan(5_000);
    expect([came, left.length]).toEqual([rows, rows]);
    expect(left.every(([, , , , kind]) => kind === 3n)).toBe(true);
    expect(new Set(left.map(([, name]) => name)).size).toBe(rows);
    operator.destroy();
  });

  test("of a join by keys alone what a push adds and takes away again moves nothing", () => {
    for (const how of ["semi", "anti"] as const) {
      const changes = [false, true] as const;
      const operator = openJoin(kernel, { types: [[int32], types], keys: 1, how, changes, corrects: true });
      const rows = 20_000;
      const drain = () => {
        const left: Value[][] = [];
        for (let one = operator.pull(); one !== null; one = operator.pull()) left.push(...rowsOf([one]));
        return left;
      };
      operator.push(batchOf([int32], [Array.from({ length: rows }, () => 7n)]), 0, undefined, 0, 0);
      const first = how === "anti" ? rows : 0;
      expect(drain().length).toBe(first);
      const names = Array.from(
        { length: rows },
        (_, row) => [7n, `name ${row >> 1}`, row % 2 === 0 ? 2n : 1n] as const,
      );
      operator.push(batchOf(types, changed(names)), 0, undefined, 0, 1);
      expect(drain()).toEqual([]);
      operator.push(batchOf(types, changed([...names, [7n, "one more", 0n]])), 0, undefined, 0, 1);
      const turned = drain();
      expect(turned.length).toBe(rows);
      expect(turned.every(([, kind]) => kind === (how === "semi" ? 0n : 3n))).toBe(true);
      // The left side ends, the right one goes on.
      operator.watermark(END, 0);
      drain();
      for (let round = 0; round < 4; round++) {
        operator.push(batchOf(types, changed(names)), 0, undefined, 0, 1);
        expect(drain()).toEqual([]);
      }
      operator.push(batchOf(types, changed([[7n, "one more", 3n]])), 0, undefined, 0, 1);
      expect(drain().length).toBe(rows);
      operator.watermark(END, 1);
      expect(drain()).toEqual([]);
      operator.destroy();
    }
  });

  test("a row with NaNs is taken back by one with others", () => {
    const floats = [int32, float32, float64, int8];
    const operator = openJoin(kernel, {
      types: [floats, [int32, utf8]],
      keys: 1,
      how: "inner",
      changes: [true, false],
    });
    operator.push(batchOf([int32, utf8], [[1n], ["right"]]), 0, undefined, 0, 1);
    const nan = Number.NaN;
    const left: Value[][] = [];
    for (const rows of [
      [
        [1n, 1n],
        [nan, 2.5],
        [7, nan],
        [0n, 0n],
      ],
      [
        [1n, 1n],
        [2.5, nan],
        [nan, 7],
        [3n, 3n],
      ],
    ]) {
      operator.push(batchOf(floats, rows), 0, undefined, 0, 0);
      for (let one = operator.pull(); one !== null; one = operator.pull()) left.push(...rowsOf([one]));
    }
    expect(left.length).toBe(4);
    expect(consolidate(left)).toEqual([]);
    operator.destroy();
  });

  test("memory of what is gone is given back", () => {
    const operator = openJoin(kernel, { ...query, how: "left", corrects: true });
    const sizes: number[] = [];
    for (let round = 0; round < 24; round++) {
      const rows = Array.from(
        { length: 4_000 },
        (_, row) => [BigInt(row + 4_000 * round), `some text of row ${row}`] as const,
      );
      for (const kind of [2n, 1n]) {
        operator.push(
          batchOf(types, changed(rows.map(([key, text]) => [key, text, kind] as const))),
          0,
          undefined,
          0,
          0,
        );
        for (let one = operator.pull(); one !== null; one = operator.pull());
      }
      sizes.push(operator.stats().stateBytes);
    }
    expect(Math.max(...sizes.slice(12))).toBeLessThan(1.1 * Math.max(...sizes.slice(0, 12)));
    operator.destroy();
  });

  test("rows live on when others are laid out anew", () => {
    const operator = openJoin(kernel, { ...query, how: "full", corrects: true, faults: 4 });
    const left: Value[][] = [];
    const push = (port: number, own: readonly DataType[], table: Table) => {
      operator.push(batchOf(own, table), 0, undefined, 0, port);
      for (let one = operator.pull(); one !== null; one = operator.pull()) left.push(...rowsOf([one]));
    };
    const right: Table = [
      [1n, 2n, 3n, null],
      ["one, a text that is long", "two", "three", "none"],
    ];
    push(1, [int32, utf8], right);
    const all: [bigint, string, bigint][] = [];
    for (let round = 0; round < 30; round++) {
      const stays = [BigInt(round % 5), `a text that is long enough ${round}`, 0n] as [
        bigint,
        string,
        bigint,
      ];
      const goes = [BigInt(round % 4), `another text that goes ${round}`] as const;
      const rows: [bigint, string, bigint][] = [[...goes, 0n], stays];
      push(0, types, changed(rows));
      const gone: [bigint, string, bigint][] = [[...goes, 3n]];
      if (round % 3 === 2) gone.push([stays[0], stays[1], 1n]);
      push(0, types, changed(gone));
      all.push(...rows, ...gone);
      const expected = expectedJoin({ ...query, how: "full" }, [changed(all), right]);
      expect(fingerprint(consolidate(left))).toEqual(fingerprint(expected));
    }
    operator.destroy();
  });

  test("every allocation may fail: nothing is lost, and the call can be made again", () => {
    const rows = Array.from({ length: 40 }, (_, row) => row);
    const one = changed(rows.map((row) => [BigInt(row % 11), `a payload of text ${row % 7}`, 0n] as const));
    const two = changed(
      rows.map((row) => [BigInt(row % 11), `a payload of text ${row % 7}`, row % 5 === 0 ? 0n : 3n] as const),
    );
    const right: Table = [rows.map((row) => BigInt(row % 13)), rows.map((row) => `right ${row}`)];
    const want = expectedJoin(query, [one.map((column, at) => [...column, ...two[at]!]), right]);
    for (let nth = 1, failed = true; failed; nth++) {
      const retries = new Retries(kernel);
      const operator = openJoin(kernel, { ...query, corrects: nth % 2 === 0, faults: 4 });
      const { again } = retries;
      const left: Value[][] = [];
      const drain = () => {
        for (const batch of retries.pulls(operator, 16)) left.push(...rowsOf([batch]));
      };
      const feeds = [
        [1, batchOf([int32, utf8], right)],
        [0, batchOf(types, one)],
        [0, batchOf(types, two)],
      ] as const;
      kernel.failAllocation(nth);
      for (const [port, batch] of feeds) {
        again(() => operator.push(batch, 0, undefined, 0, port));
        drain();
      }
      for (const port of [0, 1]) {
        operator.watermark(END, port);
        drain();
      }
      kernel.failAllocation(0);
      operator.destroy();
      expect(fingerprint(consolidate(left))).toEqual(fingerprint(want));
      failed = retries.failures > 0;
    }
  });

  test("what it refuses", () => {
    const operator = openJoin(kernel, query);
    expect(() => operator.push(batchOf(types, changed([[1n, "a", 4n]])), 0, 1, 0, 0)).toThrow(
      /4 is no row kind/,
    );
    operator.destroy();
    const without = openJoin(kernel, query);
    expect(() => without.push(batchOf(types, [[1n], ["a"], [null]]), 0, 1, 0, 0)).toThrow(/row kind is null/);
    without.destroy();
    const owing = openJoin(kernel, query);
    owing.push(
      batchOf(
        types,
        changed([
          [1n, "a", 0n],
          [1n, "b", 3n],
        ]),
      ),
      0,
      2,
      0,
      0,
    );
    while (owing.pull() !== null);
    owing.watermark(END, 0);
    expect(() => owing.pull()).toThrow(RetractionError);
    owing.destroy();
    expect(() => openJoin(kernel, { ...query, how: "semi", nullAware: true })).toThrow(ArgumentError);
    expect(() => openJoin(kernel, { ...query, types: [[int32, utf8, int16], [int32]] })).toThrow(
      ArgumentError,
    );
  });
});
