// Operators asked through nothing but WebAssembly: a kernel without bindings, a sound configuration of each kind, batches
// that lie at the very end of the memory, so that a read past a buffer traps.

import { readFileSync } from "node:fs";
import { expect } from "vitest";
import {
  type AggregateConfigSpec,
  type AggregateEntrySpec,
  asDraining,
  asKeeping,
  asLeaving,
  asShared,
  encodeAggregateConfig,
  encodeFramesConfig,
  encodeJoinConfig,
  encodeOverConfig,
  encodePartitionConfig,
  encodeProjectConfig,
  encodeSortConfig,
  encodeWindowConfig,
  type JoinConfigSpec,
  type JoinTimeSpec,
  type WindowConfigSpec,
} from "../../bindings/ts/kernel/config.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { BUILDS } from "../../bindings/ts/kernel/testing.js";
import { RowRandom } from "../../fixtures/random.js";
import { Opcode, TimePart } from "../abi/instruction.js";
import { Batch, Column, ColumnFlag, Root, Type } from "../abi/layout.js";
import {
  AggregateFault,
  AggregateFunction,
  JoinFault,
  JoinTime,
  JoinType,
  OperatorKind,
  SortFault,
} from "../abi/operator.js";
import { FrameFunction, FrameUnit, OverFrame, OverFunction } from "../abi/over.js";
import { WindowKind } from "../abi/window.js";

export const PAGE = 65536;
/** Memory that is the host's: inputs at its end. */
const HOST_BYTES = 2 * PAGE;
export const END = 2n ** 63n - 1n;
export const GUARD = 0xa5;
/** A kernel with nothing around it. */
export class Raw {
  readonly memory: WebAssembly.Memory;
  readonly #exports: WebAssembly.Exports;
  readonly base: number;
  readonly context: number;
  readonly host: number;
  readonly size: number;

  constructor(module: WebAssembly.Module, shared: boolean, base = 1024, pages = 160) {
    const initial = Math.ceil(base / PAGE) + pages;
    this.memory = new WebAssembly.Memory({ initial, maximum: 65536, shared });
    this.#exports = new WebAssembly.Instance(module, { env: { memory: this.memory } }).exports;
    this.base = base;
    this.size = initial * PAGE;
    this.host = this.size - HOST_BYTES;
    this.context = this.call("ctx_init", base, this.host - base, 0) >>> 0;
    expect(this.context).not.toBe(0);
  }

  call(name: string, ...values: (number | bigint)[]): number {
    return (this.#exports[name] as (...values: (number | bigint)[]) => number)(...values);
  }

  /** Where descriptions of batches may be written. */
  get out(): number {
    return this.host + 64;
  }

  get view(): DataView {
    return new DataView(this.memory.buffer);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.memory.buffer);
  }

  get used(): readonly number[] {
    return [Root.USED, Root.BLOCKS].map((field) => this.view.getUint32(this.base + field, true));
  }

  /** Whether the allocation that was to fail has been asked for. */
  get hasFailed(): boolean {
    const [made, failing] = [Root.ALLOCATIONS, Root.FAIL_AT].map((field) =>
      this.view.getUint32(this.base + field, true),
    );
    return made! >= failing!;
  }

  /** A status, checked against the error record. */
  status(name: string, ...values: (number | bigint)[]): number {
    const status = this.call(name, this.context, ...values);
    expect(status).toBeGreaterThanOrEqual(-9);
    expect(status).toBeLessThanOrEqual(2);
    const record = this.call("last_error", this.context) >>> 0;
    expect(this.view.getInt32(record, true)).toBe(Math.min(status, 0));
    expect(this.view.getUint32(record + 4, true)).toBeLessThanOrEqual(51);
    return status;
  }
}

/** A batch in the kernel's memory: its address, those of its columns' values, and of `spareBytes` behind these. */
export interface RawBatch {
  readonly at: number;
  readonly places: readonly number[];
  readonly spare: number;
}

