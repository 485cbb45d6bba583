// Plans as users build them: `from("orders").where(...).groupBy("seller").aggregate({...})`.
//
// A Plan is immutable; every method answers a new one. Where the schema of the source is known each step is
// typed at once, so a wrong column fails on the line that names it.

import type { DataType, Field, Schema } from "../type/data-type.js";
import { ArgumentError, PlanError } from "../type/error.js";
import { Aggregate } from "./aggregate.js";
import { bind, bindNode } from "./bind.js";
import { bindJoin } from "./bind-join.js";
import { bindSet } from "./bind-set.js";
import { type CountWindowOptions, countWindowSteps } from "./count-window.js";
import { explain } from "./explain.js";
import { col, type Expression, nodeOf, type Operand } from "./expression.js";
import { type ExpandedGrouping, expandGrouping, type Grouping, GroupingIndicator } from "./grouping.js";
import { type Joined, type JoinKeys, type JoinOptions, joinNode } from "./join.js";
import { type AsofJoined, type AsofJoinOptions, type AsofKeys, asofNode } from "./join-time.js";
import type {
  BoundPlan,
  GroupingNode,
  JoinHow,
  NamedAggregate,
  PlanNode,
  SetNode,
  SortColumn,
  SourceNode,
  StepNode,
} from "./logical.js";
import {
  type DeduplicateOptions,
  frameNumber,
  type OverOptions,
  overNode,
  rowNumber,
  type WindowFunction,
} from "./over.js";
import type { AnyRow, Flat, NamesOf, Resolve, ValueOf } from "./result.js";
import { namedExpressions } from "./selection.js";
import { readTableSchema } from "./table.js";
import { Window, type WindowSize } from "./window.js";

declare const row: unique symbol;

/** Columns by name, computed or plain. */
export type Selection<Row> = NamesOf<Row> | Readonly<Record<string, Operand<NamesOf<Row>>>>;

/** Row type of `select`. */
export type Selected<Row, S extends readonly unknown[]> = Flat<
  UnionToIntersection<SelectedOne<Row, S[number]>>
>;

type SelectedOne<Row, C> = C extends string
  ? { [K in C]: K extends keyof Row ? Row[K] : unknown }
  : { [K in keyof C & string]: OperandValue<Row, C[K]> };

type OperandValue<Row, O> = O extends Expression<string, infer R> ? Resolve<Row, R> : O;

type UnionToIntersection<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer I) => void
  ? I
  : never;

/** Row type of `withColumns`. */
export type Extended<Row, C> = Flat<Omit<Row, keyof C> & { [K in keyof C]: OperandValue<Row, C[K]> }>;

/** Row type of `rename`. */
export type Renamed<Row, M> = Flat<{ [K in keyof Row as K extends keyof M ? M[K] & string : K]: Row[K] }>;

/** Row type of `aggregate`. */
export type Aggregated<Row, Keys, A> = Flat<
  Keys & {
    [K in keyof A]: A[K] extends Aggregate<string, infer R>
      ? Resolve<Row, R>
      : A[K] extends GroupingIndicator
        ? bigint
        : unknown;
  }
>;

/** A key of `groupBy`: a column, columns by name, or sets of them. */
export type Key<Row> = Selection<Row> | Grouping<NamesOf<Row>, unknown>;

/** Columns that `groupBy` makes: the keys of a grouping are null where a row does not group by them. */
export type Grouped<Row, S extends readonly unknown[]> = Flat<
  UnionToIntersection<GroupedOne<Row, S[number]>>
>;

type GroupedOne<Row, K> =
  K extends Grouping<string, infer C>
    ? { [P in keyof Columns<Row, C>]: Columns<Row, C>[P] | null }
    : SelectedOne<Row, K>;

type Columns<Row, C> = UnionToIntersection<SelectedOne<Row, C>>;

/** What `aggregate` computes: aggregates, and after grouping sets also `grouping("key")`. */
export type Computed<Row, Keys> = Readonly<
  Record<string, Aggregate<NamesOf<Row>, unknown> | GroupingIndicator<NamesOf<Keys>>>
>;

/** What `over` computes beside each row. */
export type OverFunctions<Row> = Readonly<Record<string, Aggregate<NamesOf<Row>, unknown> | WindowFunction>>;

