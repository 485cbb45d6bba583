// Texts of a result that lie in kernel memory as codes of a dictionary, copied out as texts: a result's columns have
// the types that its schema names, however they lie.

import { getBit } from "../type/bits.js";
import type { ColumnData } from "../type/column.js";
import type { DataType } from "../type/data-type.js";
import { type ColumnDescriptor, readColumn } from "./descriptor.js";
import type { KernelMemory } from "./memory.js";
import { copyBits, countBits } from "./output.js";

/** Rows [start, start + rows) of a column of u32 codes whose dictionary is one of texts with 32-bit offsets. */
export function decodeTexts(
  memory: KernelMemory,
  column: ColumnDescriptor,
  type: DataType,
  start: number,
  rows: number,
): ColumnData {
  const { bytes, view } = memory;
  const { buffer } = bytes;
  const dictionary = readColumn(view, column.dictionary);
  const first = column.offset + start;
  const codes = new Uint32Array(buffer, column.values + first * 4, rows);
  const ends = new Int32Array(buffer, dictionary.offsets, dictionary.length + 1);
  let validity: Uint8Array | null = null;
  if (column.validity !== 0) {
    validity = new Uint8Array(Math.ceil(rows / 8));
    copyBits(bytes, column.validity, first, rows, validity);
    if (countBits(validity) === rows) validity = null;
  }
  const width = type.kind === "largeUtf8" || type.kind === "largeBinary" ? 2 : 1;
  const offsets = new Int32Array((rows + 1) * width);
  const values = new Uint8Array(addUp(codes, ends, validity, offsets, width));
  copyTexts(codes, ends, bytes.subarray(dictionary.values), offsets, width, values);
  return {
    type,
    length: rows,
    offset: 0,
    nullCount: validity === null ? 0 : rows - countBits(validity),
    validity,
    offsets: new Uint8Array(offsets.buffer),
    values,
    dictionary: null,
  };
}

// A loop each: V8 leaves a function that it has compiled amid a loop where the loop ends.

/** Writes the offsets of rows' texts, the low words of `width` of them; all bytes. */
function addUp(
  codes: Uint32Array,
  ends: Int32Array,
  validity: Uint8Array | null,
  offsets: Int32Array,
  width: number,
): number {
  let total = 0;
  for (let row = 0; row < codes.length; row++) {
    const code = codes[row]!;
    if (validity === null || getBit(validity, row)) total += ends[code + 1]! - ends[code]!;
    offsets[(row + 1) * width] = total;
  }
  return total;
}

function copyTexts(
  codes: Uint32Array,
  ends: Int32Array,
  texts: Uint8Array,
  offsets: Int32Array,
  width: number,
  values: Uint8Array,
): void {
  for (let row = 0; row < codes.length; row++) {
    const end = offsets[(row + 1) * width]!;
    let to = offsets[row * width]!;
    for (let from = ends[codes[row]!]!; to < end; from++) values[to++] = texts[from]!;
  }
}
