// The type that two operands are brought to before they are compared or chosen between.

import { type DataType, decimal, float64, int64, sameType, uint64 } from "../type/data-type.js";
import { finerUnit } from "./calendar.js";

type Integer = Extract<DataType, { kind: "int" }>;
type Decimal = Extract<DataType, { kind: "decimal" }>;

/**
 * The narrowest type that holds the values of both; null when there is none.
 *
 * Integers widen to a signed type that holds both (uint64 has none beside signed ones); integer or decimal
 * with float is float64, as in DuckDB; decimals keep every digit on both sides of the point, up to 38; units of time
 * go to the finer one; a date beside a timestamp is its midnight; zoned timestamps compare as instants.
 */
export function commonType(a: DataType, b: DataType): DataType | null {
  if (sameType(a, b)) return a;
  return pairType(a, b) ?? pairType(b, a);
}

function pairType(a: DataType, b: DataType): DataType | null {
  switch (a.kind) {
    case "int":
      if (b.kind === "int") return commonInteger(a, b);
      if (b.kind === "decimal") return commonDecimal(integerAsDecimal(a), b);
      return b.kind === "float" ? float64 : null;
    case "float":
      return b.kind === "float" || b.kind === "decimal" ? float64 : null;
    case "decimal":
      return b.kind === "decimal" ? commonDecimal(a, b) : null;
    case "utf8":
      return b.kind === "largeUtf8" ? b : null;
    case "binary":
      return b.kind === "largeBinary" ? b : null;
    case "date":
      if (b.kind === "date") return { kind: "date", unit: "ms" };
      if (b.kind !== "timestamp") return null;
      return { ...b, unit: a.unit === "ms" ? finerUnit(b.unit, "ms") : b.unit };
    case "timestamp":
      if (b.kind !== "timestamp" || (a.timezone === null) !== (b.timezone === null)) return null;
      return { ...a, unit: finerUnit(a.unit, b.unit) };
    case "time":
      return b.kind === "time" ? { kind: "time", unit: finerUnit(a.unit, b.unit) } : null;
    case "duration":
      return b.kind === "duration" ? { kind: "duration", unit: finerUnit(a.unit, b.unit) } : null;
    default:
      return null;
  }
}

function commonInteger(a: Integer, b: Integer): Integer | null {
  if (a.signed === b.signed) return a.bits >= b.bits ? a : b;
  const [signed, unsigned] = a.signed ? [a, b] : [b, a];
  if (unsigned.bits === 64) return null;
  return signed.bits > unsigned.bits
    ? signed
    : { kind: "int", bits: (unsigned.bits * 2) as 16 | 32 | 64, signed: true };
}

function commonDecimal(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  const whole = Math.max(a.precision - a.scale, b.precision - b.scale);
  return decimal(Math.min(38, whole + scale), scale);
}

/** The decimal that holds every value of an integer type. */
export function integerAsDecimal(type: Integer): Decimal {
  const digits = { 8: 3, 16: 5, 32: 10, 64: type.signed ? 19 : 20 };
  return decimal(digits[type.bits], 0);
}

/** The integer type that arithmetic computes in: int32, int64 or uint64. */
export function arithmeticInteger(type: Integer): Integer {
  if (type.bits === 64) return type.signed ? int64 : uint64;
  return type.bits === 32 && !type.signed ? int64 : { kind: "int", bits: 32, signed: true };
}