/** Row type of `over`. */
export type WithFunctions<Row, F> = Flat<
  Row & {
    [K in keyof F]: F[K] extends Aggregate<string, infer R>
      ? Resolve<Row, R>
      : F[K] extends WindowFunction<infer R>
        ? Resolve<Row, R>
        : unknown;
  }
>;

/** Row type of `countWindow`. */
export type CountWindowed<Row, By extends string, On extends string, A> = Flat<
  { [K in By]: Row[K & keyof Row] } & { [K in "window_start" | "window_end"]: Row[On & keyof Row] } & {
    [K in keyof A]: A[K] extends Aggregate<string, infer R> ? Resolve<Row, R> : unknown;
  }
>;

/** The columns that a window over the time column `C` adds, of that column's type. */
export type WindowColumns<Row, C extends string> = {
  readonly [K in "window_start" | "window_end" | "window_time"]: Row[C & keyof Row];
};

/** A sort key: build it with `asc` or `desc`. */
export interface SortKey<N extends string = string> {
  readonly column: N;
  readonly descending: boolean;
  readonly nulls: "first" | "last";
}

interface NullOrder {
  /** Where nulls go, whatever the direction; "last" when left out. */
  readonly nulls?: "first" | "last";
}

/** Ascending by a column; nulls last unless told otherwise. */
export function asc<const N extends string>(column: N, { nulls = "last" }: NullOrder = {}): SortKey<N> {
  return { column, descending: false, nulls };
}

/** Descending by a column; nulls last unless told otherwise. */
export function desc<const N extends string>(column: N, { nulls = "last" }: NullOrder = {}): SortKey<N> {
  return { column, descending: true, nulls };
}

/** A distance of `deduplicate` as the beginning of a frame. */
function before(within: WindowSize): WindowSize {
  const text = String(within).trim();
  const isNumber = typeof within !== "string";
  if (isNumber ? within > 0 : !text.startsWith("-")) return isNumber ? -within : `-${text}`;
  throw new PlanError(`deduplicate: within is above 0, not ${text}`, { value: within, expected: "above 0" });
}

/** The column by which `deduplicate` tells which row is kept. */
const NUMBER = "number of equal row";

/** What is to be computed. Run it with an engine; look at it with `explain`. */
export class Plan<out Row = AnyRow> {
  declare readonly [row]: Row;
  /** @internal */
  readonly node: PlanNode;
  /** @internal Null until the source's schema is known. */
  readonly bound: BoundPlan | null;

  /** @internal */
  constructor(node: PlanNode, bound: BoundPlan | null) {
    this.node = node;
    this.bound = bound;
    Object.freeze(this);
  }

  /** Columns of the result, where the source's schema is known already; else null. */
  get schema(): Schema | null {
    return this.bound === null ? null : this.bound.schema;
  }

  /** Rows where every condition is true (not false, not null). After an aggregate, SQL's HAVING. */
  where(...conditions: Operand<NamesOf<Row>>[]): Plan<Row> {
    let plan: Plan<Row> = this;
    for (const condition of conditions) {
      plan = plan.#then({ kind: "where", input: plan.node, condition: nodeOf(condition) });
    }
    return plan;
  }

  /** Only these columns, in this order: names, and objects of new names with expressions. */
  select<const S extends readonly Selection<Row>[]>(...columns: S): Plan<Selected<Row, S>> {
    if (columns.length === 0) throw new PlanError("select takes at least one column");
    return this.#then({ kind: "select", input: this.node, columns: columns.flatMap(namedExpressions) });
  }

  /** All columns, with these added at the end or put in the place of those of the same name. */
  withColumns<const C extends Readonly<Record<string, Operand<NamesOf<Row>>>>>(
    columns: C,
  ): Plan<Extended<Row, C>> {
    return this.#then({ kind: "withColumns", input: this.node, columns: namedExpressions(columns) });
  }

  /** All columns but these. */
  drop<const N extends NamesOf<Row>>(...names: N[]): Plan<Flat<Omit<Row, N>>> {
    return this.#then({ kind: "drop", input: this.node, names });
  }

  /** The same columns under new names: `rename({ old: "new" })`. */
  rename<const M extends { readonly [K in NamesOf<Row>]?: string }>(names: M): Plan<Renamed<Row, M>> {
    const map = new Map(Object.entries(names as Record<string, string>));
    return this.#then({ kind: "rename", input: this.node, names: map });
  }

