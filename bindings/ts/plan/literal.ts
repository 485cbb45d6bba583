// Plain JavaScript values as typed literals: alone, beside something of a known type, or of a stated type.

import {
  binary,
  bool,
  type DataType,
  decimal,
  float64,
  int32,
  int64,
  sameType,
  type TimeUnit,
  timestamp,
  typeName,
  uint64,
  utf8,
} from "../type/data-type.js";
import { PlanError } from "../type/error.js";
import {
  floorDivide,
  type IsoTime,
  parseIso,
  parseTimeOfDay,
  SECONDS_A_DAY,
  TICKS_A_SECOND,
  unitFor,
} from "./calendar.js";
import { interval } from "./interval.js";
import type { Plain } from "./node.js";
import { plainText } from "./text.js";
import { fromLocal, zoneTable } from "./time-zone.js";
import { digitCount, type ExactDecimal, fitsInteger, parseDecimal, type Value } from "./value.js";

export interface TypedValue {
  readonly type: DataType;
  readonly value: Value;
}

/** A literal's own type, where nothing beside it says another; null for null, which has none. */
export function literalAlone(plain: Plain): TypedValue | null {
  if (plain === null) return null;
  if (typeof plain === "boolean") return { type: bool, value: plain };
  if (typeof plain === "string") return { type: utf8, value: plain };
  if (plain instanceof Uint8Array) return { type: binary, value: plain };
  if (plain instanceof Date) return { type: timestamp("ms"), value: epochMilliseconds(plain) };
  if (typeof plain === "bigint" || isWhole(plain)) {
    const whole = BigInt(plain);
    for (const type of [int32, int64]) if (fitsInteger(whole, type)) return { type, value: whole };
    if (typeof plain === "bigint") {
      return fitsInteger(whole, uint64) ? { type: uint64, value: whole } : exact(plain);
    }
  }
  return { type: float64, value: Number(plain) };
}

function isWhole(value: number): boolean {
  return Number.isInteger(value) && !Object.is(value, -0);
}

/**
 * The literal as it stands beside something of `type`: of that type where its value fits, else of a wider
 * type of the same family. Null when the two have nothing in common. Throws PlanError where a text should
 * be a date, time or decimal and is none.
 */
export function literalBeside(plain: Plain, type: DataType): TypedValue | null {
  if (plain === null) return { type, value: null };
  switch (type.kind) {
    case "bool":
      return typeof plain === "boolean" ? { type, value: plain } : null;
    case "int":
      return typeof plain === "number" || typeof plain === "bigint" ? besideInteger(plain, type) : null;
    case "float":
      if (typeof plain !== "number" && typeof plain !== "bigint") return null;
      return { type, value: type.bits === 32 ? Math.fround(Number(plain)) : Number(plain) };
    case "decimal":
      if (typeof plain === "number" && !Number.isFinite(plain)) return { type: float64, value: plain };
      return ["number", "bigint", "string"].includes(typeof plain) ? exact(plain) : null;
    case "utf8":
    case "largeUtf8":
      return typeof plain === "string" ? { type, value: plain } : null;
    case "binary":
    case "largeBinary":
      if (plain instanceof Uint8Array) return { type, value: plain };
      return typeof plain === "string" ? { type, value: new TextEncoder().encode(plain) } : null;
    case "date":
      return typeof plain === "string" || plain instanceof Date ? besideDate(plain, type) : null;
    case "timestamp":
      return typeof plain === "string" || plain instanceof Date ? besideTimestamp(plain, type) : null;
    case "time":
      return typeof plain === "string" ? besideTime(plain, type) : null;
    case "duration":
      return typeof plain === "string" ? besideDuration(plain, type) : null;
    default:
      return null;
  }
}

function besideInteger(plain: number | bigint, type: Extract<DataType, { kind: "int" }>): TypedValue | null {
  if (typeof plain === "number" && !Number.isInteger(plain)) return { type: float64, value: plain };
  const whole = BigInt(plain);
  if (fitsInteger(whole, type)) return { type, value: whole };
  const unsigned64 = type.bits === 64 && !type.signed;
  if (!unsigned64 && fitsInteger(whole, int64)) return { type: int64, value: whole };
  if (unsigned64 && whole < 0n) return null;
  if (typeof plain === "number") return { type: float64, value: plain };
  return unsigned64 ? null : exact(plain);
}

/** A number, bigint or numeric text as a decimal of just its digits. */
function exact(plain: Plain): TypedValue {
  const text = typeof plain === "string" ? plain : String(plain);
  const parsed = parseDecimal(text);
  if (parsed === null) {
    throw new PlanError(`${plainText(plain)} is not a decimal number`, {
      value: plain,
      expected: "a decimal number",
    });
  }
  const { unscaled, scale } = trimmed(parsed);
  const digits = Math.max(digitCount(unscaled), scale, 1);
  if (digits > 38) {
    throw new PlanError(`${plainText(plain)} needs ${digits} digits; a decimal has at most 38`, {
      value: plain,
      expected: "at most 38 digits",
    });
  }
  return { type: decimal(digits, scale), value: unscaled };
}

/** Without zeros at the end of the fraction. */
function trimmed({ unscaled, scale }: ExactDecimal): ExactDecimal {
  while (scale > 0 && unscaled % 10n === 0n) {
    unscaled /= 10n;
    scale--;
  }
  return { unscaled, scale };
}

