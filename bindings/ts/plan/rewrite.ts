// Rewrites of bound expressions before they are compiled: substitution, constant folding, conjuncts, and
// which expressions can fail. All of them remember what they did per node, for plans are graphs: a column
// used twice in each of thirty steps has 2^30 paths and thirty nodes.

import type { DataType } from "../type/data-type.js";
import { MillraceError } from "../type/error.js";
import { type BoundExpression, boundChildren, mapChildren } from "./bound.js";
import { ticksADay } from "./calendar.js";
import { evaluate } from "./evaluate.js";

type Rewrite = (expression: BoundExpression) => BoundExpression;

function remembered(rewrite: (expression: BoundExpression, again: Rewrite) => BoundExpression): Rewrite {
  const done = new Map<BoundExpression, BoundExpression>();
  const again: Rewrite = (expression) => {
    const known = done.get(expression);
    if (known !== undefined) return known;
    const result = rewrite(expression, again);
    done.set(expression, result);
    return result;
  };
  return again;
}

/** Puts expressions in the place of columns: a step over a projection as a step over its input. */
export function substitution(columns: (index: number) => BoundExpression): Rewrite {
  return remembered((expression, again) =>
    expression.kind === "column" ? columns(expression.index) : mapChildren(expression, again),
  );
}

/** Computes what depends on no column, unless it fails: then it fails when a row reaches it. */
export const folding = (): Rewrite =>
  remembered((expression, again) => {
    if (expression.kind === "column" || expression.kind === "literal") return expression;
    const folded = mapChildren(expression, again);
    if (!boundChildren(folded).every((child) => child.kind === "literal")) return folded;
    try {
      const value = evaluate(folded, []);
      return { kind: "literal", type: folded.type, value, nullable: value === null, text: folded.text };
    } catch (error) {
      if (error instanceof MillraceError) return folded;
      throw error;
    }
  });

/** The conditions that an AND requires, in order; literal truths left out. */
export function conjuncts(condition: BoundExpression): BoundExpression[] {
  if (condition.kind === "call" && condition.fn === "and") return condition.args.flatMap(conjuncts);
  return condition.kind === "literal" && condition.value === true ? [] : [condition];
}

const failing = new WeakMap<BoundExpression, boolean>();

/** Whether the expression can raise an error on some row. When in doubt, yes. */
export function canFail(expression: BoundExpression): boolean {
  const known = failing.get(expression);
  if (known !== undefined) return known;
  const result = failsItself(expression) || boundChildren(expression).some(canFail);
  failing.set(expression, result);
  return result;
}

function failsItself(expression: BoundExpression): boolean {
  switch (expression.kind) {
    case "call":
      switch (expression.fn) {
        case "add":
        case "subtract":
        case "multiply":
        case "integerDivide":
        case "negate":
        case "abs":
        case "floor":
        case "ceil":
          return expression.type.kind !== "float";
        default:
          return false;
      }
    case "round":
      return expression.type.kind !== "float";
    case "cast":
      return !expression.try && !isSafeCast(expression.value.type, expression.type);
    case "timePart":
      return expression.value.type.kind === "timestamp";
    // The unit's start may lie before the first time that there is.
    case "truncate":
    case "shift":
      return true;
    default:
      return false;
  }
}

/** Whether every value converts. */
function isSafeCast(from: DataType, to: DataType): boolean {
  if (to.kind === "utf8" || to.kind === "largeUtf8" || to.kind === "bool") return from.kind !== "utf8";
  if (to.kind === "binary" || to.kind === "largeBinary") return true;
  if (to.kind === "float") return from.kind !== "utf8" && from.kind !== "largeUtf8";
  if (to.kind === "int" && from.kind === "int") {
    return from.signed === to.signed ? to.bits >= from.bits : to.signed && to.bits > from.bits;
  }
  if (to.kind === "decimal" && from.kind === "decimal") {
    return to.scale >= from.scale && to.precision - to.scale >= from.precision - from.scale;
  }
  if (to.kind === "timestamp" && from.kind === "timestamp") {
    return (from.timezone === null) === (to.timezone === null) && ticksADay(to) <= ticksADay(from);
  }
  return false;
}

const DEAR: ReadonlySet<string> = new Set(["contains", "endsWith", "startsWith", "lower", "upper"]);
const dear = new WeakMap<BoundExpression, boolean>();

/** Whether the expression walks through texts: some ten times the cost of a comparison. */
export function isDear(expression: BoundExpression): boolean {
  const known = dear.get(expression);
  if (known !== undefined) return known;
  const itself =
    ["like", "substring", "concat", "trim"].includes(expression.kind) ||
    (expression.kind === "call" && DEAR.has(expression.fn)) ||
    (expression.kind === "cast" && expression.type.kind !== "float" && expression.type.kind !== "int");
  const result = itself || boundChildren(expression).some(isDear);
  dear.set(expression, result);
  return result;
}

/**
 * Conditions as filters, each the AND of its group: the cheap ones first, then those over texts, then, one by
 * one and in the user's order, those that can fail, so that they see only rows that the others kept.
 */
export function filterGroups(conditions: readonly BoundExpression[]): BoundExpression[][] {
  const sure = conditions.filter((condition) => !canFail(condition));
  const groups = [
    sure.filter((condition) => !isDear(condition)),
    sure.filter(isDear),
    ...conditions.filter(canFail).map((condition) => [condition]),
  ];
  return groups.filter((group) => group.length > 0);
}
