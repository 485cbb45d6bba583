// Arrow data as it really comes: other copies of the library, odd offsets, chunks, growing dictionaries.

import { createRequire } from "node:module";
import * as arrow from "apache-arrow";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readColumn } from "../../../twin/values.js";
import type { BatchData } from "../type/column.js";
import { typeName } from "../type/data-type.js";
import { ArgumentError, MalformedArrowError, TypeMismatchError } from "../type/error.js";
import { fromArrow, fromRecordBatch, isArrow, takeOpaque, takeOpaqueFrom, toTable } from "./index.js";

/** The CommonJS build has classes of its own: a second copy in this process. */
const second = createRequire(import.meta.url)("apache-arrow") as typeof arrow;

function column(batches: readonly BatchData[], index = 0): unknown[] {
  return batches.flatMap(({ columns }) => readColumn(columns[index]!));
}

describe("structure", () => {
  test("a table of a second copy of apache-arrow is read, and its opaque columns can be written", () => {
    expect(second.Table).not.toBe(arrow.Table);
    const vectors = {
      n: second.vectorFromArray([1, 2, null], new second.Int32()),
      list: second.vectorFromArray(
        [[1], null, [2, 3]],
        new second.List(new second.Field("item", new second.Int8())),
      ),
    };
    const { schema, batches } = fromArrow(new second.Table(vectors));
    expect(column(batches)).toEqual([1n, 2n, null]);
    const table = toTable(schema, batches);
    expect(table.schema.fields[1]!.type).toBeInstanceOf(arrow.List);
    const back = arrow.tableFromIPC(arrow.tableToIPC(table));
    expect(JSON.stringify(back.getChild("list"))).toBe("[[1],null,[2,3]]");
  });

  test("chunks whose boundaries differ between columns become common batches", () => {
    const a = arrow
      .vectorFromArray([1, 2, 3], new arrow.Int32())
      .concat(arrow.vectorFromArray([4, 5], new arrow.Int32()));
    const b = arrow
      .vectorFromArray(["a"], new arrow.Utf8())
      .concat(arrow.vectorFromArray(["b", null, "d", "e"], new arrow.Utf8()));
    const { batches } = fromArrow(new arrow.Table({ a, b }));
    expect(batches.length).toBeGreaterThan(1);
    expect(column(batches, 0)).toEqual([1n, 2n, 3n, 4n, 5n]);
    expect(column(batches, 1)).toEqual(["a", "b", null, "d", "e"]);
  });

  test("columns that a table lengthened with nulls are read as nulls", () => {
    const a = arrow.vectorFromArray([1, 2, 3, 4, 5, 6, 7, 8, 9], new arrow.Int32());
    const short = {
      i: arrow.vectorFromArray([1n], new arrow.Int64()),
      s: arrow.vectorFromArray(["x", "y"], new arrow.Utf8()),
      b: arrow.vectorFromArray([true], new arrow.Bool()),
    };
    const data = arrow.makeData({
      type: new arrow.Struct([]),
      length: 9,
      nullCount: 0,
      children: [a, short.i, short.s, short.b].map((vector) => vector.data[0]!),
    });
    const fields = ["a", "i", "s", "b"].map((name, i) => new arrow.Field(name, data.children[i]!.type, true));
    const batch = fromRecordBatch(new arrow.RecordBatch(new arrow.Schema(fields), data));
    const nulls = (count: number) => Array(count).fill(null);
    expect(column([batch], 1)).toEqual([1n, ...nulls(8)]);
    expect(column([batch], 2)).toEqual(["x", "y", ...nulls(7)]);
    expect(column([batch], 3)).toEqual([true, ...nulls(8)]);
  });

  test("an offset given to makeData shifts the bitmap only", () => {
    fc.assert(
      fc.property(fc.nat(20), fc.array(fc.boolean(), { minLength: 1, maxLength: 30 }), (offset, valid) => {
        const nullBitmap = new Uint8Array(Math.ceil((offset + valid.length) / 8));
        valid.forEach((bit, i) => {
          if (bit) nullBitmap[(offset + i) >> 3]! |= 1 << ((offset + i) & 7);
        });
        const data = arrow.makeData({
          type: new arrow.Int32(),
          length: valid.length,
          offset,
          nullBitmap,
          data: Int32Array.from(valid, (_, i) => i),
        });
        const { batches } = fromArrow(new arrow.Table({ x: new arrow.Vector([data]) }));
        expect(column(batches)).toEqual(valid.map((bit, i) => (bit ? BigInt(i) : null)));
      }),
    );
  });

  test("views a slice instead of copying it", () => {
    const table = new arrow.Table({
      x: arrow.vectorFromArray([1, null, 3, 4, null, 6], new arrow.Float64()),
    });
    const { batches } = fromArrow(table.slice(1, 5));
    const [x] = batches[0]!.columns;
    expect(x!.values.buffer).toBe(table.getChild("x")!.data[0]!.values.buffer);
    expect(x!.validity!.buffer).toBe(table.getChild("x")!.data[0]!.nullBitmap.buffer);
    expect(readColumn(x!)).toEqual([null, 3, 4, null]);
  });

  test("no rows, no columns, no offsets", () => {
    expect(fromArrow(new arrow.Table()).batches).toEqual([]);
    const rows = arrow.makeData({ type: new arrow.Struct([]), length: 7, nullCount: 0, children: [] });
    const batch = new arrow.RecordBatch(new arrow.Schema([]), rows);
    expect(fromRecordBatch(batch)).toMatchObject({ length: 7, columns: [] });
    expect(toTable({ fields: [] }, [fromRecordBatch(batch)]).numRows).toBe(7);
    const empty = arrow.makeData({ type: new arrow.Utf8(), length: 0, valueOffsets: new Int32Array(0) });
    const { schema, batches } = fromArrow(
      new arrow.RecordBatch({ x: empty } as unknown as { x: arrow.Data }),
    );
    expect(batches[0]!.columns[0]).toMatchObject({ length: 0, offsets: null });
    expect(arrow.tableFromIPC(arrow.tableToIPC(toTable(schema, batches))).numRows).toBe(0);
  });

  test("a struct vector is a batch; what is no Arrow is refused", () => {
    const type = new arrow.Struct([new arrow.Field("x", new arrow.Int32(), true)]);
    const vector = arrow.vectorFromArray([{ x: 1 }, { x: 2 }], type);
    expect(column(fromArrow(vector).batches)).toEqual([1n, 2n]);
    expect(() => fromArrow(arrow.vectorFromArray([{ x: 1 }, null], type))).toThrow(TypeMismatchError);
    for (const wrong of [null, undefined, 7, "x", {}, [], { schema: {} }]) {
      expect(isArrow(wrong)).toBe(false);
      expect(() => fromArrow(wrong)).toThrow(ArgumentError);
    }
  });

  test("bytes that are no Arrow IPC, or end early, are malformed", () => {
    const bytes = arrow.tableToIPC(
      new arrow.Table({ x: arrow.vectorFromArray([1, 2], new arrow.Int32()) }),
      "file",
    );
    for (const wrong of [
      new Uint8Array(0),
      new Uint8Array([1, 2, 3]),
      new TextEncoder().encode("a,b\n1,2\n"),
    ]) {
      expect(() => fromArrow(wrong)).toThrow(MalformedArrowError);
    }
    expect(
      column(fromArrow(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)).batches),
    ).toEqual([1n, 2n]);
  });
});

