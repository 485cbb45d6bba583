// Types of arithmetic: which operands each operator takes, what they are brought to, what comes out.
//
// Integers compute in int32, int64 or uint64; floats in their own width; decimals in their scale with the
// result's precision worked out so that no digit can be lost (at most 38, then an overflow is an error at
// run time). Dates, timestamps and durations add and subtract as lengths of time.

import {
  type DataType,
  date32,
  decimal,
  float32,
  float64,
  int32,
  int64,
  sameType,
  typeName,
} from "../type/data-type.js";
import { PlanError } from "../type/error.js";
import type { BoundExpression, BoundFunction } from "./bound.js";
import { finerUnit } from "./calendar.js";
import { arithmeticInteger, commonType, integerAsDecimal } from "./common-type.js";
import { beside, convert, type Draft, mismatch, noCommonType, settle } from "./draft.js";
import type { ArithmeticName, NumericName } from "./node.js";

type Decimal = Extract<DataType, { kind: "decimal" }>;

const NUMBER = "a number";

function isNumber(type: DataType): boolean {
  return type.kind === "int" || type.kind === "float" || type.kind === "decimal";
}

export function bindArithmetic(fn: ArithmeticName, left: Draft, right: Draft, text: string): BoundExpression {
  const [a, b] = besideEachOther(left, right, text);
  if (!isNumber(a.type) || !isNumber(b.type)) {
    const time = fn === "add" || fn === "subtract" ? bindTimeArithmetic(fn, a, b, text) : null;
    if (time !== null) return time;
    const wrong = !isNumber(a.type) ? a : b;
    const both = fn === "add" || fn === "subtract" ? "a number, nor a time that fits the other side" : NUMBER;
    throw mismatch(text, wrong, both);
  }
  if (fn === "divide") return bindDivide(a, b, text);
  if (a.type.kind === "float" || b.type.kind === "float") return bindFloat(fn, a, b, text);
  if (a.type.kind === "decimal" || b.type.kind === "decimal") return bindDecimal(fn, a, b, text);
  return bindInteger(fn, a, b, text);
}

/** Literals take the type of the other side; beside dates and timestamps an integer stays one. */
function besideEachOther(left: Draft, right: Draft, text: string): [BoundExpression, BoundExpression] {
  const one = (operand: Draft, other: Draft): BoundExpression => {
    if (operand.kind !== "open" || other.kind === "open") return settle(operand, text);
    if (operand.plain === null && !isNumber(other.type)) return settle(operand, text);
    if (typeof operand.plain === "string" && other.type.kind === "timestamp") {
      // A text beside a timestamp may be another timestamp only in a difference; either way ISO 8601.
      return beside(operand, other.type) ?? settle(operand, text);
    }
    return beside(operand, other.type) ?? settle(operand, text);
  };
  return [one(left, right), one(right, left)];
}

function call(fn: BoundFunction, type: DataType, args: BoundExpression[], text: string): BoundExpression {
  const byZero = (fn === "integerDivide" || fn === "modulo") && type.kind !== "float";
  return { kind: "call", fn, args, type, nullable: byZero || args.some((arg) => arg.nullable), text };
}

function bindInteger(
  fn: ArithmeticName,
  a: BoundExpression,
  b: BoundExpression,
  text: string,
): BoundExpression {
  if (a.type.kind !== "int" || b.type.kind !== "int") throw noCommonType(text, a, b);
  const type = commonType(arithmeticInteger(a.type), arithmeticInteger(b.type));
  if (type === null) throw noCommonType(text, a, b);
  return call(fn, type, [convert(a, type), convert(b, type)], text);
}

function bindFloat(
  fn: ArithmeticName,
  a: BoundExpression,
  b: BoundExpression,
  text: string,
): BoundExpression {
  if (fn === "integerDivide") {
    throw mismatch(text, a.type.kind === "float" ? a : b, "an integer or decimal; write div(...).floor()");
  }
  const type = sameType(a.type, b.type) ? a.type : float64;
  return call(fn, type, [convert(a, type), convert(b, type)], text);
}

function bindDivide(a: BoundExpression, b: BoundExpression, text: string): BoundExpression {
  const type = sameType(a.type, float32) && sameType(b.type, float32) ? float32 : float64;
  return call("divide", type, [convert(a, type), convert(b, type)], text);
}

function bindDecimal(
  fn: ArithmeticName,
  left: BoundExpression,
  right: BoundExpression,
  text: string,
): BoundExpression {
  const a = asDecimal(left);
  const b = asDecimal(right);
  const [p, q] = [a.type as Decimal, b.type as Decimal];
  if (fn === "multiply") {
    const scale = p.scale + q.scale;
    if (scale > 38) {
      throw new PlanError(
        `${text}: the product of ${typeName(p)} and ${typeName(q)} would have ${scale} digits after the point; ` +
          `a decimal has at most 38: cast one side to a smaller scale`,
        { expected: "at most 38 digits after the point" },
      );
    }
    return call("multiply", decimal(Math.min(38, p.precision + q.precision), scale), [a, b], text);
  }
  const scale = Math.max(p.scale, q.scale);
  const whole = Math.max(p.precision - p.scale, q.precision - q.scale);
  const common = decimal(Math.min(38, whole + scale), scale);
  const args = [convert(a, common), convert(b, common)];
  if (fn === "integerDivide") {
    return call(fn, decimal(Math.min(38, common.precision), 0), args, text);
  }
  const carry = fn === "modulo" ? 0 : 1;
  return call(fn, decimal(Math.min(38, whole + scale + carry), scale), args, text);
}

