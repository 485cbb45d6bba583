// From an expression over names to a typed one over the columns of a schema.
//
// One function per family; each decides the operand types, inserts the conversions and names the result.
// Every refusal is a PlanError, TypeMismatchError or UnknownColumnError that names the column or expression.

import {
  bool,
  type DataType,
  int64,
  isCarried,
  type Schema,
  typeName,
  utf8,
  valueType,
} from "../type/data-type.js";
import { PlanError, TypeMismatchError, UnknownColumnError } from "../type/error.js";
import type { BoundExpression, BoundFunction, BoundIn } from "./bound.js";
import { castAdvice, castable } from "./convert.js";
import { beside, convert, type Draft, literal, mismatch, settle, unify } from "./draft.js";
import { literalOf } from "./literal.js";
import type { ExpressionNode } from "./node.js";
import { expressionText } from "./text.js";
import { checkZone } from "./time-zone.js";
import { bindArithmetic, bindNumeric, bindRound } from "./typing-arithmetic.js";
import { bindShift, bindTimePart, bindTruncate } from "./typing-time.js";
import type { Value } from "./value.js";

type Call = Extract<ExpressionNode, { kind: "call" }>;

/** Types an expression over `schema`. A literal on its own takes its own type. */
export function bindExpression(node: ExpressionNode, schema: Schema): BoundExpression {
  return settle(draft(node, schema), expressionText(node));
}

/** Types a condition: must be bool. */
export function bindCondition(node: ExpressionNode, schema: Schema): BoundExpression {
  const text = expressionText(node);
  return condition(draft(node, schema), `where ${text}`);
}

function condition(operand: Draft, by: string): BoundExpression {
  const typed = beside(operand, bool);
  if (typed === null || typed.type.kind !== "bool") throw mismatch(by, operand, "a bool");
  return typed;
}

function draft(node: ExpressionNode, schema: Schema): Draft {
  const text = expressionText(node);
  const of = (child: ExpressionNode) => draft(child, schema);
  switch (node.kind) {
    case "column":
      return bindColumn(node.name, schema);
    case "literal":
      return bindLiteral(node, text);
    case "call":
      return bindCall(node, node.args.map(of), text);
    case "round":
      return bindRound(settle(of(node.value), text), node.digits, text);
    case "in":
      return bindIn(of(node.value), node.list.map(of), text);
    case "case":
      return bindCase(node, of, text);
    case "coalesce":
      return bindCoalesce(node.args.map(of), text);
    case "cast":
      return bindCast(node, of(node.value), text);
    case "like":
      checkEscape(node.escape, node.pattern, text);
      return { ...node, value: textOperand(of(node.value), text), ...typed(bool, [of(node.value)], text) };
    case "substring":
      return bindSubstring(of(node.value), of(node.start), node.length && of(node.length), text);
    case "concat":
      return bindConcat(node.args.map(of), text);
    case "trim": {
      const value = textOperand(of(node.value), text);
      return { ...node, value, ...typed(value.type, [value], text) };
    }
    case "timePart":
      return bindTimePart(of(node.value), node.part, text);
    case "truncate":
      return bindTruncate(of(node.value), node.unit, text);
    case "shift":
      return bindShift(of(node.value), node.interval, text);
  }
}

function typed(type: DataType, operands: readonly Draft[], text: string) {
  return { type, nullable: operands.some((operand) => operand.kind !== "open" && operand.nullable), text };
}

function bindColumn(name: string, schema: Schema): BoundExpression {
  const index = columnIndex(name, schema);
  const field = schema.fields[index]!;
  const type = valueType(field.type);
  if (isCarried(type)) {
    throw new TypeMismatchError(
      `column "${name}" is ${typeName(field.type)}: such columns can be carried along by where, select and limit, but not computed on`,
      { column: name, expected: "a type that can be computed on" },
    );
  }
  if (type.kind === "timestamp" && type.timezone !== null) checkZone(type.timezone);
  return { kind: "column", index, name, type, nullable: field.nullable, text: name };
}

/** Index of the only column called `name`. Throws UnknownColumnError, or PlanError where two have the name. */
export function columnIndex(name: string, schema: Schema): number {
  const names = schema.fields.map((field) => field.name);
  const index = names.indexOf(name);
  if (index < 0) throw new UnknownColumnError(name, names);
  if (names.indexOf(name, index + 1) >= 0) {
    throw new PlanError(`column "${name}" is ambiguous: the input has two columns of that name`, {
      column: name,
    });
  }
  return index;
}

function bindLiteral(node: Extract<ExpressionNode, { kind: "literal" }>, text: string): Draft {
  if (node.type === null) return { kind: "open", plain: node.value };
  return literal({ type: valueType(node.type), value: literalOf(node.value, node.type) }, text);
}

function bindCall(node: Call, args: readonly Draft[], text: string): BoundExpression {
  switch (node.fn) {
    case "add":
    case "subtract":
    case "multiply":
    case "divide":
    case "integerDivide":
    case "modulo":
      return bindArithmetic(node.fn, args[0]!, args[1]!, text);
    case "negate":
    case "abs":
    case "floor":
    case "ceil":
    case "sqrt":
    case "sign":
      return bindNumeric(node.fn, settle(args[0]!, text), text);
    case "and":
    case "or":
    case "not":
      return call(
        node.fn,
        bool,
        args.map((arg) => condition(arg, text)),
        text,
      );
    case "isNull":
    case "isNotNull":
      return { ...call(node.fn, bool, [settle(args[0]!, text)], text), nullable: false };
    case "isNaN": {
      const value = settle(args[0]!, text);
      if (value.type.kind !== "float") throw mismatch(text, value, "a float");
      return call("isNaN", bool, [value], text);
    }
    case "startsWith":
    case "endsWith":
    case "contains":
      return call(
        node.fn,
        bool,
        args.map((arg) => textOperand(arg, text)),
        text,
      );
    case "lower":
    case "upper": {
      const value = textOperand(args[0]!, text);
      return call(node.fn, value.type, [value], text);
    }
    case "length":
      return call("length", int64, [textOperand(args[0]!, text)], text);
    case "octetLength": {
      const value = settle(args[0]!, text);
      if (!isBytes(value.type)) throw mismatch(text, value, "a utf8 or binary");
      return call("octetLength", int64, [value], text);
    }
    default: {
      const [a, b] = unify(args, text) as [BoundExpression, BoundExpression];
      const compared = call(node.fn, bool, [a, b], text);
      return node.fn === "same" ? { ...compared, nullable: false } : compared;
    }
  }
}

