// Copies of loaded columns in one byte a value: integers from 0 to 255, and codes of dictionaries that are no more. Where a column
// has nulls these are 255, and values are below that.
//
// Sums and groups by few keys take less time than their columns take to come from memory. A table that is loaded once and read
// many times is worth a copy of which a quarter, or an eighth, as much has to come (at most so much more memory). The kernel
// reads it where it adds bytes by bytes; everywhere else it reads the column itself. So the copy is no form of its own that
// anybody else has to know.
//
// Codes are looked at here, all of them: a column with a copy is trusted, and its codes are not checked with each morsel.

import { Type } from "../../../kernel/abi/layout.js";
import { getBit } from "../type/bits.js";
import { MemoryLimitError } from "../type/error.js";
import type { ColumnDescriptor } from "./descriptor.js";
import type { Kernel } from "./kernel.js";
import { padded } from "./slice.js";

/** No copies are made where less than this share of the budget would be left. */
const LEFT_SHARE = 1 / 4;
/** What stands for null, and the greatest value. */
const NULL = 255;
const MOST = 255;

/** Columns with the copies that they have. */
export interface Narrowed {
  readonly columns: (ColumnDescriptor | null)[];
  /** The block that the copies lie in. */
  readonly block: number;
  readonly bytes: number;
}

/**
 * Makes the copies that columns of a batch in kernel memory may have; null where none may, or there is no memory to spare.
 * @param lengths values of each column's dictionary; 0 where it has none
 */
export function narrowed(
  kernel: Kernel,
  columns: readonly (ColumnDescriptor | null)[],
  lengths: readonly number[],
): Narrowed | null {
  const sizes = columns.map((column, index) =>
    column !== null && fits(kernel, column, lengths[index]!) ? padded(column.offset + column.length) : 0,
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const block = bytes === 0 ? 0 : spare(kernel, bytes);
  if (block === 0) return null;
  let next = block;
  const copied = columns.map((column, index) => {
    if (sizes[index] === 0) return column;
    const narrow = next;
    next += sizes[index]!;
    copy(kernel, column!, narrow);
    return { ...column!, trusted: true, narrow };
  });
  return { columns: copied, block, bytes };
}

/** A block that nobody will miss; 0 where there is none. */
function spare(kernel: Kernel, bytes: number): number {
  if (kernel.freeBytes - bytes < LEFT_SHARE * kernel.budgetBytes) return 0;
  try {
    return kernel.allocate(bytes);
  } catch (error) {
    // Another thread may have taken it, or memory lies in pieces.
    if (error instanceof MemoryLimitError) return 0;
    throw error;
  }
}

/** Words of 32 bits to a value, the low one first; 0 for columns that have no copies. */
function wordsEach({ type }: ColumnDescriptor): number {
  if (type === Type.I32 || type === Type.U32) return 1;
  return type === Type.I64 || type === Type.U64 ? 2 : 0;
}

function wordsOf(kernel: Kernel, { values, valuesBytes }: ColumnDescriptor): Uint32Array {
  return new Uint32Array(kernel.memory.memory.buffer, values, valuesBytes >>> 2);
}

/** Whether all values that are not null fit a byte; codes, which are those of a dictionary of `length` values, are below that. */
function fits(kernel: Kernel, column: ColumnDescriptor, length: number): boolean {
  const each = wordsEach(column);
  const { validity, offset, dictionary } = column;
  if (each === 0 || column.length === 0 || (dictionary !== 0 && length === 0)) return false;
  const greatest = validity === 0 ? MOST : NULL - 1;
  const most = dictionary === 0 ? greatest : Math.min(length - 1, greatest);
  const words = wordsOf(kernel, column);
  const bits = bitsOf(kernel, column);
  for (let at = each * offset; at < words.length; at += each) {
    if (words[at]! <= most && (each === 1 || words[at + 1] === 0)) continue;
    if (bits === null || getBit(bits, at / each)) return false;
  }
  return true;
}

/** Which values are not null; null where that is all of them. */
function bitsOf(kernel: Kernel, { validity, validityBytes }: ColumnDescriptor): Uint8Array | null {
  return validity === 0 ? null : kernel.memory.bytes.subarray(validity, validity + validityBytes);
}

function copy(kernel: Kernel, column: ColumnDescriptor, to: number): void {
  const each = wordsEach(column);
  const words = wordsOf(kernel, column);
  const target = kernel.memory.bytes.subarray(to, to + words.length / each);
  if (each === 1) target.set(words);
  else for (let row = 0; row < target.length; row++) target[row] = words[2 * row]!;
  const bits = bitsOf(kernel, column);
  if (bits === null) return;
  for (let row = column.offset; row < target.length; row++) if (!getBit(bits, row)) target[row] = NULL;
}
