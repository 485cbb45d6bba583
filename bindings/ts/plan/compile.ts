// Bound expressions to a program of the kernel (kernel/abi/instruction.ts).
//
// Equal subexpressions are computed once: nodes are numbered by structure, and a register is remembered per
// number until the next FILTER, after which registers no longer fit the rows. Where CASE, COALESCE or an
// aggregate's filter decides which rows an expression is reached by, and it can fail, its instructions
// carry a mask and are remembered per mask; what cannot fail is computed unmasked and shared.

import { Opcode, OrderKeyFlag, TimePart } from "../../../kernel/abi/instruction.js";
import { Type } from "../../../kernel/abi/layout.js";
import { type Operation, ProgramBuilder, type Register } from "../kernel/program.js";
import {
  type DataType,
  physicalType,
  type Schema,
  sameType,
  typeName,
  valueType,
} from "../type/data-type.js";
import {
  type BoundCall,
  type BoundCase,
  type BoundCoalesce,
  type BoundExpression,
  type BoundFunction,
  type BoundShift,
  boundChildren,
} from "./bound.js";
import { SECONDS_A_DAY, TICKS_A_SECOND, ticksADay } from "./calendar.js";
import { casePairs } from "./case-map.js";
import type { TimePartName } from "./node.js";
import { canFail } from "./rewrite.js";
import { zoneTable } from "./time-zone.js";

/** A program, and what its numbers stand for. */
export interface CompiledProgram {
  /** Input columns, in the order of the program's columns. */
  readonly columns: readonly number[];
  readonly program: Uint8Array;
  /** Per instruction, the text of the expression that it computes. */
  readonly instructions: readonly string[];
}

/** Rows that reach an expression; null is all of them. */
type Mask = Register | null;

const OPCODES: Partial<Record<BoundFunction, Opcode>> = {
  add: Opcode.ADD,
  subtract: Opcode.SUBTRACT,
  multiply: Opcode.MULTIPLY,
  divide: Opcode.DIVIDE,
  integerDivide: Opcode.INTEGER_DIVIDE,
  modulo: Opcode.MODULO,
  negate: Opcode.NEGATE,
  abs: Opcode.ABS,
  floor: Opcode.FLOOR,
  ceil: Opcode.CEIL,
  sqrt: Opcode.SQRT,
  sign: Opcode.SIGN,
  equal: Opcode.EQUAL,
  notEqual: Opcode.NOT_EQUAL,
  less: Opcode.LESS,
  lessEqual: Opcode.LESS_EQUAL,
  greater: Opcode.GREATER,
  greaterEqual: Opcode.GREATER_EQUAL,
  same: Opcode.SAME,
  and: Opcode.AND,
  or: Opcode.OR,
  not: Opcode.NOT,
  isNull: Opcode.IS_NULL,
  isNotNull: Opcode.IS_NOT_NULL,
  isNaN: Opcode.IS_NAN,
  startsWith: Opcode.STARTS_WITH,
  endsWith: Opcode.ENDS_WITH,
  contains: Opcode.CONTAINS,
  length: Opcode.LENGTH,
  octetLength: Opcode.OCTET_LENGTH,
};

const PARTS: Record<TimePartName, TimePart> = {
  year: TimePart.YEAR,
  quarter: TimePart.QUARTER,
  month: TimePart.MONTH,
  day: TimePart.DAY,
  hour: TimePart.HOUR,
  minute: TimePart.MINUTE,
  second: TimePart.SECOND,
  millisecond: TimePart.MILLISECOND,
  microsecond: TimePart.MICROSECOND,
  dayOfWeek: TimePart.DAY_OF_WEEK,
  isoDayOfWeek: TimePart.ISO_DAY_OF_WEEK,
  dayOfYear: TimePart.DAY_OF_YEAR,
  week: TimePart.WEEK,
  isoYear: TimePart.ISO_YEAR,
  epoch: TimePart.EPOCH,
};

const SUB_DAY: ReadonlySet<string> = new Set(["hour", "minute", "second", "millisecond", "microsecond"]);
const TRIM_SIDES = { leading: 1, trailing: 2, both: 3 } as const;

/** How registers hold values of a type: large texts as texts. */
export function registerType(type: DataType): Type {
  const physical = physicalType(valueType(type));
  return physical === Type.LARGE_BYTES ? Type.BYTES : physical;
}

export interface OrderKeyPart {
  readonly register: Register;
  readonly flags: OrderKeyFlag;
}

