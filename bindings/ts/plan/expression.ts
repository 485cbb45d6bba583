// The expression language: `col("amount").mul(2).gt(10)`.
//
// An Expression is an immutable wrapper around a tree (node.ts); nothing is computed or typed here. Its
// type parameters remember the column names that occur in it, so that a plan over a typed source refuses
// unknown names when it is compiled, and what kind of value comes out. Types are checked when the
// expression enters a plan whose schema is known, or else when the plan is bound (typing.ts).

import type { DataType } from "../type/data-type.js";
import { ArgumentError, PlanError } from "../type/error.js";
import { type Interval, interval, negated } from "./interval.js";
import { children, type ExpressionNode, type Plain, type TimePartName, type TruncateUnit } from "./node.js";
import type { ColumnResult, NullableResult, Numeric, ValueOf } from "./result.js";
import { expressionText } from "./text.js";

declare const usedNames: unique symbol;
declare const result: unique symbol;

/**
 * An expression, or a plain JavaScript value that becomes a literal of the type that the other side asks for:
 * an integer beside an integer column takes the column's type if it fits; a number with a fraction beside
 * an integer makes both float64; numbers and numeric strings beside a decimal convert by their shortest
 * decimal text; strings (ISO 8601) and Dates beside dates and timestamps become those.
 */
export type Operand<Names extends string = string> = Expression<Names, unknown> | Plain;

type Logical = boolean | null;

/** One computed value per row. Build them with `col`, `lit` and the methods here. */
export class Expression<out Names extends string = string, out Result = unknown> {
  declare readonly [usedNames]: Names;
  declare readonly [result]: Result;
  /** @internal */
  readonly node: ExpressionNode;

  /** @internal */
  constructor(node: ExpressionNode) {
    checkDepth(node);
    this.node = node;
    Object.freeze(this);
  }

  /**
   * Sum. int8/16 and uint8/16 widen to int32, uint32 to int64; the wider integer of the two; overflow is an
   * OverflowError. Integer with float gives float64, float32 with float32 float32. Decimals take the larger
   * scale and one more digit (at most 38). timestamp + duration, duration + duration: the finer unit.
   * date32 + integer: that many days later.
   */
  add<N extends string = never>(other: Operand<N>): Expression<Names | N, Numeric | null> {
    return call("add", this, other);
  }

  /**
   * Difference; types as `add`. timestamp - timestamp is a duration of the finer unit, date - date the
   * number of days (int64), timestamp - duration a timestamp.
   */
  sub<N extends string = never>(other: Operand<N>): Expression<Names | N, Numeric | null> {
    return call("subtract", this, other);
  }

  /** Product; types as `add`. Scales of decimals add up: PlanError where they pass 38 (cast one side first). */
  mul<N extends string = never>(other: Operand<N>): Expression<Names | N, Numeric | null> {
    return call("multiply", this, other);
  }

  /** Quotient as a float, whatever the operands: float32 for two float32, else float64. x / 0 is an infinity or NaN. */
  div<N extends string = never>(other: Operand<N>): Expression<Names | N, number | null> {
    return call("divide", this, other);
  }

  /** Integer quotient, towards zero; by zero is null. Integers and decimals (giving a decimal of scale 0). */
  idiv<N extends string = never>(other: Operand<N>): Expression<Names | N, Numeric | null> {
    return call("integerDivide", this, other);
  }

  /** Remainder with the sign of the dividend; integers and decimals by zero are null, floats NaN. */
  mod<N extends string = never>(other: Operand<N>): Expression<Names | N, Numeric | null> {
    return call("modulo", this, other);
  }

  /** Minus this. The smallest int32 or int64 has no negative: OverflowError. */
  neg(): Expression<Names, Result> {
    return call("negate", this);
  }

  abs(): Expression<Names, Result> {
    return call("abs", this);
  }

  /** Largest whole number not above. Floats stay floats; decimals become scale 0; integers stay. */
  floor(): Expression<Names, Result> {
    return call("floor", this);
  }

  /** Smallest whole number not below; types as `floor`. */
  ceil(): Expression<Names, Result> {
    return call("ceil", this);
  }

