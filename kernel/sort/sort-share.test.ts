// Sorts that share one sort: rows dealt out at random, divided by splitters and read by ranges, or put into one of them.
// Against the naive twin, and for what it does not see (the bits of NaNs) against one sort alone.

import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import { float32, float64, int32, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import { MemoryLimitError } from "../../bindings/ts/type/error.js";
import { ALL_TYPES } from "../../bindings/ts/type/testing.js";
import type { Value } from "../../twin/values.js";
import { Status } from "../abi/status.js";
import { BUILDS, open as openAggregation, rowsOf } from "../operator/testing.js";
import { awkward, bits, expected, FAULTS, open, pushRows, type Query, type Rows } from "./testing-sort.js";

/** How a sort is shared: which sort each row goes to, parts, and how many of them a range has. */
interface Sharing {
  readonly dealt: readonly number[];
  readonly parts: number;
  readonly each: number;
}

const ascending = (column: number) => ({ column, descending: false, nullsFirst: false });

/** Sorts that hold the rows, dealt out. */
function dealt(kernel: Kernel, query: Query, rows: Rows, deal: readonly number[]): Operator[] {
  const count = Math.max(...deal) + 1;
  return Array.from({ length: count }, (_, sort) => {
    const mine = rows.filter((_, row) => deal[row % deal.length] === sort);
    const operator = open(kernel, query);
    pushRows(operator, query.types, mine, [7, 40]);
    return operator;
  });
}

/** What all of them hold, range by range. `attempt` makes a call, as often as it takes. */
function* ranges(
  kernel: Kernel,
  query: Query,
  sources: readonly Operator[],
  { parts, each }: Omit<Sharing, "dealt">,
  maxRows: number,
  attempt: <T>(call: () => T) => T = (call) => call(),
): Generator<BatchData> {
  for (const source of sources) attempt(() => source.measure());
  const leader = attempt(() => open(kernel, query));
  attempt(() => leader.split(sources, parts));
  for (const source of sources) while (!attempt(() => source.divideBy(leader))) {}
  for (let first = 0; first < parts; first += each) {
    const target = attempt(() => open(kernel, query));
    attempt(() => target.takeParts(leader, first, Math.min(each, parts - first)));
    for (;;) {
      const batch = attempt(() => target.pull(maxRows));
      if (batch === null) break;
      yield batch;
    }
    target.destroy();
  }
  leader.destroy();
}

function shared(kernel: Kernel, query: Query, rows: Rows, sharing: Sharing, maxRows = 65536): Value[][] {
  const sources = dealt(kernel, query, rows, sharing.dealt);
  const result = rowsOf(ranges(kernel, query, sources, sharing, maxRows));
  for (const source of sources) source.destroy();
  return result;
}

const cases = fc
  .record({
    types: fc.array(fc.constantFrom(...ALL_TYPES), { minLength: 1, maxLength: 4 }),
    rows: fc.oneof(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 300 })),
    faults: fc.constantFrom(...FAULTS),
    maxRows: fc.constantFrom(3, 65536),
    sharing: fc.record({
      dealt: fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }),
      parts: fc.constantFrom(2, 8, 64, 1024),
      each: fc.constantFrom(1, 3, 40, 1024),
    }),
  })
  .chain(({ types, rows, faults, ...rest }) =>
    fc.record({
      maxRows: fc.constant(rest.maxRows),
      sharing: fc.constant(rest.sharing),
      rows: fc
        .tuple(...types.map((type) => fc.array(awkward(type), { minLength: rows, maxLength: rows })))
        .map((columns) => Array.from({ length: rows }, (_, row) => columns.map((column) => column[row]!))),
      query: fc
        .array(
          fc.record({ column: fc.nat(types.length - 1), descending: fc.boolean(), nullsFirst: fc.boolean() }),
          { maxLength: 3 },
        )
        .map((by): Query => ({ types, by, faults })),
    }),
  );

/** Floats of these bits, which floats of the host might not keep. */
function floats(values: BigUint64Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): BatchData {
  const type = values instanceof BigUint64Array ? float64 : float32;
  const column = {
    type,
    length: values.length,
    offset: 0,
    nullCount: 0,
    validity: null,
    offsets: null,
    values: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    dictionary: null,
  };
  return {
    schema: { fields: [{ name: "c0", type, nullable: false }] },
    length: values.length,
    columns: [column],
  };
}

