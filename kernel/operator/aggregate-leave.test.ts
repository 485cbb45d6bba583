// Rows that leave as they were set aside, and states beside them: the pieces of each partition, brought together in another
// operator, are all that there was.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asLeaving, encodeAggregateConfig } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { PartitionedState } from "../../bindings/ts/kernel/state.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ClosedError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault, OperatorKind } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  cases,
  expected,
  multiset,
  outcome,
  pushAll,
  type Query,
  rowsOf,
  slice,
  specOf,
  type Table,
} from "./testing.js";

const PARTITIONS = 256;
/** Bit 30 of `mem_fail`. */
const LASTING = 1 << 30;

type Waiting = Parameters<typeof asLeaving>[1];

/** Rows that have left, copied. */
interface Left {
  readonly rows: number;
  readonly bytes: Uint8Array;
  readonly partition: number;
  readonly reduces: boolean;
}

interface Pieces {
  readonly states: PartitionedState[];
  readonly rows: Left[];
}

function open(kernel: Kernel, query: Query, waiting: Waiting): Operator {
  const spec = specOf(query);
  return kernel.operator({
    kind: OperatorKind.HASH_AGGREGATE,
    config: asLeaving(encodeAggregateConfig(spec), waiting),
    columns: spec.columns,
    output: spec.output,
  });
}

const leave = (operator: Operator): Left[] =>
  Array.from(operator.rowsOut(), (piece) => ({ ...piece, bytes: piece.bytes.slice() }));

function piecesOf(operator: Operator, parts: number, maxRows?: number): Pieces {
  return { states: [...operator.snapshotParts(parts, maxRows)], rows: leave(operator) };
}

/** Lets rows come back from a block of their own. */
function takeIn(kernel: Kernel, operator: Operator, rows: readonly Left[]): void {
  const total = rows.reduce((sum, piece) => sum + piece.rows, 0);
  for (const { bytes, partition, rows: count } of rows) {
    const room = kernel.allocate(bytes.length);
    try {
      kernel.memory.bytes.set(bytes, room);
      operator.rowsIn(room, count, partition, count, total);
    } finally {
      kernel.free(room);
    }
  }
}

/** The results of each part, in an operator that has nothing else. */
function together(kernel: Kernel, query: Query, pieces: readonly Pieces[], parts: number): Value[][] {
  const states = pieces.flatMap((piece) => piece.states);
  const rows = pieces.flatMap((piece) => piece.rows);
  const results: Value[][] = [];
  for (let part = 0; part < parts; part++) {
    const own = states.filter(({ partition }) => partition === part);
    const waiting = rows.filter(({ partition }) => Math.floor((partition * parts) / PARTITIONS) === part);
    if (own.length + waiting.length === 0) continue;
    const operator = open(kernel, query, null);
    try {
      if (part % 2 === 0) takeIn(kernel, operator, waiting);
      for (const state of own) operator.merge(state);
      if (part % 2 === 1) takeIn(kernel, operator, waiting);
      results.push(...rowsOf(operator.finish()));
    } finally {
      operator.destroy();
    }
  }
  return results;
}

const faults = fc.constantFrom(
  AggregateFault.NONE,
  AggregateFault.HASH_ZERO | AggregateFault.NO_DIRECT,
  AggregateFault.SET_ASIDE | AggregateFault.TINY_TABLES | AggregateFault.NO_DIRECT,
);
const keyed = cases.filter(({ query }) => query.keys.length > 0);