test("a batch that says it has more rows than it holds is malformed", () => {
  const ROWS = 77;
  const values = Array.from({ length: ROWS }, (_, row) => row);
  const table = new arrow.Table({ x: arrow.vectorFromArray(values, new arrow.Int32()) });
  for (const format of ["file", "stream"] as const) {
    const bytes = arrow.tableToIPC(table, format);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const counts = Array.from({ length: (bytes.length >> 3) - 1 }, (_, word) => word * 8).filter(
      (at) => view.getBigInt64(at, true) === BigInt(ROWS),
    );
    // One of them is the batch's, another the column's, which apache-arrow does not believe.
    const refused = counts.filter((at) => {
      view.setBigInt64(at, 2n ** 31n, true);
      try {
        return fromArrow(bytes).batches[0]!.length !== ROWS;
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedArrowError);
        return true;
      } finally {
        view.setBigInt64(at, BigInt(ROWS), true);
      }
    });
    expect(refused.length).toBeGreaterThan(0);
    expect(fromArrow(bytes).batches[0]!.length).toBe(ROWS);
  }
});

test("compressed bytes without a codec say what is missing", () => {
  // The codec (a frame header and the bytes as they are) is registered in the second copy only.
  const header = Uint8Array.of(4, 0x22, 0x4d, 0x18, 0x40, 0x40, 0);
  const codec = {
    encode: (bytes: Uint8Array) => Uint8Array.of(...header, ...bytes),
    decode: (bytes: Uint8Array) => bytes.slice(header.length),
  };
  second.compressionRegistry.set(second.CompressionType.LZ4_FRAME, codec);
  const table = new second.Table({ x: second.vectorFromArray([1, 2, 3], new second.Int32()) });
  const writer = new second.RecordBatchStreamWriter({ compressionType: second.CompressionType.LZ4_FRAME });
  const bytes = writer.writeAll(table).finish().toUint8Array(true);
  expect(() => fromArrow(bytes)).toThrow(ArgumentError);
  expect(() => fromArrow(bytes)).toThrow(/are compressed: register a codec/);
});

