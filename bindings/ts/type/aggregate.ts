// The aggregates: names, what they accept and what they give. One table for plans and operators.

import { Type } from "../../../kernel/abi/layout.js";
import { AggregateFunction } from "../../../kernel/abi/operator.js";
import {
  type DataType,
  decimal,
  float64,
  int64,
  isCarried,
  list,
  physicalType,
  uint64,
  valueType,
} from "./data-type.js";
import { ArgumentError } from "./error.js";

/** Those built on sums of powers of their values. */
export const MOMENT_NAMES = [
  "variance",
  "varPop",
  "stddev",
  "stddevPop",
  "covar",
  "covarPop",
  "corr",
  "skewness",
  "kurtosis",
  "kurtosisPop",
] as const;

export type MomentName = (typeof MOMENT_NAMES)[number];

/** `count` of no column counts rows. */
export const AGGREGATE_NAMES = [
  "count",
  "sum",
  "min",
  "max",
  "avg",
  "countDistinct",
  "any",
  "boolAnd",
  "boolOr",
  "median",
  "quantile",
  "quantileDisc",
  "mode",
  "bitAnd",
  "bitOr",
  "bitXor",
  "first",
  "last",
  "argMin",
  "argMax",
  "approxCountDistinct",
  "approxMedian",
  "approxQuantile",
  "topK",
  "bottomK",
  "arrayAgg",
  "stringAgg",
  ...MOMENT_NAMES,
] as const;

export type AggregateName = (typeof AGGREGATE_NAMES)[number];

/** Those that keep the k greatest or least. */
export type ListName = "topK" | "bottomK";

/** Those that put all values of a group together. */
export type CollectName = "arrayAgg" | "stringAgg";

export function isCollect(name: AggregateName): name is CollectName {
  return name === "arrayAgg" || name === "stringAgg";
}

/** Most values of `topK` and `bottomK`. */
export const MAX_TOP = 1024;

export function isList(name: AggregateName): name is ListName {
  return name === "topK" || name === "bottomK";
}

/** Whether `topK` and `bottomK` can go by a column of this type: any fixed-width one. */
export function isOrderType(type: DataType): boolean {
  const physical = physicalType(valueType(type));
  return physical !== Type.NONE && physical !== Type.BYTES && physical !== Type.LARGE_BYTES;
}

/** Whether `topK` and `bottomK` can keep so many values. */
export function isLimit(limit: number | undefined): boolean {
  return Number.isInteger(limit) && limit! >= 1 && limit! <= MAX_TOP;
}

const MOMENTS: { readonly [name in MomentName]: AggregateFunction } = {
  variance: AggregateFunction.VAR_SAMPLE,
  varPop: AggregateFunction.VAR_POPULATION,
  stddev: AggregateFunction.STDDEV_SAMPLE,
  stddevPop: AggregateFunction.STDDEV_POPULATION,
  covar: AggregateFunction.COVAR_SAMPLE,
  covarPop: AggregateFunction.COVAR_POPULATION,
  corr: AggregateFunction.CORR,
  skewness: AggregateFunction.SKEWNESS,
  kurtosis: AggregateFunction.KURTOSIS,
  kurtosisPop: AggregateFunction.KURTOSIS_POPULATION,
};

/** Whether `name` is built on sums of powers: float64 over numbers, null of too few values. */
export function isMoment(name: AggregateName): name is MomentName {
  return Object.hasOwn(MOMENTS, name);
}

/** Whether `name` takes two arguments. */
export function isPairAggregate(name: AggregateName): boolean {
  return name === "covar" || name === "covarPop" || name === "corr";
}

/** Whether `name` takes a value and what rows are ordered by, each of any type. */
export function isOrderedAggregate(name: AggregateName): boolean {
  return name === "first" || name === "last" || name === "argMin" || name === "argMax";
}

/** Whether `name` has a value for every group, be it of nothing. */
export function isNeverNull(name: AggregateName): boolean {
  return name === "count" || name === "countDistinct" || name === "approxCountDistinct";
}

/** What `distinct: true` does to `name`. */
export type DistinctEffect = "applies" | "changes nothing" | "refused";

/**
 * Whether equal values may count once: they do in sums, averages, moments of one argument, quantiles, modes, `bitXor`
 * and lists; extremes and their like are the same with and without; what orders rows by another column, or estimates,
 * takes no `distinct`.
 */
export function distinctEffect(name: AggregateName): DistinctEffect {
  switch (name) {
    case "countDistinct":
    case "min":
    case "max":
    case "any":
    case "boolAnd":
    case "boolOr":
    case "bitAnd":
    case "bitOr":
    case "approxCountDistinct":
      return "changes nothing";
    case "approxMedian":
    case "approxQuantile":
      return "refused";
    default:
      return isPairAggregate(name) || isOrderedAggregate(name) ? "refused" : "applies";
  }
}

/** Whether `name` follows rows that are taken back: sketches forget what they would need for it. */
export function takesRowsBack(name: AggregateName): boolean {
  return !name.startsWith("approx");
}

/** Whether `fast: true` means something to `name`. */
export function hasFastForm(name: AggregateName): boolean {
  return name === "sum" || name === "avg" || isMoment(name);
}

/**
 * Whether two arguments of these types can be taken together as they are: both integers, both floats or both
 * decimals. Others meet as float64.
 */
