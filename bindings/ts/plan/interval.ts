// Calendar intervals: months, days and a fixed span, kept apart because a month has no fixed length, and
// a day of a zoned timestamp may last 23 or 25 hours.

import { ArgumentError } from "../type/error.js";

/** A span of the calendar. Adding one moves by its months, then its days, then its nanoseconds. */
export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly nanoseconds: bigint;
}

const UNITS: Readonly<Record<string, Interval>> = {
  year: { months: 12, days: 0, nanoseconds: 0n },
  quarter: { months: 3, days: 0, nanoseconds: 0n },
  month: { months: 1, days: 0, nanoseconds: 0n },
  week: { months: 0, days: 7, nanoseconds: 0n },
  day: { months: 0, days: 1, nanoseconds: 0n },
  hour: { months: 0, days: 0, nanoseconds: 3_600_000_000_000n },
  minute: { months: 0, days: 0, nanoseconds: 60_000_000_000n },
  second: { months: 0, days: 0, nanoseconds: 1_000_000_000n },
  millisecond: { months: 0, days: 0, nanoseconds: 1_000_000n },
  microsecond: { months: 0, days: 0, nanoseconds: 1_000n },
  nanosecond: { months: 0, days: 0, nanoseconds: 1n },
};

/** No "m": months or minutes. */
const SHORT: Readonly<Record<string, string>> = {
  d: "day",
  h: "hour",
  min: "minute",
  s: "second",
  sec: "second",
  ms: "millisecond",
  us: "microsecond",
  ns: "nanosecond",
};

function unitNamed(word: string): Interval | undefined {
  const name = word.toLowerCase();
  const one = name.replace(/s$/, "");
  return UNITS[SHORT[name] ?? SHORT[one] ?? one];
}

const TERM = /([+-]?\d+)\s*([a-z]+)/giy;

/**
 * Reads an interval such as `"3 months"`, `"1 day 12 hours"` or `"-90 seconds"`: whole numbers, each with
 * a unit (year, quarter, month, week, day, hour, minute, second, millisecond, microsecond, nanosecond, with
 * or without a final s; d, h, min, s, sec, ms, us, ns). Throws ArgumentError otherwise.
 */
export function interval(text: string): Interval {
  let total: Interval = { months: 0, days: 0, nanoseconds: 0n };
  const trimmed = text.trim();
  let at = 0;
  while (at < trimmed.length) {
    TERM.lastIndex = at;
    const match = TERM.exec(trimmed);
    const unit = match === null ? undefined : unitNamed(match[2]!);
    if (match === null || unit === undefined) throw malformed(text);
    total = plus(total, times(unit, BigInt(match[1]!)));
    at = TERM.lastIndex;
    while (/[\s,]/.test(trimmed[at] ?? "")) at++;
  }
  if (trimmed === "" || !Number.isSafeInteger(total.months) || !Number.isSafeInteger(total.days)) {
    throw malformed(text);
  }
  return total;
}

function malformed(text: string): ArgumentError {
  return new ArgumentError(`"${text}" is not an interval: write for example "3 months" or "1 day 12 hours"`, {
    value: text,
    expected: `whole numbers with units, such as "3 months"`,
  });
}

function times(unit: Interval, count: bigint): Interval {
  return {
    months: unit.months * Number(count) + 0,
    days: unit.days * Number(count) + 0,
    nanoseconds: unit.nanoseconds * count,
  };
}

function plus(a: Interval, b: Interval): Interval {
  return { months: a.months + b.months, days: a.days + b.days, nanoseconds: a.nanoseconds + b.nanoseconds };
}

/** The interval that moves the other way. */
export function negated(value: Interval): Interval {
  return times(value, -1n);
}

/** As `interval` reads it. */
export function intervalText({ months, days, nanoseconds }: Interval): string {
  const terms: string[] = [];
  const term = (count: number | bigint, unit: string) => {
    if (count !== 0 && count !== 0n) terms.push(`${count} ${unit}${count === 1 || count === 1n ? "" : "s"}`);
  };
  term(months, "month");
  term(days, "day");
  const unit = (["hour", "minute", "second", "millisecond", "microsecond", "nanosecond"] as const).find(
    (name) => nanoseconds % UNITS[name]!.nanoseconds === 0n,
  )!;
  term(nanoseconds / UNITS[unit]!.nanoseconds, unit);
  return terms.length === 0 ? "0 days" : terms.join(" ");
}