/** Room for a batch of columns of a fixed width, described as whole and without nulls. */
export function fixedBatch(
  raw: Raw,
  types: readonly { readonly type: Type; readonly width: number }[],
  rows: number,
  spareBytes = 0,
): RawBatch {
  const head = Batch.SIZE + types.length * Column.SIZE;
  const bytes = head + types.reduce((sum, { width }) => sum + width * rows, 0) + spareBytes;
  const at = raw.call("mem_alloc", raw.context, bytes) >>> 0;
  const { view } = raw;
  raw.bytes.fill(0, at, at + head);
  view.setUint32(at + Batch.ROWS, rows, true);
  view.setUint32(at + Batch.COLUMNS, types.length, true);
  view.setUint32(at + Batch.DESCRIPTORS, at + Batch.SIZE, true);
  let spare = at + head;
  const places = types.map(({ type, width }, index) => {
    const column = at + Batch.SIZE + index * Column.SIZE;
    const place = spare;
    view.setUint32(column + Column.TYPE, type, true);
    view.setUint32(column + Column.LENGTH, rows, true);
    view.setUint32(column + Column.VALUES, place, true);
    view.setUint32(column + Column.VALUES_BYTES, width * rows, true);
    spare += width * rows;
    return place;
  });
  return { at, places, spare };
}

/** Draws of one round. */
export class Draws {
  readonly #random: RowRandom;
  #at = 0;

  constructor(round: number, name: string) {
    this.#random = new RowRandom(round, name);
  }

  below(n: number): number {
    return this.#random.below(this.#at++, n);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  word(raw: Raw): number {
    return this.pick([
      0,
      1,
      7,
      8,
      0x7f,
      0x80,
      0xffff,
      0x10000,
      0x7fffffff,
      0x80000000,
      0xfffffff8,
      0xffffffff,
      raw.size,
      raw.size - 8,
      raw.size - 1,
      raw.host,
      this.#random.at(this.#at++),
    ]);
  }

  /** Changes `bytes` in up to `most` places: single bytes, or whole words. */
  damage(raw: Raw, bytes: Uint8Array, most: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let places = this.below(most + 1); places > 0 && bytes.length >= 8; places--) {
      if (this.chance(50)) view.setUint32(this.below(bytes.length >> 2) << 2, this.word(raw), true);
      else bytes[this.below(bytes.length)] = this.pick([0, 1, 2, 0x7f, 0x80, 0xff, this.below(256)]);
    }
  }
}

export const TYPES = [Type.I32, Type.I64, Type.F64, Type.BYTES, Type.BYTES, Type.BOOL, Type.I128, Type.I8];
export const CODED = 4;

/** Programs whose every part is worth damaging: all columns, a filter, texts made, lists, zones, casts. */
export function program(filtered: boolean): Uint8Array {
  const builder = new ProgramBuilder();
  const columns = TYPES.map((type) => builder.column(type));
  if (filtered) builder.filter(builder.load(columns[5]!));
  const [i32, i64, f64, text, coded, flag, wide, narrow] = columns.map((column) => builder.load(column));
  const registers = [i32!, i64!, f64!, text!, coded!, flag!, wide!, narrow!];
  for (const register of registers) builder.output(register);
  const one = builder.literal(Type.I64, 3n);
  const piece = builder.literal(Type.BYTES, "a%");
  builder.output(builder.emit(Opcode.ADD, Type.I64, { a: i64!, b: one, mask: flag! }));
  builder.output(builder.emit(Opcode.CONCAT, Type.BYTES, { a: text!, b: coded! }));
  builder.output(builder.emit(Opcode.LIKE, Type.BYTES, { a: coded!, b: piece, target: Type.BOOL }));
  builder.output(
    builder.emit(Opcode.IN, Type.BYTES, {
      a: text!,
      arg0: builder.list(Type.BYTES, ["b", "ccc", null]),
      target: Type.BOOL,
    }),
  );
  builder.output(builder.emit(Opcode.SUBSTRING, Type.BYTES, { a: text!, b: i64!, c: one }));
  builder.output(
    builder.emit(Opcode.TIME_TRUNCATE, Type.I64, { a: i64!, arg0: TimePart.MONTH, immediate: 86400n }),
  );
  const shifted = builder.emit(Opcode.ADD_MONTHS, Type.I64, { a: one, b: i64!, immediate: 1n });
  builder.output(builder.emit(Opcode.SELECT, Type.I64, { a: flag!, b: shifted, c: i64! }));
  builder.output(builder.emit(Opcode.CAST, Type.I128, { a: wide!, arg0: 2, target: Type.BYTES }));
  builder.output(builder.emit(Opcode.CAST, Type.F64, { a: f64!, target: Type.I32, try: true }));
  builder.output(builder.emit(Opcode.MODULO, Type.F64, { a: f64!, b: f64! }));
  return builder.encode();
}

