// Hash aggregation, written for being obviously right: a Map of groups, and big integers for every sum.
//
// A float64 is an integer times 2^-1074, so sums of floats are sums of big integers, rounded once by the
// definition of rounding: the nearest of two neighbours, the even one when they are as near.

import { type AggregateName, isMoment, isOrderedAggregate } from "../bindings/ts/type/aggregate.js";
import type { DataType } from "../bindings/ts/type/data-type.js";
import { valueType } from "../bindings/ts/type/data-type.js";
import { moment } from "./moments.js";
import { estimateDistinct, middleOfBucket } from "./sketch.js";
import { listValue, type Value } from "./values.js";

export interface TwinAggregate {
  readonly name: AggregateName;
  /** p of a quantile. */
  readonly p?: number | undefined;
  /** Values of the argument by row; absent for count of rows. */
  readonly argument?: readonly Value[] | undefined;
  /** Values of a second argument, and its type. */
  readonly second?: readonly Value[] | undefined;
  readonly secondType?: DataType | undefined;
  /** Of `topK` and `bottomK`: how many values. */
  readonly limit?: number | undefined;
  /** Values of further arguments, of `countDistinct`. */
  readonly others?: readonly (readonly Value[])[] | undefined;
  /** Of `arrayAgg` and `stringAgg`: values of what orders them. */
  readonly orderBy?: readonly Value[] | undefined;
  /** Of `arrayAgg` and `stringAgg`. */
  readonly descending?: boolean | undefined;
  readonly separator?: string | undefined;
  /** Equal values count once: zeros as +0, NaNs as one. */
  readonly distinct?: boolean | undefined;
  /** By row: only rows where it is true count. */
  readonly filter?: readonly Value[] | undefined;
  /** Type of the argument (a dictionary counts as its values). */
  readonly type?: DataType | undefined;
}

export class TwinOverflow extends Error {
  readonly aggregate: number;
  readonly sum: bigint;

  constructor(aggregate: number, sum: bigint) {
    super(`aggregate ${aggregate}: the sum ${sum} does not fit`);
    this.aggregate = aggregate;
    this.sum = sum;
  }
}

/**
 * One row per group: its keys, then its results. Groups are in the order of their first rows; without keys
 * there is exactly one.
 * @throws TwinOverflow when a sum does not fit its type.
 */
export function aggregateTwin(
  rows: number,
  keys: readonly (readonly Value[])[],
  aggregates: readonly TwinAggregate[],
): Value[][] {
  const groups = new Map<string, { keys: Value[]; rows: number[] }>();
  if (keys.length === 0) groups.set("", { keys: [], rows: [] });
  for (let row = 0; row < rows; row++) {
    const values = keys.map((column) => keyValue(column[row]!));
    const name = values.map(valueName).join("|");
    const group = groups.get(name) ?? { keys: values, rows: [] };
    group.rows.push(row);
    groups.set(name, group);
  }
  return [...groups.values()].map((group) => [
    ...group.keys,
    ...aggregates.map((aggregate, i) => result(aggregate, i, group.rows)),
  ]);
}

/** Zeros are one key, and NaNs. */
export function keyValue(value: Value): Value {
  return typeof value === "number" ? (value === 0 ? 0 : value) : value;
}

/** A text that two values share only when they are the same. */
export function valueName(value: Value): string {
  if (value === null) return "null";
  if (value instanceof Uint8Array) return `bytes:${value.join()}`;
  if (Object.is(value, -0)) return "number:-0";
  return `${typeof value}:${typeof value === "string" ? JSON.stringify(value) : value}`;
}

