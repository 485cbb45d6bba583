// Types and schemas, from apache-arrow's to Millrace's and back.

import {
  Field as ArrowOutField,
  Schema as ArrowOutSchema,
  type DataType as ArrowOutType,
  Binary,
  Bool,
  DateDay,
  DateMillisecond,
  Decimal,
  Dictionary,
  Duration,
  Float32,
  Float64,
  Int8,
  Int16,
  Int32,
  Int64,
  LargeBinary,
  LargeUtf8,
  List,
  TimeMicrosecond,
  TimeMillisecond,
  TimeNanosecond,
  TimeSecond,
  Timestamp,
  Uint8,
  Uint16,
  Uint32,
  Uint64,
  Utf8,
} from "apache-arrow";
import {
  binary,
  bool,
  type DataType,
  date32,
  date64,
  decimal,
  duration,
  type Field,
  float32,
  float64,
  largeBinary,
  largeUtf8,
  type Schema,
  type TimeUnit,
  time,
  timestamp,
  utf8,
} from "../type/data-type.js";
import { MalformedArrowError, TypeMismatchError } from "../type/error.js";
import { adoptType } from "./adopt.js";
import { type ArrowSchema, type ArrowType, TypeId } from "./shape.js";

const UNITS: readonly TimeUnit[] = ["s", "ms", "us", "ns"];

/** The Arrow types behind opaque ones, so that a column that was carried along leaves as what it came. */
const opaqueTypes = new WeakMap<DataType, ArrowType>();
const schemas = new WeakMap<ArrowSchema, Schema>();

/** Millrace's schema of an apache-arrow schema (of any copy of the library). */
export function fromArrowSchema(schema: ArrowSchema): Schema {
  let known = schemas.get(schema);
  if (known === undefined) {
    known = {
      fields: schema.fields.map(({ name, type, nullable }) => ({
        name,
        type: fromArrowType(type),
        nullable,
      })),
    };
    schemas.set(schema, known);
  }
  return known;
}

/**
 * Millrace's type of an apache-arrow type; `opaque` for what the kernel cannot compute on.
 * @throws MalformedArrowError for one that apache-arrow could not write again.
 */
export function fromArrowType(type: ArrowType): DataType {
  const known = scalarType(type);
  if (known !== null) return known;
  if (type.typeId === TypeId.Dictionary) {
    const value = scalarType(type.dictionary!);
    const index = scalarType(type.indices!);
    if (value !== null && index?.kind === "int") {
      return { kind: "dictionary", index, value, ordered: type.isOrdered === true };
    }
  }
  requireTypes(type);
  const opaque: DataType = { kind: "opaque", name: String(type) };
  opaqueTypes.set(opaque, type);
  return opaque;
}

/** Damaged metadata may leave a child without a type, at any depth. */
function requireTypes({ children }: ArrowType): void {
  for (const child of children ?? []) {
    if (!child?.type) throw new MalformedArrowError("the children of a nested type have no types");
    requireTypes(child.type);
  }
}

/** Damaged metadata may name a unit that there is not. */
function unitOf({ unit }: ArrowType): TimeUnit {
  const known = UNITS[unit!];
  if (known === undefined) throw new MalformedArrowError(`times have no unit ${unit}`, { value: unit });
  return known;
}

function scalarType(type: ArrowType): DataType | null {
  switch (type.typeId) {
    case TypeId.Bool:
      return bool;
    case TypeId.Int:
      return { kind: "int", bits: type.bitWidth as 8 | 16 | 32 | 64, signed: type.isSigned === true };
    case TypeId.Float:
      return type.precision === 1 ? float32 : type.precision === 2 ? float64 : null;
    case TypeId.Utf8:
      return utf8;
    case TypeId.LargeUtf8:
      return largeUtf8;
    case TypeId.Binary:
      return binary;
    case TypeId.LargeBinary:
      return largeBinary;
    case TypeId.Decimal:
      return (type.bitWidth ?? 128) === 128 ? decimal(type.precision!, type.scale!) : null;
    case TypeId.Date:
      return type.unit === 0 ? date32 : date64;
    case TypeId.Time:
      return time(unitOf(type));
    case TypeId.Timestamp:
      return timestamp(unitOf(type), type.timezone || null);
    case TypeId.Duration:
      return duration(unitOf(type));
    default:
      return null;
  }
}