/** Windows over the second column, whose times are within 2^16; `corrected`: late rows and early firings change them. */
function windows(filtered: boolean, kind: WindowKind, corrected = false): Uint8Array {
  return encodeWindowConfig({
    kind,
    time: 1,
    dropNullTime: true,
    keepLate: true,
    length: kind === WindowKind.SESSION ? 500n : 20_000n,
    step: 6_000n,
    bound: 8_000n,
    ...(corrected ? { lateness: 10_000n, early: 3_000n } : {}),
    aggregate: aggregationSpec(filtered, corrected),
  });
}

/** Every function, by an order of two columns. */
function over(filtered: boolean, frame: OverFrame): Uint8Array {
  const aggregate = aggregationSpec(filtered, false);
  return encodeOverConfig({
    frame,
    carried: 8,
    order: [3, 1],
    functions: [
      ...aggregate.aggregates.map((_, index) => ({ kind: OverFunction.AGGREGATE, index })),
      { kind: OverFunction.ROW_NUMBER },
      { kind: OverFunction.RANK },
      { kind: OverFunction.DENSE_RANK },
    ],
    aggregate,
  });
}

/** Every function that frames know, by rows or by the values of a column. */
function frames(filtered: boolean, unit: FrameUnit): Uint8Array {
  const { aggregates, ...aggregate } = aggregationSpec(filtered, false);
  const sums = aggregates.filter(({ function: fn }) => fn <= AggregateFunction.AVG);
  const peers = unit === FrameUnit.PEERS;
  return encodeFramesConfig({
    unit,
    start: peers ? null : -3n,
    end: peers ? 0n : 2n,
    carried: 8,
    kept: 18,
    order: [unit === FrameUnit.VALUES ? 1 : 3],
    functions: [
      ...sums.map((_, column) => ({ kind: FrameFunction.AGGREGATE, column })),
      { kind: FrameFunction.MIN, column: 3 },
      { kind: FrameFunction.MAX, column: 1 },
      { kind: FrameFunction.FIRST, column: 2 },
      { kind: FrameFunction.LAST, column: 4 },
      { kind: FrameFunction.SHIFT, column: 5, offset: -2n },
    ],
    aggregate: { ...aggregate, aggregates: sums, retract: 7 },
  });
}

function aggregation(filtered: boolean, changelog: boolean, partial = false, retract?: number): Uint8Array {
  const faults = partial ? AggregateFault.FLUSH_OFTEN : AggregateFault.NONE;
  return encodeAggregateConfig({ ...aggregationSpec(filtered, changelog), partial, faults, retract });
}

function aggregationSpec(filtered: boolean, changelog: boolean): AggregateConfigSpec {
  const outputs = [0, 1, 2, 3, 4, 5, 6, 7].map((output) => ({ output, type: TYPES[output]! }));
  const by = (index: number) => outputs[index]!;
  const aggregate = (fn: AggregateFunction, argument?: number, filter?: number) => ({
    function: fn,
    argument,
    filter,
    type: argument === undefined ? undefined : TYPES[argument],
  });
  return {
    program: program(filtered),
    keys: changelog ? [by(0), by(3)] : [by(4)],
    aggregates: [
      aggregate(AggregateFunction.COUNT_ROWS),
      aggregate(AggregateFunction.SUM, 2),
      aggregate(AggregateFunction.AVG, 1, 5),
      aggregate(AggregateFunction.SUM, 6),
      aggregate(AggregateFunction.MIN, 3),
      aggregate(AggregateFunction.MAX, 2),
      aggregate(AggregateFunction.COUNT_DISTINCT, 3),
      aggregate(AggregateFunction.COUNT, 4),
    ],
    changelog,
  };
}

function sort(filtered: boolean, carried: number): Uint8Array {
  return encodeSortConfig({
    program: program(filtered),
    keys: [
      { output: 3, descending: true, nullsFirst: false },
      { output: 6, descending: false, nullsFirst: true },
    ],
    carried,
    offset: filtered ? 3 : 0,
    limit: filtered ? 20 : undefined,
    faults: SortFault.CUT_OFTEN,
  });
}

