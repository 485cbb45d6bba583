// One value of a column, as plain JavaScript: how literals and the row-by-row evaluator hold it.

/** Integers, decimals (unscaled), dates, times: bigint. Floats: number. Texts: string. Binary: bytes. */
export type Value = null | boolean | number | bigint | string | Uint8Array;

/** The type's least and greatest value. */
export function integerRange(type: { readonly bits: number; readonly signed: boolean }): [bigint, bigint] {
  const bits = BigInt(type.bits);
  return type.signed ? [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] : [0n, 2n ** bits - 1n];
}

export function fitsInteger(
  value: bigint,
  type: { readonly bits: number; readonly signed: boolean },
): boolean {
  const [low, high] = integerRange(type);
  return value >= low && value <= high;
}

export interface ExactDecimal {
  readonly unscaled: bigint;
  readonly scale: number;
}

/** Without the ASCII blanks at either end: what the kernel trims, and what parsers skip. */
export function withoutBlanks(text: string): string {
  return text.replace(/^[ \t-\r]+/, "").replace(/[ \t-\r]+$/, "");
}

/** Reads a decimal such as `-12.50` or `1e-3` exactly; null when the text is none. */
export function parseDecimal(text: string): ExactDecimal | null {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,4}))?$/i.exec(withoutBlanks(text));
  if (match === null) return null;
  const [, sign, whole = "", fraction = "", exponent = "0"] = match;
  if (whole === "" && fraction === "") return null;
  const digits = BigInt(whole + fraction);
  const unscaled = sign === "-" ? -digits : digits;
  const scale = fraction.length - Number(exponent);
  return scale >= 0 ? { unscaled, scale } : { unscaled: unscaled * 10n ** BigInt(-scale), scale: 0 };
}

/** Decimal digits of a magnitude; 1 for zero. */
export function digitCount(value: bigint): number {
  return (value < 0n ? -value : value).toString().length;
}
