// Aggregates as users write them: `sum("amount")`, `count().filter(col("status").eq("paid"))`.

import { type AggregateName, aggregateParameter, distinctEffect, hasFastForm } from "../type/aggregate.js";
import { ArgumentError } from "../type/error.js";
import { Expression, nodeOf } from "./expression.js";
import type { ExpressionNode } from "./node.js";
import type { ColumnResult, NullableResult, SumResult } from "./result.js";
import { expressionText, plainText } from "./text.js";

declare const usedNames: unique symbol;
declare const result: unique symbol;

export interface AggregateOptions<Names extends string = string> {
  /** Only rows where this is true count. */
  readonly filter?: Expression<Names, unknown>;
  /**
   * Sums, averages and moments of floats: plain arithmetic, faster, but the last digits depend on the order of
   * the rows.
   */
  readonly fast?: boolean;
  /**
   * Equal values count once: `sum("price", { distinct: true })`, also `count`, averages, moments of one column,
   * quantiles, `mode`, `bitXor` and lists; `min` and its like are the same either way. -0 equals 0 (and is taken as
   * +0), all NaNs are one. Keeps every different value. Not together with `fast`.
   */
  readonly distinct?: boolean;
}

/** An aggregate as the user wrote it. */
export interface AggregateNode {
  readonly name: AggregateName;
  /** Null: count of rows. */
  readonly argument: ExpressionNode | null;
  /**
   * Of `covar`, `covarPop` and `corr`; what `first`, `last`, `argMin` and `argMax` order rows by; what `topK` and
   * `bottomK` go by.
   */
  readonly second?: ExpressionNode | undefined;
  /** Of `countDistinct`: further columns. */
  readonly others?: readonly ExpressionNode[] | undefined;
  /** Of `arrayAgg` and `stringAgg`. */
  readonly orderBy?: ExpressionNode | undefined;
  /** Of `topK` and `bottomK`: how many values. */
  readonly limit?: number | undefined;
  /** Of `stringAgg`. */
  readonly separator?: string | undefined;
  /** Of `arrayAgg` and `stringAgg`. */
  readonly descending?: boolean | undefined;
  readonly filter: ExpressionNode | null;
  readonly fast: boolean;
  /** Equal values count once. */
  readonly distinct?: boolean | undefined;
  /** p of a quantile. */
  readonly p?: number | undefined;
}

/** One value per group. Build them with `count`, `sum`, `median`, `corr` and their like. */
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
  const argument =
    node.argument === null ? "*" : [node.argument, ...(node.others ?? [])].map(expressionText).join(", ");
  const by = node.orderBy === undefined ? "" : ` by ${expressionText(node.orderBy)}`;
  const order = `${by}${node.descending ? " descending" : ""}`;
  const separator = node.separator === undefined ? "" : `, ${plainText(node.separator)}`;
  const p = node.p === undefined ? "" : `, ${node.p}`;
  const other = node.second === undefined ? "" : expressionText(node.second);
  const second = node.limit === undefined ? listed(other) : `, ${node.limit}${other && ` by ${other}`}`;
  const distinct = node.distinct ? "distinct " : "";
  const call =
    node.name === "countDistinct"
      ? `count(distinct ${argument})`
      : `${node.name}(${distinct}${argument}${order}${second}${separator}${p})`;
  const fast = node.fast ? " fast" : "";
  return `${call}${fast}${node.filter === null ? "" : ` filter (${expressionText(node.filter)})`}`;
}

function listed(text: string): string {
  return text === "" ? "" : `, ${text}`;
}

/** A column by its name, or an expression. */
export type Argument<N extends string, R> = N | Expression<N, R>;

