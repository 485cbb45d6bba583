import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asDraining, asShared } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import type { StateBatch } from "../../bindings/ts/kernel/state.js";
import { type BatchData, type ColumnData, nextDictionaryId } from "../../bindings/ts/type/column.js";
import * as types from "../../bindings/ts/type/data-type.js";
import {
  ClosedError,
  CorruptStateError,
  MemoryLimitError,
  MillraceError,
  OverflowError,
} from "../../bindings/ts/type/error.js";
import { TwinOverflow } from "../../twin/aggregate.js";
import { readColumn, type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { AggregateFault, AggregateFunction, RowKind } from "../abi/operator.js";
import {
  type Aggregate,
  BUILDS,
  batchOf,
  cases,
  expected,
  multiset,
  open,
  openAs,
  pulled,
  pushAll,
  type Query,
  resultFields,
  rowsOf,
  slice,
  type Table,
} from "./testing.js";
import { failEach, Retries, SMALL_TOO } from "./testing-retries.js";
import { attempt, damaged } from "./testing-state.js";

const RUNS = 150;
/** Parts into which an aggregation is divided. */
const PARTS = 256;
const ALL_FAULTS =
  AggregateFault.HASH_ZERO |
  AggregateFault.NO_DIRECT |
  AggregateFault.NORMALISE_ALWAYS |
  AggregateFault.TINY_TABLES |
  AggregateFault.SET_ASIDE;
const faults = fc.constantFrom(
  AggregateFault.NONE,
  AggregateFault.NO_DIRECT,
  AggregateFault.HASH_ZERO | AggregateFault.NO_DIRECT,
  AggregateFault.TINY_TABLES,
  AggregateFault.NORMALISE_ALWAYS,
  AggregateFault.SET_ASIDE,
  AggregateFault.SET_ASIDE | AggregateFault.NORMALISE_ALWAYS,
  AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT,
  AggregateFault.SET_ASIDE | AggregateFault.TINY_TABLES | AggregateFault.NO_DIRECT,
  ALL_FAULTS,
);
/** Operators that take parts of others; `drains`: their groups may leave with each part. */
const targetsOf = (kernel: Kernel, query: Query, count: number, drains: boolean): Operator[] =>
  Array.from({ length: count }, () => openAs(kernel, query, drains ? asDraining : (config) => config));

/** The results of divided operators, in targets that are asked for them after each part, and at the end. */
function broughtTogether(sources: readonly Operator[], targets: readonly Operator[]): Value[][] {
  const rows: Value[][] = [];
  for (let part = 0; part < PARTS; part++) {
    const target = targets[(part * 7) % targets.length]!;
    for (const source of sources) target.combinePart(source, part);
    for (let batch = target.pull(3); batch !== null; batch = target.pull(3)) rows.push(...rowsOf([batch]));
  }
  return [...rows, ...targets.flatMap((target) => rowsOf(target.finish()))];
}

const splits = fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 12 });

/** The results, or the overflow that the twin meets. */
function oracle(query: Query, table: Table): string[] | "overflow" {
  try {
    return multiset(expected(query, table));
  } catch (error) {
    if (error instanceof TwinOverflow) return "overflow";
    throw error;
  }
}

function outcome(run: () => Value[][]): string[] | "overflow" {
  try {
    return multiset(run());
  } catch (error) {
    if (error instanceof OverflowError) return "overflow";
    throw error;
  }
}

function runAll(kernel: Kernel, query: Query, table: Table, sizes: readonly number[]): string[] | "overflow" {
  const operator = open(kernel, query);
  try {
    return outcome(() => {
      pushAll(operator, query, table, sizes);
      return rowsOf(operator.finish(sizes[0]));
    });
  } finally {
    operator.destroy();
  }
}

