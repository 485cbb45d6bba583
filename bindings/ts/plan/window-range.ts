// Times that no window takes: so near the ends of the column's type that a window around them would begin or end past it.
//
// By default they are an error, where they come or (of types below 64 bits, days of a zone and months) where the window
// leaves. Where rows without a time are dropped, so are these, and counted as the same: the operator does that by itself
// for times that are its numbers, 64-bit ticks; for others its program turns them into nulls.

import { Type } from "../../../kernel/abi/layout.js";
import { bool, type DataType, physicalType, valueType } from "../type/data-type.js";
import type { BoundCall, BoundExpression } from "./bound.js";
import { floorDivide } from "./calendar.js";
import { literal } from "./draft.js";
import { numberOf, type TimeScale, timeOf } from "./time-scale.js";
import { integerRange } from "./value.js";
import type { WindowName } from "./window.js";

/** What of a window decides which times fit; as of BoundWindow. */
export interface WindowExtent {
  readonly kind: WindowName;
  readonly scale: TimeScale;
  readonly length: bigint;
  readonly step: bigint;
  readonly offset: bigint;
}

const I64_MAX = 2n ** 63n - 1n;

/** Whether the operator's numbers are the column's own 64 bits. */
function isWide({ kind, type }: TimeScale): boolean {
  return kind === "ticks" && physicalType(type) === Type.I64;
}

/**
 * The first and the last tick of the column whose windows all have bounds of its type; of its 64 bits those that the operator
 * takes (`shapeLowest` and `shapeHighest` of kernel/window/shape.ts).
 */
export function timesThatFit({ kind, scale, length, step, offset }: WindowExtent): [bigint, bigint] {
  const [least, most] = ticksOf(scale.type);
  if (kind === "global") return [least, most];
  if (isWide(scale))
    return kind === "session" ? [least, most - length - 1n] : [least + length + step, most - length - step];
  // Where the first window may begin, and the last one may end.
  const begin = numberOf(scale, least);
  const from = timeOf(scale, begin) < least ? begin + 1n : begin;
  const to = numberOf(scale, most);
  if (kind === "session") return [least, timeOf(scale, to - length)];
  const grid = kind === "cumulate" ? length : step;
  const firstWindow = -floorDivide(offset - from, grid);
  const lastWindow = floorDivide(to - length - offset, grid);
  // Times that the window before them takes, too, do not fit; nor do those that the window behind takes.
  const first = timeOf(scale, (firstWindow - 1n) * grid + offset + length);
  const last = timeOf(scale, (lastWindow + 1n) * grid + offset) - 1n;
  const within = (tick: bigint) => (tick < least ? least : tick > most ? most : tick);
  return [within(first), within(last)];
}

/**
 * A window's time where rows without one that fits are dropped: which rows have one, and its number, null of those that the
 * operator could not tell by itself.
 */
export function fittingTime(
  extent: WindowExtent,
  instant: BoundExpression,
  number: BoundExpression,
): { readonly fits: BoundExpression; readonly time: BoundExpression } {
  const type = valueType(instant.type);
  const [first, last] = timesThatFit(extent);
  const [least, most] = typeRange(type);
  if (first === least && last === most)
    return { fits: call("isNotNull", [instant], "is not null"), time: number };
  const compare = (fn: "greaterEqual" | "lessEqual", value: bigint) =>
    call(
      fn,
      [instant, literal({ type, value }, String(value))],
      `${fn === "greaterEqual" ? ">=" : "<="} ${value}`,
    );
  const args = [compare("greaterEqual", first), compare("lessEqual", last)];
  const fits = { ...call("and", args, ""), text: args.map((arg) => arg.text).join(" and ") };
  if (isWide(extent.scale)) return { fits, time: number };
  const otherwise = literal({ type: number.type, value: null }, "null");
  const branches = [{ condition: fits, value: number }];
  return { fits, time: { ...number, kind: "case", branches, otherwise, nullable: true } };
}

function call(fn: BoundCall["fn"], args: readonly BoundExpression[], text: string): BoundCall {
  const nullable = fn !== "isNotNull" && args[0]!.nullable;
  return { kind: "call", fn, args, type: bool, nullable, text: `${args[0]!.text} ${text}` };
}

/** The type's least and greatest tick that an operator's 64 bits can hold. */
function ticksOf(type: DataType): [bigint, bigint] {
  const [least, most] = typeRange(type);
  return [least, most < I64_MAX ? most : I64_MAX];
}

function typeRange(type: DataType): [bigint, bigint] {
  if (type.kind === "int") return integerRange(type);
  return integerRange({ bits: type.kind === "date" && type.unit === "day" ? 32 : 64, signed: true });
}
