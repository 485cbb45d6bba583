// Partitions by key: held against a twin of the key hash, and the same however a key is encoded.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodePartitionConfig } from "../../bindings/ts/kernel/config.js";
import { Kernel } from "../../bindings/ts/kernel/kernel.js";
import type { Operator } from "../../bindings/ts/kernel/operator.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import type { BatchData } from "../../bindings/ts/type/column.js";
import * as types from "../../bindings/ts/type/data-type.js";
import {
  ArgumentError,
  ClosedError,
  MemoryLimitError,
  OverflowError,
  UnknownColumnError,
} from "../../bindings/ts/type/error.js";
import type { Value } from "../../twin/values.js";
import { Opcode } from "../abi/instruction.js";
import { Type } from "../abi/layout.js";
import { OperatorKind } from "../abi/operator.js";
import { Status } from "../abi/status.js";
import { BUILDS, batchOf, multiset, rowsOf, slice, type Table, TYPES, valuesOf } from "./testing.js";

const MASK = 2n ** 64n - 1n;
const K1 = 0x9e3779b97f4a7c15n;
const K2 = 0xbf58476d1ce4e5b9n;
const K3 = 0x94d049bb133111ebn;

const mix = (hash: bigint, word: bigint): bigint => {
  const mixed = ((hash ^ (word & MASK)) * K1) & MASK;
  return mixed ^ (mixed >> 32n);
};
const finish = (hash: bigint): bigint => {
  let h = ((hash ^ (hash >> 30n)) * K2) & MASK;
  h = ((h ^ (h >> 27n)) * K3) & MASK;
  return h ^ (h >> 31n);
};

function textHash(bytes: Uint8Array): bigint {
  const { length } = bytes;
  const word = (at: number, count: number) => {
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[at + i]!);
    return value;
  };
  let hash = (BigInt(length) * K2) & MASK;
  if (length >= 8) {
    for (let at = 0; at < length - 8; at += 8) hash = mix(hash, word(at, 8));
    return finish(mix(hash, word(length - 8, 8)));
  }
  if (length >= 4) return finish(mix(hash, (word(0, 4) << 32n) | word(length - 4, 4)));
  if (length === 0) return finish(mix(hash, 0n));
  return finish(mix(hash, word(0, 1) | (word(length >> 1, 1) << 8n) | (word(length - 1, 1) << 16n)));
}

const float = new Float64Array(1);
const floatBits = new BigUint64Array(float.buffer);

function wordsOf(type: types.DataType, value: Value): bigint[] {
  if (value === null) return [K3];
  if (typeof value === "boolean") return [value ? 1n : 0n];
  if (typeof value === "number") {
    float[0] = value === 0 ? 0 : value;
    return [Number.isNaN(value) ? 0x7ff8000000000000n : floatBits[0]!];
  }
  if (typeof value === "bigint") {
    return type.kind === "decimal" ? [value & MASK, (value >> 64n) & MASK] : [value];
  }
  return [textHash(typeof value === "string" ? new TextEncoder().encode(value) : (value as Uint8Array))];
}

function partOf(keyTypes: readonly types.DataType[], keys: readonly Value[], parts: number): number {
  const words = keys.flatMap((value, i) => wordsOf(types.valueType(keyTypes[i]!), value));
  return Number(((finish(words.reduce(mix, 0n)) >> 32n) * BigInt(parts)) >> 32n);
}

const columnsOf = (kinds: readonly types.DataType[]) => kinds.map((type, i) => ({ name: `c${i}`, type }));

