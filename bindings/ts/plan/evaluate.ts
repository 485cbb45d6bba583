// What every expression means, one row at a time: the definition that the kernel is held against.
//
// Written to be obviously right and never to be fast. It folds constants when a plan is lowered and is the
// oracle of the kernel's tests (twin/expression.ts). Integers and decimals are exact BigInts; errors are the
// typed ones of the kernel, without a row.

import { type DataType, int64, typeName } from "../type/data-type.js";
import { CastError, OverflowError } from "../type/error.js";
import type {
  BoundCall,
  BoundExpression,
  BoundIn,
  BoundLike,
  BoundRound,
  BoundShift,
  BoundTruncate,
} from "./bound.js";
import {
  addMonths,
  civilFromDays,
  daysFromCivil,
  floorDivide,
  floorModulo,
  SECONDS_A_DAY,
  TICKS_A_SECOND,
  ticksADay,
} from "./calendar.js";
import { mapCase } from "./case-map.js";
import { castValue, divideRounded } from "./convert.js";
import type { TimePartName, TruncateUnit } from "./node.js";
import { fromLocal, toLocal, zoneTable } from "./time-zone.js";
import { fitsInteger, type Value } from "./value.js";

/** Value of an expression on a row: `row[i]` is the value of column i. Throws OverflowError or CastError. */
export function evaluate(expression: BoundExpression, row: readonly Value[]): Value {
  const of = (child: BoundExpression) => evaluate(child, row);
  switch (expression.kind) {
    case "column":
      return row[expression.index] ?? null;
    case "literal":
      return expression.value;
    case "call":
      return evaluateCall(expression, expression.args.map(of));
    case "round":
      return strict([of(expression.value)], ([value]) => roundValue(value as number | bigint, expression));
    case "in":
      return isIn(of(expression.value), expression);
    case "case": {
      const taken = expression.branches.find(({ condition }) => of(condition) === true);
      return of(taken === undefined ? expression.otherwise : taken.value);
    }
    case "coalesce":
      for (const arg of expression.args) {
        const value = of(arg);
        if (value !== null) return value;
      }
      return null;
    case "cast":
      return evaluateCast(of(expression.value), expression.value.type, expression.type, expression.try);
    case "like":
      return strict([of(expression.value)], ([value]) => like(value as string, expression));
    case "substring": {
      const length = expression.length === null ? [] : [of(expression.length)];
      const parts = [of(expression.value), of(expression.start), ...length];
      return strict(parts, ([text, start, count]) =>
        substring(text as string, start as bigint, (count as bigint | undefined) ?? null),
      );
    }
    case "concat":
      return strict(expression.args.map(of), (texts) => texts.join(""));
    case "trim":
      return strict([of(expression.value)], ([text]) => trim(text as string, expression.side));
    case "timePart":
      return strict([of(expression.value)], ([ticks]) =>
        timePart(ticks as bigint, expression.value.type, expression.part),
      );
    case "truncate":
      return strict([of(expression.value)], ([ticks]) => truncate(ticks as bigint, expression));
    case "shift":
      return strict([of(expression.value)], ([ticks]) => shift(ticks as bigint, expression));
  }
}

type Present = Exclude<Value, null>;

/** Null where any argument is. */
function strict(values: readonly Value[], compute: (values: Present[]) => Value): Value {
  return values.includes(null) ? null : compute(values as Present[]);
}

function evaluateCast(value: Value, from: DataType, to: DataType, lenient: boolean): Value {
  if (value === null) return null;
  try {
    return castValue(value, from, to);
  } catch (error) {
    if (lenient && error instanceof CastError) return null;
    throw error;
  }
}

function evaluateCall(call: BoundCall, args: readonly Value[]): Value {
  switch (call.fn) {
    case "and":
      return args.includes(false) ? false : args.includes(null) ? null : true;
    case "or":
      return args.includes(true) ? true : args.includes(null) ? null : false;
    case "isNull":
      return args[0] === null;
    case "isNotNull":
      return args[0] !== null;
    case "same":
      return args[0] === null || args[1] === null
        ? args[0] === args[1]
        : compareValues(args[0]!, args[1]!) === 0;
    default:
      return strict(args, (present) => strictCall(call, present));
  }
}

