// From `BatchData` to ordinary apache-arrow objects, which share its buffers.
//
// What is called for each batch makes no functions (loops instead of `map`): V8 drops the compiled code of those that are
// made anew each time with the next collection, and compiles them again.

import {
  type Schema as ArrowOutSchema,
  type DataType as ArrowOutType,
  Data,
  type Dictionary,
  type List,
  makeData,
  RecordBatch,
  Struct,
  Table,
  Vector,
} from "apache-arrow";
import { type BatchData, type ColumnData, type DictionaryData, emptyBatch } from "../type/column.js";
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
  const children: Data[] = [];
  for (let i = 0; i < batch.columns.length; i++)
    children.push(toArrowData(batch.columns[i]!, schema.fields[i]!.type));
  const buffers = [undefined, undefined, NO_BITS, undefined] as never;
  return new RecordBatch(schema, new Data(structOf(schema), 0, batch.length, 0, buffers, children));
}

/** What `makeData` puts in the place of no bitmap. */
const NO_BITS = new Uint8Array(0);

const structs = new WeakMap<ArrowOutSchema, Struct>();

function structOf(schema: ArrowOutSchema): Struct {
  let struct = structs.get(schema);
  if (struct === undefined) {
    struct = new Struct(schema.fields);
    structs.set(schema, struct);
  }
  return struct;
}

/** A chunk of type `type`, which must be the Arrow type of the column's. */
export function toArrowData(column: ColumnData, type: ArrowOutType): Data {
  if (column.opaque !== undefined) return opaqueData(column);
  const { length, offset, validity, nullCount } = column;
  if (column.dictionary === null && isFixed(column.type)) return fixedData(column, type);
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
    return textData(column, type, width);
  }
  const dictionary = dictionaryVector(column.dictionary!, type as Dictionary);
  return make({ ...base, data: fixedBytes(column), dictionary });
}

function isFixed({ kind }: DataType): boolean {
  return kind !== "list" && kind !== "bool" && kind !== "dictionary" && !TEXTS.has(kind);
}

const TEXTS: ReadonlySet<DataType["kind"]> = new Set(["utf8", "binary", "largeUtf8", "largeBinary"]);

/** The values of the column's rows, from the first one on. */
function fixedBytes({ type, length, offset, values }: ColumnData): Uint8Array {
  const bytes = byteWidth(physicalType(type));
  const isWhole = offset === 0 && values.length === length * bytes;
  return aligned(
    isWhole ? values : values.subarray(offset * bytes, (offset + length) * bytes),
    Math.min(bytes, 8),
  );
}

/** What `makeData` makes of numbers, which most columns are, for a third of its time and of its garbage. */
function fixedData(column: ColumnData, type: ArrowOutType): Data {
  const { length, offset, validity, nullCount } = column;
  const { buffer, byteOffset, byteLength } = fixedBytes(column);
  const Values = type.ArrayType as Int32ArrayConstructor;
  const values = new Values(buffer as ArrayBuffer, byteOffset, byteLength / Values.BYTES_PER_ELEMENT);
  const buffers = [undefined, values, validity ?? NO_BITS, undefined] as never;
  return new Data(type, offset, length, validity === null ? 0 : nullCount, buffers);
}

/** The same for texts, whose offsets are `width` bytes each. */
function textData(
  { length, offset, offsets, values, validity, nullCount }: ColumnData,
  type: ArrowOutType,
  width: 4 | 8,
): Data {
  const { buffer, byteOffset, byteLength } =
    offsets === null ? new Uint8Array(width) : aligned(offsets.subarray(offset * width), width);
  const Offsets = width === 4 ? Int32Array : BigInt64Array;
  const places = new Offsets(buffer as ArrayBuffer, byteOffset, byteLength / width);
  const buffers = [places, values, validity ?? NO_BITS, undefined] as never;
  return new Data(type, offset, length, validity === null ? 0 : nullCount, buffers);
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

const SHAPES: Schema = {
  fields: [
    { name: "number", type: { kind: "int", bits: 32, signed: true }, nullable: false },
    { name: "text", type: { kind: "utf8" }, nullable: false },
  ],
};

/**
 * A table of one column of numbers and one of texts, without rows. V8 drops the code that makes such objects with the last
 * of them, when a result is let go, and compiles it again for the next one (`Kernel.retire`): so these stay.
 */
export const KEPT_SHAPES: Table = toTable(SHAPES, [emptyBatch(SHAPES)]);
