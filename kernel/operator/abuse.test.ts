// Abuse of the ABI: the exports called with nothing but WebAssembly, on configurations, programs, batches,
// state and arguments in which bytes were changed at random. Whatever comes must be a status (with an error
// record that says the same) or a result; never a trap, never a byte written outside the kernel's own
// memory, and after the operator is destroyed no byte in use more than before.
//
// Inputs lie at the very end of the memory, so that a read past a buffer traps. The draws are seeded and
// each round's are independent: a failure names its round, and ABUSE_FROM replays it.

import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import {
  type AggregateConfigSpec,
  encodeAggregateConfig,
  encodeFramesConfig,
  encodeJoinConfig,
  encodeOverConfig,
  encodePartitionConfig,
  encodeProjectConfig,
  encodeSortConfig,
  encodeWindowConfig,
  type JoinTimeSpec,
} from "../../bindings/ts/kernel/config.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { RowRandom } from "../../fixtures/random.js";
import { Opcode, TimePart } from "../abi/instruction.js";
import { Batch, Column, ColumnFlag, Root, Type } from "../abi/layout.js";
import {
  AggregateFault,
  AggregateFunction,
  JoinTime,
  JoinType,
  OperatorKind,
  SortFault,
} from "../abi/operator.js";
import { FrameFunction, FrameUnit, OverFrame, OverFunction } from "../abi/over.js";
import { WindowKind } from "../abi/window.js";

const PAGE = 65536;
/** Memory that is the host's: inputs at its end. */
const HOST_BYTES = 2 * PAGE;
const END = 2n ** 63n - 1n;
const GUARD = 0xa5;
/**
 * Rounds of each build; more of them, or others, for a soak: ABUSE_ROUNDS=100000 ABUSE_FROM=5000 ABUSE_SECONDS=1200,
 * with vitest's `--testTimeout` above.
 */
const ROUNDS = Number(process.env.ABUSE_ROUNDS ?? 3000);
const FROM = Number(process.env.ABUSE_FROM ?? 0);
/** A busy machine does fewer rounds. */
const MOST_MS = 1000 * Number(process.env.ABUSE_SECONDS ?? 3);

/** A kernel with nothing around it. */
class Raw {
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

