import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import * as types from "../../bindings/ts/type/data-type.js";
import { ClosedError, OverflowError } from "../../bindings/ts/type/error.js";
import { readColumn, type Value, writeColumn } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { Status } from "../abi/status.js";
import { BUILDS, batchOf } from "../expression/testing.js";

const output = {
  fields: [types.int64, types.utf8, types.bool, types.decimal(38, 0)].map((type, i) => ({
    name: `o${i}`,
    type,
    nullable: true,
  })),
};

/** Keeps rows where the first column is true; hands the other four through. */
function program(): Uint8Array {
  const builder = new ProgramBuilder();
  const columns = [Type.BOOL, Type.I64, Type.BYTES, Type.BOOL, Type.I128].map((type) => builder.column(type));
  builder.filter(builder.load(columns[0]!));
  for (const column of columns.slice(1)) builder.output(builder.load(column));
  return builder.encode();
}

function rowsOf(count: number, seed: number): Value[][] {
  const pick = (row: number, salt: number) => Math.imul(row + seed, 2654435761 + salt * 2) >>> 8;
  const rows = Array.from({ length: count }, (_, row) => row);
  const nullable = (salt: number, value: (row: number) => Value) =>
    rows.map((row) => (pick(row, salt) % 5 === 0 ? null : value(row)));
  return [
    rows.map((row) => pick(row, 1) % 3 !== 0),
    nullable(2, (row) => BigInt(pick(row, 3))),
    nullable(4, (row) => "text ".repeat(pick(row, 5) % 9)),
    nullable(6, (row) => pick(row, 7) % 2 === 0),
    nullable(8, (row) => BigInt(pick(row, 9)) ** 4n),
  ];
}

const INPUT = [types.bool, types.int64, types.utf8, types.bool, types.decimal(38, 0)];

describe.each(BUILDS)("project, %s build", async (build) => {
  const kernel = await Kernel.open({ build });
  const blocks = kernel.blocks;
  afterAll(() => expect(kernel.blocks).toBe(blocks));

  test("batches of any size, one after the other", () => {
    const operator = kernel.project({ program: program(), columns: [0, 1, 2, 3, 4], output });
    fc.assert(
      fc.property(fc.nat(5000), fc.nat(9), fc.nat(1e6), (count, offset, seed) => {
        const values = rowsOf(count, seed);
        const batch = batchOf(INPUT.map((type, i) => writeColumn(type, values[i]!, { offset })));
        const kept = values[0]!.flatMap((keep, row) => (keep ? [row] : []));
        const status = operator.push(batch);
        expect(status).toBe(kept.length > 0 ? Status.HAS_MORE : Status.NEED_INPUT);
        const result = operator.pull();
        expect(result?.columns.map(readColumn) ?? [[], [], [], []]).toEqual(
          values.slice(1).map((column) => kept.map((row) => column[row]!)),
        );
        expect(operator.pull()).toBe(null);
      }),
      { numRuns: 60 },
    );
    operator.destroy();
  });

  test("any rows of a vector: few, many, all but one", () => {
    const operator = kernel.project({ program: program(), columns: [0, 1, 2, 3, 4], output });
    const [, ...rest] = rowsOf(2 * 2048 + 70, 5);
    const rows = rest[0]!.length;
    // Words of 64 rows from none to all, each in the place of another; and rows at the ends alone.
    const patterns: ((row: number) => boolean)[] = [
      ...[1, 2, 3, 4, 5, 6, 7, 9, 31, 64].map((each) => (row: number) => row % each === 0),
      ...[2, 3, 64, 2048].map((each) => (row: number) => row % each !== each - 1),
      (row) => row % 64 < (row >> 6) % 65,
      (row) => (row * 2654435761) % 97 < 40,
      (row) => row === 0 || row === rows - 1,
    ];
    for (const pattern of patterns) {
      const kept = Array.from({ length: rows }, (_, row) => row).filter(pattern);
      const keep = Array.from({ length: rows }, (_, row) => pattern(row));
      operator.push(batchOf([keep, ...rest].map((values, i) => writeColumn(INPUT[i]!, values))));
      expect(operator.pull()!.columns.map(readColumn)).toEqual(
        rest.map((column) => kept.map((row) => column[row]!)),
      );
    }
    operator.destroy();
  });

  test("null rows of results hold zeros, whatever the input held there", () => {
    const column = writeColumn(types.int64, [1n, null, 3n]);
    new BigInt64Array(column.values.buffer)[1] = 77n;
    const builder = new ProgramBuilder();
    builder.output(builder.load(builder.column(Type.I64)));
    const operator = kernel.project({
      program: builder.encode(),
      columns: [0],
      output: { fields: [output.fields[0]!] },
    });
    operator.push(batchOf([column]));
    const { values } = operator.pull()!.columns[0]!;
    expect([...new BigInt64Array(values.buffer, values.byteOffset, 3)]).toEqual([1n, 0n, 3n]);
    operator.destroy();
  });

  test("output waits: a push before the pull is refused, the output survives it", () => {
    const operator = kernel.project({ program: program(), columns: [0, 1, 2, 3, 4], output });
    const values = rowsOf(100, 3);
    const batch = batchOf(INPUT.map((type, i) => writeColumn(type, values[i]!)));
    operator.push(batch);
    expect(() => operator.push(batch)).toThrow(/output waiting/);
    expect(operator.pull()!.length).toBe(values[0]!.filter(Boolean).length);
    expect(operator.stats()).toMatchObject({
      rowsIn: 100,
      rowsSelected: values[0]!.filter(Boolean).length,
      batchesIn: 1,
    });
    operator.destroy();
  });

  test("after an error the operator only destroys, and its kernel goes on", () => {
    const builder = new ProgramBuilder();
    const a = builder.load(builder.column(Type.I64));
    builder.output(builder.emit(Opcode.ADD, Type.I64, { a, b: builder.literal(Type.I64, 1n) }));
    const make = () =>
      kernel.project({ program: builder.encode(), columns: [0], output: { fields: [output.fields[0]!] } });
    const operator = make();
    const bad = batchOf([writeColumn(types.int64, [1n, 2n ** 63n - 1n])]);
    expect(() => operator.push(bad, 0, 2, 1000)).toThrow(OverflowError);
    expect(() => operator.push(bad)).toThrow(ClosedError);
    operator.destroy();
    const second = make();
    second.push(batchOf([writeColumn(types.int64, [1n])]));
    expect(readColumn(second.pull()!.columns[0]!)).toEqual([2n]);
    second.destroy();
  });
});