describe("dictionaries", () => {
  const type = new arrow.Dictionary(new arrow.Utf8(), new arrow.Int8());
  const coded = (codes: readonly (number | null)[], dictionary: arrow.Vector) =>
    arrow.makeData({
      type,
      length: codes.length,
      nullCount: -1,
      nullBitmap: codes.reduce((bits: Uint8Array, code, i) => {
        if (code !== null) bits[i >> 3]! |= 1 << (i & 7);
        return bits;
      }, new Uint8Array(8)),
      data: Int8Array.from(codes, (code) => code ?? 0),
      dictionary: dictionary as arrow.Vector<arrow.Utf8>,
    });
  const texts = (...values: (string | null)[]) => arrow.vectorFromArray(values, new arrow.Utf8());
  const batch = (data: arrow.Data) =>
    fromRecordBatch(new arrow.RecordBatch({ x: data } as { x: arrow.Data }));
  const dictionaryOf = ({ columns }: BatchData) => columns[0]!.dictionary!;

  test("the same dictionary keeps its id, whoever holds it", () => {
    const shared = texts("a", "b");
    const [one, two] = [batch(coded([0, 1], shared)), batch(coded([1], shared.memoize()))];
    expect(dictionaryOf(one).id).toBe(dictionaryOf(two).id);
    expect(dictionaryOf(one)).toBe(dictionaryOf(two));
    expect(dictionaryOf(batch(coded([0], texts("a", "b")))).id).not.toBe(dictionaryOf(one).id);
  });

  test("a dictionary that grew keeps its id, and earlier batches see its earlier length", () => {
    const first = texts("a", null);
    const grown = first.concat(texts("c", "d"));
    const before = batch(coded([0, 1], first));
    const after = batch(coded([3, 2, 1, 0], grown));
    const again = batch(coded([1, 0], first));
    expect(dictionaryOf(after).id).toBe(dictionaryOf(before).id);
    expect(column([after])).toEqual(["d", "c", null, "a"]);
    expect(dictionaryOf(again)).toMatchObject({ id: dictionaryOf(before).id, values: { length: 2 } });
    expect(column([again])).toEqual([null, "a"]);
    const other = batch(coded([2], first.concat(texts("z"))));
    expect(dictionaryOf(other).id).not.toBe(dictionaryOf(before).id);
    expect(column([other])).toEqual(["z"]);
  });

  test("deltas and replacements in a stream", () => {
    const first = texts("a", "b");
    const grown = first.concat(texts("c"));
    const replaced = texts("x", "y", "x");
    const fields = new arrow.Schema([new arrow.Field("x", type, true)]);
    const batches = [coded([0, 1, null], first), coded([2, 0], grown), coded([0, 2, 1], replaced)].map(
      (data) =>
        new arrow.RecordBatch(
          fields,
          arrow.makeData({
            type: new arrow.Struct(fields.fields),
            length: data.length,
            nullCount: 0,
            children: [data],
          }),
        ),
    );
    const bytes = arrow.RecordBatchStreamWriter.writeAll(batches).toUint8Array(true);
    const read = fromArrow(bytes);
    expect(column(read.batches)).toEqual(["a", "b", null, "c", "a", "x", "x", "y"]);
    const ids = read.batches.map((one) => dictionaryOf(one).id);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });

  test("chunks that are slices, of every kind of value", () => {
    const parts = [texts("no", "a", null, "b").slice(1), texts("c", "no").slice(0, 1), texts("d")];
    const dictionary = parts[0]!.concat(parts[1]!, parts[2]!);
    expect(column([batch(coded([4, 3, 2, 1, 0], dictionary))])).toEqual(["d", "c", "b", null, "a"]);
    const bools = [true, null, false];
    const vector = arrow
      .vectorFromArray(bools, new arrow.Bool())
      .slice(1)
      .concat(arrow.vectorFromArray(bools, new arrow.Bool()));
    const data = arrow.makeData({
      type: new arrow.Dictionary(new arrow.Bool(), new arrow.Int32()),
      data: Int32Array.of(0, 1, 2, 3, 4),
      dictionary: vector,
    });
    expect(column([batch(data)])).toEqual([null, false, true, null, false]);
  });
});

