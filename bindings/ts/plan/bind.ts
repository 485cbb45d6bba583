// Binding: a logical plan meets the schemas of its sources and becomes typed, or fails with a name.
//
// One node at a time, so that a plan over a known source is checked as it is built and a plan over a name
// when `bind` is called; both go through `bindNode`.

import {
  aggregateAccepts,
  aggregateParameter,
  aggregateType,
  arePairTypes,
  isCollect,
  isList,
  isNeverNull,
  isOrderedAggregate,
  isOrderType,
} from "../type/aggregate.js";
import {
  type DataType,
  type Field,
  float64,
  int64,
  isCarried,
  type Schema,
  sameType,
  typeName,
  utf8,
  valueType,
} from "../type/data-type.js";
import { PlanError, SchemaMismatchError, TypeMismatchError } from "../type/error.js";
import { aggregateText } from "./aggregate.js";
import { bindJoin } from "./bind-join.js";
import { bindOver } from "./bind-over.js";
import { bindSet } from "./bind-set.js";
import { type BoundWindow, bindWindow, WINDOW_COLUMNS } from "./bind-window.js";
import { type BoundExpression, describe } from "./bound.js";
import { ROW_KIND, ROW_KIND_FIELD, rowKindIndex } from "./changelog.js";
import { convert, literal } from "./draft.js";
import { indicatorKeys } from "./grouping.js";
import type {
  BoundAggregate,
  BoundGrouping,
  BoundOutput,
  BoundPlan,
  GroupingNode,
  NamedAggregate,
  NamedExpression,
  PlanNode,
  SortColumn,
  SourceNode,
  StepNode,
} from "./logical.js";
import { inputsOf } from "./logical.js";
import type { ExpressionNode } from "./node.js";
import { bindCondition, bindExpression, columnIndex } from "./typing.js";

/** A plan of any row type. */
export interface PlanLike {
  /** @internal */
  readonly node: PlanNode;
}

/**
 * Types a whole plan. `schemas` has the schema of every source that the plan names only; for a source whose
 * columns the plan declares, these must be there with the declared types, and others are left out.
 * Throws PlanError, UnknownColumnError, TypeMismatchError or SchemaMismatchError.
 */
export function bind(plan: PlanLike, schemas: Readonly<Record<string, Schema>> = {}): BoundPlan {
  return bindTree(plan.node, schemas);
}

function bindTree(node: PlanNode, schemas: Readonly<Record<string, Schema>>): BoundPlan {
  if (node.kind === "source") return bindSource(node, schemas);
  if (node.kind === "join")
    return bindJoin(node, bindTree(node.left, schemas), bindTree(node.right, schemas));
  if (node.kind === "set") return bindSet(node, bindTree(node.left, schemas), bindTree(node.right, schemas));
  return bindNode(node, bindTree(node.input, schemas));
}

/** The plan's sources from left to right: their names, data that came with them, columns that are to be there. */
export function sourcesOf(plan: PlanLike): SourceNode[] {
  const { node } = plan;
  if (node.kind !== "source") return inputsOf(node).flatMap((input) => sourcesOf({ node: input }));
  return [node.schema === null ? node : { ...node, schema: assumed(node, node.schema) }];
}

function bindSource(node: SourceNode, schemas: Readonly<Record<string, Schema>>): BoundPlan {
  const actual = Object.hasOwn(schemas, node.name) ? schemas[node.name]! : null;
  if (actual === null) {
    if (node.schema !== null) return boundSource(node, node.schema, assumed(node, node.schema));
    const given = Object.keys(schemas);
    throw new PlanError(
      `the plan reads "${node.name}", but no such source was given (given: ${given.length > 0 ? given.join(", ") : "none"})`,
      { value: node.name, expected: node.name },
    );
  }
  return boundSource(node, node.schema ?? actual, actual);
}