/** Both sides have the same program: its first outputs are the keys, a time where one is asked for, some others what is kept. */
function joined(
  filtered: boolean,
  keys: number,
  type: JoinType,
  residual: boolean,
  change: Partial<JoinConfigSpec> = {},
): Uint8Array {
  const sides = type === JoinType.SEMI || type === JoinType.ANTI ? [0] : [0, 1];
  const builder = new ProgramBuilder();
  const [a, b] = [Type.BYTES, Type.BYTES].map((column) => builder.load(builder.column(column)));
  builder.filter(builder.emit(Opcode.LESS, Type.BYTES, { a: a!, b: b!, target: Type.BOOL }));
  builder.output(builder.emit(Opcode.ROW_INDEX, Type.U32));
  return encodeJoinConfig({
    type,
    keys,
    left: program(filtered),
    right: program(!filtered),
    outputs: sides.flatMap((port) => [0, 3, 4, 5, 6, 7, 9].map((output) => ({ port, output }))),
    buildFirst: keys === 1 && change.time === undefined,
    ...change,
    residual: residual
      ? {
          program: builder.encode(),
          columns: [
            { port: 0, output: 3 },
            { port: 1, output: 4 },
          ],
        }
      : undefined,
  });
}

/** A batch of `rows` rows of TYPES that ends at the end of the memory; the address of its descriptor. */
export function writeBatch(raw: Raw, rows: number, draws: Draws): number {
  const widths = [4, 8, 8, 0, 1, 0, 16, 1];
  const parts: { bytes: Uint8Array; set: (at: number) => void }[] = [];
  const descriptors = new Uint8Array((TYPES.length + 1) * Column.SIZE);
  const view = new DataView(descriptors.buffer);
  const part = (column: number, field: Column, sizeField: Column, bytes: Uint8Array) => {
    view.setUint32(column * Column.SIZE + sizeField, bytes.length, true);
    parts.push({ bytes, set: (at) => view.setUint32(column * Column.SIZE + field, at, true) });
  };
  const random = (length: number) => Uint8Array.from({ length }, () => draws.below(256));
  const texts = (column: number, count: number) => {
    const offsets = new Int32Array(count + 1);
    for (let i = 0; i < count; i++) offsets[i + 1] = offsets[i]! + draws.below(9);
    const letters = Uint8Array.from({ length: offsets[count]! }, () => 97 + draws.below(3));
    part(column, Column.OFFSETS, Column.OFFSETS_BYTES, new Uint8Array(offsets.buffer));
    part(column, Column.VALUES, Column.VALUES_BYTES, letters);
  };
  TYPES.forEach((type, i) => {
    view.setUint32(i * Column.SIZE + Column.TYPE, i === CODED ? Type.I8 : type, true);
    view.setUint32(i * Column.SIZE + Column.LENGTH, rows, true);
    view.setInt32(i * Column.SIZE + Column.NULL_COUNT, -1, true);
    if (i % 3 !== 2 && type !== Type.I8)
      part(i, Column.VALIDITY, Column.VALIDITY_BYTES, random((rows + 7) >> 3));
    if (i === CODED) {
      view.setUint32(i * Column.SIZE + Column.FLAGS, ColumnFlag.DICTIONARY, true);
      view.setUint32(i * Column.SIZE + Column.DICTIONARY_ID, 1 + draws.below(3), true);
      part(
        i,
        Column.VALUES,
        Column.VALUES_BYTES,
        Uint8Array.from({ length: rows }, () => draws.below(5)),
      );
    } else if (type === Type.BYTES) texts(i, rows);
    else if (type === Type.BOOL) part(i, Column.VALUES, Column.VALUES_BYTES, random((rows + 7) >> 3));
    else {
      const values = random(rows * widths[i]!);
      // Small numbers, so that arithmetic mostly does not overflow.
      if (type !== Type.F64)
        for (let at = 0; at < values.length; at++) if (at % widths[i]! > 1) values[at] = 0;
      // Mostly row kinds.
      if (type === Type.I8 && draws.chance(90)) for (let at = 0; at < values.length; at++) values[at]! &= 3;
      part(i, Column.VALUES, Column.VALUES_BYTES, values);
    }
  });
  const dictionary = TYPES.length;
  view.setUint32(dictionary * Column.SIZE + Column.TYPE, Type.BYTES, true);
  view.setUint32(dictionary * Column.SIZE + Column.LENGTH, 5, true);
  texts(dictionary, 5);
  return place(raw, descriptors, parts, rows, TYPES.length, (at) =>
    view.setUint32(CODED * Column.SIZE + Column.DICTIONARY, at + dictionary * Column.SIZE, true),
  );
}

