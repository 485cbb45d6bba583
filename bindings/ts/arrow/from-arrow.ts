// From apache-arrow's tables, batches and IPC bytes to `BatchData`: views of the same buffers, no copies.
//
// apache-arrow slices every buffer but the bitmaps: a sliced chunk's `values` and `valueOffsets` begin at
// its first row, while `nullBitmap` (and a boolean's `values`) keep their start and `offset` says where
// the rows begin. `ColumnData` has one offset for all buffers. So the other buffers are viewed from up to
// 7 rows before the slice, which are there whenever it is a slice; where they are not (an offset that
// someone gave to `makeData`), the bitmap is shifted: the one case in which something is copied here.

import { RecordBatchReader } from "apache-arrow";
import { getBit, shiftBits } from "../type/bits.js";
import type { BatchData, ColumnData } from "../type/column.js";
import { byteWidth, type DataType, physicalType, type Schema, typeName } from "../type/data-type.js";
import { ArgumentError, MalformedArrowError, MillraceError, TypeMismatchError } from "../type/error.js";
import { fromArrowDictionary } from "./dictionary.js";
import { checkIpc } from "./ipc-check.js";
import {
  type ArrowBatch,
  type ArrowData,
  isArrowBatch,
  isArrowTable,
  isArrowVector,
  isBytes,
  TypeId,
  viewBytes,
} from "./shape.js";
import { fromArrowSchema, fromArrowType } from "./type.js";

/** A schema and the batches that have it. */
export interface ArrowBatches {
  readonly schema: Schema;
  readonly batches: readonly BatchData[];
}

/** Whether `fromArrow` takes `value`: a table, record batch, struct vector, or IPC bytes. */
export function isArrow(value: unknown): boolean {
  return isArrowTable(value) || isArrowBatch(value) || isArrowVector(value) || isBytes(value);
}

/**
 * The batches of an apache-arrow `Table`, `RecordBatch` or struct `Vector` (of any copy of the library,
 * version 17 or newer), or of Arrow IPC bytes in the stream or file format.
 * @throws ArgumentError for anything else, MalformedArrowError for bytes that are not Arrow IPC.
 */
export function fromArrow(input: unknown): ArrowBatches {
  if (isBytes(input)) return fromIpc(input);
  if (isArrowTable(input)) {
    const schema = fromArrowSchema(input.schema);
    return { schema, batches: input.batches.map((batch) => batchOf(batch.data, schema)) };
  }
  if (isArrowBatch(input)) {
    const batch = fromRecordBatch(input);
    return { schema: batch.schema, batches: [batch] };
  }
  if (isArrowVector(input) && input.type.typeId === TypeId.Struct) {
    const schema = fromArrowSchema({ fields: input.type.children ?? [] });
    return { schema, batches: input.data.map((data) => batchOf(data, schema)) };
  }
  throw new ArgumentError(
    `${describe(input)} is not Arrow data: give a Table, a RecordBatch or Arrow IPC bytes`,
    { value: input, expected: "Table, RecordBatch or IPC bytes" },
  );
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return JSON.stringify(value) ?? typeof value;
  return `an object of class ${value.constructor?.name ?? "Object"}`;
}

/** One record batch, of any copy of apache-arrow. */
export function fromRecordBatch(batch: unknown): BatchData {
  if (!isArrowBatch(batch)) {
    throw new ArgumentError(`${describe(batch)} is not an Arrow RecordBatch`, { value: batch });
  }
  return batchOf(batch.data, fromArrowSchema(batch.schema));
}

/** Every batch of Arrow IPC bytes (stream or file format). Buffers are views of `bytes` where they are aligned. */
export function fromIpc(bytes: Uint8Array | ArrayBuffer): ArrowBatches {
  try {
    checkIpc(bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : viewBytes(bytes));
    const reader = RecordBatchReader.from(bytes as Uint8Array).open();
    if (!reader.schema) throw new MalformedArrowError("the bytes are not Arrow IPC: they hold no schema");
    const schema = fromArrowSchema(reader.schema as unknown as ArrowBatch["schema"]);
    const batches: BatchData[] = [];
    for (const batch of reader) {
      const { data, schema: own } = batch as unknown as ArrowBatch;
      refuseForged(data, schema, bytes);
      if (data.length > 0 || own.fields.length === 0) batches.push(batchOf(data, schema));
    }
    return { schema, batches };
  } catch (error) {
    throw ipcError(error);
  }
}