function result(aggregate: TwinAggregate, index: number, rows: readonly number[]): Value {
  const { argument, filter } = aggregate;
  const counted = filter === undefined ? rows : rows.filter((row) => filter[row] === true);
  if (argument === undefined) return BigInt(counted.length);
  if (aggregate.distinct) {
    const values = counted.map((row) => keyValue(argument[row]!)).filter((value) => value !== null);
    const different = [...new Map(values.map((value) => [valueName(value), value])).values()];
    return result({ ...aggregate, distinct: false, filter: undefined, argument: different }, index, [
      ...different.keys(),
    ]);
  }
  if (aggregate.others !== undefined) {
    const columns = [argument, ...aggregate.others];
    const whole = counted.filter((row) => columns.every((column) => column[row] !== null));
    const names = whole.map((row) => columns.map((column) => valueName(keyValue(column[row]!))).join("|"));
    return BigInt(new Set(names).size);
  }
  if (aggregate.orderBy !== undefined) {
    const { orderBy, descending, name, separator } = aggregate;
    const order = descending ? -1 : 1;
    const kept = counted.filter((row) => argument[row] !== null);
    kept.sort((a, b) => {
      const [x, y] = [orderBy[a]!, orderBy[b]!];
      const byOrder = x === null || y === null ? +(x === null) - +(y === null) : order * compareValues(x, y);
      return byOrder || compareValues(argument[a]!, argument[b]!);
    });
    const values = kept.map((row) => argument[row]!);
    if (values.length === 0) return null;
    return name === "arrayAgg" ? listValue(values) : values.join(separator);
  }
  if (isMoment(aggregate.name)) {
    const { second, type, secondType } = aggregate;
    const kept = counted.filter((row) => argument[row] !== null && second?.[row] !== null);
    const x = { values: kept.map((row) => argument[row]!), type: type! };
    const y = second && { values: kept.map((row) => second[row]!), type: secondType! };
    return moment(aggregate.name, x, y);
  }
  if (isOrderedAggregate(aggregate.name)) {
    const { name, second } = aggregate;
    const rows = counted.filter((row) => argument[row] !== null && second![row] !== null);
    const sign = name === "first" || name === "argMin" ? 1 : -1;
    const sorted = rows.sort(
      (a, b) => sign * (compareValues(second![a]!, second![b]!) || compareValues(argument[a]!, argument[b]!)),
    );
    return sorted.length === 0 ? null : argument[sorted[0]!]!;
  }
  const { second } = aggregate;
  const sign = aggregate.name === "topK" ? -1 : 1;
  if (second !== undefined && aggregate.separator === undefined) {
    const kept = counted.filter((row) => argument[row] !== null && second[row] !== null);
    kept.sort(
      (a, b) => sign * compareValues(second[a]!, second[b]!) || compareValues(argument[a]!, argument[b]!),
    );
    return kept.length === 0 ? null : listValue(kept.slice(0, aggregate.limit).map((row) => argument[row]!));
  }
  const values = counted.map((row) => argument[row]!).filter((value) => value !== null);
  if (aggregate.name === "approxCountDistinct") return estimateDistinct(aggregate.type!, values);
  if (aggregate.name === "count") return BigInt(values.length);
  if (aggregate.name === "countDistinct") {
    return BigInt(new Set(values.map((value) => valueName(keyValue(value)))).size);
  }
  if (values.length === 0) return null;
  switch (aggregate.name) {
    case "sum":
      return sum(aggregate.type!, index, values);
    case "avg":
      return average(aggregate.type!, values);
    case "median":
      return quantile(aggregate.type!, values, 0.5);
    case "quantile":
      return quantile(aggregate.type!, values, aggregate.p!);
    case "approxMedian":
      return sketchQuantile(values, 0.5);
    case "approxQuantile":
      return sketchQuantile(values, aggregate.p!);
    case "quantileDisc": {
      const n = values.length;
      const rank = Math.max(1, n - Math.floor(n - aggregate.p! * n)) - 1;
      return [...values].sort(compareValues)[rank]!;
    }
    case "mode":
      return mode(values.map(keyValue));
    case "bitAnd":
    case "bitOr":
    case "bitXor":
      return (values as bigint[]).reduce((a, b) =>
        aggregate.name === "bitAnd" ? a & b : aggregate.name === "bitOr" ? a | b : a ^ b,
      );
    case "arrayAgg":
    case "stringAgg": {
      const order = aggregate.descending ? -1 : 1;
      const sorted = [...values].sort((a, b) => order * compareValues(a, b));
      return aggregate.name === "arrayAgg" ? listValue(sorted) : sorted.join(aggregate.separator);
    }
    case "topK":
    case "bottomK": {
      const sorted = [...values].sort((a, b) => sign * compareValues(a, b));
      return listValue(sorted.slice(0, aggregate.limit));
    }
    case "min":
    case "any":
    case "boolAnd":
      return values.reduce((best, value) => (compareValues(value, best) < 0 ? value : best));
    default:
      return values.reduce((best, value) => (compareValues(value, best) > 0 ? value : best));
  }
}

function sum(type: DataType, index: number, values: readonly Value[]): Value {
  const value = valueType(type);
  if (value.kind === "float") return exactSum(values as number[]);
  const total = (values as bigint[]).reduce((a, b) => a + b, 0n);
  const limit = 10n ** 38n;
  const fits =
    value.kind === "decimal"
      ? total < limit && total > -limit
      : value.kind === "int" && !value.signed
        ? total < 2n ** 64n
        : BigInt.asIntN(64, total) === total;
  if (!fits) throw new TwinOverflow(index, total);
  return total;
}

/** Between the two values around (n - 1) p, each as the nearest float64. */
function quantile(type: DataType, values: readonly Value[], p: number): number {
  const sorted = [...values].sort(compareValues);
  const position = (sorted.length - 1) * p;
  const rank = Math.floor(position);
  const part = position - rank;
  const low = toFloat(type, sorted[rank]!);
  if (part === 0) return low;
  const high = toFloat(type, sorted[rank + 1]!);
  return Object.is(low, high) ? low : low * (1 - part) + high * part;
}