export function arePairTypes(a: DataType, b: DataType): boolean {
  return valueType(a).kind === valueType(b).kind;
}

/** The kernel's number for an aggregate; `count` without an argument is COUNT_ROWS. */
export function aggregateFunction(name: AggregateName, hasArgument: boolean): AggregateFunction {
  switch (name) {
    case "count":
      return hasArgument ? AggregateFunction.COUNT : AggregateFunction.COUNT_ROWS;
    case "countDistinct":
      return AggregateFunction.COUNT_DISTINCT;
    case "sum":
      return AggregateFunction.SUM;
    case "avg":
      return AggregateFunction.AVG;
    case "min":
    case "any":
    case "boolAnd":
      return AggregateFunction.MIN;
    case "max":
    case "boolOr":
      return AggregateFunction.MAX;
    case "median":
    case "quantile":
      return AggregateFunction.QUANTILE;
    case "quantileDisc":
      return AggregateFunction.QUANTILE_DISC;
    case "mode":
      return AggregateFunction.MODE;
    case "bitAnd":
      return AggregateFunction.BIT_AND;
    case "bitOr":
      return AggregateFunction.BIT_OR;
    case "bitXor":
      return AggregateFunction.BIT_XOR;
    case "first":
    case "argMin":
      return AggregateFunction.ARG_MIN;
    case "last":
    case "argMax":
      return AggregateFunction.ARG_MAX;
    case "approxCountDistinct":
      return AggregateFunction.APPROX_COUNT_DISTINCT;
    case "approxMedian":
    case "approxQuantile":
      return AggregateFunction.APPROX_QUANTILE;
    case "arrayAgg":
      return AggregateFunction.ARRAY;
    case "stringAgg":
      return AggregateFunction.STRING;
    case "topK":
      return AggregateFunction.TOP;
    case "bottomK":
      return AggregateFunction.BOTTOM;
    default:
      return MOMENTS[name];
  }
}

/**
 * The parameter that the kernel gets with `name`: p of a quantile, 0.5 of a median.
 * @throws ArgumentError when p is not in [0, 1], is missing, or is given to something else.
 */
export function aggregateParameter(name: AggregateName, p: number | undefined): number | undefined {
  if (name === "quantile" || name === "quantileDisc" || name === "approxQuantile") {
    if (typeof p === "number" && p >= 0 && p <= 1) return p;
    throw new ArgumentError(`${name}: p must be a number from 0 to 1, not ${String(p)}`, { value: p });
  }
  if (p !== undefined) throw new ArgumentError(`${name} takes no p`, { value: p });
  return name === "median" || name === "approxMedian" ? 0.5 : undefined;
}

/** What `name` accepts, in words for messages. */
export function aggregateAccepts(name: AggregateName): string {
  switch (name) {
    case "sum":
      return "an integer, float, decimal or duration column";
    case "avg":
    case "median":
    case "quantile":
      return "an integer, float or decimal column";
    case "stringAgg":
      return "a text column";
    case "covar":
    case "covarPop":
    case "corr":
      return "two integer, float or decimal columns";
    case "approxMedian":
    case "approxQuantile":
      return "an integer or float column";
    case "first":
    case "last":
    case "argMin":
    case "argMax":
      return "a value and an order column of any types but lists, structs and other nested types";
    case "boolAnd":
    case "boolOr":
      return "a bool column";
    case "bitAnd":
    case "bitOr":
    case "bitXor":
      return "an integer column";
    default:
      if (isMoment(name)) return "an integer, float or decimal column";
      return "a column of any type but lists, structs and other nested types";
  }
}

/**
 * Type of `name` over a column of `type` (null for `count()` of rows); null when it is not defined there.
 * Dictionaries count as their values. Integer sums are 64 bits wide (accumulated in 128, an error past the
 * type); decimal sums keep their scale at 38 digits; averages and moments are float64. Of two arguments, each is to be
 * asked for.
 */
export function aggregateType(name: AggregateName, type: DataType | null): DataType | null {
  if (name === "count" && type === null) return int64;
  if (type === null) return null;
  const value = valueType(type);
  if (isCarried(value) || value.kind === "dictionary") return null;
  switch (name) {
    case "count":
    case "countDistinct":
    case "approxCountDistinct":
      return int64;
    case "min":
    case "max":
    case "any":
    case "mode":
    case "quantileDisc":
    case "first":
    case "last":
    case "argMin":
    case "argMax":
      return value;
    case "approxMedian":
    case "approxQuantile":
      return value.kind === "int" || value.kind === "float" ? float64 : null;
    case "boolAnd":
    case "boolOr":
      return value.kind === "bool" ? value : null;
    case "bitAnd":
    case "bitOr":
    case "bitXor":
      return value.kind === "int" ? value : null;
    case "topK":
    case "bottomK":
    case "arrayAgg":
      return list(value);
    case "stringAgg":
      return value.kind === "utf8" || value.kind === "largeUtf8" ? value : null;
    case "sum":
      if (value.kind === "int") return value.signed ? int64 : uint64;
      if (value.kind === "float") return float64;
      if (value.kind === "decimal") return decimal(38, value.scale);
      return value.kind === "duration" ? value : null;
    default:
      return value.kind === "int" || value.kind === "float" || value.kind === "decimal" ? float64 : null;
  }
}
