// Window functions as users write them: `over({ partitionBy: "seller", orderBy: "ts" }, { total: sum("amount") })`.
//
// Every row stays and gets columns beside it: aggregates over the rows of its partition up to it, and its place among
// them. Which frames there are is decided here; types in bind-over.ts.

import { ArgumentError, PlanError } from "../type/error.js";
import { Aggregate, type AggregateNode, type Argument, aggregateText, argumentNode } from "./aggregate.js";
import { nodeOf, type Operand } from "./expression.js";
import type { PlanNode, SortColumn } from "./logical.js";
import type { ExpressionNode } from "./node.js";
import type { ColumnResult, NullableResult } from "./result.js";
import { expressionText } from "./text.js";
import type { WindowSize } from "./window.js";

declare const result: unique symbol;

/** Functions of a row's place, not of its values. `frameNumber`, among the rows of its frame, is for `deduplicate`. */
export type CountingName = "rowNumber" | "rank" | "denseRank" | "frameNumber";

/** Values of other rows: of the one `offset` after this one (before it, if below 0), of the frame's first or last. */
export interface RowValueNode {
  readonly fn: "lag" | "lead" | "firstValue" | "lastValue";
  readonly argument: ExpressionNode;
  readonly offset: number;
  /** Of `lag` and `lead`: what stands where there is no such row; null for none. */
  readonly otherwise: ExpressionNode | null;
}

export type OverFunctionNode =
  | { readonly aggregate: AggregateNode }
  | { readonly counting: CountingName }
  | { readonly value: RowValueNode };

/** A function of a row's place in its partition, such as `rowNumber()`, or of another row's values, such as `lag("x")`. */
export class WindowFunction<out Result = unknown> {
  declare readonly [result]: Result;
  /** @internal */
  readonly node: Exclude<OverFunctionNode, { aggregate: AggregateNode }>;

  /** @internal */
  constructor(node: Exclude<OverFunctionNode, { aggregate: AggregateNode }>) {
    this.node = node;
    Object.freeze(this);
  }

  toString(): string {
    return functionText(this.node);
  }
}

/** The row's number in its partition, from 1 on; rows that `orderBy` does not tell apart go by all other columns. */
export function rowNumber(): WindowFunction<bigint> {
  return new WindowFunction({ counting: "rowNumber" });
}

/** The number of the first row that `orderBy` does not tell from this one: 1, 2, 2, 4. */
export function rank(): WindowFunction<bigint> {
  return new WindowFunction({ counting: "rank" });
}

/** How many different values of `orderBy` there are up to this row's: 1, 2, 2, 3. */
export function denseRank(): WindowFunction<bigint> {
  return new WindowFunction({ counting: "denseRank" });
}

export interface LagOptions {
  /** How many rows before (`lag`) or after (`lead`), 1 when left out; 0 is the row itself. */
  readonly offset?: number;
  /** What stands where the partition has no such row: a value, or an expression of this row. Null when left out. */
  readonly default?: Operand;
}

/** The value of the partition's row `offset` before this one, in the order of `orderBy`, whatever the frame. */
export function lag<const N extends string, R = ColumnResult<N>>(
  argument: Argument<N, R>,
  options?: LagOptions,
): WindowFunction<NullableResult<R>> {
  return shifted("lag", argument, options);
}

/** The value of the partition's row `offset` after this one; see `lag`. In a stream a row waits for that one. */
export function lead<const N extends string, R = ColumnResult<N>>(
  argument: Argument<N, R>,
  options?: LagOptions,
): WindowFunction<NullableResult<R>> {
  return shifted("lead", argument, options);
}

/** The value of the first row in the frame; null where it has none. */
export function firstValue<const N extends string, R = ColumnResult<N>>(
  argument: Argument<N, R>,
): WindowFunction<NullableResult<R>> {
  return new WindowFunction({
    value: { fn: "firstValue", argument: argumentNode(argument), offset: 0, otherwise: null },
  });
}

/** The value of the last row in the frame; null where it has none. */
export function lastValue<const N extends string, R = ColumnResult<N>>(
  argument: Argument<N, R>,
): WindowFunction<NullableResult<R>> {
  return new WindowFunction({
    value: { fn: "lastValue", argument: argumentNode(argument), offset: 0, otherwise: null },
  });
}

function shifted<R>(
  fn: "lag" | "lead",
  argument: Argument<string, unknown>,
  { offset = 1, default: otherwise }: LagOptions = {},
): WindowFunction<R> {
  if (!Number.isInteger(offset) || offset < 0 || offset > FURTHEST) {
    throw new ArgumentError(`${fn}: offset is a number of rows, not ${String(offset)}`, {
      value: offset,
      expected: "a whole number from 0 on",
    });
  }
  return new WindowFunction({
    value: {
      fn,
      argument: argumentNode(argument),
      offset: fn === "lag" ? -offset : offset,
      otherwise: otherwise === undefined || otherwise === null ? null : nodeOf(otherwise),
    },
  });
}

/** What the kernel takes of a number of rows. */
const FURTHEST = 0x7fffffff;

/**
 * Where a frame begins and ends, from this row: a number of rows (`rows`) or a distance in the value of `orderBy`
 * (`range`: of times a text such as `"-5 minutes"`), below 0 before it, above 0 after it; 0 this row itself, by range
 * with all that `orderBy` does not tell from it; "unbounded" the partition's first or last row.
 */
