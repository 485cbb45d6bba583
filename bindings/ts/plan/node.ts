// What an expression is before anything is known of the data: a small immutable tree.
//
// Plain objects of a handful of kinds, so that walking, printing and typing them is one `switch` each.
// Users never see them; they hold an `Expression` (expression.ts), which wraps one.

import type { DataType } from "../type/data-type.js";
import type { Interval } from "./interval.js";

/** JavaScript values that stand for literals wherever an expression may stand. */
export type Plain = number | bigint | string | boolean | null | Date | Uint8Array;

/** Fields of a date or time, and (those that name a span) units to truncate to. */
export const TIME_PARTS = [
  "year",
  "quarter",
  "month",
  "day",
  "hour",
  "minute",
  "second",
  "millisecond",
  "microsecond",
  "dayOfWeek",
  "isoDayOfWeek",
  "dayOfYear",
  "week",
  "isoYear",
  "epoch",
] as const;

export type TimePartName = (typeof TIME_PARTS)[number];

/** Units that `dateTrunc` accepts. */
export const TRUNCATE_UNITS = [
  "year",
  "quarter",
  "month",
  "week",
  "day",
  "hour",
  "minute",
  "second",
  "millisecond",
  "microsecond",
] as const;

export type TruncateUnit = (typeof TRUNCATE_UNITS)[number];

export type ArithmeticName = "add" | "subtract" | "multiply" | "divide" | "integerDivide" | "modulo";
export type NumericName = "negate" | "abs" | "floor" | "ceil" | "sqrt" | "sign";
export type ComparisonName =
  | "equal"
  | "notEqual"
  | "less"
  | "lessEqual"
  | "greater"
  | "greaterEqual"
  | "same";
export type LogicName = "and" | "or" | "not";
export type TestName = "isNull" | "isNotNull" | "isNaN";
export type TextTestName = "startsWith" | "endsWith" | "contains";
export type TextName = "length" | "octetLength" | "lower" | "upper";
export type TrimSide = "leading" | "trailing" | "both";

export type ExpressionNode =
  | { readonly kind: "column"; readonly name: string }
  /** `type` null: the literal takes its type from what stands beside it. */
  | { readonly kind: "literal"; readonly value: Plain; readonly type: DataType | null }
  | {
      readonly kind: "call";
      readonly fn:
        | ArithmeticName
        | NumericName
        | ComparisonName
        | LogicName
        | TestName
        | TextTestName
        | TextName;
      readonly args: readonly ExpressionNode[];
    }
  | { readonly kind: "round"; readonly value: ExpressionNode; readonly digits: number }
  | { readonly kind: "in"; readonly value: ExpressionNode; readonly list: readonly ExpressionNode[] }
  | {
      readonly kind: "case";
      readonly branches: readonly { readonly condition: ExpressionNode; readonly value: ExpressionNode }[];
      /** Null: rows that no branch takes are null. */
      readonly otherwise: ExpressionNode | null;
    }
  | { readonly kind: "coalesce"; readonly args: readonly ExpressionNode[] }
  | { readonly kind: "cast"; readonly value: ExpressionNode; readonly type: DataType; readonly try: boolean }
  | {
      readonly kind: "like";
      readonly value: ExpressionNode;
      readonly pattern: string;
      readonly escape: string | null;
    }
  | {
      readonly kind: "substring";
      readonly value: ExpressionNode;
      readonly start: ExpressionNode;
      readonly length: ExpressionNode | null;
    }
  | { readonly kind: "concat"; readonly args: readonly ExpressionNode[] }
  | { readonly kind: "trim"; readonly value: ExpressionNode; readonly side: TrimSide }
  | { readonly kind: "timePart"; readonly value: ExpressionNode; readonly part: TimePartName }
  | { readonly kind: "truncate"; readonly value: ExpressionNode; readonly unit: TruncateUnit }
  /** A date or timestamp moved by an interval (which may be negative). */
  | { readonly kind: "shift"; readonly value: ExpressionNode; readonly interval: Interval };

/** Every node directly below `node`. */
export function children(node: ExpressionNode): readonly ExpressionNode[] {
  switch (node.kind) {
    case "column":
    case "literal":
      return [];
    case "call":
    case "coalesce":
    case "concat":
      return node.args;
    case "in":
      return [node.value, ...node.list];
    case "case":
      return [
        ...node.branches.flatMap((branch) => [branch.condition, branch.value]),
        ...(node.otherwise === null ? [] : [node.otherwise]),
      ];
    case "substring":
      return [node.value, node.start, ...(node.length === null ? [] : [node.length])];
    default:
      return [node.value];
  }
}
