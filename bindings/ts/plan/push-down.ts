// Moves conditions below joins, so that a join sees only the rows that can leave it.
//
//   over inner and cross joins    to the side whose columns they read
//   over left, semi, anti joins   to the left side
//   over right joins              to the right side
//   over unions                   to both sides
//   through projections           rewritten over what those compute
//
// A condition over the padded side of an outer join stays: null beside a row without a match is not the row's
// own. One that can fail stays too: below, it would see rows that the join drops.

import type { BoundExpression } from "./bound.js";
import { boundChildren } from "./bound.js";
import { type BoundPlan, joinedFields, withInputs } from "./logical.js";
import { canFail, conjuncts, substitution } from "./rewrite.js";

type Join = Extract<BoundPlan, { kind: "join" }>;

export function pushDown(plan: BoundPlan): BoundPlan {
  const moved = withInputs(plan, pushDown);
  if (moved.kind !== "filter") return moved;
  let { input } = moved;
  const left: BoundExpression[] = [];
  for (const condition of conjuncts(moved.condition)) {
    const sunk = canFail(condition) ? null : sink(input, condition);
    if (sunk === null) left.push(condition);
    else input = sunk;
  }
  return left.reduce<BoundPlan>(
    (below, condition) => ({ kind: "filter", input: below, condition, schema: moved.schema }),
    input,
  );
}

/** The plan with the condition somewhere below a join of it; null where there is no way down. */
function sink(plan: BoundPlan, condition: BoundExpression): BoundPlan | null {
  switch (plan.kind) {
    case "filter": {
      const input = sink(plan.input, condition);
      return input === null ? null : { ...plan, input };
    }
    case "project": {
      const { columns } = plan;
      if ([...columnsOf(condition)].some((index) => "opaque" in columns[index]!)) return null;
      const move = substitution((index) => (columns[index] as { expression: BoundExpression }).expression);
      const over = move(condition);
      const input = canFail(over) ? null : sink(plan.input, over);
      return input === null ? null : { ...plan, input };
    }
    case "join":
      return sinkIntoJoin(plan, condition);
    case "union":
      return { ...plan, left: filtered(plan.left, condition), right: filtered(plan.right, condition) };
    default:
      return null;
  }
}

function sinkIntoJoin(plan: Join, condition: BoundExpression): Join | null {
  const width = joinedFields(plan, "left").length;
  const read = [...columnsOf(condition)];
  if (read.length === 0) return null;
  // A right row that the condition drops is still the one that an as-of join finds.
  const choosesRight = plan.time !== null && "strict" in plan.time.spec;
  if (read.every((index) => index < width) && plan.how !== "right" && plan.how !== "full") {
    return { ...plan, left: filtered(plan.left, condition) };
  }
  if (
    read.every((index) => index >= width) &&
    (plan.how === "right" || plan.how === "inner") &&
    !choosesRight
  ) {
    const fields = plan.right.schema.fields;
    const move = substitution((index) => {
      const { name, type, nullable } = fields[index - width]!;
      return { kind: "column", index: index - width, name, type, nullable, text: name };
    });
    return { ...plan, right: filtered(plan.right, move(condition)) };
  }
  return null;
}

function filtered(input: BoundPlan, condition: BoundExpression): BoundPlan {
  return sink(input, condition) ?? { kind: "filter", input, condition, schema: input.schema };
}

/** Columns that an expression reads. */
export function columnsOf(expression: BoundExpression): Set<number> {
  const columns = new Set<number>();
  const seen = new Set<BoundExpression>();
  const visit = (node: BoundExpression) => {
    if (seen.has(node)) return;
    seen.add(node);
    if (node.kind === "column") columns.add(node.index);
    for (const child of boundChildren(node)) visit(child);
  };
  visit(expression);
  return columns;
}
