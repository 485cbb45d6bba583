// The hash aggregation as an operator handle: a friendly form over column names, and the general one.

import { Type } from "../../../kernel/abi/layout.js";
import { type AggregateFault, AggregateFunction, OperatorKind } from "../../../kernel/abi/operator.js";
import {
  type AggregateName,
  aggregateAccepts,
  aggregateFunction,
  aggregateParameter,
  aggregateType,
  arePairTypes,
  distinctEffect,
  isCollect,
  isLimit,
  isList,
  isNeverNull,
  isOrderedAggregate,
  isOrderType,
  isPairAggregate,
  MAX_TOP,
} from "../type/aggregate.js";
import { type Field, int8, type Schema, typeName, valueType } from "../type/data-type.js";
import { ArgumentError, TypeMismatchError } from "../type/error.js";
import { ColumnLoader, type ColumnSpec, loadedType, refuseDuplicates } from "./column-loader.js";
import {
  type AggregateConfigSpec,
  type AggregateEntrySpec,
  encodeAggregateConfig,
  type KeySpec,
} from "./config.js";
import type { Kernel } from "./kernel.js";
import type { Operator } from "./operator.js";

export interface AggregateSpec {
  /** Name of the result column. */
  readonly name: string;
  readonly function: AggregateName;
  /** Column to aggregate; absent for `count` of rows. */
  readonly column?: string | undefined;
  /**
   * Second column of `covar`, `covarPop` and `corr`; both integers, floats or decimals. Of `topK` and `bottomK` the
   * column to go by, if not the first.
   */
  readonly second?: string | undefined;
  /** Of `topK` and `bottomK`: how many values, 1 to 1,024. */
  readonly limit?: number | undefined;
  /** Of `stringAgg`: what stands between two texts. */
  readonly separator?: string | undefined;
  /** Of `arrayAgg` and `stringAgg`: greatest first. */
  readonly descending?: boolean | undefined;
  /** A bool column: only rows where it is true count. */
  readonly filter?: string | undefined;
  /** Plain float adds: faster, but the last bits depend on the order of the rows. */
  readonly fast?: boolean | undefined;
  /** Equal values of a group count once; of `count` too. Not together with `fast`. */
  readonly distinct?: boolean | undefined;
  /** p of `quantile` and `quantileDisc`, in [0, 1]. */
  readonly p?: number | undefined;
}

/** Groups by columns as they are. Results: the keys in order, then the aggregates. */
export interface NamedAggregateSpec {
  /** All columns of the input batches; only those that are named below are copied and read. */
  readonly columns: readonly ColumnSpec[];
  /** Names of the key columns; none for one group over everything. */
  readonly keys: readonly string[];
  readonly aggregates: readonly AggregateSpec[];
  /** A bool column: only rows where it is true take part. */
  readonly where?: string | undefined;
  /**
   * An int8 column that makes the input a changelog: 0 +I, 1 -U, 2 +U, 3 -D. -U and -D take earlier rows back, and
   * groups without rows disappear. Not together with `fast`.
   */
  readonly rowKind?: string | undefined;
  /** Emit changes after each push, with a column `row_kind`, instead of one result at the end. */
  readonly changelog?: boolean | undefined;
  /** Fault switches for tests. */
  readonly faults?: AggregateFault | undefined;
}

/** The general form: an encoded program, keys and aggregates by index of its outputs. What the planner uses. */
export interface ProgramAggregateSpec extends Omit<AggregateConfigSpec, "partial"> {
  /** Columns of the input batches, in the program's column order. */
  readonly columns: readonly number[];
  /** Fields of those columns, to check batches against. */
  readonly input?: readonly Field[] | undefined;
  /** Fields of the results: keys, aggregates, and `row_kind` for a changelog. */
  readonly output: Schema;
  /** What to call the results in messages, such as `sum "total"`. */
  readonly labels?: readonly string[] | undefined;
  /** What to call the program's instructions in messages. */
  readonly instruction?: ((index: number) => string | undefined) | undefined;
}

