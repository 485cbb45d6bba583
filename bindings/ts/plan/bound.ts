// Expressions once the schema is known: every node has a type, every conversion is spelled out.
//
// The shape mirrors node.ts. What typing.ts adds: columns are numbers, literals have values of their type,
// operands of one operation have exactly the types that it computes on (casts are inserted), and "null when
// not found" parts are filled in. Both the compiler (lower) and the row-by-row evaluator read this form.

import { type DataType, typeName } from "../type/data-type.js";
import type { Interval } from "./interval.js";
import type {
  ArithmeticName,
  ComparisonName,
  LogicName,
  NumericName,
  TestName,
  TextName,
  TextTestName,
  TimePartName,
  TrimSide,
  TruncateUnit,
} from "./node.js";
import type { Value } from "./value.js";

export type BoundFunction =
  | ArithmeticName
  | NumericName
  | ComparisonName
  | LogicName
  | TestName
  | TextTestName
  | TextName;

interface Typed {
  /** Never a dictionary: a dictionary column counts as its values. */
  readonly type: DataType;
  /** False where a null cannot come out. */
  readonly nullable: boolean;
  /** What the user wrote. */
  readonly text: string;
}

export interface BoundColumn extends Typed {
  readonly kind: "column";
  readonly index: number;
  readonly name: string;
}

export interface BoundLiteral extends Typed {
  readonly kind: "literal";
  readonly value: Value;
}

export interface BoundCall extends Typed {
  readonly kind: "call";
  readonly fn: BoundFunction;
  readonly args: readonly BoundExpression[];
}

export interface BoundRound extends Typed {
  readonly kind: "round";
  readonly value: BoundExpression;
  readonly digits: number;
}

export interface BoundIn extends Typed {
  readonly kind: "in";
  readonly value: BoundExpression;
  /** Of the value's type, without nulls. */
  readonly list: readonly Value[];
  readonly hasNull: boolean;
}

export interface BoundCase extends Typed {
  readonly kind: "case";
  readonly branches: readonly { readonly condition: BoundExpression; readonly value: BoundExpression }[];
  readonly otherwise: BoundExpression;
}

export interface BoundCoalesce extends Typed {
  readonly kind: "coalesce";
  readonly args: readonly BoundExpression[];
}

export interface BoundCast extends Typed {
  readonly kind: "cast";
  readonly value: BoundExpression;
  readonly try: boolean;
}

export interface BoundLike extends Typed {
  readonly kind: "like";
  readonly value: BoundExpression;
  readonly pattern: string;
  readonly escape: string | null;
}

export interface BoundSubstring extends Typed {
  readonly kind: "substring";
  readonly value: BoundExpression;
  /** int64, as is `length`. */
  readonly start: BoundExpression;
  readonly length: BoundExpression | null;
}

export interface BoundConcat extends Typed {
  readonly kind: "concat";
  readonly args: readonly BoundExpression[];
}

export interface BoundTrim extends Typed {
  readonly kind: "trim";
  readonly value: BoundExpression;
  readonly side: TrimSide;
}

export interface BoundTimePart extends Typed {
  readonly kind: "timePart";
  readonly value: BoundExpression;
  readonly part: TimePartName;
}

export interface BoundTruncate extends Typed {
  readonly kind: "truncate";
  readonly value: BoundExpression;
  readonly unit: TruncateUnit;
}

export interface BoundShift extends Typed {
  readonly kind: "shift";
  /** Of the shift's own type, whose unit is fine enough for the interval. */
  readonly value: BoundExpression;
  readonly interval: Interval;
}

export type BoundExpression =
  | BoundColumn
  | BoundLiteral
  | BoundCall
  | BoundRound
  | BoundIn
  | BoundCase
  | BoundCoalesce
  | BoundCast
  | BoundLike
  | BoundSubstring
  | BoundConcat
  | BoundTrim
  | BoundTimePart
  | BoundTruncate
  | BoundShift;

/** Every expression directly below. */
export function boundChildren(expression: BoundExpression): readonly BoundExpression[] {
  switch (expression.kind) {
    case "column":
    case "literal":
      return [];
    case "call":
    case "coalesce":
    case "concat":
      return expression.args;
    case "case":
      return [
        ...expression.branches.flatMap(({ condition, value }) => [condition, value]),
        expression.otherwise,
      ];
    case "substring":
      return [expression.value, expression.start, ...(expression.length === null ? [] : [expression.length])];
    default:
      return [expression.value];
  }
}

/** The expression with every child replaced. */
export function mapChildren(
  expression: BoundExpression,
  map: (child: BoundExpression) => BoundExpression,
): BoundExpression {
  switch (expression.kind) {
    case "column":
    case "literal":
      return expression;
    case "call":
    case "coalesce":
    case "concat":
      return { ...expression, args: expression.args.map(map) };
    case "case":
      return {
        ...expression,
        branches: expression.branches.map(({ condition, value }) => ({
          condition: map(condition),
          value: map(value),
        })),
        otherwise: map(expression.otherwise),
      };
    case "substring":
      return {
        ...expression,
        value: map(expression.value),
        start: map(expression.start),
        length: expression.length === null ? null : map(expression.length),
      };
    default:
      return { ...expression, value: map(expression.value) };
  }
}

/** `column "amount" (utf8)` or `amount * 2 (int64)`: how messages name an operand. */
export function describe(expression: BoundExpression): string {
  const name = expression.kind === "column" ? `column "${expression.name}"` : expression.text;
  return `${name} (${typeName(expression.type)})`;
}
