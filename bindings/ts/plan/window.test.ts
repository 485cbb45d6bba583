import { describe, expect, expectTypeOf, it } from "vitest";
import {
  bool,
  date32,
  float64,
  int32,
  int64,
  type Schema,
  timestamp,
  typeName,
  uint64,
  utf8,
} from "../type/data-type.js";
import {
  ArgumentError,
  MillraceError,
  PlanError,
  TypeMismatchError,
  UnknownColumnError,
} from "../type/error.js";
import { count, sum } from "./aggregate.js";
import { bind } from "./bind.js";
import type { BoundWindow } from "./bind-window.js";
import { asChangelog, checkOnClose } from "./changelog.js";
import { col } from "./expression.js";
import { from, type Plan, source } from "./plan.js";
import { cumulate, global, hop, session, tumble, type Window } from "./window.js";

const orders = source("orders", {
  ts: timestamp("ms"),
  at: timestamp("us", "Europe/Berlin"),
  utc: timestamp("s", "UTC"),
  day: date32,
  n: int32,
  id: int64,
  big: uint64,
  price: float64,
  seller: utf8,
  paid: bool,
});

function windowOf(window: Window): BoundWindow {
  const bound = bind(
    from(orders)
      .window(window as Window<"ts">)
      .aggregate({ rows: count() }),
  );
  if (bound.kind !== "aggregate" || bound.window === undefined) throw new Error("no window");
  return bound.window;
}

