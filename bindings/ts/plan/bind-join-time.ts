// Binding the times of a join: both columns as 64-bit ticks of one type, and the bounds in those ticks.

import { JoinTime } from "../../../kernel/abi/operator.js";
import type { JoinTimeSpec } from "../kernel/config.js";
import { type DataType, int64, type Schema, typeName } from "../type/data-type.js";
import { PlanError, TypeMismatchError } from "../type/error.js";
import { readSpan } from "./bind-window.js";
import type { BoundExpression } from "./bound.js";
import { floorDivide } from "./calendar.js";
import { commonType } from "./common-type.js";
import { convert } from "./draft.js";
import { joinTimeText } from "./join-time.js";
import type { JoinTimeNode } from "./logical.js";
import { nanosecondsATick } from "./time-scale.js";
import { bindExpression } from "./typing.js";
import type { WindowSize } from "./window.js";

export interface BoundJoinTime {
  /** The time columns themselves, over the columns of each side. */
  readonly instants: readonly [BoundExpression, BoundExpression];
  /** Their ticks, as int64. */
  readonly left: BoundExpression;
  readonly right: BoundExpression;
  /** What they are ticks of. */
  readonly type: DataType;
  readonly spec: JoinTimeSpec;
  readonly text: string;
}

const MODES = {
  backward: JoinTime.BACKWARD,
  forward: JoinTime.FORWARD,
  nearest: JoinTime.NEAREST,
} as const;

/** What the kernel takes of a bound. */
const FURTHEST = 2n ** 62n;
const NANOSECONDS_A_DAY = 86_400_000_000_000n;

/** @throws UnknownColumnError, TypeMismatchError, PlanError or ArgumentError */
export function bindJoinTime(node: JoinTimeNode, left: Schema, right: Schema): BoundJoinTime {
  const text = joinTimeText(node);
  const own = timeColumn(text, "left", node.left, left);
  const other = timeColumn(text, "right", node.right, right);
  const type = commonType(own.type, other.type);
  if (type === null || (own.type.kind === "int") !== (other.type.kind === "int")) {
    throw new TypeMismatchError(
      `${text}: the left "${node.left}" is ${typeName(own.type)} and the right "${node.right}" is ${typeName(other.type)}, which do not compare; cast one side`,
      { column: node.left, value: typeName(other.type), expected: typeName(own.type) },
    );
  }
  const ticks = (column: BoundExpression) => convert(convert(column, type), int64);
  return {
    instants: [own, other],
    left: ticks(own),
    right: ticks(other),
    type,
    spec: specOf(node, text, type),
    text,
  };
}

function timeColumn(text: string, side: string, name: string, schema: Schema): BoundExpression {
  const column = bindExpression({ kind: "column", name }, schema);
  if (["int", "date", "timestamp"].includes(column.type.kind)) return column;
  throw new TypeMismatchError(
    `${text}: the ${side} "${name}" is ${typeName(column.type)}; times are dates, timestamps and integers`,
    { column: name, value: typeName(column.type), expected: "a date, timestamp or integer" },
  );
}

function specOf(node: JoinTimeNode, text: string, type: DataType): JoinTimeSpec {
  if (node.kind === "within") {
    // Of times in whole ticks, bounds between two ticks reach the one inside.
    const low = -spanTicks(text, node.right, type, node.from, "from", -1n);
    const high = spanTicks(text, node.right, type, node.to, "to", 1n);
    if (low <= high) return { mode: JoinTime.WITHIN, low, high };
    throw new PlanError(`${text}: no time is in between: from is after to`, {
      value: node.from,
      expected: `at most ${node.to}`,
    });
  }
  const { tolerance, strict, direction } = node;
  const furthest = tolerance === null ? null : spanTicks(text, node.left, type, tolerance, "tolerance", 1n);
  if (furthest !== null && furthest < 0n) {
    throw new PlanError(`${text}: tolerance is below 0`, { value: tolerance, expected: "0 or more" });
  }
  return { mode: MODES[direction], tolerance: furthest, strict };
}

/** A length times `sign`, in ticks, rounded down. */
export function spanTicks(
  text: string,
  column: string,
  type: DataType,
  size: WindowSize,
  what: string,
  sign: bigint,
): bigint {
  const span = readSpan(text, column, type, size, what);
  if (typeof span === "object" && span.months !== 0) {
    throw new PlanError(`${text}: ${what} in months: months differ in length, give days`, {
      column,
      value: size,
      expected: "days or less",
    });
  }
  const length = typeof span === "bigint" ? span : BigInt(span.days) * NANOSECONDS_A_DAY + span.nanoseconds;
  const ticks = floorDivide(sign * length, nanosecondsATick(type));
  if (ticks <= FURTHEST && ticks >= -FURTHEST) return ticks;
  throw new PlanError(`${text}: ${what} is further than 2^62 units of ${typeName(type)}`, {
    column,
    value: size,
    expected: "at most 2^62 units",
  });
}