function boundSource(node: SourceNode, declared: Schema, actual: Schema): BoundPlan {
  const used = new Set<number>();
  const rowKind = node.changelog ? rowKindIndex(node.name, actual) : null;
  const asked = rowKind === null ? declared.fields : declared.fields.filter(({ name }) => name !== ROW_KIND);
  const columns = asked.map((field) => {
    const names = actual.fields.map(({ name }) => name);
    const index = declared === actual ? firstUnused(names, field.name, used) : names.indexOf(field.name);
    if (index < 0) {
      throw new SchemaMismatchError(
        `source "${node.name}" has no column "${field.name}", which the plan declares as ${typeName(field.type)}; it has: ${names.join(", ")}`,
        { column: field.name, expected: typeName(field.type) },
      );
    }
    const found = actual.fields[index]!.type;
    if (!sameType(valueType(found), valueType(field.type))) {
      throw new SchemaMismatchError(
        `source "${node.name}": column "${field.name}" is ${typeName(found)}, but the plan declares ${typeName(field.type)}`,
        { column: field.name, expected: typeName(field.type) },
      );
    }
    return index;
  });
  const fields = columns.map((index) => {
    const field = actual.fields[index]!;
    return { ...field, type: valueType(field.type) };
  });
  return {
    kind: "source",
    name: node.name,
    data: node.data,
    columns,
    sourceSchema: actual,
    rowKind,
    schema: { fields },
  };
}

/** What a source's own schema will be, as far as its declaration says: a changelog also has row kinds. */
function assumed({ changelog }: SourceNode, declared: Schema): Schema {
  const has = declared.fields.some(({ name }) => name === ROW_KIND);
  return changelog && !has ? { fields: [...declared.fields, ROW_KIND_FIELD] } : declared;
}

/** Columns of one name keep their places when a schema stands for itself. */
function firstUnused(names: readonly string[], name: string, used: Set<number>): number {
  const index = names.findIndex((other, at) => other === name && !used.has(at));
  used.add(index);
  return index;
}

/** Types one node over its bound input. */
export function bindNode(node: StepNode, input: BoundPlan): BoundPlan {
  const { schema } = input;
  switch (node.kind) {
    case "where":
      return { kind: "filter", input, condition: bindCondition(node.condition, schema), schema };
    case "select":
      return project(
        input,
        node.columns.map((column) => bindOutput(column, schema)),
      );
    case "withColumns":
      return bindWithColumns(node.columns, input);
    case "drop": {
      const dropped = new Set(node.names.map((name) => columnIndex(name, schema)));
      return project(
        input,
        passThrough(schema).filter((_, index) => !dropped.has(index)),
      );
    }
    case "rename": {
      for (const name of node.names.keys()) columnIndex(name, schema);
      const columns = passThrough(schema).map((output) => ({
        ...output,
        name: node.names.get(output.name) ?? output.name,
      }));
      return project(input, columns);
    }
    case "aggregate":
      return bindAggregate(node, input);
    case "distinct":
      return bindDistinct(node.keys, input);
    case "orderBy":
      return { kind: "sort", input, by: node.by.map((column) => bindSort(column, schema)), schema };
    case "limit":
      return { kind: "limit", input, count: node.count, offset: node.offset, schema };
    case "over":
      return bindOver(node, input);
  }
}

/** A projection; its columns' names must differ. */
export function project(input: BoundPlan, columns: readonly BoundOutput[]): BoundPlan {
  checkNames(columns.map(({ name }) => name));
  const fields = columns.map((output) => outputField(output, input.schema));
  return { kind: "project", input, columns, schema: { fields } };
}

function outputField(output: BoundOutput, schema: Schema): Field {
  if ("opaque" in output) return { ...schema.fields[output.opaque]!, name: output.name };
  const { type, nullable } = output.expression;
  return { name: output.name, type, nullable };
}

export function checkNames(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new PlanError(`the result would have two columns "${twice}"`, { column: twice });
  }
}

/** A column's own name may stand for an opaque column; anything computed may not. */
function bindOutput({ name, expression }: NamedExpression, schema: Schema): BoundOutput {
  if (expression.kind === "column") {
    const index = columnIndex(expression.name, schema);
    if (isCarried(schema.fields[index]!.type)) return { name, opaque: index };
  }
  return { name, expression: bindExpression(expression, schema) };
}

/** Every column as it is, those of one name included. */
export function passThrough(schema: Schema): BoundOutput[] {
  return schema.fields.map((field, index) =>
    isCarried(field.type)
      ? { name: field.name, opaque: index }
      : { name: field.name, expression: columnAt(field, index) },
  );
}

function columnAt(field: Field, index: number): BoundExpression {
  const { name, nullable } = field;
  return { kind: "column", index, name, type: valueType(field.type), nullable, text: name };
}