function failure(run: () => unknown): MillraceError {
  try {
    run();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const columns = (schema: Schema | null) =>
  schema!.fields.map(
    ({ name, type, nullable }) => `${name}: ${typeName(type)}${nullable ? "" : " not null"}`,
  );

describe("windowed plans", () => {
  it("have the window's columns in the time column's type, then keys, then aggregates", () => {
    const plan = from(orders)
      .window(tumble("at", "1 minute"))
      .groupBy("seller", { half: col("price").div(2) })
      .aggregate({ total: sum("price"), rows: count() });
    expect(columns(plan.schema)).toEqual([
      "window_start: timestamp[us, Europe/Berlin] not null",
      "window_end: timestamp[us, Europe/Berlin] not null",
      "window_time: timestamp[us, Europe/Berlin] not null",
      "seller: utf8",
      "half: float64",
      "total: float64",
      "rows: int64 not null",
    ]);
    expectTypeOf(plan).toEqualTypeOf<
      Plan<{
        window_start: number;
        window_end: number;
        window_time: number;
        seller: string;
        half: number | null;
        total: number | bigint | null;
        rows: bigint;
      }>
    >();
    const alone = from(orders)
      .window(hop("id", 10, 5))
      .aggregate({ rows: count() });
    expectTypeOf(alone).toEqualTypeOf<
      Plan<{ window_start: bigint; window_end: bigint; window_time: bigint; rows: bigint }>
    >();
    expect(columns(from(orders).window(global("n")).aggregate({ rows: count() }).schema)).toEqual([
      "window_start: int32",
      "window_end: int32",
      "window_time: int32",
      "rows: int64 not null",
    ]);
  });

  it("window over windows", () => {
    const plan = from(orders)
      .window(tumble("ts", "1 minute"))
      .groupBy("seller")
      .aggregate({ total: sum("price") })
      .window(tumble("window_time", "1 hour"))
      .aggregate({ most: count() });
    expect(plan.schema!.fields[0]!.type).toEqual(timestamp("ms"));
  });

  it("explain themselves", () => {
    const plan = from(orders)
      .where(col("paid"))
      .window(hop("ts", "1 hour", "5 minutes"))
      .groupBy("seller")
      .aggregate({ rows: count() });
    const text = plan.explain();
    expect(text).toContain(
      "aggregate rows = count(*) by seller in hop(ts, 1 hour, 5 minutes) -> (window_start",
    );
    expect(text).toContain("1 window aggregate count(*)");
    expect(text).toContain("by hop(ts, 1 hour, 5 minutes), seller");
    const unbound = from("orders")
      .window(tumble("ts", "1 day", { offset: "6 hours" }))
      .aggregate({ n: count() });
    expect(unbound.explain()).toContain("aggregate n = count(*) in tumble(ts, 1 day, offset 6 hours)");
  });
});

describe("sizes", () => {
  it("are numbers of the column's unit", () => {
    expect(windowOf(tumble("ts", "1 minute 500 ms"))).toMatchObject({
      length: 60_500n,
      step: 60_500n,
      offset: 0n,
    });
    expect(windowOf(hop("utc", "1 day", "2 hours"))).toMatchObject({ length: 86_400n, step: 7_200n });
    expect(windowOf(cumulate("id", 10n, 3))).toMatchObject({ length: 10n, step: 3n });
    expect(windowOf(tumble("day", "2 days"))).toMatchObject({ length: 2n, scale: { kind: "ticks" } });
    expect(windowOf(session("at", "30 min"))).toMatchObject({ length: 1_800_000_000n });
    expect(windowOf(tumble("ts", "1 hour", { offset: "-15 min" })).offset).toBe(-900_000n);
  });

  it("are months and the days of a zone by the calendar", () => {
    expect(windowOf(tumble("ts", "1 quarter"))).toMatchObject({
      length: 3n,
      scale: { kind: "months", zone: null },
    });
    expect(windowOf(hop("at", "1 year", "1 month", { offset: "3 months" }))).toMatchObject({
      length: 12n,
      step: 1n,
      offset: 3n,
      scale: { kind: "months", zone: "Europe/Berlin" },
    });
    expect(windowOf(tumble("at", "2 days")).scale).toMatchObject({ kind: "days", zone: "Europe/Berlin" });
    expect(windowOf(tumble("at", "6 hours")).scale.kind).toBe("ticks");
    expect(windowOf(tumble("at", "1 day", { timeZone: "UTC" })).scale.kind).toBe("ticks");
    expect(windowOf(tumble("utc", "1 day", { timeZone: "Asia/Tokyo" })).scale.zone).toBe("Asia/Tokyo");
  });

  it("of whole weeks begin on Mondays", () => {
    expect(windowOf(tumble("day", "1 week")).offset).toBe(4n);
    expect(windowOf(cumulate("ts", "2 weeks", "1 day")).offset).toBe(4n * 86_400_000n);
    expect(windowOf(tumble("at", "1 week", { offset: "1 day" })).offset).toBe(5n);
    expect(windowOf(hop("day", "1 week", "1 day")).offset).toBe(0n);
    expect(windowOf(tumble("n", 7)).offset).toBe(0n);
  });
});

describe("what is refused", () => {
  const refused: readonly (readonly [Window, new (...args: never[]) => MillraceError, RegExp])[] = [
    [tumble("ts", "0 seconds"), PlanError, /size must be above 0/],
    [tumble("n", -1), PlanError, /size must be above 0/],
    [hop("ts", "1 hour", "0 s"), PlanError, /slide must be above 0/],
    [session("ts", "-1 s"), PlanError, /gap must be above 0/],
    [hop("ts", "1 minute", "1 hour"), PlanError, /slide is larger than the size: rows between/],
    [cumulate("n", 3, 4), PlanError, /step is larger than the size/],
    [tumble("ts", "5 us"), PlanError, /size is not a whole number of the column's unit, ms/],
    [tumble("day", "36 hours"), PlanError, /unit, day/],
    [tumble("ts", "1 s", { offset: "1 ns" }), PlanError, /offset is not a whole number/],
    [tumble("tss", "1 s"), UnknownColumnError, /did you mean "ts"/],
    [tumble("price", "1 s"), TypeMismatchError, /"price" is float64; windows are over/],
    [tumble("ts", 1000), PlanError, /says its unit, such as "10 seconds", not 1000/],
    [tumble("n", "10 seconds"), PlanError, /"n" is int32, so size is a whole number/],
    [tumble("n", 1.5), PlanError, /whole number/],
    [tumble("ts", "soon"), ArgumentError, /is not an interval/],
    [tumble("ts", "1 month 1 day"), PlanError, /months differ in length/],
    [hop("ts", "1 month", "1 day"), PlanError, /months differ in length/],
    [tumble("ts", "1 month", { offset: "1 day" }), PlanError, /offset must be whole months/],
    [tumble("ts", "1 day", { offset: "1 month" }), PlanError, /offset cannot be months/],
    [session("ts", "1 month"), PlanError, /months differ in length/],
    [hop("at", "1 day", "1 hour"), PlanError, /may have 23 or 25 hours.*timeZone: "UTC"/],
    [tumble("at", "1 day", { offset: "6 hours" }), PlanError, /offset must be whole days/],
    [tumble("ts", "1 day", { timeZone: "Europe/Berlin" }), PlanError, /timeZone is for instants/],
    [tumble("at", "1 day", { timeZone: "Europe/Nowhere" }), PlanError, /unknown time zone/],
    [tumble("ts", "1 s", { allowedLateness: "-1 s" }), PlanError, /allowedLateness is below 0/],
    [tumble("ts", "1 s", { earlyEvery: "0 s" }), PlanError, /earlyEvery must be above 0/],
    [tumble("id", 2n ** 63n), PlanError, /does not fit 64 bits/],
  ];
  it.each(refused.map(([window, type, message]) => [String(window), window, type, message] as const))(
    "%s",
    (_, window, type, message) => {
      const error = failure(() => windowOf(window));
      expect(error).toBeInstanceOf(type);
      expect(error.message).toMatch(message);
    },
  );

  it("what is no window, no name, no choice", () => {
    expect(() => from(orders).window("ts" as never)).toThrow(ArgumentError);
    expect(() => tumble(col("ts") as never, "1 s")).toThrow(ArgumentError);
    expect(() => tumble("ts", "1 s", { nullTime: "ignore" as never })).toThrow(ArgumentError);
  });

  it("keys under the names of the window's columns", () => {
    const windowed = from(orders).window(tumble("ts", "1 s"));
    expect(
      failure(() => windowed.groupBy({ window_end: col("n") }).aggregate({ n: count() })).message,
    ).toContain('two columns "window_end"');
  });

  it("corrections where nothing is taken back", () => {
    const plan = from(orders)
      .window(tumble("ts", "1 minute", { allowedLateness: "1 hour" }))
      .aggregate({ rows: count() })
      .where(col("rows").gt(1));
    expect(() => checkOnClose(bind(plan))).toThrow(/allowedLateness corrects results.*"onClose"/);
    expect(() =>
      checkOnClose(bind(from(orders).window(tumble("ts", "1 s")).aggregate({ n: count() }))),
    ).not.toThrow();
    expect(() => asChangelog(bind(plan), true)).not.toThrow();
    const early = from(orders)
      .window(session("ts", "1 minute", { earlyEvery: "1 s" }))
      .aggregate({ rows: count() });
    expect(() => checkOnClose(bind(early))).toThrow(/earlyEvery corrects results.*"onClose"/);
  });
});
