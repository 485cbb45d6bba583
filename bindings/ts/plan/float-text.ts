// Floats as text: the shortest digits that read back as the same float, laid out as DuckDB does.
//
// JavaScript gives the shortest digits of a float64; of a float32 they are found by trying precisions.

/** `1.0`, `0.1`, `1e+20`, `nan`, `inf`, `-inf`. */
export function floatText(value: number, bits: 32 | 64): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa, exponentText] = shortest(value, bits).split("e") as [string, string];
  const exponent = Number(exponentText);
  const negative = mantissa.startsWith("-");
  const digits = mantissa.replace(/[-.]/g, "");
  return (negative ? "-" : "") + layout(digits, exponent);
}

/** In exponent form, with the fewest digits that read back as `value`. */
function shortest(value: number, bits: 32 | 64): string {
  if (bits === 64) return value.toExponential();
  for (let digits = 0; digits < 9; digits++) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === value) return text;
  }
  return value.toExponential();
}

/** Plain from 1e-5 up to 1e16 exclusive, else with an exponent of at least two digits. */
function layout(digits: string, exponent: number): string {
  if (exponent >= -5 && exponent < 16) {
    if (exponent < 0) return `0.${"0".repeat(-exponent - 1)}${digits}`;
    const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
    const fraction = digits.slice(exponent + 1);
    return `${whole}.${fraction === "" ? "0" : fraction}`;
  }
  const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
  const magnitude = Math.abs(exponent).toString().padStart(2, "0");
  return `${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${magnitude}`;
}