/** 16-byte views: texts of up to 12 bytes inline, the n-th longer one at the start of buffer n. */
function viewsOf(...texts: string[]): Uint8Array {
  const views = new Uint8Array(texts.length * 16);
  const out = new DataView(views.buffer);
  let buffer = 0;
  texts.forEach((text, i) => {
    const bytes = new TextEncoder().encode(text);
    out.setInt32(i * 16, bytes.length, true);
    views.set(bytes.subarray(0, bytes.length > 12 ? 4 : 12), i * 16 + 4);
    if (bytes.length > 12) out.setInt32(i * 16 + 8, buffer++, true);
  });
  return views;
}

describe("types that Millrace only carries along", () => {
  const field = (name: string, type: arrow.DataType) => new arrow.Field(name, type, true);
  const struct = new arrow.Struct([field("a", new arrow.Int32()), field("b", new arrow.Utf8())]);
  const map = new arrow.Map_(
    field(
      "entries",
      new arrow.Struct([field("key", new arrow.Utf8()), field("value", new arrow.Int32())]),
    ) as never,
  );
  const vectors: { readonly [name: string]: arrow.Vector } = {
    list: arrow.vectorFromArray(
      [[1, 2], null, [], [3, null]],
      new arrow.List(field("item", new arrow.Int16())),
    ),
    fixedList: arrow.vectorFromArray(
      [[1, 2], [3, 4], null, [5, 6]],
      new arrow.FixedSizeList(2, field("item", new arrow.Int16())),
    ),
    struct: arrow.vectorFromArray([{ a: 1, b: "x" }, null, { a: null, b: "y" }, { a: 4, b: null }], struct),
    nested: arrow.vectorFromArray(
      [[{ a: 1, b: "x" }], [], null, [{ a: 2, b: "zz" }, null]],
      new arrow.List(field("item", struct)),
    ),
    map: arrow.vectorFromArray(
      [
        new Map([["k", 1]]),
        null,
        new Map(),
        new Map([
          ["a", 1],
          ["b", 2],
        ]),
      ],
      map,
    ),
    half: arrow.vectorFromArray([1.5, null, -2, 0], new arrow.Float16()),
    fixed: arrow.vectorFromArray(
      [Uint8Array.of(1, 2), null, Uint8Array.of(3, 4), Uint8Array.of(5, 6)],
      new arrow.FixedSizeBinary(2),
    ),
    nothing: arrow.vectorFromArray([null, null, null, null], new arrow.Null()),
    wide: new arrow.Vector([
      arrow.makeData({
        type: new arrow.Decimal(2, 60, 256),
        data: Uint32Array.from({ length: 32 }, (_, i) => i),
      }),
    ]),
    coded: new arrow.Vector([
      arrow.makeData({
        type: new arrow.Dictionary(new arrow.FixedSizeBinary(1), new arrow.Int8()) as never,
        data: Int8Array.of(1, 0, 1, 1),
        dictionary: arrow.vectorFromArray(
          [Uint8Array.of(7), Uint8Array.of(8)],
          new arrow.FixedSizeBinary(1),
        ) as never,
      } as never),
    ]),
    view: new arrow.Vector([
      arrow.makeData({
        type: new arrow.Utf8View(),
        length: 4,
        nullBitmap: Uint8Array.of(0b1011),
        views: viewsOf("short", "a text longer than twelve", "", "another one that is long"),
        variadicBuffers: [
          new TextEncoder().encode("a text longer than twelve"),
          new TextEncoder().encode("another one that is long"),
        ],
      } as never) as never,
    ]),
    dense: new arrow.Vector([
      arrow.makeData({
        type: new arrow.DenseUnion([5, 9], [field("i", new arrow.Int32()), field("s", new arrow.Utf8())]),
        typeIds: Int8Array.of(9, 5, 5, 9),
        valueOffsets: Int32Array.of(0, 0, 1, 1),
        children: [
          arrow.vectorFromArray([10, 11], new arrow.Int32()).data[0]!,
          arrow.vectorFromArray(["s", null], new arrow.Utf8()).data[0]!,
        ],
      } as never) as never,
    ]),
    sparse: new arrow.Vector([
      arrow.makeData({
        type: new arrow.SparseUnion([0, 1], [field("i", new arrow.Int32()), field("s", new arrow.Utf8())]),
        typeIds: Int8Array.of(0, 1, 1, 0),
        children: [
          arrow.vectorFromArray([1, 2, 3, 4], new arrow.Int32()).data[0]!,
          arrow.vectorFromArray(["a", "b", "c", "d"], new arrow.Utf8()).data[0]!,
        ],
      } as never) as never,
    ]),
  };
  const shown = (vector: { toArray(): unknown } | Iterable<unknown>) =>
    [...(vector as Iterable<unknown>)].map((value) =>
      value instanceof Uint8Array || value instanceof Uint32Array ? [...value].join() : JSON.stringify(value),
    );

  describe.each(Object.keys(vectors))("%s", (name) => {
    const vector = vectors[name]!;
    const all = shown(vector);

    test("rides through untouched", () => {
      const { schema, batches } = fromArrow(new arrow.Table({ x: vector } as never));
      expect(schema.fields[0]!.type.kind).toBe("opaque");
      expect(typeName(schema.fields[0]!.type)).toBe(String(vector.type));
      const back = toTable(schema, batches).getChildAt(0)!;
      expect(shown(back)).toEqual(all);
      expect(back.type.toString()).toBe(vector.type.toString());
    });

    test("rows can be chosen, from slices and across chunks", () => {
      const { schema, batches } = fromArrow(new arrow.Table({ x: vector } as never));
      const table = new arrow.Table({ x: vector } as never);
      const whole = batches[0]!.columns[0]!;
      const tail = fromArrow(table.slice(1)).batches[0]!.columns[0]!;
      fc.assert(
        fc.property(
          fc.array(fc.nat(3), { maxLength: 9 }),
          fc.array(fc.nat(2), { maxLength: 9 }),
          (rows, later) => {
            const write = (column: typeof whole) =>
              shown(toTable(schema, [{ schema, length: column.length, columns: [column] }]).getChildAt(0)!);
            expect(write(takeOpaque(whole, Uint32Array.from(rows)))).toEqual(rows.map((row) => all[row]));
            expect(write(takeOpaque(tail, Uint32Array.from(later)))).toEqual(
              later.map((row) => all[row + 1]),
            );
            const chunks = Uint32Array.from([...rows.map(() => 0), ...later.map(() => 1)]);
            const both = takeOpaqueFrom([whole, tail], chunks, Uint32Array.from([...rows, ...later]));
            expect(write(both)).toEqual([
              ...rows.map((row) => all[row]),
              ...later.map((row) => all[row + 1]),
            ]);
          },
        ),
        { numRuns: 30 },
      );
      expect(() => takeOpaque(whole, Uint32Array.of(4))).toThrow(ArgumentError);
    });
  });
});
