// Keys in one word (packing.ts), beside the twin: with few groups when it begins, and no bit to spare, so that many keys have
// no place in theirs, and soon too many.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asDraining, asShared } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import {
  bool,
  type DataType,
  date32,
  dictionary,
  float32,
  int8,
  int32,
  int64,
  uint32,
  uint64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { ClosedError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  expected,
  multiset,
  openAs,
  pushAll,
  type Query,
  rowsOf,
  slice,
  type Table,
} from "../operator/testing.js";
import { hasFailed, Retries, SMALL_TOO } from "../operator/testing-retries.js";

/** A key: its type, how far its values lie from each other at first, and where, and what comes seldom. */
interface Key {
  readonly type: DataType;
  readonly spread: number;
  readonly from: bigint;
  readonly far: readonly bigint[];
}

const signed = (bits: bigint): bigint[] => [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n, 0n, -1n];
const unsigned = (bits: bigint): bigint[] => [0n, (1n << bits) - 1n, 1n << (bits - 1n)];
const KINDS: readonly { type: DataType; from: readonly bigint[]; far: readonly bigint[] }[] = [
  { type: int32, from: [0n, 5n, -7n, -(2n ** 31n)], far: signed(32n) },
  { type: int64, from: [0n, 2n ** 40n, -(2n ** 63n), 2n ** 62n], far: signed(64n) },
  { type: uint32, from: [0n, 2n ** 31n - 3n, 2n ** 32n - 40n], far: unsigned(32n) },
  { type: uint64, from: [0n, 2n ** 63n - 3n], far: unsigned(64n) },
  { type: int8, from: [-20n], far: signed(8n) },
  { type: date32, from: [19_000n], far: [0n, -3n] },
  { type: utf8, from: [0n], far: [99n, 1000n] },
  { type: dictionary(utf8, int32), from: [0n], far: [99n, 1000n] },
  { type: bool, from: [0n], far: [1n] },
  { type: float32, from: [0n], far: [77n] },
];

const key: fc.Arbitrary<Key> = fc
  .record({ kind: fc.constantFrom(...KINDS), spread: fc.constantFrom(1, 2, 5, 30), at: fc.nat(3) })
  .map(({ kind: { type, from, far }, spread, at }) => ({ type, spread, from: from[at % from.length]!, far }));

function drawn({ type, from, spread, far }: Key, draw: number, isFar: boolean): Value {
  const number = isFar ? far[draw % far.length]! : from + BigInt(draw % spread);
  if (type.kind === "bool") return number % 2n !== 0n;
  if (type.kind === "float") return [0, -0, 1.5, Number.NaN][Number(number % 4n)]!;
  return type === utf8 || type.kind === "dictionary" ? `text ${number}` : number;
}

interface Case {
  readonly query: Query;
  readonly table: Table;
  readonly cuts: number[];
}

const cases: fc.Arbitrary<Case> = fc
  .record({
    keys: fc.array(key, { minLength: 2, maxLength: 4 }),
    // Of so many rows one has a key that is far, or null.
    seldom: fc.constantFrom(2, 9, 40, 1000),
    draws: fc.array(fc.nat({ max: 99_999 }), { minLength: 40, maxLength: 260 }),
    cuts: fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 6 }),
    faults: fc.constantFrom(0, AggregateFault.TINY_TABLES, AggregateFault.HASH_ZERO),
  })
  .map(({ keys, seldom, draws, cuts, faults }) => {
    const types = [...keys.map(({ type }) => type), int64];
    const columns = keys.map((key, index) =>
      draws.map((draw, row): Value => {
        const other = Math.floor(draw / (7 * index + 3)) + row;
        // The first rows say what range there is.
        const isOdd = row > 20 && (draw + index * 3) % seldom === 0;
        return isOdd && draw % 3 === 0 ? null : drawn(key, other, isOdd);
      }),
    );
    const aggregates: Query["aggregates"] = [{ name: "count" }, { name: "sum", of: keys.length }];
    const table = [...columns, draws.map((draw): Value => (draw % 11 === 0 ? null : BigInt(draw)))];
    const aside = AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT | faults;
    return { query: { types, keys: keys.map((_, index) => index), aggregates, faults: aside }, table, cuts };
  });