export type Frame = readonly [from: WindowSize, to: WindowSize];

/** A frame as it was written; null: unbounded. */
export interface FrameNode {
  readonly unit: "rows" | "range";
  readonly from: WindowSize | null;
  readonly to: WindowSize | null;
}

export interface OverOptions<Names extends string = string, Key = unknown> {
  /** Rows with equal values of these columns are one partition; left out, all rows are. Nulls are equal. */
  readonly partitionBy?: Names | readonly Names[];
  /**
   * The order of a partition's rows: names (ascending), `asc(name)` and `desc(name)`. In a stream, where it begins with
   * the column of the watermark, rows leave when the watermark has passed them, else at the end of input.
   */
  readonly orderBy?: Key | readonly Key[];
  /** Frame by rows: `["unbounded", 0]` ends with this very row, `[-6, 0]` holds seven of them. */
  readonly rows?: Frame;
  /**
   * Frame by order: `["unbounded", 0]`, the default, takes in all rows that `orderBy` does not tell from this one.
   * Without `orderBy` these are all of the partition. `["-1 hour", 0]` begins where the value of `orderBy`, which is one
   * date, timestamp or integer then, is an hour less than here.
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
  /**
   * Of `keep: "first"`: a row is a duplicate only where another one of its key comes at most so long before it in
   * `orderBy`, a time such as `"1 hour"` or a number. In a stream a key is forgotten when the watermark is so far past it.
   */
  readonly within?: WindowSize;
}

/** @internal The number of a row among those of its frame up to it. */
export function frameNumber(): WindowFunction<bigint> {
  return new WindowFunction({ counting: "frameNumber" });
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
  const frame = frameNode(rows, range, orderBy.length > 0);
  return { kind: "over", input, partitionBy: partition, orderBy, frame, columns };
}

function functionNode(name: string, fn: unknown): OverFunctionNode {
  if (fn instanceof Aggregate) return { aggregate: fn.node };
  if (fn instanceof WindowFunction) return fn.node;
  throw new ArgumentError(`over: "${name}" is not a window function such as rowNumber() or sum("amount")`, {
    column: name,
    value: fn,
    expected: "an aggregate, or a function such as rowNumber() or lag(column)",
  });
}

function frameNode(rows: Frame | undefined, range: Frame | undefined, ordered: boolean): FrameNode {
  if (rows !== undefined && range !== undefined) {
    throw new PlanError("over: a frame goes by rows or by range, not by both", { value: rows });
  }
  const unit = rows === undefined ? "range" : "rows";
  const frame = rows ?? range ?? ["unbounded", 0];
  if (!Array.isArray(frame) || frame.length !== 2 || !frame.every((bound) => isBound(bound, unit))) {
    const expected = unit === "rows" ? "two whole numbers" : `two distances, such as ["-5 minutes", 0]`;
    throw new PlanError(`over: ${unit} are ${expected}, or "unbounded"`, { value: frame, expected });
  }
  const [from, to] = frame.map((bound) => (bound === "unbounded" ? null : bound)) as (WindowSize | null)[];
  // Without an order all rows of a partition are one.
  if (unit === "range" && !ordered && from === null && to === 0) return { unit, from: null, to: null };
  return { unit, from: from!, to: to! };
}

function isBound(bound: unknown, unit: "rows" | "range"): boolean {
  if (bound === "unbounded" || (typeof bound === "string" && unit === "range")) return true;
  if (unit === "range" && typeof bound === "bigint") return true;
  const number = typeof bound === "bigint" ? Number(bound) : bound;
  return Number.isSafeInteger(number) && (unit === "range" || Math.abs(number as number) <= FURTHEST);
}

/** @internal As messages and `explain` show it. */
export function functionText(fn: OverFunctionNode): string {
  if ("counting" in fn) return `${fn.counting}()`;
  if ("aggregate" in fn) return aggregateText(fn.aggregate);
  const { fn: name, argument, offset, otherwise } = fn.value;
  const distance = Math.abs(offset) === 1 || !isShift(name) ? "" : `, ${Math.abs(offset)}`;
  const other = otherwise === null ? "" : `, default ${expressionText(otherwise)}`;
  return `${name}(${expressionText(argument)}${distance}${other})`;
}

/** @internal */
export function isShift(name: RowValueNode["fn"]): name is "lag" | "lead" {
  return name === "lag" || name === "lead";
}

/** @internal A frame as messages and `explain` show it. */
export function frameText({ unit, from, to }: FrameNode): string {
  if (from === null && to === null) return "the whole partition";
  const bound = (value: WindowSize | null) => (value === null ? "unbounded" : String(value));
  if (from === null && Number(to) === 0) return `${unit} up to this one`;
  return `${unit} ${bound(from)} to ${bound(to)}`;
}

/** @internal What stands behind the functions. */
export function overText(partition: readonly string[], order: readonly string[], frame: string): string {
  const parts = [
    ...(partition.length === 0 ? [] : [`partition by ${partition.join(", ")}`]),
    ...(order.length === 0 ? [] : [`order by ${order.join(", ")}`]),
    frame,
  ];
  return `over (${parts.join(", ")})`;
}
