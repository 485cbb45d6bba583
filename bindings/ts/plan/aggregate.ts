// Aggregates as users write them: `sum("amount")`, `count().filter(col("status").eq("paid"))`.

import type { AggregateName } from "../type/aggregate.js";
import { ArgumentError } from "../type/error.js";
import { type Expression, nodeOf } from "./expression.js";
import type { ExpressionNode } from "./node.js";
import type { ColumnResult, NullableResult, SumResult } from "./result.js";
import { expressionText } from "./text.js";

declare const usedNames: unique symbol;
declare const result: unique symbol;

export interface AggregateOptions<Names extends string = string> {
  /** Only rows where this is true count. */
  readonly filter?: Expression<Names, unknown>;
  /** Sums and averages of floats: plain additions, faster, but the last digits depend on the order of the rows. */
  readonly fast?: boolean;
}

/** An aggregate as the user wrote it. */
export interface AggregateNode {
  readonly name: AggregateName;
  /** Null: count of rows. */
  readonly argument: ExpressionNode | null;
  readonly filter: ExpressionNode | null;
  readonly fast: boolean;
}

/** One value per group. Build them with `count`, `countDistinct`, `sum`, `avg`, `min`, `max`. */
export class Aggregate<out Names extends string = string, out Result = unknown> {
  declare readonly [usedNames]: Names;
  declare readonly [result]: Result;
  /** @internal */
  readonly node: AggregateNode;

  /** @internal */
  constructor(node: AggregateNode) {
    this.node = node;
    Object.freeze(this);
  }

  /** The same aggregate over the rows where `condition` is true (and any earlier filter's). */
  filter<N extends string>(condition: Expression<N, unknown>): Aggregate<Names | N, Result> {
    const added = nodeOf(condition);
    const before = this.node.filter;
    const filter: ExpressionNode =
      before === null ? added : { kind: "call", fn: "and", args: [before, added] };
    return new Aggregate({ ...this.node, filter });
  }

  /** As messages and `explain` show it. */
  toString(): string {
    return aggregateText(this.node);
  }
}

/** @internal */
export function aggregateText(node: AggregateNode): string {
  const argument = node.argument === null ? "*" : expressionText(node.argument);
  const call = node.name === "countDistinct" ? `count(distinct ${argument})` : `${node.name}(${argument})`;
  const fast = node.fast ? " fast" : "";
  return `${call}${fast}${node.filter === null ? "" : ` filter (${expressionText(node.filter)})`}`;
}

/** A column by its name, or an expression. */
export type Argument<N extends string, R> = N | Expression<N, R>;

function build(
  name: AggregateName,
  argument: string | Expression | null,
  options: AggregateOptions = {},
): Aggregate<never, never> {
  const fast = options.fast ?? false;
  if (fast && name !== "sum" && name !== "avg") {
    throw new ArgumentError(`fast applies to sum and avg of floats, not to ${name}`, { value: name });
  }
  return new Aggregate({
    name,
    argument:
      typeof argument === "string" ? { kind: "column", name: argument } : argument && nodeOf(argument),
    filter: options.filter === undefined ? null : nodeOf(options.filter),
    fast,
  });
}

/** Number of rows, or of rows whose argument is not null; int64, never null. */
export function count<const N extends string = never, F extends string = never>(
  argument?: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, bigint> {
  return build("count", argument ?? null, options);
}

/** Number of different values that are not null; int64. -0 equals 0, all NaNs are one value. */
export function countDistinct<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, bigint> {
  return build("countDistinct", argument, options);
}

/**
 * Sum of what is not null; null of nothing. Integers: int64 or uint64, never wrapping (OverflowError).
 * Floats: float64, the exact sum rounded once, whatever the order of the rows. Decimals: 38 digits, same scale.
 */
export function sum<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<SumResult<ColumnResult<N>>>>;
export function sum<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<SumResult<R>>>;
export function sum(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("sum", argument, options);
}

/** Mean of what is not null as float64: the exact sum divided and rounded once; null of nothing. */
export function avg<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("avg", argument, options);
}

/** Least value that is not null, of the argument's type; floats: NaN is greatest. Texts by bytes. */
export function min<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function min<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function min(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("min", argument, options);
}

/** Greatest value that is not null; see `min`. */
export function max<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function max<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function max(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("max", argument, options);
}
