// Columns <-> plain values, one at a time: how the twins and the tests see data.
//
// Written for being obviously right, never for speed. Integers, decimals (unscaled), dates and times are
// bigints; floats are numbers; texts are strings; binary is bytes; null is null. A list is a text of its items
// (`listValue`): nothing computes on lists, they are only compared.

import { type BatchData, type ColumnData, nextDictionaryId } from "../bindings/ts/type/column.js";
import { byteWidth, type DataType, type Field, physicalType } from "../bindings/ts/type/data-type.js";
import { Type } from "../kernel/abi/layout.js";

export type Value = null | boolean | number | bigint | string | Uint8Array;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** Every value of a column, in row order. */
export function readColumn(column: ColumnData): Value[] {
  return Array.from({ length: column.length }, (_, row) => readValue(column, row));
}

export function readValue(column: ColumnData, row: number): Value {
  const at = column.offset + row;
  if (column.validity !== null && !bit(column.validity, at)) return null;
  if (column.dictionary !== null) {
    return readValue(
      column.dictionary.values,
      Number(readFixed(physicalType(column.type), column.values, at)),
    );
  }
  if (column.type.kind === "bool") return bit(column.values, at);
  if (column.offsets !== null) {
    const large = column.type.kind === "largeUtf8" || column.type.kind === "largeBinary";
    const type = large ? Type.I64 : Type.I32;
    const start = Number(readFixed(type, column.offsets, at));
    const end = Number(readFixed(type, column.offsets, at + 1));
    const { items } = column;
    if (items) return listValue(Array.from({ length: end - start }, (_, i) => readValue(items, start + i)));
    const bytes = column.values.slice(start, end);
    return column.type.kind === "utf8" || column.type.kind === "largeUtf8" ? decoder.decode(bytes) : bytes;
  }
  return readFixed(physicalType(column.type), column.values, at);
}

/** `[1, 2]`: equal exactly when the items are, bit for bit. */
export function listValue(items: readonly Value[]): string {
  const texts = items.map((item) => {
    if (typeof item === "string") return JSON.stringify(item);
    return item instanceof Uint8Array ? `<${item.join(" ")}>` : Object.is(item, -0) ? "-0" : String(item);
  });
  return `[${texts.join(", ")}]`;
}

function bit(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at >> 3]! >> (at & 7)) & 1) === 1;
}

function readFixed(type: Type, bytes: Uint8Array, at: number): number | bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const position = at * byteWidth(type);
  switch (type) {
    case Type.I8:
      return BigInt(view.getInt8(position));
    case Type.U8:
      return BigInt(view.getUint8(position));
    case Type.I16:
      return BigInt(view.getInt16(position, true));
    case Type.U16:
      return BigInt(view.getUint16(position, true));
    case Type.I32:
      return BigInt(view.getInt32(position, true));
    case Type.U32:
      return BigInt(view.getUint32(position, true));
    case Type.I64:
      return view.getBigInt64(position, true);
    case Type.U64:
      return view.getBigUint64(position, true);
    case Type.F32:
      return view.getFloat32(position, true);
    case Type.F64:
      return view.getFloat64(position, true);
    case Type.I128:
      return (view.getBigInt64(position + 8, true) << 64n) | view.getBigUint64(position, true);
    default:
      throw new RangeError(`no fixed-width type ${type}`);
  }
}

export interface WriteOptions {
  /** Rows of rubbish before the first one, reached over by the column's offset. */
  readonly offset?: number;
  /** Write a bitmap even when nothing is null. */
  readonly bitmap?: boolean;
}

/** A batch of rows, each as values in column order. */
export function writeBatch(
  fields: readonly Field[],
  rows: readonly (readonly Value[])[],
  options?: WriteOptions,
): BatchData {
  const columns = fields.map(({ type }, at) => {
    const values = rows.map((row) => row[at]!);
    return writeColumn(type, values, options);
  });
  return { schema: { fields }, length: rows.length, columns };
}

/**
 * A column of `type` that holds `values`. A dictionary's values are those that occur, in that order; it begins behind as many
 * rows of rubbish as the column.
 */