/**
 * Of a batch that says it has more rows than its columns, apache-arrow lengthens the columns by nulls, in a bitmap that
 * it makes: a few bytes would ask for gigabytes.
 */
function refuseForged(data: ArrowData, schema: Schema, bytes: Uint8Array | ArrayBuffer): void {
  const own = bytes instanceof ArrayBuffer ? bytes : bytes.buffer;
  data.children.forEach(({ nullBitmap, values, valueOffsets, length }, at) => {
    const { name: column, type } = schema.fields[at]!;
    if (type.kind === "opaque" || (nullBitmap?.buffer === own && nullBitmap.byteLength > 0)) return;
    const held = Math.max(values?.byteLength ?? 0, valueOffsets?.byteLength ?? 0);
    if (length <= 8 * held) return;
    throw new MalformedArrowError(
      `column "${column}": the batch says it has ${length} rows, and the column has ${held} bytes`,
      { column, value: length },
    );
  });
}

function ipcError(error: unknown): MillraceError {
  if (error instanceof MillraceError) return error;
  const said = error instanceof Error ? error.message : String(error);
  if (/compress/i.test(said)) {
    return new ArgumentError(
      `the Arrow IPC bytes are compressed: register a codec in apache-arrow's compressionRegistry, or write them without compression (${said})`,
      { cause: error },
    );
  }
  return new MalformedArrowError(`the bytes are not Arrow IPC: ${said}`, { cause: error });
}

function batchOf(data: ArrowData, schema: Schema): BatchData {
  if (data.nullCount > 0) {
    throw new TypeMismatchError("a struct with null rows is no record batch: a batch's rows cannot be null");
  }
  const columns = schema.fields.map(({ name, type }, i) => {
    const child = data.children[i];
    if (child === undefined) {
      throw new MalformedArrowError(`column "${name}" has no data`, { column: name });
    }
    return fromArrowData(child, type);
  });
  return { schema, length: data.length, columns };
}

/** One chunk of a column. `type` is the Millrace type of its Arrow type. */
export function fromArrowData(data: ArrowData, type: DataType): ColumnData {
  const { length } = data;
  if (type.kind === "opaque") return opaqueColumn(data, type);
  const bitmap = data.nullBitmap && data.nullBitmap.byteLength > 0 ? viewBytes(data.nullBitmap) : null;
  const known = data._nullCount ?? data.nullCount;
  const nullCount = bitmap === null && known < 0 ? 0 : known;
  const validity = nullCount === 0 ? null : bitmap;
  const dictionary =
    type.kind === "dictionary"
      ? fromArrowDictionary(requireDictionary(data, type), type.value, fromArrowData)
      : null;
  if (type.kind === "bool") {
    const values = backfilled(data, viewBytes(data.values), Math.ceil((data.offset + length) / 8), null);
    return { type, length, offset: data.offset, nullCount, validity, offsets: null, values, dictionary };
  }
  const texts = isText(type);
  const width = texts ? offsetWidth(type) : byteWidth(physicalType(type));
  const rows = backfilled(
    data,
    viewBytes(texts ? data.valueOffsets : data.values),
    texts ? (length === 0 ? 0 : (length + 1) * width) : length * width,
    texts ? width : null,
  );
  // Nearly all columns: nothing to align, and one object.
  if (!texts && validity === null)
    return { type, length, offset: 0, nullCount, validity, offsets: null, values: rows, dictionary };
  const aligned = alignBitmap(validity, data.offset, length, rows, width);
  const column = { type, length, offset: aligned.offset, nullCount, validity: aligned.validity, dictionary };
  if (!texts) return { ...column, offsets: null, values: aligned.rows };
  return { ...column, offsets: rows.length === 0 ? null : aligned.rows, values: viewBytes(data.values) };
}