/** Lays buffers, then descriptors, then the batch down from the end of the memory. */
export function place(
  raw: Raw,
  descriptors: Uint8Array,
  parts: { bytes: Uint8Array; set: (at: number) => void }[],
  rows: number,
  columns: number,
  link: (at: number) => void,
): number {
  const bytes = raw.bytes;
  let at = raw.size;
  for (const part of parts) {
    at -= part.bytes.length;
    bytes.set(part.bytes, at);
    part.set(at);
  }
  at = (at - descriptors.length) & ~7;
  at >>>= 0;
  link(at);
  bytes.set(descriptors, at);
  const batch = at - Batch.SIZE;
  bytes.fill(0, batch, at);
  raw.view.setUint32(batch + Batch.ROWS, rows, true);
  raw.view.setUint32(batch + Batch.COLUMNS, columns, true);
  raw.view.setUint32(batch + Batch.DESCRIPTORS, at, true);
  return batch;
}

/**
 * A host that vouches for damaged buffers gets what it deserves: TRUSTED is taken back. So are addresses of
 * descriptors that point into the kernel's own memory, where anything may look like the flag.
 */
export function distrust(raw: Raw, batch: number): void {
  const clear = (descriptor: number): boolean => {
    if (descriptor < raw.host) return false;
    if (descriptor + Column.SIZE <= raw.size) raw.bytes[descriptor + Column.FLAGS]! &= ~ColumnFlag.TRUSTED;
    return true;
  };
  const columns = raw.view.getUint32(batch + Batch.COLUMNS, true);
  const at = raw.view.getUint32(batch + Batch.DESCRIPTORS, true);
  for (let column = 0; column < Math.min(columns, 4 * TYPES.length); column++) {
    const descriptor = at + column * Column.SIZE;
    if (!clear(descriptor)) raw.view.setUint32(batch + Batch.DESCRIPTORS, raw.size - 8, true);
    if (descriptor < raw.host || descriptor + Column.SIZE > raw.size) return;
    const link = descriptor + Column.DICTIONARY;
    if (!clear(raw.view.getUint32(link, true))) raw.view.setUint32(link, 0, true);
  }
}

/** Copies a state batch of the kernel's into the host's memory; its address. */
export function copyState(raw: Raw, from: Uint8Array, columns: number): number {
  const view = new DataView(from.buffer, from.byteOffset);
  const rows = view.getUint32(Batch.ROWS, true);
  const source = raw.bytes;
  const descriptors = source.slice(
    view.getUint32(Batch.DESCRIPTORS, true),
    view.getUint32(Batch.DESCRIPTORS, true) + columns * Column.SIZE,
  );
  const fields = new DataView(descriptors.buffer);
  const parts: { bytes: Uint8Array; set: (at: number) => void }[] = [];
  for (let column = 0; column < columns; column++) {
    for (const [address, size] of [
      [Column.VALIDITY, Column.VALIDITY_BYTES],
      [Column.VALUES, Column.VALUES_BYTES],
      [Column.OFFSETS, Column.OFFSETS_BYTES],
    ] as const) {
      const at = fields.getUint32(column * Column.SIZE + address, true);
      if (at === 0) continue;
      const bytes = source.slice(at, at + fields.getUint32(column * Column.SIZE + size, true));
      parts.push({ bytes, set: (to) => fields.setUint32(column * Column.SIZE + address, to, true) });
    }
    fields.setUint32(column * Column.SIZE + Column.FLAGS, 0, true);
  }
  const batch = place(raw, descriptors, parts, rows, columns, () => {});
  raw.view.setUint32(batch + Batch.SECTION, view.getUint32(Batch.SECTION, true), true);
  return batch;
}

/** A sound configuration in the host's memory, below what a batch may take. */
export function writeConfig(raw: Raw, config: Uint8Array): number {
  const at = raw.host + 1024;
  raw.bytes.set(config, at);
  return at;
}

const WITHIN: JoinTimeSpec = { mode: JoinTime.WITHIN, low: -500n, high: 2_000n };
const NEAREST: JoinTimeSpec = { mode: JoinTime.NEAREST, tolerance: 3_000n, strict: true };

