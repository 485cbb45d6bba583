// Fields of text to typed columns: each parser reads bytes and writes one value, or says that it cannot.
//
// No string and no BigInt per row on the common path: integers up to 15 digits and decimals of up to 15 digits
// are exact in a double (and such a number over a power of ten up to 10^22 is correctly rounded by one division:
// W. D. Clinger, "How to read floating point numbers accurately", PLDI 1990); only longer ones take the slow way.

import type { ColumnData } from "../type/column.js";
import { byteWidth, type DataType, physicalType, type TimeUnit, typeName } from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";
import { FIELD_NULL, type FieldColumn } from "./text-block.js";
import { parsed, parseTime } from "./text-time.js";

/** Writes the value of the text [start, end) at `row`; false when the text is not of the type. */
type Parser = (bytes: Uint8Array, start: number, end: number, row: number) => boolean;

/** Called with the row (from 0 in the block) and the text of a field that is not of the column's type. */
export type OnBadValue = (row: number, text: string) => never;

/** Rows `first` to `first + rows - 1` of a block's column as `type`. */
export function parseColumn(
  column: FieldColumn | null,
  bytes: Uint8Array,
  first: number,
  rows: number,
  type: DataType,
  onBadValue: OnBadValue,
): ColumnData {
  if (type.kind === "utf8") return textColumn(column, bytes, first, rows);
  const values = new Uint8Array(
    type.kind === "bool" ? (rows + 7) >> 3 : rows * byteWidth(physicalType(type)),
  );
  const parse = parserOf(type, values);
  const validity = new Uint8Array((rows + 7) >> 3);
  let nulls = 0;
  for (let i = 0; i < rows; i++) {
    const row = first + i;
    if (column === null || column.kinds[row] === FIELD_NULL) nulls += 1;
    else {
      validity[i >> 3]! |= 1 << (i & 7);
      const start = column.starts[row]!;
      const end = column.ends[row]!;
      if (!parse(bytes, start, end, i)) onBadValue(row, decode(bytes, start, end));
    }
  }
  return fixed(type, rows, nulls, validity, null, values);
}

function textColumn(column: FieldColumn | null, bytes: Uint8Array, first: number, rows: number): ColumnData {
  const offsets = new Int32Array(rows + 1);
  const validity = new Uint8Array((rows + 7) >> 3);
  let nulls = 0;
  let length = 0;
  for (let i = 0; i < rows; i++) {
    const row = first + i;
    if (column === null || column.kinds[row] === FIELD_NULL) nulls += 1;
    else {
      validity[i >> 3]! |= 1 << (i & 7);
      length += column.ends[row]! - column.starts[row]!;
    }
    offsets[i + 1] = length;
  }
  const values = new Uint8Array(length);
  for (let i = 0; column !== null && i < rows; i++) {
    let at = offsets[i]!;
    const end = offsets[i + 1]!;
    for (let from = column.starts[first + i]!; at < end; at++, from++) values[at] = bytes[from]!;
  }
  return fixed({ kind: "utf8" }, rows, nulls, validity, new Uint8Array(offsets.buffer), values);
}

function fixed(
  type: DataType,
  length: number,
  nullCount: number,
  validity: Uint8Array,
  offsets: Uint8Array | null,
  values: Uint8Array,
): ColumnData {
  const bitmap = nullCount > 0 ? validity : null;
  return { type, length, offset: 0, nullCount, validity: bitmap, offsets, values, dictionary: null };
}

/** Throws ArgumentError for a type that text cannot be read as. */
export function checkParsable(column: string, type: DataType): void {
  if (type.kind !== "utf8") parserOf(type, new Uint8Array(0), column);
}

function parserOf(type: DataType, values: Uint8Array, column?: string): Parser {
  switch (type.kind) {
    case "bool":
      return boolParser(values);
    case "int":
      return type.bits === 64
        ? wideParser(values, type.signed)
        : narrowParser(values, type.bits, type.signed);
    case "float":
      return floatParser(
        type.bits === 32 ? new Float32Array(values.buffer) : new Float64Array(values.buffer),
      );
    case "decimal":
      return decimalParser(values, type.precision, type.scale);
    case "date":
      return dateParser(values, type.unit);
    case "timestamp":
      return timestampParser(values, type.unit, type.timezone);
    default:
      throw new ArgumentError(`text cannot be read as ${typeName(type)}`, { column, value: typeName(type) });
  }
}

function boolParser(values: Uint8Array): Parser {
  return (bytes, start, end, row) => {
    const word = decode(bytes, start, Math.min(end, start + 6)).toLowerCase();
    if (word === "true") values[row >> 3]! |= 1 << (row & 7);
    return word === "true" || word === "false";
  };
}

