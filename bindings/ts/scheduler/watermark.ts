// What users say of the event time of a source: `{ column: "ts", outOfOrderness: "5 seconds" }`.

import {
  interval,
  type JoinStage,
  type LoweredPlan,
  nanosecondsATick,
  readSpan,
  type Stage,
  type WindowSize,
} from "../plan/index.js";
import { type DataType, type Schema, typeName, valueType } from "../type/data-type.js";
import { ArgumentError, PlanError, TypeMismatchError, UnknownColumnError } from "../type/error.js";
import { boundedClock, MarkedClock, type SourceClock, type TimeColumn } from "./source-clock.js";

/**
 * How the rows of a source say that time has passed. After a watermark of t no more rows with times up to t are
 * expected: windows that end by then close, and what comes for them later is late.
 */
export type WatermarkOptions = {
  /** The source's column of event time: timestamps, dates or integers. */
  readonly column: string;
  /**
   * A source that has given nothing for so long, by the clock on the wall, is idle: where sources are brought together
   * (`unionAll`) their watermark goes on without it, until its next row. What that row is too late for counts as late.
   * Left out: the others wait for it.
   */
  readonly idleTimeout?: string;
} & (
  | {
      /**
       * A row may be older than the newest one before it by this much, such as `"5 seconds"` (of integer columns
       * a number), and is in time. Left out: not at all, rows come in ascending order (equal times are in order).
       */
      readonly outOfOrderness?: WindowSize;
    }
  | {
      /** A column of the same type as the time: where it is not null, the watermark after its row. */
      readonly punctuation: string;
    }
  | {
      /**
       * Called with the time of each row (ticks of the column) in turn; what it answers is the watermark after that
       * row, null for no change. Going back changes nothing. A plan that reads its source twice calls it for the rows
       * of each reading: it should need nothing but the time.
       */
      readonly advance: (time: bigint) => bigint | null;
    }
);

/** Milliseconds after which a source is idle; undefined where it never is. Throws ArgumentError. */
export function idleMilliseconds(source: string, { idleTimeout }: WatermarkOptions): number | undefined {
  if (idleTimeout === undefined) return undefined;
  const refuse = (expected: string) =>
    new ArgumentError(
      `watermark of "${source}": idleTimeout is ${expected}, not ${JSON.stringify(idleTimeout)}`,
      {
        value: idleTimeout,
        expected,
      },
    );
  if (typeof idleTimeout !== "string") throw refuse(`a text such as "30 seconds"`);
  const { months, days, nanoseconds } = interval(idleTimeout);
  const milliseconds = days * 86_400_000 + Number(nanoseconds) / 1e6;
  if (months !== 0 || milliseconds <= 0 || milliseconds > LONGEST_TIMEOUT_MS)
    throw refuse("above 0 and at most 24 days");
  return milliseconds;
}

/** What timers can wait for. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** @throws UnknownColumnError, TypeMismatchError or ArgumentError for options that do not fit the source. */
export function sourceClock(source: string, options: WatermarkOptions, schema: Schema): SourceClock {
  const { column } = options;
  const time = timeColumn(source, schema, column);
  if ("advance" in options) {
    if (typeof options.advance === "function") return new MarkedClock(time, options.advance);
    throw new ArgumentError(
      `watermark of "${source}": advance is a function from a row's time to the watermark`,
      {
        value: options.advance,
        expected: "a function",
      },
    );
  }
  if ("punctuation" in options) {
    const mark = timeColumn(source, schema, options.punctuation);
    if (typeName(mark.type) === typeName(time.type)) return new MarkedClock(time, mark.column);
    throw new TypeMismatchError(
      `watermark of "${source}": "${options.punctuation}" is ${typeName(mark.type)}, but the time column "${column}" is ${typeName(time.type)}`,
      { column: options.punctuation, expected: typeName(time.type) },
    );
  }
  return boundedClock(time, boundTicks(source, options.outOfOrderness, column, time.type));
}

function timeColumn(source: string, { fields }: Schema, name: string): TimeColumn {
  const column = fields.findIndex((field) => field.name === name);
  if (column < 0) {
    throw new UnknownColumnError(
      name,
      fields.map((field) => field.name),
    );
  }
  const type = valueType(fields[column]!.type);
  if (type.kind === "int" || type.kind === "date" || type.kind === "timestamp") return { column, type };
  throw new TypeMismatchError(
    `watermark of "${source}": column "${name}" is ${typeName(type)}, not a time: dates, timestamps and integers are`,
    { column: name, expected: "a date, timestamp or integer" },
  );
}

const NANOSECONDS_A_DAY = 86_400_000_000_000n;