function epochMilliseconds(date: Date): bigint {
  const milliseconds = date.getTime();
  if (Number.isNaN(milliseconds)) throw new PlanError("an invalid Date cannot be a literal", { value: date });
  return BigInt(milliseconds);
}

function iso(plain: string | Date, type: DataType): IsoTime {
  if (plain instanceof Date) {
    const milliseconds = epochMilliseconds(plain);
    const days = floorDivide(milliseconds, SECONDS_A_DAY * 1000n);
    const nanosecondsOfDay = (milliseconds - days * SECONDS_A_DAY * 1000n) * 1_000_000n;
    return { days, nanosecondsOfDay, hasTime: true, offset: 0n };
  }
  const parsed = parseIso(plain);
  if (parsed === null) {
    const example = type.kind === "date" ? "2024-02-29" : "2024-02-29T12:00:00.5";
    throw new PlanError(
      `${plainText(plain)} is not a ${typeName(type)}: write ISO 8601, for example "${example}"`,
      { value: plain, expected: `ISO 8601, for example "${example}"` },
    );
  }
  return parsed;
}

function besideDate(plain: string | Date, type: Extract<DataType, { kind: "date" }>): TypedValue {
  const time = iso(plain, type);
  if (time.nanosecondsOfDay !== 0n || (time.offset ?? 0n) !== 0n) {
    return besideTimestamp(plain, timestamp("s"));
  }
  return { type, value: type.unit === "day" ? time.days : time.days * SECONDS_A_DAY * 1000n };
}

function besideTimestamp(plain: string | Date, type: Extract<DataType, { kind: "timestamp" }>): TypedValue {
  const time = iso(plain, type);
  const unit = unitFor(time.nanosecondsOfDay, type.unit);
  const perSecond = TICKS_A_SECOND[unit];
  const local = time.days * SECONDS_A_DAY * perSecond + (time.nanosecondsOfDay * perSecond) / 1_000_000_000n;
  const value =
    time.offset !== null
      ? local - time.offset * perSecond
      : type.timezone === null
        ? local
        : fromLocal(zoneTable(type.timezone), local, perSecond);
  return { type: timestamp(unit, type.timezone), value: checkTicks(value, plain, type) };
}

function checkTicks(value: bigint, plain: Plain, type: DataType): bigint {
  if (fitsInteger(value, int64)) return value;
  throw new PlanError(`${plainText(plain)} is out of range for ${typeName(type)}`, { value: plain });
}

function besideTime(plain: string, type: Extract<DataType, { kind: "time" }>): TypedValue {
  const nanoseconds = parseTimeOfDay(plain);
  if (nanoseconds === null) {
    throw new PlanError(`${plainText(plain)} is not a time of day: write for example "12:30:00"`, {
      value: plain,
      expected: `a time of day, for example "12:30:00"`,
    });
  }
  const unit = unitFor(nanoseconds, type.unit);
  return { type: { kind: "time", unit }, value: spanTicks(nanoseconds, unit) };
}

function besideDuration(plain: string, type: Extract<DataType, { kind: "duration" }>): TypedValue {
  const span = interval(plain);
  if (span.months !== 0) {
    throw new PlanError(`${plainText(plain)} has no fixed length: a duration takes days and less`, {
      value: plain,
      expected: "days and less",
    });
  }
  const nanoseconds = BigInt(span.days) * SECONDS_A_DAY * 1_000_000_000n + span.nanoseconds;
  const unit = unitFor(nanoseconds, type.unit);
  return { type: { kind: "duration", unit }, value: checkTicks(spanTicks(nanoseconds, unit), plain, type) };
}

function spanTicks(nanoseconds: bigint, unit: TimeUnit): bigint {
  return (nanoseconds * TICKS_A_SECOND[unit]) / 1_000_000_000n;
}

/** A literal of a stated type. Throws PlanError where the value is none of it. */
export function literalOf(plain: Plain, type: DataType): Value {
  if (type.kind === "dictionary") return literalOf(plain, type.value);
  if (type.kind === "float" && typeof plain === "string") {
    const parsed = parseDecimal(plain);
    if (parsed !== null) return literalOf(Number(plain), type);
  }
  if (
    (type.kind === "date" || type.kind === "timestamp" || type.kind === "duration") &&
    typeof plain === "bigint"
  ) {
    return checkTicks(plain, plain, type);
  }
  const typed = literalBeside(plain, type);
  const value = typed === null ? null : asExactly(typed, type);
  if (value !== null || plain === null) return value;
  throw new PlanError(`${plainText(plain)} is not a value of ${typeName(type)}`, {
    value: plain,
    expected: typeName(type),
  });
}

/** The value in `type` itself, without losing a digit; null when it does not fit. */
function asExactly(typed: TypedValue, type: DataType): Value {
  if (typed.type.kind !== "decimal" || type.kind !== "decimal") {
    return sameType(typed.type, type) ? typed.value : null;
  }
  if (typed.type.scale > type.scale || typed.value === null) return null;
  const unscaled = (typed.value as bigint) * 10n ** BigInt(type.scale - typed.type.scale);
  return digitCount(unscaled) <= type.precision ? unscaled : null;
}