function asDecimal(operand: BoundExpression): BoundExpression {
  return operand.type.kind === "int" ? convert(operand, integerAsDecimal(operand.type)) : operand;
}

/** Dates, timestamps and durations; null when the two do not go together. */
function bindTimeArithmetic(
  fn: "add" | "subtract",
  a: BoundExpression,
  b: BoundExpression,
  text: string,
): BoundExpression | null {
  const [x, y] = [a.type, b.type];
  if (fn === "add" && x.kind !== "timestamp" && y.kind === "timestamp") {
    return bindTimeArithmetic(fn, b, a, text);
  }
  if (fn === "add" && x.kind === "int" && y.kind === "date") return bindTimeArithmetic(fn, b, a, text);
  if (x.kind === "timestamp" && y.kind === "duration") {
    const unit = finerUnit(x.unit, y.unit);
    const type: DataType = { ...x, unit };
    return call(fn, type, [convert(a, type), convert(b, { kind: "duration", unit })], text);
  }
  if (x.kind === "duration" && y.kind === "duration") {
    const type: DataType = { kind: "duration", unit: finerUnit(x.unit, y.unit) };
    return call(fn, type, [convert(a, type), convert(b, type)], text);
  }
  if (x.kind === "date" && y.kind === "int") return moveDate(fn, a, b, text);
  if (fn === "subtract" && isPoint(x) && isPoint(y)) return difference(a, b, text);
  return null;
}

function isPoint(type: DataType): boolean {
  return type.kind === "date" || type.kind === "timestamp";
}

function moveDate(
  fn: "add" | "subtract",
  date: BoundExpression,
  days: BoundExpression,
  text: string,
): BoundExpression {
  const ticks = convert(convert(date, date32), int64);
  const moved = call(fn, int64, [ticks, convert(days, int64)], text);
  return convert(convert(moved, date32), date.type);
}

/** Days between dates, or a duration where a timestamp takes part. */
function difference(a: BoundExpression, b: BoundExpression, text: string): BoundExpression {
  if (a.type.kind === "date" && b.type.kind === "date") {
    const days = (date: BoundExpression) => convert(convert(date, date32), int64);
    return call("subtract", int64, [days(a), days(b)], text);
  }
  const common = commonType(a.type, b.type);
  if (common?.kind !== "timestamp") throw noCommonType(text, a, b);
  const type: DataType = { kind: "duration", unit: common.unit };
  return call("subtract", type, [convert(a, common), convert(b, common)], text);
}

export function bindNumeric(fn: NumericName, operand: BoundExpression, text: string): BoundExpression {
  const { type } = operand;
  if (type.kind === "duration" && (fn === "negate" || fn === "abs")) return call(fn, type, [operand], text);
  if (!isNumber(type)) throw mismatch(text, operand, NUMBER);
  if (fn === "sqrt") {
    const float = type.kind === "float" ? type : float64;
    return call(fn, float, [convert(operand, float)], text);
  }
  if (type.kind === "decimal") return bindDecimalNumeric(fn, operand, type, text);
  if (type.kind === "float") return call(fn, type, [operand], text);
  if (fn === "floor" || fn === "ceil") return { ...operand, text };
  const wide = type.kind === "int" ? arithmeticInteger(type) : int32;
  if (fn === "negate" && wide.bits === 64 && !wide.signed) {
    throw mismatch(text, operand, "a signed number: cast it to int64");
  }
  return call(fn, wide, [convert(operand, wide)], text);
}

function bindDecimalNumeric(
  fn: NumericName,
  operand: BoundExpression,
  type: Decimal,
  text: string,
): BoundExpression {
  if (fn === "negate" || fn === "abs") return call(fn, type, [operand], text);
  if (fn === "sign") return call(fn, decimal(1, 0), [operand], text);
  if (type.scale === 0) return operand;
  const whole = decimal(Math.min(38, type.precision + 1), type.scale);
  const cut = call(fn, whole, [convert(operand, whole)], text);
  return { ...convert(cut, decimal(Math.max(1, type.precision - type.scale + 1), 0)), text };
}

export function bindRound(operand: BoundExpression, digits: number, text: string): BoundExpression {
  const { type, nullable } = operand;
  if (type.kind === "float") return { kind: "round", value: operand, digits, type, nullable, text };
  if (type.kind === "int") {
    if (digits >= 0) return operand;
    const exact = integerAsDecimal(type);
    const wide = decimal(exact.precision + 1, 0);
    const rounded = roundDecimal(convert(operand, wide), wide, digits, text);
    return { ...convert(rounded, type), text };
  }
  if (type.kind !== "decimal") throw mismatch(text, operand, NUMBER);
  if (digits >= type.scale) return operand;
  const wide = decimal(Math.min(38, type.precision + 1), type.scale);
  const rounded = roundDecimal(convert(operand, wide), wide, digits, text);
  const scale = Math.max(0, digits);
  return { ...convert(rounded, decimal(Math.max(1, wide.precision - type.scale + scale), scale)), text };
}

function roundDecimal(value: BoundExpression, type: Decimal, digits: number, text: string): BoundExpression {
  return { kind: "round", value, digits, type, nullable: value.nullable, text };
}