function build(
  name: AggregateName,
  argument: string | Expression | null,
  options: AggregateOptions = {},
  { second, p }: { second?: string | Expression; p?: number } = {},
): Aggregate<never, never> {
  aggregateParameter(name, p);
  const fast = options.fast ?? false;
  if (fast && !hasFastForm(name)) {
    throw new ArgumentError(`fast applies to sums, averages and moments of floats, not to ${name}`, {
      value: name,
    });
  }
  return new Aggregate({
    name,
    argument: argument === null ? null : argumentNode(argument),
    ...(second === undefined ? {} : { second: argumentNode(second) }),
    filter: options.filter === undefined ? null : nodeOf(options.filter),
    fast,
    p,
    ...distinctOption(name, options, second !== undefined),
  });
}

/**
 * What `distinct: true` comes to: nothing where it makes no difference.
 * @internal
 * @throws ArgumentError where it means nothing, or beside `fast`
 */
export function distinctOption(
  name: AggregateName,
  { distinct = false, fast = false }: AggregateOptions,
  second: boolean,
): { readonly distinct?: true } {
  if (!distinct) return {};
  const effect = distinctEffect(name);
  if (effect === "refused" || second) {
    const why = second ? "what goes by another column" : name;
    throw new ArgumentError(
      `${name}: distinct applies to sums, averages, quantiles and lists, not to ${why}`,
      {
        value: "distinct",
        expected: "no distinct",
      },
    );
  }
  if (fast) {
    throw new ArgumentError(`${name}: distinct and fast do not go together`, {
      value: "fast",
      expected: "one of them",
    });
  }
  return effect === "applies" ? { distinct: true } : {};
}

/** @internal */
export function argumentNode(argument: string | Expression): ExpressionNode {
  return typeof argument === "string" ? { kind: "column", name: argument } : nodeOf(argument);
}

/**
 * Number of rows, or of rows whose argument is not null; int64, never null. `count({ filter })` counts the rows
 * where the condition is true, `count(x, { distinct: true })` is `countDistinct(x)`.
 */
export function count<const N extends string = never, F extends string = never>(
  argument?: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, bigint>;
export function count<F extends string = never>(options: AggregateOptions<F>): Aggregate<F, bigint>;
export function count(
  argument?: string | Expression | AggregateOptions,
  options?: AggregateOptions,
): Aggregate {
  if (typeof argument === "string" || argument instanceof Expression) {
    const { distinct = false, ...rest } = options ?? {};
    return build(distinct ? "countDistinct" : "count", argument, rest);
  }
  const rows = argument ?? options;
  if (rows === undefined || (isOptions(rows) && (argument === undefined || options === undefined))) {
    if (!rows?.distinct) return build("count", null, rows);
    throw new ArgumentError("count: distinct needs a column; rows are not told apart", {
      value: "distinct",
      expected: "a column",
    });
  }
  throw new ArgumentError("count takes a column, an expression or options such as { filter }", {
    value: argument,
  });
}

function isOptions(value: unknown): value is AggregateOptions {
  if (typeof value !== "object" || value === null) return false;
  return Object.keys(value).every((key) => key === "filter" || key === "fast" || key === "distinct");
}

/**
 * Number of different values that are not null; int64. -0 equals 0, all NaNs are one value. Of several columns
 * (`countDistinct("shop", "day")`) the number of different rows of them; those in which any is null do not count.
 */
export function countDistinct<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, bigint>;
export function countDistinct<const N extends string>(
  first: Argument<N, unknown>,
  second: Argument<N, unknown>,
  ...others: Argument<N, unknown>[]
): Aggregate<N, bigint>;
export function countDistinct(
  argument: string | Expression,
  second?: string | Expression | AggregateOptions,
  ...others: (string | Expression)[]
): Aggregate {
  if (typeof second !== "string" && !(second instanceof Expression))
    return build("countDistinct", argument, second);
  const { node } = build("countDistinct", argument);
  return new Aggregate({ ...node, others: [second, ...others].map(argumentNode) });
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

/**
 * Variance of a sample, sum((x - mean)^2) / (n - 1), as float64; null of fewer than two values. Exact: from the
 * exact sums of x and x^2, rounded once, whatever the order of the rows; NaN where a value is not finite.
 */
export function variance<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("variance", argument, options);
}

/** Variance of a whole population, sum((x - mean)^2) / n; null of nothing, 0 of one value. See `variance`. */
export function varPop<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("varPop", argument, options);
}

