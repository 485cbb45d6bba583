// Arrow tables as contiguous typed arrays: the peers' way to the data.
//
// Read from apache-arrow's own objects and not through Millrace's bridge: a bridge that misread a column would
// otherwise hand every engine the same wrong rows, and they would all agree.

import { type Data, DataType, type Table, type Vector } from "apache-arrow";

export type Numbers =
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

export type PlainKind = "int" | "float" | "bool" | "date" | "timestamp" | "decimal" | "text";

export interface PlainColumn {
  readonly name: string;
  readonly kind: PlainKind;
  readonly rows: number;
  /** A byte a row, 1 = valid; null when nothing is null. */
  readonly valid: Uint8Array | null;
  /** Values; of decimals the low 64 bits of the unscaled value; of texts codes into `dictionary`. */
  readonly values: Numbers;
  /** Texts only. */
  readonly dictionary: readonly string[] | null;
  /** Texts only: whether the Arrow column was dictionary-coded. */
  readonly coded: boolean;
  /** Decimals: digits and digits after the point. Timestamps: ticks a second. Otherwise 0. */
  readonly precision: number;
  readonly scale: number;
  readonly ticksPerSecond: number;
}

export interface PlainTable {
  readonly rows: number;
  readonly columns: Readonly<Record<string, PlainColumn>>;
}

/** The table's columns, chunks joined. Throws TypeError on types that no benchmark uses. */
export function plainTable(table: Table): PlainTable {
  const columns: Record<string, PlainColumn> = {};
  for (const field of table.schema.fields) {
    columns[field.name] = plainColumn(field.name, table.getChild(field.name)!);
  }
  return { rows: table.numRows, columns };
}

function plainColumn(name: string, vector: Vector): PlainColumn {
  const type = vector.type;
  const base = {
    name,
    rows: vector.length,
    valid: validBytes(vector),
    dictionary: null,
    coded: false,
    precision: 0,
    scale: 0,
    ticksPerSecond: 0,
  };
  if (DataType.isDictionary(type)) {
    return {
      ...base,
      kind: "text",
      coded: true,
      values: joined(vector),
      dictionary: dictionaryTexts(vector),
    };
  }
  if (DataType.isUtf8(type) || DataType.isLargeUtf8(type)) {
    return { ...base, kind: "text", ...encodedTexts(vector) };
  }
  if (DataType.isDecimal(type)) {
    const { precision, scale } = type;
    return { ...base, kind: "decimal", values: lowWords(vector), precision, scale };
  }
  if (DataType.isTimestamp(type)) {
    return { ...base, kind: "timestamp", values: joined(vector), ticksPerSecond: 1000 ** type.unit };
  }
  if (DataType.isBool(type)) return { ...base, kind: "bool", values: boolBytes(vector) };
  if (DataType.isDate(type)) return { ...base, kind: "date", values: joined(vector) };
  if (DataType.isInt(type)) return { ...base, kind: "int", values: joined(vector) };
  if (DataType.isFloat(type)) return { ...base, kind: "float", values: joined(vector) };
  throw new TypeError(`column "${name}" has the type ${type}, which the benchmarks do not use`);
}

function joined(vector: Vector): Numbers {
  const parts = vector.data.map((data) => data.values.subarray(0, data.length) as Numbers);
  if (parts.length === 1) return parts[0]!;
  const Values = vector.ArrayType as unknown as new (length: number) => Numbers;
  const all =
    parts.length === 0 ? new Values(0) : new (parts[0]!.constructor as typeof Values)(vector.length);
  let at = 0;
  for (const part of parts) {
    all.set(part as never, at);
    at += part.length;
  }
  return all;
}

function validBytes(vector: Vector): Uint8Array | null {
  if (vector.nullCount === 0) return null;
  const valid = new Uint8Array(vector.length);
  forEachChunk(vector, (data, start) => {
    for (let row = 0; row < data.length; row++) valid[start + row] = data.getValid(row) ? 1 : 0;
  });
  return valid;
}

function boolBytes(vector: Vector): Uint8Array {
  const values = new Uint8Array(vector.length);
  forEachChunk(vector, (data, start) => {
    for (let row = 0; row < data.length; row++) {
      const at = data.offset + row;
      values[start + row] = (data.values[at >> 3]! >> (at & 7)) & 1;
    }
  });
  return values;
}

function lowWords(vector: Vector): BigInt64Array {
  const values = new BigInt64Array(vector.length);
  const out = new Uint32Array(values.buffer);
  forEachChunk(vector, (data, start) => {
    const words = data.values as Uint32Array;
    for (let row = 0; row < data.length; row++) {
      const sign = words[4 * row + 1]! >>> 31 === 1 ? 0xffffffff : 0;
      const fits = words[4 * row + 2] === sign && words[4 * row + 3] === sign;
      if (!fits && data.getValid(row)) throw new RangeError("a decimal needs more than 64 bits");
      out[2 * (start + row)] = words[4 * row]!;
      out[2 * (start + row) + 1] = words[4 * row + 1]!;
    }
  });
  return values;
}

function dictionaryTexts(vector: Vector): string[] {
  const dictionaries = vector.data.map((data) => data.dictionary as Vector<never>);
  const longest = dictionaries.reduce((a, b) => (b.length > a.length ? b : a));
  const texts = Array.from(longest as Iterable<string>);
  for (const dictionary of new Set(dictionaries)) {
    const differs =
      dictionary !== longest && Array.from(dictionary).some((text, code) => text !== texts[code]);
    if (differs) throw new TypeError("the chunks of a column have different dictionaries");
  }
  return texts;
}

function encodedTexts(vector: Vector): { values: Uint32Array; dictionary: string[] } {
  const codeOf = new Map<string, number>();
  const values = new Uint32Array(vector.length);
  forEachChunk(vector, (data, start) => {
    const textAt = textReader(data);
    for (let row = 0; row < data.length; row++) {
      const text = data.getValid(row) ? textAt(row) : "";
      let code = codeOf.get(text);
      if (code === undefined) {
        code = codeOf.size;
        codeOf.set(text, code);
      }
      values[start + row] = code;
    }
  });
  return { values, dictionary: [...codeOf.keys()] };
}

/** Reads single texts: out of all of them as one where each byte is a character, which takes a fifth of the time. */
function textReader({ valueOffsets, values, length }: Data): (row: number) => string {
  const offset = (row: number) => Number(valueOffsets[row]);
  const first = offset(0);
  const bytes = (values as Uint8Array).subarray(first, offset(length));
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const whole = decoder.decode(bytes);
  if (whole.length === bytes.length)
    return (row) => whole.slice(offset(row) - first, offset(row + 1) - first);
  return (row) => decoder.decode(bytes.subarray(offset(row) - first, offset(row + 1) - first));
}

function forEachChunk(vector: Vector, visit: (data: Data, start: number) => void): void {
  let start = 0;
  for (const data of vector.data) {
    visit(data, start);
    start += data.length;
  }
}
