// Logical plans: what is asked for, as trees. Without mode: nothing here knows streams from batches.
//
// Two forms of the same tree. PlanNode holds what the user wrote; BoundPlan holds it typed over a known
// schema (bind.ts), with the sugar gone: select, withColumns, drop and rename are all projections.

import type { AggregateName } from "../type/aggregate.js";
import type { Field, Schema } from "../type/data-type.js";
import type { AggregateNode } from "./aggregate.js";
import type { BoundJoinTime } from "./bind-join-time.js";
import type { BoundWindow } from "./bind-window.js";
import type { BoundExpression } from "./bound.js";
import type { ExpressionNode } from "./node.js";
import type { CountingName, FrameNode, OverFunctionNode } from "./over.js";
import type { WindowNode, WindowSize } from "./window.js";

export interface NamedExpression {
  readonly name: string;
  readonly expression: ExpressionNode;
}

export interface SortColumn {
  readonly column: string;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

export interface NamedAggregate {
  readonly name: string;
  readonly aggregate: AggregateNode;
}

/** Several sets of an aggregation's keys (grouping.ts). */
export interface GroupingNode {
  /** Indices into the keys; a set that comes twice gives its rows twice. */
  readonly sets: readonly (readonly number[])[];
  /** `grouping(...)`: names of keys, and where among the aggregates the column stands. */
  readonly indicators: readonly {
    readonly name: string;
    readonly keys: readonly string[];
    readonly position: number;
  }[];
}

export interface SourceNode {
  readonly kind: "source";
  readonly name: string;
  /** Null until the plan is bound. */
  readonly schema: Schema | null;
  /** The data itself, where the plan was built from it. */
  readonly data: unknown;
  /** Whether its rows are changes, of which the column `row_kind` tells the kind. */
  readonly changelog: boolean;
}

export type PlanNode =
  | SourceNode
  | { readonly kind: "where"; readonly input: PlanNode; readonly condition: ExpressionNode }
  | { readonly kind: "select"; readonly input: PlanNode; readonly columns: readonly NamedExpression[] }
  | { readonly kind: "withColumns"; readonly input: PlanNode; readonly columns: readonly NamedExpression[] }
  | { readonly kind: "drop"; readonly input: PlanNode; readonly names: readonly string[] }
  | { readonly kind: "rename"; readonly input: PlanNode; readonly names: ReadonlyMap<string, string> }
  | {
      readonly kind: "aggregate";
      readonly input: PlanNode;
      /** Cuts the rows into windows, each grouped for itself. */
      readonly window?: WindowNode | undefined;
      readonly keys: readonly NamedExpression[];
      readonly aggregates: readonly NamedAggregate[];
      /** Null: one set, of all keys. */
      readonly grouping: GroupingNode | null;
    }
  /** `keys` null: all columns. */
  | { readonly kind: "distinct"; readonly input: PlanNode; readonly keys: readonly NamedExpression[] | null }
  | { readonly kind: "orderBy"; readonly input: PlanNode; readonly by: readonly SortColumn[] }
  | { readonly kind: "limit"; readonly input: PlanNode; readonly count: number; readonly offset: number }
  | {
      readonly kind: "over";
      readonly input: PlanNode;
      readonly partitionBy: readonly string[];
      readonly orderBy: readonly SortColumn[];
      readonly frame: FrameNode;
      readonly columns: readonly { readonly name: string; readonly fn: OverFunctionNode }[];
    }
  | JoinNode
  | SetNode;

/** Rows of two plans with the same columns, matched by name. */
export interface SetNode {
  readonly kind: "set";
  readonly operation: "union all" | "intersect" | "except";
  readonly left: PlanNode;
  readonly right: PlanNode;
}

export type JoinHow = "inner" | "left" | "right" | "full" | "semi" | "anti" | "cross";

export interface JoinNode {
  readonly kind: "join";
  readonly left: PlanNode;
  readonly right: PlanNode;
  readonly how: JoinHow;
  /** Pairs of columns that must be equal; none in a cross join. */
  readonly on: readonly { readonly left: string; readonly right: string }[];
  /** Goes behind the name of a right column that the left side has too. */
  readonly suffix: string;
  readonly nullsEqual: boolean;
  /** Of "anti" by one key: a null may be equal to anything, as in SQL's NOT IN. */
  readonly nullAware: boolean;
  /** What pairs of rows must pass besides. */
  readonly residual: ExpressionNode | null;
  /** How times decide what matches; null where equal keys alone do. */
  readonly time: JoinTimeNode | null;
}

/** Names of the time columns of both sides, and which right times match a left one. */
export type JoinTimeNode =
  | {
      readonly kind: "within";
      readonly left: string;
      readonly right: string;
      readonly from: WindowSize;
      readonly to: WindowSize;
    }
  | {
      readonly kind: "asof";
      readonly left: string;
      readonly right: string;
      readonly direction: "backward" | "forward" | "nearest";
      readonly tolerance: WindowSize | null;
      /** Equal times are no match. */
      readonly strict: boolean;
    };

/** A node over one input. */
export type StepNode = Exclude<PlanNode, SourceNode | JoinNode | SetNode>;

/** The plans directly below a node: none for a source, two for a join or a set operation. */
export function inputsOf(node: PlanNode): readonly PlanNode[] {
  if (node.kind === "source") return [];
  return node.kind === "join" || node.kind === "set" ? [node.left, node.right] : [node.input];
}

/** A column of a projection: computed, or an opaque column handed through. */
export type BoundOutput =
  | { readonly name: string; readonly expression: BoundExpression }
  | { readonly name: string; readonly opaque: number };

export interface BoundAggregate {
  readonly name: string;
  readonly fn: AggregateName;
  readonly argument: BoundExpression | null;
  /** Of those that take two, of the same kind of type as the first. */
  readonly second?: BoundExpression | undefined;
  /** Of `countDistinct` of several columns: those behind the first. */
  readonly others?: readonly BoundExpression[] | undefined;
  /** Of `arrayAgg` and `stringAgg`: what orders the values, if not they themselves. */
  readonly orderBy?: BoundExpression | undefined;
  /** Of those that keep so many values. */
  readonly limit?: number | undefined;
  readonly filter: BoundExpression | null;
  readonly fast: boolean;
  /** Equal values count once, where that makes a difference. */
  readonly distinct?: boolean | undefined;
  /** What the kernel gets along: p of a quantile. */
  readonly parameter?: number | undefined;
  readonly text: string;
}

export interface BoundGrouping {
  /** Indices into the keys. */
  readonly sets: readonly (readonly number[])[];
  readonly indicators: readonly {
    readonly name: string;
    /** Indices into the keys, the highest bit first. */
    readonly keys: readonly number[];
    /** Index in the schema. */
    readonly column: number;
  }[];
}

export type BoundPlan = {
  /** Dictionary columns count as their values here. */
  readonly schema: Schema;
} & (
  | {
      readonly kind: "source";
      readonly name: string;
      readonly data: unknown;
      /** Per column of `schema`, its index in the source's own schema. */
      readonly columns: readonly number[];
      /** The source's own schema, dictionaries and all. */
      readonly sourceSchema: Schema;
      /** Of a changelog, the index of its row kinds in the source's own schema; else null. */
      readonly rowKind: number | null;
    }
  | { readonly kind: "filter"; readonly input: BoundPlan; readonly condition: BoundExpression }
  | { readonly kind: "project"; readonly input: BoundPlan; readonly columns: readonly BoundOutput[] }
  | {
      readonly kind: "aggregate";
      readonly input: BoundPlan;
      /** Then the columns WINDOW_COLUMNS come before the keys. */
      readonly window?: BoundWindow | undefined;
      readonly keys: readonly { readonly name: string; readonly expression: BoundExpression }[];
      readonly aggregates: readonly BoundAggregate[];
      /** Null: one set, of all keys. The schema has all keys, then aggregates and indicators as they were written. */
      readonly grouping: BoundGrouping | null;
      /** Emits changes after each push, with `row_kind` as the last column (changelog.ts). */
      readonly changelog: boolean;
      /** Takes rows back, as the last column of its input, `row_kind`, says. */
      readonly retracts: boolean;
    }
  | {
      readonly kind: "sort";
      readonly input: BoundPlan;
      readonly by: readonly {
        readonly column: number;
        readonly descending: boolean;
        readonly nullsFirst: boolean;
      }[];
    }
  | { readonly kind: "limit"; readonly input: BoundPlan; readonly count: number; readonly offset: number }
  | {
      /** `schema` is the input's columns, then the functions. */
      readonly kind: "over";
      readonly input: BoundPlan;
      /** Columns of the input. */
      readonly partition: readonly number[];
      readonly by: readonly {
        readonly column: number;
        readonly descending: boolean;
        readonly nullsFirst: boolean;
      }[];
      readonly frame: BoundFrame;
      readonly functions: readonly BoundOverFunction[];
    }
  | {
      /** `schema` is the left columns, then (but for semi and anti) the right ones; their names may repeat. */
      readonly kind: "join";
      readonly left: BoundPlan;
      readonly right: BoundPlan;
      /** A cross join is an inner one without keys. */
      readonly how: Exclude<JoinHow, "cross">;
      /** Over the columns of each side, of one type. */
      readonly keys: readonly BoundJoinKey[];
      /** Over the columns of both sides, the left ones first. */
      readonly residual: BoundExpression | null;
      readonly nullsEqual: boolean;
      readonly nullAware: boolean;
      readonly time: BoundJoinTime | null;
      /** Of a join that gives changes, whose last column is `row_kind` then; else null. */
      readonly changes: BoundJoinChanges | null;
    }
  /** All rows of both; their columns are those of `schema`. */
  | { readonly kind: "union"; readonly left: BoundPlan; readonly right: BoundPlan }
);

/**
 * The frame of a row, its bounds counted from there: rows, or ticks of the one order column (0: its peers too). Null:
 * the partition's first or last row.
 */
export interface BoundFrame {
  readonly unit: "rows" | "range";
  readonly from: bigint | null;
  readonly to: bigint | null;
  readonly text: string;
}

/** Another row's value, of one type with what stands where there is no such row. */
export type BoundRowValue = {
  readonly argument: BoundExpression;
  readonly otherwise: BoundExpression | null;
  readonly text: string;
} & ({ readonly fn: "firstValue" | "lastValue" } | { readonly fn: "shift"; readonly offset: bigint });

/** A window function: an aggregate over the frame, one that counts rows, or another row's value. */
export type BoundOverFunction =
  | { readonly name: string; readonly aggregate: BoundAggregate }
  | { readonly name: string; readonly counting: CountingName }
  | { readonly name: string; readonly value: BoundRowValue };

export interface BoundJoinKey {
  readonly left: BoundExpression;
  readonly right: BoundExpression;
}

export interface BoundJoinChanges {
  /** Which sides are changelogs: both, one, or, with `corrects`, perhaps none. */
  readonly left: boolean;
  readonly right: boolean;
  /** Rows without a match leave at once, and are taken back when they have one. */
  readonly corrects: boolean;
}

/** Columns of a join's side that the join hands on: all but the row kind of a changelog, its last one. */
export function joinedFields(
  { changes, ...join }: Extract<BoundPlan, { kind: "join" }>,
  side: "left" | "right",
): readonly Field[] {
  const { fields } = join[side].schema;
  return changes?.[side] === true ? fields.slice(0, -1) : fields;
}

/** The bound plans directly below a node. */
export function boundInputs(plan: BoundPlan): readonly BoundPlan[] {
  if (plan.kind === "source") return [];
  return plan.kind === "join" || plan.kind === "union" ? [plan.left, plan.right] : [plan.input];
}

/** The node over other inputs (as many as it has). */
export function withInputs(plan: BoundPlan, map: (input: BoundPlan) => BoundPlan): BoundPlan {
  if (plan.kind === "source") return plan;
  if (plan.kind === "join" || plan.kind === "union") {
    return { ...plan, left: map(plan.left), right: map(plan.right) };
  }
  return { ...plan, input: map(plan.input) };
}
