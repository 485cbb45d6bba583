// Binding window functions: columns become numbers, functions get their types.

import { AggregateFunction } from "../../../kernel/abi/operator.js";
import { aggregateFunction } from "../type/aggregate.js";
import { type DataType, type Field, int64, isCarried, typeName } from "../type/data-type.js";
import { PlanError, TypeMismatchError } from "../type/error.js";
import { aggregateField, bindOneAggregate, bindSort, checkNames } from "./bind.js";
import type { BoundAggregate, BoundOverFunction, BoundPlan, PlanNode } from "./logical.js";
import { columnIndex } from "./typing.js";

/** @throws UnknownColumnError, TypeMismatchError or PlanError. */
export function bindOver(node: Extract<PlanNode, { kind: "over" }>, input: BoundPlan): BoundPlan {
  const { schema } = input;
  for (const { name, type } of schema.fields) refuseCarried(name, type);
  const functions = node.columns.map(({ name, fn }): BoundOverFunction => {
    if ("counting" in fn) return { name, counting: fn.counting };
    return { name, aggregate: running(bindOneAggregate({ name, aggregate: fn.aggregate }, schema)) };
  });
  const fields = [...schema.fields, ...functions.map(functionField)];
  checkNames(fields.map(({ name }) => name));
  return {
    kind: "over",
    input,
    partition: node.partitionBy.map((name) => columnIndex(name, schema)),
    by: node.orderBy.map((column) => bindSort(column, schema)),
    frame: node.frame,
    functions,
    schema: { fields },
  };
}

/** Ties go by all columns. */
function refuseCarried(column: string, type: DataType): void {
  if (!isCarried(type)) return;
  throw new TypeMismatchError(
    `over: column "${column}" is ${typeName(type)}, which has no order; drop it before`,
    { column, expected: "a type that can be compared" },
  );
}

/** An aggregate that can be read after every row. */
function running(aggregate: BoundAggregate): BoundAggregate {
  const { fn, distinct, text } = aggregate;
  const code = aggregateFunction(fn, true);
  const keepsRows =
    distinct === true ||
    code === AggregateFunction.QUANTILE ||
    code === AggregateFunction.QUANTILE_DISC ||
    code === AggregateFunction.MODE ||
    code >= AggregateFunction.TOP;
  if (!keepsRows) return aggregate;
  throw new PlanError(
    `${text}: it keeps all values and goes through them for each result, which over would do for every row; aggregate instead`,
    { value: text },
  );
}

function functionField(fn: BoundOverFunction): Field {
  return "aggregate" in fn ? aggregateField(fn.aggregate) : { name: fn.name, type: int64, nullable: false };
}