export class ProgramCompiler {
  readonly #builder = new ProgramBuilder();
  readonly #schema: Schema;
  readonly #columns: number[] = [];
  readonly #programColumns = new Map<number, number>();
  readonly #texts: string[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #numbered = new Map<BoundExpression, number>();
  readonly #results = new Map<string, Register>();
  #registers = 0;
  #text = "";

  /** @param schema of the input batches. */
  constructor(schema: Schema) {
    this.#schema = schema;
  }

  /** Keeps the rows where all conditions are true. */
  filter(conditions: readonly BoundExpression[]): void {
    const registers = conditions.map((condition) => this.#compile(condition, null));
    const all = this.#fold(Opcode.AND, Type.BOOL, registers, null);
    this.#builder.filter(all);
    this.#texts.push(conditions.map((condition) => condition.text).join(" and "));
    this.#results.clear();
  }

  /** The register that holds the expression; under `reachedBy` (a condition), errors elsewhere are not raised. */
  compute(expression: BoundExpression, reachedBy: BoundExpression | null = null): Register {
    const mask = reachedBy !== null && canFail(expression) ? this.#compile(reachedBy, null) : null;
    return this.#compile(expression, mask);
  }

  /**
   * One text a row that orders, and tells apart, as its parts do one after the other; null where any part is. The last
   * one is left as it is where it is a text and has no flags.
   */
  orderKey(parts: readonly OrderKeyPart[]): Register {
    const keys = parts.map(({ register, flags }, index) => {
      const type = this.#builder.typeOf(register);
      const plain = type === Type.BYTES && index === parts.length - 1 && flags === OrderKeyFlag.NONE;
      if (plain) return register;
      return this.#shared(`key ${register} ${flags}`, () =>
        this.#emit(Opcode.ORDER_KEY, type, { a: register, target: Type.BYTES, arg0: flags }),
      );
    });
    return keys.reduce((a, b) =>
      this.#shared(`keys ${a} ${b}`, () => this.#emit(Opcode.CONCAT, Type.BYTES, { a, b })),
    );
  }

