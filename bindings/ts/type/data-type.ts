// Logical types of columns: what Arrow calls a data type, as plain data.
//
// Plain objects rather than apache-arrow's classes, for two reasons: a program may hold two copies of
// apache-arrow whose classes differ, and `millrace/kernel` must work without it. The kernel itself knows
// physical types only (`physicalType`); what a value means stays on this side.

import { Type } from "../../../kernel/abi/layout.js";

export type TimeUnit = "s" | "ms" | "us" | "ns";

export type DataType =
  | { readonly kind: "bool" }
  | { readonly kind: "int"; readonly bits: 8 | 16 | 32 | 64; readonly signed: boolean }
  | { readonly kind: "float"; readonly bits: 32 | 64 }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "utf8" }
  | { readonly kind: "largeUtf8" }
  | { readonly kind: "binary" }
  | { readonly kind: "largeBinary" }
  /** Days since 1970-01-01 (32 bits) or milliseconds (64 bits). */
  | { readonly kind: "date"; readonly unit: "day" | "ms" }
  | { readonly kind: "timestamp"; readonly unit: TimeUnit; readonly timezone: string | null }
  /** Time of day: 32 bits for s and ms, 64 bits for us and ns. */
  | { readonly kind: "time"; readonly unit: TimeUnit }
  | { readonly kind: "duration"; readonly unit: TimeUnit }
  | {
      readonly kind: "dictionary";
      readonly index: { readonly kind: "int"; readonly bits: 8 | 16 | 32 | 64; readonly signed: boolean };
      readonly value: DataType;
      readonly ordered: boolean;
    }
  /** What `topK` and its like give: any number of items that are not null. Carried along, not computed on. */
  | { readonly kind: "list"; readonly item: DataType }
  /** A type that Millrace carries along but cannot compute on (list, struct, map, union, null, ...). */
  | { readonly kind: "opaque"; readonly name: string };

/** Types that pass through plans without being computed on. */
export function isCarried({ kind }: DataType): boolean {
  return kind === "opaque" || kind === "list";
}

export interface Field {
  readonly name: string;
  readonly type: DataType;
  readonly nullable: boolean;
  /** What results say about themselves: `millrace.exact` = "false" marks plain float sums. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface Schema {
  readonly fields: readonly Field[];
}

const int = <const B extends 8 | 16 | 32 | 64, const S extends boolean>(bits: B, signed: S) =>
  ({ kind: "int", bits, signed }) as const;

export const bool = { kind: "bool" } as const;
export const int8 = int(8, true);
export const int16 = int(16, true);
export const int32 = int(32, true);
export const int64 = int(64, true);
export const uint8 = int(8, false);
export const uint16 = int(16, false);
export const uint32 = int(32, false);
export const uint64 = int(64, false);
export const float32 = { kind: "float", bits: 32 } as const;
export const float64 = { kind: "float", bits: 64 } as const;
export const utf8 = { kind: "utf8" } as const;
export const largeUtf8 = { kind: "largeUtf8" } as const;
export const binary = { kind: "binary" } as const;
export const largeBinary = { kind: "largeBinary" } as const;
export const date32 = { kind: "date", unit: "day" } as const;
export const date64 = { kind: "date", unit: "ms" } as const;
export const decimal = (precision: number, scale: number) => ({ kind: "decimal", precision, scale }) as const;
export const timestamp = (unit: TimeUnit, timezone: string | null = null) =>
  ({ kind: "timestamp", unit, timezone }) as const;
export const time = <const U extends TimeUnit>(unit: U) => ({ kind: "time", unit }) as const;
export const duration = (unit: TimeUnit) => ({ kind: "duration", unit }) as const;
export const dictionary = (value: DataType, index: Extract<DataType, { kind: "int" }> = int32) =>
  ({ kind: "dictionary", index, value, ordered: false }) as const;

export const list = <const T extends DataType>(item: T) => ({ kind: "list", item }) as const;

/** The type's name as messages and `explain()` print it, such as `timestamp[us, Europe/Berlin]`. */
export function typeName(type: DataType): string {
  switch (type.kind) {
    case "int":
      return `${type.signed ? "int" : "uint"}${type.bits}`;
    case "float":
      return `float${type.bits}`;
    case "decimal":
      return `decimal(${type.precision}, ${type.scale})`;
    case "date":
      return type.unit === "day" ? "date32" : "date64";
    case "timestamp":
      return `timestamp[${type.unit}${type.timezone === null ? "" : `, ${type.timezone}`}]`;
    case "time":
    case "duration":
      return `${type.kind}[${type.unit}]`;
    case "dictionary":
      return `dictionary<${typeName(type.index)}, ${typeName(type.value)}>`;
    case "list":
      return `list<${typeName(type.item)}>`;
    case "opaque":
      return type.name;
    default:
      return type.kind;
  }
}

/** Whether two types are the same in every parameter. */
export function sameType(a: DataType, b: DataType): boolean {
  return (
    a.kind === b.kind &&
    (a.kind === "opaque" ? a === b || typeName(a) === typeName(b) : typeName(a) === typeName(b))
  );
}

/** The type of a column's values: a dictionary's value type, else the type itself. */
export function valueType(type: DataType): DataType {
  return type.kind === "dictionary" ? type.value : type;
}

/** How the kernel sees the type's values; of a dictionary, its indices. `Type.NONE` for those that are carried along. */
export function physicalType(type: DataType): Type {
  switch (type.kind) {
    case "bool":
      return Type.BOOL;
    case "int": {
      const first = type.signed ? Type.I8 : Type.U8;
      return first + Math.log2(type.bits / 8);
    }
    case "float":
      return type.bits === 32 ? Type.F32 : Type.F64;
    case "decimal":
      return Type.I128;
    case "utf8":
    case "binary":
      return Type.BYTES;
    case "largeUtf8":
    case "largeBinary":
      return Type.LARGE_BYTES;
    case "date":
      return type.unit === "day" ? Type.I32 : Type.I64;
    case "time":
      return type.unit === "s" || type.unit === "ms" ? Type.I32 : Type.I64;
    case "timestamp":
    case "duration":
      return Type.I64;
    case "dictionary":
      return physicalType(type.index);
    case "list":
    case "opaque":
      return Type.NONE;
  }
}

/** Bytes of one value of a fixed-width physical type; 0 for BOOL (a bit) and bytes. */
export function byteWidth(type: Type): number {
  switch (type) {
    case Type.I8:
    case Type.U8:
      return 1;
    case Type.I16:
    case Type.U16:
      return 2;
    case Type.I32:
    case Type.U32:
    case Type.F32:
      return 4;
    case Type.I64:
    case Type.U64:
    case Type.F64:
      return 8;
    case Type.I128:
      return 16;
    default:
      return 0;
  }
}
