// Whole plans, naively: every node turns a list of rows into a list of rows.
//
// The oracle of the engine, whatever its mode, batches or workers: `runPlan` on the same batches must give
// the same rows, bit for bit. Without an `orderBy` or `limit` the order of rows means nothing.

import type { BoundWindow } from "../bindings/ts/plan/bind-window.js";
import type { BoundExpression } from "../bindings/ts/plan/bound.js";
import { evaluate } from "../bindings/ts/plan/evaluate.js";
import {
  type BoundAggregate,
  type BoundOverFunction,
  type BoundPlan,
  joinedFields,
} from "../bindings/ts/plan/logical.js";
import { leastStep, timeOf } from "../bindings/ts/plan/time-scale.js";
import { isCollect } from "../bindings/ts/type/aggregate.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import { byteWidth, physicalType, type Schema, typeName } from "../bindings/ts/type/data-type.js";
import { OverflowError } from "../bindings/ts/type/error.js";
import { Type } from "../kernel/abi/layout.js";
import { aggregateTwin, compareValues, valueName } from "./aggregate.js";
import { readRows } from "./expression.js";
import { asOfTwin, joinTwin } from "./join.js";
import type { Value } from "./values.js";
import { type TwinWindow, windowTwin } from "./window.js";

type Row = readonly Value[];

export interface TwinResult {
  readonly schema: Schema;
  /** Values in column order; opaque columns are null. */
  readonly rows: readonly Row[];
}

/** All batches of a plan's source or, by name, of its sources. */
export type TwinInput = readonly BatchData[] | Readonly<Record<string, readonly BatchData[]>>;

/** Runs a bound plan over all batches of its sources. Throws what the kernel would, without rows. */
export function runPlan(plan: BoundPlan, batches: TwinInput): TwinResult {
  return { schema: plan.schema, rows: rowsOf(plan, batches) };
}

function rowsOf(plan: BoundPlan, batches: TwinInput): readonly Row[] {
  if (plan.kind === "source") {
    const own = Array.isArray(batches)
      ? batches
      : (batches as Record<string, readonly BatchData[]>)[plan.name]!;
    return own.flatMap(readRows).map((row) => plan.columns.map((index) => row[index] ?? null));
  }
  if (plan.kind === "union") return [...rowsOf(plan.left, batches), ...rowsOf(plan.right, batches)];
  if (plan.kind === "join") {
    const { changes } = plan;
    const side = (input: BoundPlan, changed: boolean) =>
      changed ? consolidated(rowsOf(input, batches)).map((row) => row.slice(0, -1)) : rowsOf(input, batches);
    const joined = joinRows(
      plan,
      side(plan.left, changes?.left === true),
      side(plan.right, changes?.right === true),
    );
    return changes === null ? joined : joined.map((row) => [...row, 0n]);
  }
  const given = rowsOf(plan.input, batches);
  const input = plan.kind === "aggregate" && plan.retracts ? consolidated(given) : given;
  switch (plan.kind) {
    case "filter":
      return input.filter((row) => evaluate(plan.condition, row) === true);
    case "project":
      return input.map((row) =>
        plan.columns.map((output) =>
          "opaque" in output ? row[output.opaque]! : evaluate(output.expression, row),
        ),
      );
    case "aggregate":
      return plan.window === undefined ? aggregateRows(plan, input) : windowRows(plan, plan.window, input);
    case "over":
      return overRows(plan, input);
    case "sort":
      return sortRows(input, plan.by);
    case "limit": {
      const ordered = isOrdered(plan.input) ? input : sortRows(input, []);
      return ordered.slice(plan.offset, plan.offset + plan.count);
    }
  }
}

