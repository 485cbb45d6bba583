// Joins, written for being obviously right: every row of one side held against every row of the other.

import { keyValue, valueName } from "./aggregate.js";
import type { Value } from "./values.js";

type Row = readonly Value[];

export type JoinHow = "inner" | "left" | "right" | "full" | "semi" | "anti";

export interface TwinJoin {
  readonly how: JoinHow;
  /** Whether null keys are equal to each other. */
  readonly nullsEqual?: boolean | undefined;
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
  { how, nullsEqual, residual }: TwinJoin,
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
  if (how === "anti") return aloneLeft.map((row) => [...row]);
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
