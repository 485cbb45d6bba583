// How windows count time: the number line on which their bounds are equally far apart.
//
//   ticks    the column's own unit (or the integers themselves)
//   days     days of a zone, some of which last 23 or 25 hours, as days since 1970-01-01 there
//   months   months of a zone or of no zone, as months since January of year 0
//
// A window operator knows only numbers; `numberOf` is what its program computes (as an expression, see
// bind-window.ts), `timeOf` what its window_start and window_end are put back to.
//
// Watermarks travel on a line of their own, whatever the units of the columns: nanoseconds since 1970 of
// dates and timestamps (as bigint: past the 64 bits of an Arrow column), the number itself of integers.

import { type DataType, typeName } from "../type/data-type.js";
import {
  civilFromDays,
  daysFromCivil,
  floorDivide,
  floorModulo,
  SECONDS_A_DAY,
  ticksADay,
} from "./calendar.js";
import { fromLocal, toLocal, type ZoneTable, zoneTable } from "./time-zone.js";

export interface TimeScale {
  readonly kind: "ticks" | "days" | "months";
  /** Of the time column, and so of window_start, window_end and window_time: integer, date or timestamp. */
  readonly type: DataType;
  /** Whose days and months are meant; null where local time is as written. */
  readonly zone: string | null;
}

const NANOSECONDS_A_DAY = SECONDS_A_DAY * 1_000_000_000n;

/** Nanoseconds a tick of a date or timestamp; 1 for integers. */
export function nanosecondsATick(type: DataType): bigint {
  return type.kind === "int" ? 1n : NANOSECONDS_A_DAY / ticksADay(type);
}

/** The least distance of two times of the type, in ticks: dates in milliseconds are whole days too. */
export function leastStep(type: DataType): bigint {
  return type.kind === "date" ? ticksADay(type) : 1n;
}

/** The type as a line of time: a watermark means something only to columns of the same one. */
export function timeLine(type: DataType): "integers" | "instants" | "local times" {
  if (type.kind === "int") return "integers";
  return type.kind === "timestamp" && type.timezone !== null ? "instants" : "local times";
}

/** No more rows at or before `ticks`, as a watermark. */
export function watermarkOf(ticks: bigint, type: DataType): bigint {
  return (ticks + 1n) * nanosecondsATick(type) - 1n;
}

/** The watermark without the part of a step (`leastStep`) that it has begun. */
export function wholeSteps(watermark: bigint, type: DataType): bigint {
  const step = leastStep(type);
  if (step === 1n) return watermark;
  const ns = step * nanosecondsATick(type);
  return floorDivide(watermark + 1n, ns) * ns - 1n;
}

/** The last tick at or before which a watermark says no more rows will come. */
export function ticksOfWatermark(watermark: bigint, type: DataType): bigint {
  return floorDivide(watermark + 1n, nanosecondsATick(type)) - 1n;
}

/** The column's ticks at which a number begins. */
export function timeOf({ kind, type, zone }: TimeScale, number: bigint): bigint {
  if (kind === "ticks") return number;
  const days = kind === "days" ? number : firstDayOfMonth(number);
  const local = days * ticksADay(type);
  return zone === null ? local : fromLocal(zoneTable(zone), local, ticksASecond(type));
}

/** The number that a time falls in. */
export function numberOf(scale: TimeScale, ticks: bigint): bigint {
  const { kind, type, zone } = scale;
  if (kind === "ticks") return ticks;
  const local = zone === null ? ticks : toLocal(zoneTable(zone), ticks, ticksASecond(type));
  const days = floorDivide(local, ticksADay(type));
  if (kind === "days") return days;
  const { year, month } = civilFromDays(days);
  return year * 12n + month - 1n;
}

/** A watermark as the last number of which no more rows will come. */
export function numberOfWatermark(scale: TimeScale, watermark: bigint): bigint {
  const next = ticksOfWatermark(watermark, scale.type) + 1n;
  return earliestNumber(scale, next) - 1n;
}

/** The least number of all times from `ticks` on: where clocks go back over midnight, yesterday comes again. */
function earliestNumber(scale: TimeScale, ticks: bigint): bigint {
  const number = numberOf(scale, ticks);
  if (scale.kind === "ticks" || scale.zone === null) return number;
  const unit = ticksASecond(scale.type);
  const change = changeAfter(zoneTable(scale.zone), floorDivide(ticks, unit));
  if (change === null || change * unit - ticks > ticksADay(scale.type)) return number;
  const then = numberOf(scale, change * unit);
  if (then < number) return then;
  return number;
}

function changeAfter({ from }: ZoneTable, second: bigint): bigint | null {
  return from.find((start) => start > second) ?? null;
}

function firstDayOfMonth(number: bigint): bigint {
  return daysFromCivil({ year: floorDivide(number, 12n), month: floorModulo(number, 12n) + 1n, day: 1n });
}

function ticksASecond(type: DataType): bigint {
  return ticksADay(type) / SECONDS_A_DAY;
}

/** What a unit of the type is called in messages. */
export function tickName(type: DataType): string {
  if (type.kind === "timestamp") return type.unit;
  return type.kind === "date" ? "day" : typeName(type);
}
