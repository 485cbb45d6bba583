// The proleptic Gregorian calendar on days since 1970-01-01, and times of every unit, in exact integers.
//
// Algorithms after Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March,
// so that the leap day is the last of its year. BigInt: never on a path that runs per row in production.

import type { DataType, TimeUnit } from "../type/data-type.js";
import { withoutBlanks } from "./value.js";

/** Ticks a second. */
export const TICKS_A_SECOND: Readonly<Record<TimeUnit, bigint>> = {
  s: 1n,
  ms: 1_000n,
  us: 1_000_000n,
  ns: 1_000_000_000n,
};

export const SECONDS_A_DAY = 86_400n;

/** The finer of two units. */
export function finerUnit(a: TimeUnit, b: TimeUnit): TimeUnit {
  return TICKS_A_SECOND[a] >= TICKS_A_SECOND[b] ? a : b;
}

/** Ticks a day of a date, timestamp, time or duration: 1 for date32. */
export function ticksADay(type: DataType): bigint {
  switch (type.kind) {
    case "date":
      return type.unit === "day" ? 1n : SECONDS_A_DAY * 1_000n;
    case "timestamp":
    case "time":
    case "duration":
      return SECONDS_A_DAY * TICKS_A_SECOND[type.unit];
    default:
      throw new RangeError(`${type.kind} has no ticks`);
  }
}

export function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient;
}

/** Remainder of `floorDivide`: 0 <= result < b for positive b. */
export function floorModulo(a: bigint, b: bigint): bigint {
  return a - floorDivide(a, b) * b;
}

export interface CivilDate {
  readonly year: bigint;
  /** 1 to 12. */
  readonly month: bigint;
  /** From 1. */
  readonly day: bigint;
}

export function daysFromCivil({ year, month, day }: CivilDate): bigint {
  const y = month <= 2n ? year - 1n : year;
  const era = floorDivide(y, 400n);
  const yearOfEra = y - era * 400n;
  const dayOfYear = (153n * (month > 2n ? month - 3n : month + 9n) + 2n) / 5n + day - 1n;
  const dayOfEra = yearOfEra * 365n + yearOfEra / 4n - yearOfEra / 100n + dayOfYear;
  return era * 146_097n + dayOfEra - 719_468n;
}

export function civilFromDays(days: bigint): CivilDate {
  const z = days + 719_468n;
  const era = floorDivide(z, 146_097n);
  const dayOfEra = z - era * 146_097n;
  const yearOfEra = (dayOfEra - dayOfEra / 1_460n + dayOfEra / 36_524n - dayOfEra / 146_096n) / 365n;
  const dayOfYear = dayOfEra - (365n * yearOfEra + yearOfEra / 4n - yearOfEra / 100n);
  const shifted = (5n * dayOfYear + 2n) / 153n;
  const month = shifted < 10n ? shifted + 3n : shifted - 9n;
  const year = yearOfEra + era * 400n + (month <= 2n ? 1n : 0n);
  return { year, month, day: dayOfYear - (153n * shifted + 2n) / 5n + 1n };
}

export function daysInMonth(year: bigint, month: bigint): bigint {
  const next = month === 12n ? { year: year + 1n, month: 1n } : { year, month: month + 1n };
  return daysFromCivil({ ...next, day: 1n }) - daysFromCivil({ year, month, day: 1n });
}

/** `days` moved by whole months, the day clamped to the month's end. */
export function addMonths(days: bigint, months: bigint): bigint {
  const { year, month, day } = civilFromDays(days);
  const total = year * 12n + month - 1n + months;
  const target = { year: floorDivide(total, 12n), month: floorModulo(total, 12n) + 1n };
  const last = daysInMonth(target.year, target.month);
  const clamped = day > last;
  return daysFromCivil({ ...target, day: clamped ? last : day });
}

/** A point in time as ISO 8601 text spells it. */
export interface IsoTime {
  /** Days since 1970-01-01. */
  readonly days: bigint;
  readonly nanosecondsOfDay: bigint;
  /** Whether the text had a time of day. */
  readonly hasTime: boolean;
  /** Seconds east of UTC; null when the text does not say. */
  readonly offset: bigint | null;
}

const ISO =
  /^([+-]?\d{4,6})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;
const TIME_OF_DAY = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?$/;

/** Reads an ISO 8601 date, with or without time of day and offset; null when it is none. */
export function parseIso(text: string): IsoTime | null {
  const match = ISO.exec(withoutBlanks(text));
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const civil = { year: BigInt(year!.replace("+", "")), month: BigInt(month!), day: BigInt(day!) };
  if (civil.month < 1n || civil.month > 12n) return null;
  if (civil.day < 1n || civil.day > daysInMonth(civil.year, civil.month)) return null;
  const nanosecondsOfDay = hour === undefined ? 0n : clock(hour, minute!, second, fraction);
  if (nanosecondsOfDay === null) return null;
  const offset = zone === undefined ? null : parseOffset(zone);
  if (zone !== undefined && offset === null) return null;
  return { days: daysFromCivil(civil), nanosecondsOfDay, hasTime: hour !== undefined, offset };
}

/** Reads a time of day such as `12:30:15.25` as nanoseconds; null when it is none. */
export function parseTimeOfDay(text: string): bigint | null {
  const match = TIME_OF_DAY.exec(withoutBlanks(text));
  return match === null ? null : clock(match[1]!, match[2]!, match[3], match[4]);
}

function clock(hour: string, minute: string, second = "0", fraction = ""): bigint | null {
  const [h, m, s] = [BigInt(hour), BigInt(minute), BigInt(second)];
  if (h > 23n || m > 59n || s > 59n) return null;
  return ((h * 60n + m) * 60n + s) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** Seconds east of UTC that `Z`, `+02`, `+0200` or `+02:00` says; null when it is none of these. */
export function parseOffset(text: string): bigint | null {
  if (/^z$/i.test(text)) return 0n;
  const match = /^([+-])(\d\d)(?::?(\d\d))?$/.exec(text);
  if (match === null) return null;
  const [hours, minutes] = [BigInt(match[2]!), BigInt(match[3] ?? "0")];
  if (hours > 23n || minutes > 59n) return null;
  const seconds = hours * 3600n + minutes * 60n;
  return match[1] === "-" ? -seconds : seconds;
}

/** The coarsest unit that holds `nanoseconds` exactly, but no coarser than `least`. */
export function unitFor(nanoseconds: bigint, least: TimeUnit): TimeUnit {
  const units: readonly TimeUnit[] = ["s", "ms", "us", "ns"];
  const exact = units.find((unit) => (nanoseconds * TICKS_A_SECOND[unit]) % 1_000_000_000n === 0n);
  return finerUnit(exact ?? "ns", least);
}
