// Random plans: a source and a few steps over what the steps before have made, with other plans joined in.
//
// Each step is bound as soon as it is drawn. What does not bind is left out: the grammar here may ask for more than
// the planner allows.

import { Aggregate } from "../bindings/ts/plan/aggregate.js";
import { bindNode } from "../bindings/ts/plan/bind.js";
import { bindJoin } from "../bindings/ts/plan/bind-join.js";
import { bindSet } from "../bindings/ts/plan/bind-set.js";
import { commonType } from "../bindings/ts/plan/common-type.js";
import { asc, bind, desc, Plan } from "../bindings/ts/plan/index.js";
import {
  type BoundPlan,
  inputsOf,
  type JoinHow,
  type JoinNode,
  type JoinTimeNode,
  type NamedAggregate,
  type NamedExpression,
  type PlanNode,
  type SortColumn,
  type StepNode,
} from "../bindings/ts/plan/logical.js";
import type { ExpressionNode } from "../bindings/ts/plan/node.js";
import type { OverFunctionNode } from "../bindings/ts/plan/over.js";
import type { WindowNode, WindowSize } from "../bindings/ts/plan/window.js";
import {
  AGGREGATE_NAMES,
  aggregateType,
  distinctEffect,
  isCollect,
  isList,
  isOrderedAggregate,
  isPairAggregate,
} from "../bindings/ts/type/aggregate.js";
import { type Field, isCarried, sameType, valueType } from "../bindings/ts/type/data-type.js";
import { MillraceError } from "../bindings/ts/type/error.js";
import type { Draw } from "./draw.js";
import { drawExpression, type Want } from "./expression.js";
import { drawTable, type TableCase } from "./table.js";

export interface PlanCase {
  readonly plan: PlanNode;
  /** By the names under which the plan reads them. */
  readonly tables: Readonly<Record<string, TableCase>>;
}

interface Built {
  readonly node: PlanNode;
  readonly bound: BoundPlan;
}

const HOWS: readonly JoinHow[] = ["inner", "left", "right", "full", "semi", "anti", "cross"];
const SETS = ["union all", "union all", "intersect", "except"] as const;
/** Wider results are cut down: what joins multiply gets slow, and no more interesting. */
const MOST_COLUMNS = 14;
/** Joins that could make more rows get smaller tables: a case would take minutes. */
const MOST_PAIRS = 1_000_000;
/** The same where lists of values are made: with `emit: "onUpdate"` each batch gives the whole list once more. */
const MOST_LISTED = 4000;
/** The twin of window functions goes through a partition's rows for each of them. */
const MOST_ORDERED = 400;

export function drawPlan(draw: Draw): PlanCase {
  const drawn = new PlanDraw(draw);
  const { node } = drawn.plan(draw.chance(3) ? 40 : 12, 4);
  let { tables } = drawn;
  const most = makesLists(node) ? MOST_LISTED : MOST_PAIRS;
  while (mostRows(node, tables) > most) tables = halved(tables);
  return { plan: node, tables };
}

/** Rows that a plan's joins could make at most. */
function mostRows(node: PlanNode, tables: PlanCase["tables"]): number {
  if (node.kind === "source") return tables[node.name]!.rows.length;
  const inputs = inputsOf(node).map((input) => mostRows(input, tables));
  return inputs.reduce((all, rows) => (node.kind === "join" ? all * rows : all + rows));
}

function makesLists(node: PlanNode): boolean {
  const isOwn =
    node.kind === "aggregate" && node.aggregates.some(({ aggregate }) => isCollect(aggregate.name));
  return isOwn || inputsOf(node).some(makesLists);
}

function halved(tables: PlanCase["tables"]): Record<string, TableCase> {
  return Object.fromEntries(
    Object.entries(tables).map(([name, { columns, rows }]) => {
      return [name, { columns, rows: rows.slice(0, rows.length >> 1) }];
    }),
  );
}