/** The rows of a changelog that are left: those that came less those that were taken back, by their values. */
function consolidated(changes: readonly Row[]): Row[] {
  const left = new Map<string, { row: Row; times: number }>();
  for (const change of changes) {
    const row = change.slice(0, -1);
    const kind = Number(change.at(-1));
    const name = row.map(valueName).join("|");
    const entry = left.get(name) ?? { row: change, times: 0 };
    entry.times += kind === 0 || kind === 2 ? 1 : -1;
    left.set(name, entry);
  }
  return [...left.values()].flatMap(({ row, times }) => Array<Row>(Math.max(0, times)).fill(row));
}

/** Whether the plan's rows come in an order: filters and projections keep the one they get. */
export function isOrdered(plan: BoundPlan): boolean {
  if (plan.kind === "filter" || plan.kind === "project") return isOrdered(plan.input);
  return plan.kind === "sort" || plan.kind === "limit";
}

function joinRows(
  plan: Extract<BoundPlan, { kind: "join" }>,
  left: readonly Row[],
  right: readonly Row[],
): Row[] {
  const { keys, residual, time } = plan;
  const lefts = {
    rows: left,
    keys: left.map((row) => keys.map((key) => evaluate(key.left, row))),
    width: joinedFields(plan, "left").length,
  };
  const rights = {
    rows: right,
    keys: right.map((row) => keys.map((key) => evaluate(key.right, row))),
    width: joinedFields(plan, "right").length,
  };
  const passes = (l: Row, r: Row) => residual === null || evaluate(residual, [...l, ...r]) === true;
  const { how, nullsEqual, nullAware } = plan;
  if (time === null) return joinTwin(lefts, rights, { how, nullsEqual, nullAware, residual: passes });
  const timeOfLeft = (row: Row) => evaluate(time.left, row) as bigint | null;
  const timeOfRight = (row: Row) => evaluate(time.right, row) as bigint | null;
  const { spec } = time;
  if ("strict" in spec) {
    const direction = (["backward", "forward", "nearest"] as const)[spec.mode - 2]!;
    return asOfTwin(
      { ...lefts, times: left.map(timeOfLeft) },
      { ...rights, times: right.map(timeOfRight) },
      { ...spec, direction, how: how as "inner" | "left", nullsEqual },
    );
  }
  const isWithin = (l: Row, r: Row) => {
    const [from, to] = [timeOfLeft(l), timeOfRight(r)];
    return from !== null && to !== null && to - from >= spec.low && to - from <= spec.high;
  };
  return joinTwin(lefts, rights, { how, nullsEqual, residual: (l, r) => isWithin(l, r) && passes(l, r) });
}

type AggregatePlan = Extract<BoundPlan, { kind: "aggregate" }>;

/** Each window's rows grouped for themselves, behind its bounds. No row of a finished history is late. */
function windowRows(plan: AggregatePlan, window: BoundWindow, input: readonly Row[]): Row[] {
  const events = input.flatMap((row, at) => {
    const time = evaluate(window.time, row) as bigint | null;
    if (time === null && !window.dropNullTime) throw new RangeError(`row ${at} has no time`);
    return [{ row: at, time: time !== null && window.dropNullTime && isNearEnd(window, time) ? null : time }];
  });
  const keys = plan.keys.map(({ expression }) => input.map((row) => evaluate(expression, row)));
  const keyOf = (row: number) =>
    keys.map((column) => valueName(column[row] === 0 ? 0 : column[row]!)).join("|");
  const { windows } = windowTwin(events, twinWindow(window), null, keyOf);
  return windows.flatMap(({ start, end, rows }) => {
    const bounds = window.kind === "global" ? [null, null, null] : boundsOf(window, start, end);
    return aggregateRows(
      plan,
      rows.map((row) => input[row]!),
    ).map((result) => [...bounds, ...result]);
  });
}

/** Whether a time of 64 bits is so near the end of them that a window leaves it out, as docs/semantics.md says. */
function isNearEnd({ kind, scale, length, step }: BoundWindow, time: bigint): boolean {
  if (kind === "global" || scale.kind !== "ticks" || physicalType(scale.type) !== Type.I64) return false;
  const most = 2n ** 63n - 1n;
  if (kind === "session") return time > most - length - 1n;
  const reach = length + (kind === "tumble" ? length : step);
  return time < -(2n ** 63n) + reach || time > most - reach;
}