/** The middle of the bucket of the value of rank floor((n - 1) p). */
function sketchQuantile(values: readonly Value[], p: number): number {
  const sorted = values.map(Number).sort(compareValues);
  return middleOfBucket(sorted[Math.floor((sorted.length - 1) * p)]!);
}

function toFloat(type: DataType, value: Value): number {
  const plain = valueType(type);
  if (plain.kind === "decimal") return roundRatio(value as bigint, 10n ** BigInt(plain.scale));
  return Number(value);
}

function mode(values: readonly Value[]): Value {
  const counts = new Map<string, { value: Value; count: number }>();
  for (const value of values) {
    const entry = counts.get(valueName(value)) ?? { value, count: 0 };
    entry.count++;
    counts.set(valueName(value), entry);
  }
  return [...counts.values()].reduce((best, entry) =>
    entry.count > best.count || (entry.count === best.count && compareValues(entry.value, best.value) < 0)
      ? entry
      : best,
  ).value;
}

function average(type: DataType, values: readonly Value[]): number {
  const value = valueType(type);
  const count = BigInt(values.length);
  if (value.kind === "float") {
    const special = specialSum(values as number[]);
    if (special !== null) return special;
    const total = (values as number[]).reduce((a, b) => a + toFixedPoint(b), 0n);
    return roundRatio(total, count << 1074n);
  }
  const total = (values as bigint[]).reduce((a, b) => a + b, 0n);
  return roundRatio(total, count * (value.kind === "decimal" ? 10n ** BigInt(value.scale) : 1n));
}

/** NaN or an infinity when the inputs decide that. */
function specialSum(values: readonly number[]): number | null {
  const special = values.filter((value) => !Number.isFinite(value));
  return special.length === 0 ? null : special.reduce((a, b) => a + b);
}

/** The exact sum of float64 values, rounded once to the nearest; ties to even. */
export function exactSum(values: readonly number[]): number {
  const special = specialSum(values);
  if (special !== null) return special;
  const total = values.reduce((a, b) => a + toFixedPoint(b), 0n);
  return roundRatio(total, 1n << 1074n);
}

const bits = new DataView(new ArrayBuffer(8));

/** A finite float64 times 2^1074. */
export function toFixedPoint(value: number): bigint {
  bits.setFloat64(0, value);
  const pattern = bits.getBigUint64(0);
  const exponent = (pattern >> 52n) & 0x7ffn;
  const fraction = pattern & 0xfffffffffffffn;
  const magnitude = exponent === 0n ? fraction : (fraction | (1n << 52n)) << (exponent - 1n);
  return value < 0 ? -magnitude : magnitude;
}

/** The float64 nearest to numerator / denominator (positive); ties to even. */
export function roundRatio(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const negative = numerator < 0n;
  const magnitude = negative ? -numerator : numerator;
  // Scale so that the quotient has 54 bits or more, but never finer than 2^-1074.
  const length = (x: bigint) => x.toString(2).length;
  const exponent = Math.max(length(magnitude) - length(denominator) - 54, -1075);
  const scaled = exponent < 0 ? magnitude << BigInt(-exponent) : magnitude;
  const divisor = exponent < 0 ? denominator : denominator << BigInt(exponent);
  let quotient = scaled / divisor;
  let rest = scaled % divisor !== 0n;
  let power = exponent;
  const drop = Math.max(length(quotient) - 53, -1074 - power);
  if (drop > 0) {
    const unit = 1n << BigInt(drop);
    const low = quotient % unit;
    quotient /= unit;
    power += drop;
    const half = unit / 2n;
    if (low > half || (low === half && (rest || quotient % 2n === 1n))) quotient += 1n;
    rest = false;
  }
  // At most 53 bits and a power of two that they can take: both steps are exact, or overflow to Infinity.
  const high = Math.max(power, -1000);
  const value =
    Number(quotient) * 2 ** Math.min(high, 900) * 2 ** Math.max(high - 900, 0) * 2 ** (power - high);
  return negative ? -value : value;
}

/** The order of MIN and MAX: numbers by value, -0 before +0, NaN last; texts and binary by their bytes. */
export function compareValues(a: Value, b: Value): number {
  if (typeof a === "number" && typeof b === "number") {
    if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
    if (a === 0 && b === 0) return Number(Object.is(b, -0)) - Number(Object.is(a, -0));
    return a < b ? -1 : Number(a > b);
  }
  if (typeof a === "string" || a instanceof Uint8Array) return compareBytes(toBytes(a), toBytes(b));
  return a! < b! ? -1 : Number(a! > b!);
}

const encoder = new TextEncoder();

function toBytes(value: Value): Uint8Array {
  return value instanceof Uint8Array ? value : encoder.encode(value as string);
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if (a[i] !== b[i]) return a[i]! - b[i]!;
  }
  return a.length - b.length;
}