/** The bound in whole ticks, rounded up. */
function boundTicks(source: string, size: WindowSize | undefined, column: string, type: DataType): bigint {
  if (size === undefined) return 0n;
  const text = `watermark of "${source}"`;
  const span = readSpan(text, column, type, size, "outOfOrderness");
  if (typeof span === "object" && span.months !== 0) {
    throw new ArgumentError(`${text}: outOfOrderness in months: months differ in length, give days`, {
      value: size,
    });
  }
  const total = typeof span === "bigint" ? span : BigInt(span.days) * NANOSECONDS_A_DAY + span.nanoseconds;
  if (total < 0n)
    throw new ArgumentError(`${text}: outOfOrderness is below 0`, { value: size, expected: "0 or more" });
  const unit = nanosecondsATick(type);
  return (total + unit - 1n) / unit;
}

/**
 * The bound with which the first stage keeps time by itself: a window that sees every row of the source, and its
 * time as it is. Null where the clock has to look.
 */
export function ownBound(clock: SourceClock, { stages }: LoweredPlan): bigint | null {
  const [first] = stages;
  const own = first?.kind === "window" && first.plain && first.clock === clock.column;
  return own && clock.bound !== null && clock.bound <= MOST_OWN_BOUND ? clock.bound : null;
}

/** What the kernel takes. */
const MOST_OWN_BOUND = 2n ** 60n;

/**
 * Refuses a plan whose windows, or joins by time, are over another column than the watermark: nothing would say when
 * they are over. Windows behind a stage that holds its rows until the end of input close then, whatever they are over.
 * @param right the join whose right side the chain is; null of the chain that ends in the result
 * @throws PlanError
 */
export function checkClock(
  clock: SourceClock,
  { stages, source }: LoweredPlan,
  right: JoinStage | null,
): void {
  const end = stages.findIndex((stage) => holdsRows(stage, clock.column));
  for (const stage of end < 0 ? stages : stages.slice(0, end)) {
    if (stage.kind === "join") checkJoin(clock, source, stage, 0);
    if (stage.kind !== "window" || stage.window.kind === "global" || stage.clock === clock.column) continue;
    const name = source.schema.fields[clock.column]!.name;
    const hint =
      stages.indexOf(stage) > 0
        ? "after another window, window over its window_time"
        : `window over "${name}", or declare the watermark on the column that the window is over`;
    throw new PlanError(
      `${stage.window.text}: the watermark of "${source.name}" is on "${name}", which does not tell when windows over "${stage.window.column}" are complete: ${hint}`,
      { column: stage.window.column, expected: name },
    );
  }
  if (end < 0 && right !== null) checkJoin(clock, source, right, 1);
}

/**
 * The joins other than by time through which a source's watermarks go: those whose right side is tables, which are read
 * before the source's first row, so that every row leaves as it comes. Not where a window, or a join by time, behind it
 * is over another column: it would take rows for late that are not, and closes at the end of input.
 * @param right as of `checkClock`
 * @param isTable whether all sources of a chain, and of those below it, are tables
 */
export function passedJoins(
  { column }: SourceClock,
  { stages }: LoweredPlan,
  right: JoinStage | null,
  isTable: (chain: LoweredPlan) => boolean,
): ReadonlySet<JoinStage> {
  const passed = new Set<JoinStage>();
  for (const [index, stage] of stages.entries()) {
    if (stage.kind === "join" && stage.time === null) {
      if (!isTable(stage.input) || !tellsTime(column, stages.slice(index + 1), right)) return passed;
      passed.add(stage);
    } else if (holdsRows(stage, column)) return passed;
  }
  return passed;
}

/** Whether stages go by the event time of a source's column, as far as its watermarks may come. */
function tellsTime(column: number, stages: readonly Stage[], right: JoinStage | null): boolean {
  for (const stage of stages) {
    if (stage.kind === "window" && stage.window.kind !== "global" && stage.clock !== column) return false;
    if (stage.kind !== "join") {
      if (holdsRows(stage, column)) return true;
    } else if (stage.time !== null && stage.time.clocks[0] !== column) return false;
  }
  return right === null || right.time === null || right.time.clocks[1] === column;
}

function checkJoin(
  { column }: SourceClock,
  source: LoweredPlan["source"],
  { time }: JoinStage,
  port: 0 | 1,
): void {
  if (time === null || time.clocks[port] === column) return;
  const name = source.schema.fields[column]!.name;
  throw new PlanError(
    `${time.text}: the watermark of "${source.name}" is on "${name}", which is not the ${port === 0 ? "left" : "right"} side's time: join by "${name}", or declare the watermark on the column of the join`,
    { column: name, expected: name },
  );
}

function holdsRows(stage: Stage, column: number): boolean {
  switch (stage.kind) {
    case "sort":
      return !stage.timed;
    case "over":
      return stage.clock !== column || stage.delay === null;
    case "join":
      return stage.time === null;
    case "union":
      return !stage.clocks.some(([left]) => left === column);
    case "limit":
      return !stage.ordered;
    case "aggregate":
      return !stage.changelog;
    case "groupingSets":
      return stage.sets.every((set) => !set.stage.changelog);
    default:
      return false;
  }
}
