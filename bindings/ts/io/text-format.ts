// Values as text, for CSV and NDJSON.
//
// Every value is written so that reading it back gives the same value: floats in the shortest form that does so,
// with `.0` when integral (so that the column is read as floats again); decimals with all digits of their scale;
// integers in full; dates and timestamps in ISO 8601 with all decimals of their unit, and `Z` when the column has
// a time zone (Arrow keeps such timestamps in UTC); times as HH:MM:SS; durations as a number of their unit;
// binary as lower-case hexadecimal.

import { getBit } from "../type/bits.js";
import type { ColumnData } from "../type/column.js";
import { type DataType, type TimeUnit, typeName } from "../type/data-type.js";
import { TypeMismatchError } from "../type/error.js";

/** Text of a row that is not null. */
export type RowText = (row: number) => string;

export interface TextStyle {
  /** A text as the format writes it. */
  text(value: string): string;
  /** A date, time or hexadecimal: never needs escapes, but may need quotes. */
  plain(value: string): string;
  /** NaN, Infinity or -Infinity. */
  notFinite(value: number): string;
}

/** How to write the values of `column`, named `name` in errors. */
export function rowText(name: string, column: ColumnData, style: TextStyle): RowText {
  const { type, offset } = column;
  if (type.kind === "dictionary") return dictionaryText(name, column, style);
  if (type.kind === "bool") {
    return (row) => String(getBit(column.values, offset + row));
  }
  if (type.kind === "utf8" || type.kind === "largeUtf8") {
    const range = ranges(column);
    const bytes = Buffer.from(column.values.buffer, column.values.byteOffset, column.values.byteLength);
    return (row) => style.text(bytes.toString("utf8", range(offset + row), range(offset + row + 1)));
  }
  if (type.kind === "binary" || type.kind === "largeBinary") {
    const range = ranges(column);
    const bytes = Buffer.from(column.values.buffer, column.values.byteOffset, column.values.byteLength);
    return (row) => style.plain(bytes.toString("hex", range(offset + row), range(offset + row + 1)));
  }
  return fixedText(name, type, column, style);
}

/** Texts of the dictionary's entries are made once a batch, or on demand where they outnumber the rows. */
function dictionaryText(name: string, column: ColumnData, style: TextStyle): RowText {
  const { values } = column.dictionary!;
  const entry = rowText(name, values, style);
  const code = integerReader(column, (column.type as { index: { bits: number; signed: boolean } }).index);
  const texts = new Map<number, string>();
  return (row) => {
    const index = Number(code(row));
    let text = texts.get(index);
    if (text === undefined) {
      text = isValid(values, index) ? entry(index) : style.text("");
      texts.set(index, text);
    }
    return text;
  };
}

function fixedText(name: string, type: DataType, column: ColumnData, style: TextStyle): RowText {
  const view = viewOf(column.values);
  const at = (row: number) => column.offset + row;
  switch (type.kind) {
    case "int": {
      const read = integerReader(column, type);
      return (row) => String(read(row));
    }
    case "float":
      return type.bits === 32
        ? (row) => float32Text(view.getFloat32(at(row) * 4, true), style)
        : (row) => floatText(view.getFloat64(at(row) * 8, true), style);
    case "decimal":
      return (row) => decimalText(readInt128(view, at(row) * 16), type.scale);
    case "date":
      return type.unit === "day"
        ? (row) => style.plain(dateText(view.getInt32(at(row) * 4, true)))
        : (row) =>
            style.plain(dateText(Math.floor(Number(view.getBigInt64(at(row) * 8, true)) / 86_400_000)));
    case "timestamp": {
      const zone = type.timezone === null ? "" : "Z";
      return (row) => style.plain(timestampText(view.getBigInt64(at(row) * 8, true), type.unit) + zone);
    }
    case "time": {
      const read = integerReader(column, {
        bits: type.unit === "s" || type.unit === "ms" ? 32 : 64,
        signed: true,
      });
      return (row) => style.plain(clockText(BigInt(read(row)), type.unit));
    }
    case "duration":
      return (row) => String(view.getBigInt64(at(row) * 8, true));
    default:
      throw new TypeMismatchError(`column "${name}" of type ${typeName(type)} cannot be written as text`, {
        column: name,
      });
  }
}

