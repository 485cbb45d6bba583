// Types of calendar operations on dates, timestamps and times of day.

import { type DataType, int64, type TimeUnit, timestamp } from "../type/data-type.js";
import { TypeMismatchError } from "../type/error.js";
import { type BoundExpression, describe } from "./bound.js";
import { finerUnit, unitFor } from "./calendar.js";
import { beside, convert, type Draft, mismatch, settle } from "./draft.js";
import type { Interval } from "./interval.js";
import type { TimePartName, TruncateUnit } from "./node.js";

const CLOCK_PARTS: ReadonlySet<TimePartName> = new Set([
  "hour",
  "minute",
  "second",
  "millisecond",
  "microsecond",
]);

/** A date or timestamp; a text or Date literal becomes a timestamp. */
function pointOperand(operand: Draft, by: string): BoundExpression {
  const value = operand.kind === "open" ? (beside(operand, timestamp("us")) ?? settle(operand, by)) : operand;
  if (value.type.kind !== "date" && value.type.kind !== "timestamp") {
    throw mismatch(by, operand, "a date or timestamp");
  }
  return value;
}

export function bindTimePart(operand: Draft, part: TimePartName, text: string): BoundExpression {
  if (operand.kind !== "open" && operand.type.kind === "time") {
    if (!CLOCK_PARTS.has(part)) {
      throw new TypeMismatchError(`${text}: ${describe(operand)} is a time of day, it has no ${part}`, {
        column: operand.kind === "column" ? operand.name : undefined,
        expected: "a date or timestamp",
      });
    }
    return { kind: "timePart", value: operand, part, type: int64, nullable: operand.nullable, text };
  }
  const value = pointOperand(operand, text);
  return { kind: "timePart", value, part, type: int64, nullable: value.nullable, text };
}

export function bindTruncate(operand: Draft, unit: TruncateUnit, text: string): BoundExpression {
  const value = pointOperand(operand, text);
  return { kind: "truncate", value, unit, type: value.type, nullable: value.nullable, text };
}

export function bindShift(operand: Draft, interval: Interval, text: string): BoundExpression {
  const value = pointOperand(operand, text);
  const type = shiftedType(value.type, interval);
  return {
    kind: "shift",
    value: convert(value, type),
    interval,
    type,
    nullable: value.nullable,
    text,
  };
}

/** A timestamp in a unit that holds the interval exactly; dates become timestamps of at least microseconds. */
function shiftedType(type: DataType, interval: Interval): DataType {
  if (type.kind === "timestamp") return { ...type, unit: unitFor(interval.nanoseconds, type.unit) };
  const least: TimeUnit = "us";
  return timestamp(finerUnit(least, unitFor(interval.nanoseconds, least)));
}
