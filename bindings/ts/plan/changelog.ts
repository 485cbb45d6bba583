// A plan that emits its changes as rows arrive: `row_kind` runs through it as the last column.
//
// The aggregation makes it; filters and projections hand it on, as a change is a whole row that stands for
// itself. What would need to take rows back (another aggregation, an order, a limit) is refused.

import { int8 } from "../type/data-type.js";
import { PlanError } from "../type/error.js";
import type { BoundPlan } from "./logical.js";

/** Name of the column with the kind of change: 0 +I, 1 -U, 2 +U, 3 -D. */
export const ROW_KIND = "row_kind";

const FIELD = { name: ROW_KIND, type: int8, nullable: false };

/** The plan with its aggregation as a changelog; as it is where there is none. Throws PlanError. */
export function asChangelog(plan: BoundPlan): BoundPlan {
  if (plan.kind === "source") return plan;
  const input = asChangelog(plan.input);
  const emits = input.schema.fields.at(-1) === FIELD;
  if (plan.kind === "aggregate") {
    if (emits) throw refused(plan.kind);
    if (plan.window !== undefined) {
      throw new PlanError(
        `${plan.window.text}: windows emit "onClose"; "onUpdate" is for aggregates without`,
        {
          value: "onUpdate",
          expected: `"onClose"`,
        },
      );
    }
    if (plan.schema.fields.some(({ name }) => name === ROW_KIND)) {
      throw new PlanError(
        `emit "onUpdate" adds the column "${ROW_KIND}": give the aggregate's column another name`,
        {
          column: ROW_KIND,
        },
      );
    }
    return { ...plan, input, changelog: true, schema: { fields: [...plan.schema.fields, FIELD] } };
  }
  if (!emits) return { ...plan, input };
  switch (plan.kind) {
    case "filter":
      return { ...plan, input, schema: input.schema };
    case "project": {
      const index = input.schema.fields.length - 1;
      const { name, type, nullable } = FIELD;
      const kind = { kind: "column", index, name, type, nullable, text: name } as const;
      const columns = [...plan.columns, { name, expression: kind }];
      return { ...plan, input, columns, schema: { fields: [...plan.schema.fields, FIELD] } };
    }
    default:
      throw refused(plan.kind);
  }
}

/** Refuses windows that are to be corrected where nothing is ever taken back. Throws PlanError. */
export function checkOnClose(plan: BoundPlan): void {
  if (plan.kind === "source") return;
  if (plan.kind === "aggregate" && plan.window !== undefined && plan.window.lateness > 0n) {
    throw new PlanError(
      `${plan.window.text}: allowedLateness corrects results that were given, which emit "onClose" never does; use "onUpdate", or do without allowedLateness`,
      { column: plan.window.column, value: plan.window.lateness, expected: "no allowedLateness" },
    );
  }
  checkOnClose(plan.input);
}

function refused(kind: "aggregate" | "sort" | "limit"): PlanError {
  const node = { aggregate: "aggregate", sort: "orderBy", limit: "limit" }[kind];
  return new PlanError(
    `${node} over aggregate: with emit "onUpdate" the aggregate takes results back, which ${node} cannot follow; use "onClose", or do without ${node}`,
    { value: node },
  );
}
