// Changes through a plan: `row_kind` runs through it as the last column, from where rows are taken back.
//
// That is a source that is a changelog, or, with emit "onUpdate", an aggregation. Filters and projections hand it on,
// as a change is a whole row that stands for itself; so do joins by equal keys, of whose rows each change makes changes,
// and unions, where rows of a side that only adds some are +I.
// With "onUpdate" these give changes also of rows that only come, where rows without a match leave (of "left", "right",
// "full" and "anti"): at once, and taken back later, provided that what stands above can follow.
// An aggregation takes it in, and rows back. What would need every row to stay (an order, a limit, times, aggregates
// whose state forgets) is refused.

import { takesRowsBack } from "../type/aggregate.js";
import { type Field, int8, type Schema, sameType, typeName } from "../type/data-type.js";
import { PlanError, SchemaMismatchError } from "../type/error.js";
import { passThrough } from "./bind.js";
import type { BoundWindow } from "./bind-window.js";
import type { BoundExpression } from "./bound.js";
import { type BoundAggregate, type BoundPlan, boundInputs, withInputs } from "./logical.js";

/** Name of the column with the kind of change: 0 +I, 1 -U, 2 +U, 3 -D. */
export const ROW_KIND = "row_kind";

export const ROW_KIND_FIELD: Field = { name: ROW_KIND, type: int8, nullable: false };

/** Index of the row kinds among a changelog's columns. Throws SchemaMismatchError. */
export function rowKindIndex(source: string, schema: Schema): number {
  const index = schema.fields.findIndex(({ name }) => name === ROW_KIND);
  const found = schema.fields[index];
  if (found !== undefined && sameType(found.type, int8)) return index;
  const has = found === undefined ? "no such column" : typeName(found.type);
  throw new SchemaMismatchError(
    `source "${source}" is a changelog: it needs the int8 column "${ROW_KIND}" (0 +I, 1 -U, 2 +U, 3 -D), and has ${has}`,
    { column: ROW_KIND, expected: "int8" },
  );
}

/**
 * The plan with the row kinds of its source, where that is a changelog, and, with `onUpdate`, its aggregations and joins
 * as changelogs. Throws PlanError.
 */
export function asChangelog(plan: BoundPlan, onUpdate: boolean): BoundPlan {
  return follow(plan, onUpdate, true);
}

/** @param taken whether what stands above can take rows back */
function follow(plan: BoundPlan, onUpdate: boolean, taken: boolean): BoundPlan {
  if (plan.kind === "source") return withKinds(plan);
  if (plan.kind === "union") {
    const changed = withInputs(plan, (input) => follow(input, onUpdate, taken));
    return boundInputs(changed).some(givesChanges) ? united(changed) : changed;
  }
  if (plan.kind === "join") {
    const follows = plan.time === null;
    const changed = withInputs(plan, (input) => follow(input, onUpdate, taken && follows)) as typeof plan;
    const corrects = onUpdate && taken && follows && plan.how !== "inner" && plan.how !== "semi";
    return corrects || boundInputs(changed).some(givesChanges) ? joined(changed, onUpdate) : changed;
  }
  const input = follow(plan.input, onUpdate, takesBack(plan, taken));
  const emits = givesChanges(input);
  if (plan.kind === "aggregate") {
    if (plan.window !== undefined && emits) throw windowRefused(plan.window, input);
    if (emits) for (const aggregate of plan.aggregates) checkAggregate(aggregate, input);
    const taken = { ...plan, input, retracts: emits };
    return onUpdate ? emitting(taken) : taken;
  }
  if (!emits) return { ...plan, input };
  switch (plan.kind) {
    case "filter":
      return { ...plan, input, schema: input.schema };
    case "project": {
      const index = input.schema.fields.length - 1;
      const { name, type, nullable } = ROW_KIND_FIELD;
      checkFree(plan.schema, "select");
      return withKind({ ...plan, input }, { kind: "column", index, name, type, nullable, text: name });
    }
    default:
      throw refused(plan.kind, input);
  }
}

/** Refuses windows that are to be corrected where nothing is ever taken back. Throws PlanError. */
export function checkOnClose(plan: BoundPlan): void {
  if (plan.kind === "aggregate" && plan.window !== undefined) {
    const { text, column, lateness, early } = plan.window;
    const option = lateness > 0n ? "allowedLateness" : "earlyEvery";
    if (lateness > 0n || early > 0n) {
      throw new PlanError(
        `${text}: ${option} corrects results that were given, which emit "onClose" never does; use "onUpdate", or do without ${option}`,
        { column, value: lateness > 0n ? lateness : early, expected: `no ${option}` },
      );
    }
  }
  boundInputs(plan).forEach(checkOnClose);
}

function windowRefused({ text }: BoundWindow, emitter: BoundPlan): PlanError {
  return new PlanError(
    `${text} over ${nameOf(emitter)}: it takes rows back, which windows cannot follow; aggregate without windows`,
    { value: text },
  );
}

