// Joins by time as users write them: the `within` of a join, and `asofJoin`.
//
// What the words mean, and what is refused, is decided once the types of the time columns are known
// (bind-join-time.ts).

import { ArgumentError, PlanError } from "../type/error.js";
import { type Joined, type JoinKeys, keyPairs } from "./join.js";
import type { JoinNode, JoinTimeNode, PlanNode } from "./logical.js";
import type { NamesOf } from "./result.js";
import type { WindowSize } from "./window.js";

/** Rows match when the right time less the left one is from `from` to `to`, both included. */
export interface Within<Left, Right> {
  /** Time columns: dates, timestamps or integers. */
  readonly left: NamesOf<Left>;
  readonly right: NamesOf<Right>;
  /** Such as `"-5 minutes"` and `"10 minutes"`; over integer columns whole numbers of their units. */
  readonly from: WindowSize;
  readonly to: WindowSize;
}

export type AsofDirection = "backward" | "forward" | "nearest";

export interface AsofJoinOptions<Left, Right, By, How, Suffix> {
  /** The time columns: a name that both sides have, or the left and the right one. */
  readonly on: (NamesOf<Left> & NamesOf<Right>) | readonly [NamesOf<Left>, NamesOf<Right>];
  /** Columns that must be equal besides, as `on` of `join` has them. */
  readonly by?: By;
  /**
   * "backward" (the default): the latest right row at or before the left one; "forward": the earliest at or after
   * it; "nearest": whichever is nearer, of equally near ones the earlier.
   */
  readonly direction?: AsofDirection;
  /** Right rows further away than this do not count: `"10 seconds"`, or a number over integers. */
  readonly tolerance?: WindowSize;
  /** Whether a right row of the same time counts; true by default. */
  readonly allowExactMatches?: boolean;
  /** "left" (the default) keeps left rows without a right one, beside nulls; "inner" leaves them out. */
  readonly how?: How;
  /** Goes behind the name of a right column that the left side has too; "_right" by default. */
  readonly suffix?: Suffix;
  /** Null keys equal each other; by default they equal nothing. */
  readonly nullsEqual?: boolean;
}

/** Row type of `asofJoin`. */
export type AsofJoined<Left, Right, By, How, Suffix> = Joined<Left, Right, By, How, Suffix>;

export type AsofKeys<Left, Right> = JoinKeys<Left, Right>;

/** @throws ArgumentError, PlanError for a bound that is not there. */
export function withinTime(within: unknown): JoinTimeNode {
  const { left, right, from, to } = (within ?? {}) as Record<string, unknown>;
  for (const [name, column] of Object.entries({ left, right })) {
    if (typeof column === "string") continue;
    throw new ArgumentError(`join: within.${name} is the name of the ${name} side's time column`, {
      value: column,
      expected: "the name of a column",
    });
  }
  for (const [name, bound] of Object.entries({ from, to })) {
    if (["string", "number", "bigint"].includes(typeof bound)) continue;
    throw new PlanError(
      `join: within takes both bounds, from and to, such as { from: "-5 minutes", to: "10 minutes" }; ${name} is missing`,
      { value: bound, expected: "a length of time" },
    );
  }
  return {
    kind: "within",
    left: left as string,
    right: right as string,
    from: from as WindowSize,
    to: to as WindowSize,
  };
}

/** @throws ArgumentError for options out of range. */
export function asofNode(
  left: PlanNode,
  right: PlanNode,
  options: {
    readonly on: unknown;
    readonly by?: unknown;
    readonly direction?: unknown;
    readonly tolerance?: WindowSize;
    readonly allowExactMatches?: unknown;
    readonly how?: unknown;
    readonly suffix?: unknown;
    readonly nullsEqual?: boolean;
  },
): JoinNode {
  const { direction = "backward", how = "left", suffix = "_right", allowExactMatches = true } = options;
  choice("direction", direction, ["backward", "forward", "nearest"]);
  choice("how", how, ["left", "inner"]);
  choice("allowExactMatches", allowExactMatches, [true, false]);
  if (typeof suffix !== "string" || suffix === "") {
    throw new ArgumentError(`asofJoin: suffix is a text that is not empty, not ${JSON.stringify(suffix)}`, {
      value: suffix,
    });
  }
  const [own, other] = timeColumns(options.on);
  return {
    kind: "join",
    left,
    right,
    how: how as JoinNode["how"],
    on: keyPairs(options.by, "asofJoin: by"),
    suffix,
    nullsEqual: options.nullsEqual ?? false,
    nullAware: false,
    residual: null,
    time: {
      kind: "asof",
      left: own,
      right: other,
      direction: direction as AsofDirection,
      tolerance: options.tolerance ?? null,
      strict: !allowExactMatches,
    },
  };
}

function choice(option: string, value: unknown, choices: readonly unknown[]): void {
  if (choices.includes(value)) return;
  const expected = choices.map((one) => JSON.stringify(one)).join(", ");
  throw new ArgumentError(`asofJoin: ${option} is one of ${expected}, not ${JSON.stringify(value)}`, {
    value,
    expected,
  });
}

function timeColumns(on: unknown): readonly [string, string] {
  if (typeof on === "string") return [on, on];
  if (Array.isArray(on) && on.length === 2 && on.every((name) => typeof name === "string")) {
    return [on[0]!, on[1]!];
  }
  throw new ArgumentError("asofJoin: on is the name of the time column, or [leftName, rightName]", {
    value: on,
    expected: "a column's name, or two",
  });
}

/** As `explain` shows it. */
export function joinTimeText(time: JoinTimeNode): string {
  const { left, right } = time;
  if (time.kind === "within") return `within ${right} - ${left} from ${time.from} to ${time.to}`;
  const name = left === right ? left : `${left}, ${right}`;
  return [
    `as of ${name}, ${time.direction}`,
    ...(time.tolerance === null ? [] : [`at most ${time.tolerance} away`]),
    ...(time.strict ? ["equal times apart"] : []),
  ].join(", ");
}