  /**
   * Rounds half away from zero to `digits` decimal digits (negative: to tens, hundreds, ...). Floats stay
   * floats, integers integers; decimals take `digits` as their scale where it is smaller.
   */
  round(digits = 0): Expression<Names, Result> {
    if (!Number.isInteger(digits) || Math.abs(digits) > 308) {
      throw new ArgumentError(`round takes a whole number of digits between -308 and 308, not ${digits}`, {
        value: digits,
      });
    }
    return wrap({ kind: "round", value: this.node, digits });
  }

  /** Square root as float64 (float32 of float32); NaN below zero. */
  sqrt(): Expression<Names, number | null> {
    return call("sqrt", this);
  }

  /** -1, 0 or 1 in the operand's own type (decimals: scale 0); NaN stays NaN. */
  sign(): Expression<Names, Result> {
    return call("sign", this);
  }

  /**
   * Equality; null where either side is null. Floats compare with -0 = 0, NaN = NaN and NaN above all else.
   * Numbers of different types compare in their common type; uint64 beside a signed integer needs a cast.
   */
  eq<N extends string = never>(other: Operand<N>): Expression<Names | N, Logical> {
    return call("equal", this, other);
  }

  ne<N extends string = never>(other: Operand<N>): Expression<Names | N, Logical> {
    return call("notEqual", this, other);
  }

  /** Less than: numbers by value, texts and binaries by their bytes, false before true. */
  lt<N extends string = never>(other: Operand<N>): Expression<Names | N, Logical> {
    return call("less", this, other);
  }

  le<N extends string = never>(other: Operand<N>): Expression<Names | N, Logical> {
    return call("lessEqual", this, other);
  }

  gt<N extends string = never>(other: Operand<N>): Expression<Names | N, Logical> {
    return call("greater", this, other);
  }

  ge<N extends string = never>(other: Operand<N>): Expression<Names | N, Logical> {
    return call("greaterEqual", this, other);
  }

  /** Null-safe equality: two nulls are the same, and the result is never null. */
  sameAs<N extends string = never>(other: Operand<N>): Expression<Names | N, boolean> {
    return call("same", this, other);
  }

  /** This and all others, in three-valued logic (false wins over null). */
  and<N extends string = never>(...others: Operand<N>[]): Expression<Names | N, Logical> {
    return others.length === 0 ? wrap(this.node) : call("and", this, ...others);
  }

  /** This or any other, in three-valued logic (true wins over null). */
  or<N extends string = never>(...others: Operand<N>[]): Expression<Names | N, Logical> {
    return others.length === 0 ? wrap(this.node) : call("or", this, ...others);
  }

  not(): Expression<Names, Logical> {
    return call("not", this);
  }

  isNull(): Expression<Names, boolean> {
    return call("isNull", this);
  }

  isNotNull(): Expression<Names, boolean> {
    return call("isNotNull", this);
  }

  /** Whether a float is NaN; null stays null. */
  isNaN(): Expression<Names, Logical> {
    return call("isNaN", this);
  }

  /**
   * Whether this equals one of the literals; false of none. As in SQL, a null in the list makes the result null instead of
   * false. Values are compared by this expression's type.
   */
  isIn(list: readonly (Plain | Expression<never, unknown>)[]): Expression<Names, Logical> {
    if (!Array.isArray(list)) {
      throw new ArgumentError(`isIn takes an array of values, not ${describe(list)}`, { value: list });
    }
    return wrap({ kind: "in", value: this.node, list: list.map(nodeOf) });
  }

  /** `low <= this and this <= high`. */
  between<N extends string = never>(low: Operand<N>, high: Operand<N>): Expression<Names | N, Logical> {
    return this.ge(low).and(this.le(high));
  }

  /**
   * Converts to `type`. A value that does not fit is a CastError with its row. Floats round half to even to
   * integers and decimals; texts are parsed and printed; timestamps change unit (rounding down), zone, or to
   * dates; integers are ticks of dates, times, timestamps and durations.
   */
  cast<T extends DataType>(type: T): Expression<Names, NullableResult<ValueOf<T>>> {
    return wrap({ kind: "cast", value: this.node, type, try: false });
  }