  /**
   * Groups of equal keys: names, and objects of new names with expressions. Nulls are a group of their own,
   * -0 equals 0, all NaNs are one group. Also `rollup(...)`, `cube(...)` and `groupingSets(...)`: several
   * groupings at once.
   */
  groupBy<const S extends readonly Key<Row>[]>(...keys: S): GroupedPlan<Row, Grouped<Row, S>> {
    return new GroupedPlan(this as Plan<Row>, expandGrouping(keys));
  }

  /** Each different row once: of all columns, or of the columns and expressions that are named. */
  distinct<const S extends readonly Selection<Row>[]>(
    ...columns: S
  ): Plan<S extends readonly [] ? Row : Selected<Row, S>> {
    const keys = columns.length === 0 ? null : columns.flatMap(namedExpressions);
    return this.#then({ kind: "distinct", input: this.node, keys });
  }

  /**
   * Cuts the rows into windows of event time: `tumble`, `hop`, `cumulate`, `session` or `global`. Then
   * `groupBy(...).aggregate(...)`, or `aggregate(...)` alone.
   */
  window<const C extends NamesOf<Row>>(window: Window<C>): WindowedPlan<Row, WindowColumns<Row, C>> {
    if (!(window instanceof Window)) {
      throw new ArgumentError(`window takes tumble, hop, cumulate, session or global`, {
        value: window,
        expected: `such as tumble("ts", "1 minute")`,
      });
    }
    return new WindowedPlan(this as Plan<Row>, window);
  }

  /** One row over all rows, also over none. */
  aggregate<const A extends Readonly<Record<string, Aggregate<NamesOf<Row>, unknown>>>>(
    aggregates: A,
  ): Plan<Aggregated<Row, unknown, A>> {
    const grouping = { keys: [], sets: null };
    return new GroupedPlan<Row, unknown>(this as Plan<Row>, grouping).aggregate(aggregates);
  }

  /**
   * Rows in order: names (ascending), `asc(name)` and `desc(name)`. Rows that these do not tell apart are
   * ordered by all other columns, so that the result is the same every time. -Inf .. -0 < 0 .. Inf < NaN.
   */
  orderBy(...keys: (NamesOf<Row> | SortKey<NamesOf<Row>>)[]): Plan<Row> {
    if (keys.length === 0) throw new PlanError("orderBy takes at least one column");
    return this.#then({ kind: "orderBy", input: this.node, by: keys.map(sortColumn) });
  }

  /**
   * Rows of the source are changes: its int8 column `row_kind` says which, 0 +I, 1 -U, 2 +U, 3 -D. Right after
   * `from`. `where` and `select` hand changes on, with `row_kind` as the result's last column; aggregations take the
   * rows of -U and -D back, and groups that are left without rows disappear.
   */
  changelog(): Plan<Flat<Omit<Row, "row_kind">>> {
    const { node } = this;
    if (node.kind !== "source") {
      throw new PlanError(`changelog says what a source is: from(...).changelog(), not after ${node.kind}`, {
        value: node.kind,
      });
    }
    const source: SourceNode = { ...node, changelog: true };
    return new Plan(source, source.schema === null ? null : bind({ node: source }));
  }

  /**
   * Each row with window functions beside it: aggregates over the rows of its partition up to it or over a frame that
   * slides with it, `rowNumber()`, `rank()`, `denseRank()`, `lag`, `lead`, `firstValue`, `lastValue`. See `OverOptions`.
   * Rows that `orderBy` does not tell apart go by all other columns, so that the result is the same whatever the order
   * of arrival; the order of result rows is unspecified.
   */
  over<const F extends OverFunctions<Row>>(
    options: OverOptions<NamesOf<Row>, NamesOf<Row> | SortKey<NamesOf<Row>>>,
    functions: F,
  ): Plan<WithFunctions<Row, F>> {
    const { orderBy = [] } = options;
    const keys = (Array.isArray(orderBy) ? orderBy : [orderBy]) as readonly (string | SortKey)[];
    return this.#then(overNode(this.node, options as OverOptions, keys.map(sortColumn), functions));
  }

