// Conversions between types: which exist, and what they do to one value.
//
// The row-at-a-time definition of CAST. It folds conversions of literals when a plan is built, and the
// twin runs on it, so the kernel's CAST is tested against it. Exact integers throughout.

import { type DataType, int32, int64, sameType, typeName } from "../type/data-type.js";
import { CastError } from "../type/error.js";
import {
  civilFromDays,
  floorDivide,
  floorModulo,
  parseIso,
  SECONDS_A_DAY,
  TICKS_A_SECOND,
  ticksADay,
} from "./calendar.js";
import { floatText } from "./float-text.js";
import { fromLocal, toLocal, zoneTable } from "./time-zone.js";
import { fitsInteger, parseDecimal, type Value, withoutBlanks } from "./value.js";

type Family = "bool" | "number" | "text" | "binary" | "date" | "timestamp" | "time" | "duration" | "none";

function family(type: DataType): Family {
  switch (type.kind) {
    case "int":
    case "float":
    case "decimal":
      return "number";
    case "utf8":
    case "largeUtf8":
      return "text";
    case "binary":
    case "largeBinary":
      return "binary";
    case "dictionary":
    case "list":
    case "opaque":
      return "none";
    default:
      return type.kind;
  }
}

/** Whether CAST is defined from one type to another. */
export function castable(from: DataType, to: DataType): boolean {
  if (sameType(from, to)) return family(from) !== "none";
  const [a, b] = [family(from), family(to)];
  if (a === "none" || b === "none") return false;
  if (a === "text" && b === "timestamp") return to.kind === "timestamp" && to.timezone === null;
  if (a === "timestamp" && b === "text") return from.kind === "timestamp" && from.timezone === null;
  if (a === b) return true;
  if (isTime(a) && isTime(b))
    return (a === "date" && b === "timestamp") || (a === "timestamp" && b !== "duration");
  if (isTime(a)) return to.kind === "int" || (b === "text" && a === "date");
  if (isTime(b)) return from.kind === "int" || (a === "text" && b === "date");
  if (a === "binary" || b === "binary") return a === "text";
  return true;
}

function isTime(name: Family): boolean {
  return name === "date" || name === "timestamp" || name === "time" || name === "duration";
}

/** What to do instead, where something is known to help; else "". */
export function castAdvice(from: DataType, to: DataType): string {
  const zoned = [from, to].find((type) => type.kind === "timestamp" && type.timezone !== null);
  if (zoned?.kind !== "timestamp") return "";
  return `cast through timestamp[${zoned.unit}], which holds the zone's local time`;
}

function refuse(value: Value, from: DataType, to: DataType): CastError {
  const shown = value instanceof Uint8Array ? "these bytes" : JSON.stringify(String(value));
  return new CastError(`${shown} (${typeName(from)}) does not convert to ${typeName(to)}`, {
    value,
    expected: typeName(to),
  });
}

/** Converts one value that is not null. Throws CastError where it does not fit. */
export function castValue(value: Exclude<Value, null>, from: DataType, to: DataType): Exclude<Value, null> {
  const result = convertValue(value, from, to);
  if (result === null) throw refuse(value, from, to);
  return result;
}

function convertValue(
  value: Exclude<Value, null>,
  from: DataType,
  to: DataType,
): Exclude<Value, null> | null {
  if (sameType(from, to)) return value;
  const [a, b] = [family(from), family(to)];
  if (a === "text") return fromText(value as string, to);
  if (b === "text") return toText(value, from);
  if (isTime(a) && isTime(b)) return timeToTime(value as bigint, from, to);
  if (isTime(a) || isTime(b))
    return integerTo(value as bigint, isTime(a) ? ticksInteger(to) : ticksInteger(to));
  if (typeof value === "boolean") return fromExact(value ? 1n : 0n, 0, to);
  if (to.kind === "bool") return typeof value === "number" ? value !== 0 : value !== 0n;
  if (typeof value === "number") return fromFloat(value, to);
  if (typeof value === "bigint") return fromExact(value, from.kind === "decimal" ? from.scale : 0, to);
  return value;
}

/** The integer type whose values the type's ticks are. */
function ticksInteger(type: DataType): Extract<DataType, { kind: "int" }> {
  if (type.kind === "int") return type;
  const narrow =
    (type.kind === "date" && type.unit === "day") ||
    (type.kind === "time" && (type.unit === "s" || type.unit === "ms"));
  return narrow ? int32 : int64;
}

function integerTo(value: bigint, type: { readonly bits: number; readonly signed: boolean }): bigint | null {
  return fitsInteger(value, type) ? value : null;
}

/** Divides, rounding half away from zero. */
export function divideRounded(value: bigint, by: bigint): bigint {
  const magnitude = value < 0n ? -value : value;
  const quotient = (magnitude * 2n + by) / (by * 2n);
  return value < 0n ? -quotient : quotient;
}

/** `value` / 10^`scale` as a number or boolean type; decimals and integers round half away from zero. */
function fromExact(value: bigint, scale: number, to: DataType): Exclude<Value, null> | null {
  switch (to.kind) {
    case "int":
      return integerTo(divideRounded(value, 10n ** BigInt(scale)), to);
    case "decimal": {
      const scaled =
        to.scale >= scale
          ? value * 10n ** BigInt(to.scale - scale)
          : divideRounded(value, 10n ** BigInt(scale - to.scale));
      return decimalTo(scaled, to.precision);
    }
    case "float":
      return exactToFloat(value, scale, to.bits);
    case "bool":
      return value !== 0n;
    default:
      return null;
  }
}

function decimalTo(value: bigint, precision: number): bigint | null {
  const limit = 10n ** BigInt(precision);
  return value < limit && value > -limit ? value : null;
}

