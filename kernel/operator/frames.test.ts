// FRAMES by itself: pushes and pulls in small pieces, rows given up at every push, memory refused, bad configurations.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFramesConfig, type FramesConfigSpec } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import {
  type Field,
  float32,
  float64,
  int8,
  int16,
  int32,
  int64,
  uint16,
  uint64,
  utf8,
} from "../../bindings/ts/type/data-type.js";
import { ArgumentError, ClosedError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { readRows } from "../../twin/expression.js";
import { type Value, writeBatch } from "../../twin/values.js";
import { Type } from "../abi/layout.js";
import { AggregateFault, AggregateFunction, OperatorKind } from "../abi/operator.js";
import { FrameFunction, FrameUnit } from "../abi/over.js";
import { BUILDS } from "./testing.js";
import { failEach, Retries } from "./testing-retries.js";

type Row = readonly [at: bigint | null, key: string | null, x: number | null];

const INPUT = [
  { name: "at", type: int64, nullable: true },
  { name: "key", type: utf8, nullable: true },
  { name: "x", type: float64, nullable: true },
];
const RESULTS = [
  { name: "total", type: float64, nullable: true },
  { name: "rows", type: int64, nullable: false },
  { name: "least", type: float64, nullable: true },
  { name: "first", type: int64, nullable: true },
  { name: "last", type: utf8, nullable: true },
  { name: "shifted", type: float64, nullable: true },
];

const BARE_RESULTS = [
  { name: "number", type: int64, nullable: false },
  ...["least", "first", "last"].map((name) => RESULTS.find((field) => field.name === name)!),
];

type Frame = Pick<FramesConfigSpec, "unit" | "start" | "end"> & { readonly shift: bigint };

/** Without accumulators and rows before, nothing is left of a partition whose rows are. */
function bareConfig({ shift: _, ...frame }: Frame, faults: AggregateFault): Uint8Array {
  return configOf({ ...frame, shift: 0n }, faults, [
    { kind: FrameFunction.NUMBER, column: 0 },
    { kind: FrameFunction.MIN, column: 2 },
    { kind: FrameFunction.FIRST, column: 0 },
    { kind: FrameFunction.LAST, column: 1 },
  ]);
}

function configOf(
  { shift, ...frame }: Frame,
  faults: AggregateFault,
  functions?: FramesConfigSpec["functions"],
): Uint8Array {
  const program = new ProgramBuilder();
  for (const type of [Type.I64, Type.BYTES, Type.F64]) program.output(program.load(program.column(type)));
  const retract = program.output(program.literal(Type.I8, 0));
  return encodeFramesConfig({
    ...frame,
    carried: 3,
    kept: 3,
    order: [0],
    functions: functions ?? [
      { kind: FrameFunction.AGGREGATE, column: 0 },
      { kind: FrameFunction.AGGREGATE, column: 1 },
      { kind: FrameFunction.MIN, column: 2 },
      { kind: FrameFunction.FIRST, column: 0 },
      { kind: FrameFunction.LAST, column: 1 },
      { kind: FrameFunction.SHIFT, column: 2, offset: shift },
    ],
    aggregate: {
      program: program.encode(),
      keys: [{ output: 1, type: Type.BYTES }],
      aggregates: [
        { function: AggregateFunction.SUM, argument: 2, type: Type.F64 },
        { function: AggregateFunction.COUNT_ROWS },
      ],
      retract,
      faults,
    },
  });
}

function open(kernel: Kernel, config: Uint8Array, results: readonly Field[] = RESULTS): Operator {
  return kernel.operator({
    kind: OperatorKind.FRAMES,
    config,
    columns: [0, 1, 2],
    output: { fields: [...INPUT, ...results] },
    emitsPerPush: true,
  });
}

const batchOf = (rows: readonly Row[]) => writeBatch(INPUT, rows);

/** Every row's values computed anew. Values are small multiples of a half: plain sums of them are exact. */
function twin(rows: readonly Row[], { unit, start, end, shift }: Frame, bare = false): Value[][] {
  return rows.map((row) => {
    const own = rows.filter(([, key]) => key === row[1]);
    const at = own.indexOf(row);
    const held = own.filter((other, index) => {
      if (unit === FrameUnit.ROWS)
        return (start === null || index >= at + Number(start)) && (end === null || index <= at + Number(end));
      if (row[0] === null || other[0] === null) {
        if (row[0] === other[0]) return true;
        return index < at ? start === null : end === null;
      }
      const distance = other[0] - row[0];
      if (unit === FrameUnit.PEERS) return distance === 0n || (distance < 0n ? start === null : end === null);
      return (start === null || distance >= start) && (end === null || distance <= end);
    });
    const values = held.flatMap(([, , x]) => (x === null ? [] : [x]));
    const number = BigInt(held.filter((other) => own.indexOf(other) < at).length + 1);
    if (bare) {
      const least = values.length === 0 ? null : Math.min(...values);
      return [...row, number, least, held.at(0)?.[0] ?? null, held.at(-1)?.[1] ?? null];
    }
    return [
      ...row,
      values.length === 0 ? null : values.reduce((sum, x) => sum + x, 0),
      BigInt(held.length),
      values.length === 0 ? null : Math.min(...values),
      held.at(0)?.[0] ?? null,
      held.at(-1)?.[1] ?? null,
      own[at + Number(shift)]?.[2] ?? null,
    ];
  });
}

const texts = (rows: readonly (readonly Value[])[]) => rows.map((row) => row.join("|")).sort();

/** Pushes pieces, pulls `most` rows at a time. */
function run(
  operator: Operator,
  pieces: readonly (readonly Row[])[],
  most: number,
  watermarks = false,
): Value[][] {
  const results: Value[][] = [];
  const drain = () => {
    for (let batch = operator.pull(most); batch !== null; batch = operator.pull(most))
      results.push(...readRows(batch));
  };
  for (const piece of pieces) {
    operator.push(batchOf(piece));
    drain();
    const [at] = piece.at(-1)!;
    if (!watermarks || at === null) continue;
    operator.watermark(at - 1n);
    drain();
  }
  operator.watermark(END_OF_INPUT);
  drain();
  return results;
}

const frames = fc
  .record({
    unit: fc.constantFrom(FrameUnit.ROWS, FrameUnit.PEERS, FrameUnit.VALUES),
    bounds: fc.tuple(fc.integer({ min: -4, max: 3 }), fc.nat(5)),
    open: fc.constantFrom("", "", "start", "end", "start end"),
    shift: fc.integer({ min: -3, max: 3 }),
  })
  .map(({ unit, bounds: [from, more], open, shift }): Frame => {
    const bound = (value: number) => (unit === FrameUnit.PEERS ? 0n : BigInt(value));
    return {
      unit,
      start: open.includes("start") ? null : bound(from),
      end: open.includes("end") ? null : bound(from + more),
      shift: BigInt(unit === FrameUnit.ROWS ? shift : -Math.abs(shift)),
    };
  });

const rowsInOrder = fc
  .array(
    fc.tuple(
      fc.option(fc.nat(12).map(BigInt), { freq: 9 }),
      fc.option(fc.constantFrom("a", "b", "été"), { freq: 9 }),
      fc.option(
        fc.integer({ min: -40, max: 40 }).map((half) => half / 2),
        { freq: 6 },
      ),
    ),
    { maxLength: 40 },
  )
  .map((rows) => rows.sort(([a], [b]) => Number(a ?? 99n) - Number(b ?? 99n)) as Row[]);

describe.each(BUILDS)("%s build", (build) => {
  test("any frame over any pieces is the twin's, rows given up as soon as may be", async () => {
    const kernel = await Kernel.open({ build });
    fc.assert(
      fc.property(
        rowsInOrder,
        frames,
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.constantFrom(AggregateFault.NONE, AggregateFault.FLUSH_OFTEN),
        (rows, frame, sizes, most, fault) => {
          const pieces: Row[][] = [];
          for (let at = 0, step = 0; at < rows.length; at += sizes[step++ % sizes.length]!)
            pieces.push(rows.slice(at, at + sizes[step % sizes.length]!));
          const operator = open(kernel, configOf(frame, fault));
          expect(texts(run(operator, pieces, most))).toEqual(texts(twin(rows, frame)));
          operator.destroy();
        },
      ),
      { numRuns: 150 },
    );
    kernel.close();
  });

  test("partitions are forgotten with their rows, and may come again", async () => {
    const kernel = await Kernel.open({ build });
    const keyed = rowsInOrder.map((rows) =>
      rows.map(([at, key, x], index): Row => [at, key && `${key}${index % 5}`, x]),
    );
    fc.assert(
      fc.property(
        keyed,
        fc.tuple(fc.integer({ min: -4, max: 1 }), fc.nat(4)),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 5 }),
        (rows, [start, more], size, most) => {
          const frame = {
            unit: FrameUnit.VALUES,
            start: BigInt(start),
            end: BigInt(start + more),
            shift: 0n,
          };
          const pieces: Row[][] = [];
          for (let at = 0; at < rows.length; at += size) pieces.push(rows.slice(at, at + size));
          const operator = open(kernel, bareConfig(frame, AggregateFault.FLUSH_OFTEN), BARE_RESULTS);
          expect(texts(run(operator, pieces, most, true))).toEqual(texts(twin(rows, frame, true)));
          operator.destroy();
        },
      ),
      { numRuns: 100 },
    );
    const frame = { unit: FrameUnit.VALUES, start: -500n, end: 0n, shift: 0n };
    const operator = open(kernel, bareConfig(frame, AggregateFault.NONE), BARE_RESULTS);
    let after = 0;
    for (let push = 0; push < 80; push++) {
      const rows = Array.from(
        { length: 1000 },
        (_, at): Row => [BigInt(push * 1000 + at), `${push} ${at}`, 1],
      );
      operator.push(batchOf(rows));
      while (operator.pull(5000) !== null);
      operator.watermark(BigInt(push * 1000 + 900));
      while (operator.pull(5000) !== null);
      if (push === 19) after = operator.stats().stateBytes;
    }
    expect(operator.stats().groups).toBeLessThan(20_000);
    expect(operator.stats().stateBytes).toBeLessThan(1.5 * after);
    operator.destroy();
    kernel.close();
  });

  test("what frames cannot need any more is given up", async () => {
    const kernel = await Kernel.open({ build });
    const frame = { unit: FrameUnit.VALUES, start: -50n, end: 0n, shift: -2n };
    const operator = open(kernel, configOf(frame, AggregateFault.NONE));
    let after = 0;
    for (let push = 0; push < 60; push++) {
      const rows = Array.from({ length: 1000 }, (_, at): Row => [BigInt(push * 1000 + at), `${at % 7}`, 1]);
      operator.push(batchOf(rows));
      while (operator.pull(5000) !== null);
      if (push === 9) after = operator.stats().stateBytes;
    }
    expect(operator.stats().stateBytes).toBeLessThan(1.5 * after);
    operator.destroy();
    kernel.close();
  });

  test("a push that memory is refused to leaves everything as it was", async () => {
    const kernel = await Kernel.open({ build });
    const rows = Array.from({ length: 60 }, (_, at): Row => [BigInt(at >> 1), `key ${at % 20}`, at / 2]);
    const frame = { unit: FrameUnit.ROWS, start: -1n, end: 1n, shift: 1n };
    const config = configOf(frame, AggregateFault.FLUSH_OFTEN);
    const expected = texts(twin(rows, frame));
    let refused = 0;
    for (let nth = 1; nth < 60; nth++) {
      const operator = open(kernel, config);
      const results: Value[][] = [];
      kernel.failAllocation(nth);
      const insist = (work: () => void) => {
        for (;;) {
          try {
            return work();
          } catch (error) {
            if (!(error instanceof MemoryLimitError)) throw error;
            refused++;
          }
        }
      };
      const pull = () => {
        for (let batch = operator.pull(9); batch !== null; batch = operator.pull(9))
          results.push(...readRows(batch));
      };
      try {
        for (const part of [rows.slice(0, 30), rows.slice(30)]) {
          insist(() => void operator.push(batchOf(part)));
          insist(pull);
        }
        operator.watermark(END_OF_INPUT);
        insist(pull);
        expect(texts(results)).toEqual(expected);
      } catch (error) {
        // What the heap had been asked for before, and what a pull computes: see ABI.md.
        expect(error).toBeInstanceOf(ClosedError);
      } finally {
        kernel.failAllocation(0);
        operator.destroy();
      }
    }
    expect(refused).toBeGreaterThan(5);
    kernel.close();
  });

  test.each([
    ["partitions that are forgotten, by texts", 1, true, -20n, (at: number) => at >> 1],
    ["partitions that are forgotten, by numbers", 2, true, -20n, (at: number) => at >> 1],
    [
      "partitions that are forgotten, beside some of many rows",
      1,
      true,
      -150n,
      (at: number) => (at < 45 ? at : 45 + (at % 5)),
    ],
    ["aggregates, texts before and in place of others", 1, false, -20n, (at: number) => at % 7],
  ] as const)(
    "each allocation fails in turn, small pieces too: %s",
    async (_, key, forgets, start, partition) => {
      const kernel = await Kernel.open({ build });
      const idle = [kernel.usedBytes, kernel.blocks];
      const rows = Array.from({ length: 400 }, (_, at): Row => {
        const x = at < 60 || at % 5 !== 0 ? (forgets ? at >> 1 : at % 9) : null;
        return [BigInt(at), `key ${partition(at)}`, x];
      });
      const program = new ProgramBuilder();
      for (const type of [Type.I64, Type.BYTES, Type.F64]) program.output(program.load(program.column(type)));
      const retract = program.output(program.literal(Type.I8, 0));
      const functions = forgets
        ? [
            { kind: FrameFunction.MIN, column: 2 },
            { kind: FrameFunction.LAST, column: 1 },
          ]
        : [
            { kind: FrameFunction.AGGREGATE, column: 0 },
            { kind: FrameFunction.AGGREGATE, column: 1 },
            { kind: FrameFunction.SHIFT, column: 1, offset: -2n, other: 1 },
          ];
      const config = encodeFramesConfig({
        unit: FrameUnit.VALUES,
        start,
        end: 0n,
        carried: 3,
        kept: 3,
        order: [0],
        functions,
        aggregate: {
          program: program.encode(),
          keys: [{ output: key, type: key === 1 ? Type.BYTES : Type.F64 }],
          aggregates: forgets
            ? []
            : [
                { function: AggregateFunction.SUM, argument: 2, type: Type.F64 },
                { function: AggregateFunction.COUNT, argument: 2, type: Type.F64 },
              ],
          retract,
          faults: AggregateFault.FLUSH_OFTEN,
        },
      });
      const fields = functions.map(({ kind, column }, index) => ({
        name: `f${index}`,
        type:
          kind === FrameFunction.AGGREGATE
            ? [float64, int64, utf8][column]!
            : [int64, utf8, float64][column]!,
        nullable: true,
      }));
      const tell = (again: Retries["again"]): string[] => {
        const operator = again(() => open(kernel, config, fields));
        const results: Value[][] = [];
        const drain = () => {
          for (;;) {
            const batch = again(() => operator.pull(30));
            if (batch === null) return;
            results.push(...readRows(batch));
          }
        };
        try {
          for (let first = 0; first < rows.length; first += 50) {
            again(() => void operator.push(batchOf(rows.slice(first, first + 50))));
            drain();
            operator.watermark(BigInt(first + 45));
            drain();
          }
          operator.watermark(END_OF_INPUT);
          drain();
          return texts(results);
        } finally {
          operator.destroy();
        }
      };
      const wanted = tell((call) => call());
      const retries = new Retries(kernel);
      const stride = Math.ceil(Number(process.env.ALLOCATION_STRIDE ?? 11) / 2);
      const another = (nth: number) => {
        try {
          expect([nth, tell(retries.again)]).toEqual([nth, wanted]);
        } catch (error) {
          if (!(error instanceof ClosedError)) throw error;
        }
        expect([nth, kernel.usedBytes, kernel.blocks]).toEqual([nth, ...idle]);
      };
      failEach(kernel, 1, stride, another, true);
      expect(wanted).toHaveLength(rows.length);
      expect(retries.failures).toBeGreaterThan(5);
      kernel.close();
    },
  );

  test.each([
    ["int8", Type.I8, int8, 100n],
    ["uint16", Type.U16, uint16, 60_000n],
    ["int16", Type.I16, int16, -30_000n],
    ["int32", Type.I32, int32, 2_000_000_000n],
    ["int64", Type.I64, int64, 2n ** 61n],
  ] as const)("sums of %s slide along", async (_name, physical, type, value) => {
    const kernel = await Kernel.open({ build });
    const program = new ProgramBuilder();
    for (const one of [Type.I64, physical]) program.output(program.load(program.column(one)));
    const retract = program.output(program.literal(Type.I8, 0));
    const fields: Field[] = [
      { name: "at", type: int64, nullable: true },
      { name: "x", type, nullable: true },
    ];
    const operator = kernel.operator({
      kind: OperatorKind.FRAMES,
      config: encodeFramesConfig({
        unit: FrameUnit.ROWS,
        start: -2n,
        end: 0n,
        carried: 1,
        kept: 2,
        order: [0],
        functions: [{ kind: FrameFunction.AGGREGATE, column: 0 }],
        aggregate: {
          program: program.encode(),
          keys: [],
          aggregates: [{ function: AggregateFunction.SUM, argument: 1, type: physical }],
          retract,
        },
      }),
      columns: [0, 1],
      output: {
        fields: [fields[0]!, { name: "total", type: type === uint16 ? uint64 : int64, nullable: true }],
      },
      emitsPerPush: true,
    });
    const values = Array.from({ length: 40 }, (_, at) => (at % 7 === 3 ? null : value - BigInt(at % 5)));
    operator.push(
      writeBatch(
        fields,
        values.map((x, at) => [BigInt(at), x]),
      ),
    );
    operator.watermark(END_OF_INPUT);
    const totals = values.map((_, at) =>
      values.slice(Math.max(0, at - 2), at + 1).reduce<bigint>((sum, x) => sum + (x ?? 0n), 0n),
    );
    expect(readRows(operator.pull()!).map(([, total]) => total)).toEqual(totals);
    operator.destroy();
    kernel.close();
  });

  test("of floats of either width all NaNs are one, greater than any number", async () => {
    const kernel = await Kernel.open({ build });
    for (const [type, value] of [
      [Type.F32, float32],
      [Type.F64, float64],
    ] as const) {
      const program = new ProgramBuilder();
      program.output(program.load(program.column(Type.I64)));
      program.output(program.load(program.column(type)));
      const retract = program.output(program.literal(Type.I8, 0));
      const fields = ["at", "x"].map((name, i) => ({ name, type: [int64, value][i]!, nullable: true }));
      const operator = kernel.operator({
        kind: OperatorKind.FRAMES,
        config: encodeFramesConfig({
          unit: FrameUnit.ROWS,
          start: -1n,
          end: 0n,
          carried: 1,
          kept: 2,
          order: [0],
          functions: [
            { kind: FrameFunction.MIN, column: 1 },
            { kind: FrameFunction.MAX, column: 1 },
          ],
          aggregate: {
            program: program.encode(),
            keys: [],
            aggregates: [{ function: AggregateFunction.COUNT_ROWS }],
            retract,
          },
        }),
        columns: [0, 1],
        output: { fields: [fields[0]!, fields[1]!, fields[1]!] },
        emitsPerPush: true,
      });
      const rows = [1.5, Number.NaN, -2, null, Number.NaN, Number.NaN].map((x, at): Value[] => [
        BigInt(at),
        x,
      ]);
      const batch = writeBatch(fields, rows);
      // Another NaN than the one that results have.
      batch.columns[1]!.values[value === float32 ? 4 : 8]! ^= 1;
      operator.push(batch);
      operator.watermark(END_OF_INPUT);
      const left = operator.pull();
      expect(readRows(left!).map(([, ...extremes]) => extremes)).toEqual([
        [1.5, 1.5],
        [1.5, Number.NaN],
        [-2, Number.NaN],
        [-2, -2],
        [Number.NaN, Number.NaN],
        [Number.NaN, Number.NaN],
      ]);
      const bits = left!.columns[2]!.values;
      const width = value === float32 ? 4 : 8;
      expect(bits.slice(width, 2 * width)).toEqual(bits.slice(5 * width, 6 * width));
      operator.destroy();
    }
    kernel.close();
  });

  test("frames that end before they begin, and what they cannot count, are refused", async () => {
    const kernel = await Kernel.open({ build });
    const refused = (frame: Frame) =>
      expect(() => open(kernel, configOf(frame, AggregateFault.NONE))).toThrow(ArgumentError);
    refused({ unit: FrameUnit.ROWS, start: 1n, end: 0n, shift: 0n });
    refused({ unit: FrameUnit.PEERS, start: -1n, end: 0n, shift: 0n });
    refused({ unit: FrameUnit.VALUES, start: -1n, end: 0n, shift: 1n });
    refused({ unit: FrameUnit.ROWS, start: -(2n ** 31n), end: 0n, shift: 0n });
    refused({ unit: FrameUnit.ROWS, start: 0n, end: 0n, shift: 2n ** 31n });
    kernel.close();
  });
});