  /**
   * Windows of `size` rows of each key, in the order of `orderBy`; a new one begins at every `slide`-th row. Only full
   * windows are results: the key, `window_start` and `window_end` (`orderBy` of the first and of the last row), the
   * aggregates. In a stream a window leaves when the watermark has passed its last row. See `CountWindowOptions`.
   */
  countWindow<
    const By extends NamesOf<Row>,
    const On extends NamesOf<Row>,
    const A extends Readonly<Record<string, Aggregate<NamesOf<Row>, unknown>>>,
  >(
    { by = [], orderBy, size, slide = size }: CountWindowOptions<By, On | SortKey<On>>,
    aggregates: A,
  ): Plan<CountWindowed<Row, By, On, A>> {
    const names = (typeof by === "string" ? [by] : by) as readonly string[];
    const key = sortColumn(orderBy as string | SortKey);
    const steps = countWindowSteps(
      names,
      key.column,
      size,
      slide,
      aggregates as Readonly<Record<string, Aggregate>>,
    );
    const options = { partitionBy: names, rows: steps.rows };
    return (this.#then(overNode(this.node, options, [key], steps.functions)) as Plan<AnyRow>)
      .where(steps.ends)
      .select(steps.columns) as unknown as Plan<CountWindowed<Row, By, On, A>>;
  }

  /**
   * One row of those with equal columns `by`: the first or last one by `orderBy`; of several such rows the first in the
   * order of all other columns. In a stream the first rows leave when the watermark of that column has passed them;
   * last rows leave at the end of input. `within` bounds how far apart duplicates are, and so what is kept of keys.
   */
  deduplicate({ by, keep = "first", orderBy, within }: DeduplicateOptions<NamesOf<Row>>): Plan<Row> {
    if (keep !== "first" && keep !== "last") {
      throw new ArgumentError(`deduplicate keeps "first" or "last"`, {
        value: keep,
        expected: `"first" or "last"`,
      });
    }
    if (by.length === 0) throw new PlanError("deduplicate takes at least one column");
    if (within !== undefined && keep === "last") {
      throw new PlanError(`deduplicate: within is of keep "first": a last row is one when no other comes`, {
        value: within,
        expected: `keep "first"`,
      });
    }
    const order = { column: orderBy as string, descending: keep === "last", nulls: "last" as const };
    const partitionBy = by as string | readonly string[];
    const number = within === undefined ? rowNumber() : frameNumber();
    const frame =
      within === undefined ? { rows: ["unbounded", 0] as const } : { range: [before(within), 0] as const };
    const numbered = overNode(this.node, { partitionBy, ...frame }, [sortColumn(order)], {
      [NUMBER]: number,
    });
    return (this.#then(numbered) as Plan<AnyRow>)
      .where(col(NUMBER).eq(1))
      .drop(NUMBER) as unknown as Plan<Row>;
  }

  /** The first `count` rows after `offset`; without `orderBy`, by the order of all columns. */
  limit(count: number, offset = 0): Plan<Row> {
    for (const value of [count, offset]) {
      if (!Number.isSafeInteger(value) || value < 0) {
        throw new ArgumentError(`limit takes a whole number of rows, not ${value}`, { value });
      }
    }
    return this.#then({ kind: "limit", input: this.node, count, offset });
  }

  /**
   * Rows of this plan beside rows of another whose key columns are equal: see `JoinOptions`. A null key equals
   * nothing, -0 equals 0, NaN equals NaN. The result has the columns of this plan, then the other's; a key of
   * one name on both sides is one column, and any other right column whose name is taken gets the suffix.
   * "semi" and "anti" keep rows of this plan that have a match, or have none. The order of rows is unspecified.
   */
  join<
    Right,
    const On extends JoinKeys<Row, Right> = never,
    const How extends JoinHow = "inner",
    const Suffix extends string = "_right",
  >(
    right: Plan<Right>,
    options: JoinOptions<Row, Right, On, How, Suffix>,
  ): Plan<Joined<Row, Right, On, How, Suffix>> {
    if (!(right instanceof Plan)) {
      throw new ArgumentError("join takes another plan: build it with from(...)", { value: right });
    }
    const node = joinNode(this.node, right.node, options);
    const known = this.bound !== null && right.bound !== null;
    return new Plan(node, known ? bindJoin(node, this.bound, right.bound) : null);
  }

  /**
   * Each row of this plan beside the one row of another that is nearest to it in time: by default the latest at
   * or before it, of equal keys (`by`). So rows meet the version of something that was valid then. Of right rows of
   * one time, the last in the order of their columns counts. The result has the columns of this plan, then the
   * other's, as `join` names them. In a stream a row waits until the watermarks of both sides prove its answer.
   */
  asofJoin<
    Right,
    const By extends AsofKeys<Row, Right> = never,
    const How extends "left" | "inner" = "left",
    const Suffix extends string = "_right",
  >(
    right: Plan<Right>,
    options: AsofJoinOptions<Row, Right, By, How, Suffix>,
  ): Plan<AsofJoined<Row, Right, By, How, Suffix>> {
    if (!(right instanceof Plan)) {
      throw new ArgumentError("asofJoin takes another plan: build it with from(...)", { value: right });
    }
    const node = asofNode(this.node, right.node, options);
    const known = this.bound !== null && right.bound !== null;
    return new Plan(node, known ? bindJoin(node, this.bound, right.bound) : null);
  }

  /**
   * All rows of this plan and of another with the same columns (in any order). Types meet as in comparisons.
   * Without `orderBy` the order of rows is unspecified. Changes of either side are followed: the result has `row_kind`
   * as its last column then, and a row of a side that only adds some is a +I.
   */
  unionAll<Right extends { [K in keyof Row]: unknown }>(
    right: Plan<Right>,
  ): Plan<Flat<{ [K in keyof Row]: Row[K] | Right[K] }>> {
    return this.#beside(right, "union all");
  }

  /** Distinct rows that another plan with the same columns has too; nulls are equal. */
  intersect<Right extends { [K in keyof Row]: unknown }>(right: Plan<Right>): Plan<Row> {
    return this.#beside(right, "intersect");
  }

  /** Distinct rows that another plan with the same columns has not; nulls are equal. */
  except<Right extends { [K in keyof Row]: unknown }>(right: Plan<Right>): Plan<Row> {
    return this.#beside(right, "except");
  }

  /** The plan as readable text; `schemas` types a source that the plan only names. See `explain`. */
  explain(schemas?: Readonly<Record<string, Schema>>): string {
    return explain(this, schemas);
  }

  /** @internal The plan with one more node, typed at once where the schema is known. */
  extend<Next>(node: StepNode): Plan<Next> {
    return this.#then(node);
  }

  #beside<Next>(right: Plan<unknown>, operation: SetNode["operation"]): Plan<Next> {
    if (!(right instanceof Plan)) {
      throw new ArgumentError(`${operation} takes another plan: build it with from(...)`, { value: right });
    }
    const node: SetNode = { kind: "set", operation, left: this.node, right: right.node };
    const known = this.bound !== null && right.bound !== null;
    return new Plan(node, known ? bindSet(node, this.bound, right.bound) : null);
  }

  #then<Next>(node: StepNode): Plan<Next> {
    return new Plan<Next>(node, this.bound === null ? null : bindNode(node, this.bound));
  }
}