/** A sound configuration of each kind of operator, with a filter and without. */
export const CONFIGURATIONS = [true, false].flatMap((filtered) => [
  [OperatorKind.HASH_AGGREGATE, aggregation(filtered, false)] as const,
  [OperatorKind.HASH_AGGREGATE, aggregation(filtered, true)] as const,
  [OperatorKind.HASH_AGGREGATE, aggregation(filtered, false, true)] as const,
  [OperatorKind.HASH_AGGREGATE, aggregation(filtered, true, false, 7)] as const,
  [OperatorKind.HASH_AGGREGATE, aggregation(filtered, false, true, 7)] as const,
  [OperatorKind.PROJECT, encodeProjectConfig(program(filtered), 18)] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(filtered, WindowKind.HOP)] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(filtered, WindowKind.CUMULATE)] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(filtered, WindowKind.TUMBLE, true)] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(filtered, WindowKind.SESSION)] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(filtered, WindowKind.SESSION, true)] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(filtered, WindowKind.GLOBAL)] as const,
  [OperatorKind.OVER, over(filtered, OverFrame.ROWS)] as const,
  [OperatorKind.OVER, over(filtered, OverFrame.RANGE)] as const,
  [OperatorKind.OVER, over(filtered, OverFrame.ALL)] as const,
  [OperatorKind.FRAMES, frames(filtered, FrameUnit.ROWS)] as const,
  [OperatorKind.FRAMES, frames(filtered, FrameUnit.PEERS)] as const,
  [OperatorKind.FRAMES, frames(filtered, FrameUnit.VALUES)] as const,
  [OperatorKind.SORT, sort(filtered, 2)] as const,
  [OperatorKind.SORT, sort(filtered, 0)] as const,
  [OperatorKind.PARTITION, encodePartitionConfig(program(filtered), 18, 8, 3)] as const,
  [OperatorKind.JOIN, joined(filtered, 1, filtered ? JoinType.FULL : JoinType.INNER, false)] as const,
  [OperatorKind.JOIN, joined(filtered, 4, filtered ? JoinType.LEFT : JoinType.ANTI, true)] as const,
  [
    OperatorKind.JOIN,
    joined(filtered, 1, filtered ? JoinType.FULL : JoinType.SEMI, true, { time: WITHIN }),
  ] as const,
  [
    OperatorKind.JOIN,
    joined(filtered, 1, filtered ? JoinType.LEFT : JoinType.INNER, false, { time: NEAREST }),
  ] as const,
  [
    OperatorKind.JOIN,
    joined(filtered, 1, filtered ? JoinType.RIGHT : JoinType.SEMI, !filtered, { keepOutputs: true }),
  ] as const,
]);

const SMALL_JOINS = JoinFault.SMALL_STEPS | JoinFault.TINY_TABLES;
const SMALL_TABLES = AggregateFault.SET_ASIDE | AggregateFault.TINY_TABLES;
const key = (output: number) => ({ output, type: TYPES[output]! });
const of = (fn: AggregateFunction, argument: number, rest: Partial<AggregateEntrySpec> = {}) => ({
  function: fn,
  argument,
  type: TYPES[argument]!,
  ...rest,
});

/** Sums whose rows may be set aside, that combine, and are divided: of every width, by these keys. */
function sums(keys: readonly number[], faults = AggregateFault.NONE): AggregateConfigSpec {
  const outputs = [...TYPES, Type.I64];
  return {
    program: program(false),
    keys: keys.map((output) => ({ output, type: outputs[output]! })),
    aggregates: [
      { function: AggregateFunction.COUNT_ROWS },
      of(AggregateFunction.SUM, 2),
      of(AggregateFunction.SUM, 6),
      of(AggregateFunction.AVG, 0),
      of(AggregateFunction.MAX, 7),
      of(AggregateFunction.COUNT, 1),
    ],
    faults,
  };
}

/** The same without an extreme: results may leave while other rows still wait. */
function onlySums(keys: readonly number[]): AggregateConfigSpec {
  const spec = sums(keys, SMALL_TABLES);
  return { ...spec, aggregates: spec.aggregates.filter(({ function: fn }) => fn !== AggregateFunction.MAX) };
}