function strictCall(call: BoundCall, args: readonly Present[]): Value {
  const [a, b] = args as [Present, Present];
  switch (call.fn) {
    case "not":
      return !a;
    case "isNaN":
      return Number.isNaN(a);
    case "equal":
      return compareValues(a, b) === 0;
    case "notEqual":
      return compareValues(a, b) !== 0;
    case "less":
      return compareValues(a, b) < 0;
    case "lessEqual":
      return compareValues(a, b) <= 0;
    case "greater":
      return compareValues(a, b) > 0;
    case "greaterEqual":
      return compareValues(a, b) >= 0;
    case "startsWith":
      return (a as string).startsWith(b as string);
    case "endsWith":
      return (a as string).endsWith(b as string);
    case "contains":
      return (a as string).includes(b as string);
    case "length":
      return BigInt(Array.from(a as string).length);
    case "octetLength":
      return BigInt(utf8Bytes(a as string | Uint8Array).length);
    case "lower":
    case "upper":
      return mapCase(a as string, call.fn);
    default:
      return call.type.kind === "float"
        ? floatCall(call, a as number, b as number)
        : integerCall(call, a as bigint, b as bigint);
  }
}

function floatCall(call: BoundCall, a: number, b: number): number {
  const result = floatResult(call.fn, a, b);
  return call.type.kind === "float" && call.type.bits === 32 ? Math.fround(result) : result;
}

function floatResult(fn: BoundCall["fn"], a: number, b: number): number {
  switch (fn) {
    case "add":
      return a + b;
    case "subtract":
      return a - b;
    case "multiply":
      return a * b;
    case "divide":
      return a / b;
    case "modulo":
      return a % b;
    case "negate":
      return -a;
    case "abs":
      return Math.abs(a);
    case "floor":
      return Math.floor(a);
    case "ceil":
      return Math.ceil(a);
    case "sqrt":
      return Math.sqrt(a);
    case "sign":
      return a > 0 ? 1 : a < 0 ? -1 : a;
    default:
      throw new RangeError(`${fn} is not defined on floats`);
  }
}

/** Integers, decimals (unscaled) and lengths of time. */
function integerCall(call: BoundCall, a: bigint, b: bigint): bigint | null {
  if ((call.fn === "integerDivide" || call.fn === "modulo") && b === 0n) return null;
  return inRange(integerResult(call, a, b), call.type, call.text);
}

function integerResult(call: BoundCall, a: bigint, b: bigint): bigint {
  switch (call.fn) {
    case "add":
      return a + b;
    case "subtract":
      return a - b;
    case "multiply":
      return a * b;
    case "integerDivide":
      return a / b;
    case "modulo":
      return a % b;
    case "negate":
      return -a;
    case "abs":
      return a < 0n ? -a : a;
    case "sign":
      return a > 0n ? 1n : a < 0n ? -1n : 0n;
    case "floor":
    case "ceil": {
      const type = call.args[0]!.type;
      const unit = 10n ** BigInt(type.kind === "decimal" ? type.scale : 0);
      return call.fn === "floor" ? floorDivide(a, unit) * unit : -floorDivide(-a, unit) * unit;
    }
    default:
      throw new RangeError(`${call.fn} is not defined on integers`);
  }
}

function inRange(value: bigint, type: DataType, text: string): bigint {
  const bits = { bits: type.kind === "int" ? type.bits : 64, signed: type.kind !== "int" || type.signed };
  const limit = 10n ** 38n;
  const fits = type.kind === "decimal" ? value < limit && value > -limit : fitsInteger(value, bits);
  if (fits) return value;
  throw new OverflowError(`${text}: ${value} does not fit ${typeName(type)}`, {
    value,
    expected: typeName(type),
  });
}