describe.each(BUILDS)("partition, %s build", async (build) => {
  const kernel = await Kernel.open({ build });

  test("agrees with the twin for any types, and loses no row", () => {
    const tables = fc
      .array(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 4 })
      .chain((kinds) =>
        fc.record({
          kinds: fc.constant(kinds),
          keys: fc.shuffledSubarray(
            kinds.map((_, i) => i),
            { minLength: 1 },
          ),
          rows: fc.integer({ min: 0, max: 60 }),
          parts: fc.constantFrom(1, 2, 3, 16, 65536),
          offset: fc.integer({ min: 0, max: 9 }),
        }),
      )
      .chain((shape) =>
        fc.record({
          shape: fc.constant(shape),
          table: fc.tuple(
            ...shape.kinds.map((type) =>
              fc.array(valuesOf(type), { minLength: shape.rows, maxLength: shape.rows }),
            ),
          ),
        }),
      );
    fc.assert(
      fc.property(tables, ({ shape: { kinds, keys, parts, rows, offset }, table }) => {
        const partition = kernel.partition({
          columns: columnsOf(kinds),
          keys: keys.map((key) => `c${key}`),
          parts,
        });
        const byPart = new Map<number, Value[][]>();
        for (let row = 0; row < rows; row++) {
          const values = table.map((column) => column[row]!);
          const part = partOf(
            keys.map((key) => kinds[key]!),
            keys.map((key) => values[key]!),
            parts,
          );
          byPart.set(part, [...(byPart.get(part) ?? []), values]);
        }
        const got = new Map<number, Value[][]>();
        for (const batch of partition.split(batchOf(kinds, table as Table, offset)))
          got.set(batch.partition, [...(got.get(batch.partition) ?? []), ...rowsOf([batch])]);
        partition.destroy();
        expect([...got.keys()]).toEqual([...byPart.keys()].sort((a, b) => a - b));
        for (const [part, values] of byPart) expect(multiset(got.get(part)!)).toEqual(multiset(values));
      }),
      { numRuns: 150 },
    );
    expect(kernel.blocks).toBeLessThan(8);
  });

  test("a value goes to one partition however it is encoded, in the order of the rows", () => {
    const values = Array.from(
      { length: 500 },
      (_, i): Value => (i % 50 === 0 ? null : BigInt((i * 7) % 90) - 20n),
    );
    const texts = values.map((value): Value => (value === null ? null : `value ${value}`));
    const partsOf = (type: types.DataType, column: readonly Value[]): string[] => {
      const partition = kernel.partition({ columns: columnsOf([type, types.int32]), keys: ["c0"], parts: 7 });
      const rows = column.map((_, i) => BigInt(i));
      const parts = [...partition.split(batchOf([type, types.int32], [column, rows]))].map(
        (batch: BatchData & { partition: number }) =>
          `${batch.partition}: ${rowsOf([batch]).map((row) => row[1])}`,
      );
      partition.destroy();
      return parts;
    };
    const wanted = partsOf(types.int8, values);
    expect(wanted.length).toBe(7);
    for (const type of [types.int16, types.int32, types.int64, types.dictionary(types.int64, types.int16)])
      expect(partsOf(type, values)).toEqual(wanted);
    const ofTexts = partsOf(types.utf8, texts);
    for (const type of [types.largeUtf8, types.dictionary(types.utf8, types.int32)])
      expect(partsOf(type, texts)).toEqual(ofTexts);
  });

  test("more rows than a push takes, and pulls of fewer than a partition has", () => {
    const rows = 70_000;
    const table: Table = [Array.from({ length: rows }, (_, i) => BigInt(i))];
    const partition = kernel.partition({ columns: columnsOf([types.int64]), keys: ["c0"], parts: 2 });
    const counts = [0, 0];
    for (const batch of partition.split(batchOf([types.int64], table)))
      counts[batch.partition]! += batch.length;
    expect(counts[0]! + counts[1]!).toBe(rows);
    expect(Math.abs(counts[0]! - counts[1]!)).toBeLessThan(rows / 50);
    // What is left of a split that was given up does not come with the next.
    for (const _ of partition.split(batchOf([types.int64], slice(table, 0, 100)))) break;
    const again = [...partition.split(batchOf([types.int64], slice(table, 100, 200)))];
    expect(rowsOf(again).length).toBe(100);
    partition.destroy();
  });

  /** Doubles numbers, and divides them among 3 partitions by what comes of it. */
  function doubling(): Operator {
    const program = new ProgramBuilder();
    const column = program.load(program.column(Type.I64));
    program.output(program.emit(Opcode.ADD, Type.I64, { a: column, b: column }));
    return kernel.operator({
      kind: OperatorKind.PARTITION,
      config: encodePartitionConfig(program.encode(), 1, 1, 3),
      columns: [0],
      output: { fields: [{ name: "c0", type: types.int64, nullable: true }] },
      emitsPerPush: true,
    });
  }

  test("few rows take no room for many; a push that finds none for its own can be made again", () => {
    const operator = doubling();
    const split = () => {
      const rows: Value[] = [];
      for (let batch = operator.pull(); batch !== null; batch = operator.pull())
        rows.push(...rowsOf([batch]).flat());
      return rows.sort((a, b) => Number((a as bigint) - (b as bigint)));
    };
    expect(operator.push(batchOf([types.int64], [[]]))).toBe(Status.NEED_INPUT);
    operator.push(batchOf([types.int64], [[1n, 2n]]));
    expect(split()).toEqual([2n, 4n]);
    // The numbers of 65,536 rows, and their order, alone take 512 KiB.
    expect(operator.stats().stateBytes).toBeLessThan(200 * 1024);
    const values = Array.from({ length: 65_536 }, (_, row) => BigInt(row));
    const many = operator.stage(batchOf([types.int64], [values]));
    let refused = 0;
    for (let nth = 1, isOver = false; !isOver; nth++) {
      kernel.failAllocation(nth);
      try {
        operator.push(many);
        isOver = true;
      } catch (error) {
        expect(error).toBeInstanceOf(MemoryLimitError);
        refused++;
      }
    }
    kernel.failAllocation(0);
    expect(refused).toBeGreaterThan(2);
    expect(split()).toEqual(values.map((value) => 2n * value));
    operator.destroy();
  });

  test("a row that cannot be computed ends it", () => {
    const operator = doubling();
    const push = (value: bigint) => operator.push(batchOf([types.int64], [[1n, value]]));
    expect(() => push(2n ** 62n)).toThrow(OverflowError);
    expect(() => push(1n)).toThrow(ClosedError);
    operator.destroy();
  });

  test("a specification that does not hold is refused", () => {
    const columns = columnsOf([types.int64]);
    expect(() => kernel.partition({ columns, keys: [], parts: 2 })).toThrow(ArgumentError);
    expect(() => kernel.partition({ columns, keys: ["c0"], parts: 0 })).toThrow(/1 to 65536/);
    expect(() => kernel.partition({ columns, keys: ["c0"], parts: 65537 })).toThrow(ArgumentError);
    expect(() => kernel.partition({ columns, keys: ["key"], parts: 2 })).toThrow(UnknownColumnError);
  });
});
