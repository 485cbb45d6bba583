// Taking rows back: whatever comes and goes, in any order and in any parts, the results are those of the rest.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { type AggregateName, takesRowsBack } from "../../bindings/ts/type/aggregate.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ArgumentError, CorruptStateError, RetractionError } from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { AggregateFault, RowKind } from "../abi/operator.js";
import {
  BUILDS,
  batchOf,
  cases,
  expected,
  multiset,
  open,
  outcome,
  pushAll,
  type Query,
  rowsOf,
  slice,
  specOf,
  type Table,
  valuesOf,
} from "./testing.js";

const faults = fc.constantFrom(
  AggregateFault.NONE,
  AggregateFault.HASH_ZERO | AggregateFault.TINY_TABLES,
  AggregateFault.NORMALISE_ALWAYS,
);

const resultOf = (run: () => Value[][]) => outcome(() => multiset(run()));

/**
 * A changelog of a table: each row comes, those below `taken` go again, and come once more where `back` says so;
 * `order` decides who is next. The last column is the row kind.
 */
function changelogOf(table: Table, taken: number, order: readonly number[]): { log: Table; rest: Table } {
  const rows = table[0]!.length;
  const fate = Array.from({ length: rows }, (_, row) => {
    const kinds: number[] = [row % 3 === 0 ? RowKind.UPDATE_AFTER : RowKind.INSERT];
    if (row < taken) kinds.push(row % 2 === 0 ? RowKind.DELETE : RowKind.UPDATE_BEFORE);
    if (row < taken && row % 5 === 0) kinds.push(RowKind.INSERT);
    return { row, kinds };
  });
  const events: [number, number][] = [];
  const left = [...fate];
  for (let turn = 0; left.length > 0; turn++) {
    const at = (order[turn % Math.max(1, order.length)] ?? 0) % left.length;
    const { row, kinds } = left[at]!;
    events.push([row, kinds.shift()!]);
    if (kinds.length === 0) left.splice(at, 1);
  }
  const log = [
    ...table.map((column) => events.map(([row]) => column[row]!)),
    events.map(([, kind]): Value => BigInt(kind)),
  ];
  const stays = (row: number) => row >= taken || row % 5 === 0;
  return { log, rest: table.map((column) => column.filter((_, row) => stays(row))) };
}

const retracting = (query: Query, more: Partial<Query> = {}): Query => ({
  ...query,
  types: [...query.types, types.int8],
  kind: query.types.length,
  ...more,
});

/** Of the aggregates of one column those that take rows back, and a count. */
const retractable = cases.map(({ query, table }) => ({
  query: {
    ...query,
    aggregates: [
      { name: "count" } as const,
      ...query.aggregates.filter(({ name, second }) => takesRowsBack(name) && second === undefined),
    ],
  },
  table,
}));

const logs = fc.record({
  share: fc.constantFrom(0, 0.3, 0.7, 1),
  order: fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 }),
  sizes: fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 10 }),
});

const MOMENTS: AggregateName[] = [
  "variance",
  "stddevPop",
  "skewness",
  "kurtosis",
  "avg",
  "sum",
  "min",
  "max",
];

