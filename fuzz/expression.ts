// Random expressions over the columns of a schema.
//
// Drawn by what is wanted (a condition, a number, a text, a time), so that most of them have types that go together;
// those that do not are refused when they are bound, and the step that holds them is left out.

import { type ExpressionNode, type Plain, TIME_PARTS, TRUNCATE_UNITS } from "../bindings/ts/plan/node.js";
import {
  type DataType,
  date32,
  decimal,
  type Field,
  float32,
  float64,
  int8,
  int32,
  int64,
  largeUtf8,
  timestamp,
  uint8,
  uint32,
  uint64,
  utf8,
  valueType,
} from "../bindings/ts/type/data-type.js";
import type { Draw } from "./draw.js";

/** What an expression is to be. */
export type Want = "condition" | "number" | "text" | "time" | "any";

const NUMBERS: readonly Plain[] = [
  0,
  1,
  -1,
  2,
  3,
  7,
  10,
  0.5,
  -1.5,
  100,
  2 ** 31,
  10n ** 18n,
  1e300,
  Number.NaN,
];
const TEXTS = ["", "a", "ab", "x", "é", "b'c", " ", "1", "\u{1f600}", "abcdefghi"];
const PATTERNS = ["%", "", "a%", "%a%", "_", "_b%", "%é%", "%x", "a\\%%", "%%b"];
const INTERVALS = [
  { months: 0, days: 0, nanoseconds: 3_600_000_000_000n },
  { months: 1, days: 0, nanoseconds: 0n },
  { months: -13, days: 5, nanoseconds: 1000n },
  { months: 0, days: -1, nanoseconds: 0n },
];
const NUMBER_TYPES = [
  int64,
  int32,
  float64,
  int8,
  uint8,
  uint32,
  uint64,
  float32,
  decimal(12, 2),
  decimal(38, 4),
];
const TIME_TYPES = [
  timestamp("us"),
  date32,
  timestamp("s"),
  timestamp("ms", "Europe/Berlin"),
  timestamp("ns"),
];

/** An expression at most `depth` levels deep, columns not counted. */
export function drawExpression(
  draw: Draw,
  fields: readonly Field[],
  want: Want,
  depth: number,
): ExpressionNode {
  return new ExpressionDraw(draw, fields).of(want, depth);
}

class ExpressionDraw {
  readonly #draw: Draw;
  readonly #fields: readonly Field[];

  constructor(draw: Draw, fields: readonly Field[]) {
    this.#draw = draw;
    this.#fields = fields;
  }

