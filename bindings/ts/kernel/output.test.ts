// Copy-out of any rows of a batch in kernel memory: offset 0, exact null counts, zeroed tails, widened offsets.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readColumn as valuesOf, writeColumn } from "../../../twin/values.js";
import { binary, largeBinary, largeUtf8, typeName, utf8 } from "../type/data-type.js";
import { MillraceError } from "../type/error.js";
import { arbitraryColumn, bitsOf, oneColumn, PLAIN_TYPES } from "../type/testing.js";
import { readBatch } from "./descriptor.js";
import { freshBuffer } from "./fresh-buffer.js";
import { Kernel } from "./kernel.js";
import { BatchRoom, copyBatch, countBits } from "./output.js";
import { ResidentBatch } from "./resident.js";
import { padded } from "./slice.js";

let kernel: Kernel;
beforeAll(async () => {
  kernel = await Kernel.open({ build: "scalar", base: 0x8000_0000 });
});
afterAll(() => kernel.close());

/** What lies between a buffer of a copy and the next one. */
function paddingOf({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset + length, padded(length) - length);
}

describe.each(PLAIN_TYPES.map((type) => [typeName(type), type] as const))("%s", (_, type) => {
  test("any rows", () => {
    const room = new BatchRoom();
    new Uint8Array(room.take(4096)).fill(0xff);
    fc.assert(
      fc.property(arbitraryColumn(type), fc.nat(40), fc.nat(40), ({ values, column }, a, b) => {
        const start = Math.min(a, b, values.length);
        const rows = Math.min(Math.max(a, b), values.length) - start;
        const expected = values.slice(start, start + rows);
        const table = kernel.load([oneColumn(column)]);
        const batch = readBatch(kernel.memory.view, table.batches[0]!.describe([0], start, rows));
        const copy = copyBatch(kernel, batch, table.schema).columns[0]!;
        const borrowed = ResidentBatch.borrow(kernel, table.schema, batch);
        const kept = borrowed.copy();
        new Uint8Array(room.take(0)).fill(0xff);
        const lent = copyBatch(kernel, batch, table.schema, room).columns[0]!;
        for (const buffer of [lent.validity, lent.values, lent.offsets])
          if (buffer !== null) expect(paddingOf(buffer).every((byte) => byte === 0)).toBe(true);
        expect(lent.values.buffer).toBe(room.take(0));
        expect(lent.offsets?.slice()).toEqual(copy.offsets?.slice());
        for (const result of [copy, lent, borrowed.toHost().columns[0]!, kept.toHost().columns[0]!]) {
          expect(valuesOf(result).map(bitsOf)).toEqual(expected.map(bitsOf));
          expect(result.offset).toBe(0);
          expect(result.nullCount).toBe(expected.filter((value) => value === null).length);
          expect(result.validity === null).toBe(result.nullCount === 0);
          if (result.validity !== null) expect(countBits(result.validity)).toBe(rows - result.nullCount);
          if (type.kind === "bool") expect(result.values.length).toBe(Math.ceil(rows / 8));
          if (type.kind === "bool" && rows % 8 !== 0) expect(result.values.at(-1)! >> (rows % 8)).toBe(0);
        }
        borrowed.free();
        kept.free();
        table.free();
      }),
      { numRuns: 25 },
    );
  });
});

test.each([
  [utf8, largeUtf8],
  [binary, largeBinary],
])("%j leaves with 64-bit offsets where the result is %j", (narrow, wide) => {
  const values =
    narrow === utf8
      ? ["ab", null, "", "cdef"]
      : [Uint8Array.of(1), null, Uint8Array.of(), Uint8Array.of(2, 3)];
  const table = kernel.load([oneColumn(writeColumn(narrow, values))]);
  const batch = readBatch(kernel.memory.view, table.batches[0]!.describe([0], 1, 3));
  const schema = { fields: [{ name: "x", type: wide, nullable: true }] };
  const used = new BatchRoom();
  new Uint8Array(used.take(4096)).fill(0xff);
  for (const room of [null, used]) {
    const { columns } = copyBatch(kernel, batch, schema, room);
    expect(columns[0]!.offsets).toHaveLength(4 * 8);
    expect(valuesOf(columns[0]!)).toEqual(values.slice(1));
  }
  table.free();
});

test("columns that were not declared so are refused", () => {
  const table = kernel.load([oneColumn(writeColumn(utf8, ["a"]))]);
  const batch = readBatch(kernel.memory.view, table.batches[0]!.describe([0], 0, 1));
  const field = { name: "x", type: { kind: "bool" }, nullable: true } as const;
  expect(() => copyBatch(kernel, batch, { fields: [field] })).toThrow(/declared as bool/);
  expect(() => copyBatch(kernel, batch, { fields: [field, field] })).toThrow(MillraceError);
  table.free();
});

test.each([0, 1, 100, 1 << 18, 5_000_001])(
  "%i bytes of fresh memory are as many, and nobody else's",
  (bytes) => {
    const buffer = freshBuffer(bytes);
    expect(buffer).toBeInstanceOf(ArrayBuffer);
    expect(buffer.byteLength).toBe(bytes);
    expect(structuredClone(buffer, { transfer: [buffer] }).byteLength).toBe(bytes);
  },
);