/** The float nearest to `value` / 10^`scale`. Float32 goes through float64, as the kernel does. */
function exactToFloat(value: bigint, scale: number, bits: 32 | 64): number {
  const nearest = scale === 0 ? Number(value) : Number(`${value}e-${scale}`);
  return bits === 32 ? Math.fround(nearest) : nearest;
}

function fromFloat(value: number, to: DataType): Exclude<Value, null> | null {
  if (to.kind === "float") return to.bits === 32 ? Math.fround(value) : value;
  if (!Number.isFinite(value)) return null;
  if (to.kind === "int") return integerTo(BigInt(roundHalfEven(value)), to);
  if (to.kind !== "decimal") return null;
  const scaled = roundHalfEven(value * 10 ** to.scale);
  return Number.isFinite(scaled) ? decimalTo(BigInt(scaled), to.precision) : null;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function fromText(text: string, to: DataType): Exclude<Value, null> | null {
  switch (to.kind) {
    case "utf8":
    case "largeUtf8":
      return text;
    case "binary":
    case "largeBinary":
      return new TextEncoder().encode(text);
    case "bool":
      return textToBool(withoutBlanks(text).toLowerCase());
    case "date":
    case "timestamp":
      return textToTime(text, to);
    case "float":
      return textToFloat(withoutBlanks(text), to.bits);
    case "int":
    case "decimal": {
      const parsed = parseDecimal(text);
      return parsed === null ? null : fromExact(parsed.unscaled, parsed.scale, to);
    }
    default:
      return null;
  }
}

function textToBool(text: string): boolean | null {
  if (["true", "t", "1", "yes", "y"].includes(text)) return true;
  return ["false", "f", "0", "no", "n"].includes(text) ? false : null;
}

function textToFloat(text: string, bits: 32 | 64): number | null {
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(text);
  if (special !== null) {
    if (/nan/i.test(special[2]!)) return Number.NaN;
    return special[1] === "-" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (parseDecimal(text) === null) return null;
  const value = Number(text);
  return bits === 32 ? Math.fround(value) : value;
}

function textToTime(text: string, to: DataType): bigint | null {
  const time = parseIso(text);
  if (time === null) return null;
  const day = ticksADay(to);
  const nanosecondsADay = SECONDS_A_DAY * 1_000_000_000n;
  const offset = (time.offset ?? 0n) * 1_000_000_000n;
  const ticks = floorDivide(
    (time.days * nanosecondsADay + time.nanosecondsOfDay - offset) * day,
    nanosecondsADay,
  );
  return integerTo(
    to.kind === "date" && to.unit === "ms" ? ticks - floorModulo(ticks, day) : ticks,
    ticksInteger(to),
  );
}

function toText(value: Exclude<Value, null>, from: DataType): string {
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "number") return floatText(value, from.kind === "float" ? from.bits : 64);
  if (from.kind === "date" || from.kind === "timestamp") return timeText(value as bigint, from);
  if (from.kind === "decimal") return decimalText(value as bigint, from.scale);
  return String(value);
}

/** A decimal with all digits of its scale, such as `-0.50`. */
export function decimalText(value: bigint, scale: number): string {
  const digits = (value < 0n ? -value : value).toString().padStart(scale + 1, "0");
  const sign = value < 0n ? "-" : "";
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** `2024-02-29`, or `2024-02-29 12:00:00` with as many digits of a second as are not zero. */
export function timeText(ticks: bigint, type: DataType): string {
  const day = ticksADay(type);
  const { year, month, day: dayOfMonth } = civilFromDays(floorDivide(ticks, day));
  const pad = (value: bigint, width: number) => value.toString().padStart(width, "0");
  const years = year < 0n ? `-${pad(-year, 4)}` : pad(year, 4);
  const date = `${years}-${pad(month, 2)}-${pad(dayOfMonth, 2)}`;
  if (type.kind !== "timestamp") return date;
  const perSecond = TICKS_A_SECOND[type.unit];
  const within = floorModulo(ticks, day);
  const seconds = within / perSecond;
  const clock = [seconds / 3600n, (seconds / 60n) % 60n, seconds % 60n].map((part) => pad(part, 2)).join(":");
  const fraction = pad(within % perSecond, perSecond.toString().length - 1).replace(/0+$/, "");
  return `${date} ${clock}${perSecond === 1n || fraction === "" ? "" : `.${fraction}`}`;
}

function timeToTime(ticks: bigint, from: DataType, to: DataType): bigint | null {
  let value = ticks;
  if (from.kind === "timestamp" && from.timezone !== null && keepsLocal(to)) {
    value = toLocal(zoneTable(from.timezone), value, TICKS_A_SECOND[from.unit]);
  }
  if (from.kind === "timestamp" && to.kind === "time") value = floorModulo(value, ticksADay(from));
  value = rescaled(value, ticksADay(from), ticksADay(to));
  if (from.kind === "timestamp" && to.kind === "date") value -= floorModulo(value, ticksADay(to));
  const naive = from.kind === "date" || (from.kind === "timestamp" && from.timezone === null);
  if (to.kind === "timestamp" && to.timezone !== null && naive) {
    value = fromLocal(zoneTable(to.timezone), value, TICKS_A_SECOND[to.unit]);
  }
  return integerTo(value, ticksInteger(to));
}

function keepsLocal(to: DataType): boolean {
  return to.kind !== "timestamp" || to.timezone === null;
}

/** To a finer unit exactly, to a coarser one rounding down. */
function rescaled(ticks: bigint, from: bigint, to: bigint): bigint {
  return to >= from ? ticks * (to / from) : floorDivide(ticks, from / to);
}
