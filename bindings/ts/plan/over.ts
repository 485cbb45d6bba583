// Window functions as users write them: `over({ partitionBy: "seller", orderBy: "ts" }, { total: sum("amount") })`.
//
// Every row stays and gets columns beside it: aggregates over the rows of its partition up to it, and its place among
// them. Which frames there are is decided here; types in bind-over.ts.

import { ArgumentError, PlanError } from "../type/error.js";
import { Aggregate, type AggregateNode, aggregateText } from "./aggregate.js";
import type { PlanNode, SortColumn } from "./logical.js";

declare const result: unique symbol;

/** Functions of a row's place, not of its values. */
export type CountingName = "rowNumber" | "rank" | "denseRank";

/**
 * The rows that an aggregate sees: from the partition's first to this one ("rows"), to the last one of equal order
 * ("range"), or all of the partition.
 */
export type OverFrameName = "rows" | "range" | "all";

export type OverFunctionNode = { readonly aggregate: AggregateNode } | { readonly counting: CountingName };

/** A function of a row's place in its partition: `rowNumber()`, `rank()`, `denseRank()`. */
export class WindowFunction<out Result = unknown> {
  declare readonly [result]: Result;
  /** @internal */
  readonly counting: CountingName;

  /** @internal */
  constructor(counting: CountingName) {
    this.counting = counting;
    Object.freeze(this);
  }

  toString(): string {
    return `${this.counting}()`;
  }
}

/** The row's number in its partition, from 1 on; rows that `orderBy` does not tell apart go by all other columns. */
export function rowNumber(): WindowFunction<bigint> {
  return new WindowFunction("rowNumber");
}

/** The number of the first row that `orderBy` does not tell from this one: 1, 2, 2, 4. */
export function rank(): WindowFunction<bigint> {
  return new WindowFunction("rank");
}

/** How many different values of `orderBy` there are up to this row's: 1, 2, 2, 3. */
export function denseRank(): WindowFunction<bigint> {
  return new WindowFunction("denseRank");
}

/** Where a frame begins and ends: the partition's first row, and this row (0) or the partition's last one. */
export type Frame = readonly ["unbounded", 0 | "unbounded"];

export interface OverOptions<Names extends string = string, Key = unknown> {
  /** Rows with equal values of these columns are one partition; left out, all rows are. Nulls are equal. */
  readonly partitionBy?: Names | readonly Names[];
  /**
   * The order of a partition's rows: names (ascending), `asc(name)` and `desc(name)`. In a stream, where it begins with
   * the column of the watermark, rows leave when the watermark has passed them, else at the end of input.
   */
  readonly orderBy?: Key | readonly Key[];
  /** Frame by rows: `["unbounded", 0]` ends with this very row. */
  readonly rows?: Frame;
  /**
   * Frame by order: `["unbounded", 0]`, the default, takes in all rows that `orderBy` does not tell from this one.
   * Without `orderBy` these are all of the partition.
   */
  readonly range?: Frame;
}

/** Which row of equal keys `deduplicate` keeps. */
export interface DeduplicateOptions<Names extends string = string> {
  /** Rows with equal values of these columns are duplicates. Nulls are equal. */
  readonly by: Names | readonly Names[];
  /** The row where `orderBy` is least ("first", the default) or greatest ("last"). */
  readonly keep?: "first" | "last";
  /** The column that says which row is first; rows where it is null come after all others, whichever is kept. */
  readonly orderBy: Names;
}

/** @throws PlanError or ArgumentError for what is not a frame, or no window function. */
export function overNode(
  input: PlanNode,
  { partitionBy = [], rows, range }: OverOptions,
  orderBy: readonly SortColumn[],
  functions: Readonly<Record<string, unknown>>,
): Extract<PlanNode, { kind: "over" }> {
  const columns = Object.entries(functions).map(([name, fn]) => ({ name, fn: functionNode(name, fn) }));
  if (columns.length === 0) throw new PlanError("over takes at least one window function");
  const ranked = columns.find(({ fn }) => "counting" in fn && fn.counting !== "rowNumber");
  if (ranked !== undefined && orderBy.length === 0) {
    throw new PlanError(`over: "${ranked.name}" ranks rows by orderBy, which is not given`, {
      column: ranked.name,
      expected: "orderBy",
    });
  }
  const partition = typeof partitionBy === "string" ? [partitionBy] : partitionBy;
  const frame = frameName(rows, range, orderBy.length > 0);
  return { kind: "over", input, partitionBy: partition, orderBy, frame, columns };
}

function functionNode(name: string, fn: unknown): OverFunctionNode {
  if (fn instanceof Aggregate) return { aggregate: fn.node };
  if (fn instanceof WindowFunction) return { counting: fn.counting };
  throw new ArgumentError(`over: "${name}" is not a window function such as rowNumber() or sum("amount")`, {
    column: name,
    value: fn,
    expected: "an aggregate, rowNumber(), rank() or denseRank()",
  });
}

function frameName(rows: Frame | undefined, range: Frame | undefined, ordered: boolean): OverFrameName {
  if (rows !== undefined && range !== undefined) {
    throw new PlanError("over: a frame goes by rows or by range, not by both", { value: rows });
  }
  const frame = rows ?? range ?? ["unbounded", 0];
  const [from, to] = Array.isArray(frame) ? frame : [];
  if (from !== "unbounded" || (to !== 0 && to !== "unbounded") || frame.length !== 2) {
    const expected = `["unbounded", 0] or ["unbounded", "unbounded"]`;
    throw new PlanError(`over: frames are ${expected}`, { value: frame, expected });
  }
  if (to === "unbounded") return "all";
  if (rows !== undefined) return "rows";
  return ordered ? "range" : "all";
}

/** @internal As messages and `explain` show it. */
export function functionText(fn: OverFunctionNode): string {
  return "counting" in fn ? `${fn.counting}()` : aggregateText(fn.aggregate);
}

const FRAMES: { readonly [name in OverFrameName]: string } = {
  rows: "rows up to this one",
  range: "range up to this one",
  all: "the whole partition",
};

/** @internal What stands behind the functions. */
export function overText(
  partition: readonly string[],
  order: readonly string[],
  frame: OverFrameName,
): string {
  const parts = [
    ...(partition.length === 0 ? [] : [`partition by ${partition.join(", ")}`]),
    ...(order.length === 0 ? [] : [`order by ${order.join(", ")}`]),
    FRAMES[frame],
  ];
  return `over (${parts.join(", ")})`;
}