function twinWindow({ kind, length, step, offset }: BoundWindow): TwinWindow {
  if (kind === "session") return { kind, gap: length };
  return kind === "global" ? { kind } : { kind, length, step, offset };
}

function boundsOf({ scale }: BoundWindow, start: bigint, end: bigint): bigint[] {
  const bounds = [timeOf(scale, start), timeOf(scale, end), timeOf(scale, end) - leastStep(scale.type)];
  const bits = 8 * byteWidth(physicalType(scale.type));
  const wrapped = scale.type.kind === "int" && !scale.type.signed ? BigInt.asUintN : BigInt.asIntN;
  const past = bounds.find((time) => wrapped(bits, time) !== time);
  if (past !== undefined) throw new OverflowError(`${past} does not fit ${typeName(scale.type)}`);
  return bounds;
}

function aggregateRows(plan: AggregatePlan, input: readonly Row[]): Row[] {
  if (plan.grouping === null) return aggregateSet(plan, input);
  const { sets, indicators } = plan.grouping;
  return sets.flatMap((set) => {
    const keys = set.map((key) => plan.keys[key]!);
    return aggregateSet({ ...plan, keys }, input).map((row) => {
      const held = plan.keys.map((_, key) => (set.includes(key) ? row[set.indexOf(key)]! : null));
      const cells = [...held, ...row.slice(set.length)];
      for (const indicator of indicators) {
        const bits = indicator.keys.map((key) => (set.includes(key) ? "0" : "1")).join("");
        cells.splice(indicator.column, 0, BigInt(`0b${bits}`));
      }
      return cells;
    });
  });
}

function aggregateSet(plan: AggregatePlan, input: readonly Row[]): Row[] {
  const keys = plan.keys.map(({ expression }) => input.map((row) => evaluate(expression, row)));
  const aggregates = plan.aggregates.map(
    ({ fn, argument, second, others, orderBy, filter, distinct, limit, parameter }) => {
      const kept = filter === null ? undefined : input.map((row) => evaluate(filter, row));
      // What the filter drops is never computed, so that it cannot fail.
      const values = (expression: BoundExpression) =>
        input.map((row, at) => (kept === undefined || kept[at] === true ? evaluate(expression, row) : null));
      return {
        name: fn,
        distinct,
        limit,
        p: parameter,
        descending: isCollect(fn) && parameter === 1,
        separator: fn === "stringAgg" && second?.kind === "literal" ? String(second.value) : undefined,
        argument: argument === null ? undefined : values(argument),
        filter: kept,
        type: argument?.type,
        second: second && values(second),
        others: others?.map(values),
        orderBy: orderBy && values(orderBy),
        secondType: second?.type,
      };
    },
  );
  return aggregateTwin(input.length, keys, aggregates);
}

type OverPlan = Extract<BoundPlan, { kind: "over" }>;

/** Each row with its functions, computed anew over the rows that its frame holds. */
function overRows(plan: OverPlan, input: readonly Row[]): Row[] {
  const { partition, by, functions } = plan;
  for (const fn of functions) for (const row of input) computeArguments(fn, row);
  const ordered = sortRows(input, by);
  const nameOf = (columns: readonly number[], row: Row) =>
    columns.map((column) => valueName(row[column] === 0 ? 0 : row[column]!)).join("|");
  const order = by.map(({ column }) => column);
  const partitions = new Map<string, Row[]>();
  for (const row of ordered) {
    const name = nameOf(partition, row);
    partitions.set(name, [...(partitions.get(name) ?? []), row]);
  }
  return [...partitions.values()].flatMap((rows) => {
    const names = rows.map((row) => nameOf(order, row));
    return rows.map((row, at) => {
      const first = names.indexOf(names[at]!);
      const places = [...rows.keys()].filter((other) => isInFrame(plan, rows, names, at, other));
      const held = places.map((place) => rows[place]!);
      const counts = {
        rowNumber: at + 1,
        rank: first + 1,
        denseRank: new Set(names.slice(0, at + 1)).size,
        frameNumber: places.filter((place) => place < at).length + 1,
      };
      return [
        ...row,
        ...functions.map((fn) => {
          if ("counting" in fn) return BigInt(counts[fn.counting]);
          if ("aggregate" in fn) return aggregateSet(aggregateOf(plan, fn.aggregate), held)[0]![0]!;
          const { value } = fn;
          const other =
            value.fn === "shift"
              ? rows[at + Number(value.offset)]
              : held.at(value.fn === "firstValue" ? 0 : -1);
          if (other !== undefined) return evaluate(value.argument, other);
          return value.otherwise === null ? null : evaluate(value.otherwise, row);
        }),
      ];
    });
  });
}