function call(
  fn: BoundFunction,
  type: DataType,
  args: readonly BoundExpression[],
  text: string,
): BoundExpression {
  return { kind: "call", fn, args, ...typed(type, args, text) };
}

function isText(type: DataType): boolean {
  return type.kind === "utf8" || type.kind === "largeUtf8";
}

function isBytes(type: DataType): boolean {
  return isText(type) || type.kind === "binary" || type.kind === "largeBinary";
}

function textOperand(operand: Draft, by: string): BoundExpression {
  const value = beside(operand, utf8);
  if (value === null || !isText(value.type)) throw mismatch(by, operand, "a utf8");
  return value;
}

function integerOperand(operand: Draft, by: string): BoundExpression {
  const value = beside(operand, int64);
  if (value === null || value.type.kind !== "int") throw mismatch(by, operand, "an integer");
  if (value.type.bits === 64 && !value.type.signed)
    throw mismatch(by, operand, "an integer that int64 holds");
  return convert(value, int64);
}

function bindIn(value: Draft, list: readonly Draft[], text: string): BoundExpression {
  const [first, ...rest] = unify([value, ...list], text) as [BoundExpression, ...BoundExpression[]];
  const values = rest.map((item) => {
    if (item.kind !== "literal") {
      throw new PlanError(`${text}: isIn takes literals, not ${item.text}; write eq(...).or(...)`, {
        value: item.text,
        expected: "literals",
      });
    }
    return item.value;
  });
  if (values.length === 0) return literal({ type: bool, value: false }, text);
  const hasNull = values.includes(null);
  const found: BoundIn = {
    kind: "in",
    value: first,
    list: values.filter((item): item is Exclude<Value, null> => item !== null),
    hasNull,
    ...typed(bool, [first], text),
  };
  return hasNull ? { ...found, nullable: true } : found;
}

function bindCase(
  node: Extract<ExpressionNode, { kind: "case" }>,
  of: (child: ExpressionNode) => Draft,
  text: string,
): BoundExpression {
  const conditions = node.branches.map((branch) => condition(of(branch.condition), text));
  const otherwise: Draft = node.otherwise === null ? { kind: "open", plain: null } : of(node.otherwise);
  const values = unify([...node.branches.map((branch) => of(branch.value)), otherwise], text);
  const last = values.at(-1)!;
  const branches = conditions.map((condition, index) => ({ condition, value: values[index]! }));
  return { kind: "case", branches, otherwise: last, ...typed(last.type, values, text) };
}

function bindCoalesce(operands: readonly Draft[], text: string): BoundExpression {
  if (operands.length === 0) throw new PlanError("coalesce takes at least one argument");
  const args = unify(operands, text);
  const nullable = args.every((arg) => arg.nullable);
  return { kind: "coalesce", args, type: args[0]!.type, nullable, text };
}

function bindCast(
  node: Extract<ExpressionNode, { kind: "cast" }>,
  operand: Draft,
  text: string,
): BoundExpression {
  const type = valueType(node.type);
  if (operand.kind === "open" && operand.plain === null) return literal({ type, value: null }, text);
  const value = settle(operand, text);
  if (type.kind === "timestamp" && type.timezone !== null) checkZone(type.timezone);
  if (!castable(value.type, type)) {
    const advice = castAdvice(value.type, type);
    throw mismatch(text, value, `convertible to ${typeName(type)}${advice === "" ? "" : `; ${advice}`}`);
  }
  return { kind: "cast", value, try: node.try, type, nullable: value.nullable || node.try, text };
}

function checkEscape(mark: string | null, pattern: string, text: string): void {
  if (mark === null) return;
  if (mark.length !== 1 || mark.charCodeAt(0) > 127 || mark.charCodeAt(0) === 0) {
    throw new PlanError(`${text}: the escape of like is one ASCII character`, { value: mark });
  }
  let at = 0;
  while (at < pattern.length) at += pattern[at] === mark ? 2 : 1;
  if (at > pattern.length) {
    throw new PlanError(`${text}: the pattern ends in its escape character`, { value: pattern });
  }
}

function bindSubstring(value: Draft, start: Draft, length: Draft | null, text: string): BoundExpression {
  const source = textOperand(value, text);
  const from = integerOperand(start, text);
  const count = length === null ? null : integerOperand(length, text);
  const parts = count === null ? [source, from] : [source, from, count];
  return { kind: "substring", value: source, start: from, length: count, ...typed(source.type, parts, text) };
}

function bindConcat(operands: readonly Draft[], text: string): BoundExpression {
  if (operands.length === 0) throw new PlanError("concat takes at least one argument");
  const args = unify(operands, text);
  const wrong = operands.find((_, index) => !isText(args[index]!.type));
  if (wrong !== undefined) throw mismatch(text, wrong, "a utf8");
  return { kind: "concat", args, ...typed(args[0]!.type, args, text) };
}