function bindWithColumns(added: readonly NamedExpression[], input: BoundPlan): BoundPlan {
  checkNames(added.map(({ name }) => name));
  const bound = new Map(added.map((column) => [column.name, bindOutput(column, input.schema)]));
  const kept = passThrough(input.schema).map((output) => {
    const replaced = bound.get(output.name);
    bound.delete(output.name);
    return replaced ?? output;
  });
  return project(input, [...kept, ...bound.values()]);
}

function bindAggregate(node: Extract<PlanNode, { kind: "aggregate" }>, input: BoundPlan): BoundPlan {
  const keys = node.keys.map(({ name, expression }) => ({
    name,
    expression: bindKey(expression, input.schema),
  }));
  const aggregates = node.aggregates.map((column) => bindOneAggregate(column, input.schema));
  const window = node.window === undefined ? undefined : bindWindow(node.window, input.schema);
  const grouping = node.grouping === null ? null : bindGrouping(node.grouping, keys);
  if (window !== undefined && grouping !== null) {
    throw new PlanError(
      `${window.text}: windows are grouped by plain keys, not by rollup, cube or grouping sets`,
      {
        expected: "plain keys",
      },
    );
  }
  const sometimesNull = (key: number) => grouping?.sets.some((set) => !set.includes(key)) ?? false;
  const fields = [
    ...(window === undefined ? [] : windowFields(window)),
    ...keys.map(({ name, expression: { type, nullable } }, index) => ({
      name,
      type,
      nullable: nullable || sometimesNull(index),
    })),
    ...aggregates.map(aggregateField),
  ];
  for (const { name, column } of grouping?.indicators ?? []) {
    fields.splice(column, 0, { name, type: int64, nullable: false });
  }
  checkNames(fields.map(({ name }) => name));
  if (keys.length + aggregates.length + (grouping?.indicators.length ?? 0) === 0)
    throw new PlanError("aggregate takes at least one aggregate or key");
  return {
    kind: "aggregate",
    input,
    window,
    keys,
    aggregates,
    grouping,
    changelog: false,
    retracts: false,
    schema: { fields },
  };
}

function windowFields({ kind, scale }: BoundWindow): Field[] {
  return WINDOW_COLUMNS.map((name) => ({ name, type: scale.type, nullable: kind === "global" }));
}

function bindGrouping({ sets, indicators }: GroupingNode, keys: readonly { name: string }[]): BoundGrouping {
  const names = keys.map(({ name }) => name);
  return {
    sets,
    indicators: indicators.map((indicator) => ({
      name: indicator.name,
      keys: indicatorKeys(indicator, names),
      column: keys.length + indicator.position,
    })),
  };
}

function bindDistinct(columns: readonly NamedExpression[] | null, input: BoundPlan): BoundPlan {
  const named =
    columns?.map(({ name, expression }) => ({ name, expression: bindKey(expression, input.schema) })) ??
    input.schema.fields.map((field, index) => ({
      name: field.name,
      expression: distinctColumn(field, index),
    }));
  checkNames(named.map(({ name }) => name));
  const fields = named.map(({ name, expression: { type, nullable } }) => ({ name, type, nullable }));
  const schema = { fields };
  return {
    kind: "aggregate",
    input,
    keys: named,
    aggregates: [],
    grouping: null,
    changelog: false,
    retracts: false,
    schema,
  };
}

function distinctColumn(field: Field, index: number): BoundExpression {
  if (!isCarried(field.type)) return columnAt(field, index);
  throw new TypeMismatchError(
    `distinct: column "${field.name}" is ${typeName(field.type)}, which cannot be compared; name the columns to look at`,
    { column: field.name, expected: "a type that can be compared" },
  );
}

function bindKey(expression: ExpressionNode, schema: Schema): BoundExpression {
  return bindExpression(expression, schema);
}