export function writeColumn(
  type: DataType,
  values: readonly Value[],
  options: WriteOptions = {},
): ColumnData {
  const offset = options.offset ?? 0;
  const rows = offset + values.length;
  const nulls = values.filter((value) => value === null).length;
  let validity: Uint8Array | null = null;
  if (nulls > 0 || options.bitmap) {
    validity = new Uint8Array(Math.ceil(rows / 8));
    values.forEach((value, row) => {
      if (value !== null) setBit(validity!, offset + row);
    });
  }
  const column = {
    type,
    length: values.length,
    offset,
    nullCount: nulls,
    validity,
    offsets: null,
    dictionary: null,
  };
  if (type.kind === "dictionary") {
    const distinct = new Map<string, { code: number; value: Value }>();
    const codes = values.map((value) => {
      if (value === null) return null;
      const key =
        value instanceof Uint8Array
          ? `b${value.join()}`
          : `${typeof value}${Object.is(value, -0) ? "-0" : value}`;
      const entry = distinct.get(key) ?? { code: distinct.size, value };
      distinct.set(key, entry);
      return BigInt(entry.code);
    });
    const entries = [...distinct.values()].map(({ value }) => value);
    const dictionary = writeColumn(type.value, entries, { offset });
    const indices = writeColumn(type.index, codes, { offset });
    return { ...column, values: indices.values, dictionary: { id: nextDictionaryId(), values: dictionary } };
  }
  if (type.kind === "bool") {
    const bits = new Uint8Array(Math.ceil(rows / 8));
    values.forEach((value, row) => {
      if (value === true) setBit(bits, offset + row);
    });
    return { ...column, values: bits };
  }
  const physical = physicalType(type);
  if (physical === Type.BYTES || physical === Type.LARGE_BYTES) {
    const texts = values.map((value) => (value === null ? new Uint8Array() : toBytes(value)));
    const width = physical === Type.BYTES ? 4 : 8;
    const offsets = new Uint8Array((rows + 1) * width);
    const view = new DataView(offsets.buffer);
    const put = (at: number, value: number) =>
      width === 4 ? view.setInt32(at * 4, value, true) : view.setBigInt64(at * 8, BigInt(value), true);
    let end = 0;
    texts.forEach((text, row) => {
      end += text.length;
      put(offset + row + 1, end);
    });
    const bytes = new Uint8Array(end);
    let at = 0;
    for (const text of texts) {
      bytes.set(text, at);
      at += text.length;
    }
    return { ...column, offsets, values: bytes };
  }
  const bytes = new Uint8Array(rows * byteWidth(physical));
  values.forEach((value, row) => {
    if (value !== null) writeFixed(physical, bytes, offset + row, value as number | bigint);
  });
  return { ...column, values: bytes };
}

function toBytes(value: Value): Uint8Array {
  return value instanceof Uint8Array ? value : encoder.encode(value as string);
}

function setBit(bytes: Uint8Array, at: number): void {
  bytes[at >> 3]! |= 1 << (at & 7);
}

function writeFixed(type: Type, bytes: Uint8Array, at: number, value: number | bigint): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const position = at * byteWidth(type);
  switch (type) {
    case Type.I8:
      return view.setInt8(position, Number(value));
    case Type.U8:
      return view.setUint8(position, Number(value));
    case Type.I16:
      return view.setInt16(position, Number(value), true);
    case Type.U16:
      return view.setUint16(position, Number(value), true);
    case Type.I32:
      return view.setInt32(position, Number(value), true);
    case Type.U32:
      return view.setUint32(position, Number(value), true);
    case Type.I64:
      return view.setBigInt64(position, BigInt(value), true);
    case Type.U64:
      return view.setBigUint64(position, BigInt(value), true);
    case Type.F32:
      return view.setFloat32(position, Number(value), true);
    case Type.F64:
      return view.setFloat64(position, Number(value), true);
    case Type.I128:
      view.setBigUint64(position, BigInt.asUintN(64, BigInt(value)), true);
      return view.setBigInt64(position + 8, BigInt.asIntN(64, BigInt(value) >> 64n), true);
    default:
      throw new RangeError(`no fixed-width type ${type}`);
  }
}