/** A plan whose rows are grouped and wait to be aggregated. */
export class GroupedPlan<Row, Keys> {
  readonly #plan: Plan<Row>;
  readonly #grouping: ExpandedGrouping;
  readonly #window: Window | undefined;

  /** @internal */
  constructor(plan: Plan<Row>, grouping: ExpandedGrouping, window?: Window) {
    this.#plan = plan;
    this.#grouping = grouping;
    this.#window = window;
  }

  /** One row per group (and window): the window's columns, the keys, then these. Of no aggregates, the distinct keys. */
  aggregate<const A extends Computed<Row, Keys>>(aggregates: A): Plan<Aggregated<Row, Keys, A>> {
    const columns: NamedAggregate[] = [];
    const indicators: GroupingNode["indicators"][number][] = [];
    Object.entries(aggregates).forEach(([name, aggregate], position) => {
      if (aggregate instanceof Aggregate) columns.push({ name, aggregate: aggregate.node });
      else if (aggregate instanceof GroupingIndicator) {
        indicators.push({ name, keys: aggregate.keys, position });
      } else {
        throw new ArgumentError(`aggregate: "${name}" is not an aggregate such as sum("amount")`, {
          column: name,
          value: aggregate,
        });
      }
    });
    const input = this.#plan.node;
    const { keys } = this.#grouping;
    const sets = this.#grouping.sets ?? [keys.map((_, index) => index)];
    const grouping = this.#grouping.sets === null && indicators.length === 0 ? null : { sets, indicators };
    const window = this.#window?.node;
    return this.#plan.extend({ kind: "aggregate", input, window, keys, aggregates: columns, grouping });
  }
}