/** Standard deviation of a sample: the square root of the exact `variance`, rounded once. */
export function stddev<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("stddev", argument, options);
}

/** Standard deviation of a whole population: the square root of the exact `varPop`, rounded once. */
export function stddevPop<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("stddevPop", argument, options);
}

/**
 * Covariance of a sample, over the rows where neither argument is null: sum((x - mean x) (y - mean y)) / (n - 1)
 * as float64; null of fewer than two rows. Exact and rounded once, as `variance`. Two integers, two floats or
 * two decimals are taken as they are; anything else as float64.
 */
export function covar<const N extends string, const M extends string, F extends string = never>(
  x: Argument<N, unknown>,
  y: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, number | null> {
  return build("covar", x, options, { second: y });
}

/** Covariance of a whole population: divided by n; null of nothing. See `covar`. */
export function covarPop<const N extends string, const M extends string, F extends string = never>(
  x: Argument<N, unknown>,
  y: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, number | null> {
  return build("covarPop", x, options, { second: y });
}

/**
 * Pearson's correlation of the rows where neither argument is null, from exact sums and rounded once, so never
 * outside [-1, 1]; null of nothing, NaN where an argument does not vary. See `covar` for what it accepts.
 */
export function corr<const N extends string, const M extends string, F extends string = never>(
  x: Argument<N, unknown>,
  y: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, number | null> {
  return build("corr", x, options, { second: y });
}

/**
 * Skewness, adjusted for samples: sqrt(n (n - 1)) / (n - 2) * m3 / m2^1.5; null of fewer than three values, NaN
 * of equal ones. Exact and rounded once.
 */
export function skewness<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("skewness", argument, options);
}

/**
 * Excess kurtosis, adjusted for samples: (n - 1) ((n + 1) m4 / m2^2 - 3 (n - 1)) / ((n - 2) (n - 3)); null of
 * fewer than four values and of equal ones. Exact and rounded once.
 */
export function kurtosis<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("kurtosis", argument, options);
}

/** Excess kurtosis of a whole population, m4 / m2^2 - 3; null of fewer than two values and of equal ones. */
export function kurtosisPop<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("kurtosisPop", argument, options);
}

/** Median as float64: the middle value, or halfway between the two middle ones; `quantile(x, 0.5)`. */
export function median<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("median", argument, options);
}

/**
 * The exact quantile `p` as float64, between the two nearest values at (n - 1) p; null of nothing. NaN is the
 * greatest value. Keeps every value: state grows with the rows.
 * @throws ArgumentError when `p` is not in [0, 1].
 */
export function quantile<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  p: number,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("quantile", argument, options, { p });
}

/**
 * The first value, of the argument's type, with at least `p` of all values up to it; null of nothing. See
 * `quantile`.
 */