  get view(): DataView {
    return new DataView(this.memory.buffer);
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.memory.buffer);
  }

  get used(): readonly number[] {
    return [Root.USED, Root.BLOCKS].map((field) => this.view.getUint32(this.base + field, true));
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

/** Draws of one round. */
class Draws {
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

const TYPES = [Type.I32, Type.I64, Type.F64, Type.BYTES, Type.BYTES, Type.BOOL, Type.I128, Type.I8];
const CODED = 4;

/** Programs whose every part is worth damaging: all columns, a filter, texts made, lists, zones, casts. */
function program(filtered: boolean): Uint8Array {
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

function sort(filtered: boolean): Uint8Array {
  return encodeSortConfig({
    program: program(filtered),
    keys: [
      { output: 3, descending: true, nullsFirst: false },
      { output: 6, descending: false, nullsFirst: true },
    ],
    carried: 2,
    offset: filtered ? 3 : 0,
    limit: filtered ? 20 : undefined,
    faults: SortFault.CUT_OFTEN,
  });
}

/** Both sides have the same program: its first outputs are the keys, a time where `time` asks for one, some others what is kept. */
function joined(
  filtered: boolean,
  keys: number,
  type: JoinType,
  residual: boolean,
  time?: JoinTimeSpec,
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
    buildFirst: keys === 1 && time === undefined,
    time,
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
function writeBatch(raw: Raw, rows: number, draws: Draws): number {
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
function place(
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
function distrust(raw: Raw, batch: number): void {
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
function copyState(raw: Raw, from: Uint8Array, columns: number): number {
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

/** One round: an operator of damaged making, fed with damaged batches, asked in any order, destroyed. */
function abuse(raw: Raw, round: number, seeds: readonly (readonly [OperatorKind, Uint8Array])[]): void {
  const draws = new Draws(round, "abuse");
  const idle = raw.used;
  const hostBytes = () => raw.bytes.subarray(raw.host, raw.size);
  hostBytes().fill(GUARD);
  const out = raw.host + 64;
  const [kind, sound] = draws.pick(seeds);
  const config = sound.slice();
  if (draws.chance(60)) draws.damage(raw, config, 3);
  const at = draws.chance(95) ? raw.size - config.length : draws.word(raw);
  if (at === raw.size - config.length) raw.bytes.set(config, at);
  const length = draws.chance(95) ? config.length : draws.word(raw);
  const handle =
    raw.call("op_create", raw.context, draws.chance(98) ? kind : draws.below(9), at, length) >>> 0;
  const states: { header: Uint8Array; copy: number }[] = [];
  for (let step = 0; step < 6; step++) {
    hostBytes().fill(GUARD);
    const wild = draws.chance(95) ? out : draws.word(raw);
    // To write results over the kernel's own memory is the one thing that a host may not ask for.
    const target = wild >= raw.base && wild < raw.host ? out : wild;
    const before = target === out ? null : hostBytes().slice();
    const many = draws.chance(80) ? 65536 : draws.word(raw);
    switch (draws.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const rows = draws.pick([0, 1, 7, 64, 100, 130]);
        const batch = writeBatch(raw, rows, draws);
        if (draws.chance(60)) draws.damage(raw, raw.bytes.subarray(batch, raw.size), 4);
        if (draws.chance(50)) draws.damage(raw, raw.bytes.subarray(batch, batch + 10 * Column.SIZE), 2);
        distrust(raw, batch);
        const held = hostBytes().slice();
        raw.status(
          "op_push",
          handle,
          draws.chance(97) ? draws.below(kind === OperatorKind.JOIN ? 2 : 1) : draws.word(raw),
          draws.chance(97) ? batch : draws.word(raw),
        );
        expect(Buffer.compare(hostBytes(), held)).toBe(0);
        break;
      }
      case 4:
        raw.status("op_pull", handle, target, many, draws.chance(70) ? 0 : draws.word(raw));
        break;
      case 5: {
        const divided = draws.chance(20) ? [draws.chance(80) ? 8 : draws.word(raw)] : [];
        const leave = divided.length === 0 ? "op_snapshot" : "op_snapshot_parts";
        if (raw.status(leave, handle, target, many, ...divided) < 0 || target !== out) break;
        states.push({ header: raw.bytes.slice(out, out + Batch.SIZE), copy: 0 });
        const state = states.at(-1)!;
        const columns = raw.view.getUint32(out + Batch.COLUMNS, true);
        const batch = copyState(raw, state.header, columns);
        if (draws.chance(60)) draws.damage(raw, raw.bytes.subarray(batch, raw.size), 3);
        distrust(raw, batch);
        const other = raw.call("op_create", raw.context, kind, writeConfig(raw, sound), sound.length) >>> 0;
        if (other !== 0) {
          raw.status("op_merge", other, batch);
          if (draws.chance(50)) raw.status("op_combine", draws.chance(50) ? handle : other, other);
          if (draws.chance(50)) raw.status("op_combine", other, handle);
          if (draws.chance(30)) raw.status("op_divide", other, draws.chance(80) ? 256 : draws.word(raw));
          if (draws.chance(50)) raw.status("op_combine_part", handle, other, draws.below(300));
          raw.status("op_watermark", other, 0, END);
          raw.status("op_pull", other, out, 65536, 0);
          raw.status("op_destroy", other);
        }
        if (draws.chance(30)) raw.status("op_merge", handle, batch);
        if (draws.chance(30)) raw.status("op_combine", handle, draws.chance(50) ? handle : draws.word(raw));
        if (draws.chance(5)) raw.status("op_divide", handle, 256);
        break;
      }
      case 6:
        raw.status("op_watermark", handle, draws.below(2), draws.chance(50) ? END : 0n);
        if (draws.chance(30)) attach(raw, draws, handle, draws.pick(seeds), [kind, sound]);
        break;
      default:
        // Answers a time, and no status.
        if (draws.chance(20)) raw.call("op_time", raw.context, draws.chance(50) ? handle : draws.word(raw));
        raw.status(
          draws.pick(["op_release", "op_stats", "op_late"]),
          ...(draws.chance(50) ? [handle, target] : [draws.word(raw), target]),
        );
    }
    if (before !== null && target < raw.host)
      expect(Buffer.compare(hostBytes().subarray(0, 32), before.subarray(0, 32))).toBe(0);
  }
  if (handle !== 0) expect(raw.status("op_destroy", handle)).toBe(0);
  expect(raw.used).toEqual(idle);
}

/** Another operator, mostly of the same configuration, that reads what this one has kept. */
function attach(
  raw: Raw,
  draws: Draws,
  handle: number,
  any: readonly [OperatorKind, Uint8Array],
  same: readonly [OperatorKind, Uint8Array],
): void {
  const [kind, config] = draws.chance(90) ? same : any;
  const reader = raw.call("op_create", raw.context, kind, writeConfig(raw, config), config.length) >>> 0;
  if (reader === 0) return;
  const out = raw.host + 64;
  const port = draws.chance(95) ? draws.below(2) : draws.word(raw);
  const owner = draws.chance(90) ? handle : draws.pick([reader, 0, draws.word(raw)]);
  raw.status("op_attach", reader, owner, port);
  for (let step = 0; step < 3; step++) {
    const batch = writeBatch(raw, draws.pick([1, 64, 130]), draws);
    if (draws.chance(40)) draws.damage(raw, raw.bytes.subarray(batch, raw.size), 4);
    distrust(raw, batch);
    raw.status("op_push", reader, draws.chance(80) ? 1 - port : port, batch);
    raw.status("op_pull", reader, out, 65536, 0);
  }
  raw.status("op_watermark", reader, draws.below(2), END);
  raw.status("op_destroy", reader);
}

/** A sound configuration in the host's memory, below what a batch may take. */
function writeConfig(raw: Raw, config: Uint8Array): number {
  const at = raw.host + 1024;
  raw.bytes.set(config, at);
  return at;
}

const WITHIN: JoinTimeSpec = { mode: JoinTime.WITHIN, low: -500n, high: 2_000n };
const NEAREST: JoinTimeSpec = { mode: JoinTime.NEAREST, tolerance: 3_000n, strict: true };

const seeds = [true, false].flatMap((filtered) => [
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
  [OperatorKind.SORT, sort(filtered)] as const,
  [OperatorKind.PARTITION, encodePartitionConfig(program(filtered), 18, 8, 3)] as const,
  [OperatorKind.JOIN, joined(filtered, 1, filtered ? JoinType.FULL : JoinType.INNER, false)] as const,
  [OperatorKind.JOIN, joined(filtered, 4, filtered ? JoinType.LEFT : JoinType.ANTI, true)] as const,
  [OperatorKind.JOIN, joined(filtered, 1, filtered ? JoinType.FULL : JoinType.SEMI, true, WITHIN)] as const,
  [
    OperatorKind.JOIN,
    joined(filtered, 1, filtered ? JoinType.LEFT : JoinType.INNER, false, NEAREST),
  ] as const,
]);

describe.each([
  ["simd", "millrace.wasm", false, 1024],
  ["scalar", "millrace.scalar.wasm", false, 0x8000_0000],
  ["threads", "millrace.threads.wasm", true, 0x7fff_0000],
] as const)("abuse of the ABI, %s build", (_build, file, shared, base) => {
  let module: WebAssembly.Module;
  beforeAll(async () => {
    module = await WebAssembly.compile(readFileSync(new URL(`../../build/${file}`, import.meta.url)));
  });

  test("sound configurations are taken", () => {
    const raw = new Raw(module, shared, base);
    for (const [kind, config] of seeds) {
      const handle = raw.call("op_create", raw.context, kind, writeConfig(raw, config), config.length) >>> 0;
      expect(handle).not.toBe(0);
      const batch = writeBatch(raw, 130, new Draws(1, "sound"));
      expect(raw.status("op_push", handle, 0, batch)).toBeGreaterThanOrEqual(0);
      expect(raw.status("op_destroy", handle)).toBe(0);
    }
  });

  test("a heap must lie inside the memory", () => {
    const memory = new WebAssembly.Memory({ initial: 32, maximum: 65536, shared });
    const { exports } = new WebAssembly.Instance(module, { env: { memory } });
    const init = exports.ctx_init as (base: number, length: number, flags: number) => number;
    const size = 32 * PAGE;
    expect(init(1024, size, 2)).toBe(0);
    expect(init(1024, size - 1023, 2)).toBe(0);
    expect(init(size, 2 * PAGE, 2)).toBe(0);
    expect(init(0xffff_ffc0, 2 * PAGE, 2)).toBe(0);
    expect(init(0xffff_ffc0, 0, 1)).toBe(0);
    expect(init(1024, 0, 1)).toBe(0);
    expect(init(1024, size - 1024, 2)).not.toBe(0);
    expect(init(1024, 0, 1)).not.toBe(0);
  });

  test("a dictionary of the same id is checked again when its descriptor says something else", () => {
    const raw = new Raw(module, shared, base);
    const config = encodeProjectConfig(program(false), 18);
    const idle = raw.used;
    const fields: [Column, number, number][] = [
      [Column.OFFSET, 0x0800_0000, -9],
      [Column.BASE, 0x4000_0000, -9],
      [Column.VALUES_BYTES, 0, -9],
      [Column.OFFSETS_BYTES, 4, -9],
      [Column.TYPE, Type.LARGE_BYTES, -9],
      [Column.LENGTH, 0, -9],
    ];
    for (const [field, value, status] of fields) {
      const handle =
        raw.call("op_create", raw.context, OperatorKind.PROJECT, writeConfig(raw, config), config.length) >>>
        0;
      const batch = writeBatch(raw, 64, new Draws(3, "dictionary"));
      const columns = raw.view.getUint32(batch + Batch.DESCRIPTORS, true);
      const dictionary = raw.view.getUint32(columns + CODED * Column.SIZE + Column.DICTIONARY, true);
      expect(raw.status("op_push", handle, 0, batch)).toBe(1);
      raw.status("op_pull", handle, raw.host + 64, 65536, 0);
      raw.view.setUint32(dictionary + field, value, true);
      expect([field, raw.status("op_push", handle, 0, batch)]).toEqual([field, status]);
      expect(raw.status("op_destroy", handle)).toBe(0);
    }
    expect(raw.used).toEqual(idle);
  });

  test("addresses outside the memory, unaligned or null", () => {
    const raw = new Raw(module, shared, base);
    const [kind, config] = seeds[0]!;
    const at = writeConfig(raw, config);
    const idle = raw.used;
    for (const bad of [0, 4, raw.size, raw.size - 8, 0xffff_fff8]) {
      expect(raw.call("op_create", raw.context, kind, bad, config.length)).toBe(0);
    }
    expect(raw.call("op_create", raw.context, kind, at, 0xffff_fff0)).toBe(0);
    expect(raw.used).toEqual(idle);
    const handle = raw.call("op_create", raw.context, kind, at, config.length) >>> 0;
    for (const bad of [0, raw.host + 4, raw.size, raw.size - 8, raw.size - 24, 0xffff_fff8]) {
      expect(raw.status("op_push", handle, 0, bad)).toBe(-1);
      expect(raw.status("op_merge", handle, bad)).toBe(-1);
      expect(raw.status("op_pull", handle, bad, 1, 0)).toBe(-1);
      expect(raw.status("op_snapshot", handle, bad, 1)).toBe(-1);
      expect(raw.status("op_stats", handle, bad)).toBe(-1);
    }
    expect(raw.status("op_stats", handle, raw.size - 112)).toBe(-1);
    expect(raw.status("op_stats", handle, raw.size - 120)).toBe(0);
    expect(raw.status("op_destroy", handle)).toBe(0);
    for (const stale of [handle, 0, 0xffff_ffff, handle ^ 0x400])
      expect(raw.status("op_destroy", stale)).toBe(-1);
    expect(raw.used).toEqual(idle);
  });

  test("damaged bytes and arguments get a status, and the memory back", () => {
    const raw = new Raw(module, shared, base);
    const until = performance.now() + MOST_MS;
    let round = FROM;
    for (; round < FROM + ROUNDS && performance.now() < until; round++) {
      try {
        abuse(raw, round, seeds);
      } catch (error) {
        throw new Error(`round ${round}`, { cause: error });
      }
    }
    if (ROUNDS > 3000) console.log(`rounds ${FROM} to ${round - 1}`);
  });
});
