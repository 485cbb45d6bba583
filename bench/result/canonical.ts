// Results of every engine in one form: typed columns in one row order, so that two engines compare column by
// column and a checksum depends on nothing but the rows.
//
// Integers, decimals (unscaled) and timestamps (microseconds) are 64-bit integers; texts are ranks in a sorted
// dictionary that holds just the texts that occur; lists lie end to end, with the length of each. Rows are sorted by all exact columns first and by the float
// columns after them: peers that round a float differently then still line up. Nothing is sorted by lists: the
// other columns must tell the rows apart.

import { ascendingOrder, textOrder } from "./order.js";

export type OutputKind =
  | "int"
  | "float"
  | "text"
  | "timestamp"
  | "list-of-float"
  | { readonly decimal: number };

/** A column that the case's query gives, by name. */
export interface OutputColumn {
  readonly name: string;
  readonly kind: OutputKind;
}

/**
 * A column as an engine hands it over, rows in any order: values (null or `valid[row] = 0` for null), or codes
 * into `dictionary`. Decimals are unscaled numbers or bigints, timestamps microseconds.
 */
export interface RawColumn {
  readonly values: ArrayLike<number | bigint | string | ArrayLike<number> | null>;
  readonly valid?: ArrayLike<number> | null | undefined;
  readonly dictionary?: readonly string[] | undefined;
}

export interface RawResult {
  readonly rows: number;
  readonly columns: Readonly<Record<string, RawColumn>>;
}

export type CanonicalColumn = {
  readonly name: string;
  /** A byte a row, 1 = valid; null when nothing is null. Values of null rows are 0. */
  readonly valid: Uint8Array | null;
} & (
  | { readonly kind: "int"; readonly values: BigInt64Array }
  | { readonly kind: "float"; readonly values: Float64Array }
  /** `lengths` of the rows' lists (0 of null rows), and their values end to end. */
  | { readonly kind: "list-of-float"; readonly lengths: Uint32Array; readonly values: Float64Array }
  | { readonly kind: "text"; readonly values: Uint32Array; readonly dictionary: readonly string[] }
);

export interface CanonicalResult {
  readonly rows: number;
  readonly columns: readonly CanonicalColumn[];
}

/**
 * Brings a result into canonical form. `ordered` keeps the engine's row order (for queries that promise one).
 * Throws RangeError when a column is missing, has another length, or holds a value that its kind cannot hold.
 */
export function canonicalResult(
  outputs: readonly OutputColumn[],
  raw: RawResult,
  ordered = false,
): CanonicalResult {
  const columns = outputs.map((output) => {
    const column = raw.columns[output.name];
    if (column === undefined) {
      throw new RangeError(`the result has no column "${output.name}", only ${Object.keys(raw.columns)}`);
    }
    if (column.values.length !== raw.rows) {
      throw new RangeError(`column "${output.name}" has ${column.values.length} rows, not ${raw.rows}`);
    }
    return canonicalColumn(output, column, raw.rows);
  });
  if (ordered) return { rows: raw.rows, columns };
  const exact = columns.filter(({ kind }) => kind === "int" || kind === "text");
  const floats = columns.filter((column) => column.kind === "float");
  const order = ascendingOrder([...exact, ...floats], raw.rows);
  return { rows: raw.rows, columns: columns.map((column) => takeRows(column, order)) };
}

function canonicalColumn(output: OutputColumn, raw: RawColumn, rows: number): CanonicalColumn {
  const valid = validRows(raw, rows);
  const name = output.name;
  if (output.kind === "text") return { name, kind: "text", valid, ...textRanks(raw, valid, rows) };
  if (output.kind === "list-of-float")
    return { name, kind: "list-of-float", valid, ...lists(raw, valid, rows) };
  if (output.kind === "float") return { name, kind: "float", valid, values: floats(raw, valid, rows) };
  return { name, kind: "int", valid, values: integers(name, raw, valid, rows) };
}

function validRows(raw: RawColumn, rows: number): Uint8Array | null {
  const valid = new Uint8Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    const isValid = raw.values[row] != null && (raw.valid == null || raw.valid[row] !== 0);
    if (!isValid) continue;
    valid[row] = 1;
    count += 1;
  }
  return count === rows ? null : valid;
}

function floats(raw: RawColumn, valid: Uint8Array | null, rows: number): Float64Array {
  if (raw.values instanceof Float64Array && valid === null) return raw.values.slice();
  const values = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    if (valid === null || valid[row] === 1) values[row] = Number(raw.values[row]);
  }
  return values;
}

