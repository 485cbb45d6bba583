// Joins, written for being obviously right: every row of one side held against every row of the other.

import { compareValues, keyValue, valueName } from "./aggregate.js";
import type { Value } from "./values.js";

type Row = readonly Value[];

export type JoinHow = "inner" | "left" | "right" | "full" | "semi" | "anti";

export interface TwinJoin {
  readonly how: JoinHow;
  /** Whether null keys are equal to each other. */
  readonly nullsEqual?: boolean | undefined;
  /** Of "anti": a null may be equal to anything, so nothing is known not to be among keys that hold one. */
  readonly nullAware?: boolean | undefined;
  /** What a pair must pass besides. */
  readonly residual?: ((left: Row, right: Row) => boolean) | undefined;
}

export interface TwinSide {
  readonly rows: readonly Row[];
  /** The keys of each row; none in a cross join. */
  readonly keys: readonly Row[];
  /** Columns of a row: as many nulls stand for a row that is not there. */
  readonly width: number;
}

/** The joined rows, left columns before right ones (semi and anti: left ones only), in no particular order. */
export function joinTwin(
  left: TwinSide,
  right: TwinSide,
  { how, nullsEqual, nullAware, residual }: TwinJoin,
): Value[][] {
  const matchedLeft = new Set<number>();
  const matchedRight = new Set<number>();
  const pairs: Value[][] = [];
  const names = (keys: readonly Row[]) => keys.map((key) => keyName(key, nullsEqual ?? false));
  const [leftNames, rightNames] = [names(left.keys), names(right.keys)];
  left.rows.forEach((leftRow, l) => {
    right.rows.forEach((rightRow, r) => {
      if (leftNames[l] === null || leftNames[l] !== rightNames[r]) return;
      if (residual !== undefined && !residual(leftRow, rightRow)) return;
      matchedLeft.add(l);
      matchedRight.add(r);
      pairs.push([...leftRow, ...rightRow]);
    });
  });
  if (how === "semi") return left.rows.filter((_, l) => matchedLeft.has(l)).map((row) => [...row]);
  const aloneLeft = left.rows.filter((_, l) => !matchedLeft.has(l));
  if (how === "anti") {
    const hasNull = (key: Row) => key.includes(null);
    const isKnown = (key: Row) => right.rows.length === 0 || !(hasNull(key) || right.keys.some(hasNull));
    return left.rows
      .filter((_, l) => !matchedLeft.has(l) && (!nullAware || isKnown(left.keys[l]!)))
      .map((row) => [...row]);
  }
  const nulls = (count: number): Value[] => Array.from({ length: count }, () => null);
  if (how === "left" || how === "full") {
    pairs.push(...aloneLeft.map((row) => [...row, ...nulls(right.width)]));
  }
  if (how === "right" || how === "full") {
    const aloneRight = right.rows.filter((_, r) => !matchedRight.has(r));
    pairs.push(...aloneRight.map((row) => [...nulls(left.width), ...row]));
  }
  return pairs;
}

/** A text that keys share when they are equal; null for a key that equals nothing. */
function keyName(key: Row, nullsEqual: boolean): string | null {
  if (!nullsEqual && key.includes(null)) return null;
  return key.map((value) => valueName(keyValue(value))).join("|");
}

export interface TwinAsOf {
  readonly direction: "backward" | "forward" | "nearest";
  readonly how: "inner" | "left";
  /** Furthest distance; null for any. */
  readonly tolerance: bigint | null;
  /** Whether equal times are no match. */
  readonly strict: boolean;
  readonly nullsEqual?: boolean | undefined;
}

export interface TwinTimedSide extends TwinSide {
  readonly times: readonly (bigint | null)[];
}

/**
 * Each left row with the right one whose time is best: of equally near ones the earlier, of those of equal times
 * the last by its columns.
 */
export function asOfTwin(left: TwinTimedSide, right: TwinTimedSide, options: TwinAsOf): Value[][] {
  const { direction, how, tolerance, strict, nullsEqual = false } = options;
  const names = right.keys.map((key) => keyName(key, nullsEqual));
  return left.rows.flatMap((row, l) => {
    const key = keyName(left.keys[l]!, nullsEqual);
    const time = left.times[l]!;
    let best: { apart: bigint; at: number } | null = null;
    for (const at of right.rows.keys()) {
      const other = right.times[at]!;
      if (key === null || names[at] !== key || time === null || other === null) continue;
      const apart = other - time;
      if (strict && apart === 0n) continue;
      if ((direction === "backward" && apart > 0n) || (direction === "forward" && apart < 0n)) continue;
      if (tolerance !== null && size(apart) > tolerance) continue;
      if (best === null || isBetter(apart, right.rows[at]!, best.apart, right.rows[best.at]!))
        best = { apart, at };
    }
    if (best !== null) return [[...row, ...right.rows[best.at]!]];
    return how === "inner" ? [] : [[...row, ...Array.from({ length: right.width }, () => null)]];
  });
}

function isBetter(apart: bigint, row: Row, than: bigint, other: Row): boolean {
  if (size(apart) !== size(than)) return size(apart) < size(than);
  return apart === than ? compareRows(row, other) > 0 : apart < than;
}

const size = (apart: bigint) => (apart < 0n ? -apart : apart);

/** Ascending column by column, nulls last. */
function compareRows(a: Row, b: Row): number {
  for (const [at, value] of a.entries()) {
    const other = b[at]!;
    if (value === null && other === null) continue;
    if (value === null || other === null) return value === null ? 1 : -1;
    const order = compareValues(value, other);
    if (order !== 0) return order;
  }
  return 0;
}