describe.each(BUILDS)("retraction, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("what is taken back might as well not have come", () => {
    fc.assert(
      fc.property(retractable, logs, faults, ({ query, table }, { share, order, sizes }, fault) => {
        const { log, rest } = changelogOf(table, Math.floor(table[0]!.length * share), order);
        const asked = retracting(query, { faults: fault });
        const operator = open(kernel, asked);
        try {
          const got = resultOf(() => {
            pushAll(operator, asked, log, sizes);
            return rowsOf(operator.finish(sizes[0]));
          });
          expect(got).toEqual(resultOf(() => expected(query, rest)));
        } finally {
          operator.destroy();
        }
      }),
      { numRuns: 250 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("moments and sums of all sizes, exactly", () => {
    const kinds = [
      types.int32,
      types.int64,
      types.uint64,
      types.float64,
      types.float32,
      types.decimal(30, 2),
    ];
    const inputs = fc.constantFrom(...kinds).chain((type) =>
      fc.record({
        type: fc.constant(type),
        values: fc.array(fc.tuple(valuesOf(type), valuesOf(type)), { maxLength: 60 }),
      }),
    );
    fc.assert(
      fc.property(inputs, logs, ({ type, values }, { share, order, sizes }) => {
        const table: Table = [
          values.map((_, row) => BigInt(row % 4)),
          values.map(([x]) => x),
          values.map(([, y]) => y),
        ];
        const query: Query = {
          types: [types.int32, type, type],
          keys: [0],
          aggregates: [
            ...MOMENTS.map((name) => ({ name, of: 1 })),
            { name: "corr", of: 1, second: 2 },
            { name: "covar", of: 1, second: 2 },
          ],
        };
        const { log, rest } = changelogOf(table, Math.floor(values.length * share), order);
        const asked = retracting(query);
        const operator = open(kernel, asked);
        try {
          const got = resultOf(() => {
            pushAll(operator, asked, log, sizes);
            return rowsOf(operator.finish());
          });
          expect(got).toEqual(resultOf(() => expected(query, rest)));
        } finally {
          operator.destroy();
        }
      }),
      { numRuns: 150 },
    );
  });

  test.each([types.int8, types.uint8, types.int16, types.uint16, types.int32, types.uint32])(
    "sums of $bits bits, signed: $signed",
    (type) => {
      const [least, most] = type.signed
        ? [-(2n ** BigInt(type.bits - 1)), 2n ** BigInt(type.bits - 1) - 1n]
        : [0n, 2n ** BigInt(type.bits) - 1n];
      const values = Array.from({ length: 90 }, (_, row) =>
        row % 3 === 0 ? least! : row % 7 === 2 ? null : most! - BigInt(row % 5),
      );
      const table: Table = [values.map((_, row) => BigInt(row % 4)), values];
      const query: Query = {
        types: [types.int32, type],
        keys: [0],
        aggregates: [
          { name: "sum", of: 1 },
          { name: "avg", of: 1 },
        ],
      };
      const { log, rest } = changelogOf(table, 60, [3, 1, 7, 2]);
      const asked = retracting(query);
      const operator = open(kernel, asked);
      pushAll(operator, asked, log, [40, 50]);
      expect(multiset(rowsOf(operator.finish()))).toEqual(multiset(expected(query, rest)));
      operator.destroy();
    },
  );

  test("parts that take back what others brought merge to the same results", () => {
    fc.assert(
      fc.property(retractable, logs, faults, ({ query, table }, { share, order }, fault) => {
        const { log, rest } = changelogOf(table, Math.floor(table[0]!.length * share), order);
        const asked = retracting(query, { faults: fault });
        const whole = open(kernel, asked);
        try {
          for (const parity of [0, 1]) {
            // What came in one part may go in the other.
            const part = log.map((column) =>
              column.filter((_, row) => (order[row % order.length]! & 1) === parity),
            );
            const partial =
              parity === 0
                ? open(kernel, asked)
                : kernel.hashAggregate({
                    ...specOf({ ...asked, faults: AggregateFault.FLUSH_OFTEN }),
                    partial: true,
                  });
            if ("process" in partial && !("snapshot" in partial)) {
              for (const state of partial.process(batchOf(asked.types, part))) whole.merge(state);
              for (const state of partial.finish()) whole.merge(state);
            } else if ("snapshot" in partial) {
              partial.push(batchOf(asked.types, part));
              const again = open(kernel, asked);
              for (const state of partial.snapshot(7)) again.merge(state);
              for (const state of again.snapshot()) whole.merge(state);
              again.destroy();
            }
            partial.destroy();
          }
          expect(resultOf(() => rowsOf(whole.finish()))).toEqual(resultOf(() => expected(query, rest)));
        } finally {
          whole.destroy();
        }
      }),
      { numRuns: 150 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("a changelog of a changelog: groups without rows are deleted", () => {
    fc.assert(
      fc.property(
        retractable,
        logs,
        fc.constantFrom(1, 100),
        ({ query, table }, { share, order, sizes }, maxRows) => {
          const { log, rest } = changelogOf(table, Math.floor(table[0]!.length * share), order);
          const asked = retracting(query, { changelog: true });
          const operator = open(kernel, asked);
          const shown = new Map<string, number>();
          const take = () => {
            for (let batch = operator.pull(maxRows); batch !== null; batch = operator.pull(maxRows)) {
              for (const row of rowsOf([batch])) {
                const kind = Number(row.pop());
                const name = multiset([row])[0]!;
                const count = (shown.get(name) ?? 0) + (kind & 1 ? -1 : 1);
                expect(count).toBeGreaterThanOrEqual(0);
                if (count === 0) shown.delete(name);
                else shown.set(name, count);
              }
            }
          };
          try {
            const rows = log[0]!.length;
            const got = resultOf(() => {
              for (let start = 0, i = 0; start < rows; i++) {
                const end = Math.min(rows, start + (sizes[i] ?? 20));
                operator.push(batchOf(asked.types, slice(log, start, end)));
                take();
                start = end;
              }
              operator.watermark(2n ** 63n - 1n);
              take();
              return [];
            });
            const wanted = resultOf(() => expected(query, rest));
            if (got !== "overflow") expect([...shown.keys()].sort()).toEqual(wanted);
          } finally {
            operator.destroy();
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  const counted: Query = {
    types: [types.utf8, types.int64],
    keys: [0],
    aggregates: [
      { name: "max", of: 1 },
      { name: "countDistinct", of: 1 },
    ],
  };

  test("more taken back than came is an error where it is met", () => {
    const run = (kinds: number[], values: bigint[], query: Query = counted) => {
      const asked = retracting(query);
      const operator = open(kernel, asked);
      try {
        pushAll(operator, asked, [kinds.map(() => "k"), values, kinds.map(BigInt)]);
        return rowsOf(operator.finish());
      } finally {
        operator.destroy();
      }
    };
    expect(run([3, 0], [5n, 5n])).toEqual([]);
    expect(run([3, 0, 2], [5n, 5n, 4n])).toEqual([["k", 4n, 1n]]);
    expect(() => run([3], [5n])).toThrow(RetractionError);
    expect(() => run([0, 0, 3], [5n, 5n, 4n])).toThrow(/count of -1/);
    expect(() => run([3], [5n], { ...counted, keys: [], aggregates: [{ name: "count" }] })).toThrow(
      RetractionError,
    );
    expect(() => run([4], [5n])).toThrow(/4 is no row kind/);
    const asked = retracting(counted);
    const operator = open(kernel, asked);
    expect(() => operator.push(batchOf(asked.types, [["k"], [1n], [null]]))).toThrow(/row kind is null/);
    operator.destroy();
  });

  test("the one group of an ungrouped aggregation has nothing when all its rows are taken back", () => {
    const asked = retracting({
      types: [types.float64],
      keys: [],
      aggregates: [{ name: "count" }, { name: "sum", of: 0 }, { name: "avg", of: 0 }, { name: "max", of: 0 }],
    });
    const operator = open(kernel, asked);
    const merged = open(kernel, asked);
    operator.push(
      batchOf(asked.types, [
        [0, 0],
        [0n, 3n],
      ]),
    );
    for (const state of operator.snapshot()) merged.merge(state);
    for (const each of [operator, merged]) {
      expect(rowsOf(each.finish())).toEqual([[0n, null, null, null]]);
      each.destroy();
    }
  });

  test("extremes come back in order, however many go", () => {
    const n = 5000;
    const asked = retracting({
      ...counted,
      types: [types.int32, types.int64],
      aggregates: [
        { name: "max", of: 1 },
        { name: "min", of: 1 },
      ],
    });
    const operator = open(kernel, { ...asked, changelog: true });
    const value = (i: number) => BigInt((i * 7919) % n);
    const all = Array.from({ length: n }, (_, i) => value(i));
    operator.push(batchOf(asked.types, [all.map(() => 1n), all, all.map(() => 0n)]));
    while (operator.pull() !== null);
    for (let top = n - 1; top > n - 200; top--) {
      operator.push(batchOf(asked.types, [[1n], [BigInt(top)], [3n]]));
      const rows = rowsOf([operator.pull()!]);
      expect(rows.at(-1)).toEqual([1n, BigInt(top - 1), 0n, 2n]);
    }
    operator.destroy();
  });

  test("a state in which a value came more often than there were rows is refused", () => {
    const asked = retracting({ ...counted, keys: [], aggregates: [{ name: "mode", of: 1 }] });
    const operator = open(kernel, asked);
    operator.push(batchOf(asked.types, [["k"], [5n], [0n]]));
    const states = [...operator.snapshot()];
    const last = states.at(-1)!;
    const column = last.columns.at(-1)!;
    const values = new Uint8Array(BigInt64Array.of(2n ** 40n).buffer);
    const forged = { ...last, columns: [...last.columns.slice(0, -1), { ...column, values }] };
    const other = open(kernel, asked);
    for (const state of states.slice(0, -1)) other.merge(state);
    expect(() => other.merge(forged)).toThrow(CorruptStateError);
    operator.destroy();
    other.destroy();
  });

  test("what cannot take rows back is refused", () => {
    const fast = retracting({
      ...counted,
      types: [types.utf8, types.float64],
      aggregates: [{ name: "sum", of: 1, fast: true }],
    });
    expect(() => open(kernel, fast)).toThrow(ArgumentError);
    const columns = [
      { name: "k", type: types.utf8 },
      { name: "kind", type: types.int32 },
    ];
    expect(() => kernel.hashAggregate({ columns, keys: ["k"], aggregates: [], rowKind: "kind" })).toThrow(
      /not int8/,
    );
  });
});