/** What a window function computes of every row, also of one that no frame reaches; throws where that fails. */
function computeArguments(fn: BoundOverFunction, row: Row): void {
  if ("counting" in fn) return;
  if ("value" in fn) {
    evaluate(fn.value.argument, row);
    if (fn.value.otherwise !== null) evaluate(fn.value.otherwise, row);
    return;
  }
  const { argument, filter } = fn.aggregate;
  const passes = filter === null || evaluate(filter, row) === true;
  if (argument !== null && passes) evaluate(argument, row);
}

/** Whether row `other` of a partition is in the frame of row `at`. */
function isInFrame(
  { frame, by }: OverPlan,
  rows: readonly Row[],
  names: readonly string[],
  at: number,
  other: number,
): boolean {
  const { unit, from, to } = frame;
  if (unit === "rows")
    return (from === null || other >= at + Number(from)) && (to === null || other <= at + Number(to));
  // Rows of one name are at one place; a bound of 0 is that place.
  if (names[other] === names[at]) return isBetween(0n, from, to) || rows[at]![by[0]!.column] === null;
  const column = by[0]?.column ?? 0;
  const [here, there] = [rows[at]![column]!, rows[other]![column]!];
  const bounded = [from, to].some((bound) => bound !== null && bound !== 0n);
  if (!bounded || here === null || there === null) return other < at ? from === null : to === null;
  const distance = (BigInt(there as bigint) - BigInt(here as bigint)) * (by[0]!.descending ? -1n : 1n);
  return isBetween(distance, from, to);
}

function isBetween(distance: bigint, from: bigint | null, to: bigint | null): boolean {
  return (from === null || distance >= from) && (to === null || distance <= to);
}

/** One aggregate of all rows. */
function aggregateOf(
  { input, schema }: Extract<BoundPlan, { kind: "over" }>,
  aggregate: BoundAggregate,
): AggregatePlan {
  return {
    kind: "aggregate",
    input,
    schema,
    keys: [],
    aggregates: [aggregate],
    grouping: null,
    changelog: false,
    retracts: false,
  };
}

interface SortKey {
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** By the keys, then by every column from the first on, ascending with nulls last. */
export function sortRows(rows: readonly Row[], by: readonly SortKey[]): Row[] {
  return [...rows].sort((a, b) => {
    for (const { column, descending, nullsFirst } of by) {
      const order = compareCells(a[column]!, b[column]!, nullsFirst, descending);
      if (order !== 0) return order;
    }
    for (let column = 0; column < a.length; column++) {
      const order = compareCells(a[column]!, b[column]!, false, false);
      if (order !== 0) return order;
    }
    return 0;
  });
}

/** Nulls go where they are told whatever the direction; -0 before +0, NaN after all numbers. */
function compareCells(a: Value, b: Value, nullsFirst: boolean, descending: boolean): number {
  if (a === null || b === null) return (Number(a === null) - Number(b === null)) * (nullsFirst ? -1 : 1);
  return compareValues(a, b) * (descending ? -1 : 1);
}