const encoder = new TextEncoder();

function utf8Bytes(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? encoder.encode(value) : value;
}

/** Negative, zero or positive. Floats: -0 = 0, NaN = NaN and above all else. Texts and binaries by bytes. */
export function compareValues(a: Present, b: Present): number {
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    return a < b ? -1 : a > b ? 1 : 0;
  }
  if (isBytesLike(a) && isBytesLike(b)) return compareBytes(utf8Bytes(a), utf8Bytes(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

function isBytesLike(value: Present): value is string | Uint8Array {
  return typeof value === "string" || value instanceof Uint8Array;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) if (a[at] !== b[at]) return a[at]! - b[at]!;
  return a.length - b.length;
}

function isIn(value: Value, { list, hasNull }: BoundIn): Value {
  if (value === null) return null;
  if (list.some((item) => compareValues(value, item as Present) === 0)) return true;
  return hasNull ? null : false;
}

function roundValue(value: number | bigint, { type, digits, text }: BoundRound): Value {
  if (typeof value === "bigint") {
    const scale = type.kind === "decimal" ? type.scale : 0;
    if (digits >= scale) return value;
    const unit = 10n ** BigInt(scale - digits);
    return inRange(divideRounded(value, unit) * unit, type, text);
  }
  return type.kind === "float" && type.bits === 32
    ? Math.fround(roundFloat(value, digits))
    : roundFloat(value, digits);
}

/** As DuckDB: scaled, rounded half away from zero, scaled back; where that overflows, the value (or 0) itself. */
function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value)) return value;
  const power = Number(`1e${Math.abs(digits)}`);
  const result = digits >= 0 ? roundAway(value * power) / power : roundAway(value / power) * power;
  if (Number.isFinite(result)) return result;
  return digits >= 0 ? value : 0;
}

function roundAway(value: number): number {
  const whole = Math.trunc(value);
  return Math.abs(value - whole) >= 0.5 ? whole + Math.sign(value) : whole;
}

/** The pattern as steps; a text matches when its code points can take them all. */
function like(text: string, { pattern, escape: mark }: BoundLike): boolean {
  const steps: ("any" | "one" | { readonly letter: string })[] = [];
  const letters = Array.from(pattern);
  for (let at = 0; at < letters.length; at++) {
    if (letters[at] === mark && mark !== null) steps.push({ letter: letters[++at]! });
    else steps.push(letters[at] === "%" ? "any" : letters[at] === "_" ? "one" : { letter: letters[at]! });
  }
  // reached[i]: the steps so far can have consumed the first i letters.
  const source = Array.from(text);
  let reached = source.map(() => false);
  reached.unshift(true);
  for (const step of steps) {
    const first = reached.indexOf(true);
    reached = reached.map((_, index) => {
      if (step === "any") return first >= 0 && index >= first;
      if (index === 0 || !reached[index - 1]) return false;
      return step === "one" || step.letter === source[index - 1];
    });
  }
  return reached[source.length]!;
}

function substring(text: string, start: bigint, length: bigint | null): string {
  return Array.from(text)
    .filter((_, index) => {
      const position = BigInt(index) + 1n;
      return position >= start && (length === null || position < start + length);
    })
    .join("");
}

const BLANKS = "[ \\t-\\r]*";

function trim(text: string, side: "leading" | "trailing" | "both"): string {
  let result = text;
  if (side !== "trailing") result = result.replace(new RegExp(`^${BLANKS}`), "");
  if (side !== "leading") result = result.replace(new RegExp(`${BLANKS}$`), "");
  return result;
}

/** Ticks as the clock on the wall shows them. */
function localTicks(ticks: bigint, type: DataType): bigint {
  if (type.kind !== "timestamp" || type.timezone === null) return ticks;
  return toLocal(zoneTable(type.timezone), ticks, TICKS_A_SECOND[type.unit]);
}

