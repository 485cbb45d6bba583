// Binding windows: their sizes as numbers on the time scale of the column, or a refusal that says why.
//
//   sizes of months        over dates and timestamps   numbers are months
//   sizes of days, weeks   in a zone that is not UTC    numbers are the zone's days
//   everything else                                     numbers are the column's ticks
//
// Windows begin where the number less the offset is a multiple of the slide. Whole weeks begin on Mondays, as
// those of `dateTrunc`; 1970-01-01 was a Thursday.

import { type DataType, int64, type Schema, type TimeUnit, timestamp, typeName } from "../type/data-type.js";
import { PlanError, TypeMismatchError } from "../type/error.js";
import type { BoundExpression } from "./bound.js";
import { parseOffset } from "./calendar.js";
import { convert } from "./draft.js";
import { type Interval, interval } from "./interval.js";
import type { ExpressionNode } from "./node.js";
import { nanosecondsATick, type TimeScale, tickName } from "./time-scale.js";
import { checkZone } from "./time-zone.js";
import { bindExpression } from "./typing.js";
import { type WindowName, type WindowNode, type WindowSize, windowText } from "./window.js";
import { fittingTime } from "./window-range.js";

export interface BoundWindow {
  readonly kind: WindowName;
  /** Name of the time column. */
  readonly column: string;
  /** The time column itself. */
  readonly instant: BoundExpression;
  /** Its number on the scale, 64 bits wide. */
  readonly time: BoundExpression;
  readonly scale: TimeScale;
  /** In numbers of the scale. Of a session the gap, of `cumulate` the longest; 0 of the global window. */
  readonly length: bigint;
  /** Distance of starts (`hop`) or ends (`cumulate`); else the length. */
  readonly step: bigint;
  readonly offset: bigint;
  readonly lateness: bigint;
  /** 0: windows leave when they close, not before. */
  readonly early: bigint;
  readonly dropNullTime: boolean;
  /** Which rows have a time that a window can take, where others are dropped; else null. */
  readonly fits: BoundExpression | null;
  readonly text: string;
}

/** The columns that every window result has first. */
export const WINDOW_COLUMNS = ["window_start", "window_end", "window_time"] as const;

const I64_MAX = 2n ** 63n - 1n;
/** What the kernel takes of lateness and early results. */
const LONGEST = 2n ** 60n;
const NANOSECONDS_A_DAY = 86_400_000_000_000n;
const WEEK = 7n;
/** Days from 1970-01-01 to the first Monday. */
const FIRST_MONDAY = 4n;

/** A length as the user gave it: of integer columns a number, else an interval. */
export type Span = bigint | Interval;

/** Types a window over `schema`. Throws UnknownColumnError, TypeMismatchError, ArgumentError or PlanError. */
export function bindWindow(node: WindowNode, schema: Schema): BoundWindow {
  const text = windowText(node);
  const column: ExpressionNode = { kind: "column", name: node.column };
  const instant = bindExpression(column, schema);
  const type = timeType(text, instant);
  const spanOf = (size: WindowSize | null, what: string) =>
    size === null ? null : readSpan(text, node.column, type, size, what);
  const size = spanOf(node.size, node.kind === "session" ? "gap" : "size");
  const step = spanOf(node.step, node.kind === "hop" ? "slide" : "step");
  const offset = spanOf(node.offset, "offset");
  const lateness = spanOf(node.allowedLateness, "allowedLateness");
  const zone = windowZone(text, node, type);
  const scale = chooseScale(text, node.kind, type, zone, size, step);
  const number = (span: Span | null, what: string) =>
    span === null ? null : spanNumber(text, scale, span, what);
  const length = number(size, node.kind === "session" ? "gap" : "size") ?? 0n;
  const slide = number(step, node.kind === "hop" ? "slide" : "step") ?? length;
  checkSizes(text, node.kind, length, slide);
  const late = number(lateness, "allowedLateness") ?? 0n;
  if (late < 0n) throw new PlanError(`${text}: allowedLateness is below 0`, { value: node.allowedLateness });
  const early = number(spanOf(node.earlyEvery, "earlyEvery"), "earlyEvery") ?? 0n;
  if (early < 0n || (early === 0n && node.earlyEvery !== null))
    throw new PlanError(`${text}: earlyEvery must be above 0`, { value: node.earlyEvery });
  for (const [value, what] of [
    [late, "allowedLateness"],
    [early, "earlyEvery"],
  ] as const) {
    if (value <= LONGEST) continue;
    throw new PlanError(`${text}: ${what} is more than 2^60`, { value, expected: "at most 2^60" });
  }
  const grid = node.kind === "cumulate" ? length : slide;
  const extent = {
    kind: node.kind,
    scale,
    length,
    step: slide,
    offset: (number(offset, "offset") ?? 0n) + mondayOffset(scale, node.kind, grid),
  };
  const counted = { time: numberExpression(scale, column, schema, instant), fits: null };
  const dropNullTime = node.nullTime === "drop";
  return {
    ...extent,
    ...(dropNullTime ? fittingTime(extent, instant, counted.time) : counted),
    column: node.column,
    instant,
    lateness: late,
    early,
    dropNullTime,
    text,
  };
}