/** A few aggregates of each kind that keeps more than a number, by a text. */
function lists(keys: readonly number[] = [4]): AggregateConfigSpec {
  return {
    program: program(false),
    keys: keys.map(key),
    aggregates: [
      of(AggregateFunction.ARG_MIN, 3, { second: 2 }),
      of(AggregateFunction.ARG_MAX, 6, { second: 1 }),
      of(AggregateFunction.TOP, 0, { limit: 3 }),
      of(AggregateFunction.BOTTOM, 3, { limit: 2 }),
      of(AggregateFunction.TOP, 3, { limit: 2, second: 1 }),
      of(AggregateFunction.QUANTILE, 2, { parameter: 0.5 }),
      of(AggregateFunction.MODE, 3),
      of(AggregateFunction.ARRAY, 1),
      of(AggregateFunction.APPROX_COUNT_DISTINCT, 3),
      of(AggregateFunction.APPROX_QUANTILE, 2, { parameter: 0.5 }),
      of(AggregateFunction.SUM, 2, { fast: true }),
      of(AggregateFunction.VAR_SAMPLE, 2, { fast: true }),
      of(AggregateFunction.COVAR_SAMPLE, 2, { second: 2 }),
      of(AggregateFunction.BIT_XOR, 1),
      of(AggregateFunction.SUM, 1, { distinct: true }),
      of(AggregateFunction.MAX, 3),
    ],
  };
}

const often = (spec: AggregateConfigSpec): AggregateConfigSpec => ({ ...spec, changelog: true });

/** Joins of texts that come by dictionary, and what is kept with them. */
function joinedTexts(type: JoinType, change: Partial<JoinConfigSpec>): Uint8Array {
  const builder = new ProgramBuilder();
  const columns = TYPES.map((type) => builder.column(type));
  for (const column of [4, 1, 3, 5, 6, 0, 7, 2]) builder.output(builder.load(columns[column]!));
  const sides = type === JoinType.SEMI || type === JoinType.ANTI ? [0] : [0, 1];
  const outputs = sides.flatMap((port) => [0, 1, 2, 3, 4, 6].map((output) => ({ port, output })));
  const side = builder.encode();
  return encodeJoinConfig({ type, keys: 1, left: side, right: side, outputs, ...change });
}

/** Partitions come and go with their rows, at every push. */
function framesThatForget(): Uint8Array {
  const { aggregates: _, ...aggregate } = taking([3, 1]);
  return encodeFramesConfig({
    unit: FrameUnit.VALUES,
    start: -3_000n,
    end: 0n,
    carried: 8,
    kept: 8,
    order: [1],
    functions: [
      { kind: FrameFunction.NUMBER, column: 0 },
      { kind: FrameFunction.MIN, column: 3 },
      { kind: FrameFunction.LAST, column: 4 },
    ],
    aggregate: { ...aggregate, aggregates: [], faults: AggregateFault.FLUSH_OFTEN },
  });
}

/** The one group has no row in its state. */
function onlyPairs(): AggregateConfigSpec {
  return often({ program: program(false), keys: [], aggregates: [of(AggregateFunction.COUNT_DISTINCT, 3)] });
}

const window = (kind: WindowKind, aggregate: AggregateConfigSpec, change: Partial<WindowConfigSpec> = {}) =>
  encodeWindowConfig({ kind, time: 1, dropNullTime: true, length: 20_000n, aggregate, ...change });

/** The same where earlier rows may be taken back: all kinds are +I. */
function taking(keys: readonly number[]): AggregateConfigSpec {
  const builder = new ProgramBuilder();
  const columns = TYPES.map((type) => builder.load(builder.column(type)));
  for (const register of columns) builder.output(register);
  const retract = builder.output(builder.literal(Type.I8, 0n));
  return {
    program: builder.encode(),
    retract,
    keys: keys.map(key),
    aggregates: [
      of(AggregateFunction.SUM, 6),
      of(AggregateFunction.AVG, 2),
      of(AggregateFunction.MIN, 3),
      of(AggregateFunction.COUNT_DISTINCT, 1),
      of(AggregateFunction.TOP, 0, { limit: 3 }),
      of(AggregateFunction.QUANTILE, 2, { parameter: 0.5 }),
      of(AggregateFunction.MODE, 3),
      of(AggregateFunction.BIT_AND, 1),
    ],
  };
}