export function isValid(column: ColumnData, row: number): boolean {
  return column.validity === null || getBit(column.validity, column.offset + row);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads integers of any width, those of 64 bits as bigint. */
export function integerReader(
  column: ColumnData,
  { bits, signed }: { readonly bits: number; readonly signed: boolean },
): (row: number) => number | bigint {
  const view = viewOf(column.values);
  const { offset } = column;
  if (bits === 8) return signed ? (row) => view.getInt8(offset + row) : (row) => view.getUint8(offset + row);
  if (bits === 16) {
    return signed
      ? (row) => view.getInt16((offset + row) * 2, true)
      : (row) => view.getUint16((offset + row) * 2, true);
  }
  if (bits === 32) {
    return signed
      ? (row) => view.getInt32((offset + row) * 4, true)
      : (row) => view.getUint32((offset + row) * 4, true);
  }
  return signed
    ? (row) => view.getBigInt64((offset + row) * 8, true)
    : (row) => view.getBigUint64((offset + row) * 8, true);
}

/** Reads offset number `index` (the column's own offset not added) of a text or binary column. */
export function ranges(column: ColumnData): (index: number) => number {
  const offsets = column.offsets ?? new Uint8Array(8);
  const view = viewOf(offsets);
  return column.type.kind === "largeUtf8" || column.type.kind === "largeBinary"
    ? (index) => Number(view.getBigInt64(index * 8, true))
    : (index) => view.getInt32(index * 4, true);
}

export function readInt128(view: DataView, at: number): bigint {
  return (view.getBigInt64(at + 8, true) << 64n) | view.getBigUint64(at, true);
}

function floatText(value: number, style: TextStyle): string {
  if (!Number.isFinite(value)) return style.notFinite(value);
  if (!Number.isInteger(value)) return String(value);
  if (Object.is(value, -0)) return "-0.0";
  const text = String(value);
  return text.includes("e") ? text : `${text}.0`;
}

/** The shortest decimal that is nearest to this float32, not to the double of the same value. */
function float32Text(value: number, style: TextStyle): string {
  for (let precision = 6; Number.isFinite(value) && precision < 9; precision++) {
    const rounded = Number(value.toPrecision(precision));
    if (Math.fround(rounded) === value) return floatText(Object.is(value, -0) ? value : rounded, style);
  }
  return floatText(value, style);
}

function decimalText(unscaled: bigint, scale: number): string {
  if (scale <= 0) return String(unscaled * 10n ** BigInt(-scale));
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const sign = unscaled < 0n ? "-" : "";
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** Days since 1970 to YYYY-MM-DD, after Howard Hinnant, "chrono-compatible low-level date algorithms". */
function dateText(days: number): string {
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${year < 0 ? "-" : ""}${String(Math.abs(year)).padStart(4, "0")}-${two(month)}-${two(day)}`;
}

const UNITS_A_DAY: Record<TimeUnit, bigint> = {
  s: 86_400n,
  ms: 86_400_000n,
  us: 86_400_000_000n,
  ns: 86_400_000_000_000n,
};
const DECIMALS: Record<TimeUnit, number> = { s: 0, ms: 3, us: 6, ns: 9 };

function timestampText(value: bigint, unit: TimeUnit): string {
  const perDay = UNITS_A_DAY[unit];
  const within = ((value % perDay) + perDay) % perDay;
  return `${dateText(Number((value - within) / perDay))}T${clockText(within, unit)}`;
}

function clockText(value: bigint, unit: TimeUnit): string {
  const perSecond = UNITS_A_DAY[unit] / 86400n;
  const seconds = Number(value / perSecond);
  const clock = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  if (unit === "s") return clock;
  return `${clock}.${String(value % perSecond).padStart(DECIMALS[unit], "0")}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
