// Writing and reading the descriptors that cross the ABI (kernel/abi/layout.ts).

import { Batch, Column, ColumnFlag, type Type } from "../../../kernel/abi/layout.js";

/** A column in kernel memory: an Arrow array with its pointers spelled out. Addresses and sizes in bytes. */
export interface ColumnDescriptor {
  readonly type: Type;
  readonly trusted: boolean;
  /** Of a result that stays: it lies in its input's buffers. Left out for no. */
  readonly shared?: boolean;
  readonly length: number;
  readonly offset: number;
  readonly nullCount: number;
  readonly validity: number;
  readonly validityBytes: number;
  readonly values: number;
  readonly valuesBytes: number;
  readonly offsets: number;
  readonly offsetsBytes: number;
  /** Offset at which `values` begins. */
  readonly base: number;
  /** Address of the dictionary's descriptor; 0 when the column has none. */
  readonly dictionary: number;
  readonly dictionaryId: number;
  /** Address of the values in a byte each (narrow.ts); left out where there are none. */
  readonly narrow?: number;
}

/** @param isLasting whether results that stay may lie in the column's buffers */
export function writeColumn(view: DataView, at: number, column: ColumnDescriptor, isLasting = false): void {
  const flags =
    (column.dictionary === 0 ? ColumnFlag.NONE : ColumnFlag.DICTIONARY) |
    (column.trusted ? ColumnFlag.TRUSTED : ColumnFlag.NONE) |
    (isLasting ? ColumnFlag.SHARED : ColumnFlag.NONE);
  view.setUint32(at + Column.TYPE, column.type, true);
  view.setUint32(at + Column.FLAGS, flags, true);
  view.setUint32(at + Column.LENGTH, column.length, true);
  view.setUint32(at + Column.OFFSET, column.offset, true);
  view.setInt32(at + Column.NULL_COUNT, column.nullCount, true);
  view.setUint32(at + Column.VALIDITY, column.validity, true);
  view.setUint32(at + Column.VALIDITY_BYTES, column.validityBytes, true);
  view.setUint32(at + Column.VALUES, column.values, true);
  view.setUint32(at + Column.VALUES_BYTES, column.valuesBytes, true);
  view.setUint32(at + Column.OFFSETS, column.offsets, true);
  view.setUint32(at + Column.OFFSETS_BYTES, column.offsetsBytes, true);
  view.setUint32(at + Column.DICTIONARY, column.dictionary, true);
  view.setUint32(at + Column.DICTIONARY_ID, column.dictionaryId, true);
  view.setUint32(at + Column.NARROW, column.narrow ?? 0, true);
  view.setUint32(at + Column.BASE, column.base >>> 0, true);
  view.setUint32(at + Column.BASE + 4, Math.floor(column.base / 2 ** 32), true);
}

export function readColumn(view: DataView, at: number): ColumnDescriptor {
  return {
    type: u32(view, at + Column.TYPE),
    trusted: (u32(view, at + Column.FLAGS) & ColumnFlag.TRUSTED) !== 0,
    shared: (u32(view, at + Column.FLAGS) & ColumnFlag.SHARED) !== 0,
    length: u32(view, at + Column.LENGTH),
    offset: u32(view, at + Column.OFFSET),
    nullCount: view.getInt32(at + Column.NULL_COUNT, true),
    validity: u32(view, at + Column.VALIDITY),
    validityBytes: u32(view, at + Column.VALIDITY_BYTES),
    values: u32(view, at + Column.VALUES),
    valuesBytes: u32(view, at + Column.VALUES_BYTES),
    offsets: u32(view, at + Column.OFFSETS),
    offsetsBytes: u32(view, at + Column.OFFSETS_BYTES),
    base: readU64(view, at + Column.BASE),
    dictionary: u32(view, at + Column.DICTIONARY),
    dictionaryId: u32(view, at + Column.DICTIONARY_ID),
  };
}

function u32(view: DataView, at: number): number {
  return view.getUint32(at, true);
}

/** A number of eight bytes, which is below 2^53. */
export function readU64(view: DataView, at: number): number {
  return u32(view, at) + u32(view, at + 4) * 2 ** 32;
}

export interface BatchDescriptor {
  readonly rows: number;
  /** Rows to skip in every column, on top of its own offset. */
  readonly offset: number;
  readonly columns: number;
  /** Address of the column descriptors. */
  readonly descriptors: number;
  /** Section of a state batch; 0 elsewhere. */
  readonly section: number;
  /** Partition of a batch of a divided state; 0 elsewhere. */
  readonly partition?: number;
}

export function writeBatch(view: DataView, at: number, batch: BatchDescriptor): void {
  for (let word = 0; word < Batch.SIZE; word += 4) view.setUint32(at + word, 0, true);
  view.setUint32(at + Batch.ROWS, batch.rows, true);
  view.setUint32(at + Batch.OFFSET, batch.offset, true);
  view.setUint32(at + Batch.COLUMNS, batch.columns, true);
  view.setUint32(at + Batch.DESCRIPTORS, batch.descriptors, true);
  view.setUint32(at + Batch.SECTION, batch.section, true);
}

export function readBatch(view: DataView, at: number): Required<BatchDescriptor> {
  return {
    rows: u32(view, at + Batch.ROWS),
    offset: u32(view, at + Batch.OFFSET),
    columns: u32(view, at + Batch.COLUMNS),
    descriptors: u32(view, at + Batch.DESCRIPTORS),
    section: u32(view, at + Batch.SECTION),
    partition: u32(view, at + Batch.PARTITION),
  };
}