describe.each(BUILDS)("keys in one word, %s build", (build) => {
  test("agree with the twin, whatever comes", async () => {
    const kernel = await Kernel.open({ build });
    fc.assert(
      fc.property(cases, fc.constantFrom(1, 7, 65_536), ({ query, table, cuts }, maxRows) => {
        const operator = openAs(kernel, query, asDraining);
        pushAll(operator, query, table, [20, ...cuts]);
        expect(multiset(rowsOf(operator.finish(maxRows)))).toEqual(multiset(expected(query, table)));
        operator.destroy();
      }),
      { numRuns: 150 },
    );
  });

  test("are keys of several columns again for whoever saves, merges or brings together", async () => {
    const kernel = await Kernel.open({ build });
    fc.assert(
      fc.property(cases, fc.nat(2), fc.boolean(), ({ query, table, cuts }, how, goesOn) => {
        const rows = table[0]!.length;
        const [first, second] = [Math.floor(rows / 3), Math.floor((2 * rows) / 3)];
        const operators = [0, 1].map(() => openAs(kernel, query, asDraining));
        const [whole, part] = operators as [Operator, Operator];
        pushAll(whole, query, slice(table, 0, first), [20, ...cuts]);
        pushAll(part, query, slice(table, first, second), cuts);
        if (how === 0) for (const state of part.snapshot(30)) whole.merge(state);
        else if (how === 1) for (const _ of whole.absorb(part));
        else for (const state of part.snapshotParts(4, 30)) whole.merge(state);
        const rest = slice(table, second, rows);
        if (goesOn) pushAll(whole, query, rest, cuts);
        else {
          const other = openAs(kernel, query, asDraining);
          operators.push(other);
          pushAll(other, query, rest, cuts);
          for (const state of whole.snapshot(30)) other.merge(state);
        }
        const results = (goesOn ? whole : operators[2]!).finish(50);
        expect(multiset(rowsOf(results))).toEqual(multiset(expected(query, table)));
        for (const operator of operators) operator.destroy();
      }),
      { numRuns: 100 },
    );
  });

  test("mean the same in operators that share rows, and come together by parts", async () => {
    const kernel = await Kernel.open({ build });
    let [packed, alike] = [0, 0];
    fc.assert(
      fc.property(cases, fc.nat(2), fc.boolean(), ({ query, table, cuts }, early, drains) => {
        const rows = table[0]!.length;
        const data = batchOf(query.types, table);
        const operators = [0, 1, 2, 3].map(() => openAs(kernel, { ...query, seed: 20201111 }, asShared));
        const [first, ...others] = operators as [Operator, ...Operator[]];
        first.push(data, 0, 21);
        const packs = first.pack();
        for (const other of others) expect(other.pack(first)).toBe(packs);
        let start = 21;
        for (let at = 0; start < rows; at++) {
          const some = Math.min(rows - start, 1 + ((cuts[at % (cuts.length + 1)] ?? 29) % 60));
          // The last one has no rows.
          operators[at % 3]!.push(data, start, some);
          start += some;
        }
        const shares = operators.every((other) => first.sharesTexts(other));
        for (const source of operators) source.divide(256, shares ? first : null);
        const targets = [0, 1].map(() =>
          openAs(kernel, { ...query, seed: 20201111 }, drains ? asDraining : asShared),
        );
        const results: Value[][] = [];
        const order = Array.from({ length: 256 }, (_, part) => (early === 0 ? part : 255 - part));
        for (const part of order) {
          const target = targets[part % 2]!;
          for (const source of operators) target.combinePart(source, part);
          for (let batch = target.pull(5); batch !== null; batch = target.pull(5))
            results.push(...rowsOf([batch]));
        }
        for (const target of targets) results.push(...rowsOf(target.finish(50)));
        expect(multiset(results)).toEqual(multiset(expected(query, table)));
        for (const operator of [...operators, ...targets]) operator.destroy();
        packed += packs ? 1 : 0;
        alike += packs && shares ? 1 : 0;
      }),
      { numRuns: 200 },
    );
    expect(packed).toBeGreaterThan(50);
    expect(alike).toBeGreaterThan(25);
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("of operators that share rows: alike before the first of them, not after that, and not of other keys", async () => {
    const kernel = await Kernel.open({ build });
    const aside = AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT;
    const query = (keys: number[], types: DataType[] = [int32, int64]): Query => ({
      types,
      keys,
      aggregates: [{ name: "count" }],
      faults: aside,
    });
    const table: Table = [
      Array.from({ length: 60 }, (_, row) => BigInt(row % 20)),
      Array.from({ length: 60 }, (_, row) => BigInt(row)),
    ];
    const make = (of: Query) => openAs(kernel, of, asShared);
    const [first, late, other, lone, texts] = [
      make(query([0, 1])),
      make(query([0, 1])),
      make(query([1, 0])),
      make(query([1])),
      make(query([0, 1], [utf8, int64])),
    ];
    // Nothing is set aside yet.
    expect(first.pack()).toBe(false);
    expect(late.pack(first)).toBe(false);
    pushAll(first, query([0, 1]), slice(table, 0, 20), []);
    for (const _ of [1, 2]) expect(first.pack()).toBe(true);
    expect(() => other.pack(first)).toThrow(/configuration/);
    pushAll(late, query([0, 1]), slice(table, 0, 20), []);
    expect(() => late.pack(first)).toThrow();
    // Its words are its own.
    expect(late.pack()).toBe(true);
    pushAll(lone, query([1]), table, [20]);
    // One key has nothing to share a word with.
    expect(lone.pack()).toBe(false);
    const named: Table = [table[0]!.map((value) => `text ${value}`), table[1]!];
    pushAll(texts, query([0, 1], [utf8, int64]), named, [20]);
    expect(texts.pack()).toBe(false);
    for (const operator of [first, late, other, lone, texts]) operator.destroy();
  });

  test("of operators that share rows: an allocation that fails changes nothing, or is an error", async () => {
    const kernel = await Kernel.open({ build });
    const rows = 300;
    const table: Table = [
      Array.from({ length: rows }, (_, row) => BigInt(row % 40)),
      Array.from({ length: rows }, (_, row) => (row % 40 === 39 ? null : BigInt(row % 50))),
      Array.from({ length: rows }, (_, row) => `text ${row % 20}`),
    ];
    const query: Query = {
      types: [int32, int64, dictionary(utf8, int32)],
      keys: [0, 1, 2],
      aggregates: [{ name: "count" }],
      faults: AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT | AggregateFault.TINY_TABLES,
    };
    const wanted = multiset(expected(query, table));
    const data = batchOf(query.types, table);
    let [failures, passed] = [0, 0];
    for (let nth = 1, isOver = false; !isOver; nth++) {
      const operators = [0, 1].map(() => openAs(kernel, query, asShared)) as [Operator, Operator];
      const target = openAs(kernel, query, asDraining);
      const [first, second] = operators;
      const retries = new Retries(kernel);
      first.push(data, 0, 60);
      kernel.failAllocation((nth | SMALL_TOO) >>> 0);
      try {
        first.pack();
        retries.again(() => second.pack(first));
        retries.again(() => second.push(data, 60, 120));
        retries.again(() => first.push(data, 180, 120));
        const leads = first.sharesTexts(second) && first.sharesTexts(first);
        for (const source of operators) retries.again(() => source.divide(256, leads ? first : null));
        for (let part = 0; part < 256; part++)
          for (const source of operators) target.combinePart(source, part);
        isOver = !hasFailed(kernel);
        kernel.failAllocation(0);
        expect([nth, multiset(rowsOf(target.finish()))]).toEqual([nth, wanted]);
        passed++;
      } catch (error) {
        const isShort = error instanceof MemoryLimitError || error instanceof ClosedError;
        if (!isShort) throw error;
        failures++;
      }
      kernel.failAllocation(0);
      for (const operator of [...operators, target]) operator.destroy();
      expect(kernel.blocks).toBeLessThan(8);
    }
    expect(failures).toBeGreaterThan(3);
    expect(passed).toBeGreaterThan(3);
  });

  test("a push for which an allocation fails is made again", async () => {
    const kernel = await Kernel.open({ build });
    const rows = 240;
    const column = (value: (row: number) => Value) => Array.from({ length: rows }, (_, row) => value(row));
    const table: Table = [
      column((row) => BigInt(row % 30)),
      column((row) => (row > 150 ? BigInt(row) * 2n ** 40n : BigInt(row % 50))),
      column((row) => (row % 60 === 59 ? null : `text ${row % 20}`)),
      column((row) => BigInt(row)),
    ];
    const query: Query = {
      types: [int32, int64, utf8, int64],
      keys: [0, 1, 2],
      aggregates: [{ name: "count" }, { name: "sum", of: 3 }],
      faults: AggregateFault.SET_ASIDE | AggregateFault.NO_DIRECT | AggregateFault.TINY_TABLES,
    };
    const wanted = multiset(expected(query, table));
    const batches = [0, 40, 80, 120, 160, 200].map((from) =>
      batchOf(query.types, slice(table, from, from + 40)),
    );
    let failures = 0;
    let ends = 0;
    for (let nth = 1, isOver = false; !isOver; nth++) {
      const operator = openAs(kernel, query, asDraining);
      const retries = new Retries(kernel);
      kernel.failAllocation((nth | SMALL_TOO) >>> 0);
      try {
        for (const batch of batches) retries.again(() => operator.push(batch));
        isOver = !hasFailed(kernel);
        kernel.failAllocation(0);
        expect([nth, multiset(rowsOf(operator.finish()))]).toEqual([nth, wanted]);
      } catch (error) {
        // In the midst of a push small pieces are not to be had without failing for good.
        expect(error).toBeInstanceOf(ClosedError);
        ends++;
      }
      kernel.failAllocation(0);
      failures += retries.failures;
      operator.destroy();
    }
    expect(failures).toBeGreaterThan(10);
    expect(ends).toBeLessThan(3);
  });
});
