// Texts that lie as codes of a dictionary leave as those that a loop over codes finds, in all builds, with no memory left.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Type } from "../../../kernel/abi/layout.js";
import { readColumn as valuesOf } from "../../../twin/values.js";
import { binary, type DataType, largeBinary, largeUtf8, typeName, utf8 } from "../type/data-type.js";
import { type ColumnDescriptor, writeColumn } from "./descriptor.js";
import { Kernel } from "./kernel.js";
import { ResidentBatch } from "./resident.js";
import { padded } from "./slice.js";
import { BUILDS } from "./testing.js";

const PLAIN: Omit<ColumnDescriptor, "type" | "length" | "values" | "valuesBytes"> = {
  trusted: true,
  offset: 0,
  nullCount: -1,
  validity: 0,
  validityBytes: 0,
  offsets: 0,
  offsetsBytes: 0,
  base: 0,
  dictionary: 0,
  dictionaryId: 0,
};

/** Lays codes of `words` into kernel memory, null where they are; `offset` other rows come before. */
function coded(
  kernel: Kernel,
  type: DataType,
  words: readonly Uint8Array[],
  codes: readonly (number | null)[],
  offset: number,
): ResidentBatch {
  const blocks: number[] = [];
  const put = (bytes: Uint8Array) => {
    const block = kernel.allocate(Math.max(bytes.length, 1));
    kernel.memory.bytes.set(bytes, block);
    blocks.push(block);
    return block;
  };
  const ends = [0];
  for (const word of words) ends.push(ends.at(-1)! + word.length);
  const texts = Uint8Array.from(words.flatMap((word) => [...word]));
  const dictionary = put(new Uint8Array(64));
  writeColumn(kernel.memory.view, dictionary, {
    ...PLAIN,
    type: Type.BYTES,
    length: words.length,
    values: put(texts),
    valuesBytes: texts.length,
    offsets: put(new Uint8Array(Int32Array.from(ends).buffer)),
    offsetsBytes: ends.length * 4,
  });
  const length = offset + codes.length;
  const bits = new Uint8Array(Math.ceil(length / 8)).fill(0xff);
  codes.forEach((code, row) => {
    if (code === null) bits[(offset + row) >> 3]! &= ~(1 << ((offset + row) & 7));
  });
  const values = Uint32Array.from({ length }, (_, row) => codes[row - offset] ?? 0);
  const column: ColumnDescriptor = {
    ...PLAIN,
    type: Type.U32,
    length: codes.length,
    offset,
    validity: codes.includes(null) || offset % 2 === 1 ? put(bits) : 0,
    validityBytes: bits.length,
    values: put(new Uint8Array(values.buffer)),
    valuesBytes: values.byteLength,
    dictionary,
    dictionaryId: 1,
  };
  const schema = { fields: [{ name: "x", type, nullable: true }] };
  return new ResidentBatch(kernel, schema, codes.length, [column], blocks);
}

function check(
  kernel: Kernel,
  type: DataType,
  words: readonly Uint8Array[],
  codes: readonly (number | null)[],
  offset: number,
): void {
  const batch = coded(kernel, type, words, codes, offset);
  const budget = kernel.budgetBytes;
  kernel.setBudget(kernel.usedBytes);
  const { usedBytes } = kernel;
  const copy = batch.toHost().columns[0]!;
  expect(kernel.usedBytes).toBe(usedBytes);
  kernel.setBudget(budget);
  batch.free();
  const texts = codes.map((code) => (code === null ? null : words[code]!));
  const isText = type === utf8 || type === largeUtf8;
  const expected = texts.map((text) => (text !== null && isText ? new TextDecoder().decode(text) : text));
  expect(valuesOf(copy)).toEqual(expected);
  const width = type === utf8 || type === binary ? 4 : 8;
  expect(copy.offsets).toHaveLength((codes.length + 1) * width);
  const { buffer, byteOffset } = copy.offsets!;
  const found = new Uint32Array(buffer, byteOffset, copy.offsets!.length / 4);
  const wanted = new Uint32Array(found.length);
  let end = 0;
  texts.forEach((text, row) => {
    end += text?.length ?? 0;
    wanted[((row + 1) * width) / 4] = end;
  });
  expect(found).toEqual(wanted);
  expect(copy.values).toHaveLength(end);
  expect(copy.offset).toBe(0);
  expect(copy.nullCount).toBe(texts.filter((text) => text === null).length);
  expect(copy.validity === null).toBe(copy.nullCount === 0);
  for (const buffer of [copy.validity, copy.values, copy.offsets]) {
    if (buffer === null) continue;
    const after = new Uint8Array(buffer.buffer, buffer.byteOffset + buffer.length);
    expect(after.subarray(0, padded(buffer.length) - buffer.length).every((byte) => byte === 0)).toBe(true);
  }
}

const words = fc.array(
  fc
    .oneof(
      fc.constantFrom("", "a", "é", "\u{1f600}", "x".repeat(15), "y".repeat(16), "z".repeat(17)),
      fc.string({ maxLength: 40, unit: "grapheme" }),
    )
    .map((word) => new TextEncoder().encode(word)),
  { maxLength: 8 },
);

describe.each(BUILDS)("%s", (build) => {
  let kernel: Kernel;
  beforeAll(async () => {
    kernel = await Kernel.open({ build });
  });
  afterAll(() => kernel.close());

  test.each([utf8, binary, largeUtf8, largeBinary].map((type) => [typeName(type), type] as const))(
    "%s: any codes",
    (_, type) => {
      const draw = fc.tuple(words, fc.array(fc.option(fc.nat(7), { freq: 5 }), { maxLength: 60 }), fc.nat(9));
      fc.assert(
        fc.property(draw, ([known, drawn, offset]) => {
          // All are null where there is no text.
          const codes = drawn.map((code) =>
            code === null || known.length === 0 ? null : code % known.length,
          );
          check(kernel, type, known, codes, offset);
        }),
        { numRuns: 100 },
      );
    },
  );

  test.each([
    ["utf8", utf8],
    ["largeUtf8", largeUtf8],
  ] as const)("%s: more than is spelled at once", (_, type) => {
    const long = [0, 3, 20, 131_071, 131_072, 131_073, 400_000].map((bytes) =>
      new Uint8Array(bytes).fill(65 + (bytes % 26)),
    );
    check(kernel, type, long, [3, 4, 5, 6, 0, 6, 1, null, 5, 1, 2, 4, 4], 3);
    const rows = Array.from({ length: 20_000 }, (_, row) => (row % 11 === 7 ? null : row % 3));
    check(kernel, type, long, rows, 1);
    check(kernel, type, long, new Array(8192).fill(1), 0);
    check(kernel, type, long, new Array(8193).fill(2), 0);
  });
});