export type HashAggregateSpec = NamedAggregateSpec | ProgramAggregateSpec;

/** The last column of a changelog: 0 insert, 1 update before, 2 update after, 3 delete. */
export const ROW_KIND_FIELD: Field = { name: "row_kind", type: int8, nullable: false };

/** @param partial state out instead of results, for an aggregation elsewhere to merge */
export function hashAggregateOperator(kernel: Kernel, spec: HashAggregateSpec, partial: boolean): Operator {
  const general = "program" in spec ? spec : compileAggregate(spec);
  return kernel.operator({
    kind: OperatorKind.HASH_AGGREGATE,
    config: encodeAggregateConfig({ ...general, partial }),
    columns: general.columns,
    input: general.input,
    output: general.output,
    emitsPerPush: general.changelog || partial,
    labels: general.labels,
    instruction: general.instruction,
  });
}

function compileAggregate(spec: NamedAggregateSpec): ProgramAggregateSpec {
  if (spec.keys.length + spec.aggregates.length === 0) {
    throw new ArgumentError("an aggregation needs a key or an aggregate");
  }
  const loader = new ColumnLoader(spec.columns);
  if (spec.where !== undefined) loader.filter(spec.where);
  const keys = spec.keys.map((name): KeySpec => {
    const { type } = loader.field(name);
    return { output: loader.output(name), type: loadedType(type) };
  });
  if (spec.rowKind !== undefined) spec.aggregates.forEach(requireOneColumn);
  const aggregates = spec.aggregates.map((aggregate) => compileEntry(aggregate, loader));
  const fields = outputFields(spec, loader);
  refuseDuplicates(fields);
  return {
    program: loader.program.encode(),
    keys,
    aggregates,
    retract: spec.rowKind === undefined ? undefined : rowKindOutput(spec.rowKind, loader),
    changelog: spec.changelog,
    faults: spec.faults,
    columns: loader.columns,
    input: loader.input,
    output: { fields },
    labels: [
      ...spec.keys.map((name) => `key "${name}"`),
      ...spec.aggregates.map(({ name, function: called }) => `${called} "${name}"`),
    ],
  };
}

/** Throws ArgumentError for what a column's multiset does not tell: plans put both columns into one. */
function requireOneColumn({ function: called, second }: AggregateSpec): void {
  if (second === undefined || (!isOrderedAggregate(called) && !isList(called))) return;
  throw new ArgumentError(`${called}: it goes by another column, so rowKind needs a plan`, {
    value: called,
    expected: "an aggregate of one column",
  });
}

function rowKindOutput(name: string, loader: ColumnLoader): number {
  const { type } = loader.field(name);
  if (loadedType(type) === Type.I8) return loader.output(name);
  throw new TypeMismatchError(`rowKind: column "${name}" is ${typeName(type)}, not int8`, {
    column: name,
    expected: "int8",
  });
}

function compileEntry(aggregate: AggregateSpec, loader: ColumnLoader): AggregateEntrySpec {
  const { column, second, filter, fast, limit } = aggregate;
  const distinct = distinctOf(aggregate);
  const parameter = isCollect(aggregate.function)
    ? Number(aggregate.descending ?? false)
    : aggregateParameter(aggregate.function, aggregate.p);
  if (filter !== undefined) loader.requireBool(filter);
  const value = column === undefined ? null : valueType(loader.field(column).type);
  return {
    function:
      distinct && aggregate.function === "count"
        ? AggregateFunction.COUNT_DISTINCT
        : aggregateFunction(aggregate.function, column !== undefined),
    distinct: distinct && aggregate.function !== "count",
    argument: column === undefined ? undefined : loader.output(column),
    filter: filter === undefined ? undefined : loader.output(filter),
    type: value === null ? undefined : loadedType(value),
    fast,
    parameter,
    scale: value?.kind === "decimal" ? value.scale : undefined,
    limit,
    ...(second === undefined ? {} : secondEntry(second, loader)),
    ...separatorEntry(aggregate, loader),
  };
}

