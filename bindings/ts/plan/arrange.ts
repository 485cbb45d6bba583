// Moves sorts and limits to where they cost least, before a plan is cut into stages.
//
//   filter over sort       sorts only what the filter keeps
//   project over sort      is left alone: what it drops may be a key
//   limit over project     limits first, so that a sort below meets its limit (top-k) and less is computed
//   sort over sort         is the upper one: ties go by all columns, not by what was sorted before
//   limit over limit       is one limit
//
// Each keeps the rows and their order: an order lasts through filters, projections and limits.

import { type BoundPlan, withInputs } from "./logical.js";

/** The plan with sorts as high and limits as low as they may go. */
export function arrange(plan: BoundPlan): BoundPlan {
  return place(withInputs(plan, arrange));
}

function place(plan: BoundPlan): BoundPlan {
  if (plan.kind === "source" || plan.kind === "join" || plan.kind === "union") return plan;
  const { input } = plan;
  if (plan.kind === "filter" && input.kind === "sort") {
    return { ...input, input: place({ ...plan, input: input.input }) };
  }
  if (plan.kind === "sort" && input.kind === "sort") return place({ ...plan, input: input.input });
  if (plan.kind !== "limit") return plan;
  if (input.kind === "project" && isOrdered(input)) {
    const { schema } = input.input;
    return { ...input, input: place({ ...plan, input: input.input, schema }) };
  }
  if (input.kind === "limit") {
    const count = Math.max(0, Math.min(plan.count, input.count - plan.offset));
    return place({ ...plan, input: input.input, offset: input.offset + plan.offset, count });
  }
  return plan;
}

/** Whether the plan's rows come in an order that a limit over it must respect. */
export function isOrdered(plan: BoundPlan): boolean {
  if (plan.kind === "filter" || plan.kind === "project") return isOrdered(plan.input);
  return plan.kind === "sort" || plan.kind === "limit";
}
