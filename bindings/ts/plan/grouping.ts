// Grouping sets: one aggregation by several sets of keys at once, as SQL's GROUPING SETS, ROLLUP and CUBE.
//
//   rollup("a", "b")                  (a, b), (a), ()
//   cube("a", "b")                    (a, b), (a), (b), ()
//   groupingSets(["a", "b"], ["b"])   (a, b), (b)
//
// Beside plain keys, and beside each other, they multiply: `groupBy("x", rollup("a"))` is (x, a), (x). A set
// that comes twice gives its rows twice. All this is expanded here; what is left is a list of keys and, for each
// set, which of them it groups by.

import { PlanError, UnknownColumnError } from "../type/error.js";
import type { Expression, Operand } from "./expression.js";
import type { GroupingNode, NamedExpression } from "./logical.js";
import { namedExpressions } from "./selection.js";

declare const keyNames: unique symbol;
declare const keyTypes: unique symbol;

/** Most sets of one aggregation, repeated ones included: each is a hash table of its own. */
export const MAX_GROUPING_SETS = 256;

/** A key, or several that come and go together. */
export type GroupingKey = GroupingColumn | readonly GroupingColumn[];
type GroupingColumn = string | Readonly<Record<string, Operand>>;

/** The columns of a key, as `groupBy` would take them one by one. */
type ColumnsOf<K> =
  K extends Grouping<string, infer C> ? C : K extends readonly (infer C)[] ? ColumnsOf<C> : K;

/** The names that a key reads. */
type NamesRead<K> = K extends string
  ? K
  : K extends Grouping<infer N, unknown>
    ? N
    : K extends readonly (infer C)[]
      ? NamesRead<C>
      : { [P in keyof K]: K[P] extends Expression<infer N, unknown> ? N : never }[keyof K];

type Element =
  | { readonly kind: "rollup" | "cube"; readonly keys: readonly (readonly NamedExpression[])[] }
  | { readonly kind: "sets"; readonly sets: readonly (readonly NamedExpression[] | Grouping)[] };

/** Sets of keys for `groupBy`. Build them with `rollup`, `cube` and `groupingSets`. */
export class Grouping<out Names extends string = string, out Columns = unknown> {
  declare readonly [keyNames]: Names;
  declare readonly [keyTypes]: Columns;
  /** @internal */
  readonly element: Element;

  /** @internal */
  constructor(element: Element) {
    this.element = element;
    Object.freeze(this);
  }
}

/**
 * All keys, then without the last, and so on down to none (the row over everything): subtotals of a hierarchy.
 * An array is one step of several keys. Keys that a row does not group by are null; see `grouping`.
 */
export function rollup<const K extends readonly GroupingKey[]>(
  ...keys: K
): Grouping<NamesRead<K[number]>, ColumnsOf<K[number]>> {
  return new Grouping({ kind: "rollup", keys: steps("rollup", keys) });
}

/** Every subset of the keys, from all to none. An array counts as one key. See `rollup`. */
export function cube<const K extends readonly GroupingKey[]>(
  ...keys: K
): Grouping<NamesRead<K[number]>, ColumnsOf<K[number]>> {
  return new Grouping({ kind: "cube", keys: steps("cube", keys) });
}

/**
 * Exactly these sets: arrays of keys, `[]` for the row over everything, or other groupings, whose sets are added.
 * A set that is given twice gives its rows twice.
 */
export function groupingSets<const S extends readonly (readonly GroupingColumn[] | Grouping)[]>(
  ...sets: S
): Grouping<NamesRead<S[number]>, ColumnsOf<S[number]>> {
  if (sets.length === 0)
    throw new PlanError("groupingSets takes at least one set; [] is the set without keys");
  const elements = sets.map((set) => (set instanceof Grouping ? set : set.flatMap(namedExpressions)));
  return new Grouping({ kind: "sets", sets: elements });
}

function steps(name: string, keys: readonly GroupingKey[]): NamedExpression[][] {
  if (keys.length === 0) throw new PlanError(`${name} takes at least one key`);
  return keys.map((key) => [key].flat().flatMap((column) => namedExpressions(column as GroupingColumn)));
}

/** Which keys a row of a grouping leaves out. Build it with `grouping`. */
export class GroupingIndicator<out Keys extends string = string> {
  declare readonly [keyNames]: Keys;
  /** @internal */
  readonly keys: readonly string[];

  /** @internal */
  constructor(keys: readonly string[]) {
    this.keys = keys;
    Object.freeze(this);
  }
}

/**
 * For `aggregate`: int64, 1 where the row does not group by the key (so that its null is none of the data's),
 * else 0. Of several keys their bits, the last one lowest, as SQL's GROUPING and GROUPING_ID.
 */
