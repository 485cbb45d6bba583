// Aggregates that put values of a group together: `topK("price", 3)`, `stringAgg("name", ", ")`.

import { isLimit, MAX_TOP } from "../type/aggregate.js";
import { ArgumentError } from "../type/error.js";
import { Aggregate, type AggregateOptions, distinctOption } from "./aggregate.js";
import { type Expression, nodeOf } from "./expression.js";
import type { ExpressionNode } from "./node.js";
import type { ColumnResult, ListResult, NullableResult } from "./result.js";

export interface TopOptions<Names extends string = string>
  extends Pick<AggregateOptions<Names>, "filter" | "distinct"> {
  /**
   * Take the argument from the rows where this is greatest (`bottomK`: least), not where it is greatest itself;
   * rows where it is null do not count. Equal ones go by the argument, least first.
   */
  readonly by?: Names | Expression<Names, unknown>;
}

/**
 * The `k` greatest values that are not null (fewer where there are fewer), greatest first, as a list; null of
 * nothing. Floats: NaN is greatest. Texts by bytes. Equal values count each; which of them is no question.
 * With `by`, those of the rows where `by` is greatest: `topK("name", 3, { by: "price" })`.
 * @throws ArgumentError for a `k` that is not a whole number from 1 to 1,024
 */
export function topK<const N extends string, const F extends string = never>(
  argument: N,
  k: number,
  options?: TopOptions<F>,
): Aggregate<N | F, NullableResult<ListResult<ColumnResult<N>>>>;
export function topK<N extends string, R, const F extends string = never>(
  argument: Expression<N, R>,
  k: number,
  options?: TopOptions<F>,
): Aggregate<N | F, NullableResult<ListResult<R>>>;
export function topK(argument: string | Expression, k: number, options?: TopOptions): Aggregate {
  return limited("topK", argument, k, options);
}

/** The `k` least values, or those where `by` is least, least first; see `topK`. */
export function bottomK<const N extends string, const F extends string = never>(
  argument: N,
  k: number,
  options?: TopOptions<F>,
): Aggregate<N | F, NullableResult<ListResult<ColumnResult<N>>>>;
export function bottomK<N extends string, R, const F extends string = never>(
  argument: Expression<N, R>,
  k: number,
  options?: TopOptions<F>,
): Aggregate<N | F, NullableResult<ListResult<R>>>;
export function bottomK(argument: string | Expression, k: number, options?: TopOptions): Aggregate {
  return limited("bottomK", argument, k, options);
}

/** Not both `orderBy` and `distinct`: which of several rows would a value stand for. */
export interface ArrayOptions<Names extends string = string>
  extends Pick<AggregateOptions<Names>, "filter" | "distinct"> {
  /** What orders the values, if not they themselves; nulls come last, equal ones go by the values, least first. */
  readonly orderBy?: Names | Expression<Names, unknown>;
  /** Greatest first. */
  readonly descending?: boolean;
}

/**
 * All values that are not null, as a list in order, least first (so that the result does not depend on the order
 * of the rows); null of nothing. Floats: NaN is greatest. Texts by bytes. All values are kept until the end.
 */
export function arrayAgg<const N extends string, const F extends string = never>(
  argument: N,
  options?: ArrayOptions<F>,
): Aggregate<N | F, NullableResult<ListResult<ColumnResult<N>>>>;
export function arrayAgg<N extends string, R, const F extends string = never>(
  argument: Expression<N, R>,
  options?: ArrayOptions<F>,
): Aggregate<N | F, NullableResult<ListResult<R>>>;
export function arrayAgg(argument: string | Expression, options?: ArrayOptions): Aggregate {
  return collected("arrayAgg", argument, options);
}

/** All texts that are not null, in order as in `arrayAgg`, with `separator` between them; null of nothing. */
export function stringAgg<const N extends string, const F extends string = never>(
  argument: N | Expression<N, unknown>,
  separator: string,
  options?: ArrayOptions<F>,
): Aggregate<N | F, string | null> {
  if (typeof separator !== "string") {
    throw new ArgumentError(`stringAgg: the separator is a text, not ${String(separator)}`, {
      value: separator,
      expected: "a text",
    });
  }
  return collected("stringAgg", argument, options, separator);
}

function collected(
  name: "arrayAgg" | "stringAgg",
  argument: string | Expression,
  options: ArrayOptions = {},
  separator?: string,
): Aggregate<never, never> {
  const { filter, orderBy, descending = false, distinct = false } = options;
  if (distinct && orderBy !== undefined) {
    throw new ArgumentError(`${name}: distinct and orderBy do not go together`, {
      value: "distinct",
      expected: "one of them",
    });
  }
  return new Aggregate({
    name,
    argument: columnOr(argument),
    filter: filter === undefined ? null : nodeOf(filter),
    fast: false,
    separator,
    descending,
    ...(orderBy === undefined ? {} : { orderBy: columnOr(orderBy) }),
    ...distinctOption(name, options, false),
  });
}

function limited(
  name: "topK" | "bottomK",
  argument: string | Expression,
  k: number,
  options: TopOptions = {},
): Aggregate {
  const { filter, by } = options;
  if (!isLimit(k)) {
    const expected = `a whole number from 1 to ${MAX_TOP.toLocaleString("en")}`;
    throw new ArgumentError(`${name}: k is ${expected}, not ${k}`, { value: k, expected });
  }
  return new Aggregate({
    name,
    argument: columnOr(argument),
    ...(by === undefined ? {} : { second: columnOr(by) }),
    filter: filter === undefined ? null : nodeOf(filter),
    fast: false,
    limit: k,
    ...distinctOption(name, options, by !== undefined),
  });
}

function columnOr(argument: string | Expression): ExpressionNode {
  return typeof argument === "string" ? { kind: "column", name: argument } : nodeOf(argument);
}