describe.each(BUILDS)("hash aggregation, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("agrees with the twin for any types, splits, offsets and faults", () => {
    fc.assert(
      fc.property(cases, splits, faults, ({ query, table }, sizes, fault) => {
        expect(runAll(kernel, { ...query, faults: fault }, table, sizes)).toEqual(oracle(query, table));
      }),
      { numRuns: RUNS * 2 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("merges partitions, snapshotted at any point, to the same results", () => {
    fc.assert(
      fc.property(
        cases,
        splits,
        faults,
        fc.integer({ min: 1, max: 50 }),
        ({ query, table }, sizes, fault, maxRows) => {
          const whole = open(kernel, query);
          try {
            const rows = table[0]!.length;
            const third = Math.ceil(rows / 3);
            for (let start = 0; start < Math.max(1, rows); start += Math.max(1, third)) {
              const part = open(kernel, { ...query, faults: fault });
              pushAll(part, query, slice(table, start, Math.min(rows, start + Math.max(1, third))), sizes);
              // Twice over: what was restored from a state has the same state.
              const states = [...part.snapshot(maxRows)];
              part.destroy();
              const again = open(kernel, query);
              for (const state of states) again.merge(state);
              for (const state of again.snapshot()) whole.merge(state);
              again.destroy();
            }
            expect(outcome(() => rowsOf(whole.finish()))).toEqual(oracle(query, table));
          } finally {
            whole.destroy();
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("combines operators in memory, which then go on, to the same results", () => {
    fc.assert(
      fc.property(cases, splits, faults, faults, ({ query, table }, sizes, fault, other) => {
        const rows = table[0]!.length;
        const cuts = [0, Math.ceil(rows / 3), Math.ceil(rows / 2), rows];
        const parts = cuts.slice(1).map((end, index) => slice(table, cuts[index]!, end));
        const whole = open(kernel, { ...query, faults: fault });
        const source = open(kernel, { ...query, faults: other });
        try {
          pushAll(whole, query, parts[0]!, sizes);
          pushAll(source, query, parts[1]!, sizes);
          for (const _ of whole.absorb(source));
          pushAll(whole, query, parts[2]!, sizes);
          expect(outcome(() => rowsOf(whole.finish()))).toEqual(oracle(query, table));
          // The source is as it was.
          expect(outcome(() => rowsOf(source.finish()))).toEqual(oracle(query, parts[1]!));
        } finally {
          whole.destroy();
          source.destroy();
        }
      }),
      { numRuns: RUNS },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("divides operators, whose parts come together in others, to the same results", () => {
    fc.assert(
      fc.property(
        cases,
        splits,
        faults,
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        ({ query, table }, sizes, fault, count, drains) => {
          const rows = table[0]!.length;
          const cuts = [0, Math.ceil(rows / 3), Math.ceil(rows / 2), rows];
          const sources = cuts.slice(1).map((end, index) => {
            const source = open(kernel, { ...query, faults: fault });
            pushAll(source, query, slice(table, cuts[index]!, end), sizes);
            return source;
          });
          const targets = targetsOf(kernel, { ...query, faults: fault }, count, drains);
          try {
            if (!sources[0]!.divides()) {
              expect(() => sources[0]!.divide(PARTS)).toThrow();
              return;
            }
            for (const source of sources) source.divide(PARTS);
            expect(outcome(() => broughtTogether(sources, targets))).toEqual(oracle(query, table));
          } finally {
            for (const one of [...sources, ...targets]) one.destroy();
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("a key that is null is in one part, however the operators found their groups", () => {
    const query: Query = { types: [types.int64], keys: [0], aggregates: [{ name: "count" }], seed: 20201111 };
    const sources = [0, AggregateFault.NO_DIRECT, AggregateFault.SET_ASIDE].map((faults) => {
      const source = open(kernel, { ...query, faults });
      pushAll(source, query, [[null, 1n, 2n, null]], [4]);
      return source;
    });
    for (const source of sources) source.divide(PARTS);
    const targets = [open(kernel, query), open(kernel, query)] as const;
    for (let part = 0; part < PARTS; part++)
      for (const source of sources) targets[part === 0 ? 0 : 1].combinePart(source, part);
    const rows = targets.flatMap((target) => rowsOf(target.finish()));
    const all = Array.from({ length: 3 }, () => [null, 1n, 2n, null]).flat();
    expect(outcome(() => rows)).toEqual(oracle(query, [all]));
    for (const one of [...sources, ...targets]) one.destroy();
  });

  describe("texts of one dictionary, which all operators have learnt whole", () => {
    const coded = types.dictionary(types.utf8, types.int32);
    const ROWS = 6000;
    const [FIRST, MANY] = [1500, 400];
    /** Of the first rows the texts are the first ones of the dictionary. */
    const table: Table = [
      Array.from({ length: ROWS }, (_, row) =>
        row % 31 === 30 ? null : `text ${(row * 7) % (row < FIRST ? MANY / 2 : MANY)}`,
      ),
      Array.from({ length: ROWS }, (_, row) => (row % 17 === 5 ? null : `${row % 7}`)),
      Array.from({ length: ROWS }, (_, row) => BigInt((row * 11) % 1009)),
    ];
    const twin = (keys: readonly number[]): Query => ({
      types: [types.utf8, types.utf8, types.int32],
      keys,
      aggregates: [{ name: "sum", of: 2 }, { name: "count" }],
    });
    const all = batchOf([coded, coded, types.int32], table);
    /** The same, but of the first dictionary only what the first rows need is there. */
    const young = {
      ...all,
      columns: all.columns.map((column, at) => {
        if (at !== 0) return column;
        const { id, values } = column.dictionary!;
        return { ...column, dictionary: { id, values: { ...values, length: MANY / 2 } } };
      }),
    };
    const queryOf = (keys: readonly number[], fault: number): Query => ({
      ...twin(keys),
      types: [coded, coded, types.int32],
      faults: fault,
      seed: 20201111,
    });

    test("come together by their ids, however far each has seen the dictionary", () => {
      fc.assert(
        fc.property(
          fc.constantFrom<readonly number[]>([0], [1], [0, 1], [0, 2], [2, 1, 0]),
          faults,
          fc.integer({ min: 1, max: 3 }),
          fc.boolean(),
          fc.boolean(),
          (keys, fault, count, grows, drains) => {
            const query = queryOf(keys, fault);
            const cuts = [0, 2000, 3500, ROWS];
            const sources = cuts.slice(1).map((end, index) => {
              const source = open(kernel, query);
              const [start, some] = [cuts[index]!, end - cuts[index]!];
              if (grows && index === 0) {
                // Rows of the first texts alone.
                source.push(young, 0, 399);
                source.push(all, 399, some - 399);
              } else source.push(all, start, some);
              return source;
            });
            // Nobody has given this one anything.
            sources.splice(1, 0, open(kernel, query));
            const targets = targetsOf(kernel, query, count, drains);
            try {
              const [first, ...others] = sources;
              const learnt = first!.sharesTexts(first!) && others.every((other) => first!.sharesTexts(other));
              // With so few rows at first codes are learnt one by one.
              expect(learnt).toBe(!grows);
              for (const source of sources) source.divide(PARTS, learnt ? first! : null);
              const rows = broughtTogether(sources, targets);
              expect(multiset(rows)).toEqual(multiset(expected(twin(keys), table)));
            } finally {
              for (const one of [...sources, ...targets]) one.destroy();
            }
          },
        ),
        { numRuns: 40 },
      );
      expect(kernel.blocks).toBeLessThan(8);
    });

    test("a dictionary that grows is the same, one with other texts is not", () => {
      const query = queryOf([0, 2], AggregateFault.NO_DIRECT);
      const [early, late, other, plain] = [0, 1, 2, 3].map(() => open(kernel, query));
      early!.push(young, 0, FIRST);
      late!.push(all, FIRST, ROWS - FIRST);
      other!.push(batchOf([coded, coded, types.int32], table), 0, FIRST);
      expect(late!.sharesTexts(early!)).toBe(true);
      expect(early!.sharesTexts(late!)).toBe(true);
      expect(early!.sharesTexts(other!)).toBe(false);
      expect(plain!.sharesTexts(early!)).toBe(false);
      expect(early!.sharesTexts(plain!)).toBe(true);
      expect(() => other!.divide(PARTS, early!)).toThrow(/configuration/);
      early!.divide(PARTS, late!);
      late!.divide(PARTS, late!);
      other!.divide(PARTS, other!);
      const [target, failing] = [open(kernel, query), open(kernel, query)];
      // Whoever comes first, the one that has seen less learns the rest.
      for (const source of [early!, late!])
        for (let part = 0; part < PARTS; part++) target.combinePart(source, part);
      expect(multiset(rowsOf(target.finish()))).toEqual(multiset(expected(twin([0, 2]), table)));
      failing.combinePart(early!, 0);
      expect(() => failing.combinePart(other!, 1)).toThrow(/configuration/);
      expect(() => failing.watermark(END_OF_INPUT)).toThrow(ClosedError);
      for (const one of [early!, late!, other!, plain!, target, failing]) one.destroy();
      expect(kernel.blocks).toBeLessThan(8);
    });

    test("a dictionary whose values are known to differ is learnt without an index, which is made when other texts come", () => {
      const query = { ...queryOf([0], 0), types: [coded, coded, types.int32] };
      const first = open(kernel, query);
      first.push(all);
      first.destroy();
      const reversed = table.map((column) => [...column].reverse());
      const more = [
        { name: "rows of the same", batch: all, rows: table },
        { name: "another dictionary", batch: batchOf([coded, coded, types.int32], reversed), rows: reversed },
        {
          name: "no dictionary",
          batch: batchOf([types.utf8, types.utf8, types.int32], reversed),
          rows: reversed,
        },
      ];
      for (const { name, batch, rows } of more) {
        const operator = open(kernel, query);
        operator.push(all);
        const slots = operator.stats().stateBytes;
        operator.push(batch);
        // Texts that are the same have the same groups, whichever way they came.
        if (name !== "rows of the same") expect(operator.stats().stateBytes).toBeGreaterThan(slots);
        const other = open(kernel, query);
        for (const state of operator.snapshot()) other.merge(state);
        const both = table.map((column, at) => [...column, ...rows[at]!]);
        for (const one of [operator, other]) {
          expect(multiset(rowsOf(one.finish()))).toEqual(multiset(expected(twin([0]), both)));
          one.destroy();
        }
      }
    });

    test("texts that were taken over from another operator are those of the dictionary, as far as that has seen it", () => {
      const query = queryOf([0, 2], AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT);
      const reversed = batchOf(
        [coded, coded, types.int32],
        table.map((column) => [...column].reverse()),
      );
      for (const [theirs, mine] of [
        [[all], [all]],
        [[young], [all]],
        [[all], [young, all]],
        [[young], [young, all]],
        [[all], [reversed, all]],
      ] as const) {
        const [first, other] = [0, 1].map(() => openAs(kernel, query, asShared));
        for (const batch of theirs) first!.push(batch, 0, FIRST);
        expect(first!.pack()).toBe(true);
        expect(other!.pack(first!)).toBe(true);
        // The younger one has the texts of the first rows.
        for (const batch of mine) other!.push(batch, 0, batch === reversed ? ROWS : FIRST);
        const target = open(kernel, query);
        for (const source of [first!, other!]) for (const _ of target.absorb(source));
        const parts = [...theirs, ...mine].map((batch) =>
          batch === reversed
            ? table.map((column) => [...column].reverse())
            : table.map((column) => column.slice(0, FIRST)),
        );
        const rows = table.map((_, at) => parts.flatMap((part) => part[at]!));
        expect(multiset(rowsOf(target.finish()))).toEqual(multiset(expected(twin([0, 2]), rows)));
        for (const one of [first!, other!, target]) one.destroy();
      }
    });

    test("one that has grown since its values were seen is learnt text by text, as is one with a text twice", () => {
      const query = queryOf([0], 0);
      const grown = batchOf([coded, coded, types.int32], table);
      const { id, values } = grown.columns[0]!.dictionary!;
      const short = (length: number): BatchData => ({
        ...grown,
        columns: grown.columns.map((column, at) =>
          at === 0 ? { ...column, dictionary: { id, values: { ...values, length } } } : column,
        ),
      });
      for (const batch of [short(MANY / 2), short(MANY / 2), grown, grown]) {
        const operator = open(kernel, query);
        operator.push(batch, 0, FIRST);
        operator.push(grown, FIRST, ROWS - FIRST);
        expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(twin([0]), table)));
        operator.destroy();
      }
      const texts = Array.from({ length: 300 }, (_, code): Value => `text ${code % 299}`);
      const codes = Int32Array.from({ length: ROWS }, (_, row) => row % 300);
      const twice = grown.columns.map((column, at) =>
        at !== 0
          ? column
          : {
              ...column,
              nullCount: 0,
              validity: null,
              values: new Uint8Array(codes.buffer),
              dictionary: { id: nextDictionaryId(), values: writeColumn(types.utf8, texts) },
            },
      );
      const rows = [[...codes].map((code) => texts[code]!), table[1]!, table[2]!];
      for (let time = 0; time < 2; time++) {
        const operator = open(kernel, query);
        operator.push({ ...grown, columns: twice });
        expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(twin([0]), rows)));
        operator.destroy();
      }
      expect(kernel.blocks).toBeLessThan(8);
    });

    test("an index that finds no memory refuses the batch, which can come again", () => {
      const query = queryOf([0], 0);
      const first = open(kernel, query);
      first.push(all);
      first.destroy();
      const reversed = table.map((column) => [...column].reverse());
      const other = batchOf([coded, coded, types.int32], reversed);
      const both = table.map((column, at) => [...column, ...reversed[at]!]);
      let failures = 0;
      failEach(kernel, 1, 1, (nth) => {
        kernel.failAllocation(0);
        const operator = open(kernel, query);
        operator.push(all);
        const retries = new Retries(kernel);
        kernel.failAllocation((nth | SMALL_TOO) >>> 0);
        retries.again(() => operator.push(other));
        operator.watermark(END_OF_INPUT);
        const rows = rowsOf(retries.pulls(operator, 65_536));
        expect(multiset(rows)).toEqual(multiset(expected(twin([0]), both)));
        failures += retries.failures;
        operator.destroy();
      });
      expect(failures).toBeGreaterThan(3);
      expect(kernel.blocks).toBeLessThan(8);
    });

    test("an allocation that fails while texts are learnt fails the operator, and nothing stays behind", () => {
      const query = queryOf([0, 2], AggregateFault.NO_DIRECT);
      const source = open(kernel, query);
      source.push(all);
      source.divide(PARTS, source);
      let failed = 0;
      for (let nth = 1; nth < 12; nth++) {
        const target = open(kernel, query);
        kernel.failAllocation((nth | SMALL_TOO) >>> 0);
        try {
          target.combinePart(source, 0);
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          expect(() => target.watermark(END_OF_INPUT)).toThrow(ClosedError);
          failed++;
        }
        kernel.failAllocation(0);
        target.destroy();
      }
      expect(failed).toBeGreaterThan(1);
      source.destroy();
      expect(kernel.blocks).toBeLessThan(8);
    });
  });

  test("parts whose rows were set aside come to operators that compute their groups' numbers", () => {
    const query: Query = {
      types: [types.int64, types.int64],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }, { name: "count" }],
      faults: AggregateFault.SET_ASIDE,
    };
    const table = (count: number, by: bigint): Table => [
      Array.from({ length: count }, (_, row) => (row % 19 === 0 ? null : BigInt(row % 97) * by)),
      Array.from({ length: count }, (_, row) => BigInt(row)),
    ];
    const [first, other] = [table(300, 1n), table(2000, 10n ** 12n)];
    const source = open(kernel, query);
    pushAll(source, query, other, [40, 1000]);
    source.divide(PARTS);
    // One target a part, which had rows before, or none.
    const results: Value[][] = [];
    for (let part = 0; part < PARTS; part++) {
      const target = open(kernel, query);
      if (part % 2 === 0) pushAll(target, query, first);
      target.combinePart(source, part);
      results.push(...rowsOf(target.finish()));
      target.destroy();
    }
    const sums = new Map<Value, [bigint, bigint]>();
    const add = (key: Value, sum: Value, count: Value, sign: bigint) => {
      const [all, rows] = sums.get(key) ?? [0n, 0n];
      sums.set(key, [all + sign * BigInt((sum ?? 0n) as bigint), rows + sign * (count as bigint)]);
    };
    for (const [key, sum, count] of results) add(key!, sum!, count!, 1n);
    for (const [key, sum, count] of expected(query, first)) add(key!, sum!, count!, -BigInt(PARTS / 2));
    const left = [...sums].flatMap(([key, [sum, count]]) => (count === 0n ? [] : [[key, sum, count]]));
    expect(multiset(left)).toEqual(multiset(expected(query, other)));
    source.destroy();
  });

  describe("operators that number their groups alike", () => {
    const ints = (...values: (number | null)[]) => values.map((value) => value && BigInt(value));
    const each: [string, Query["types"], Value[][], Value[][], boolean][] = [
      ["integers of one range", [types.int64], [ints(1, 9, null)], [ints(5, 9, 1)], true],
      ["integers of another range", [types.int64], [ints(1, 9)], [ints(1, 90_000)], false],
      ["integers beyond a range", [types.int64], [ints(1, 4096)], [ints(9000, 13_090)], false],
      ["texts that came in one order", [types.utf8], [["a", "bé", "", null]], [["a", "bé", "a", ""]], true],
      ["texts that came in another order", [types.utf8], [["a", "b", "c"]], [["b", "a", "c"]], false],
      ["texts of other lengths", [types.utf8], [["a", "b", "c"]], [["a", "bb"]], false],
      ["more texts", [types.utf8], [["a", "b"]], [["a", "b", "c"]], false],
      [
        "texts and booleans",
        [types.utf8, types.bool],
        [
          ["x", "y"],
          [true, false],
        ],
        [
          ["x", "y"],
          [null, true],
        ],
        true,
      ],
      ["floats, which are looked up", [types.float64], [[1, 2]], [[1, 2]], false],
      ["no keys", [], [], [], true],
    ];

    test.each(each)("%s", (_name, keys, first, second, alike) => {
      const query: Query = {
        types: [...keys, types.int32],
        keys: keys.map((_, key) => key),
        aggregates: [{ name: "count" }, { name: "sum", of: keys.length }, { name: "max", of: keys.length }],
      };
      const numbered = (table: Value[][]): Table => [
        ...table,
        (table[0] ?? [0, 0]).map((_, row) => BigInt(row * row)),
      ];
      const tables = [numbered(first), numbered(second)] as const;
      const [operator, source] = [open(kernel, query), open(kernel, query)];
      pushAll(operator, query, tables[0]);
      pushAll(source, query, tables[1]);
      expect(operator.isAlike(source)).toBe(alike);
      for (const _ of operator.absorb(source));
      const both = tables[0].map((column, at) => [...column, ...tables[1][at]!]);
      expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, both)));
      operator.destroy();
      source.destroy();
    });
  });

  test("combining that has begun blocks everything else, and its release fails the operator", () => {
    const query: Query = { types: [types.int64], keys: [0], aggregates: [{ name: "sum", of: 0 }] };
    const many: Table = [Array.from({ length: 150_000 }, (_, row) => BigInt(row) * 1_000_003n)];
    const [operator, source] = [open(kernel, query), open(kernel, query)];
    pushAll(source, query, many);
    const work = operator.absorb(source);
    expect(work.next().done).toBe(false);
    const message = /output waiting or an open snapshot/;
    expect(() => operator.push(batchOf([types.int64], [[1n]]))).toThrow(message);
    expect(() => operator.watermark(END_OF_INPUT)).toThrow(message);
    const third = open(kernel, query);
    expect(() => [...operator.absorb(third)]).toThrow(message);
    for (const _ of work);
    expect(operator.stats()).toMatchObject({ groups: 150_000, rowsIn: 150_000 });
    expect([...third.absorb(source)].length).toBeGreaterThan(1);
    const again = source.absorb(third);
    again.next();
    source.release();
    expect(() => source.push(batchOf([types.int64], [[1n]]))).toThrow(ClosedError);
    expect(() => [...operator.absorb(operator)]).toThrow(/does not exist/);
    const other = open(kernel, { ...query, aggregates: [{ name: "avg", of: 0 }] });
    expect(() => [...operator.absorb(other)]).toThrow(/another|configuration|refused/);
    for (const one of [operator, source, third, other]) one.destroy();
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("when memory runs out while combining, it goes on later or the operator fails", () => {
    const query: Query = {
      types: [types.utf8, types.float64],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "min", of: 0 },
        { name: "countDistinct", of: 0 },
      ],
    };
    const texts = Array.from({ length: 3000 }, (_, row) => `a text of some length, number ${row % 1700}`);
    const table: Table = [texts, texts.map((_, row) => row * 1e-3)];
    const wanted = oracle(
      query,
      table.map((column) => [...column, ...column]),
    );
    for (let nth = 1, refused = true; refused; nth += 1) {
      const [operator, source] = [open(kernel, query), open(kernel, query)];
      pushAll(operator, query, table);
      pushAll(source, query, table);
      kernel.failAllocation(nth);
      try {
        for (const _ of operator.absorb(source));
        refused = false;
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
      }
      kernel.failAllocation(0);
      try {
        if (refused) for (const _ of operator.absorb(source));
        expect(multiset(rowsOf(operator.finish()))).toEqual(wanted);
      } catch (error) {
        expect(error).toBeInstanceOf(ClosedError);
      }
      operator.destroy();
      source.destroy();
    }
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("a restored operator goes on as if nothing had happened", () => {
    fc.assert(
      fc.property(cases, splits, faults, ({ query, table }, sizes, fault) => {
        let operator = open(kernel, { ...query, faults: fault });
        try {
          const rows = table[0]!.length;
          let start = 0;
          for (let i = 0; start < rows; i++) {
            const end = Math.min(rows, start + (sizes[i] ?? 100));
            operator.push(batchOf(query.types, slice(table, start, end)));
            const states = [...operator.snapshot()];
            operator.destroy();
            operator = open(kernel, { ...query, faults: fault });
            for (const state of states) operator.merge(state);
            start = end;
          }
          expect(outcome(() => rowsOf(operator.finish()))).toEqual(oracle(query, table));
        } finally {
          operator.destroy();
        }
      }),
      { numRuns: RUNS },
    );
  });

  test("a changelog consolidates to the results, each change from what was emitted before", () => {
    fc.assert(
      fc.property(cases, splits, fc.integer({ min: 1, max: 9 }), ({ query, table }, sizes, maxRows) => {
        const wanted = oracle(query, table);
        const operator = open(kernel, { ...query, changelog: true });
        try {
          const got = outcome(() => consolidate(operator, query, table, sizes, maxRows));
          // A sum may overflow on the way and come back: then the changelog stops where the batch does not.
          if (got !== "overflow") expect(got).toEqual(wanted);
        } finally {
          operator.destroy();
        }
      }),
      { numRuns: RUNS * 2 },
    );
  });

  test("batches of several vectors, with nulls, filters and every aggregate", () => {
    const n = 9001;
    // A small generator: the same table in every run.
    let state = 1;
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const column = (f: () => Value): Value[] =>
      Array.from({ length: n }, () => (next(10) === 0 ? null : f()));
    const table: Table = [
      column(() => BigInt(next(40))),
      column(() => `k${next(30)}`),
      column(() => (next(20001) - 10000) / 100),
      column(() => BigInt(next(2 ** 24)) * 2n ** 36n - 2n ** 59n),
      column(() => `${"日".repeat(next(4))}${next(500)}`),
      column(() => next(3) === 0),
    ];
    const columns = [types.int32, types.utf8, types.float64, types.int64, types.utf8, types.bool];
    const names = ["count", "countDistinct", "sum", "avg", "min", "max"] as const;
    const all = names.flatMap((name) =>
      [2, 3, 4].flatMap((of) => {
        if (of === 4 && (name === "sum" || name === "avg")) return [];
        return [
          { name, of },
          { name, of, filter: 5 },
        ];
      }),
    );
    for (const keys of [[], [0], [1], [0, 1], [2]]) {
      const query: Query = { types: columns, keys, aggregates: [{ name: "count" }, ...all] };
      expect(runAll(kernel, query, table, [4096, 3000])).toEqual(oracle(query, table));
    }
  });

  test("a key of thousands of bytes among many short ones", () => {
    const query: Query = { types: [types.utf8, types.utf8], keys: [0], aggregates: [{ name: "max", of: 1 }] };
    const texts = Array.from({ length: 2500 }, (_, row) => (row === 9 ? "x".repeat(3000) : `key ${row}`));
    const table: Table = [texts, texts];
    expect(runAll(kernel, query, table, [])).toEqual(oracle(query, table));
  });

  test("a changelog tells sums apart that differ by a multiple of 2^64", () => {
    const query: Query = {
      types: [types.int64, types.decimal(38, 0)],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }],
      changelog: true,
    };
    const operator = open(kernel, query);
    const pushed = (value: bigint) => rowsOf(operator.process(batchOf(query.types, [[1n], [value]])));
    expect(pushed(5n)).toEqual([[1n, 5n, 0n]]);
    expect(pushed(0n)).toEqual([]);
    expect(pushed(2n ** 64n)).toEqual([
      [1n, 5n, 1n],
      [1n, 5n + 2n ** 64n, 2n],
    ]);
    operator.destroy();
  });

  test("a changelog goes on after a restore, and takes a batch's history over", () => {
    const query = simple(
      [
        { name: "sum", of: 1 },
        { name: "max", of: 3 },
        { name: "countDistinct", of: 3 },
      ],
      [0],
    );
    const withText: Query = { ...query, types: [...query.types, types.utf8], changelog: true };
    const table = (rows: number): Table => [
      ...simpleTable(rows),
      Array.from({ length: rows }, (_, i) => `t${i % 17}`),
    ];
    const first = open(kernel, withText);
    first.push(batchOf(withText.types, table(40)));
    const emitted = rowsOf(pulled(first));
    expect(emitted.every((row) => row.at(-1) === 0n)).toBe(true);
    const states = [...first.snapshot()];
    first.destroy();

    const restored = open(kernel, withText);
    for (const state of states) restored.merge(state);
    restored.push(batchOf(withText.types, slice(table(40), 1, 2)));
    const changes = rowsOf(pulled(restored));
    const old = emitted.find((row) => row[0] === 1n)!;
    expect(changes[0]).toEqual([...old.slice(0, -1), 1n]);
    expect(changes[1]!.at(-1)).toBe(2n);
    expect(changes.length).toBe(2);
    expect(rowsOf(restored.finish())).toEqual([]);
    restored.destroy();

    const batch = open(kernel, { ...withText, changelog: false });
    batch.push(batchOf(withText.types, table(40)));
    const history = open(kernel, withText);
    for (const state of batch.snapshot()) history.merge(state);
    batch.destroy();
    expect(history.pull()).toBeNull();
    history.push(batchOf(withText.types, table(0)));
    expect(multiset(rowsOf(pulled(history)))).toEqual(multiset(emitted));
    history.destroy();
  });

  test("rows set aside by hash give the results of rows that are not", () => {
    const n = 6007;
    let state = 7;
    const next = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const column = (f: () => Value, nulls = 10): Value[] =>
      Array.from({ length: n }, () => (next(nulls) === 0 ? null : f()));
    const table: Table = [
      column(() => BigInt(next(1500)) * 7919n - 2n ** 62n),
      column(() => `k${next(40)}`, 50),
      column(() => (next(20001) - 10000) / 100),
      column(() => BigInt(next(2 ** 24))),
      column(() => BigInt(next(200) - 100)),
      column(() => BigInt(next(2 ** 24)) ** 3n),
      column(() => Math.fround(next(1000) / 7)),
    ];
    const columns = [
      types.int64,
      types.utf8,
      types.float64,
      types.int32,
      types.int8,
      types.decimal(38, 2),
      types.float32,
    ];
    const all = [2, 3, 4, 5, 6].flatMap((of) =>
      (["count", "sum", "avg", "min", "max"] as const).map((name) => ({ name, of })),
    );
    for (const keys of [[0], [0, 1], [5], [1, 0, 6, 5]]) {
      for (const aggregates of [
        [{ name: "count" as const }, ...all],
        [{ name: "sum" as const, of: 3 }],
        [],
      ]) {
        const query: Query = { types: columns, keys, aggregates };
        const right = oracle(query, table);
        for (const fault of [AggregateFault.NO_DIRECT, ALL_FAULTS]) {
          const faulty = { ...query, faults: fault | AggregateFault.SET_ASIDE };
          expect(runAll(kernel, faulty, table, [1, 700, 2500])).toEqual(right);
        }
      }
    }
  });

  test("a value that overflows in a row that is set aside fails the operator, with the row", () => {
    const program = new ProgramBuilder();
    const [key, value] = [types.int64, types.int64].map(() => program.load(program.column(Type.I64)));
    const one = program.literal(Type.I64, 1n);
    const outputs = [key!, program.emit(Opcode.ADD, Type.I64, { a: value!, b: one })].map((register) =>
      program.output(register),
    );
    const query: Query = {
      types: [types.int64, types.int64],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }],
    };
    const operator = kernel.hashAggregate({
      program: program.encode(),
      keys: [{ output: outputs[0]!, type: Type.I64 }],
      aggregates: [{ function: AggregateFunction.SUM, argument: outputs[1]!, type: Type.I64 }],
      faults: AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT,
      columns: [0, 1],
      output: { fields: resultFields(query) },
    });
    const rows = Array.from({ length: 3000 }, (_, row) => row);
    const batch = (largest: number) =>
      batchOf(query.types, [
        rows.map((row) => BigInt(row) * 1_000_003n),
        rows.map((row) => (row === largest ? 2n ** 63n - 1n : 7n)),
      ]);
    operator.push(batch(-1));
    const push = () => operator.push(batch(2500));
    expect(push).toThrow(OverflowError);
    expect(push).toThrow(ClosedError);
    operator.destroy();
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("a dictionary of so many texts that their table is divided before it is filled", () => {
    const query: Query = {
      types: [types.dictionary(types.utf8, types.int32), types.int32],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }],
    };
    const texts = Array.from({ length: 30_000 }, (_, row) => `text ${row * 7}`);
    const table: Table = [
      [...texts, ...texts.slice(0, 500)],
      [...texts, ...texts.slice(0, 500)].map((_, row) => BigInt(row)),
    ];
    const operator = open(kernel, query);
    pushAll(operator, query, table);
    expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, table)));
    operator.destroy();
  });

  test.each([0, 48 * 2 ** 20])("many groups set rows aside by themselves, budget %d", async (budget) => {
    const query: Query = {
      types: [types.int64, types.int32],
      keys: [0],
      aggregates: [{ name: "sum", of: 1 }],
    };
    const own = await Kernel.open({ build, budget: budget || "1 GiB" });
    const operator = open(own, query);
    const size = 50_000;
    // Every key comes twice, in neighbouring batches.
    const batch = (i: number) => {
      const keys = BigInt64Array.from({ length: size }, (_, row) => BigInt((i * size) / 2 + row) * 7919n);
      const values = new Int32Array(size).fill(i + 1);
      const column = (type: Query["types"][number], { buffer }: BigInt64Array | Int32Array): ColumnData => ({
        type,
        length: size,
        offset: 0,
        nullCount: 0,
        validity: null,
        offsets: null,
        values: new Uint8Array(buffer as ArrayBuffer),
        dictionary: null,
      });
      return {
        schema: batchOf(query.types, [[], []]).schema,
        length: size,
        columns: [column(types.int64, keys), column(types.int32, values)],
      };
    };
    let pushed = 0;
    try {
      for (; pushed < 40; pushed++) operator.push(batch(pushed));
      let groups = 0;
      let sum = 0n;
      for (const { columns, length } of operator.finish()) {
        groups += length;
        for (const value of readColumn(columns[1]!)) sum += value as bigint;
      }
      expect(groups).toBe(((pushed + 1) * size) / 2);
      expect(sum).toBe(BigInt((size * pushed * (pushed + 1)) / 2));
      expect(budget).toBe(0);
    } catch (error) {
      if (!(error instanceof MemoryLimitError)) throw error;
      expect(budget).toBeGreaterThan(0);
      expect(pushed).toBeGreaterThan(10);
      expect(own.usedBytes).toBeLessThanOrEqual(budget);
    }
    operator.destroy();
    own.close();
  });

  test("when any allocation fails the kernel stays usable and gives everything back", () => {
    fc.assert(
      fc.property(
        cases,
        fc.integer({ min: 1, max: 120 }),
        fc.boolean(),
        faults,
        ({ query: plain, table }, nth, changelog, fault) => {
          const query = { ...plain, faults: fault };
          const before = [kernel.usedBytes, kernel.blocks];
          kernel.failAllocation(nth);
          const failed = attempt(() => {
            const operator = open(kernel, { ...query, changelog });
            try {
              const retry = <T>(run: () => T): T => {
                try {
                  return run();
                } catch (error) {
                  // Refused before a row was applied: the same push again must work, and give the same results.
                  if (!(error instanceof MemoryLimitError)) throw error;
                  return run();
                }
              };
              retry(() => pushAll(operator, query, table));
              if (!changelog) return outcome(() => retry(() => rowsOf(operator.finish())));
              return null;
            } finally {
              operator.destroy();
            }
          });
          kernel.failAllocation(0);
          expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
          if (failed !== null) expect(failed).toEqual(oracle(query, table));
          expect(runAll(kernel, query, table, [])).toEqual(oracle(query, table));
          expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
        },
      ),
      { numRuns: RUNS * 2 },
    );
  });

  test("when any allocation of a snapshot or merge fails, nothing traps and everything is given back", () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 60 }), fc.boolean(), faults, (of, nth, late, fault) => {
        const { table } = of;
        const query = { ...of.query, faults: fault };
        const before = [kernel.usedBytes, kernel.blocks];
        const part = open(kernel, query);
        pushAll(part, query, table, [50]);
        if (!late) kernel.failAllocation(nth);
        const states = attempt(() => [...part.snapshot(7)]);
        // A snapshot that memory refused can be taken again.
        kernel.failAllocation(0);
        const again = [...part.snapshot(7)];
        if (states !== null) expect(again).toEqual(states);
        part.destroy();
        const whole = open(kernel, query);
        if (late) kernel.failAllocation(nth);
        const rows = attempt(() => {
          for (const state of again) whole.merge(state);
          return outcome(() => rowsOf(whole.finish()));
        });
        kernel.failAllocation(0);
        whole.destroy();
        if (rows !== null) expect(rows).toEqual(oracle(query, table));
        expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
      }),
      { numRuns: RUNS },
    );
  });

  test("each allocation of a snapshot with long texts and wide sums fails in turn, and changes nothing", () => {
    const query: Query = {
      types: [types.utf8, types.float64, types.utf8],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "max", of: 2 },
        { name: "countDistinct", of: 2 },
      ],
    };
    const long = (i: number) => String(i).repeat(300);
    const table: Table = [
      Array.from({ length: 90 }, (_, i) => long(i % 40)),
      Array.from({ length: 90 }, (_, i) => i * 10 ** ((i % 40) * 7 - 140)),
      Array.from({ length: 90 }, (_, i) => long(i + 7)),
    ];
    const states = snapshotOf(kernel, query, table);
    let failures = 0;
    for (let nth = 1; ; nth++) {
      const before = [kernel.usedBytes, kernel.blocks];
      const operator = open(kernel, query);
      pushAll(operator, query, table);
      kernel.failAllocation(nth);
      const refused = attempt(() => [...operator.snapshot()]) === null;
      kernel.failAllocation(0);
      // Vitest takes half a second to compare so many bytes.
      expect(isDeepStrictEqual([...operator.snapshot()], states)).toBe(true);
      operator.destroy();
      expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
      if (refused) failures++;
      else if (nth > 30) break;
    }
    expect(failures).toBeGreaterThan(8);
  });

  test("a pull ends before its texts pass max_bytes, but always brings a row", () => {
    const query: Query = {
      types: [types.utf8, types.utf8],
      keys: [0],
      aggregates: [{ name: "max", of: 1 }],
    };
    const texts = Array.from({ length: 50 }, (_, i) => `${i}`.padEnd(40 + i, "x"));
    for (const changelog of [false, true]) {
      const operator = open(kernel, { ...query, changelog });
      operator.push(batchOf(query.types, [texts, texts]));
      if (!changelog) operator.watermark(END_OF_INPUT);
      const batches = [];
      for (let batch = operator.pull(1000, 300); batch !== null; batch = operator.pull(1000, 300))
        batches.push(batch);
      expect(batches.length).toBeGreaterThan(15);
      for (const batch of batches) {
        const bytes = rowsOf([batch]).reduce((sum, row) => sum + `${row[0]}${row[1]}`.length, 0);
        expect(batch.length === 1 || bytes <= 300).toBe(true);
      }
      expect(rowsOf(batches).map((row) => row[1])).toEqual(texts);
      operator.destroy();
      const wide = open(kernel, { ...query, changelog });
      wide.push(batchOf(query.types, [texts, texts]));
      if (!changelog) wide.watermark(END_OF_INPUT);
      expect(wide.pull(1000, 1)!.length).toBe(1);
      wide.destroy();
    }
  });

  test("state that is not its own, out of order or damaged is refused with nothing changed", () => {
    const query = simple([
      { name: "sum", of: 1 },
      { name: "countDistinct", of: 1 },
    ]);
    const table = simpleTable(100);
    const states = snapshotOf(kernel, query, table);
    const other = open(
      kernel,
      simple([
        { name: "avg", of: 1 },
        { name: "countDistinct", of: 1 },
      ]),
    );
    expect(() => other.merge(states[0]!)).toThrow(CorruptStateError);
    other.destroy();
    const operator = open(kernel, query);
    const used = kernel.usedBytes;
    expect(() => operator.merge(states[1]!)).toThrow(CorruptStateError);
    for (let column = 0; column < 8; column++) {
      const header = states[0]!;
      const damaged = header.columns.map((data, i) =>
        i === column && ![3, 4, 5].includes(i)
          ? { ...data, values: data.values.map((byte) => byte ^ 0x81) }
          : data,
      );
      if ([3, 4, 5].includes(column)) continue;
      expect(() => operator.merge({ ...header, columns: damaged }), `column ${column}`).toThrow(
        CorruptStateError,
      );
    }
    expect(kernel.usedBytes - used).toBeLessThan(600_000);
    const [header, ...rest] = states;
    for (const length of [0, 70_000]) {
      const columns = header!.columns.map((column) => ({
        ...column,
        length,
        values: new Uint8Array(length * 8),
      }));
      expect(() => operator.merge({ ...header!, columns, length })).toThrow(CorruptStateError);
    }
    for (const state of [header!, ...rest]) operator.merge(state);
    expect(multiset(rowsOf(operator.finish()))).toEqual(oracle(query, table));
    operator.destroy();
  });

  test("damaged bytes in a state never trap", () => {
    const query: Query = {
      types: [types.utf8, types.float64, types.decimal(30, 2), types.utf8],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "avg", of: 2 },
        { name: "min", of: 3 },
        { name: "countDistinct", of: 3 },
        { name: "max", of: 1 },
      ],
    };
    const table: Table = [
      Array.from({ length: 60 }, (_, i) => `k${i % 7}`),
      Array.from({ length: 60 }, (_, i) => i * 0.1),
      Array.from({ length: 60 }, (_, i) => BigInt(i) ** 20n),
      Array.from({ length: 60 }, (_, i) => `v${i % 11}`),
    ];
    const states = snapshotOf(kernel, query, table);
    const places = fc.record({
      batch: fc.nat(states.length - 1),
      column: fc.nat(20),
      part: fc.constantFrom("values" as const, "offsets" as const, "validity" as const),
      at: fc.nat(),
      bit: fc.nat(7),
    });
    fc.assert(
      fc.property(places, ({ batch, column, part, at, bit }) => {
        const operator = open(kernel, query);
        try {
          attempt(() => {
            states.forEach((state, i) => {
              operator.merge(i === batch ? damaged(state, { column, part, at, bit }) : state);
            });
            rowsOf(operator.finish());
          });
        } finally {
          operator.destroy();
        }
      }),
      { numRuns: RUNS * 4 },
    );
  });

  test("an unfinished merge blocks everything else, and its release fails the operator", () => {
    const query = simple([{ name: "countDistinct", of: 1 }]);
    const states = snapshotOf(kernel, query, simpleTable(50));
    const operator = open(kernel, query);
    operator.merge(states[0]!);
    expect(() => operator.push(batchOf(query.types, simpleTable(5)))).toThrow();
    expect(() => operator.pull()).toThrow();
    operator.release();
    expect(() => operator.pull()).toThrow(/failed|closed/i);
    operator.destroy();
  });

  test.each([
    ["no rows", 0],
    ["only nulls", 5],
  ])("ungrouped over %s gives one row of null sums and zero counts", (_, rows) => {
    const query = simple(
      [
        { name: "count", of: 1 },
        { name: "sum", of: 1 },
        { name: "min", of: 1 },
        { name: "avg", of: 1 },
      ],
      [],
    );
    const table: Table = [Array(rows).fill(1n), Array(rows).fill(null), Array(rows).fill(true)];
    for (const sizes of [[], [2]])
      expect(runAll(kernel, query, table, sizes)).toEqual(multiset([[0n, null, null, null]]));
  });

  test("a lone 64-bit key equal to the empty marker, zero and null are groups of their own", () => {
    const keys: Value[] = [0n, null, -1n, 0n, 2n ** 63n - 1n, -(2n ** 63n), null, 2n ** 32n - 1n, -1n];
    const query: Query = { types: [types.int64], keys: [0], aggregates: [{ name: "count" }] };
    for (const fault of [0, ALL_FAULTS]) {
      expect(runAll(kernel, { ...query, faults: fault }, [keys], [2, 3])).toEqual(oracle(query, [keys]));
    }
  });

  test("validity bits of packed keys are read at their own offset", () => {
    const bits: Value[] = Array.from({ length: 200 }, (_, i) => (i % 3 === 0 ? null : BigInt(i % 5)));
    const query: Query = {
      types: [types.int32, types.int64, types.int16],
      keys: [0, 1, 2],
      aggregates: [{ name: "count" }],
    };
    const table: Table = [bits, [...bits].reverse(), bits.map((x) => (x === 1n ? null : x))];
    for (const fault of [0, AggregateFault.NO_DIRECT, ALL_FAULTS]) {
      expect(runAll(kernel, { ...query, faults: fault }, table, [7, 13, 64, 1])).toEqual(
        oracle(query, table),
      );
    }
  });

  test("keys that leave the range of the direct tier keep their groups", () => {
    const keys: Value[] = [
      5n,
      6n,
      null,
      5n,
      ...Array.from({ length: 50 }, (_, i) => BigInt(i) * 1_000_003n - 9n),
      6n,
      null,
    ];
    const values: Value[] = keys.map((_, i) => BigInt(i));
    for (const extra of [[], [{ name: "count" } as Aggregate]]) {
      const query: Query = {
        types: [types.int64, types.int32],
        keys: [0],
        aggregates: [{ name: "sum", of: 1 }, ...extra],
      };
      expect(runAll(kernel, query, [keys, values], [2, 2, 10, 40])).toEqual(oracle(query, [keys, values]));
    }
  });

  test("an integer sum that leaves int64 on the way and comes back is right; one that stays out is an error with its value", () => {
    const top = 2n ** 63n - 1n;
    const query: Query = {
      types: [types.int64],
      keys: [],
      aggregates: [{ name: "count" }, { name: "sum", of: 0 }],
    };
    const back: Value[] = [...Array(3000).fill(top), ...Array(3000).fill(-top), 7n];
    expect(runAll(kernel, query, [back], [1000])).toEqual(multiset([[6001n, 7n]]));
    const operator = open(kernel, query);
    pushAll(operator, query, [[top, top, top]]);
    expect(catchError(() => rowsOf(operator.finish()))).toMatchObject({
      code: "OVERFLOW",
      column: "a1",
      value: top * 3n,
    });
    operator.destroy();
  });

  test("decimal sums may pass 10^38 and even 2^127 on the way", () => {
    const top = 10n ** 38n - 1n;
    const query: Query = {
      types: [types.decimal(38, 0)],
      keys: [],
      aggregates: [
        { name: "sum", of: 0 },
        { name: "avg", of: 0 },
      ],
    };
    const values: Value[] = [...Array(2500).fill(top), ...Array(2500).fill(-top), 5n];
    expect(runAll(kernel, query, [values], [])).toEqual(oracle(query, [values]));
    const operator = open(kernel, query);
    pushAll(operator, query, [[top, 1n]]);
    expect(catchError(() => rowsOf(operator.finish()))).toMatchObject({ code: "OVERFLOW", column: "a0" });
    operator.destroy();
  });

  test("exact sums hold past 2^22 rows at the top of their window", () => {
    // 2^22 rows of the largest value that two limbs take, then all but one of them again with the other sign.
    const rows = 65536;
    const value = 2 ** 46 * (2 - 2 ** -52);
    const query: Query = { types: [types.float64], keys: [], aggregates: [{ name: "sum", of: 0 }] };
    const operator = open(kernel, query);
    const up = kernelBatch(query, Array(rows).fill(value));
    const down = kernelBatch(query, Array(rows).fill(-value));
    for (let i = 0; i < 66; i++) operator.push(up);
    for (let i = 0; i < 66; i++) operator.push(down);
    operator.push(kernelBatch(query, [2 ** -40]));
    expect(rowsOf(operator.finish())).toEqual([[2 ** -40]]);
    operator.destroy();
  });

  test("a late batch of another magnitude widens an exact sum", () => {
    const query: Query = {
      types: [types.int32, types.float64],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "avg", of: 1 },
      ],
    };
    const keys: Value[] = Array.from({ length: 600 }, (_, i) => BigInt(i % 3));
    const magnitudes = [1, 2 ** -60, 2 ** 70, 5e-324, 1e308, 2 ** 1023, 1e-200];
    for (const first of magnitudes) {
      for (const late of magnitudes) {
        const values: Value[] = keys.map(
          (_, i) => (i < 300 ? first : i % 7 === 0 ? -late : late) * (1 + (i % 5) / 8),
        );
        const table: Table = [keys, values];
        expect(runAll(kernel, query, table, [100, 200, 150])).toEqual(oracle(query, table));
      }
    }
  });

  test("a push that memory refuses changes nothing and can be repeated", async () => {
    const small = await Kernel.open({ build, budget: 3 * 2 ** 20 });
    const query: Query = { types: [types.int64], keys: [0], aggregates: [{ name: "count" }] };
    const operator = open(small, query);
    let pushed = 0;
    const batch = (i: number) =>
      batchOf(query.types, [Array.from({ length: 5000 }, (_, row) => BigInt(i * 5000 + row) * 7919n)]);
    expect(() => {
      for (; ; pushed++) operator.push(batch(pushed));
    }).toThrow(MemoryLimitError);
    expect(pushed).toBeGreaterThan(3);
    expect(() => operator.push(batch(pushed))).toThrow(MemoryLimitError);
    const rows = rowsOf(operator.finish(100));
    expect(rows.length).toBe(pushed * 5000);
    expect(rows.every((row) => row[1] === 1n)).toBe(true);
    operator.destroy();
    small.close();
  });

  test.each<[string, (row: number) => bigint]>([
    ["new keys in the hash tier", (row) => BigInt(row) * 7919n * 7919n],
    [
      "keys that leave the direct tier late",
      (row) => (row < 5000 ? BigInt(row % 100) : BigInt(row) * 1000003n),
    ],
  ])("memory that would end within a batch refuses it before its first row: %s", (_name, key) => {
    const rows = 12_000;
    const query: Query = {
      types: [types.int64, types.int64, types.float64, types.utf8],
      keys: [0],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "avg", of: 2 },
        { name: "count", of: 1 },
        { name: "countDistinct", of: 3 },
        { name: "max", of: 3 },
      ],
    };
    const table: Table = [
      Array.from({ length: rows }, (_, row) => key(row)),
      Array.from({ length: rows }, (_, row) =>
        row > 9000 && row % 3 === 0 ? null : BigInt(row) * (row < 8000 ? 1n : 3n ** 25n),
      ),
      Array.from({ length: rows }, (_, row) => (row < 6000 ? row : row * 2 ** 40)),
      Array.from({ length: rows }, (_, row) => `t${row * row}`),
    ];
    const first = batchOf(query.types, [[5n], [1n], [1], ["q"]]);
    const batch = batchOf(query.types, table);
    const wanted = oracle(query, [
      [5n, ...table[0]!],
      [1n, ...table[1]!],
      [1, ...table[2]!],
      ["q", ...table[3]!],
    ]);
    const budget = kernel.budgetBytes;
    let refused = 0;
    for (let extra = 0; ; extra += 2 ** 18) {
      const operator = open(kernel, query);
      operator.push(first);
      kernel.setBudget(kernel.usedBytes + extra);
      const failure = catchError(() => operator.push(batch));
      kernel.setBudget(budget);
      if (failure !== null) {
        expect(failure).toBeInstanceOf(MemoryLimitError);
        operator.push(batch);
        refused++;
      }
      if (failure === null || refused % 6 === 0) expect(multiset(rowsOf(operator.finish()))).toEqual(wanted);
      operator.destroy();
      if (failure === null) break;
    }
    expect(refused).toBeGreaterThan(10);
  });

  test("an empty text that comes first needs no room, and memory that ends there changes nothing", () => {
    const columns = [types.dictionary(types.utf8, types.int16)];
    const aggregates: Aggregate[] = [
      { name: "quantileDisc", of: 0, p: 0.5 },
      { name: "countDistinct", of: 0 },
      { name: "max", of: 0 },
    ];
    const budget = kernel.budgetBytes;
    let refused = 0;
    for (const aggregate of aggregates) {
      for (let bytes = 0; bytes < 32_768; bytes += 512) {
        const operator = open(kernel, { types: columns, keys: [0], aggregates: [aggregate] });
        const batch = operator.stage(batchOf(columns, [[""]]));
        kernel.setBudget(kernel.usedBytes + bytes);
        try {
          operator.push(batch, 0, 1);
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          refused++;
        }
        kernel.setBudget(budget);
        operator.push(batch, 0, 1);
        expect(rowsOf(operator.finish())).toHaveLength(1);
        operator.destroy();
      }
    }
    expect(refused).toBeGreaterThan(20);
  });

  test("min and max of texts do not hoard the texts that they replace", () => {
    const query: Query = { types: [types.utf8], keys: [], aggregates: [{ name: "max", of: 0 }] };
    const operator = open(kernel, query);
    const text = (i: number) => String(i).padStart(8, "0") + "x".repeat(i % 1000);
    for (let start = 0; start < 40_000; start += 1000) {
      const batch = batchOf(query.types, [Array.from({ length: 1000 }, (_, i) => text(start + i))]);
      // Without memory for what is left, what is given up stays for another push.
      kernel.failAllocation(1 + ((start / 1000) % 4));
      const refused = attempt(() => operator.push(batch)) === null;
      kernel.failAllocation(0);
      if (refused) operator.push(batch);
    }
    expect(operator.stats().stateBytes).toBeLessThan(5_000_000);
    expect(rowsOf(operator.finish())).toEqual([[text(39_999)]]);
    operator.destroy();
  });

  test("256 aggregates are taken, saved and restored; one more is refused by name", () => {
    const query = (count: number): Query => ({
      types: [types.int32, types.decimal(20, 2), types.bool, types.int64],
      keys: [0],
      // Sums over every combination of argument and filter first, then averages that need counts as well.
      aggregates: Array.from({ length: count }, (_, i) => ({
        name: i % 2 === 0 ? "sum" : "avg",
        of: i % 4 < 2 ? 1 : 3,
        filter: i % 8 < 4 ? 2 : undefined,
      })),
    });
    const table: Table = [
      [1n, 2n],
      [10n, 20n],
      [true, true],
      [3n, 4n],
    ];
    const whole = open(kernel, query(256));
    for (const state of snapshotOf(kernel, query(256), table)) whole.merge(state);
    expect(multiset(rowsOf(whole.finish()))).toEqual(oracle(query(256), table));
    whole.destroy();
    expect(() => open(kernel, query(257))).toThrow(/at most 32 and 256/);
  });

  test("a configuration that does not add up is refused", () => {
    const query = simple([{ name: "sum", of: 1 }]);
    const before = [kernel.usedBytes, kernel.blocks];
    expect(() =>
      open(kernel, { ...query, keys: [0], aggregates: [{ name: "sum", of: 1, filter: 0 }] }),
    ).toThrow(MillraceError);
    expect(() => open(kernel, { ...query, aggregates: [{ name: "sum", of: 1, fast: true }] })).toThrow(
      MillraceError,
    );
    expect([kernel.usedBytes, kernel.blocks]).toEqual(before);
  });
});