class PlanDraw {
  readonly tables: Record<string, TableCase> = {};
  readonly #draw: Draw;
  #names = 0;
  #joins = 0;

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  plan(meanRows: number, steps: number): Built {
    let built = this.#source(meanRows);
    this.#draw.list(steps, 2, () => {
      built = this.#step(built) ?? built;
    });
    return built;
  }

  #source(meanRows: number): Built {
    const known = Object.keys(this.tables);
    const again = known.length > 0 && this.#draw.chance(15);
    const name = again ? this.#draw.pick(known) : `t${known.length}`;
    this.tables[name] ??= drawTable(this.#draw, meanRows);
    const schema = { fields: this.tables[name]!.columns };
    const node: PlanNode = { kind: "source", name, schema, data: null, changelog: false };
    return { node, bound: bind({ node }) };
  }

  /** The plan with one more step; null where the drawn one does not go. */
  #step(input: Built): Built | null {
    const draw = this.#draw;
    // Lists can only be carried along.
    if (this.#fields(input).length === 0) return null;
    switch (draw.below(16)) {
      case 0:
        return this.#then(input, { kind: "where", input: input.node, condition: this.#condition(input) });
      case 1:
      case 2:
      case 3:
        return this.#then(input, this.#aggregate(input));
      case 4:
        return this.#then(input, { kind: "select", input: input.node, columns: this.#columns(input) });
      case 5:
        return this.#then(input, {
          kind: "withColumns",
          input: input.node,
          columns: [this.#computed(input), ...draw.list(2, 1, () => this.#computed(input))],
        });
      case 6:
        return this.#then(input, this.#distinct(input));
      case 7:
        return this.#then(input, { kind: "orderBy", input: input.node, by: this.#order(input) });
      case 8: {
        const [count, offset] = [draw.pick([5, 0, 1, 20, 1000]), draw.pick([0, 0, 1, 7])];
        return this.#then(input, { kind: "limit", input: input.node, count, offset });
      }
      case 9:
      case 10:
        return this.#windowed(input);
      case 11:
        return this.#joined(input);
      case 12:
        return mostRows(input.node, this.tables) > MOST_ORDERED ? null : this.#then(input, this.#over(input));
      case 13:
        return mostRows(input.node, this.tables) > MOST_ORDERED ? null : this.#composed(input);
      case 14:
        return this.#beside(input);
      default:
        return this.#renamed(input);
    }
  }

  /** What a method of plans makes of several steps. */
  #composed(input: Built): Built | null {
    const draw = this.#draw;
    const plan: Plan = new Plan(input.node, input.bound);
    const by = draw.list(2, 1, () => draw.pick(this.#columnNames(input)));
    const orderBy = draw.pick(this.#columnNames(input));
    if (draw.chance(50)) {
      const size = draw.pick([1, 2, 3, 10]);
      const key = draw.chance(30) ? desc(orderBy) : asc(orderBy);
      const options = { by, orderBy: key, size, slide: draw.pick([size, 1, 2, 5]) };
      const { name, aggregate } = this.#named(input);
      return built(() => plan.countWindow(options, { [name]: new Aggregate(aggregate) }));
    }
    const time = this.#times(input).find(({ name }) => name === orderBy);
    const within =
      time !== undefined && draw.chance(40) ? this.#sizes(time)(draw.pick([0, 1, 5, 100])) : undefined;
    const keep = within === undefined && draw.chance(40) ? "last" : "first";
    const options = { by: [draw.pick(this.#columnNames(input)), ...by], keep, orderBy } as const;
    return built(() => plan.deduplicate(within === undefined ? options : { ...options, within }));
  }

  #then(input: Built, node: StepNode): Built | null {
    return attempt(() => ({ node, bound: bindNode(node, input.bound) }));
  }

  #fields({ bound }: Built): Field[] {
    return bound.schema.fields.filter(({ type }) => !isCarried(type));
  }

  #fresh(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  #column(input: Built): ExpressionNode {
    return { kind: "column", name: this.#draw.pick(this.#columnNames(input)) };
  }

  #columnNames(input: Built): string[] {
    return this.#fields(input).map(({ name }) => name);
  }

  #expression(input: Built, want: Want): ExpressionNode {
    return drawExpression(this.#draw, this.#fields(input), want, this.#draw.pick([1, 2, 3]));
  }

  #condition(input: Built): ExpressionNode {
    return this.#expression(input, "condition");
  }

  #computed(input: Built): NamedExpression {
    return { name: this.#fresh("x"), expression: this.#expression(input, "any") };
  }

  #columns(input: Built): NamedExpression[] {
    const kept = this.#draw
      .some(input.bound.schema.fields, 70)
      .map(({ name }): NamedExpression => ({ name, expression: { kind: "column", name } }));
    const computed = this.#draw.list(3, 1, () => this.#computed(input));
    return kept.length + computed.length > 0 ? [...kept, ...computed] : [this.#computed(input)];
  }

  #key(input: Built): NamedExpression {
    const name = this.#fresh("k");
    return { name, expression: this.#draw.chance(25) ? this.#expression(input, "any") : this.#column(input) };
  }

  #aggregate(input: Built): Extract<PlanNode, { kind: "aggregate" }> {
    const draw = this.#draw;
    const keys = draw.list(3, 1, () => this.#key(input));
    const first = keys.length === 0 || draw.chance(90) ? [this.#named(input)] : [];
    const aggregates = [...first, ...draw.list(5, 2, () => this.#named(input))];
    const grouping = keys.length > 0 && draw.chance(15) ? this.#grouping(keys) : null;
    return { kind: "aggregate", input: input.node, keys, aggregates, grouping };
  }

  #grouping(keys: readonly NamedExpression[]) {
    const all = keys.map((_, at) => at);
    const sets = [all, ...this.#draw.list(4, 2, () => this.#draw.some(all, 50))];
    // Tells the rows of different sets apart.
    const indicators = [{ name: this.#fresh("g"), keys: keys.map(({ name }) => name), position: 0 }];
    return { sets, indicators };
  }

  /** An aggregate that its argument's type allows. */
  #named(input: Built): NamedAggregate {
    const draw = this.#draw;
    const name = this.#fresh("a");
    const filter = draw.chance(20) ? this.#condition(input) : null;
    if (draw.chance(15)) return { name, aggregate: { name: "count", argument: null, filter, fast: false } };
    const fields = this.#fields(input);
    const computed = fields.length === 0 || draw.chance(20);
    const field = computed ? null : draw.pick(fields);
    const argument: ExpressionNode =
      field === null ? this.#expression(input, "number") : { kind: "column", name: field.name };
    const type = field === null ? null : valueType(field.type);
    const fits = AGGREGATE_NAMES.filter((one) => type === null || aggregateType(one, type) !== null);
    const fn = draw.pick(fits);
    const quantile = fn === "quantile" || fn === "quantileDisc" || fn === "approxQuantile";
    const by = isList(fn) && draw.chance(30);
    const ordered = isCollect(fn) && draw.chance(30);
    // Of a count, and of lists in the order of another column, it is written in another way or refused.
    const once = distinctEffect(fn) === "applies" && fn !== "count" && !by && !ordered && draw.chance(25);
    const paired = isOrderedAggregate(fn) || isPairAggregate(fn) || by;
    return {
      name,
      aggregate: {
        name: fn,
        argument,
        ...(paired ? { second: this.#column(input) } : {}),
        ...(isList(fn) ? { limit: draw.pick([1, 2, 3, 17]) } : {}),
        ...(fn === "stringAgg" ? { separator: draw.pick([", ", "", "|é"]) } : {}),
        ...(isCollect(fn) ? { descending: draw.chance(40) } : {}),
        ...(ordered ? { orderBy: this.#column(input) } : {}),
        ...(fn === "countDistinct" && draw.chance(30)
          ? { others: draw.list(3, 1, () => this.#column(input)) }
          : {}),
        ...(once ? { distinct: true } : {}),
        filter,
        fast: false,
        p: quantile ? draw.pick([0.5, 0, 1, 0.1, 0.95, 1 / 3]) : undefined,
      },
    };
  }

  #over(input: Built): Extract<PlanNode, { kind: "over" }> {
    const draw = this.#draw;
    const unit = draw.pick(["rows", "range"] as const);
    const partitionBy = draw.list(2, 1, () => draw.pick(this.#columnNames(input)));
    const orderBy = draw.chance(85) ? this.#order(input) : [];
    const [from, more] = [draw.pick([-1, 0, -4, 1, -100]), draw.pick([0, 1, 5, 100])];
    // A distance goes by one column; of times it needs a unit.
    const distance = draw.chance(50) ? (size: number) => size : (size: number) => `${size} seconds`;
    const plain = unit === "rows" || from === 0;
    const bound = (size: number) => (draw.chance(30) ? null : plain ? size : size === 0 ? 0 : distance(size));
    const to = unit === "range" && plain ? 0 : from + more;
    const frame = draw.chance(25)
      ? ({ unit, from: null, to: 0 } as const)
      : { unit, from: bound(from), to: bound(to) };
    const by = unit === "range" && !plain ? orderBy.slice(0, 1) : orderBy;
    const functions = [this.#overFunction(input), ...draw.list(3, 1, () => this.#overFunction(input))];
    const columns = functions.map((fn) => ({ name: this.#fresh("o"), fn }));
    return { kind: "over", input: input.node, partitionBy, orderBy: by, frame, columns };
  }

  #overFunction(input: Built): OverFunctionNode {
    const draw = this.#draw;
    if (draw.chance(50)) return { aggregate: this.#named(input).aggregate };
    if (draw.chance(30)) return { counting: draw.pick(["rowNumber", "rank", "denseRank", "frameNumber"]) };
    const fn = draw.pick(["lag", "lead", "firstValue", "lastValue"] as const);
    const argument = this.#column(input);
    if (fn === "firstValue" || fn === "lastValue")
      return { value: { fn, argument, offset: 0, otherwise: null } };
    const size = draw.pick([1, 0, 3, 50]);
    const otherwise = draw.chance(30) ? this.#column(input) : null;
    return { value: { fn, argument, offset: fn === "lag" ? -size : size, otherwise } };
  }

  #distinct(input: Built): StepNode {
    const keys = this.#draw.chance(50)
      ? null
      : [this.#key(input), ...this.#draw.list(2, 1, () => this.#key(input))];
    return { kind: "distinct", input: input.node, keys };
  }

  #order(input: Built): SortColumn[] {
    const one = (): SortColumn => ({
      column: this.#draw.pick(this.#columnNames(input)),
      descending: this.#draw.chance(50),
      nullsFirst: this.#draw.chance(50),
    });
    return [one(), ...this.#draw.list(2, 1, one)];
  }

  #renamed(input: Built): Built | null {
    const names = this.#draw.some(this.#columnNames(input), 50);
    if (this.#draw.chance(50)) return this.#then(input, { kind: "drop", input: input.node, names });
    const map = new Map(names.map((name) => [name, this.#fresh("r")]));
    return this.#then(input, { kind: "rename", input: input.node, names: map });
  }

  /** Columns that can be times. */
  #times(input: Built): Field[] {
    return this.#fields(input).filter(({ type }) => valueType(type).kind in UNITS_OF);
  }

  /** Lengths in one unit of a column's time. */
  #sizes({ type }: Field): (count: number) => WindowSize {
    const unit = this.#draw.pick(UNITS_OF[valueType(type).kind as keyof typeof UNITS_OF]);
    return (count) => (unit === "" ? count : `${count} ${unit}`);
  }

  /** Windows over a time or integer column, as an aggregation. */
  #windowed(input: Built): Built | null {
    const draw = this.#draw;
    const times = this.#times(input);
    if (times.length === 0) return null;
    const time = draw.pick(times);
    const size = this.#sizes(time);
    const step = draw.pick([1, 2, 3, 7, 10]);
    const length = step * draw.pick([1, 2, 3, 5]) + draw.pick([0, 0, 1]);
    const kind = draw.pick(["tumble", "hop", "cumulate", "session", "session", "global"] as const);
    const stepped = kind === "hop" || kind === "cumulate";
    const window: WindowNode = {
      kind,
      column: time.name,
      size: kind === "global" ? null : size(length),
      step: stepped ? size(step) : null,
      offset: kind !== "session" && kind !== "global" && draw.chance(25) ? size(draw.pick([1, -1, 5])) : null,
      timeZone: draw.chance(10) ? "America/New_York" : null,
      nullTime: draw.chance(10) ? "error" : "drop",
      // Past all that rows are late by, and hardly ever.
      allowedLateness: draw.chance(15) ? size(draw.pick([1_000_000, 1, 10])) : null,
      earlyEvery: draw.chance(10) ? size(draw.pick([1, 3, 10])) : null,
    };
    const node = { ...this.#aggregate(input), window, grouping: null };
    return this.#then(input, node);
  }

  #joined(input: Built): Built | null {
    if (this.#joins >= 2) return null;
    this.#joins++;
    const draw = this.#draw;
    const right = this.plan(8, 2);
    const time = draw.chance(30) ? this.#joinTime(input, right) : null;
    const how = time?.kind === "asof" ? draw.pick(["inner", "left"] as const) : draw.pick(HOWS);
    const on = how === "cross" || (time !== null && draw.chance(20)) ? [] : this.#pairs(input, right);
    if (on === null) return null;
    const filters = how === "semi" || how === "anti";
    const suffix = `_r${this.#names++}`;
    const lefts = this.#fields(input);
    const rights = this.#fields(right).filter(({ name }) => !lefts.some((left) => left.name === name));
    const fields = [...lefts, ...rights];
    const nullAware = how === "anti" && time === null && on.length === 1 && draw.chance(50);
    const residual = !nullAware && draw.chance(25) ? drawExpression(draw, fields, "condition", 2) : null;
    const node: JoinNode = {
      kind: "join",
      left: input.node,
      right: right.node,
      how,
      on,
      suffix,
      nullsEqual: !nullAware && draw.chance(30),
      nullAware,
      residual: time?.kind === "asof" ? null : residual,
      time,
    };
    const joined = attempt(() => ({ node, bound: bindJoin(node, input.bound, right.bound) }));
    if (joined === null || filters) return joined;
    const names = joined.bound.schema.fields.map(({ name }) => name);
    if (names.length <= MOST_COLUMNS) return joined;
    return this.#then(joined, { kind: "drop", input: node, names: names.slice(MOST_COLUMNS) });
  }

  /** Times of both sides that decide what matches; null where there are none of one kind. */
  #joinTime(left: Built, right: Built): JoinTimeNode | null {
    const draw = this.#draw;
    const pairs = this.#times(left).flatMap((own) =>
      this.#times(right)
        .filter(({ type }) => valueType(type).kind === valueType(own.type).kind)
        .map((other) => ({ own, other })),
    );
    if (pairs.length === 0) return null;
    const { own, other } = draw.pick(pairs);
    const size = this.#sizes(own);
    const columns = { left: own.name, right: other.name };
    if (draw.chance(50)) {
      const from = draw.pick([0, 1, -2, 7]);
      return { kind: "within", ...columns, from: size(from), to: size(draw.pick([0, 1, 5, 30]) - from) };
    }
    return {
      kind: "asof",
      ...columns,
      direction: draw.pick(["backward", "forward", "nearest"] as const),
      tolerance: draw.chance(50) ? size(draw.pick([0, 1, 10])) : null,
      strict: draw.chance(30),
    };
  }

  /** Pairs of columns whose types meet. */
  #pairs(left: Built, right: Built): { left: string; right: string }[] | null {
    const all = this.#fields(left).flatMap((a) =>
      this.#fields(right)
        .filter((b) => valueType(a.type).kind === valueType(b.type).kind)
        .map((b) => ({ left: a.name, right: b.name })),
    );
    if (all.length === 0) return null;
    return [this.#draw.pick(all), ...this.#draw.list(2, 1, () => this.#draw.pick(all))];
  }

  /** A set operation with a plan of the same columns: what it has none of a type that meets is null. */
  #beside(input: Built): Built | null {
    const draw = this.#draw;
    const operation = draw.pick(SETS);
    const right = this.plan(8, 1);
    const free = [...right.bound.schema.fields];
    const columns: NamedExpression[] = [];
    for (const { name, type } of input.bound.schema.fields) {
      const own = valueType(type);
      const at = free.findIndex(({ type }) => {
        const other = valueType(type);
        return (
          sameType(other, own) || !(isCarried(other) || isCarried(own) || commonType(other, own) === null)
        );
      });
      if (at < 0 && isCarried(own)) return null;
      const [found] = at < 0 ? [] : free.splice(at, 1);
      const expression: ExpressionNode =
        found === undefined
          ? { kind: "literal", value: null, type: own }
          : { kind: "column", name: found.name };
      columns.push({ name, expression });
    }
    if (draw.chance(50)) columns.reverse();
    const selected = this.#then(right, { kind: "select", input: right.node, columns });
    if (selected === null) return null;
    const node: PlanNode = { kind: "set", operation, left: input.node, right: selected.node };
    return attempt(() => ({ node, bound: bindSet(node, input.bound, selected.bound) }));
  }
}

const UNITS_OF = {
  int: [""],
  date: ["days", "weeks", "months"],
  timestamp: ["ms", "seconds", "minutes", "hours", "days", "weeks", "months"],
} as const;

/** A plan as it stands after one of its methods. */
function built(make: () => Plan<unknown>): Built | null {
  return attempt(() => {
    const { node, bound } = make();
    return { node, bound: bound! };
  });
}

function attempt<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof MillraceError) return null;
    throw error;
  }
}