export function bindOneAggregate(column: NamedAggregate, schema: Schema): BoundAggregate {
  const { name: fn, fast, distinct, p, limit } = column.aggregate;
  const text = aggregateText(column.aggregate);
  const argument =
    column.aggregate.argument === null
      ? null
      : bindArgument(fn, bindExpression(column.aggregate.argument, schema));
  const filter = column.aggregate.filter === null ? null : bindCondition(column.aggregate.filter, schema);
  const type = argument === null ? null : argument.type;
  if (aggregateType(fn, type) === null) throw wrongArgument(text, fn, argument);
  if (isCollect(fn)) {
    const { separator, descending } = column.aggregate;
    const parameter = descending ? 1 : 0;
    const second = separator === undefined ? undefined : literal({ type: utf8, value: separator }, text);
    const by = column.aggregate.orderBy;
    const orderBy = by === undefined ? undefined : bindComparable(by, fn, text, schema);
    return { name: column.name, fn, argument, second, orderBy, filter, fast, distinct, parameter, text };
  }
  if (column.aggregate.second === undefined) {
    if (fast) requireFloat(text, argument!);
    const parameter = aggregateParameter(fn, p);
    const others = column.aggregate.others?.map((other) => bindComparable(other, fn, text, schema));
    if (others !== undefined) return { name: column.name, fn, argument, others, filter, fast, text };
    return { name: column.name, fn, argument, filter, fast, distinct, parameter, limit, text };
  }
  const second = bindExpression(column.aggregate.second, schema);
  if (isList(fn)) {
    if (!isOrderType(second.type)) throw noOrder(text, second);
    return { name: column.name, fn, argument, second, filter, fast, text, limit };
  }
  if (aggregateType(fn, second.type) === null) throw wrongArgument(text, fn, second);
  if (isOrderedAggregate(fn)) return { name: column.name, fn, argument, second, filter, fast, text };
  const asTheyAre = arePairTypes(argument!.type, second.type);
  const [x, y] = asTheyAre ? [argument!, second] : [convert(argument!, float64), convert(second, float64)];
  if (fast) requireFloat(text, x);
  return { name: column.name, fn, argument: x, second: y, filter, fast, text };
}

/** An argument beside the first, of any type that can be compared. */
function bindComparable(
  node: ExpressionNode,
  fn: BoundAggregate["fn"],
  text: string,
  schema: Schema,
): BoundExpression {
  const bound = bindExpression(node, schema);
  if (aggregateType("countDistinct", bound.type) === null) throw wrongArgument(text, fn, bound);
  return bound;
}

/** Sketches of quantiles are of floats: what they lose of a decimal is far below their error. */
function bindArgument(fn: BoundAggregate["fn"], argument: BoundExpression): BoundExpression {
  const isSketch = fn === "approxMedian" || fn === "approxQuantile";
  return isSketch && argument.type.kind === "decimal" ? convert(argument, float64) : argument;
}

function noOrder(text: string, by: BoundExpression): TypeMismatchError {
  const expected = "a number, a time or a boolean";
  return new TypeMismatchError(`${text}: goes by ${expected}, not by ${describe(by)}`, {
    column: by.kind === "column" ? by.name : undefined,
    expected,
  });
}

function requireFloat(text: string, argument: BoundExpression): void {
  if (argument.type.kind === "float") return;
  throw new TypeMismatchError(`${text}: fast applies to floats, not to ${describe(argument)}`, {
    column: argument.kind === "column" ? argument.name : undefined,
    expected: "a float",
  });
}

function wrongArgument(text: string, fn: BoundAggregate["fn"], argument: BoundExpression | null): PlanError {
  const expected = aggregateAccepts(fn);
  if (argument === null) return new PlanError(`${text}: takes ${expected}`, { expected });
  return new TypeMismatchError(`${text}: takes ${expected}, not ${describe(argument)}`, {
    column: argument.kind === "column" ? argument.name : undefined,
    expected,
  });
}

export function aggregateField({ name, fn, argument, fast }: BoundAggregate): Field {
  const type = aggregateType(fn, argument === null ? null : argument.type) as DataType;
  const field = { name, type, nullable: !isNeverNull(fn) };
  return fast ? { ...field, metadata: { "millrace.exact": "false" } } : field;
}

export function bindSort({ column, descending, nullsFirst }: SortColumn, schema: Schema) {
  const index = columnIndex(column, schema);
  const { type } = schema.fields[index]!;
  if (isCarried(type)) {
    throw new TypeMismatchError(`orderBy: column "${column}" is ${typeName(type)}, which has no order`, {
      column,
      expected: "a type that can be compared",
    });
  }
  return { column: index, descending, nullsFirst };
}