// Addresses past 2 GiB are negative to a signed comparison or a sign-extending conversion.
describe.each([
  ["simd", 0x7fff_8000],
  ["simd", 0x9000_0040],
  ["scalar", 0x9000_0040],
  ["threads", 0x7fe0_0000],
] as const)("hash aggregation, %s build, root block at %i", async (build, base) => {
  const kernel = await Kernel.open({ build, base });

  test("pushes, states and merges agree with the twin", () => {
    fc.assert(
      fc.property(cases, splits, faults, ({ query, table }, sizes, fault) => {
        const wanted = oracle(query, table);
        const part = open(kernel, { ...query, faults: fault });
        pushAll(part, query, table, sizes);
        const states = [...part.snapshot(17)];
        expect(outcome(() => rowsOf(part.finish(13)))).toEqual(wanted);
        part.destroy();
        const whole = open(kernel, query);
        for (const state of states) whole.merge(state);
        expect(outcome(() => rowsOf(whole.finish()))).toEqual(wanted);
        whole.destroy();
      }),
      { numRuns: 60 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("tables, arenas and arrays grow there as anywhere", () => {
    const rows = 60_000;
    const query: Query = {
      types: [types.utf8, types.float64, types.int64],
      keys: [0, 2],
      aggregates: [
        { name: "sum", of: 1 },
        { name: "max", of: 0 },
        { name: "countDistinct", of: 0 },
        { name: "min", of: 2 },
      ],
    };
    const table: Table = [
      Array.from({ length: rows }, (_, i) => (i % 97 === 0 ? null : `text ${i % 20_000}`)),
      Array.from({ length: rows }, (_, i) => i / 3),
      Array.from({ length: rows }, (_, i) => BigInt(i % 3) * 10n ** 12n),
    ];
    expect(runAll(kernel, query, table, [25_000, 10_000])).toEqual(oracle(query, table));
    expect(kernel.blocks).toBeLessThan(8);
  });
});

// ---- helpers of these tests alone

function simple(aggregates: readonly Aggregate[], keys: readonly number[] = [0]): Query {
  return { types: [types.int32, types.int64, types.bool], keys, aggregates };
}

function simpleTable(rows: number): Table {
  return [
    Array.from({ length: rows }, (_, i) => BigInt(i % 7)),
    Array.from({ length: rows }, (_, i) => BigInt(i % 13)),
    Array.from({ length: rows }, (_, i) => i % 2 === 0),
  ];
}

function kernelBatch(query: Query, values: readonly Value[]) {
  return batchOf(query.types, [values]);
}

function snapshotOf(kernel: Kernel, query: Query, table: Table): StateBatch[] {
  const operator = open(kernel, query);
  pushAll(operator, query, table);
  const states = [...operator.snapshot()];
  operator.destroy();
  return states;
}

function catchError(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return null;
}

/** Applies a changelog to a multiset, checking each change against it. */
function consolidate(
  operator: ReturnType<typeof open>,
  query: Query,
  table: Table,
  sizes: readonly number[],
  maxRows: number,
): Value[][] {
  const rows = new Map<string, Value[]>();
  const apply = (changes: Value[][]) => {
    changes.forEach((change, i) => {
      const kind = Number(change.at(-1));
      const row = change.slice(0, -1);
      const name = multiset([row])[0]!;
      if (kind === RowKind.UPDATE_BEFORE) {
        expect(rows.delete(name)).toBe(true);
        const next = changes[i + 1];
        if (next !== undefined) expect(Number(next.at(-1))).toBe(RowKind.UPDATE_AFTER);
        if (next !== undefined) expect(multiset([next.slice(0, -1)])[0]).not.toBe(name);
      } else {
        expect(rows.has(name)).toBe(false);
        rows.set(name, row);
      }
    });
  };
  const drain = () => {
    const changes: Value[][] = [];
    for (let batch = operator.pull(maxRows); batch !== null; batch = operator.pull(maxRows)) {
      expect(batch.length).toBeLessThanOrEqual(Math.max(1, maxRows));
      changes.push(...rowsOf([batch]));
    }
    apply(changes);
  };
  const count = table[0]!.length;
  for (let start = 0, i = 0; start < count; i++) {
    const end = Math.min(count, start + (sizes[i] ?? 30));
    operator.push(batchOf(query.types, slice(table, start, end)));
    drain();
    start = end;
  }
  apply(rowsOf(operator.finish(maxRows)));
  return [...rows.values()];
}
