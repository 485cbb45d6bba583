// Choosing rows of columns that Millrace carries along without computing on them: lists, structs, maps,
// unions and whatever else apache-arrow has. Works on any nesting, chunk by chunk, without decoding values.

import { type DataType as ArrowOutType, Data, Vector } from "apache-arrow";
import { getBit, setBit } from "../type/bits.js";
import type { ColumnData } from "../type/column.js";
import { ArgumentError } from "../type/error.js";
import { adoptData } from "./adopt.js";
import { TypeId } from "./shape.js";
import { toArrowData } from "./to-arrow.js";
import { toArrowType } from "./type.js";

/** The rows of an opaque or list column with these numbers, in that order; numbers may repeat. */
export function takeOpaque(column: ColumnData, rows: Uint32Array): ColumnData {
  return takeOpaqueFrom([column], new Uint32Array(rows.length), rows);
}

/**
 * Rows of several chunks of one opaque column: row `rows[i]` of `columns[chunks[i]]` becomes row i.
 * `columns` must not be empty.
 */
export function takeOpaqueFrom(
  columns: readonly ColumnData[],
  chunks: Uint32Array,
  rows: Uint32Array,
): ColumnData {
  const sources = columns.map((column) => {
    if (column.opaque === undefined) return toArrowData(column, toArrowType(column.type));
    const data = adoptData(column.opaque as Parameters<typeof adoptData>[0]);
    return column.offset === 0 && column.length === data.length
      ? data
      : data.slice(column.offset, column.length);
  });
  rows.forEach((row, i) => {
    const source = sources[chunks[i]!];
    if (source === undefined || row >= source.length) {
      throw new ArgumentError(`row ${row} of chunk ${chunks[i]} does not exist`, { value: row });
    }
  });
  const taken = take({ sources, chunks, rows });
  const { type } = columns[0]!;
  const nothing = { validity: null, offsets: null, values: new Uint8Array(0), dictionary: null };
  return { type, length: rows.length, offset: 0, nullCount: -1, ...nothing, opaque: taken };
}

interface Choice {
  readonly sources: readonly Data[];
  readonly chunks: Uint32Array;
  readonly rows: Uint32Array;
}

interface Buffers {
  readonly offsets?: ArrayBufferView;
  readonly values?: ArrayBufferView;
  readonly typeIds?: Int8Array;
  readonly children?: Data[];
  readonly dictionary?: Vector;
  readonly variadic?: Uint8Array[];
}

function take(choice: Choice): Data {
  const { type } = choice.sources[0]!;
  switch (type.typeId as number) {
    case TypeId.Null:
      return new Data(type, 0, choice.rows.length, choice.rows.length);
    case TypeId.Bool:
      return build(choice, type, { values: takeBits(choice, ({ values }) => values as Uint8Array) });
    case TypeId.Binary:
    case TypeId.Utf8:
    case TypeId.LargeBinary:
    case TypeId.LargeUtf8:
      return build(choice, type, takeTexts(choice));
    case TypeId.List:
    case TypeId.LargeList:
    case TypeId.Map:
      return build(choice, type, takeLists(choice));
    case TypeId.FixedSizeList:
      return build(choice, type, { children: [takeFixedLists(choice)] });
    case TypeId.Struct:
      return build(choice, type, { children: takeChildren(choice) });
    case TypeId.Union:
      return takeUnion(choice, type);
    case TypeId.Dictionary:
      return build(choice, type, takeDictionary(choice));
    case TypeId.BinaryView:
    case TypeId.Utf8View:
      return build(choice, type, takeViews(choice));
    default:
      return build(choice, type, { values: takeFixed(choice) });
  }
}

function build(choice: Choice, type: ArrowOutType, buffers: Buffers): Data {
  const { offsets, values, typeIds, children, dictionary, variadic } = buffers;
  const { bitmap, nulls } = takeValidity(choice);
  const views = [offsets, values, bitmap, typeIds] as never;
  const more = variadic === undefined ? [] : [variadic];
  return new Data(type, 0, choice.rows.length, nulls, views, children, dictionary, ...(more as []));
}

function takeValidity(choice: Choice): { bitmap: Uint8Array | undefined; nulls: number } {
  if (choice.sources.every((source) => source.nullCount === 0)) return { bitmap: undefined, nulls: 0 };
  const bitmap = new Uint8Array(Math.ceil(choice.rows.length / 8));
  let nulls = 0;
  choice.rows.forEach((row, i) => {
    const valid = choice.sources[choice.chunks[i]!]!.getValid(row);
    if (valid) setBit(bitmap, i, true);
    else nulls++;
  });
  return { bitmap, nulls };
}

