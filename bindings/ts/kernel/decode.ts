// Texts of a result that lie in kernel memory as codes of a dictionary, copied out as texts: a result's columns have
// the types that its schema names, however they lie. The dictionary is one of texts with 32-bit offsets, the codes are u32.
//
// The kernel says how long they are all together, so that there is room where they stay, and writes them to its scratch, which
// is always there, a stretch of rows at a time (`codes_spell`), from where they are copied as they lie.
//
// Tried and lost, by texts of 3 to 8 bytes: loops in JavaScript, over bytes (20 ns a text), over words by a DataView (11), and
// to add their lengths up alone (3). All of this takes 5.

import { Spelled } from "../../../kernel/abi/layout.js";
import { type ColumnDescriptor, readColumn } from "./descriptor.js";
import type { Kernel } from "./kernel.js";
import type { KernelMemory } from "./memory.js";

/** Bytes of the texts of `rows` codes from element `first` on. */
export function decodedBytes(kernel: Kernel, column: ColumnDescriptor, first: number, rows: number): number {
  const { dictionary, validity } = column;
  const codes = column.values + first * 4;
  const bytes = kernel.call((exports, context) =>
    exports.codes_bytes(context, dictionary, codes, rows, validity, first),
  );
  return Number(bytes);
}

/** Writes the texts of the same codes and their offsets, each of `width` 32-bit words, of which the low one counts. */
export function decodeTexts(
  kernel: Kernel,
  column: ColumnDescriptor,
  first: number,
  rows: number,
  offsets: Uint32Array,
  width: number,
  values: Uint8Array,
): void {
  const { dictionary, validity } = column;
  offsets.fill(0, 0, width === 1 ? 1 : offsets.length);
  let [row, bytes] = [0, 0];
  while (row < rows) {
    const codes = column.values + (first + row) * 4;
    const spelled =
      kernel.call((exports, context) =>
        exports.codes_spell(context, dictionary, codes, rows - row, validity, first + row, bytes),
      ) >>> 0;
    const { memory } = kernel;
    const done = memory.view.getUint32(spelled + Spelled.ROWS, true);
    if (done === 0) {
      const text = textOf(memory, dictionary, memory.view.getUint32(codes, true));
      values.set(text, bytes);
      bytes += text.length;
      offsets[++row * width] = bytes;
      continue;
    }
    const ends = new Uint32Array(memory.bytes.buffer, spelled + Spelled.ENDS, done);
    if (width === 1) offsets.set(ends, row + 1);
    else for (let at = 0; at < done; at++) offsets[(row + 1 + at) * width] = ends[at]!;
    const texts = spelled + Spelled.TEXTS;
    const end = ends[done - 1]!;
    values.set(memory.bytes.subarray(texts, texts + end - bytes), bytes);
    row += done;
    bytes = end;
  }
}

function textOf({ bytes, view }: KernelMemory, dictionary: number, code: number): Uint8Array {
  const { offsets, values } = readColumn(view, dictionary);
  const start = view.getUint32(offsets + code * 4, true);
  return bytes.subarray(values + start, values + view.getUint32(offsets + code * 4 + 4, true));
}
