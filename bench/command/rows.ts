// Numbers of rows as people write them on a command line: 10M, 500k, 1e7, 2_000_000, 1.5M.

import { ArgumentError } from "../../bindings/ts/type/error.js";

const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, b: 1e9 };

/**
 * The number of rows that `text` means: decimal digits, perhaps with a point, an exponent or underscores between
 * digits, and one of the suffixes k, M, G (or B, billion), in either case.
 * Throws ArgumentError unless that is a whole number from 1 to 2^53 - 1.
 */
export function parseRows(text: string | number, option = "--rows"): number {
  const match = /^(\d(?:_?\d)*(?:\.\d+)?(?:e\+?\d+)?)([kmgb]?)$/i.exec(String(text).trim());
  const rows = match === null ? Number.NaN : scale(match[1]!.replaceAll("_", ""), match[2]!.toLowerCase());
  if (!Number.isSafeInteger(rows) || rows < 1) {
    throw new ArgumentError(
      `${option} must be a whole number of rows such as 10M, 1e7 or 500k, not "${text}"`,
      {
        value: text,
        expected: "a whole number from 1",
      },
    );
  }
  return rows;
}

/** By moving the decimal exponent: 1.1M is 1100000, while 1.1 * 1e6 is 1100000.0000000002. */
function scale(number: string, suffix: string): number {
  const [mantissa = "", exponent = "0"] = number.toLowerCase().split("e");
  return Number(`${mantissa}e${Number(exponent) + Math.log10(FACTORS[suffix]!)}`);
}