describe.each(BUILDS)("rows that leave, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("come together with states, partition by partition, to the results of the whole", () => {
    let rowsLeft = 0;
    fc.assert(
      fc.property(
        keyed,
        fc.constantFrom(1, 7, 64, 256),
        faults,
        fc.array(fc.constantFrom<Waiting>("aside", "saved", null), { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 40 }),
        ({ query, table }, parts, fault, waitings, maxRows) => {
          const rows = table[0]!.length;
          const pieces = waitings.map((waiting, index) => {
            const operator = open(kernel, { ...query, faults: fault }, waiting);
            const [from, to] = [index, index + 1].map((at) => Math.floor((rows * at) / waitings.length));
            pushAll(operator, query, slice(table, from!, to!), [17]);
            // It goes on as if nothing had left, and may have ended as long as nothing has been pulled.
            const once = piecesOf(operator, parts, maxRows);
            operator.watermark(END_OF_INPUT);
            expect(piecesOf(operator, parts, maxRows)).toEqual(once);
            operator.destroy();
            return once;
          });
          rowsLeft += pieces.flatMap((piece) => piece.rows).length;
          const got = outcome(() => multiset(together(kernel, query, pieces, parts)));
          expect(got).toEqual(outcome(() => multiset(expected(query, table))));
        },
      ),
      { numRuns: 200 },
    );
    expect(rowsLeft).toBeGreaterThan(100);
    expect(kernel.blocks).toBeLessThan(8);
  });

  const query: Query = {
    types: [types.int64, types.float64, types.int32],
    keys: [0],
    aggregates: [{ name: "count" }, { name: "sum", of: 1 }, { name: "max", of: 2 }],
  };
  const ROWS = 20_000;
  const table = (key: (row: number) => bigint | null): Table => [
    Array.from({ length: ROWS }, (_, row) => key(row)),
    Array.from({ length: ROWS }, (_, row) => (row % 7 === 0 ? null : row / 3)),
    Array.from({ length: ROWS }, (_, row) => BigInt(row % 100) - 50n),
  ];
  const distinct = table((row) => (row === 5 || row === 12_345 ? null : BigInt(row) * 1_000_003n));

  function filled(of: Table): Operator {
    const operator = open(kernel, query, "aside");
    pushAll(operator, query, of, [5000]);
    return operator;
  }

  test("results are there without their having left", () => {
    const operator = filled(distinct);
    expect(operator.stats().groups).toBe(0);
    expect(leave(operator).reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS);
    expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, distinct)));
    operator.destroy();
  });

  test("a whole state has them, too", () => {
    const operator = filled(distinct);
    const states = [...operator.snapshot()];
    expect(leave(operator)).toEqual([]);
    const other = open(kernel, query, null);
    for (const state of states) other.merge(state);
    expect(multiset(rowsOf(other.finish()))).toEqual(multiset(expected(query, distinct)));
    other.destroy();
    operator.destroy();
  });

  test.each<[string, (row: number) => bigint | null, boolean]>([
    ["each key once", (row) => BigInt(row) * 1_000_003n, false],
    ["each key twice", (row) => BigInt(row >> 1) * 1_000_003n, false],
    ["each key ten times", (row) => BigInt(row % 2000) * 1_000_003n, true],
    ["three keys", (row) => BigInt(row % 3), true],
    ["one key for most rows", (row) => (row % 10 === 0 ? BigInt(row) : 7n), true],
    ["hardly any key", (row) => (row % 10 === 0 ? BigInt(row) : null), true],
  ])("tell whether they reduce: %s", (_what, key, reduces) => {
    const operator = filled(table(key));
    const left = leave(operator);
    expect(new Set(left.map((piece) => piece.reduces))).toEqual(new Set([reduces]));
    operator.destroy();
  });

  test("leave without memory, and are given up half-way", () => {
    const operator = filled(distinct);
    kernel.failAllocation(1);
    const once = leave(operator);
    for (const { rows, partition } of operator.rowsOut()) {
      expect([rows, partition]).toEqual([once[0]!.rows, once[0]!.partition]);
      break;
    }
    kernel.failAllocation(0);
    expect(once.length).toBeGreaterThan(200);
    operator.push(batchOf(query.types, slice(distinct, 0, 1)));
    expect(leave(operator).reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS + 1);
    operator.destroy();
  });

  test.each([
    ["saved", true],
    [null, false],
  ] as const)("as many wait as memory takes, %s: a whole state can be taken then: %s", (waiting, fits) => {
    const operator = open(kernel, query, waiting);
    const { usedBytes, budgetBytes } = kernel;
    kernel.setBudget(usedBytes + 96 * 2 ** 20);
    let rows = 0;
    const many = (row: number) => BigInt(row) * 1_000_003n;
    const push = () => {
      const some = Array.from({ length: 50_000 }, (_, row) => rows + row);
      const [x, n] = [some.map((row) => row / 3), some.map((row) => BigInt(row % 100))];
      operator.push(batchOf(query.types, [some.map(many), x, n]));
      rows += 50_000;
    };
    expect(() => {
      for (;;) push();
    }).toThrow(MemoryLimitError);
    // Some is kept for what leaves.
    kernel.setBudget(usedBytes + 108 * 2 ** 20);
    let saved = 0;
    const save = () => {
      for (const state of operator.snapshot()) if (state.section === 1) saved += state.length;
    };
    if (fits) save();
    else expect(save).toThrow(MemoryLimitError);
    kernel.setBudget(budgetBytes);
    expect(rows).toBeGreaterThan(50_000);
    if (fits) expect(saved).toBe(rows);
    operator.destroy();
  });

  test("where there is no room to set any aside they are looked up", () => {
    const operator = open(kernel, query, "aside");
    const { usedBytes, budgetBytes } = kernel;
    kernel.setBudget(usedBytes + 2 ** 20);
    pushAll(operator, query, slice(distinct, 0, 2000), [2000]);
    kernel.setBudget(budgetBytes);
    expect(operator.stats().groups).toBe(2000);
    expect(leave(operator)).toEqual([]);
    operator.destroy();
  });

  test("each allocation fails in turn as they come back", () => {
    const source = filled(distinct);
    const left = leave(source);
    source.destroy();
    const wanted = multiset(expected(query, distinct));
    const before = kernel.usedBytes;
    let failures = 0;
    for (let nth = 1, refused = true; refused; nth++) {
      const operator = open(kernel, query, null);
      const room = kernel.allocate(2 ** 16);
      // And all that follow.
      kernel.failAllocation(nth | LASTING);
      refused = false;
      try {
        for (const { bytes, partition, rows } of left) {
          kernel.memory.bytes.set(bytes, room);
          operator.rowsIn(room, rows, partition, rows, ROWS);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        refused = true;
        failures++;
      }
      kernel.failAllocation(0);
      if (!refused) expect(multiset(rowsOf(operator.finish()))).toEqual(wanted);
      else if (operator.hasFailed) expect(() => operator.watermark(END_OF_INPUT)).toThrow(ClosedError);
      operator.destroy();
      kernel.free(room);
    }
    expect(failures).toBeGreaterThan(3);
    expect(kernel.usedBytes).toBe(before);
  });
});