function lists(raw: RawColumn, valid: Uint8Array | null, rows: number) {
  const listAt = (row: number) => raw.values[row] as ArrayLike<number>;
  const isThere = (row: number) => valid === null || valid[row] === 1;
  const lengths = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) if (isThere(row)) lengths[row] = listAt(row).length;
  const values = new Float64Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (let row = 0; row < rows; row++) {
    for (let item = 0; item < lengths[row]!; item++) values[at++] = Number(listAt(row)[item]);
  }
  return { lengths, values };
}

function integers(name: string, raw: RawColumn, valid: Uint8Array | null, rows: number): BigInt64Array {
  if (raw.values instanceof BigInt64Array && valid === null) return raw.values.slice();
  const values = new BigInt64Array(rows);
  const words = new Int32Array(values.buffer);
  for (let row = 0; row < rows; row++) {
    if (valid !== null && valid[row] === 0) continue;
    const value = raw.values[row] as number | bigint;
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) throw new RangeError(`"${name}" holds ${value}, past 64 bits`);
      values[row] = value;
    } else {
      if (!Number.isSafeInteger(value)) throw new RangeError(`"${name}" holds ${value}, not an integer`);
      words[2 * row] = value;
      words[2 * row + 1] = Math.floor(value / 4294967296);
    }
  }
  return values;
}

function textRanks(raw: RawColumn, valid: Uint8Array | null, rows: number) {
  const { codes, texts } = raw.dictionary === undefined ? distinctTexts(raw, valid, rows) : codedTexts(raw);
  const used = new Uint8Array(texts.length);
  for (let row = 0; row < rows; row++) if (valid === null || valid[row] === 1) used[Number(codes[row])] = 1;
  const { dictionary, ranks } = ranked(texts, used);
  const values = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) {
    if (valid === null || valid[row] === 1) values[row] = ranks[Number(codes[row])]!;
  }
  return { values, dictionary };
}

/** The texts in use in their order, each once, and the place of each of `texts` there. */
function ranked(texts: readonly string[], used: Uint8Array) {
  const dictionary: string[] = [];
  const ranks = new Uint32Array(texts.length);
  for (const code of textOrder(texts)) {
    if (used[code] === 0) continue;
    const text = texts[code]!;
    if (text !== dictionary.at(-1)) dictionary.push(text);
    ranks[code] = dictionary.length - 1;
  }
  return { dictionary, ranks };
}

function codedTexts(raw: RawColumn) {
  return { codes: raw.values as ArrayLike<number | bigint>, texts: raw.dictionary! };
}

function distinctTexts(raw: RawColumn, valid: Uint8Array | null, rows: number) {
  const codeOf = new Map<string, number>();
  const codes = new Uint32Array(rows);
  for (let row = 0; row < rows; row++) {
    if (valid !== null && valid[row] === 0) continue;
    const text = String(raw.values[row]);
    let code = codeOf.get(text);
    if (code === undefined) {
      code = codeOf.size;
      codeOf.set(text, code);
    }
    codes[row] = code;
  }
  return { codes, texts: [...codeOf.keys()] };
}

function takeRows(column: CanonicalColumn, order: Uint32Array): CanonicalColumn {
  const valid = column.valid === null ? null : gather(column.valid, new Uint8Array(order.length), order);
  switch (column.kind) {
    case "int":
      return { ...column, valid, values: gather(column.values, new BigInt64Array(order.length), order) };
    case "float":
      return { ...column, valid, values: gather(column.values, new Float64Array(order.length), order) };
    case "text":
      return { ...column, valid, values: gather(column.values, new Uint32Array(order.length), order) };
    case "list-of-float":
      return { ...column, valid, ...takeLists(column.lengths, column.values, order) };
  }
}

function takeLists(lengths: Uint32Array, values: Float64Array, order: Uint32Array) {
  const starts = listStarts(lengths);
  const out = new Float64Array(values.length);
  let at = 0;
  for (const row of order) {
    out.set(values.subarray(starts[row]!, starts[row + 1]!), at);
    at += lengths[row]!;
  }
  return { lengths: gather(lengths, new Uint32Array(order.length), order), values: out };
}

/** Where each list begins among the values, and where the last one ends. */
export function listStarts(lengths: Uint32Array): Uint32Array {
  const starts = new Uint32Array(lengths.length + 1);
  for (let row = 0; row < lengths.length; row++) starts[row + 1] = starts[row]! + lengths[row]!;
  return starts;
}

function gather<T extends { [row: number]: number | bigint }>(from: T, to: T, order: Uint32Array): T {
  for (let row = 0; row < order.length; row++) to[row] = from[order[row]!] as never;
  return to;
}