  /** As `cast`, but what does not convert becomes null. */
  tryCast<T extends DataType>(type: T): Expression<Names, NullableResult<ValueOf<T>>> {
    return wrap({ kind: "cast", value: this.node, type, try: true });
  }

  startsWith<N extends string = never>(prefix: Operand<N>): Expression<Names | N, Logical> {
    return call("startsWith", this, prefix);
  }

  endsWith<N extends string = never>(suffix: Operand<N>): Expression<Names | N, Logical> {
    return call("endsWith", this, suffix);
  }

  contains<N extends string = never>(part: Operand<N>): Expression<Names | N, Logical> {
    return call("contains", this, part);
  }

  /** SQL LIKE: `%` is any run of characters, `_` one code point; `escapedBy`, one ASCII character, makes the next plain. */
  like(pattern: string, escapedBy: string | null = null): Expression<Names, Logical> {
    return wrap({ kind: "like", value: this.node, pattern, escape: escapedBy });
  }

  /** Number of code points, int64. */
  length(): Expression<Names, bigint | null> {
    return call("length", this);
  }

  /** Number of bytes of the UTF-8 text or binary, int64. */
  octetLength(): Expression<Names, bigint | null> {
    return call("octetLength", this);
  }

  /** Lower case, code point by code point (Unicode's simple mapping: no letter changes the text's length in letters). */
  lower(): Expression<Names, string | null> {
    return call("lower", this);
  }

  upper(): Expression<Names, string | null> {
    return call("upper", this);
  }

  /**
   * Code points from `start` (1 is the first), `length` of them or to the end. As in standard SQL, positions
   * before the first are counted but hold nothing (DuckDB counts negative ones from the end); a length below
   * 1 gives the empty text.
   */
  substring<N extends string = never>(
    start: Operand<N>,
    length?: Operand<N>,
  ): Expression<Names | N, string | null> {
    const rest = length === undefined ? null : nodeOf(length);
    return wrap({ kind: "substring", value: this.node, start: nodeOf(start), length: rest });
  }

  /** This and the others joined; null if any is null. */
  concat<N extends string = never>(...others: Operand<N>[]): Expression<Names | N, string | null> {
    return wrap({ kind: "concat", args: [this.node, ...others.map(nodeOf)] });
  }

  /** Without blanks at either end. */
  trim(): Expression<Names, string | null> {
    return wrap({ kind: "trim", value: this.node, side: "both" });
  }

  trimStart(): Expression<Names, string | null> {
    return wrap({ kind: "trim", value: this.node, side: "leading" });
  }

  trimEnd(): Expression<Names, string | null> {
    return wrap({ kind: "trim", value: this.node, side: "trailing" });
  }

  /** Calendar year of a date or timestamp, int64; of a zoned timestamp, in its zone. So are all parts below. */
  year(): Expression<Names, bigint | null> {
    return part(this, "year");
  }

  /** 1 to 4. */
  quarter(): Expression<Names, bigint | null> {
    return part(this, "quarter");
  }

  /** 1 to 12. */
  month(): Expression<Names, bigint | null> {
    return part(this, "month");
  }

  /** Day of the month, from 1. */
  day(): Expression<Names, bigint | null> {
    return part(this, "day");
  }

  /** Hour, 0 to 23; 0 for dates. Times have hour, minute, second, millisecond and microsecond too. */
  hour(): Expression<Names, bigint | null> {
    return part(this, "hour");
  }

  minute(): Expression<Names, bigint | null> {
    return part(this, "minute");
  }

  /** Whole seconds of the minute. */
  second(): Expression<Names, bigint | null> {
    return part(this, "second");
  }

  /** Milliseconds of the minute: seconds included, as in DuckDB and Postgres. */
  millisecond(): Expression<Names, bigint | null> {
    return part(this, "millisecond");
  }

  /** Microseconds of the minute: seconds included. */
  microsecond(): Expression<Names, bigint | null> {
    return part(this, "microsecond");
  }

