// OVER by itself: what it holds back, pulls in pieces, and pushes that memory is refused to.

import { describe, expect, test } from "vitest";
import { encodeOverConfig } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { END_OF_INPUT, type Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { float64, int64, utf8 } from "../../bindings/ts/type/data-type.js";
import { ArgumentError, ClosedError, MemoryLimitError } from "../../bindings/ts/type/error.js";
import { readRows } from "../../twin/expression.js";
import { type Value, writeBatch } from "../../twin/values.js";
import { Type } from "../abi/layout.js";
import { AggregateFunction, OperatorKind } from "../abi/operator.js";
import { OverFrame, OverFunction } from "../abi/over.js";
import { BUILDS } from "./testing.js";
import { LASTING, SMALL_TOO } from "./testing-retries.js";

const INPUT = [
  { name: "at", type: int64, nullable: true },
  { name: "key", type: utf8, nullable: true },
  { name: "x", type: float64, nullable: true },
];
const RESULTS = [
  { name: "total", type: float64, nullable: true },
  { name: "least", type: utf8, nullable: true },
  { name: "number", type: int64, nullable: false },
  { name: "rank", type: int64, nullable: false },
];

function open(kernel: Kernel, frame: OverFrame, fn = AggregateFunction.SUM): Operator {
  const program = new ProgramBuilder();
  for (const type of [Type.I64, Type.BYTES, Type.F64]) program.output(program.load(program.column(type)));
  const config = encodeOverConfig({
    frame,
    carried: 3,
    order: [0],
    functions: [
      { kind: OverFunction.AGGREGATE, index: 0 },
      { kind: OverFunction.AGGREGATE, index: 1 },
      { kind: OverFunction.ROW_NUMBER },
      { kind: OverFunction.RANK },
    ],
    aggregate: {
      program: program.encode(),
      keys: [{ output: 1, type: Type.BYTES }],
      aggregates: [
        { function: fn, argument: 2, type: Type.F64 },
        { function: AggregateFunction.MIN, argument: 1, type: Type.BYTES },
      ],
    },
  });
  return kernel.operator({
    kind: OperatorKind.OVER,
    config,
    columns: [0, 1, 2],
    output: { fields: [...INPUT, ...RESULTS] },
    emitsPerPush: true,
  });
}

const batchOf = (rows: readonly (readonly Value[])[]) => writeBatch(INPUT, rows);

function drained(operator: Operator, rows: number): Value[][] {
  const results: Value[][] = [];
  for (let batch = operator.pull(rows); batch !== null; batch = operator.pull(rows))
    results.push(...readRows(batch));
  return results;
}

const short = (rows: readonly (readonly Value[])[]) =>
  rows.map(([at, key, , total, , number, rank]) => [at, key, total, number, rank].join());

describe.each(BUILDS)("%s build", (build) => {
  test("rows that the order does not tell from the last one wait for the next, or for a watermark", async () => {
    const kernel = await Kernel.open({ build });
    const operator = open(kernel, OverFrame.RANGE);
    operator.push(
      batchOf([
        [1n, "a", 1],
        [2n, "a", 2],
        [2n, "b", 4],
      ]),
    );
    expect(short(drained(operator, 1))).toEqual(["1,a,1,1,1"]);
    operator.push(
      batchOf([
        [2n, "a", 8],
        [3n, "b", 16],
      ]),
    );
    expect(short(drained(operator, 2))).toEqual(["2,a,11,2,2", "2,b,4,1,1", "2,a,11,3,2"]);
    operator.watermark(0n);
    expect(short(drained(operator, 9))).toEqual(["3,b,20,2,2"]);
    operator.push(batchOf([[4n, "b", null]]));
    expect(drained(operator, 9)).toEqual([]);
    operator.watermark(END_OF_INPUT);
    expect(short(drained(operator, 9))).toEqual(["4,b,20,3,3"]);
    operator.destroy();
    kernel.close();
  });

  test.each([
    [OverFrame.ROWS, "of a few peers", 2],
    [OverFrame.RANGE, "of a few peers", 2],
    [OverFrame.RANGE, "of many peers", 6],
    [OverFrame.ALL, "of a few peers", 2],
  ] as const)(
    "a push or pull that memory is refused to leaves everything as it was (frame %d, rows %s)",
    async (frame, _peers, shift) => {
      const kernel = await Kernel.open({ build });
      const idle = kernel.blocks;
      const rows = Array.from({ length: 90 }, (_, at) => [
        BigInt((at + 60) >> shift),
        `key ${at % 40}`,
        at > 60 && at % 7 === 0 ? null : at / 3,
      ]);
      const run = (nth: number, lasts = 0) => {
        const operator = open(kernel, frame);
        const results: Value[][] = [];
        let refused = 0;
        const insist = (work: () => void) => {
          for (let done = false; !done; ) {
            try {
              work();
              done = true;
            } catch (error) {
              if (!(error instanceof MemoryLimitError)) throw error;
              refused++;
              kernel.failAllocation(0);
            }
          }
        };
        const pull = () => {
          for (let batch = operator.pull(7); batch !== null; batch = operator.pull(7))
            results.push(...readRows(batch));
        };
        kernel.failAllocation(nth === 0 ? 0 : (nth | SMALL_TOO | lasts) >>> 0);
        try {
          for (const part of [rows.slice(0, 50), rows.slice(50)]) {
            insist(() => void operator.push(batchOf(part)));
            insist(pull);
          }
          operator.watermark(END_OF_INPUT);
          insist(pull);
        } finally {
          kernel.failAllocation(0);
          operator.destroy();
        }
        return { results, refused };
      };
      const { results } = run(0);
      expect(results).toHaveLength(90);
      let refused = 0;
      for (let nth = 1; nth < 160; nth++) {
        for (const lasts of [LASTING, 0]) {
          let outcome: ReturnType<typeof run>;
          try {
            outcome = run(nth, lasts);
          } catch (error) {
            // What the heap had been asked for before the push, or texts of results: see ABI.md.
            expect(error).toBeInstanceOf(ClosedError);
            continue;
          }
          refused += outcome.refused;
          expect(outcome.results).toEqual(results);
        }
      }
      expect(refused).toBeGreaterThan(5);
      expect(kernel.blocks).toBeLessThan(idle + 8);
      kernel.close();
    },
  );

  test("functions that would go through all values for every row are refused", async () => {
    const kernel = await Kernel.open({ build });
    for (const fn of [AggregateFunction.QUANTILE, AggregateFunction.MODE, AggregateFunction.ARRAY])
      expect(() => open(kernel, OverFrame.ROWS, fn)).toThrow(ArgumentError);
    kernel.close();
  });
});