function timeType(text: string, instant: BoundExpression): DataType {
  const { type } = instant;
  if (type.kind === "int" || type.kind === "date" || type.kind === "timestamp") return type;
  const name = instant.kind === "column" ? instant.name : instant.text;
  throw new TypeMismatchError(
    `${text}: the time column "${name}" is ${typeName(type)}; windows are over dates, timestamps and integers`,
    { column: name, expected: "a date, timestamp or integer" },
  );
}

/** Reads a size of windows over a column of `type`. Throws PlanError or ArgumentError. */
export function readSpan(text: string, column: string, type: DataType, size: WindowSize, what: string): Span {
  if (type.kind === "int") {
    if (typeof size === "bigint") return size;
    if (typeof size === "number" && Number.isSafeInteger(size)) return BigInt(size);
    throw new PlanError(
      `${text}: "${column}" is ${typeName(type)}, so ${what} is a whole number, not ${JSON.stringify(size)}`,
      { column, value: size, expected: "a whole number" },
    );
  }
  if (typeof size === "string") return interval(size);
  throw new PlanError(
    `${text}: "${column}" is ${typeName(type)}, so ${what} says its unit, such as "10 seconds", not ${size}`,
    { column, value: size, expected: `a text such as "10 seconds"` },
  );
}

/** The zone whose days count; null where they are those of UTC, or of local time as it is written. */
function windowZone(text: string, { timeZone, column }: WindowNode, type: DataType): string | null {
  const own = type.kind === "timestamp" ? type.timezone : null;
  if (timeZone !== null) {
    if (own === null) {
      throw new PlanError(
        `${text}: timeZone is for instants, but "${column}" is ${typeName(type)}: its days are as written; cast it to a timestamp with a zone`,
        { column, value: timeZone, expected: "a timestamp with a zone" },
      );
    }
    checkZone(timeZone);
  }
  const zone = timeZone ?? own;
  return zone === null || isUtc(zone) ? null : zone;
}

function isUtc(zone: string): boolean {
  return parseOffset(zone) === 0n || /^(utc|etc\/utc|gmt|etc\/gmt)$/i.test(zone);
}

function chooseScale(
  text: string,
  kind: WindowName,
  type: DataType,
  zone: string | null,
  size: Span | null,
  step: Span | null,
): TimeScale {
  const ticks = { kind: "ticks", type, zone: null } as const;
  const spans = [size, step].filter((span): span is Interval => typeof span === "object" && span !== null);
  const has = (part: (span: Interval) => number | bigint) => spans.some((span) => Number(part(span)) !== 0);
  const [months, days, nanoseconds] = [
    has((span) => span.months),
    has((span) => span.days),
    has((span) => span.nanoseconds),
  ];
  if (kind === "session" && months) {
    throw new PlanError(`${text}: months differ in length: give the gap in days or less`, {
      expected: "a gap in days, hours, minutes, ...",
    });
  }
  if (kind === "session") return ticks;
  if (months && (days || nanoseconds)) {
    throw new PlanError(
      `${text}: months differ in length: sizes are whole months, quarters and years, or days and less, not both`,
      { expected: "months only, or none" },
    );
  }
  if (months) return { kind: "months", type, zone };
  if (zone === null || !days) return ticks;
  if (nanoseconds) {
    throw new PlanError(
      `${text}: days in ${zone} may have 23 or 25 hours: sizes are whole days, or hours and less, not both; for days of 24 hours write timeZone: "UTC"`,
      { value: zone, expected: `whole days, or timeZone: "UTC"` },
    );
  }
  return { kind: "days", type, zone };
}

