// Columns as users name them: by name, or as an object of new names with expressions.

import { PlanError } from "../type/error.js";
import { Expression, nodeOf, type Operand } from "./expression.js";
import type { NamedExpression } from "./logical.js";

/** The named expressions of one selection. Throws PlanError for an expression without a name. */
export function namedExpressions(selection: string | Readonly<Record<string, Operand>>): NamedExpression[] {
  if (typeof selection === "string") {
    return [{ name: selection, expression: { kind: "column", name: selection } }];
  }
  if (selection instanceof Expression) {
    const { node } = selection as Expression;
    if (node.kind === "column") return [{ name: node.name, expression: node }];
    throw new PlanError(`${selection} needs a name: write { name: expression }`, { value: `${selection}` });
  }
  return Object.entries(selection).map(([name, operand]) => ({ name, expression: nodeOf(operand) }));
}