function takeBits(choice: Choice, bits: (source: Data) => Uint8Array): Uint8Array {
  const target = new Uint8Array(Math.ceil(choice.rows.length / 8));
  choice.rows.forEach((row, i) => {
    const source = choice.sources[choice.chunks[i]!]!;
    if (getBit(bits(source), source.offset + row)) setBit(target, i, true);
  });
  return target;
}

type Elements = {
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
  subarray(from: number, to: number): ArrayLike<number>;
  set(values: ArrayLike<number>, at: number): void;
};

/** An array of the same element type. */
function emptyLike(values: ArrayBufferView, length: number): ArrayBufferView & Elements {
  const Type = values.constructor as new (length: number) => ArrayBufferView & Elements;
  return new Type(length);
}

/** Values of `stride` elements a row: numbers, times, intervals, decimals, fixed-size binary. */
function takeFixed(choice: Choice): ArrayBufferView {
  const { stride } = choice.sources[0]!;
  const target = emptyLike(choice.sources[0]!.values, choice.rows.length * stride);
  choice.rows.forEach((row, i) => {
    const values = choice.sources[choice.chunks[i]!]!.values as unknown as Elements;
    target.set(values.subarray(row * stride, (row + 1) * stride), i * stride);
  });
  return target;
}

/** Start and end of a row's values or list elements. */
function range(source: Data, row: number): [number, number] {
  const offsets = source.valueOffsets as unknown as ArrayLike<number | bigint>;
  return [Number(offsets[row] ?? 0), Number(offsets[row + 1] ?? 0)];
}

/** Offsets of the same width as the sources', from the lengths of the rows. */
function offsetsOf(choice: Choice, lengths: Float64Array): ArrayBufferView {
  const large = choice.sources.some(({ valueOffsets }) => (valueOffsets as unknown) instanceof BigInt64Array);
  const offsets = large ? new BigInt64Array(lengths.length + 1) : new Int32Array(lengths.length + 1);
  let end = 0;
  lengths.forEach((length, i) => {
    end += length;
    if (offsets instanceof BigInt64Array) offsets[i + 1] = BigInt(end);
    else offsets[i + 1] = end;
  });
  if (!large && end > 0x7fffffff) throw new ArgumentError("the chosen rows hold more than 2^31 - 1 elements");
  return offsets;
}

function takeTexts(choice: Choice): Buffers {
  const lengths = lengthsOf(choice);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const values = new Uint8Array(total);
  let at = 0;
  choice.rows.forEach((row, i) => {
    const source = choice.sources[choice.chunks[i]!]!;
    const [start] = range(source, row);
    values.set((source.values as Uint8Array).subarray(start, start + lengths[i]!), at);
    at += lengths[i]!;
  });
  return { offsets: offsetsOf(choice, lengths), values };
}

/** Null rows count as empty, whatever their offsets say. */
function lengthsOf(choice: Choice): Float64Array {
  return Float64Array.from(choice.rows, (row, i) => {
    const source = choice.sources[choice.chunks[i]!]!;
    if (!source.getValid(row)) return 0;
    const [start, end] = range(source, row);
    return end - start;
  });
}

function takeLists(choice: Choice): Buffers {
  const lengths = lengthsOf(choice);
  const starts = Float64Array.from(
    choice.rows,
    (row, i) => range(choice.sources[choice.chunks[i]!]!, row)[0],
  );
  return { offsets: offsetsOf(choice, lengths), children: [takeRanges(choice, starts, lengths)] };
}

function takeFixedLists(choice: Choice): Data {
  const size = (choice.sources[0]!.type as unknown as { listSize: number }).listSize;
  const starts = Float64Array.from(choice.rows, (row) => row * size);
  return takeRanges(choice, starts, new Float64Array(choice.rows.length).fill(size));
}

/** Elements [starts[i], starts[i] + lengths[i]) of child 0, one range after the other. */
function takeRanges(choice: Choice, starts: Float64Array, lengths: Float64Array): Data {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const chunks = new Uint32Array(total);
  const rows = new Uint32Array(total);
  let at = 0;
  lengths.forEach((length, i) => {
    for (let k = 0; k < length; k++, at++) {
      chunks[at] = choice.chunks[i]!;
      rows[at] = starts[i]! + k;
    }
  });
  return take({ sources: choice.sources.map(({ children }) => children[0]!), chunks, rows });
}

