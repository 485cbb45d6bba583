// Results leave kernel memory as fresh buffers: one allocation a batch, padded with zeros as Arrow wants. What is written at
// once leaves in a room that is used again: fresh memory takes longer to get, and to give back, than the copy.
// Loops make no functions, as in arrow/to-arrow.ts.

import { Column, Type } from "../../../kernel/abi/layout.js";
import type { BatchData, ColumnData } from "../type/column.js";
import {
  byteWidth,
  type DataType,
  type Field,
  physicalType,
  type Schema,
  typeName,
} from "../type/data-type.js";
import { MillraceError } from "../type/error.js";
import { decodedBytes, decodeTexts } from "./decode.js";
import { type BatchDescriptor, type ColumnDescriptor, readColumn, readU64 } from "./descriptor.js";
import { freshBuffer } from "./fresh-buffer.js";
import type { Kernel } from "./kernel.js";
import { listColumn } from "./list.js";
import type { KernelMemory } from "./memory.js";
import { padded } from "./slice.js";

/** What grows bit by bit grows by so much at once. */
const HEADROOM = 1.25;

/** A column to copy: where its rows begin in every buffer, and how large its copy is. */
interface Plan {
  readonly field: Field;
  readonly source: ColumnDescriptor;
  readonly rows: number;
  readonly start: number;
  /** Bytes of validity, values and offsets in the copy; 0 where there is none. */
  readonly validity: number;
  readonly values: number;
  readonly offsets: number;
  /** Texts that lie as such: the first byte of the values in kernel memory, and the offset that it has. */
  readonly from: number;
  readonly first: number;
}

/** Memory for one batch at a time, which the next one takes over. */
export class BatchRoom {
  #buffer = new ArrayBuffer(0);