/** The integer of at most 15 digits in [start, end); NaN when it is longer or none. */
function shortInteger(bytes: Uint8Array, start: number, end: number): number {
  const sign = bytes[start];
  const signed = sign === 0x2d || sign === 0x2b;
  const from = signed ? start + 1 : start;
  if (end === from || end - from > 15) return Number.NaN;
  let value = 0;
  for (let at = from; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return sign === 0x2d ? 0 - value : value;
}

/** The integer in [start, end) whatever its length; null when it is none. */
function longInteger(bytes: Uint8Array, start: number, end: number): bigint | null {
  const text = decode(bytes, start, end);
  return /^[+-]?\d+$/.test(text) ? BigInt(text.replace("+", "")) : null;
}

function narrowParser(values: Uint8Array, bits: 8 | 16 | 32, signed: boolean): Parser {
  const low = signed ? -(2 ** (bits - 1)) : 0;
  const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  const out =
    bits === 8 ? values : bits === 16 ? new Uint16Array(values.buffer) : new Uint32Array(values.buffer);
  return (bytes, start, end, row) => {
    const value = shortInteger(bytes, start, end);
    if (!(value >= low && value <= high)) return false;
    out[row] = value;
    return true;
  };
}

function wideParser(values: Uint8Array, signed: boolean): Parser {
  const words = new Int32Array(values.buffer);
  const view = new DataView(values.buffer);
  return (bytes, start, end, row) => {
    const value = shortInteger(bytes, start, end);
    if (!Number.isNaN(value)) {
      if (value < 0 && !signed) return false;
      putWide(words, row, value);
      return true;
    }
    const long = longInteger(bytes, start, end);
    if (long === null || long !== (signed ? BigInt.asIntN(64, long) : BigInt.asUintN(64, long))) return false;
    view.setBigUint64(row * 8, BigInt.asUintN(64, long), true);
    return true;
  };
}

/** Writes a safe integer as 64 bits. */
function putWide(words: Int32Array, row: number, value: number): void {
  words[2 * row] = value;
  words[2 * row + 1] = Math.floor(value / 4294967296);
}

const POWERS_OF_TEN = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

function floatParser(out: Float32Array | Float64Array): Parser {
  return (bytes, start, end, row) => {
    let value = shortDecimal(bytes, start, end);
    if (Number.isNaN(value)) value = longFloat(decode(bytes, start, end));
    if (Number.isNaN(value) && decode(bytes, start, end) !== "NaN") return false;
    out[row] = value;
    return true;
  };
}

/** Digits with or without a point, at most 15 of them, exactly; NaN for anything else. */
function shortDecimal(bytes: Uint8Array, start: number, end: number): number {
  const negative = bytes[start] === 0x2d;
  let mantissa = 0;
  let count = 0;
  let point = -1;
  for (let at = negative ? start + 1 : start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0x2e && point < 0) point = at;
    else if (byte >= 0x30 && byte <= 0x39) {
      mantissa = mantissa * 10 + byte - 0x30;
      count += 1;
    } else return Number.NaN;
  }
  if (count === 0 || count > 15) return Number.NaN;
  const value = point < 0 ? mantissa : mantissa / POWERS_OF_TEN[end - point - 1]!;
  return negative ? -value : value;
}

function longFloat(text: string): number {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) return Number(text);
  if (/^\+?(Infinity|inf)$/.test(text)) return Number.POSITIVE_INFINITY;
  return /^-(Infinity|inf)$/.test(text) ? Number.NEGATIVE_INFINITY : Number.NaN;
}

/** Digits past the scale must be zeros, and the unscaled value must fit the precision. */
function decimalParser(values: Uint8Array, precision: number, scale: number): Parser {
  const view = new DataView(values.buffer);
  const limit = 10n ** BigInt(precision);
  return (bytes, start, end, row) => {
    const match = /^([+-]?)(\d*)(?:\.(\d*))?$/.exec(decode(bytes, start, end));
    if (match === null) return false;
    const [, sign, whole = "", fraction = ""] = match;
    if (whole.length + fraction.length === 0 || /[1-9]/.test(fraction.slice(scale))) return false;
    const digits = BigInt(whole + fraction.slice(0, scale).padEnd(scale, "0") || "0");
    if (digits >= limit) return false;
    const value = sign === "-" ? -digits : digits;
    view.setBigUint64(row * 16, BigInt.asUintN(64, value), true);
    view.setBigUint64(row * 16 + 8, BigInt.asUintN(64, value >> 64n), true);
    return true;
  };
}

function dateParser(values: Uint8Array, unit: "day" | "ms"): Parser {
  const words = new Int32Array(values.buffer);
  return (bytes, start, end, row) => {
    if (!parseTime(bytes, start, end) || parsed.timed) return false;
    if (unit === "day") words[row] = parsed.days;
    else putWide(words, row, parsed.days * 86_400_000);
    return true;
  };
}

const UNITS_A_SECOND: Record<TimeUnit, number> = { s: 1, ms: 1e3, us: 1e6, ns: 1e9 };

/**
 * A column without zone takes texts without one, a column with one texts that state their distance from UTC
 * (or, in zone UTC, none). Decimals past the unit must be zeros.
 */
function timestampParser(values: Uint8Array, unit: TimeUnit, timezone: string | null): Parser {
  const words = new Int32Array(values.buffer);
  const view = new DataView(values.buffer);
  const perSecond = UNITS_A_SECOND[unit];
  const nanoseconds = 1e9 / perSecond;
  return (bytes, start, end, row) => {
    if (!parseTime(bytes, start, end)) return false;
    if (timezone === null ? parsed.zoned : !parsed.zoned && timezone !== "UTC") return false;
    if (parsed.nanoseconds % nanoseconds !== 0) return false;
    const seconds = parsed.days * 86400 + parsed.seconds;
    const value = seconds * perSecond + parsed.nanoseconds / nanoseconds;
    if (Number.isSafeInteger(seconds * perSecond) && Number.isSafeInteger(value)) putWide(words, row, value);
    else {
      const exact = BigInt(seconds) * BigInt(perSecond) + BigInt(parsed.nanoseconds / nanoseconds);
      if (exact !== BigInt.asIntN(64, exact)) return false;
      view.setBigInt64(row * 8, exact, true);
    }
    return true;
  };
}

const decoder = new TextDecoder();

function decode(bytes: Uint8Array, start: number, end: number): string {
  return decoder.decode(bytes.subarray(start, end));
}
