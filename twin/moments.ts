// Moments by their definitions, in fractions of big integers: sums of powers of deviations from the exact mean.

import type { MomentName } from "../bindings/ts/type/aggregate.js";
import type { DataType } from "../bindings/ts/type/data-type.js";
import { valueType } from "../bindings/ts/type/data-type.js";
import { roundRatio, toFixedPoint } from "./aggregate.js";
import type { Value } from "./values.js";

/** Values that are not null. */
export interface MomentArgument {
  readonly values: readonly Value[];
  readonly type: DataType;
}

/** `y` is there for covariances and correlation, with a value for each of `x`. */
export function moment(name: MomentName, x: MomentArgument, y?: MomentArgument): number | null {
  const n = BigInt(x.values.length);
  if (n < fewest(name)) return null;
  const all = [...x.values, ...(y?.values ?? [])];
  if (all.some((value) => typeof value === "number" && !Number.isFinite(value))) return Number.NaN;
  const [a, unitA] = deviations(x);
  const [b, unitB] = y === undefined ? [a, unitA] : deviations(y);
  // Deviations are `a[i] / unitA`; sums of their products come over a power of the units.
  const sum = (f: (i: number) => bigint) => a.reduce((total, _, i) => total + f(i), 0n);
  const m2 = sum((i) => a[i]! ** 2n);
  switch (name) {
    case "variance":
      return roundRatio(m2, (n - 1n) * unitA ** 2n);
    case "varPop":
      return roundRatio(m2, n * unitA ** 2n);
    case "stddev":
      return roundRoot(m2, (n - 1n) * unitA ** 2n);
    case "stddevPop":
      return roundRoot(m2, n * unitA ** 2n);
    case "covar":
      return roundRatio(
        sum((i) => a[i]! * b[i]!),
        (n - 1n) * unitA * unitB,
      );
    case "covarPop":
      return roundRatio(
        sum((i) => a[i]! * b[i]!),
        n * unitA * unitB,
      );
    case "corr": {
      const other = sum((i) => b[i]! ** 2n);
      const both = sum((i) => a[i]! * b[i]!);
      if (m2 === 0n || other === 0n) return Number.NaN;
      return Math.sign(Number(both > 0n) - Number(both < 0n)) * roundRoot(both ** 2n, m2 * other) + 0;
    }
    case "skewness": {
      if (m2 === 0n) return Number.NaN;
      const m3 = sum((i) => a[i]! ** 3n);
      // (n (n - 1) / (n - 2)^2) (m3 / n)^2 / (m2 / n)^3
      const size = roundRoot(n * n * (n - 1n) * m3 ** 2n, (n - 2n) ** 2n * m2 ** 3n);
      return m3 < 0n ? -size : size;
    }
    default: {
      if (m2 === 0n) return null;
      const m4 = sum((i) => a[i]! ** 4n);
      // n m4 / m2^2 is the fourth standardised moment.
      if (name === "kurtosisPop") return roundRatio(n * m4 - 3n * m2 ** 2n, m2 ** 2n);
      const top = (n - 1n) * ((n + 1n) * n * m4 - 3n * (n - 1n) * m2 ** 2n);
      return roundRatio(top, (n - 2n) * (n - 3n) * m2 ** 2n);
    }
  }
}

function fewest(name: MomentName): bigint {
  switch (name) {
    case "skewness":
      return 3n;
    case "kurtosis":
      return 4n;
    case "varPop":
    case "stddevPop":
    case "covarPop":
    case "corr":
      return 1n;
    default:
      return 2n;
  }
}

/** n x - sum x for each value, as integers over a common unit (which n is part of). */
function deviations({ values, type }: MomentArgument): [bigint[], bigint] {
  const { kind } = valueType(type);
  const integers = values.map((value) =>
    kind === "float" ? toFixedPoint(value as number) : (value as bigint),
  );
  const n = BigInt(values.length);
  const total = integers.reduce((a, b) => a + b, 0n);
  const scaled = integers.map((x) => n * x - total);
  return [scaled, n * unitOf(type)];
}

function unitOf(type: DataType): bigint {
  const value = valueType(type);
  if (value.kind === "float") return 1n << 1074n;
  return value.kind === "decimal" ? 10n ** BigInt(value.scale) : 1n;
}

/** The float64 nearest to the square root of numerator / denominator. */
function roundRoot(numerator: bigint, denominator: bigint): number {
  if (numerator === 0n) return 0;
  const length = (x: bigint) => x.toString(2).length;
  // A quotient of some 300 bits: its root has far more than the rounding looks at.
  const shift = BigInt(Math.ceil((300 - (length(numerator) - length(denominator))) / 2)) * 2n;
  const quotient = shift >= 0n ? (numerator << shift) / denominator : numerator / (denominator << -shift);
  const root = integerRoot(quotient);
  const exact =
    root * root === quotient &&
    (shift >= 0n
      ? quotient * denominator === numerator << shift
      : quotient * (denominator << -shift) === numerator);
  // Half a step stands for all that was cut off.
  const top = 2n * root + (exact ? 0n : 1n);
  const half = shift / 2n + 1n;
  return half >= 0n ? roundRatio(top, 1n << half) : roundRatio(top << -half, 1n);
}

function integerRoot(value: bigint): bigint {
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2));
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