function opaqueColumn(data: ArrowData, type: DataType): ColumnData {
  return {
    type,
    length: data.length,
    offset: 0,
    nullCount: -1,
    validity: null,
    offsets: null,
    values: new Uint8Array(0),
    dictionary: null,
    opaque: data,
  };
}

/**
 * What a list column that is carried along holds: its items, and where each row's begin, and the last one's end. Null for other
 * columns.
 * @throws MalformedArrowError where there are fewer offsets than rows.
 */
export function listItems({ opaque }: ColumnData): { items: ColumnData; ends: readonly number[] } | null {
  const data = opaque as ArrowData | undefined;
  if (data?.type.typeId !== TypeId.List) return null;
  const [child] = data.children;
  const offsets = viewBytes(data.valueOffsets);
  const count = data.length === 0 ? 0 : data.length + 1;
  if (child === undefined || offsets.length < 4 * count)
    throw new MalformedArrowError(`lists of ${data.length} rows have ${offsets.length} bytes of offsets`);
  const view = new DataView(offsets.buffer, offsets.byteOffset, offsets.byteLength);
  const ends = Array.from({ length: count }, (_, row) => view.getInt32(4 * row, true));
  return { items: fromArrowData(child, fromArrowType(child.type)), ends };
}

function requireDictionary(data: ArrowData, type: DataType) {
  if (data.dictionary) return data.dictionary;
  throw new MalformedArrowError(`a ${typeName(type)} column has no dictionary`);
}

function isText(type: DataType): boolean {
  return (
    type.kind === "utf8" || type.kind === "binary" || type.kind === "largeUtf8" || type.kind === "largeBinary"
  );
}

function offsetWidth(type: DataType): 4 | 8 {
  return type.kind === "utf8" || type.kind === "binary" ? 4 : 8;
}

/** Buffers whose row 0 is the chunk's first row, and a bitmap that starts at bit `offset`, made to start alike. */
function alignBitmap(
  validity: Uint8Array | null,
  offset: number,
  length: number,
  rows: Uint8Array,
  width: number,
) {
  if (validity === null || offset === 0) return { validity, offset: 0, rows };
  const skip = offset & 7;
  const whole = validity.subarray(offset >>> 3);
  if (skip === 0) return { validity: whole, offset: 0, rows };
  const before = skip * width;
  if (rows.byteOffset < before) return { validity: shiftBits(validity, offset, length), offset: 0, rows };
  const earlier = new Uint8Array(rows.buffer, rows.byteOffset - before, rows.byteLength + before);
  return { validity: whole, offset: skip, rows: earlier };
}

/**
 * `Table` and `RecordBatch` lengthen a column that is shorter than its batch by null rows, but leave its
 * buffers as they were. Such buffers are copied and lengthened; others are returned as they are, a
 * malformed short one too, which the kernel's bindings then refuse.
 */
function backfilled(
  data: ArrowData,
  buffer: Uint8Array,
  bytes: number,
  offsetBytes: number | null,
): Uint8Array {
  if (buffer.length >= bytes || !missingRowsAreNull(data, buffer.length, bytes)) return buffer;
  const longer = new Uint8Array(bytes);
  longer.set(buffer);
  if (offsetBytes !== null && buffer.length >= offsetBytes) {
    const last = buffer.slice(buffer.length - offsetBytes);
    for (let at = buffer.length; at < bytes; at += offsetBytes) longer.set(last, at);
  }
  return longer;
}

function missingRowsAreNull(data: ArrowData, have: number, need: number): boolean {
  const { nullBitmap, offset, length } = data;
  if (!nullBitmap || nullBitmap.byteLength * 8 < offset + length) return false;
  // Rows whose values are all there, by proportion: `need` bytes are `length` rows (and one offset more).
  const first = Math.floor((have / need) * length);
  for (let row = first; row < length; row++) {
    if (getBit(nullBitmap, offset + row)) return false;
  }
  return true;
}