/** The length in numbers of the scale. */
function spanNumber(text: string, { kind, type, zone }: TimeScale, span: Span, what: string): bigint {
  if (typeof span === "bigint") return inRange(text, span, what);
  const { months, days, nanoseconds } = span;
  if (kind === "months") {
    if (days === 0 && nanoseconds === 0n) return inRange(text, BigInt(months), what);
    throw new PlanError(`${text}: ${what} must be whole months, as the size is`, {
      expected: "whole months",
    });
  }
  if (months !== 0) {
    throw new PlanError(`${text}: ${what} cannot be months where the size is not`, {
      expected: "days or less",
    });
  }
  if (kind === "days") {
    if (nanoseconds === 0n) return inRange(text, BigInt(days), what);
    throw new PlanError(`${text}: ${what} must be whole days, as the size is (days in ${zone})`, {
      expected: "whole days",
    });
  }
  const total = BigInt(days) * NANOSECONDS_A_DAY + nanoseconds;
  const unit = type.kind === "date" ? NANOSECONDS_A_DAY : nanosecondsATick(type);
  if (total % unit !== 0n) {
    throw new PlanError(`${text}: ${what} is not a whole number of the column's unit, ${tickName(type)}`, {
      expected: `a multiple of 1 ${tickName(type)}`,
    });
  }
  return inRange(text, total / nanosecondsATick(type), what);
}

function inRange(text: string, number: bigint, what: string): bigint {
  if (number >= -I64_MAX && number <= I64_MAX) return number;
  throw new PlanError(`${text}: ${what} does not fit 64 bits`, {
    value: number,
    expected: "at most 2^63 - 1",
  });
}

function checkSizes(text: string, kind: WindowName, length: bigint, step: bigint): void {
  if (kind === "global") return;
  const [size, slide] = kind === "session" ? ["gap", "gap"] : ["size", kind === "hop" ? "slide" : "step"];
  for (const [value, what] of [
    [length, size],
    [step, slide],
  ] as const) {
    if (value <= 0n) throw new PlanError(`${text}: ${what} must be above 0`, { value, expected: "above 0" });
  }
  if (step <= length) return;
  const why = kind === "hop" ? ": rows between two windows would be in none; filter them before" : "";
  throw new PlanError(`${text}: the ${slide} is larger than the size${why}`, {
    value: step,
    expected: `at most the size`,
  });
}

function mondayOffset({ kind, type }: TimeScale, window: WindowName, grid: bigint): bigint {
  if (type.kind === "int" || kind === "months" || window === "session" || window === "global") return 0n;
  const day = kind === "days" ? 1n : NANOSECONDS_A_DAY / nanosecondsATick(type);
  return grid % (WEEK * day) === 0n ? FIRST_MONDAY * day : 0n;
}

/** What the operator's program computes of each row. */
function numberExpression(
  { kind, type, zone }: TimeScale,
  column: ExpressionNode,
  schema: Schema,
  instant: BoundExpression,
): BoundExpression {
  if (kind === "ticks") return convert(instant, int64);
  const local: ExpressionNode =
    zone === null ? column : { kind: "cast", value: column, type: timestamp(unitOf(type), zone), try: false };
  if (kind === "days") {
    const day: ExpressionNode = { kind: "cast", value: local, type: DAY, try: false };
    return convert(bindExpression(day, schema), int64);
  }
  const call = (fn: "add" | "multiply", a: ExpressionNode, b: ExpressionNode): ExpressionNode => ({
    kind: "call",
    fn,
    args: [a, b],
  });
  const part = (name: "year" | "month"): ExpressionNode => ({ kind: "timePart", value: local, part: name });
  const literal = (value: bigint): ExpressionNode => ({ kind: "literal", value, type: int64 });
  const months = call(
    "add",
    call("multiply", part("year"), literal(12n)),
    call("add", part("month"), literal(-1n)),
  );
  return bindExpression(months, schema);
}

const DAY = { kind: "date", unit: "day" } as const;

function unitOf(type: DataType): TimeUnit {
  if (type.kind !== "timestamp") throw new RangeError(`${typeName(type)} has no zone`);
  return type.unit;
}
