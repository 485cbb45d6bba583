// Operands on their way to a type: literals stay open until it is known what stands beside them.

import { type DataType, sameType, typeName } from "../type/data-type.js";
import { PlanError, TypeMismatchError } from "../type/error.js";
import { type BoundExpression, type BoundLiteral, describe } from "./bound.js";
import { commonType } from "./common-type.js";
import { castable, castValue } from "./convert.js";
import { literalAlone, literalBeside, type TypedValue } from "./literal.js";
import type { Plain } from "./node.js";
import { plainText } from "./text.js";

/** A literal without a type. */
export interface Open {
  readonly kind: "open";
  readonly plain: Plain;
}

export type Draft = BoundExpression | Open;

/** What the operation `by` (its text) asked for and did not get. */
export function mismatch(by: string, operand: Draft, expected: string): TypeMismatchError {
  return new TypeMismatchError(`${by}: ${describeDraft(operand)} is not ${expected}`, {
    column: operand.kind === "column" ? operand.name : undefined,
    value: operand.kind === "open" ? operand.plain : undefined,
    expected,
  });
}

/** Two operands that have no common type. */
export function noCommonType(by: string, a: Draft, b: Draft): TypeMismatchError {
  const column = [a, b].find((operand) => operand.kind === "column");
  const advice = unsignedPair(a, b) ? "; no integer type holds both: cast one side" : "; cast one side";
  return new TypeMismatchError(
    `${by}: ${describeDraft(a)} and ${describeDraft(b)} have no common type${advice}`,
    {
      column: column?.kind === "column" ? column.name : undefined,
      expected: a.kind === "open" ? undefined : typeName(a.type),
    },
  );
}

function unsignedPair(a: Draft, b: Draft): boolean {
  return [a, b].every((side) =>
    side.kind === "open"
      ? typeof side.plain === "number" || typeof side.plain === "bigint"
      : side.type.kind === "int",
  );
}

export function describeDraft(operand: Draft): string {
  return operand.kind === "open" ? plainText(operand.plain) : describe(operand);
}

export function literal({ type, value }: TypedValue, text: string): BoundLiteral {
  return { kind: "literal", type, value, nullable: value === null, text };
}

/** The operand with a literal's own type. PlanError for a null that nothing gives a type to. */
export function settle(operand: Draft, by: string): BoundExpression {
  if (operand.kind !== "open") return operand;
  const typed = literalAlone(operand.plain);
  if (typed === null) {
    throw new PlanError(`${by}: null has no type of its own here; write lit(null, type)`, { value: null });
  }
  return literal(typed, plainText(operand.plain));
}

/** The operand beside something of `type`: literals adapt, others stay as they are. Null when a literal cannot. */
export function beside(operand: Draft, type: DataType): BoundExpression | null {
  if (operand.kind !== "open") return operand;
  const typed = literalBeside(operand.plain, type);
  return typed === null ? null : literal(typed, plainText(operand.plain));
}

/** Operands brought to one type: what comparisons, CASE, COALESCE and IN do. */
export function unify(operands: readonly Draft[], by: string): BoundExpression[] {
  const fixed = operands.filter((operand) => operand.kind !== "open");
  const seed = fixed[0] ?? operands.find((operand) => operand.kind === "open" && operand.plain !== null);
  if (seed === undefined) return operands.map((operand) => settle(operand, by));
  let type = settle(seed, by).type;
  const widen = (operand: Draft, other: DataType) => {
    const common = commonType(type, other);
    if (common === null) throw noCommonType(by, seed, operand);
    type = common;
  };
  for (const operand of fixed) widen(operand, (operand as BoundExpression).type);
  const settled = operands.map((operand) => {
    const typed = beside(operand, type);
    if (typed === null) throw noCommonType(by, seed, operand);
    return typed;
  });
  for (const operand of settled) widen(operand, operand.type);
  return settled.map((operand) => convert(operand, type));
}

/** The operand as `type`, by an exact or checked conversion; literals convert here and now. */
export function convert(operand: BoundExpression, type: DataType): BoundExpression {
  if (sameType(operand.type, type)) return operand;
  if (!castable(operand.type, type))
    throw mismatch(operand.text, operand, `convertible to ${typeName(type)}`);
  if (operand.kind === "literal") {
    const value = operand.value === null ? null : castValue(operand.value, operand.type, type);
    return literal({ type, value }, operand.text);
  }
  return { kind: "cast", value: operand, type, try: false, nullable: operand.nullable, text: operand.text };
}
