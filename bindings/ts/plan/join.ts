// `join` as users write it: options to a node, and the row type of the result.

import { ArgumentError, PlanError } from "../type/error.js";
import { nodeOf, type Operand } from "./expression.js";
import { type Within, withinTime } from "./join-time.js";
import type { JoinHow, JoinNode, PlanNode } from "./logical.js";
import type { Flat, NamesOf } from "./result.js";

type Shared<Left, Right> = NamesOf<Left> & NamesOf<Right>;

/** Key columns: a name that both sides have, several of them, or left names with the right ones they must equal. */
export type JoinKeys<Left, Right> =
  | Shared<Left, Right>
  | readonly Shared<Left, Right>[]
  | { readonly [K in NamesOf<Left>]?: NamesOf<Right> };

export interface JoinOptions<Left, Right, On, How, Suffix> {
  /**
   * Columns that must be equal: `"id"`, `["id", "day"]`, or `{ leftName: "rightName" }`. Integers of different
   * width, decimals of different scale and the like are brought to one type. Left out in a cross join only.
   */
  readonly on?: On;
  /**
   * "inner" (the default) gives pairs of rows; "left", "right" and "full" also the rows of that side (or both)
   * without a match, beside nulls; "semi" and "anti" rows of the left side with a match, or without one;
   * "cross" every pair.
   */
  readonly how?: How;
  /** Goes behind the name of a right column that the left side has too; "_right" by default. */
  readonly suffix?: Suffix;
  /** Null keys equal each other; by default they equal nothing. */
  readonly nullsEqual?: boolean;
  /**
   * With "anti" and one key: a null may be equal to anything, as in SQL's `NOT IN`. A null key on the right then leaves
   * no row at all, and a left row whose key is null stays only where the right side has no row.
   */
  readonly nullAware?: boolean;
  /** What pairs of rows must pass besides, over the names of the result. A pair that fails is no match. */
  readonly residual?: Operand<NamesOf<Joined<Left, Right, On, "inner", Suffix>>>;
  /**
   * An interval join: the time of a right row must be from `from` to `to` after that of the left one, as in
   * `{ left: "ts", right: "ts", from: "-5 minutes", to: "10 minutes" }`. In a stream with watermarks on both
   * sides rows leave when these have passed. `on` may be left out then.
   */
  readonly within?: Within<Left, Right>;
}

/** Names that stand for one column on both sides. */
type Merged<On> = On extends string
  ? On
  : On extends readonly (infer N)[]
    ? N
    : { [K in keyof On]: On[K] extends K ? K : never }[keyof On];

type Maybe<Row, Nullable> = Nullable extends true ? { [K in keyof Row]: Row[K] | null } : Row;

type RightPart<Left, Right, On, Suffix extends string> = {
  [K in keyof Right as K extends Merged<On>
    ? never
    : K extends keyof Left
      ? `${K & string}${Suffix}`
      : K]: Right[K];
};

type LeftIsNullable<How> = How extends "right" | "full" ? true : false;
type RightIsNullable<How> = How extends "left" | "full" ? true : false;

/** Row type of `join`. */
export type Joined<Left, Right, On, How, Suffix> = How extends "semi" | "anti"
  ? Flat<Left>
  : Flat<
      Pick<Left, Extract<Merged<On>, keyof Left>> &
        Maybe<Omit<Left, Merged<On> & PropertyKey>, LeftIsNullable<How>> &
        Maybe<RightPart<Left, Right, On, Suffix & string>, RightIsNullable<How>>
    >;

const HOWS: readonly JoinHow[] = ["inner", "left", "right", "full", "semi", "anti", "cross"];

/** @throws PlanError, ArgumentError for options that contradict each other. */
export function joinNode(
  left: PlanNode,
  right: PlanNode,
  options: {
    readonly on?: unknown;
    readonly how?: unknown;
    readonly suffix?: unknown;
    readonly nullsEqual?: boolean;
    readonly nullAware?: boolean;
    readonly residual?: Operand;
    readonly within?: unknown;
  },
): JoinNode {
  const { how = "inner", suffix = "_right", nullsEqual = false, nullAware = false, residual } = options;
  if (!HOWS.includes(how as JoinHow)) {
    const expected = HOWS.map((name) => `"${name}"`).join(", ");
    throw new ArgumentError(`join: how is one of ${expected}, not ${JSON.stringify(how)}`, {
      value: how,
      expected,
    });
  }
  if (typeof suffix !== "string" || suffix === "") {
    throw new ArgumentError(`join: suffix is a text that is not empty, not ${JSON.stringify(suffix)}`, {
      value: suffix,
    });
  }
  const on = keyPairs(options.on, "join: on");
  const time = options.within === undefined ? null : withinTime(options.within);
  if (how === "cross" && on.length > 0) throw new PlanError("a cross join takes no keys: leave `on` out");
  if (how === "cross" && time !== null) {
    throw new PlanError(`a cross join takes no within: say how: "inner", which needs no \`on\` then`);
  }
  if (how !== "cross" && on.length === 0 && time === null) {
    throw new PlanError(`a join takes at least one key in \`on\`; for every pair of rows say how: "cross"`);
  }
  if (nullAware) checkNullAware(how as JoinHow, on.length, { nullsEqual, residual, within: time });
  return {
    kind: "join",
    left,
    right,
    how: how as JoinHow,
    on,
    suffix,
    nullsEqual,
    nullAware,
    residual: residual === undefined ? null : nodeOf(residual),
    time,
  };
}

function checkNullAware(how: JoinHow, keys: number, others: Readonly<Record<string, unknown>>): void {
  if (how !== "anti") {
    throw new PlanError(
      `join: nullAware goes with how: "anti", which is SQL's NOT IN then, not with "${how}"`,
      {
        value: how,
        expected: "anti",
      },
    );
  }
  if (keys !== 1) {
    throw new PlanError(`join: nullAware takes one key, not ${keys}`, { value: keys, expected: "1" });
  }
  const other = Object.keys(others).find((name) => others[name]);
  if (other !== undefined)
    throw new PlanError(`join: nullAware and ${other} exclude each other`, { value: other });
}

/** Key columns as pairs; `option` names them in messages. */
export function keyPairs(on: unknown, option: string): JoinNode["on"] {
  if (on === undefined) return [];
  if (typeof on === "string") return [{ left: on, right: on }];
  if (typeof on === "object" && on !== null) {
    const pairs = Array.isArray(on) ? on.map((name) => [name, name]) : Object.entries(on);
    if (pairs.flat().every((name) => typeof name === "string")) {
      return pairs.map(([left, right]) => ({ left: left as string, right: right as string }));
    }
  }
  throw new ArgumentError(`${option} takes a column's name, an array of names, or { leftName: rightName }`, {
    value: on,
  });
}