function picked<T extends BigUint64Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(
  values: T,
  takes: (row: number) => boolean,
): T {
  return values.filter((_: unknown, row: number) => takes(row)) as T;
}

const rawBytes = (batches: Iterable<BatchData>) =>
  [...batches].flatMap(({ columns: [column] }) => [...column!.values]);

describe.each(BUILDS)("shared sorts, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const blocks = kernel.blocks;
  afterAll(() => expect(kernel.blocks).toBe(blocks));

  test("any types, keys and ways to share: as the twin", () => {
    fc.assert(
      fc.property(cases, ({ query, rows, sharing, maxRows }) => {
        expect(bits(shared(kernel, query, rows, sharing, maxRows))).toEqual(bits(expected(query, rows)));
      }),
      { numRuns: 120 },
    );
  });

  test("divided by rows that their leader has, they leave part by part, as they lie", () => {
    fc.assert(
      fc.property(cases, fc.nat(80), ({ query, rows, sharing, maxRows }, count) => {
        const sources = dealt(kernel, query, rows, sharing.dealt);
        // Some of the rows, so that others lie beyond them.
        const sample = rows.slice(0, count);
        const [leader, bounds] = [0, 1].map(() => {
          const operator = open(kernel, query);
          pushRows(operator, query.types, sample, [40]);
          return operator;
        }) as [Operator, Operator];
        leader.split([...sources, bounds], sharing.parts);
        bounds.destroy();
        for (const source of sources) while (!source.divideBy(leader)) {}
        leader.destroy();
        const parts: Value[][][] = Array.from({ length: sharing.parts }, () => []);
        for (const source of sources) {
          source.watermark(END_OF_INPUT);
          let last = 0;
          for (let more = true; more; ) {
            const pulled = source.tryPullPart(maxRows);
            more = pulled.more;
            if (pulled.batch === null) continue;
            const { partition, length } = pulled.batch;
            expect(partition).toBeGreaterThanOrEqual(last);
            expect(length).toBeLessThanOrEqual(maxRows);
            last = partition;
            parts[partition]!.push(...rowsOf([pulled.batch]));
          }
          source.destroy();
        }
        const ordered = parts.flatMap((part) => expected(query, part));
        expect(bits(ordered)).toEqual(bits(expected(query, rows)));
        if (sample.length >= rows.length && sharing.parts <= 8 && new Set(bits(rows)).size > 64)
          expect(parts.filter(({ length }) => length > 0).length).toBeGreaterThan(1);
      }),
      { numRuns: 120 },
    );
  });

  test("a division that has found no memory can be given up, and the sort is as it was", () => {
    const query: Query = { types: [int64], by: [ascending(0)] };
    const some = Array.from({ length: 700 }, (_, row): Value[] => [BigInt((row * 37) % 91)]);
    let refused = 0;
    for (let nth = 1, isOver = false; !isOver; nth++) {
      const [source] = dealt(kernel, query, some, [0]) as [Operator];
      const leader = open(kernel, query);
      leader.split([source], 8);
      kernel.failAllocation(nth);
      try {
        while (!source.divideBy(leader)) {}
        isOver = true;
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        refused++;
        source.release();
        expect(source.stats().partitions).toBe(0);
      } finally {
        kernel.failAllocation(0);
      }
      leader.destroy();
      if (!isOver) expect(bits(rowsOf(source.finish()))).toEqual(bits(expected(query, some)));
      else {
        // Rows that have moved stay where they are.
        source.release();
        expect(() => source.push(rowsBatch())).toThrow(/read it before/);
        expect([...source.finish()].length).toBe(8);
      }
      source.destroy();
    }
    expect(refused).toBeGreaterThan(2);
  });

  test("folded into one of them, with limits too: as the twin", () => {
    fc.assert(
      fc.property(
        cases,
        fc.option(fc.nat(60), { nil: undefined }),
        ({ query, rows, sharing, maxRows }, limit) => {
          const limited = { ...query, limit, offset: limit === undefined ? 0 : 2 };
          const [first, ...others] = dealt(kernel, limited, rows, sharing.dealt);
          for (const other of others) {
            for (const _ of first!.absorb(other));
            other.destroy();
          }
          const result = rowsOf(first!.finish(maxRows));
          first!.destroy();
          expect(bits(result)).toEqual(bits(expected(limited, rows)));
        },
      ),
      { numRuns: 60 },
    );
  });

  test("most rows with one key, one value far from the others, input in order: parts are even", () => {
    const types = [int64, float64];
    const query: Query = { types, by: [ascending(0)] };
    const rows = Array.from({ length: 6000 }, (_, row): Value[] => {
      const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
      const key = mixed % 5 < 3 ? 7n : BigInt(mixed % 1000);
      return [row === 17 ? 2n ** 62n : key, mixed / 7];
    });
    const inOrder = Array.from({ length: 6000 }, (_, row): Value[] => [BigInt(row), row / 3]);
    for (const some of [rows, inOrder]) {
      const sources = dealt(kernel, query, some, [0, 1, 1, 2]);
      const sizes: number[] = [];
      const result: Value[][] = [];
      for (const batch of ranges(kernel, query, sources, { parts: 16, each: 1 }, 65536)) {
        sizes.push(batch.length);
        result.push(...rowsOf([batch]));
      }
      for (const source of sources) source.destroy();
      expect(bits(result)).toEqual(bits(expected(query, some)));
      expect(sizes.length).toBe(16);
      expect(Math.max(...sizes)).toBeLessThan((3 * 6000) / 16);
    }
  });

  test("integers all over their range, and floats of all exponents: parts are even", () => {
    const query: Query = { types: [int64, float64], by: [ascending(0)] };
    const byFloats: Query = { ...query, by: [ascending(1)] };
    const rows = Array.from({ length: 8192 }, (_, row): Value[] => {
      const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
      return [BigInt(mixed) * 2n ** 31n - 2n ** 62n, ((mixed * 77) % 2 ** 32) / 2 ** 31 - 1];
    });
    for (const by of [query, byFloats]) {
      const sources = dealt(kernel, by, rows, [0, 1, 1, 2]);
      const batches = [...ranges(kernel, by, sources, { parts: 16, each: 1 }, 65536)];
      for (const source of sources) source.destroy();
      expect(bits(rowsOf(batches))).toEqual(bits(expected(by, rows)));
      expect(batches.length).toBeGreaterThan(12);
      expect(Math.max(...batches.map(({ length }) => length))).toBeLessThan(4 * 512);
    }
  });

  test("texts that begin alike in all sorts, in some, and only nulls in one", () => {
    const query: Query = { types: [utf8, int32], by: [ascending(0)] };
    const long = "https://example.com/a/rather/long/path/";
    const rows = Array.from({ length: 900 }, (_, row): Value[] => {
      const text = `${long}${(row * 7919) % 300}`;
      return [row % 3 === 2 ? null : row % 50 === 0 ? `other ${row}` : text, BigInt(row)];
    });
    const alike = rows.map(([text, n], row): Value[] => [text === null ? null : `${long}${row % 91}`, n!]);
    const nullFirst = alike.map(([text, n], row): Value[] => [row < 5 ? null : (text ?? long), n!]);
    for (const some of [rows, alike, nullFirst]) {
      for (const deal of [[0, 1, 2], [0], [0, 1]]) {
        const sharing = { dealt: deal, parts: 64, each: 5 };
        expect(bits(shared(kernel, query, some, sharing))).toEqual(bits(expected(query, some)));
      }
    }
  });

  test("NaNs of other bits: one order, whoever has which row", () => {
    const doubles = new Float64Array(600);
    const words = new BigUint64Array(doubles.buffer);
    const singles = new Float32Array(600);
    const halves = new Uint32Array(singles.buffer);
    for (let row = 0; row < 600; row++) {
      const mixed = Math.imul(row, 0x9e3779b1) >>> 0;
      doubles[row] = mixed % 40;
      singles[row] = mixed % 40;
      if (mixed % 3 !== 0) continue;
      words[row] = (mixed % 2 === 0 ? 0x7ff0000000000000n : 0xfff0000000000000n) | BigInt(1 + (mixed % 200));
      halves[row] = ((mixed % 2 === 0 ? 0x7f800000 : 0xff800000) | (1 + (mixed % 200))) >>> 0;
    }
    for (const values of [words, halves]) {
      const type = values instanceof BigUint64Array ? float64 : float32;
      for (const faults of FAULTS) {
        for (const descending of [false, true]) {
          const query: Query = { types: [type], by: [{ ...ascending(0), descending }], faults };
          const alone = open(kernel, query);
          alone.push(floats(values));
          const want = rawBytes(alone.finish());
          alone.destroy();
          const reversed = open(kernel, query);
          reversed.push(floats(values.slice().reverse()));
          expect(rawBytes(reversed.finish())).toEqual(want);
          reversed.destroy();
          const sources = [0, 1, 2].map((sort) => {
            const operator = open(kernel, query);
            operator.push(floats(picked(values, (row) => (row * 7) % 3 === sort).reverse()));
            return operator;
          });
          const sharing = { parts: 8, each: 3 };
          expect(rawBytes(ranges(kernel, query, sources, sharing, 65536))).toEqual(want);
          for (const source of sources) source.destroy();
        }
      }
    }
  });

  test("a call without memory changes nothing, and can be made again", () => {
    const types = [utf8, float64];
    const query: Query = { types, by: [ascending(1)] };
    const rows = Array.from({ length: 2000 }, (_, row): Value[] => [`text ${row % 50}`, (row * 7919) % 1000]);
    const sources = dealt(kernel, query, rows, [0, 1]);
    let refused = 0;
    const attempt = <T>(call: () => T): T => {
      for (let nth = 1; ; nth++) {
        kernel.failAllocation(nth);
        try {
          return call();
        } catch (error) {
          expect(error).toBeInstanceOf(MemoryLimitError);
          refused++;
        } finally {
          kernel.failAllocation(0);
        }
      }
    };
    const result = rowsOf(ranges(kernel, query, sources, { parts: 8, each: 3 }, 300, attempt));
    for (const source of sources) source.destroy();
    expect(bits(result)).toEqual(bits(expected(query, rows)));
    expect(refused).toBeGreaterThan(20);
  });

  test("what does not fit is refused, and sorts that are gone are noticed", () => {
    const query: Query = { types: [int64], by: [ascending(0)] };
    const rows = Array.from({ length: 100 }, (_, row): Value[] => [BigInt((row * 37) % 100)]);
    const [a, b] = dealt(kernel, query, rows, [0, 1]) as [Operator, Operator];
    const other = open(kernel, { types: [int32], by: [ascending(0)] });
    const limited = open(kernel, { ...query, limit: 5 });
    const leader = open(kernel, query);
    expect(() => leader.split([a, other], 8)).toThrow(/configuration/);
    expect(() => limited.split([a], 8)).toThrow();
    expect(() => leader.split([a, leader], 8)).toThrow();
    expect(() => leader.split([a, b], 7)).toThrow();
    const handles = kernel.allocate(8);
    const split = (at: number) =>
      kernel.call((exports, context) => exports.op_split(context, leader.handle, at, 1, 8));
    expect(split(handles + 1)).toBe(Status.BAD_ARGUMENT);
    expect(split(-4)).toBe(Status.BAD_ARGUMENT);
    kernel.free(handles);
    expect(() => a.divideBy(leader)).toThrow();
    leader.split([a, b], 8);
    expect(() => leader.push(rowsBatch())).toThrow();
    const target = open(kernel, query);
    expect(() => target.takeParts(leader, 0, 8)).toThrow();
    for (const source of [a, b]) while (!source.divideBy(leader)) {}
    expect(() => a.push(rowsBatch())).toThrow();
    expect(() => target.takeParts(leader, 3, 6)).toThrow();
    expect(() => target.takeParts(target, 0, 8)).toThrow();
    target.takeParts(leader, 0, 8);
    expect(target.pull(10)!.length).toBe(10);
    // Rows that leave by themselves are nobody else's any more.
    b.watermark(END_OF_INPUT);
    expect(() => target.pull(10)).toThrow(/does not exist/);
    const late = open(kernel, query);
    expect(() => late.takeParts(leader, 0, 8)).toThrow(/does not exist/);
    expect([...b.finish()].reduce((sum, { length }) => sum + length, 0)).toBe(50);
    b.destroy();
    expect(() => target.pull(10)).toThrow();
    for (const operator of [a, other, limited, leader, target, late]) operator.destroy();
  });

  test("more rows than a call takes in are folded call by call, and nothing else comes between", () => {
    const query: Query = { types: [int64], by: [ascending(0)] };
    const some = Array.from({ length: 70_000 }, (_, row): Value[] => [BigInt((row * 7919) % 70_001)]);
    const [a, b, c] = [[], some, some.slice(0, 10)].map((part) => {
      const operator = open(kernel, query);
      pushRows(operator, query.types, part, [40_000]);
      return operator;
    }) as [Operator, Operator, Operator];
    const calls = a.absorb(b);
    expect(calls.next().done).toBe(false);
    expect(() => [...a.absorb(c)]).toThrow(/read it before/);
    expect([...calls]).toHaveLength(0);
    expect([...a.absorb(c)]).toHaveLength(0);
    expect(a.stats().rowsIn).toBe(70_010);
    const wanted = [...some, ...some.slice(0, 10)];
    expect(bits(rowsOf(a.finish()))).toEqual(bits(expected(query, wanted)));
    for (const operator of [a, b, c]) operator.destroy();
  });

  test("each allocation of a fold fails in turn, small pieces too", () => {
    const query: Query = { types: [utf8, int64], by: [ascending(1)] };
    const some = Array.from({ length: 700 }, (_, row): Value[] => [
      `a text of some length ${row}`,
      BigInt(row % 91),
    ]);
    let refused = 0;
    for (let nth = 1, isOver = false; !isOver; nth++) {
      const [a, b] = dealt(kernel, query, some, [0, 1, 1]) as [Operator, Operator];
      kernel.failAllocation((nth | 0x8000_0000) >>> 0);
      try {
        for (const _ of a.absorb(b));
        isOver = true;
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        refused++;
        for (const _ of a.absorb(b));
      } finally {
        kernel.failAllocation(0);
      }
      expect(bits(rowsOf(a.finish())).sort()).toEqual(bits(expected(query, some)).sort());
      for (const operator of [a, b]) operator.destroy();
    }
    expect(refused).toBeGreaterThan(0);
  });

  test("sorts that are elsewhere, or not where the leader believes, are refused", () => {
    const query: Query = { types: [int64], by: [ascending(0)] };
    const some = Array.from({ length: 100 }, (_, row): Value[] => [BigInt((row * 37) % 100)]);
    const [a, b, c, ended] = dealt(kernel, query, some, [0, 1, 2, 3]) as [
      Operator,
      Operator,
      Operator,
      Operator,
    ];
    const [leader, second, third, target] = [1, 2, 3, 4].map(() => open(kernel, query)) as [
      Operator,
      Operator,
      Operator,
      Operator,
    ];
    const other = open(kernel, { ...query, by: [{ ...ascending(0), descending: true }] });
    const counted = openAggregation(kernel, { types: [int64], keys: [0], aggregates: [{ name: "count" }] });
    ended.watermark(END_OF_INPUT);
    const refuses = (reason: RegExp, ...calls: (() => unknown)[]) => {
      for (const call of calls) expect(call).toThrow(reason);
    };
    refuses(
      /input has ended/,
      () => ended.measure(),
      () => ended.split([b], 8),
      () => leader.split([ended], 8),
      () => [...a.absorb(ended)],
    );
    refuses(/another kind/, () => leader.split([counted], 8));
    // Itself a source, then a leader.
    leader.split([a, b, third], 8);
    third.split([c], 8);
    refuses(
      /read it before/,
      () => second.split([leader], 8),
      () => third.divideBy(leader),
    );
    refuses(/does not exist/, () => c.divideBy(leader));
    refuses(
      /another configuration/,
      () => other.takeParts(leader, 0, 8),
      () => [...a.absorb(other)],
    );
    b.push(rowsBatch());
    refuses(/input has ended/, () => b.divideBy(leader));
    while (!a.divideBy(leader)) {}
    expect(a.divideBy(leader)).toBe(true);
    while (!c.divideBy(third)) {}
    refuses(
      /read it before/,
      () => second.split([a], 8),
      () => [...b.absorb(a)],
      () => leader.takeParts(third, 0, 8),
    );
    refuses(/input has ended/, () => b.takeParts(third, 0, 8));
    target.takeParts(third, 0, 8);
    expect(target.pull(5)!.length).toBe(5);
    c.destroy();
    refuses(/does not exist/, () => second.takeParts(third, 0, 8));
    third.destroy();
    refuses(/does not exist/, () => target.pull(5));
    for (const operator of [a, b, ended, leader, second, target, other, counted]) operator.destroy();
  });
});

function rowsBatch(): BatchData {
  const values = new BigInt64Array([1n, 2n]);
  const column = {
    type: int64,
    length: 2,
    offset: 0,
    nullCount: 0,
    validity: null,
    offsets: null,
    values: new Uint8Array(values.buffer),
    dictionary: null,
  };
  return { schema: { fields: [{ name: "c0", type: int64, nullable: false }] }, length: 2, columns: [column] };
}