  #shared(key: string, make: () => Register): Register {
    const register = this.#results.get(key) ?? make();
    this.#results.set(key, register);
    return register;
  }

  /** The row's number in the batch. */
  rowIndex(): Register {
    return this.#emit(Opcode.ROW_INDEX, Type.U32, {});
  }

  /** Declares the next output; answers its index. */
  output(register: Register): number {
    return this.#builder.output(register);
  }

  finish(): CompiledProgram {
    return { columns: this.#columns, program: this.#builder.encode(), instructions: this.#texts };
  }

  /** Equal expressions have equal numbers. */
  #number(expression: BoundExpression): number {
    const known = this.#numbered.get(expression);
    if (known !== undefined) return known;
    // Children first: `structureKey` then finds their numbers, and never recurses inside JSON.stringify.
    for (const child of boundChildren(expression)) this.#number(child);
    const key = structureKey(expression, (child) => this.#number(child));
    const number = this.#numbers.get(key) ?? this.#numbers.size;
    this.#numbers.set(key, number);
    this.#numbered.set(expression, number);
    return number;
  }

  #compile(expression: BoundExpression, mask: Mask): Register {
    const number = this.#number(expression);
    const shared = this.#results.get(`${number}`);
    if (shared !== undefined) return shared;
    const under = canFail(expression) ? mask : null;
    const key = under === null ? `${number}` : `${number} under ${under}`;
    const known = this.#results.get(key);
    if (known !== undefined) return known;
    const outer = this.#text;
    this.#text = expression.text;
    const register = this.#translate(expression, under);
    this.#text = outer;
    this.#results.set(key, register);
    return register;
  }

  #translate(expression: BoundExpression, mask: Mask): Register {
    const value = () => this.#compile((expression as { value: BoundExpression }).value, mask);
    const all = (args: readonly BoundExpression[]) => args.map((arg) => this.#compile(arg, mask));
    const type = registerType(expression.type);
    switch (expression.kind) {
      case "column":
        return this.#load(expression.index);
      case "literal":
        return this.#written(this.#builder.literal(type, expression.value));
      case "call":
        return this.#call(expression, all(expression.args), mask);
      case "round": {
        const scale = expression.type.kind === "decimal" ? expression.type.scale : 0;
        return this.#emit(
          Opcode.ROUND,
          type,
          { a: value(), arg0: expression.digits >>> 0, arg1: scale },
          mask,
        );
      }
      case "in": {
        const operand = registerType(expression.value.type);
        const list = expression.hasNull ? [...expression.list, null] : expression.list;
        const arg0 = this.#builder.list(operand, list);
        return this.#emit(Opcode.IN, operand, { a: value(), target: Type.BOOL, arg0 }, mask);
      }
      case "case":
        return this.#case(expression, mask);
      case "coalesce":
        return this.#coalesce(expression, mask);
      case "cast":
        return this.#cast(value(), expression.value.type, expression.type, expression.try, mask);
      case "like": {
        const pattern = this.#written(this.#builder.literal(Type.BYTES, expression.pattern));
        const arg0 = expression.escape === null ? 0 : expression.escape.charCodeAt(0);
        return this.#emit(Opcode.LIKE, Type.BYTES, { a: value(), b: pattern, target: Type.BOOL, arg0 }, mask);
      }
      case "substring": {
        const [a, b] = [value(), this.#compile(expression.start, mask)];
        const c = expression.length === null ? {} : { c: this.#compile(expression.length, mask) };
        return this.#emit(Opcode.SUBSTRING, Type.BYTES, { a, b, ...c }, mask);
      }
      case "concat":
        return this.#fold(Opcode.CONCAT, Type.BYTES, all(expression.args), mask);
      case "trim":
        return this.#emit(Opcode.TRIM, Type.BYTES, { a: value(), arg0: TRIM_SIDES[expression.side] }, mask);
      case "timePart": {
        const ticks = this.#widen(value(), mask);
        const from = expression.value.type;
        const a = expression.part === "epoch" ? ticks : this.#toLocal(ticks, from, mask);
        const operation = { a, arg0: PARTS[expression.part], immediate: ticksADay(from) };
        return this.#emit(Opcode.TIME_PART, Type.I64, operation, mask);
      }
      case "truncate":
        return this.#truncate(value(), expression.type, expression.unit, mask);
      case "shift":
        return this.#shift(value(), expression, mask);
    }
  }

  #load(column: number): Register {
    let index = this.#programColumns.get(column);
    if (index === undefined) {
      index = this.#builder.column(registerType(this.#schema.fields[column]!.type));
      this.#programColumns.set(column, index);
      this.#columns.push(column);
    }
    return this.#written(this.#builder.load(index));
  }

  #emit(opcode: Opcode, type: Type, operation: Operation, mask: Mask = null): Register {
    return this.#written(
      this.#builder.emit(opcode, type, mask === null ? operation : { ...operation, mask }),
    );
  }

  /** Notes the text behind an instruction, unless the builder answered with an earlier register. */
  #written(register: Register): Register {
    if (register === this.#registers) {
      this.#registers++;
      this.#texts.push(this.#text);
    }
    return register;
  }

  #fold(opcode: Opcode, type: Type, registers: readonly Register[], mask: Mask): Register {
    return registers.reduce((a, b) => this.#emit(opcode, type, { a, b }, mask));
  }

  #call(call: BoundCall, args: readonly Register[], mask: Mask): Register {
    const [a, b] = args;
    const operand = registerType(call.args[0]!.type);
    const target = registerType(call.type);
    switch (call.fn) {
      case "and":
      case "or":
        return this.#fold(OPCODES[call.fn]!, Type.BOOL, args, mask);
      case "lower":
      case "upper": {
        const arg0 = this.#builder.caseTable(casePairs(call.fn));
        return this.#emit(Opcode.CASE_MAP, Type.BYTES, { a: a!, arg0 }, mask);
      }
      case "floor":
      case "ceil": {
        const arg0 = call.type.kind === "decimal" ? call.type.scale : 0;
        return this.#emit(OPCODES[call.fn]!, target, { a: a!, arg0 }, mask);
      }
      default: {
        const operation = b === undefined ? { a: a!, target } : { a: a!, b, target };
        return this.#emit(OPCODES[call.fn]!, operand, operation, mask);
      }
    }
  }

  /** Branches from the last to the first, each chosen where its condition is true. */
  #case(expression: BoundCase, mask: Mask): Register {
    const type = registerType(expression.type);
    const chosen: { condition: Register; value: Register }[] = [];
    let open = mask;
    for (const branch of expression.branches) {
      const condition = this.#compile(branch.condition, open);
      const taken = canFail(branch.value) ? this.#both(open, condition) : null;
      chosen.push({ condition, value: this.#compile(branch.value, taken) });
      if (this.#laterCanFail(expression, branch)) open = this.#both(open, this.#isNotTrue(condition));
    }
    const last = this.#compile(expression.otherwise, open);
    return chosen.reduceRight(
      (c, { condition, value }) => this.#emit(Opcode.SELECT, type, { a: condition, b: value, c }),
      last,
    );
  }

  #laterCanFail({ branches, otherwise }: BoundCase, branch: BoundCase["branches"][number]): boolean {
    const later = branches.slice(branches.indexOf(branch) + 1);
    return canFail(otherwise) || later.some(({ condition, value }) => canFail(condition) || canFail(value));
  }

  #coalesce(expression: BoundCoalesce, mask: Mask): Register {
    const type = registerType(expression.type);
    const [first, ...rest] = expression.args;
    let result = this.#compile(first!, mask);
    for (const arg of rest) {
      const isNull = canFail(arg) ? this.#emit(Opcode.IS_NULL, type, { a: result, target: Type.BOOL }) : null;
      const reached = isNull === null ? null : this.#both(mask, isNull);
      result = this.#emit(Opcode.COALESCE, type, { a: result, b: this.#compile(arg, reached) });
    }
    return result;
  }

  #both(mask: Mask, condition: Register): Register {
    if (mask === null) return condition;
    return this.#emit(Opcode.AND, Type.BOOL, { a: mask, b: condition });
  }

  #isNotTrue(condition: Register): Register {
    const isTrue = this.#emit(Opcode.IS_TRUE, Type.BOOL, { a: condition });
    return this.#emit(Opcode.NOT, Type.BOOL, { a: isTrue });
  }

  #cast(a: Register, from: DataType, to: DataType, lenient: boolean, mask: Mask): Register {
    if (sameType(from, to)) return a;
    const [source, target] = [registerType(from), registerType(to)];
    const isText = (type: DataType) => type.kind === "utf8" || type.kind === "largeUtf8";
    if (source === Type.BYTES && target === Type.BYTES) return a;
    if (isCalendar(from) && isCalendar(to)) return this.#castTime(a, from, to, lenient, mask);
    if (isText(from) && isCalendar(to)) return this.#textToTime(a, to, lenient, mask);
    if (isCalendar(from) && isText(to)) return this.#timeToText(a, from, mask);
    if (source === target && target !== Type.I128) return a;
    const same = from.kind === "decimal" && to.kind === "decimal" && from.scale === to.scale;
    if (same && from.precision <= to.precision) return a;
    const operation: Operation = {
      a,
      target,
      arg0: from.kind === "decimal" ? from.scale : 0,
      arg1: to.kind === "decimal" ? to.scale : 0,
      immediate: to.kind === "decimal" ? BigInt(to.precision) : 0n,
      try: lenient,
    };
    return this.#emit(Opcode.CAST, source, operation, mask);
  }

  /** Dates, timestamps, times and durations among each other. */
  #castTime(a: Register, from: DataType, to: DataType, lenient: boolean, mask: Mask): Register {
    let ticks = this.#widen(a, mask);
    let day = ticksADay(from);
    if (to.kind !== "timestamp" || to.timezone === null) ticks = this.#toLocal(ticks, from, mask);
    if (from.kind === "timestamp" && to.kind === "time") ticks = this.#timeOfDay(ticks, day, mask);
    if (from.kind === "timestamp" && to.kind === "date") {
      ticks = this.#rescale(ticks, day, 1n, lenient, mask);
      day = 1n;
    }
    ticks = this.#rescale(ticks, day, ticksADay(to), lenient, mask);
    if (from.kind !== "timestamp" || from.timezone === null) ticks = this.#fromLocal(ticks, to, mask);
    return this.#narrow(ticks, to, lenient, mask);
  }

  #rescale(a: Register, from: bigint, to: bigint, lenient: boolean, mask: Mask): Register {
    if (from === to) return a;
    const [opcode, immediate] =
      to > from ? ([Opcode.SCALE_UP, to / from] as const) : ([Opcode.SCALE_DOWN, from / to] as const);
    return this.#emit(opcode, Type.I64, { a, immediate, try: lenient && opcode === Opcode.SCALE_UP }, mask);
  }

  #timeOfDay(a: Register, day: bigint, mask: Mask): Register {
    const days = this.#emit(Opcode.SCALE_DOWN, Type.I64, { a, immediate: day }, mask);
    const midnight = this.#emit(Opcode.SCALE_UP, Type.I64, { a: days, immediate: day }, mask);
    return this.#emit(Opcode.SUBTRACT, Type.I64, { a, b: midnight }, mask);
  }

  #textToTime(a: Register, to: DataType, lenient: boolean, mask: Mask): Register {
    const day = to.kind === "date" ? 1n : ticksADay(to);
    const operation = { a, target: Type.I64, immediate: day, try: lenient };
    const ticks = this.#emit(Opcode.TEXT_TO_TIME, Type.BYTES, operation, mask);
    return this.#narrow(this.#rescale(ticks, day, ticksADay(to), lenient, mask), to, lenient, mask);
  }

  #timeToText(a: Register, from: DataType, mask: Mask): Register {
    const day = from.kind === "date" ? 1n : ticksADay(from);
    const ticks = this.#rescale(this.#widen(a, mask), ticksADay(from), day, false, mask);
    const operation = { a: ticks, target: Type.BYTES, immediate: day };
    return this.#emit(Opcode.TIME_TO_TEXT, Type.I64, operation, mask);
  }

  #widen(a: Register, mask: Mask): Register {
    const type = this.#builder.typeOf(a);
    return type === Type.I64 ? a : this.#emit(Opcode.CAST, type, { a, target: Type.I64 }, mask);
  }

  #narrow(a: Register, to: DataType, lenient: boolean, mask: Mask): Register {
    const target = registerType(to);
    if (target === Type.I64) return a;
    return this.#emit(Opcode.CAST, Type.I64, { a, target, try: lenient }, mask);
  }

  #toLocal(a: Register, type: DataType, mask: Mask): Register {
    return this.#inZone(Opcode.TO_LOCAL, a, type, mask);
  }

  #fromLocal(a: Register, type: DataType, mask: Mask): Register {
    return this.#inZone(Opcode.FROM_LOCAL, a, type, mask);
  }

  #inZone(opcode: Opcode, a: Register, type: DataType, mask: Mask): Register {
    if (type.kind !== "timestamp" || type.timezone === null) return a;
    const table = zoneTable(type.timezone);
    const entries = table.from.map((second, index) => [second, Number(table.offset[index])] as const);
    const operation = { a, arg0: this.#builder.zoneTable(entries), immediate: TICKS_A_SECOND[type.unit] };
    return this.#emit(opcode, Type.I64, operation, mask);
  }

  #truncate(a: Register, type: DataType, unit: keyof typeof PARTS, mask: Mask): Register {
    if (type.kind === "date" && SUB_DAY.has(unit)) return a;
    const local = this.#toLocal(this.#widen(a, mask), type, mask);
    const operation = { a: local, arg0: PARTS[unit], immediate: ticksADay(type) };
    const cut = this.#emit(Opcode.TIME_TRUNCATE, Type.I64, operation, mask);
    return this.#narrow(this.#fromLocal(cut, type, mask), type, false, mask);
  }

  #shift(a: Register, { type, interval }: BoundShift, mask: Mask): Register {
    const day = ticksADay(type);
    let ticks = a;
    if (interval.months !== 0 || interval.days !== 0) {
      ticks = this.#toLocal(ticks, type, mask);
      if (interval.months !== 0) {
        const b = this.#written(this.#builder.literal(Type.I64, interval.months));
        ticks = this.#emit(Opcode.ADD_MONTHS, Type.I64, { a: ticks, b, immediate: day }, mask);
      }
      ticks = this.#addTicks(ticks, BigInt(interval.days) * day, mask);
      ticks = this.#fromLocal(ticks, type, mask);
    }
    const rest = (interval.nanoseconds * day) / (SECONDS_A_DAY * 1_000_000_000n);
    return this.#addTicks(ticks, rest, mask);
  }

  #addTicks(a: Register, ticks: bigint, mask: Mask): Register {
    if (ticks === 0n) return a;
    const b = this.#written(this.#builder.literal(Type.I64, ticks));
    return this.#emit(Opcode.ADD, Type.I64, { a, b }, mask);
  }
}

function isCalendar(type: DataType): boolean {
  return ["date", "timestamp", "time", "duration"].includes(type.kind);
}

/** Text that equal expressions, and no others, share; children by number. */
function structureKey(expression: BoundExpression, number: (child: BoundExpression) => number): string {
  const { text: _, nullable: __, ...rest } = expression;
  return JSON.stringify(rest, (key, part) => {
    if (key === "type") return typeName(part as DataType);
    if (typeof part === "bigint") return `${part}n`;
    if (typeof part === "number") return Object.is(part, -0) ? "-0" : `${part}`;
    if (part instanceof Uint8Array) return `bytes ${part.join()}`;
    const isChild = typeof part === "object" && part !== null && part !== rest && "nullable" in part;
    return isChild ? number(part as BoundExpression) : part;
  });
}
