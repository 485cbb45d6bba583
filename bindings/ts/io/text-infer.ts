// The type of a text column, from a sample of its fields: the narrowest of bool, int64, float64, date32,
// timestamp[us] (timestamp[ns] when there are more than six decimals; with zone UTC when every text states its
// distance from UTC) and utf8 that fits all of them.
//
// Integers with leading zeros (postcodes) stay utf8. A column without any value is utf8. Where quotes mark
// text (NDJSON), quoted fields are dates, timestamps or utf8, and the quoted words NaN, Infinity and -Infinity floats.

import { bool, type DataType, date32, float64, int64, timestamp, utf8 } from "../type/data-type.js";
import { FIELD_BARE, FIELD_NULL, type FieldColumn } from "./text-block.js";
import { parsed, parseTime } from "./text-time.js";

const BOOL = 1;
const INT = 2;
const FLOAT = 4;
const DATE = 8;
const LOCAL = 16;
const ZONED = 32;
const ALL = 63;

const INTEGER = /^[+-]?(0|[1-9]\d*)$/;
const NUMBER = /^[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;
const NOT_FINITE = /^(NaN|[+-]?(Infinity|inf))$/;

/** Type of the first `rows` fields of `column`; `quotedIsText` as in NDJSON. */
export function inferType(
  column: FieldColumn,
  bytes: Uint8Array,
  rows: number,
  quotedIsText: boolean,
): DataType {
  const decoder = new TextDecoder();
  let candidates = ALL;
  let decimals = 0;
  let seen = false;
  for (let row = 0; row < rows && candidates !== 0; row++) {
    const kind = column.kinds[row];
    if (kind === FIELD_NULL) continue;
    seen = true;
    const start = column.starts[row]!;
    const end = column.ends[row]!;
    candidates &= fits(decoder.decode(bytes.subarray(start, end)), bytes, start, end);
    if (quotedIsText && kind !== FIELD_BARE)
      candidates &= isNotFinite(bytes, start, end) ? FLOAT : ~(BOOL | INT | FLOAT);
    if ((candidates & (LOCAL | ZONED)) !== 0) decimals = Math.max(decimals, parsed.decimals);
  }
  if (!seen) return utf8;
  if (candidates & BOOL) return bool;
  if (candidates & INT) return int64;
  if (candidates & FLOAT) return float64;
  if (candidates & DATE) return date32;
  const unit = decimals > 6 ? "ns" : "us";
  if (candidates & LOCAL) return timestamp(unit);
  return candidates & ZONED ? timestamp(unit, "UTC") : utf8;
}

function fits(text: string, bytes: Uint8Array, start: number, end: number): number {
  parsed.decimals = 0;
  if (text === "") return 0;
  if (NUMBER.test(text)) return INTEGER.test(text) && fitsInt64(text) ? INT | FLOAT : FLOAT;
  if (/^(true|false)$/i.test(text)) return BOOL;
  if (NOT_FINITE.test(text)) return FLOAT;
  if (!parseTime(bytes, start, end)) return 0;
  if (!parsed.timed) return DATE | LOCAL;
  return parsed.zoned ? ZONED : LOCAL;
}

function isNotFinite(bytes: Uint8Array, start: number, end: number): boolean {
  return NOT_FINITE.test(new TextDecoder().decode(bytes.subarray(start, end)));
}

function fitsInt64(text: string): boolean {
  if (text.length < 19) return true;
  const value = BigInt(text.startsWith("+") ? text.slice(1) : text);
  return value === BigInt.asIntN(64, value);
}