/**
 * A schema of results. apache-arrow's `RecordBatch` assigns its columns' fields to its schema, and so copies it, with five
 * maps and a field for each column: a quarter of what a batch of one row leaves to the garbage collector. Schemas do
 * not change; assigning a schema's own fields gives that schema here.
 */
class ResultSchema extends ArrowOutSchema {
  override assign(schema: ArrowOutSchema): ArrowOutSchema;
  override assign(...fields: (ArrowOutField | ArrowOutField[])[]): ArrowOutSchema;
  override assign(...args: readonly unknown[]): ArrowOutSchema {
    const [fields] = args;
    const isOwn = Array.isArray(fields) && haveSame(this.fields, fields);
    return isOwn ? this : super.assign(...(args as ArrowOutField[]));
  }
}

/** For each batch: no function is made here, as in to-arrow.ts. */
function haveSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  if (some.length !== others.length) return false;
  for (let at = 0; at < some.length; at++) if (some[at] !== others[at]) return false;
  return true;
}

const outSchemas = new WeakMap<Schema, ArrowOutSchema>();

/** An apache-arrow schema; the same object for the same `Schema`. */
export function toArrowSchema(schema: Schema): ArrowOutSchema {
  let known = outSchemas.get(schema);
  if (known === undefined) {
    known = new ResultSchema(schema.fields.map(toArrowField));
    outSchemas.set(schema, known);
  }
  return known;
}

function toArrowField({ name, type, nullable, metadata }: Field): ArrowOutField {
  const marks = metadata === undefined ? null : new Map(Object.entries(metadata));
  return new ArrowOutField(name, toArrowType(type, name), nullable, marks);
}

/** An apache-arrow type of the copy that Millrace imports. `column` is for messages. */
export function toArrowType(type: DataType, column = ""): ArrowOutType {
  switch (type.kind) {
    case "bool":
      return new Bool();
    case "int":
      return toArrowInt(type.bits, type.signed);
    case "float":
      return type.bits === 32 ? new Float32() : new Float64();
    case "decimal":
      return new Decimal(type.scale, type.precision, 128);
    case "utf8":
      return new Utf8();
    case "largeUtf8":
      return new LargeUtf8();
    case "binary":
      return new Binary();
    case "largeBinary":
      return new LargeBinary();
    case "date":
      return type.unit === "day" ? new DateDay() : new DateMillisecond();
    case "time":
      return toArrowTime(type.unit);
    case "timestamp":
      return new Timestamp(UNITS.indexOf(type.unit), type.timezone);
    case "duration":
      return new Duration(UNITS.indexOf(type.unit));
    case "dictionary": {
      const index = toArrowInt(type.index.bits, type.index.signed) as Dictionary["indices"];
      return new Dictionary(toArrowType(type.value, column), index, null, type.ordered);
    }
    case "list":
      return new List(new ArrowOutField("item", toArrowType(type.item, column), true));
    case "opaque": {
      const known = opaqueTypes.get(type);
      if (known !== undefined) return adoptType(known);
      throw new TypeMismatchError(`column "${column}": the Arrow type of ${type.name} is not known here`, {
        column,
      });
    }
  }
}

function toArrowInt(bits: number, signed: boolean): ArrowOutType {
  switch (bits) {
    case 8:
      return signed ? new Int8() : new Uint8();
    case 16:
      return signed ? new Int16() : new Uint16();
    case 32:
      return signed ? new Int32() : new Uint32();
    default:
      return signed ? new Int64() : new Uint64();
  }
}

function toArrowTime(unit: TimeUnit): ArrowOutType {
  switch (unit) {
    case "s":
      return new TimeSecond();
    case "ms":
      return new TimeMillisecond();
    case "us":
      return new TimeMicrosecond();
    case "ns":
      return new TimeNanosecond();
  }
}
