// Aggregates of several columns as aggregates of one: a text that orders, and tells apart, as the columns do.
//
//   countDistinct(a, b)           the distinct texts of a, b
//   arrayAgg(x, { orderBy: y })   the texts of y, x in order, of which x is shown: ties are in the order of x
//   stringAgg                     likewise
//
// and, where rows are taken back, so that one column's multiset is all that has to be kept,
//
//   argMin(x, y), argMax          the least, greatest text of y, x
//   topK(x, k, { by: y })         the first k texts of y downwards, x; bottomK: of y, x

import { OrderKeyFlag } from "../../../kernel/abi/instruction.js";
import { AggregateFunction } from "../../../kernel/abi/operator.js";
import type { AggregateEntrySpec } from "../kernel/config.js";
import { aggregateFunction, isCollect, isList, isOrderedAggregate } from "../type/aggregate.js";
import type { BoundExpression } from "./bound.js";
import { registerType } from "./compile.js";
import type { BoundAggregate } from "./logical.js";

export interface KeyPart {
  readonly expression: BoundExpression;
  readonly flags: OrderKeyFlag;
}

/** What the kernel is to do with the parts of a key, put together; null where the aggregate is one of plain columns. */
export function keyedArgument(
  aggregate: BoundAggregate,
  retracts: boolean,
): (Pick<AggregateEntrySpec, "function" | "tail" | "limit" | "parameter"> & { parts: KeyPart[] }) | null {
  const { fn, others, orderBy, second, limit, parameter } = aggregate;
  const argument = aggregate.argument!;
  if (others !== undefined) {
    const parts = [argument, ...others].map((expression) => ({
      expression,
      flags: OrderKeyFlag.ZEROS_EQUAL,
    }));
    return { function: AggregateFunction.COUNT_DISTINCT, parts };
  }
  if (isCollect(fn) && orderBy !== undefined) {
    const descending = parameter === 1 ? OrderKeyFlag.DESCENDING : OrderKeyFlag.NONE;
    return {
      function: aggregateFunction(fn, true),
      ...behind(orderBy, OrderKeyFlag.NULLABLE | descending, argument),
    };
  }
  if (!retracts || second === undefined) return null;
  if (isOrderedAggregate(fn)) {
    const least = aggregateFunction(fn, true) === AggregateFunction.ARG_MIN;
    return {
      function: least ? AggregateFunction.MIN : AggregateFunction.MAX,
      ...behind(second, OrderKeyFlag.NONE, argument),
    };
  }
  if (!isList(fn)) return null;
  const order = fn === "topK" ? OrderKeyFlag.DESCENDING : OrderKeyFlag.NONE;
  return { function: AggregateFunction.ARRAY, limit, ...behind(second, order, argument) };
}

/** A value behind what orders it. */
function behind(order: BoundExpression, flags: OrderKeyFlag, value: BoundExpression) {
  return {
    parts: [
      { expression: order, flags },
      { expression: value, flags: OrderKeyFlag.NONE },
    ],
    tail: { type: registerType(value.type), order: registerType(order.type), flags },
  };
}