  of(want: Want, depth: number): ExpressionNode {
    if (want === "any") return this.#any(depth);
    if (depth <= 0 || this.#draw.chance(25)) return this.#leaf(want);
    if (this.#draw.chance(12)) return this.#branching(want, depth);
    if (want === "condition") return this.#condition(depth);
    if (want === "number") return this.#number(depth);
    return want === "text" ? this.#text(depth) : this.#time(depth);
  }

  #any(depth: number): ExpressionNode {
    if (depth <= 0 || this.#draw.chance(40)) return this.#column(() => true) ?? literal(1);
    return this.of(this.#draw.pick<Want>(["number", "text", "condition", "time"]), depth);
  }

  /** A column that passes; null when there is none. */
  #column(passes: (type: DataType) => boolean): ExpressionNode | null {
    const names = this.#fields.filter(({ type }) => passes(valueType(type))).map(({ name }) => name);
    return names.length === 0 ? null : { kind: "column", name: this.#draw.pick(names) };
  }

  #leaf(want: Want): ExpressionNode {
    const column = this.#draw.chance(20) ? null : this.#column((type) => isA(want, type));
    if (column !== null) return column;
    switch (want) {
      case "condition":
        return literal(this.#draw.chance(50));
      case "number":
        return literal(this.#draw.pick(NUMBERS));
      case "text":
        return literal(this.#draw.pick(TEXTS));
      default:
        return this.#tick(this.#draw.pick(TIME_TYPES));
    }
  }

  /** A time as a literal. */
  #tick(type: DataType): ExpressionNode {
    const value = this.#draw.pick([0n, 1n, -1n, 86_400n, 20_000n, 1_600_000_000n]);
    return cast({ kind: "literal", value, type: type.kind === "date" ? int32 : int64 }, type, false);
  }

  #branching(want: Want, depth: number): ExpressionNode {
    const value = () => this.of(want, depth - 1);
    if (this.#draw.chance(50)) return { kind: "coalesce", args: [value(), value()] };
    const branches = [
      { condition: this.of("condition", depth - 1), value: value() },
      ...this.#draw.list(2, 1, () => ({ condition: this.of("condition", depth - 1), value: value() })),
    ];
    return { kind: "case", branches, otherwise: this.#draw.chance(60) ? value() : null };
  }

  #condition(depth: number): ExpressionNode {
    const draw = this.#draw;
    const inner = () => this.of("condition", depth - 1);
    switch (draw.below(9)) {
      case 0:
        return this.#comparison(depth);
      case 1:
        return call(draw.chance(50) ? "isNotNull" : "isNull", this.of("any", depth - 1));
      case 2:
        return call(draw.pick(["and", "or"] as const), inner(), inner(), ...draw.list(2, 1, inner));
      case 3:
        return call("not", inner());
      case 4:
        return this.#oneOf();
      case 5: {
        const escaped = draw.chance(30) ? "\\" : null;
        return {
          kind: "like",
          value: this.of("text", depth - 1),
          pattern: draw.pick(PATTERNS),
          escape: escaped,
        };
      }
      case 6: {
        const test = draw.pick(["startsWith", "endsWith", "contains"] as const);
        return call(test, this.of("text", depth - 1), this.of("text", depth - 1));
      }
      case 7:
        return call("isNaN", cast(this.of("number", depth - 1), float64, false));
      default:
        return this.#comparison(depth);
    }
  }

  #comparison(depth: number): ExpressionNode {
    const draw = this.#draw;
    const fn = draw.pick([
      "equal",
      "less",
      "notEqual",
      "lessEqual",
      "greater",
      "greaterEqual",
      "same",
    ] as const);
    // A column beside another of its type is what most conditions are.
    if (draw.chance(30)) {
      const fields = this.#fields.filter(({ type }) => valueType(type).kind !== "list");
      if (fields.length > 0) {
        const { name, type } = draw.pick(fields);
        const kind = valueType(type).kind;
        return call(fn, { kind: "column", name }, this.#column((other) => other.kind === kind)!);
      }
    }
    const want = draw.pick<Want>(["number", "text", "time", "condition"]);
    return call(fn, this.of(want, depth - 1), this.of(want, depth - 1));
  }

  #oneOf(): ExpressionNode {
    const want = this.#draw.pick<Want>(["number", "text"]);
    const values = want === "number" ? NUMBERS : TEXTS;
    const list = this.#draw.list(6, 3, () => literal(this.#draw.chance(10) ? null : this.#draw.pick(values)));
    return { kind: "in", value: this.#leaf(want), list };
  }

  #number(depth: number): ExpressionNode {
    const draw = this.#draw;
    const inner = () => this.of("number", depth - 1);
    switch (draw.below(9)) {
      case 0:
      case 1:
        return call(
          draw.pick(["add", "subtract", "multiply", "divide", "integerDivide", "modulo"] as const),
          inner(),
          inner(),
        );
      case 2:
        return call(draw.pick(["negate", "abs", "floor", "ceil", "sqrt", "sign"] as const), inner());
      case 3:
        return { kind: "round", value: inner(), digits: draw.pick([0, 1, 2, -1, -3]) };
      case 4:
        return cast(inner(), draw.pick(NUMBER_TYPES), !draw.chance(25));
      case 5:
        return cast(
          this.of(draw.pick<Want>(["text", "condition"]), depth - 1),
          draw.pick(NUMBER_TYPES),
          true,
        );
      case 6:
        return call(draw.pick(["length", "octetLength"] as const), this.of("text", depth - 1));
      case 7:
        return { kind: "timePart", value: this.of("time", depth - 1), part: draw.pick(TIME_PARTS) };
      default:
        // Differences of dates are days.
        return call("subtract", cast(this.of("time", depth - 1), date32, true), this.#tick(date32));
    }
  }

  #text(depth: number): ExpressionNode {
    const draw = this.#draw;
    const inner = () => this.of("text", depth - 1);
    switch (draw.below(6)) {
      case 0:
        return call(draw.pick(["lower", "upper"] as const), inner());
      case 1:
        return { kind: "trim", value: inner(), side: draw.pick(["both", "leading", "trailing"] as const) };
      case 2: {
        const position = () =>
          draw.chance(20) ? this.#leaf("number") : literal(draw.pick([1, 2, 0, -1, 5]));
        const length = draw.chance(50) ? position() : null;
        return { kind: "substring", value: inner(), start: position(), length };
      }
      case 3:
        return { kind: "concat", args: [inner(), inner(), ...draw.list(2, 1, inner)] };
      case 4:
        return cast(this.of("any", depth - 1), draw.pick([utf8, largeUtf8]), draw.chance(50));
      default:
        return cast(this.of("number", depth - 1), utf8, false);
    }
  }

  #time(depth: number): ExpressionNode {
    const draw = this.#draw;
    const inner = () => this.of("time", depth - 1);
    switch (draw.below(4)) {
      case 0:
        return { kind: "truncate", value: inner(), unit: draw.pick(TRUNCATE_UNITS) };
      case 1:
        return { kind: "shift", value: inner(), interval: draw.pick(INTERVALS) };
      case 2:
        return cast(inner(), draw.pick(TIME_TYPES), draw.chance(60));
      default:
        return call("add", cast(inner(), date32, true), this.#leaf("number"));
    }
  }
}

function isA(want: Want, { kind }: DataType): boolean {
  switch (want) {
    case "condition":
      return kind === "bool";
    case "number":
      return kind === "int" || kind === "float" || kind === "decimal";
    case "text":
      return kind === "utf8" || kind === "largeUtf8";
    default:
      return kind === "timestamp" || kind === "date";
  }
}

function literal(value: Plain): ExpressionNode {
  return { kind: "literal", value, type: null };
}

function cast(value: ExpressionNode, type: DataType, attempt: boolean): ExpressionNode {
  return { kind: "cast", value, type, try: attempt };
}

type CallName = Extract<ExpressionNode, { kind: "call" }>["fn"];

function call(fn: CallName, ...args: readonly ExpressionNode[]): ExpressionNode {
  return { kind: "call", fn, args };
}
