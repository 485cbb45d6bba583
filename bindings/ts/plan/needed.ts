// Which of a join's columns anybody asks for: the others are neither kept nor read.
//
// Walks from the result down, as only what stands above a join can tell.

import type { BoundExpression } from "./bound.js";
import { type BoundPlan, joinedFields } from "./logical.js";
import { columnsOf } from "./push-down.js";

type Join = Extract<BoundPlan, { kind: "join" }>;

/** Whether each left row gets one right row at most, chosen among all of them. */
export function isAsOf({ time }: Join): boolean {
  return time !== null && "strict" in time.spec;
}

/** Per join of the plan the columns of its `schema` that are needed. */
export function neededColumns(plan: BoundPlan): Map<Join, Set<number>> {
  const needed = new Map<Join, Set<number>>();
  visit(plan, all(plan), needed);
  return needed;
}

function all(plan: BoundPlan): Set<number> {
  return new Set(plan.schema.fields.keys());
}

function read(expressions: Iterable<BoundExpression | null | undefined>): Set<number> {
  const columns = new Set<number>();
  for (const expression of expressions) {
    if (expression == null) continue;
    for (const column of columnsOf(expression)) columns.add(column);
  }
  return columns;
}

function visit(plan: BoundPlan, asked: ReadonlySet<number>, needed: Map<Join, Set<number>>): void {
  if (plan.kind === "join") visitJoin(plan, asked, needed);
  else if (plan.kind === "union") {
    for (const input of [plan.left, plan.right]) visit(input, all(input), needed);
  } else if (plan.kind !== "source") visit(plan.input, askedBelow(plan, asked), needed);
}

/** Columns of its input that a node needs when these of its own are asked for. */
function askedBelow(
  plan: Exclude<BoundPlan, { kind: "source" | "join" | "union" }>,
  asked: ReadonlySet<number>,
): Set<number> {
  switch (plan.kind) {
    case "filter":
      return new Set([...asked, ...read([plan.condition])]);
    case "project": {
      const outputs = plan.columns.filter((_, index) => asked.has(index));
      const carried = outputs.flatMap((output) => ("opaque" in output ? [output.opaque] : []));
      const computed = outputs.map((output) => ("opaque" in output ? null : output.expression));
      return new Set([...carried, ...read(computed)]);
    }
    case "aggregate": {
      const { keys, aggregates, window } = plan;
      const parts = aggregates.flatMap(({ argument, second, others = [], orderBy, filter }) => [
        argument,
        second,
        ...others,
        orderBy,
        filter,
      ]);
      return read([...keys.map(({ expression }) => expression), ...parts, window?.time, window?.instant]);
    }
    case "sort":
    case "limit":
    case "over":
      return all(plan.input);
  }
}

function visitJoin(plan: Join, asked: ReadonlySet<number>, needed: Map<Join, Set<number>>): void {
  const columns = needed.get(plan) ?? new Set();
  // A row kind is no column of either side.
  const kind = plan.changes === null ? -1 : plan.schema.fields.length - 1;
  for (const column of asked) if (column !== kind) columns.add(column);
  needed.set(plan, columns);
  const width = joinedFields(plan, "left").length;
  const both = [...columns, ...read([plan.residual])];
  const left = both.filter((column) => column < width);
  const right = both.filter((column) => column >= width).map((column) => column - width);
  const { keys, time } = plan;
  const lefts = [...keys.map((key) => key.left), time?.left];
  const rights = [...keys.map((key) => key.right), time?.right];
  visit(plan.left, new Set([...left, ...read(lefts)]), needed);
  // Which of a right side's rows of one time counts, all of its columns decide.
  if (isAsOf(plan)) visit(plan.right, all(plan.right), needed);
  else visit(plan.right, new Set([...right, ...read(rights)]), needed);
}