function utcTicks(local: bigint, type: DataType): bigint {
  if (type.kind !== "timestamp" || type.timezone === null) return local;
  return fromLocal(zoneTable(type.timezone), local, TICKS_A_SECOND[type.unit]);
}

function timePart(ticks: bigint, type: DataType, part: TimePartName): bigint {
  const day = ticksADay(type);
  if (part === "epoch") return floorDivide(ticks * SECONDS_A_DAY, day);
  const local = localTicks(ticks, type);
  const days = floorDivide(local, day);
  const { year, month, day: dayOfMonth } = civilFromDays(days);
  /** Count of a span of `perDay` to the day since midnight. */
  const since = (perDay: bigint) => (floorModulo(local, day) * perDay) / day;
  const isoDay = floorModulo(days + 3n, 7n) + 1n;
  /** The Thursday of the week decides its year. */
  const thursday = days - isoDay + 4n;
  const isoYear = civilFromDays(thursday).year;
  switch (part) {
    case "year":
      return year;
    case "quarter":
      return (month + 2n) / 3n;
    case "month":
      return month;
    case "day":
      return dayOfMonth;
    case "hour":
      return since(24n);
    case "minute":
      return since(1_440n) % 60n;
    case "second":
      return since(SECONDS_A_DAY) % 60n;
    case "millisecond":
      return since(SECONDS_A_DAY * 1_000n) % 60_000n;
    case "microsecond":
      return since(SECONDS_A_DAY * 1_000_000n) % 60_000_000n;
    case "dayOfWeek":
      return isoDay % 7n;
    case "isoDayOfWeek":
      return isoDay;
    case "dayOfYear":
      return days - daysFromCivil({ year, month: 1n, day: 1n }) + 1n;
    case "week":
      return (thursday - daysFromCivil({ year: isoYear, month: 1n, day: 1n })) / 7n + 1n;
    case "isoYear":
      return isoYear;
  }
}

function truncate(ticks: bigint, { type, unit, text }: BoundTruncate): bigint {
  const day = ticksADay(type);
  const local = localTicks(ticks, type);
  const start = utcTicks(truncateLocal(local, day, unit), type);
  if (type.kind === "date" && type.unit === "day") return castValue(start, int64, type) as bigint;
  return inRange(start, type, text);
}

function truncateLocal(local: bigint, day: bigint, unit: TruncateUnit): bigint {
  const perDay: Partial<Record<TruncateUnit, bigint>> = {
    hour: 24n,
    minute: 1_440n,
    second: SECONDS_A_DAY,
    millisecond: SECONDS_A_DAY * 1_000n,
    microsecond: SECONDS_A_DAY * 1_000_000n,
  };
  const steps = perDay[unit];
  if (steps !== undefined) return steps >= day ? local : local - floorModulo(local, day / steps);
  const days = floorDivide(local, day);
  const { year, month } = civilFromDays(days);
  switch (unit) {
    case "day":
      return days * day;
    case "week":
      return (days - floorModulo(days + 3n, 7n)) * day;
    case "month":
      return daysFromCivil({ year, month, day: 1n }) * day;
    case "quarter":
      return daysFromCivil({ year, month: month - floorModulo(month - 1n, 3n), day: 1n }) * day;
    default:
      return daysFromCivil({ year, month: 1n, day: 1n }) * day;
  }
}

function shift(ticks: bigint, { type, interval, text }: BoundShift): bigint {
  const day = ticksADay(type);
  const calendar = interval.months !== 0 || interval.days !== 0;
  let moved = ticks;
  if (calendar) {
    const local = localTicks(ticks, type);
    const days = addMonths(floorDivide(local, day), BigInt(interval.months)) + BigInt(interval.days);
    moved = utcTicks(days * day + floorModulo(local, day), type);
  }
  const rest = (interval.nanoseconds * day) / (SECONDS_A_DAY * 1_000_000_000n);
  return inRange(moved + rest, type, text);
}