  /** At least so many bytes; what they hold is not said. */
  take(bytes: number): ArrayBuffer {
    if (bytes > this.#buffer.byteLength) this.#buffer = new ArrayBuffer(Math.ceil(bytes * HEADROOM));
    return this.#buffer;
  }
}

/**
 * Copies a batch out. `schema` has the logical types of its columns; large types get 64-bit offsets.
 * @param room where to, without padding; null for fresh memory
 */
export function copyBatch(
  kernel: Kernel,
  batch: BatchDescriptor,
  schema: Schema,
  room: BatchRoom | null = null,
): BatchData {
  if (batch.columns !== schema.fields.length) {
    throw new MillraceError(
      "ARGUMENT",
      `the operator gave ${batch.columns} columns where ${schema.fields.length} were declared`,
    );
  }
  const sources: ColumnDescriptor[] = [];
  for (let i = 0; i < schema.fields.length; i++)
    sources.push(readColumn(kernel.memory.view, batch.descriptors + i * Column.SIZE));
  const columns = copyColumns(kernel, sources, schema.fields, batch.offset, batch.rows, room);
  return { schema, length: batch.rows, columns };
}

/** Copies rows [start, start + rows) of columns out, as `copyBatch` those of a batch. */
export function copyColumns(
  kernel: Kernel,
  sources: readonly ColumnDescriptor[],
  fields: readonly Field[],
  start: number,
  rows: number,
  room: BatchRoom | null = null,
): readonly ColumnData[] {
  const plans: Plan[] = [];
  let total = 0;
  for (let i = 0; i < fields.length; i++) {
    const plan = planColumn(kernel, sources[i]!, fields[i]!, start, rows);
    plans.push(plan);
    total += padded(plan.validity) + padded(plan.values) + padded(plan.offsets);
  }
  const target = { buffer: room === null ? freshBuffer(total) : room.take(total), used: 0 };
  const columns: ColumnData[] = [];
  for (const plan of plans) {
    const column = copyColumn(kernel, plan, target);
    columns.push(plan.field.type.kind === "list" ? listColumn(column, plan.field.type) : column);
  }
  return columns;
}

/** Memory that columns are copied to, one behind the other. */
interface Target {
  readonly buffer: ArrayBuffer;
  used: number;
}

function take(target: Target, bytes: number): Uint8Array {
  const view = new Uint8Array(target.buffer, target.used, bytes);
  const end = target.used + padded(bytes);
  const padding = end - target.used - bytes;
  if (padding > 0) new Uint8Array(target.buffer, target.used + bytes, padding).fill(0);
  target.used = end;
  return view;
}

function isBytes(type: Type): boolean {
  return type === Type.BYTES || type === Type.LARGE_BYTES;
}

function readOffset(view: DataView, { type, offsets }: ColumnDescriptor, row: number): number {
  if (type === Type.BYTES) return view.getUint32(offsets + row * 4, true);
  return readU64(view, offsets + row * 8);
}

/** Whether a result's texts lie as codes of a dictionary. */
export function isCodes({ dictionary }: ColumnDescriptor): boolean {
  return dictionary !== 0;
}

function isLarge(type: DataType): boolean {
  return type.kind === "largeUtf8" || type.kind === "largeBinary";
}

function planColumn(
  kernel: Kernel,
  source: ColumnDescriptor,
  field: Field,
  offset: number,
  rows: number,
): Plan {
  checkType(source, field);
  const start = source.offset + offset;
  const validity = source.validity === 0 ? 0 : Math.ceil(rows / 8);
  if (isCodes(source)) {
    const values = decodedBytes(kernel, source, start, rows);
    const offsets = (rows + 1) * (isLarge(field.type) ? 8 : 4);
    return { field, source, rows, start, validity, values, offsets, from: 0, first: 0 };
  }
  if (isBytes(source.type)) {
    const first = rows === 0 ? 0 : readOffset(kernel.memory.view, source, start);
    const last = rows === 0 ? 0 : readOffset(kernel.memory.view, source, start + rows);
    return {
      field,
      source,
      rows,
      start,
      validity,
      values: last - first,
      offsets: (rows + 1) * (isLarge(field.type) ? 8 : 4),
      from: source.values + first - source.base,
      first,
    };
  }
  const width = byteWidth(source.type);
  const values = width === 0 ? Math.ceil(rows / 8) : rows * width;
  return {
    field,
    source,
    rows,
    start,
    validity,
    values,
    offsets: 0,
    from: source.values + start * width,
    first: 0,
  };
}

function checkType(source: ColumnDescriptor, field: Field): void {
  const declared = physicalType(field.type);
  const fits = isCodes(source)
    ? source.type === Type.U32 && isBytes(declared)
    : (field.type.kind === "list" && source.type === Type.BYTES) ||
      source.type === declared ||
      (source.type === Type.BYTES && declared === Type.LARGE_BYTES);
  if (!fits) {
    throw new MillraceError(
      "ARGUMENT",
      `result "${field.name}" was declared as ${typeName(field.type)}, but the operator gives another type`,
      { column: field.name },
    );
  }
}

function copyColumn(kernel: Kernel, plan: Plan, target: Target): ColumnData {
  const { memory } = kernel;
  const { field, source, rows, start } = plan;
  let validity: Uint8Array | null = null;
  let nullCount = 0;
  if (plan.validity > 0) {
    validity = take(target, plan.validity);
    copyBits(memory.bytes, source.validity, start, rows, validity);
    nullCount = rows - countBits(validity);
    if (nullCount === 0) validity = null;
  }
  const values = take(target, plan.values);
  const offsets = plan.offsets === 0 ? null : take(target, plan.offsets);
  if (isCodes(source)) {
    const words = new Uint32Array(target.buffer, offsets!.byteOffset, plan.offsets / 4);
    decodeTexts(kernel, source, start, rows, words, isLarge(field.type) ? 2 : 1, values);
  } else {
    if (source.type === Type.BOOL) copyBits(memory.bytes, source.values, start, rows, values);
    else copyBytes(memory.bytes, plan.from, values);
    if (offsets !== null) copyOffsets(memory, plan, offsets);
  }
  return {
    type: field.type,
    length: rows,
    offset: 0,
    nullCount,
    validity,
    offsets,
    values,
    dictionary: null,
  };
}

/** Copies up to this length are no faster by a view of the source, which is garbage then. */
const SHORT_BYTES = 64;

function copyBytes(source: Uint8Array, from: number, target: Uint8Array): void {
  const { length } = target;
  if (length > SHORT_BYTES) target.set(source.subarray(from, from + length));
  else for (let at = 0; at < length; at++) target[at] = source[from + at]!;
}

/** Offsets from 0 on, as wide as the field's type has them. */
function copyOffsets(memory: KernelMemory, plan: Plan, target: Uint8Array): void {
  const { rows, first } = plan;
  if (rows === 0) {
    target.fill(0);
    return;
  }
  const width = plan.source.type === Type.BYTES ? 4 : 8;
  const source = plan.source.offsets + plan.start * width;
  if (first === 0 && target.length === (rows + 1) * width) {
    target.set(memory.bytes.subarray(source, source + target.length));
    return;
  }
  const from = new Uint32Array(memory.memory.buffer, source, ((rows + 1) * width) / 4);
  const to = new Uint32Array(target.buffer, target.byteOffset, target.length / 4);
  const [step, stride] = [to.length / (rows + 1), width / 4];
  if (step > 1) to.fill(0);
  // Differences are below 2^32, as the bytes are in kernel memory: the low words are enough.
  const low = first >>> 0;
  for (let row = 0; row <= rows; row++) to[row * step] = from[row * stride]! - low;
}

/** `rows` bits from bit `start` of the bitmap at `address`; bits of `target` past the last row are 0. */
export function copyBits(
  source: Uint8Array,
  address: number,
  start: number,
  rows: number,
  target: Uint8Array,
): void {
  const bytes = Math.ceil(rows / 8);
  const begin = address + (start >>> 3);
  const shift = start & 7;
  if (shift === 0) target.set(source.subarray(begin, begin + bytes));
  else {
    const last = address + ((start + rows - 1) >>> 3);
    for (let i = 0; i < bytes; i++) {
      const at = begin + i;
      target[i] = (source[at]! >> shift) | (at < last ? source[at + 1]! << (8 - shift) : 0);
    }
  }
  if ((rows & 7) !== 0) target[bytes - 1]! &= (1 << (rows & 7)) - 1;
}

/** Bits that are set. */
export function countBits(bytes: Uint8Array): number {
  let count = 0;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length & ~3;
  for (let at = 0; at < whole; at += 4) count += countWord(words.getUint32(at, true));
  for (let at = whole; at < bytes.length; at++) count += countWord(bytes[at]!);
  return count;
}

function countWord(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
