// From `BatchData` to ordinary apache-arrow objects, which share its buffers.

import {
  type Schema as ArrowOutSchema,
  type DataType as ArrowOutType,
  type Data,
  type Dictionary,
  type List,
  makeData,
  RecordBatch,
  Struct,
  Table,
  Vector,
} from "apache-arrow";
import type { BatchData, ColumnData, DictionaryData } from "../type/column.js";
import { byteWidth, type DataType, physicalType, type Schema } from "../type/data-type.js";
import { adoptData } from "./adopt.js";
import type { ArrowData } from "./shape.js";
import { toArrowSchema } from "./type.js";

/** A `Table` of these batches. `schema` is theirs; it stands alone when there are none. */
export function toTable(schema: Schema, batches: readonly BatchData[]): Table {
  const arrowSchema = toArrowSchema(schema);
  return new Table(
    arrowSchema,
    batches.map((batch) => recordBatch(batch, arrowSchema)),
  );
}

/** A `RecordBatch` over the batch's buffers. Batches of one `Schema` object get one apache-arrow schema. */
export function toRecordBatch(batch: BatchData): RecordBatch {
  return recordBatch(batch, toArrowSchema(batch.schema));
}

function recordBatch(batch: BatchData, schema: ArrowOutSchema): RecordBatch {
  const children = batch.columns.map((column, i) => toArrowData(column, schema.fields[i]!.type));
  const data = makeData({ type: new Struct(schema.fields), length: batch.length, nullCount: 0, children });
  return new RecordBatch(schema, data);
}

/** A chunk of type `type`, which must be the Arrow type of the column's. */
export function toArrowData(column: ColumnData, type: ArrowOutType): Data {
  if (column.opaque !== undefined) return opaqueData(column);
  const { length, offset, validity, nullCount } = column;
  const nulls = validity === null ? { nullCount: 0 } : { nullCount, nullBitmap: validity };
  const base = { type, length, offset, ...nulls };
  // makeData's overloads know the type only from a literal class; the buffers here fit by construction.
  const make = makeData as unknown as (props: object) => Data;
  if (column.type.kind === "list") {
    const valueOffsets = aligned(column.offsets!.subarray(offset * 4), 4);
    const child = toArrowData(column.items!, (type as List).children[0]!.type);
    return make({ ...base, valueOffsets, child });
  }
  if (column.type.kind === "bool") return make({ ...base, data: column.values });
  const width = offsetWidth(column.type);
  if (width !== 0) {
    const valueOffsets =
      column.offsets === null
        ? new Uint8Array(width)
        : aligned(column.offsets.subarray(offset * width), width);
    return make({ ...base, valueOffsets, data: column.values });
  }
  const bytes = byteWidth(physicalType(column.type));
  const data = aligned(column.values.subarray(offset * bytes, (offset + length) * bytes), Math.min(bytes, 8));
  if (column.dictionary === null) return make({ ...base, data });
  return make({ ...base, data, dictionary: dictionaryVector(column.dictionary, type as Dictionary) });
}

function opaqueData(column: ColumnData): Data {
  const data = column.opaque as ArrowData;
  const whole = column.offset === 0 && column.length === data.length;
  return adoptData(whole ? data : data.slice(column.offset, column.length));
}

const vectors = new WeakMap<DictionaryData, Vector>();

/** One vector for one state of a dictionary, so that writers see that batches share it. */
function dictionaryVector(dictionary: DictionaryData, type: Dictionary): Vector {
  let vector = vectors.get(dictionary);
  if (vector === undefined) {
    vector = new Vector([toArrowData(dictionary.values, type.dictionary)]);
    vectors.set(dictionary, vector);
  }
  return vector;
}

function offsetWidth(type: DataType): 0 | 4 | 8 {
  switch (type.kind) {
    case "utf8":
    case "binary":
      return 4;
    case "largeUtf8":
    case "largeBinary":
      return 8;
    default:
      return 0;
  }
}

/** The bytes where typed arrays of `width`-byte elements can view them: themselves, or a copy. */
function aligned(bytes: Uint8Array, width: number): Uint8Array {
  return bytes.byteOffset % width === 0 ? bytes : bytes.slice();
}
