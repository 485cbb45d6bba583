// Binding window functions: columns become numbers, functions get their types, frames whole numbers.

import { AggregateFunction } from "../../../kernel/abi/operator.js";
import { aggregateFunction } from "../type/aggregate.js";
import { type DataType, type Field, int64, isCarried, type Schema, typeName } from "../type/data-type.js";
import { PlanError, TypeMismatchError } from "../type/error.js";
import { aggregateField, bindOneAggregate, bindSort, checkNames } from "./bind.js";
import { spanTicks } from "./bind-join-time.js";
import type { BoundAggregate, BoundFrame, BoundOverFunction, BoundPlan, PlanNode } from "./logical.js";
import { type FrameNode, frameText, functionText, isShift, type RowValueNode } from "./over.js";
import { bindExpression, columnIndex } from "./typing.js";
import type { WindowSize } from "./window.js";

/** @throws UnknownColumnError, TypeMismatchError or PlanError. */
export function bindOver(node: Extract<PlanNode, { kind: "over" }>, input: BoundPlan): BoundPlan {
  const { schema } = input;
  for (const { name, type } of schema.fields) refuseCarried(name, type);
  const by = node.orderBy.map((column) => bindSort(column, schema));
  const frame = bindFrame(node.frame, by, schema);
  const functions = node.columns.map(({ name, fn }): BoundOverFunction => {
    if ("counting" in fn) return { name, counting: fn.counting };
    if ("value" in fn) return bindValue(name, fn.value, schema);
    return { name, aggregate: running(bindOneAggregate({ name, aggregate: fn.aggregate }, schema), frame) };
  });
  const fields = [...schema.fields, ...functions.map(functionField)];
  checkNames(fields.map(({ name }) => name));
  return {
    kind: "over",
    input,
    partition: node.partitionBy.map((name) => columnIndex(name, schema)),
    by,
    frame,
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

function bindFrame(node: FrameNode, by: readonly { readonly column: number }[], schema: Schema): BoundFrame {
  const text = frameText(node);
  const { unit, from, to } = node;
  const plain = unit === "rows" || [from, to].every((bound) => bound === null || isZero(bound));
  const bound = (value: WindowSize | null, sign: bigint) => {
    if (value === null) return null;
    return plain ? BigInt(value) : sign * distance(value, sign === -1n ? "from" : "to", sign);
  };
  const distance = (value: WindowSize, what: string, sign: bigint) => {
    if (isZero(value)) return 0n;
    const { name, type } = orderColumn(by, schema);
    return spanTicks(`over (${text})`, name, type, value, what, sign);
  };
  // Between two ticks of a time, bounds reach the one inside.
  const frame = { unit, from: bound(from, -1n), to: bound(to, 1n), text };
  if (frame.from === null || frame.to === null || frame.from <= frame.to) return frame;
  throw new PlanError(`over: ${text}: the frame ends before it begins`, {
    value: from,
    expected: `at most ${to}`,
  });
}

function isZero(bound: WindowSize): boolean {
  return bound === 0 || bound === 0n;
}

/** The one column whose values frames by range count. */
function orderColumn(by: readonly { readonly column: number }[], { fields }: Schema): Field {
  if (by.length !== 1) {
    throw new PlanError("over: a range of distances goes by one column of orderBy", {
      value: by.length,
      expected: "one column",
    });
  }
  const field = fields[by[0]!.column]!;
  const { name, type } = field;
  const counts =
    type.kind === "date" || type.kind === "timestamp" || (type.kind === "int" && !isUnsigned64(type));
  if (counts) return field;
  const expected = "a date, a timestamp or an integer (other than uint64)";
  throw new TypeMismatchError(
    `over: a range of distances is over ${expected}; "${name}" is ${typeName(type)}`,
    {
      column: name,
      expected,
    },
  );
}

function isUnsigned64(type: Extract<DataType, { kind: "int" }>): boolean {
  return type.bits === 64 && !type.signed;
}

function bindValue(name: string, node: RowValueNode, schema: Schema): BoundOverFunction {
  const { fn, argument, offset, otherwise } = node;
  const text = functionText({ value: node });
  const reads = isShift(fn) ? ({ fn: "shift", offset: BigInt(offset) } as const) : ({ fn } as const);
  if (otherwise === null) {
    const value = bindExpression(argument, schema);
    return { name, value: { ...reads, argument: value, otherwise: null, text } };
  }
  const both = bindExpression({ kind: "coalesce", args: [argument, otherwise] }, schema);
  if (both.kind !== "coalesce") throw new PlanError(`${text}: the default has no type beside the value`);
  return { name, value: { ...reads, argument: both.args[0]!, otherwise: both.args[1]!, text } };
}

/** An aggregate that can be read after every row. */
function running(aggregate: BoundAggregate, frame: BoundFrame): BoundAggregate {
  const { fn, distinct, fast, text } = aggregate;
  const code = aggregateFunction(fn, true);
  const keepsRows =
    distinct === true ||
    code === AggregateFunction.QUANTILE ||
    code === AggregateFunction.QUANTILE_DISC ||
    code === AggregateFunction.MODE ||
    code >= AggregateFunction.TOP;
  if (keepsRows) {
    throw new PlanError(
      `${text}: it keeps all values and goes through them for each result, which over would do for every row; aggregate instead`,
      { value: text },
    );
  }
  const slides = frame.from !== null || (frame.to !== null && frame.to !== 0n);
  if (slides && (fast || code >= AggregateFunction.BIT_AND)) {
    throw new PlanError(
      `${text}: rows fall out of the frame (${frame.text}), and ${fast ? "fast" : fn} does not keep what it would be without them`,
      { value: text, expected: `a frame such as ["unbounded", 0]` },
    );
  }
  return aggregate;
}

function functionField(fn: BoundOverFunction): Field {
  if ("aggregate" in fn) return aggregateField(fn.aggregate);
  if ("counting" in fn) return { name: fn.name, type: int64, nullable: false };
  return { name: fn.name, type: fn.value.argument.type, nullable: true };
}
