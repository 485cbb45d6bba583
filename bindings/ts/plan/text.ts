// Expressions as people read them: in messages, in `explain()`, and behind the kernel's error records.

import { typeName } from "../type/data-type.js";
import { intervalText, negated } from "./interval.js";
import type { ExpressionNode, Plain } from "./node.js";

const INFIX: Readonly<Record<string, string>> = {
  add: "+",
  subtract: "-",
  multiply: "*",
  divide: "/",
  integerDivide: "//",
  modulo: "%",
  equal: "=",
  notEqual: "<>",
  less: "<",
  lessEqual: "<=",
  greater: ">",
  greaterEqual: ">=",
  same: "is not distinct from",
  and: "and",
  or: "or",
};

/** A literal as an expression's text shows it. */
export function plainText(value: Plain): string {
  if (typeof value === "string") return `'${value.replaceAll("'", "''")}'`;
  if (value instanceof Date)
    return `'${Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString()}'`;
  if (value instanceof Uint8Array) {
    return `x'${Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("")}'`;
  }
  return Object.is(value, -0) ? "-0" : String(value);
}

/** The expression's text, without brackets around it. */
export function expressionText(node: ExpressionNode): string {
  switch (node.kind) {
    case "column":
      return node.name;
    case "literal":
      return plainText(node.value);
    case "call":
      return callText(node.fn, node.args);
    case "round":
      return `round(${expressionText(node.value)}, ${node.digits})`;
    case "in":
      return `${operand(node.value)} in (${node.list.map(expressionText).join(", ")})`;
    case "case": {
      const branches = node.branches.map(
        ({ condition, value }) => `when ${expressionText(condition)} then ${expressionText(value)}`,
      );
      const otherwise = node.otherwise === null ? "" : ` else ${expressionText(node.otherwise)}`;
      return `case ${branches.join(" ")}${otherwise} end`;
    }
    case "coalesce":
    case "concat":
      return `${node.kind}(${node.args.map(expressionText).join(", ")})`;
    case "cast":
      return `${node.try ? "try_cast" : "cast"}(${expressionText(node.value)} as ${typeName(node.type)})`;
    case "like": {
      const escaped = node.escape === null ? "" : ` escape ${plainText(node.escape)}`;
      return `${operand(node.value)} like ${plainText(node.pattern)}${escaped}`;
    }
    case "substring": {
      const length = node.length === null ? "" : `, ${expressionText(node.length)}`;
      return `substring(${expressionText(node.value)}, ${expressionText(node.start)}${length})`;
    }
    case "trim": {
      const name = { leading: "trim_start", trailing: "trim_end", both: "trim" }[node.side];
      return `${name}(${expressionText(node.value)})`;
    }
    case "timePart":
      return `${snake(node.part)}(${expressionText(node.value)})`;
    case "truncate":
      return `date_trunc('${node.unit}', ${expressionText(node.value)})`;
    case "shift": {
      const { months, days, nanoseconds } = node.interval;
      const back = months <= 0 && days <= 0 && nanoseconds <= 0n;
      const span = intervalText(back ? negated(node.interval) : node.interval);
      return `${operand(node.value)} ${back ? "-" : "+"} interval '${span}'`;
    }
  }
}

function callText(fn: string, args: readonly ExpressionNode[]): string {
  const infix = INFIX[fn];
  if (infix !== undefined) return args.map(operand).join(` ${infix} `);
  const first = args[0]!;
  if (fn === "negate") return `-${operand(first)}`;
  if (fn === "not") return `not ${operand(first)}`;
  if (fn === "isNull") return `${operand(first)} is null`;
  if (fn === "isNotNull") return `${operand(first)} is not null`;
  return `${snake(fn)}(${args.map(expressionText).join(", ")})`;
}

function snake(name: string): string {
  return name === "isNaN" ? "isnan" : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Brackets around what would read wrongly inside another expression. */
function operand(node: ExpressionNode): string {
  const text = expressionText(node);
  const infix = node.kind === "call" && (INFIX[node.fn] !== undefined || /^(not|is|-)/.test(node.fn));
  const bare = !infix && node.kind !== "in" && node.kind !== "like" && node.kind !== "shift";
  return bare ? text : `(${text})`;
}