/** A plan whose rows are cut into windows and wait to be grouped or aggregated. */
export class WindowedPlan<Row, Columns> {
  readonly #plan: Plan<Row>;
  readonly #window: Window;

  /** @internal */
  constructor(plan: Plan<Row>, window: Window) {
    this.#plan = plan;
    this.#window = window;
  }

  /** Groups of equal keys in each window; see `Plan.groupBy`. */
  groupBy<const S extends readonly Selection<Row>[]>(
    ...keys: S
  ): GroupedPlan<Row, Columns & Selected<Row, S>> {
    return new GroupedPlan(this.#plan, expandGrouping(keys), this.#window);
  }

  /**
   * One row for each window that has rows: `window_start`, `window_end` (the first moment that is not in it),
   * `window_time` (the last that is), then these.
   */
  aggregate<const A extends Readonly<Record<string, Aggregate<NamesOf<Row>, unknown>>>>(
    aggregates: A,
  ): Plan<Aggregated<Row, Columns, A>> {
    return new GroupedPlan<Row, Columns>(this.#plan, expandGrouping([]), this.#window).aggregate(aggregates);
  }
}

function sortColumn(key: string | SortKey): SortColumn {
  const { column, descending, nulls } = typeof key === "string" ? asc(key) : key;
  return { column, descending, nullsFirst: nulls === "first" };
}

/** Columns of a source with their types. */
export type SourceTypes = Readonly<Record<string, DataType>>;

/** Row type of a declared source. */
export type RowOf<T extends SourceTypes> = { [K in keyof T]: ValueOf<T[K]> };

/** A source whose columns are declared: see `source`. */
export class Source<out Row = AnyRow> {
  declare readonly [row]: Row;
  readonly name: string;
  readonly schema: Schema;
  readonly isChangelog: boolean;

  /** @internal */
  constructor(name: string, schema: Schema, isChangelog: boolean) {
    this.name = name;
    this.schema = schema;
    this.isChangelog = isChangelog;
    Object.freeze(this);
  }
}

/**
 * Declares a source's columns: `source("orders", { seller: utf8, amount: decimal(12, 2) })`. Plans over it
 * are typed when they are written, by TypeScript as well. The data may have more columns; these must be there.
 * With `changelog: true` its rows are changes, and the data has the int8 column `row_kind`, which need not be
 * declared: see `Plan.changelog`.
 */
export function source<const T extends SourceTypes>(
  name: string,
  types: T,
  { changelog = false }: { readonly changelog?: boolean } = {},
): Source<RowOf<T>> {
  const fields: Field[] = Object.entries(types).map(([column, type]) => ({
    name: column,
    type,
    nullable: true,
  }));
  return new Source(name, { fields }, changelog);
}

/** The rows of an Arrow table, as far as its type says: structural, so any copy of apache-arrow will do. */
export type RowOfTable<T> = T extends { get(index: number): infer R }
  ? NonNullable<R> extends { toJSON(): infer Json }
    ? string extends keyof Json
      ? AnyRow
      : Json
    : AnyRow
  : AnyRow;

/**
 * A plan that reads a source: one named when it runs, a declared `source(...)`, or an Arrow table (which
 * then need not be named again).
 */
export function from(name: string): Plan;
export function from<Row>(declared: Source<Row>): Plan<Row>;
export function from<T extends object>(table: T): Plan<RowOfTable<T>>;
export function from(what: string | object): Plan {
  if (typeof what === "string") return start(what, null, null);
  if (what instanceof Source) return start(what.name, what.schema, null, what.isChangelog);
  return start("table", readTableSchema(what), what);
}

function start(name: string, schema: Schema | null, data: unknown, changelog = false): Plan {
  const node: SourceNode = { kind: "source", name, schema, data, changelog };
  return new Plan(node, schema === null ? null : bind({ node }));
}