export function quantileDisc<const N extends string, F extends string = never>(
  argument: N,
  p: number,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function quantileDisc<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  p: number,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function quantileDisc(
  argument: string | Expression,
  p: number,
  options?: AggregateOptions,
): Aggregate {
  return build("quantileDisc", argument, options, { p });
}

/** The most frequent value, the smallest of them where several are; -0 counts as +0, NaNs as one. Null of nothing. */
export function mode<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function mode<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function mode(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("mode", argument, options);
}

/** Some value that is not null, the same one every time: the least, as `min`. */
export function any<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function any<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function any(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("any", argument, options);
}

/** Whether all values that are not null are true; null of nothing. */
export function boolAnd<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, boolean | null> {
  return build("boolAnd", argument, options);
}

/** Whether any value is true; null when all are null. */
export function boolOr<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, boolean | null> {
  return build("boolOr", argument, options);
}

/** Bitwise and of integers that are not null, of their type; null of nothing. */
export function bitAnd<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function bitAnd<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function bitAnd(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("bitAnd", argument, options);
}

/** Bitwise or; see `bitAnd`. */
export function bitOr<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function bitOr<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function bitOr(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("bitOr", argument, options);
}

/** Bitwise exclusive or; see `bitAnd`. */
export function bitXor<const N extends string, F extends string = never>(
  argument: N,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<ColumnResult<N>>>;
export function bitXor<N extends string, R, F extends string = never>(
  argument: Expression<N, R>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, NullableResult<R>>;
export function bitXor(argument: string | Expression, options?: AggregateOptions): Aggregate {
  return build("bitXor", argument, options);
}

/**
 * The value of the row whose `by` is least; rows where either is null do not count, null of none. Of several such
 * rows the least value, so that the order in which rows come does not matter. Any types; order as in `min`.
 */
export function argMin<const N extends string, const M extends string, F extends string = never>(
  value: N,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<ColumnResult<N>>>;
export function argMin<N extends string, R, const M extends string, F extends string = never>(
  value: Expression<N, R>,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<R>>;
export function argMin(
  value: string | Expression,
  by: string | Expression,
  options?: AggregateOptions,
): Aggregate {
  return build("argMin", value, options, { second: by });
}

/** The value of the row whose `by` is greatest, the greatest value of several such rows. See `argMin`. */
export function argMax<const N extends string, const M extends string, F extends string = never>(
  value: N,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<ColumnResult<N>>>;
export function argMax<N extends string, R, const M extends string, F extends string = never>(
  value: Expression<N, R>,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<R>>;
export function argMax(
  value: string | Expression,
  by: string | Expression,
  options?: AggregateOptions,
): Aggregate {
  return build("argMax", value, options, { second: by });
}

/** The first value that is not null in the order of `by`: `argMin`. */
export function first<const N extends string, const M extends string, F extends string = never>(
  value: N,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<ColumnResult<N>>>;
export function first<N extends string, R, const M extends string, F extends string = never>(
  value: Expression<N, R>,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<R>>;
export function first(
  value: string | Expression,
  by: string | Expression,
  options?: AggregateOptions,
): Aggregate {
  return build("first", value, options, { second: by });
}

/** The last value that is not null in the order of `by`: `argMax`. */
export function last<const N extends string, const M extends string, F extends string = never>(
  value: N,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<ColumnResult<N>>>;
export function last<N extends string, R, const M extends string, F extends string = never>(
  value: Expression<N, R>,
  by: Argument<M, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | M | F, NullableResult<R>>;
export function last(
  value: string | Expression,
  by: string | Expression,
  options?: AggregateOptions,
): Aggregate {
  return build("last", value, options, { second: by });
}

/**
 * About how many different values are not null, as int64: a HyperLogLog of 4,096 registers, standard error 1.6 %.
 * The same whatever the order of the rows. -0 equals 0, all NaNs are one value.
 */
export function approxCountDistinct<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, bigint> {
  return build("approxCountDistinct", argument, options);
}

/** `approxQuantile(x, 0.5)`. */
export function approxMedian<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("approxMedian", argument, options);
}

/**
 * A float64 within 1/128 (0.8 %) of the value of rank floor((n - 1) p): a DDSketch, whose state does not grow with
 * the rows. The same whatever their order. Values nearer to 0 than 2^-1022 count as 0; null of nothing.
 * @throws ArgumentError when `p` is not in [0, 1].
 */
export function approxQuantile<const N extends string, F extends string = never>(
  argument: Argument<N, unknown>,
  p: number,
  options?: AggregateOptions<F>,
): Aggregate<N | F, number | null> {
  return build("approxQuantile", argument, options, { p });
}