  /** 0 = Sunday to 6 = Saturday. */
  dayOfWeek(): Expression<Names, bigint | null> {
    return part(this, "dayOfWeek");
  }

  /** 1 = Monday to 7 = Sunday. */
  isoDayOfWeek(): Expression<Names, bigint | null> {
    return part(this, "isoDayOfWeek");
  }

  /** 1 = January 1. */
  dayOfYear(): Expression<Names, bigint | null> {
    return part(this, "dayOfYear");
  }

  /** ISO 8601 week, 1 to 53; its year is `isoYear()`. */
  week(): Expression<Names, bigint | null> {
    return part(this, "week");
  }

  isoYear(): Expression<Names, bigint | null> {
    return part(this, "isoYear");
  }

  /** Whole seconds since 1970-01-01 UTC (of a timestamp without zone: as if it were UTC), rounded down. */
  epoch(): Expression<Names, bigint | null> {
    return part(this, "epoch");
  }

  /** Start of the unit (week: its Monday) that the date or timestamp lies in, in its own type and zone. */
  dateTrunc(unit: TruncateUnit): Expression<Names, Result> {
    return wrap({ kind: "truncate", value: this.node, unit });
  }

  /**
   * A date or timestamp moved by a calendar interval: first its months (the day clamped to the month's end),
   * then its days, both in the timestamp's zone, then the rest. A date gives a timestamp[us], as in DuckDB.
   * Takes `interval("3 months")` or the text itself.
   */
  addInterval(span: Interval | string): Expression<Names, Numeric | null> {
    const by = typeof span === "string" ? interval(span) : span;
    return wrap({ kind: "shift", value: this.node, interval: by });
  }

  /** `addInterval`. */
  plus(span: Interval | string): Expression<Names, Numeric | null> {
    return this.addInterval(span);
  }

  /** `addInterval` backwards. */
  minus(span: Interval | string): Expression<Names, Numeric | null> {
    return this.addInterval(negated(typeof span === "string" ? interval(span) : span));
  }

  /** The expression as text, as messages and `explain` show it. */
  toString(): string {
    return expressionText(this.node);
  }
}

/** The column `name`. */
export function col<const N extends string>(name: N): Expression<N, ColumnResult<N>> {
  return wrap({ kind: "column", name });
}

/**
 * A literal. Without a type it takes the type that the other side asks for; alone, an integer is int32 or
 * int64 by its size, another number float64, a Date timestamp[ms], and null needs a type.
 * With a type: texts of dates and timestamps are ISO 8601, bigints beside decimals are whole numbers.
 */
export function lit<T extends DataType>(value: Plain, type: T): Expression<never, NullableResult<ValueOf<T>>>;
export function lit<V extends Plain>(value: V): Expression<never, Widened<V>>;
export function lit(value: Plain, type: DataType | null = null): Expression<never> {
  return wrap({ kind: "literal", value, type });
}

type Widened<V> = V extends number ? number : V extends bigint ? bigint : V extends string ? string : V;

/** The first of the arguments that is not null. Later ones are only reached (and only fail) where the earlier are null. */
export function coalesce<N extends string = never>(...args: Operand<N>[]): Expression<N> {
  return wrap({ kind: "coalesce", args: args.map(nodeOf) });
}

/** The texts joined; null if any is null. */
export function concat<N extends string = never>(...args: Operand<N>[]): Expression<N, string | null> {
  return wrap({ kind: "concat", args: args.map(nodeOf) });
}

/** All of the conditions; true of none. */
export function and<N extends string = never>(...args: Operand<N>[]): Expression<N, Logical> {
  return args.length === 0 ? wrap({ kind: "literal", value: true, type: null }) : join("and", args);
}

/** Any of the conditions; false of none. */
export function or<N extends string = never>(...args: Operand<N>[]): Expression<N, Logical> {
  return args.length === 0 ? wrap({ kind: "literal", value: false, type: null }) : join("or", args);
}