/** What they leave out: rows set aside and scattered, states of every kind, texts by dictionary, rows that are let go. */
export const FURTHER_CONFIGURATIONS = [
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(sums([8], SMALL_TABLES))] as const,
  [OperatorKind.HASH_AGGREGATE, asShared(encodeAggregateConfig(sums([1, 4], SMALL_TABLES)))] as const,
  [OperatorKind.HASH_AGGREGATE, asLeaving(encodeAggregateConfig(sums([1, 0], SMALL_TABLES)), null)] as const,
  [OperatorKind.HASH_AGGREGATE, asLeaving(encodeAggregateConfig(sums([8])), "aside")] as const,
  [OperatorKind.HASH_AGGREGATE, asLeaving(encodeAggregateConfig(sums([8])), "saved")] as const,
  [OperatorKind.HASH_AGGREGATE, asKeeping(encodeAggregateConfig(sums([4, 0])))] as const,
  [OperatorKind.HASH_AGGREGATE, asDraining(encodeAggregateConfig(onlySums([1, 0])))] as const,
  [
    OperatorKind.HASH_AGGREGATE,
    asDraining(asKeeping(encodeAggregateConfig(onlySums([4, 1, 3])), true)),
  ] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(sums([]))] as const,
  [OperatorKind.FRAMES, framesThatForget()] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(onlyPairs())] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(lists())] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(often(lists([])))] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(taking([4, 0]))] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(often(taking([])))] as const,
  [OperatorKind.WINDOW_AGGREGATE, window(WindowKind.TUMBLE, sums([0], SMALL_TABLES))] as const,
  [
    OperatorKind.WINDOW_AGGREGATE,
    window(WindowKind.HOP, sums([1, 4], SMALL_TABLES), { step: 3_000n }),
  ] as const,
  [OperatorKind.WINDOW_AGGREGATE, window(WindowKind.HOP, lists(), { step: 6_000n, bound: 8_000n })] as const,
  [OperatorKind.WINDOW_AGGREGATE, window(WindowKind.TUMBLE, sums([4]), { length: 300n })] as const,
  [
    OperatorKind.WINDOW_AGGREGATE,
    window(WindowKind.HOP, sums([0, 3]), { length: 900n, step: 300n }),
  ] as const,
  [
    OperatorKind.WINDOW_AGGREGATE,
    window(WindowKind.TUMBLE, sums([8], SMALL_TABLES), { length: 300n }),
  ] as const,
  [
    OperatorKind.WINDOW_AGGREGATE,
    window(WindowKind.HOP, often(sums([4])), { step: 6_000n, lateness: 30_000n, early: 9_000n }),
  ] as const,
  [
    OperatorKind.WINDOW_AGGREGATE,
    window(WindowKind.SESSION, often(sums([])), { length: 200n, lateness: 30_000n, early: 9_000n }),
  ] as const,
  [
    OperatorKind.JOIN,
    joinedTexts(JoinType.FULL, { keepResults: true, keepCodes: true, faults: JoinFault.TINY_TABLES }),
  ] as const,
  [OperatorKind.JOIN, joinedTexts(JoinType.ANTI, { nullAware: true, buildFirst: true })] as const,
  [OperatorKind.JOIN, joinedTexts(JoinType.FULL, { keepOutputs: true })] as const,
  [OperatorKind.JOIN, joinedTexts(JoinType.FULL, { time: WITHIN, faults: SMALL_JOINS })] as const,
  [OperatorKind.JOIN, joinedTexts(JoinType.LEFT, { time: NEAREST, faults: SMALL_JOINS })] as const,
];

/** Configurations whose states hold every kind of column. */
export const STATES = [
  [OperatorKind.HASH_AGGREGATE, aggregation(false, false)] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(lists())] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(often(taking([4, 0])))] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(lists([]))] as const,
  [OperatorKind.HASH_AGGREGATE, encodeAggregateConfig(onlyPairs())] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(false, WindowKind.CUMULATE)] as const,
  [OperatorKind.WINDOW_AGGREGATE, windows(false, WindowKind.GLOBAL)] as const,
  [OperatorKind.WINDOW_AGGREGATE, window(WindowKind.TUMBLE, lists(), { bound: 8_000n })] as const,
  [
    OperatorKind.WINDOW_AGGREGATE,
    window(WindowKind.HOP, often(sums([4])), { step: 6_000n, bound: 8_000n, lateness: 30_000n }),
  ] as const,
];

/** The builds, where their memory is shared, and where the heap lies: also across half of the address space. */
export const RAW_BUILDS = (
  [
    ["simd", "millrace.wasm", false, 1024],
    ["scalar", "millrace.scalar.wasm", false, 0x8000_0000],
    ["threads", "millrace.threads.wasm", true, 0x7fff_0000],
  ] as const
).filter(([build]) => BUILDS.includes(build));

export function compileBuild(file: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(readFileSync(new URL(`../../build/${file}`, import.meta.url)));
}