/** Whether equal values are to be told apart from one. */
function distinctOf({ function: called, column, second, fast, distinct }: AggregateSpec): boolean {
  if (!distinct) return false;
  const effect = distinctEffect(called);
  if (effect === "refused" || column === undefined || second !== undefined || fast) {
    const what = fast ? "fast" : second !== undefined ? "second" : column === undefined ? "rows" : "it";
    throw new ArgumentError(`${called}: distinct does not go together with ${what}`, {
      value: called,
      expected: "no distinct",
    });
  }
  return effect === "applies";
}

function secondEntry(
  column: string,
  loader: ColumnLoader,
): Pick<AggregateEntrySpec, "second" | "secondScale"> {
  const value = valueType(loader.field(column).type);
  return { second: loader.output(column), secondScale: value.kind === "decimal" ? value.scale : undefined };
}

function separatorEntry({ function: called, separator }: AggregateSpec, loader: ColumnLoader) {
  if ((called === "stringAgg") !== (separator !== undefined)) {
    const expected = called === "stringAgg" ? "a text" : "none";
    throw new ArgumentError(`${called}: separator is ${expected}, not ${separator}`, {
      value: separator,
      expected,
    });
  }
  if (separator === undefined) return {};
  return { second: loader.program.output(loader.program.literal(Type.BYTES, separator)) };
}

function checkSecond({ function: called, column, second }: AggregateSpec, loader: ColumnLoader): void {
  if (isList(called)) {
    if (second === undefined || isOrderType(loader.field(second).type)) return;
    throw new TypeMismatchError(
      `${called} goes by a number, a time or a boolean, not by "${second}", which is ${typeName(loader.field(second).type)}`,
      { column: second, expected: "a number, a time or a boolean" },
    );
  }
  if ((second !== undefined) !== (isPairAggregate(called) || isOrderedAggregate(called))) {
    throw new ArgumentError(
      `${called} takes ${aggregateAccepts(called)}: second is ${second === undefined ? "missing" : `"${second}"`}`,
      { value: called },
    );
  }
  if (column === undefined || second === undefined) return;
  const [a, b] = [loader.field(column).type, loader.field(second).type];
  if (aggregateType(called, b) !== null && (isOrderedAggregate(called) || arePairTypes(a, b))) return;
  if (isOrderedAggregate(called)) {
    throw new TypeMismatchError(`${called} takes ${aggregateAccepts(called)}, not ${typeName(b)}`, {
      column: second,
      expected: aggregateAccepts(called),
    });
  }
  throw new TypeMismatchError(
    `${called} takes two columns of integers, of floats or of decimals, not ${typeName(a)} and ${typeName(b)}`,
    { column: second, expected: typeName(a) },
  );
}

function checkLimit({ function: called, limit }: AggregateSpec): void {
  if (isList(called) ? isLimit(limit) : limit === undefined) return;
  const expected = isList(called) ? `a whole number from 1 to ${MAX_TOP}` : "none";
  throw new ArgumentError(`${called}: limit is ${expected}, not ${limit}`, { value: limit, expected });
}

function outputFields(spec: NamedAggregateSpec, loader: ColumnLoader): Field[] {
  const keys = spec.keys.map((name) => {
    const { type, nullable } = loader.field(name);
    return { name, type: valueType(type), nullable };
  });
  const aggregates = spec.aggregates.map((aggregate) => {
    const { name, function: called, column } = aggregate;
    const argument = column === undefined ? null : loader.field(column).type;
    const type = aggregateType(called, argument);
    if (type === null) {
      const over = argument === null ? "nothing" : `"${column}", which is ${typeName(argument)}`;
      throw new TypeMismatchError(`${called} takes ${aggregateAccepts(called)}, not ${over}`, {
        column,
        expected: aggregateAccepts(called),
      });
    }
    checkSecond(aggregate, loader);
    checkLimit(aggregate);
    return { name, type, nullable: !isNeverNull(called) };
  });
  return [...keys, ...aggregates, ...(spec.changelog ? [ROW_KIND_FIELD] : [])];
}