function takeChildren(choice: Choice): Data[] {
  return choice.sources[0]!.children.map((_, child) =>
    take({ ...choice, sources: choice.sources.map(({ children }) => children[child]!) }),
  );
}

const DENSE = 1;

function takeUnion(choice: Choice, type: ArrowOutType): Data {
  const length = choice.rows.length;
  const typeIds = Int8Array.from(choice.rows, (row, i) => choice.sources[choice.chunks[i]!]!.typeIds[row]!);
  const union = type as unknown as { mode: number; typeIdToChildIndex: { [id: number]: number } };
  if (union.mode !== DENSE) {
    const views = [undefined, undefined, undefined, typeIds] as never;
    return new Data(type, 0, length, 0, views, takeChildren(choice));
  }
  const offsets = new Int32Array(length);
  const picks = choice.sources[0]!.children.map(() => ({ chunks: [] as number[], rows: [] as number[] }));
  choice.rows.forEach((row, i) => {
    const pick = picks[union.typeIdToChildIndex[typeIds[i]!]!]!;
    offsets[i] = pick.rows.length;
    pick.chunks.push(choice.chunks[i]!);
    pick.rows.push(Number(choice.sources[choice.chunks[i]!]!.valueOffsets[row]));
  });
  const children = picks.map(({ chunks, rows }, child) =>
    take({
      sources: choice.sources.map((source) => source.children[child]!),
      chunks: Uint32Array.from(chunks),
      rows: Uint32Array.from(rows),
    }),
  );
  return new Data(type, 0, length, 0, [offsets, undefined, undefined, typeIds] as never, children);
}

/** Chunks may have different dictionaries: they are put one after the other, and the codes moved along. */
function takeDictionary(choice: Choice): Buffers {
  const dictionaries = [...new Set(choice.sources.map(({ dictionary }) => dictionary!))];
  const values = emptyLike(choice.sources[0]!.values, choice.rows.length) as unknown as {
    [index: number]: number | bigint;
  };
  const starts = new Map<Vector, number>();
  let total = 0;
  for (const dictionary of dictionaries) {
    starts.set(dictionary, total);
    total += dictionary.length;
  }
  choice.rows.forEach((row, i) => {
    const source = choice.sources[choice.chunks[i]!]!;
    if (!source.getValid(row)) return;
    const code = (source.values as unknown as ArrayLike<number | bigint>)[row]!;
    const start = starts.get(source.dictionary!)!;
    values[i] = typeof code === "bigint" ? code + BigInt(start) : code + start;
    if (Number(values[i]) !== Number(code) + start) {
      throw new ArgumentError("the dictionaries of the chosen rows together pass the index type");
    }
  });
  const [first] = dictionaries;
  const dictionary =
    dictionaries.length === 1
      ? first!
      : new Vector(dictionaries.flatMap(({ data }) => data as readonly Data[]));
  return { values: values as unknown as ArrayBufferView, dictionary };
}

const VIEW_BYTES = 16;
/** Views of at most this many bytes hold the value itself. */
const INLINE_BYTES = 12;

/** 16-byte views; those that point into a buffer are moved along as the chunks' buffers are put in a row. */
function takeViews(choice: Choice): Buffers {
  const variadic: Uint8Array[] = [];
  const firstBuffer = choice.sources.map((source) => {
    const first = variadic.length;
    variadic.push(...((source as unknown as { variadicBuffers: Uint8Array[] }).variadicBuffers ?? []));
    return first;
  });
  const values = new Uint8Array(choice.rows.length * VIEW_BYTES);
  const out = new DataView(values.buffer);
  choice.rows.forEach((row, i) => {
    const chunk = choice.chunks[i]!;
    const source = choice.sources[chunk]!.values as Uint8Array;
    const at = i * VIEW_BYTES;
    values.set(source.subarray(row * VIEW_BYTES, (row + 1) * VIEW_BYTES), at);
    if (out.getInt32(at, true) > INLINE_BYTES) {
      out.setInt32(at + 8, out.getInt32(at + 8, true) + firstBuffer[chunk]!, true);
    }
  });
  return { values, variadic };
}