function join(fn: "and" | "or", args: readonly Operand[]): Expression<never, Logical> {
  return wrap(args.length === 1 ? nodeOf(args[0]!) : { kind: "call", fn, args: args.map(nodeOf) });
}

export function not<N extends string = never>(condition: Operand<N>): Expression<N, Logical> {
  return wrap({ kind: "call", fn: "not", args: [nodeOf(condition)] });
}

/**
 * `when(condition).then(value).when(...).then(...).otherwise(value)`: the value of the first condition that
 * is true, as SQL's CASE. A value is only computed (and only fails) where its branch is taken.
 */
export function when<N extends string = never>(condition: Operand<N>): When<N> {
  return new When([], nodeOf(condition));
}

type Branches = readonly { readonly condition: ExpressionNode; readonly value: ExpressionNode }[];

/** A CASE that waits for the value of its latest condition. */
export class When<out Names extends string> {
  declare readonly [usedNames]: Names;
  readonly #branches: Branches;
  readonly #condition: ExpressionNode;

  /** @internal */
  constructor(branches: Branches, condition: ExpressionNode) {
    this.#branches = branches;
    this.#condition = condition;
  }

  // biome-ignore lint/suspicious/noThenProperty: SQL's own word; nobody awaits half a CASE
  then<N extends string = never>(value: Operand<N>): Then<Names | N> {
    return new Then([...this.#branches, { condition: this.#condition, value: nodeOf(value) }]);
  }
}

/** A CASE so far. It is an expression already: rows that no branch takes are null. */
export class Then<out Names extends string> extends Expression<Names> {
  readonly #branches: Branches;

  /** @internal */
  constructor(branches: Branches) {
    super({ kind: "case", branches, otherwise: null });
    this.#branches = branches;
  }

  when<N extends string = never>(condition: Operand<N>): When<Names | N> {
    return new When(this.#branches, nodeOf(condition));
  }

  otherwise<N extends string = never>(value: Operand<N>): Expression<Names | N> {
    return wrap({ kind: "case", branches: this.#branches, otherwise: nodeOf(value) });
  }
}

/** @internal The tree of an operand. */
export function nodeOf(operand: Operand): ExpressionNode {
  if (operand instanceof Expression) return operand.node;
  if (isPlain(operand)) return { kind: "literal", value: operand, type: null };
  throw new ArgumentError(
    `expected an expression, number, bigint, string, boolean, null or Date, not ${describe(operand)}`,
    { value: operand },
  );
}

function isPlain(value: unknown): value is Plain {
  return (
    value === null ||
    ["number", "bigint", "string", "boolean"].includes(typeof value) ||
    value instanceof Date ||
    value instanceof Uint8Array
  );
}

function describe(value: unknown): string {
  return typeof value === "object" ? `an object (${value?.constructor?.name ?? "no class"})` : typeof value;
}

/**
 * Deepest nesting of an expression: everything that walks one recurses, and a call stack ends somewhere
 * (at about five times this on Node's default stack). `and`, `or`, `coalesce` and `isIn` take any number of
 * operands side by side.
 */
const MAX_DEPTH = 1000;

const depths = new WeakMap<ExpressionNode, number>();

function checkDepth(node: ExpressionNode): void {
  let depth = 1;
  for (const child of children(node)) depth = Math.max(depth, 1 + (depths.get(child) ?? 1));
  if (depth > MAX_DEPTH) {
    throw new PlanError(`the expression is nested ${depth} deep; at most ${MAX_DEPTH} is possible`, {
      expected: `at most ${MAX_DEPTH} levels`,
    });
  }
  depths.set(node, depth);
}

function wrap<N extends string, R>(node: ExpressionNode): Expression<N, R> {
  return new Expression<N, R>(node);
}

type CallName = Extract<ExpressionNode, { kind: "call" }>["fn"];

function call<N extends string, R>(fn: CallName, ...args: Operand[]): Expression<N, R> {
  return wrap({ kind: "call", fn, args: args.map(nodeOf) });
}

function part<N extends string>(value: Expression<N>, name: TimePartName): Expression<N, bigint | null> {
  return wrap({ kind: "timePart", value: value.node, part: name });
}