function withKinds(plan: Extract<BoundPlan, { kind: "source" }>): BoundPlan {
  if (plan.rowKind === null) return plan;
  return {
    ...plan,
    columns: [...plan.columns, plan.rowKind],
    schema: { fields: [...plan.schema.fields, ROW_KIND_FIELD] },
  };
}

/** Whether a node can take rows of its input back. */
function takesBack(plan: Exclude<BoundPlan, { kind: "source" | "join" | "union" }>, taken: boolean): boolean {
  if (plan.kind === "filter" || plan.kind === "project") return taken;
  return plan.kind === "aggregate" && plan.window === undefined && plan.aggregates.every(isInvertible);
}

/** The projection with the row kind as its last column. */
function withKind(plan: Extract<BoundPlan, { kind: "project" }>, expression: BoundExpression): BoundPlan {
  const columns = [...plan.columns, { name: ROW_KIND, expression }];
  return { ...plan, columns, schema: { fields: [...plan.schema.fields, ROW_KIND_FIELD] } };
}

const INSERT = { kind: "literal", type: int8, value: 0n, nullable: false, text: "0" } as const;

/** A union that gives changes. */
function united(plan: BoundPlan): BoundPlan {
  const { schema } = plan;
  const changed = withInputs(plan, (input) => {
    if (givesChanges(input)) return input;
    const columns = passThrough(input.schema);
    return withKind({ kind: "project", input, columns, schema: input.schema }, INSERT);
  });
  return { ...changed, schema: { fields: [...schema.fields, ROW_KIND_FIELD] } };
}

/** A join that gives changes: over a changelog, on either side or both, or with corrections. */
function joined(plan: Extract<BoundPlan, { kind: "join" }>, onUpdate: boolean): BoundPlan {
  const emitter = boundInputs(plan).find(givesChanges);
  if (plan.time !== null) throw refused("strict" in plan.time.spec ? "asof" : "within", emitter!);
  // The others are named by the projection above.
  if (plan.how === "semi" || plan.how === "anti") checkFree(plan.schema, "join");
  return {
    ...plan,
    changes: { left: givesChanges(plan.left), right: givesChanges(plan.right), corrects: onUpdate },
    schema: { fields: [...plan.schema.fields, ROW_KIND_FIELD] },
  };
}

function emitting(plan: Extract<BoundPlan, { kind: "aggregate" }>): BoundPlan {
  checkFree(plan.schema, "aggregate");
  return { ...plan, changelog: true, schema: { fields: [...plan.schema.fields, ROW_KIND_FIELD] } };
}

function checkFree({ fields }: Schema, node: string): void {
  if (!fields.some(({ name }) => name === ROW_KIND)) return;
  throw new PlanError(
    `${node}: the changes get the column "${ROW_KIND}": give the column of this name another one`,
    { column: ROW_KIND },
  );
}

function isInvertible({ fn, fast }: BoundAggregate): boolean {
  return takesRowsBack(fn) && !fast;
}

function checkAggregate(aggregate: BoundAggregate, input: BoundPlan): void {
  if (isInvertible(aggregate)) return;
  const { fn, fast, text } = aggregate;
  const why = fast
    ? "plain float sums are not what they were after adding and taking away"
    : "it does not keep what that needs";
  throw new PlanError(
    `${text} over ${nameOf(input)}: its rows are taken back, which ${fast ? "fast" : fn} cannot follow: ${why}`,
    { value: text },
  );
}

/** The node from which the changes of `plan` come, as messages call it. */
function nameOf(plan: BoundPlan): string {
  if (plan.kind === "source") return `the changelog "${plan.name}"`;
  if (plan.kind === "aggregate") return 'aggregate (emit "onUpdate")';
  return nameOf(boundInputs(plan).find(bringsChanges)!);
}

/** Whether changes come from below: not where a union says of rows that only come that they do. */
function bringsChanges(plan: BoundPlan): boolean {
  const isOwn = plan.kind === "source" || plan.kind === "aggregate";
  return givesChanges(plan) && (isOwn || boundInputs(plan).some(bringsChanges));
}

/** Whether rows of these columns are changes, whose last column tells the kind. */
export function givesChanges({ schema }: { readonly schema: Schema }): boolean {
  return schema.fields.at(-1) === ROW_KIND_FIELD;
}

const REFUSED = {
  sort: "orderBy",
  limit: "limit",
  over: "over",
  within: "within",
  asof: "asofJoin",
} as const;

function refused(kind: keyof typeof REFUSED, input: BoundPlan): PlanError {
  const node = REFUSED[kind];
  const from = nameOf(input);
  const hint = from.startsWith("aggregate") ? `use "onClose", or do` : "aggregate first, or do";
  return new PlanError(
    `${node} over ${from}: it takes rows back, which ${node} cannot follow; ${hint} without ${node}`,
    { value: node },
  );
}
