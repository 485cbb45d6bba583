// Types and data of another copy of apache-arrow, rebuilt as objects of the copy that Millrace imports.
//
// Only for columns that are carried along untouched: all others are written anew. Buffers are shared.
// Versions before 21 test for their own classes, so an object of another copy fails deep inside a writer.

import * as arrow from "apache-arrow";
import {
  Binary,
  Bool,
  Data,
  type DataType,
  Date_,
  Decimal,
  Dictionary,
  Duration,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float,
  Int,
  Interval,
  LargeBinary,
  LargeUtf8,
  List,
  Map_,
  Null,
  Struct,
  Time,
  Timestamp,
  Union,
  Utf8,
  Vector,
} from "apache-arrow";
import { ArgumentError } from "../type/error.js";
import { type ArrowData, type ArrowField, type ArrowType, TypeId } from "./shape.js";

const adopted = new WeakMap<ArrowType, DataType>();

/** The type itself when it is of this copy, else an equal one that is. */
export function adoptType(type: ArrowType): DataType {
  if (type instanceof arrow.DataType) return type;
  let own = adopted.get(type);
  if (own === undefined) {
    own = rebuildType(type);
    adopted.set(type, own);
  }
  return own;
}

function rebuildType(type: ArrowType): DataType {
  const children = (type.children ?? []).map(adoptField);
  switch (type.typeId) {
    case TypeId.Null:
      return new Null();
    case TypeId.Int:
      return new Int(type.isSigned === true, type.bitWidth as 32) as DataType;
    case TypeId.Float:
      return new Float(type.precision!) as DataType;
    case TypeId.Binary:
      return new Binary();
    case TypeId.LargeBinary:
      return new LargeBinary();
    case TypeId.Utf8:
      return new Utf8();
    case TypeId.LargeUtf8:
      return new LargeUtf8();
    case TypeId.Bool:
      return new Bool();
    case TypeId.Decimal:
      return new Decimal(type.scale!, type.precision!, type.bitWidth);
    case TypeId.Date:
      return new Date_(type.unit!) as DataType;
    case TypeId.Time:
      return new Time(type.unit!, type.bitWidth as 32) as DataType;
    case TypeId.Timestamp:
      return new Timestamp(type.unit!, type.timezone);
    case TypeId.Interval:
      return new Interval(type.unit!) as DataType;
    case TypeId.Duration:
      return new Duration(type.unit!);
    case TypeId.List:
      return new List(children[0]!);
    case TypeId.Struct:
      return new Struct(children);
    case TypeId.Union:
      return new Union(type.mode!, Array.from(type.typeIds!), children) as DataType;
    case TypeId.FixedSizeBinary:
      return new FixedSizeBinary(type.byteWidth!);
    case TypeId.FixedSizeList:
      return new FixedSizeList(type.listSize!, children[0]!);
    case TypeId.Map:
      return new Map_(children[0] as Field<Struct>, type.keysSorted);
    case TypeId.Dictionary:
      return new Dictionary(
        adoptType(type.dictionary!),
        adoptType(type.indices!) as Dictionary["indices"],
        type.id,
        type.isOrdered,
      );
    default:
      return rebuildNewer(type, children);
  }
}

/** Types that version 17 does not have yet: looked up by name, as an import of them would not link there. */
function rebuildNewer(type: ArrowType, children: readonly Field[]): DataType {
  const names: { readonly [typeId: number]: string } = {
    [TypeId.LargeList]: "LargeList",
    [TypeId.BinaryView]: "BinaryView",
    [TypeId.Utf8View]: "Utf8View",
  };
  const name = names[type.typeId];
  const Type = (arrow as unknown as { [name: string]: unknown })[name ?? ""];
  if (typeof Type !== "function") {
    throw new ArgumentError(`this version of apache-arrow has no type ${String(type)}`, {
      value: String(type),
    });
  }
  return new (Type as new (...children: readonly Field[]) => DataType)(...children);
}

function adoptField({ name, type, nullable, metadata }: ArrowField): Field {
  return new Field(name, adoptType(type), nullable, metadata);
}

/** The data itself when it is of this copy, else the same buffers under this copy's classes. */
export function adoptData(data: ArrowData): Data {
  if (data.constructor === Data) return data as unknown as Data;
  const { dictionary, nullBitmap, values, valueOffsets, typeIds } = data;
  return new Data(
    adoptType(data.type),
    data.offset,
    data.length,
    data._nullCount ?? data.nullCount,
    [valueOffsets, values, nullBitmap, typeIds] as never,
    data.children.map(adoptData),
    dictionary ? new Vector(dictionary.data.map(adoptData)) : undefined,
    ...(((data.variadicBuffers ?? []).length > 0 ? [data.variadicBuffers] : ([] as never[])) as []),
  );
}
