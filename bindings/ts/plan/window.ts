// Windows as users write them: `tumble("ts", "1 minute")`, `session("ts", "30 minutes")`.
//
// What the words mean, and what is refused, is decided once the type of the time column is known
// (bind-window.ts).

import { ArgumentError } from "../type/error.js";

declare const usedNames: unique symbol;

/**
 * A length of time. Over dates and timestamps a text such as `"10 seconds"`, `"500 ms"` or `"3 months"`; over
 * integer columns a whole number of their units.
 */
export type WindowSize = string | number | bigint;

/** What becomes of rows without a time, and of rows that come after their window was closed. */
export interface TimeOptions {
  /**
   * A row whose time is null, or so near the ends of its type that a window around it does not fit: "error" (the default),
   * or "drop", which leaves it out and counts it.
   */
  readonly nullTime?: "error" | "drop";
  /**
   * For how long after its close a window still takes late rows, whose corrections of its result leave as changes
   * (-U and +U; of sessions -D and +I); not at all by default. For streams with emit "onUpdate".
   */
  readonly allowedLateness?: WindowSize;
  /**
   * Windows leave before they close, too: whenever the watermark passes a multiple of this (from 1970-01-01 or 0; the
   * first watermark counts as one), with what has changed in them since. For streams with emit "onUpdate".
   */
  readonly earlyEvery?: WindowSize;
}

export interface WindowOptions extends TimeOptions {
  /** Windows begin this much after where they would, such as `"6 hours"` for days from six to six. */
  readonly offset?: WindowSize;
  /**
   * The zone whose days, weeks, months and years are meant, for a column of instants (timestamps with a zone);
   * by default the zone of the column's type.
   */
  readonly timeZone?: string;
}

export type WindowName = "tumble" | "hop" | "cumulate" | "session" | "global";

export interface WindowNode {
  readonly kind: WindowName;
  /** Name of the time column. */
  readonly column: string;
  /** Of a session its gap; null for the global window. */
  readonly size: WindowSize | null;
  /** Slide of `hop`, step of `cumulate`; else null. */
  readonly step: WindowSize | null;
  readonly offset: WindowSize | null;
  readonly timeZone: string | null;
  readonly nullTime: "error" | "drop";
  readonly allowedLateness: WindowSize | null;
  readonly earlyEvery: WindowSize | null;
}

/** Cuts rows into windows by their time. Build it with `tumble`, `hop`, `cumulate`, `session` or `global`. */
export class Window<out Column extends string = string> {
  declare readonly [usedNames]: Column;
  /** @internal */
  readonly node: WindowNode;

  /** @internal */
  constructor(node: WindowNode) {
    this.node = node;
    Object.freeze(this);
  }

  /** As messages and `explain` show it. */
  toString(): string {
    return windowText(this.node);
  }
}

/** @internal `hop(ts, 1 hour, 5 minutes)`. */
export function windowText({ kind, column, size, step, offset, timeZone }: WindowNode): string {
  const parts = [column, size, step].filter((part) => part !== null).map(String);
  if (offset !== null) parts.push(`offset ${offset}`);
  if (timeZone !== null) parts.push(`in ${timeZone}`);
  return `${kind}(${parts.join(", ")})`;
}

function build(
  kind: WindowName,
  column: string,
  size: WindowSize | null,
  step: WindowSize | null,
  options: WindowOptions,
): Window<never> {
  if (typeof column !== "string") {
    throw new ArgumentError(`${kind} takes the name of the time column first`, {
      value: column,
      expected: "the name of a column",
    });
  }
  const { offset = null, timeZone = null, nullTime = "error" } = options;
  const { allowedLateness = null, earlyEvery = null } = options;
  if (nullTime !== "error" && nullTime !== "drop") {
    throw new ArgumentError(`${kind}: nullTime is "error" or "drop", not ${JSON.stringify(nullTime)}`, {
      value: nullTime,
      expected: `"error" or "drop"`,
    });
  }
  return new Window({ kind, column, size, step, offset, timeZone, nullTime, allowedLateness, earlyEvery });
}

/** Windows of `size`, one after the other. Each row is in one: `[start, start + size)`. */
export function tumble<const N extends string>(
  column: N,
  size: WindowSize,
  options: WindowOptions = {},
): Window<N> {
  return build("tumble", column, size, null, options);
}

/** Windows of `size`, one beginning every `slide` (at most `size`; it need not divide it). A row is in several. */
export function hop<const N extends string>(
  column: N,
  size: WindowSize,
  slide: WindowSize,
  options: WindowOptions = {},
): Window<N> {
  return build("hop", column, size, slide, options);
}

/**
 * Windows that grow by `step` from a start until they are `size` long, where the next begins: the running
 * figure of a day, every hour. A row is in all from the first that reaches it.
 */
export function cumulate<const N extends string>(
  column: N,
  size: WindowSize,
  step: WindowSize,
  options: WindowOptions = {},
): Window<N> {
  return build("cumulate", column, size, step, options);
}

/**
 * For every key its stretches of rows that are no further apart than `gap` (exactly `gap` is together):
 * `[first, last + gap)`.
 */
export function session<const N extends string>(
  column: N,
  gap: WindowSize,
  options: TimeOptions = {},
): Window<N> {
  return build("session", column, gap, null, options);
}

/** One window over all time: it ends with the input, and its start, end and time are null. */
export function global<const N extends string>(
  column: N,
  options: Pick<TimeOptions, "nullTime" | "earlyEvery"> = {},
): Window<N> {
  return build("global", column, null, null, options);
}