export function grouping<const K extends readonly [string, ...string[]]>(
  ...keys: K
): GroupingIndicator<K[number]> {
  if (keys.length === 0) throw new PlanError("grouping takes at least one key");
  return new GroupingIndicator(keys);
}

/** Keys in the order in which they first appear, and for each set the indices of those that it groups by. */
export interface ExpandedGrouping {
  readonly keys: readonly NamedExpression[];
  /** Null where there are plain keys only. */
  readonly sets: readonly (readonly number[])[] | null;
}

/** Multiplies out what `groupBy` was given. Throws PlanError for too many sets, and for two keys of one name. */
export function expandGrouping(
  elements: readonly (GroupingColumn | Grouping<string, unknown>)[],
): ExpandedGrouping {
  const parts = elements.map((part) => (part instanceof Grouping ? part : namedExpressions(part)));
  if (!parts.some((part) => part instanceof Grouping)) {
    return { keys: (parts as NamedExpression[][]).flat(), sets: null };
  }
  const count = parts.reduce((product, part) => product * countSets(part), 1);
  if (count > MAX_GROUPING_SETS) {
    throw new PlanError(
      `groupBy: ${count.toLocaleString("en")} grouping sets: one aggregation takes at most ${MAX_GROUPING_SETS}`,
      { value: count, expected: `at most ${MAX_GROUPING_SETS} sets` },
    );
  }
  const sets = parts.reduce<readonly Keys[]>(
    (before, part) => before.flatMap((left) => setsOf(part).map((right) => [...left, ...right])),
    [[]],
  );
  const keys = new Map<string, NamedExpression>();
  for (const key of parts.flatMap(keysOf)) {
    const known = keys.get(key.name);
    if (known === undefined) keys.set(key.name, key);
    else if (!isSame(known.expression, key.expression)) {
      throw new PlanError(`groupBy: two different keys are called "${key.name}"`, { column: key.name });
    }
  }
  const names = [...keys.keys()];
  const indices = sets.map((set) => {
    const held = new Set(set.map(({ name }) => name));
    return names.flatMap((name, index) => (held.has(name) ? [index] : []));
  });
  return { keys: [...keys.values()], sets: indices };
}

type Keys = readonly NamedExpression[];
type Part = Keys | Grouping;

function countSets(part: Part): number {
  if (!(part instanceof Grouping)) return 1;
  const { element } = part;
  switch (element.kind) {
    case "rollup":
      return element.keys.length + 1;
    case "cube":
      return 2 ** element.keys.length;
    case "sets":
      return element.sets.reduce((sum, set) => sum + countSets(set), 0);
  }
}

function setsOf(part: Part): readonly Keys[] {
  if (!(part instanceof Grouping)) return [part];
  const { element } = part;
  switch (element.kind) {
    case "rollup":
      return Array.from({ length: element.keys.length + 1 }, (_, left) =>
        element.keys.slice(0, element.keys.length - left).flat(),
      );
    case "cube":
      return subsets(element.keys);
    case "sets":
      return element.sets.flatMap(setsOf);
  }
}

function subsets(keys: readonly Keys[]): readonly Keys[] {
  const [first, ...others] = keys;
  if (first === undefined) return [[]];
  const without = subsets(others);
  return [...without.map((set) => [...first, ...set]), ...without];
}

function keysOf(part: Part): Keys {
  if (!(part instanceof Grouping)) return part;
  const { element } = part;
  return element.kind === "sets" ? element.sets.flatMap(keysOf) : element.keys.flat();
}

/** Whether two expressions are the same tree. */
function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Date || b instanceof Date) return Number(a) === Number(b);
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length &&
    names.every((name) => isSame(a[name as keyof typeof a], b[name as keyof typeof b]))
  );
}

/** The indicators' keys as indices. Throws UnknownColumnError for what is no key. */
export function indicatorKeys(
  indicator: GroupingNode["indicators"][number],
  keys: readonly string[],
): number[] {
  return indicator.keys.map((key) => {
    const index = keys.indexOf(key);
    if (index < 0) throw new UnknownColumnError(key, keys);
    return index;
  });
}

/** The value of an indicator in the rows of a set. */
export function indicatorValue(indicator: readonly number[], set: readonly number[]): bigint {
  return indicator.reduce((bits, key) => bits * 2n + (set.includes(key) ? 0n : 1n), 0n);
}

/** `grouping(a, b)`. */
export function indicatorText(keys: readonly string[]): string {
  return `grouping(${keys.join(", ")})`;
}

/** `(a, b), (a), ()`. */
export function setsText(sets: readonly (readonly number[])[], keys: readonly string[]): string {
  return sets.map((set) => `(${set.map((key) => keys[key]).join(", ")})`).join(", ");
}
