// Configurations of operators as the bytes that `op_create` reads (kernel/abi/operator.ts).

import type { OrderKeyFlag } from "../../../kernel/abi/instruction.js";
import { Abi, type Type } from "../../../kernel/abi/layout.js";
import {
  AggregateConfig,
  AggregateEntry,
  AggregateEntryFlag,
  AggregateExpected,
  type AggregateFault,
  AggregateFlag,
  type AggregateFunction,
  JoinColumn,
  JoinConfig,
  type JoinFault,
  JoinFlag,
  JoinTime,
  type JoinType,
  KeyConfig,
  PartitionConfig,
  ProjectConfig,
  ProjectFlag,
  SortConfig,
  type SortFault,
  SortFlag,
  SortKeyConfig,
  Tail,
} from "../../../kernel/abi/operator.js";
import {
  FrameFlag,
  type FrameFunction,
  FramesConfig,
  FramesEntry,
  type FrameUnit,
  OverConfig,
  OverEntry,
  type OverFrame,
  type OverFunction,
} from "../../../kernel/abi/over.js";
import { WindowConfig, WindowFlag, type WindowKind } from "../../../kernel/abi/window.js";
import { ArgumentError } from "../type/error.js";

export interface AggregateConfigSpec {
  /** The encoded program whose outputs the keys and aggregates name by index. */
  readonly program: Uint8Array;
  readonly keys: readonly KeySpec[];
  readonly aggregates: readonly AggregateEntrySpec[];
  /** Emit changes after each push instead of one result at the end. */
  readonly changelog?: boolean | undefined;
  /**
   * The input is a changelog: index of the int8 output that is the row kind (0 +I, 1 -U, 2 +U, 3 -D). -U and -D take
   * earlier rows back.
   */
  readonly retract?: number | undefined;
  /** Results are states, for an operator without this to merge. Not together with `changelog`. */
  readonly partial?: boolean | undefined;
  /** How many rows will come at least, where somebody knows. Changes no result. */
  readonly rows?: number | undefined;
  /** Fault switches for tests. */
  readonly faults?: AggregateFault | undefined;
  /** Seed of the hash tables, 1 to 2^32 - 1; absent: the kernel's. Changes no result. */
  readonly seed?: number | undefined;
}

export interface KeySpec {
  /** Index of a program output. */
  readonly output: number;
  /** Type of the key column in results. */
  readonly type: Type;
}

export interface AggregateEntrySpec {
  readonly function: AggregateFunction;
  /** Index of a program output; absent for count(*). */
  readonly argument?: number | undefined;
  /** Index of a boolean output: only its true rows count. */
  readonly filter?: number | undefined;
  /** Type of the argument; absent for count(*). */
  readonly type?: Type | undefined;
  readonly fast?: boolean | undefined;
  /** Equal values of a group count once. */
  readonly distinct?: boolean | undefined;
  /** Decimal scale of the argument, for averages, moments and quantiles. */
  readonly scale?: number | undefined;
  /** Index of the program output of a second argument, for those that take two. */
  readonly second?: number | undefined;
  readonly secondScale?: number | undefined;
  /** p of a quantile, in [0, 1]. */
  readonly parameter?: number | undefined;
  /** TOP, BOTTOM: how many values. ARRAY with a tail: most items. */
  readonly limit?: number | undefined;
  /** MIN, MAX, ARRAY, STRING: the argument is an order key with a value behind it. */
  readonly tail?: TailSpec | undefined;
}

export interface TailSpec {
  /** Type of the value. */
  readonly type: Type;
  /** Type of the order. */
  readonly order: Type;
  /** As the order's ORDER_KEY was written. */
  readonly flags: OrderKeyFlag;
}

/** Most keys and aggregates of one operator. */
const MAX_KEYS = 32;
const MAX_AGGREGATES = 256;
/** Version of the key hash. */
const KEY_HASH = 1;

/** @throws ArgumentError for more keys or aggregates than one operator takes. */
export function encodeAggregateConfig(spec: AggregateConfigSpec): Uint8Array {
  if (spec.keys.length > MAX_KEYS || spec.aggregates.length > MAX_AGGREGATES) {
    throw new ArgumentError(
      `${spec.keys.length} keys and ${spec.aggregates.length} aggregates: one operator takes at most ${MAX_KEYS} and ${MAX_AGGREGATES}`,
    );
  }
  if (spec.changelog && spec.partial)
    throw new ArgumentError("an aggregation is either partial or a changelog");
  const seed = spec.seed ?? 0;
  if (!Number.isInteger(seed) || seed < 0 || seed >= 2 ** 32)
    throw new ArgumentError(`seed ${seed} is not a whole number from 1 to 2^32 - 1`, { value: seed });
  const keys = AggregateConfig.SIZE;
  const aggregates = keys + spec.keys.length * KeyConfig.SIZE;
  const program = align8(aggregates + spec.aggregates.length * AggregateEntry.SIZE);
  const bytes = new Uint8Array(align8(program + spec.program.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(AggregateConfig.VERSION, Abi.VERSION, true);
  view.setUint32(AggregateConfig.FLAGS, flagsOf(spec), true);
  view.setUint32(AggregateConfig.KEYS, spec.keys.length, true);
  view.setUint32(AggregateConfig.AGGREGATES, spec.aggregates.length, true);
  view.setUint32(AggregateConfig.PROGRAM, program, true);
  view.setUint32(AggregateConfig.PROGRAM_BYTES, spec.program.length, true);
  view.setUint32(AggregateConfig.FAULT, spec.faults ?? 0, true);
  view.setUint32(AggregateConfig.SEED, seed, true);
  spec.keys.forEach((key, i) => {
    view.setUint32(keys + i * KeyConfig.SIZE + KeyConfig.OUTPUT, key.output, true);
    view.setUint32(keys + i * KeyConfig.SIZE + KeyConfig.TYPE, key.type, true);
  });
  spec.aggregates.forEach((entry, i) => {
    writeAggregate(view, aggregates + i * AggregateEntry.SIZE, entry);
  });
  bytes.set(spec.program, program);
  return bytes;
}

/** The configuration of an aggregation to which at least so many rows will come. */
export function asExpecting(config: Uint8Array, rows: number): Uint8Array {
  return flagged(config, expecting(rows));
}

function expecting(rows: number): number {
  const expected = Math.min(Math.floor(Math.log2(Math.max(1, rows))), AggregateExpected.MOST);
  return expected << AggregateExpected.SHIFT;
}

/** The configuration of one of several operators that share the rows of one aggregation, and are brought together by parts. */
export function asShared(config: Uint8Array): Uint8Array {
  return flagged(config, AggregateFlag.SHARED);
}

/**
 * The configuration of an aggregation whose rows leave, as they were set aside, where memory ends (`Operator.rowsOut`).
 * @param waiting "aside": all of them are set aside, from the first one on; "saved": no more than an undivided snapshot can
 *   take along
 */
export function asLeaving(config: Uint8Array, waiting: "aside" | "saved" | null): Uint8Array {
  const flags = { aside: AggregateFlag.ASIDE, saved: AggregateFlag.SAVES };
  return flagged(config, AggregateFlag.LEAVES | (waiting === null ? 0 : flags[waiting]));
}

/**
 * The configuration of an aggregation whose batches of results stay where they are until it is destroyed.
 * @param codes whether keys that are texts may leave as codes of a dictionary that lives as long
 */
export function asKeeping(config: Uint8Array, codes = false): Uint8Array {
  return flagged(config, AggregateFlag.KEEP_RESULTS | (codes ? AggregateFlag.KEEP_CODES : 0));
}

/** The configuration of an aggregation whose results are read where it writes them, keys that are texts maybe as codes. */
export function asLending(config: Uint8Array): Uint8Array {
  return flagged(config, AggregateFlag.KEEP_CODES);
}

/** The configuration of an aggregation that gives its results once, and is asked for nothing else afterwards. */
export function asDraining(config: Uint8Array): Uint8Array {
  return flagged(config, AggregateFlag.DRAINS);
}

/** Whether an aggregation of this configuration can be one `asLeaving`, or `asDraining`. */
export function mayLeave(config: Uint8Array): boolean {
  const flags = new DataView(config.buffer, config.byteOffset).getUint32(AggregateConfig.FLAGS, true);
  return (flags & (AggregateFlag.CHANGELOG | AggregateFlag.PARTIAL | AggregateFlag.RETRACT)) === 0;
}

function flagged(config: Uint8Array, flags: number, at: number = AggregateConfig.FLAGS): Uint8Array {
  const copy = config.slice();
  const view = new DataView(copy.buffer);
  view.setUint32(at, view.getUint32(at, true) | flags, true);
  return copy;
}

function flagsOf({ changelog, partial, retract, rows = 0 }: AggregateConfigSpec): number {
  const emits = (changelog ? AggregateFlag.CHANGELOG : 0) | (partial ? AggregateFlag.PARTIAL : 0);
  const flags = emits | expecting(rows);
  return retract === undefined ? flags : flags | AggregateFlag.RETRACT | (retract << 16);
}

function encodeTail({ type, order, flags }: TailSpec): number {
  return type | (order << Tail.ORDER_SHIFT) | (flags << Tail.FLAGS_SHIFT);
}

function writeAggregate(view: DataView, at: number, entry: AggregateEntrySpec): void {
  const { tail } = entry;
  view.setUint32(at + AggregateEntry.FUNCTION, entry.function, true);
  view.setInt32(at + AggregateEntry.ARGUMENT, entry.argument ?? -1, true);
  view.setInt32(at + AggregateEntry.FILTER, entry.filter ?? -1, true);
  view.setUint32(at + AggregateEntry.TYPE, entry.type ?? 0, true);
  view.setUint32(
    at + AggregateEntry.FLAGS,
    (entry.fast ? AggregateEntryFlag.FAST : 0) | (entry.distinct ? AggregateEntryFlag.DISTINCT : 0),
    true,
  );
  view.setUint32(at + AggregateEntry.SCALE, (tail === undefined ? entry.scale : entry.limit) ?? 0, true);
  view.setInt32(at + AggregateEntry.SECOND, entry.second ?? -1, true);
  const secondScale = tail === undefined ? (entry.limit ?? entry.secondScale ?? 0) : encodeTail(tail);
  view.setUint32(at + AggregateEntry.SECOND_SCALE, secondScale, true);
  // -0 and 0 are one configuration.
  view.setFloat64(at + AggregateEntry.PARAMETER, (entry.parameter ?? 0) + 0, true);
}

/** A windowed aggregation. Times, lengths and bounds are in ticks of the time output, of whatever unit. */
export interface WindowConfigSpec {
  readonly kind: WindowKind;
  /** Index of the program's output that is the event time, an I64. */
  readonly time: number;
  /** Drop and count rows whose time is null; without it they are an error. */
  readonly dropNullTime?: boolean | undefined;
  /** Keep the numbers of late rows, for `Operator.late`. */
  readonly keepLate?: boolean | undefined;
  /** Length of a window; of CUMULATE the longest, of SESSION the gap; not read for GLOBAL. */
  readonly length?: bigint | undefined;
  /** Slide of HOP, step of CUMULATE. Absent: the length. */
  readonly step?: bigint | undefined;
  /** One window starts at this tick. */
  readonly offset?: bigint | undefined;
  /** How much older than the newest row before it a row may be. Absent: only watermarks move time. */
  readonly bound?: bigint | undefined;
  /** With `bound`: rows that are filtered out move time, too. The time is a column, not computed. */
  readonly allTimes?: boolean | undefined;
  /** How long after its close a window takes late rows, as corrections; needs `aggregate.changelog`. */
  readonly lateness?: bigint | undefined;
  /** Changes of open windows leave whenever the watermark passes a multiple of this; needs `aggregate.changelog`. */
  readonly early?: bigint | undefined;
  readonly aggregate: AggregateConfigSpec;
}

/** @throws ArgumentError for more keys or aggregates than one operator takes. */
export function encodeWindowConfig(spec: WindowConfigSpec): Uint8Array {
  const aggregate = encodeAggregateConfig(spec.aggregate);
  const bytes = new Uint8Array(WindowConfig.SIZE + aggregate.length);
  const view = new DataView(bytes.buffer);
  const length = spec.length ?? 1n;
  const flags =
    (spec.dropNullTime ? WindowFlag.DROP_NULL_TIME : WindowFlag.NONE) |
    (spec.keepLate ? WindowFlag.KEEP_LATE : WindowFlag.NONE) |
    (spec.allTimes ? WindowFlag.ALL_TIMES : WindowFlag.NONE);
  view.setUint32(WindowConfig.VERSION, Abi.VERSION, true);
  view.setUint32(WindowConfig.KIND, spec.kind, true);
  view.setUint32(WindowConfig.TIME, spec.time, true);
  view.setUint32(WindowConfig.FLAGS, flags, true);
  view.setBigInt64(WindowConfig.LENGTH, length, true);
  view.setBigInt64(WindowConfig.STEP, spec.step ?? length, true);
  view.setBigInt64(WindowConfig.OFFSET, spec.offset ?? 0n, true);
  view.setBigInt64(WindowConfig.BOUND, spec.bound ?? -1n, true);
  view.setBigInt64(WindowConfig.LATENESS, spec.lateness ?? 0n, true);
  view.setBigInt64(WindowConfig.EARLY, spec.early ?? 0n, true);
  view.setUint32(WindowConfig.AGGREGATE, WindowConfig.SIZE, true);
  view.setUint32(WindowConfig.AGGREGATE_BYTES, aggregate.length, true);
  bytes.set(aggregate, WindowConfig.SIZE);
  return bytes;
}

export interface OverConfigSpec {
  readonly frame: OverFrame;
  /** The first so many outputs of the program are the result's first columns. */
  readonly carried: number;
  /** Outputs, among the carried ones, that rows come in the order of. */
  readonly order: readonly number[];
  readonly functions: readonly {
    readonly kind: OverFunction;
    /** Of an aggregate its place in `aggregate`. */
    readonly index?: number | undefined;
  }[];
  /** The keys are the partition. */
  readonly aggregate: AggregateConfigSpec;
}

/** @throws ArgumentError for more keys or aggregates than one operator takes. */
export function encodeOverConfig(spec: OverConfigSpec): Uint8Array {
  const aggregate = encodeAggregateConfig(spec.aggregate);
  const entries = OverConfig.SIZE + spec.order.length * 4;
  const start = align8(entries + spec.functions.length * OverEntry.SIZE);
  const bytes = new Uint8Array(start + aggregate.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(OverConfig.VERSION, Abi.VERSION, true);
  view.setUint32(OverConfig.FRAME, spec.frame, true);
  view.setUint32(OverConfig.CARRIED, spec.carried, true);
  view.setUint32(OverConfig.ORDER, spec.order.length, true);
  view.setUint32(OverConfig.FUNCTIONS, spec.functions.length, true);
  view.setUint32(OverConfig.AGGREGATE, start, true);
  view.setUint32(OverConfig.AGGREGATE_BYTES, aggregate.length, true);
  spec.order.forEach((output, i) => {
    view.setUint32(OverConfig.SIZE + i * 4, output, true);
  });
  spec.functions.forEach(({ kind, index = 0 }, i) => {
    view.setUint32(entries + i * OverEntry.SIZE + OverEntry.KIND, kind, true);
    view.setUint32(entries + i * OverEntry.SIZE + OverEntry.INDEX, index, true);
  });
  bytes.set(aggregate, start);
  return bytes;
}

export interface FramesConfigSpec {
  readonly unit: FrameUnit;
  /** First and last row of a frame, as `unit` counts; null: unbounded. */
  readonly start: bigint | null;
  readonly end: bigint | null;
  readonly descending?: boolean | undefined;
  /** The first so many outputs of the program are the result's first columns; the first `kept` are kept. */
  readonly carried: number;
  readonly kept: number;
  /** Outputs, among those kept, that rows come in the order of. */
  readonly order: readonly number[];
  readonly functions: readonly {
    readonly kind: FrameFunction;
    readonly column: number;
    readonly other?: number | undefined;
    readonly offset?: bigint | undefined;
  }[];
  /** With `retract`. The keys are the partition. */
  readonly aggregate: AggregateConfigSpec;
}

/** @throws ArgumentError for more keys or aggregates than one operator takes. */
export function encodeFramesConfig(spec: FramesConfigSpec): Uint8Array {
  const aggregate = encodeAggregateConfig(spec.aggregate);
  const entries = FramesConfig.SIZE + spec.order.length * 4;
  const at = align8(entries + spec.functions.length * FramesEntry.SIZE);
  const bytes = new Uint8Array(at + aggregate.length);
  const view = new DataView(bytes.buffer);
  const flags =
    (spec.start === null ? FrameFlag.START_UNBOUNDED : 0) |
    (spec.end === null ? FrameFlag.END_UNBOUNDED : 0) |
    (spec.descending ? FrameFlag.DESCENDING : 0);
  view.setUint32(FramesConfig.VERSION, Abi.VERSION, true);
  view.setUint32(FramesConfig.UNIT, spec.unit, true);
  view.setUint32(FramesConfig.CARRIED, spec.carried, true);
  view.setUint32(FramesConfig.KEPT, spec.kept, true);
  view.setUint32(FramesConfig.ORDER, spec.order.length, true);
  view.setUint32(FramesConfig.FUNCTIONS, spec.functions.length, true);
  view.setUint32(FramesConfig.AGGREGATE, at, true);
  view.setUint32(FramesConfig.AGGREGATE_BYTES, aggregate.length, true);
  view.setUint32(FramesConfig.FLAGS, flags, true);
  view.setBigInt64(FramesConfig.START, spec.start ?? 0n, true);
  view.setBigInt64(FramesConfig.END, spec.end ?? 0n, true);
  spec.order.forEach((output, i) => {
    view.setUint32(FramesConfig.SIZE + i * 4, output, true);
  });
  spec.functions.forEach(({ kind, column, other = -1, offset = 0n }, i) => {
    const entry = entries + i * FramesEntry.SIZE;
    view.setUint32(entry + FramesEntry.KIND, kind, true);
    view.setUint32(entry + FramesEntry.COLUMN, column, true);
    view.setInt32(entry + FramesEntry.OTHER, other, true);
    view.setBigInt64(entry + FramesEntry.OFFSET, offset, true);
  });
  bytes.set(aggregate, at);
  return bytes;
}

/** The configuration of a projection whose input's texts by dictionary leave as its codes: it lasts as long as they are read. */
export function asKeepingCodes(config: Uint8Array): Uint8Array {
  return flagged(config, ProjectFlag.KEEP_CODES, ProjectConfig.FLAGS);
}

/** @param outputs number of outputs of the program, all of which become columns. */
export function encodeProjectConfig(program: Uint8Array, outputs: number): Uint8Array {
  const start = align8(ProjectConfig.SIZE);
  const bytes = new Uint8Array(align8(start + program.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(ProjectConfig.VERSION, Abi.VERSION, true);
  view.setUint32(ProjectConfig.OUTPUTS, outputs, true);
  view.setUint32(ProjectConfig.PROGRAM, start, true);
  view.setUint32(ProjectConfig.PROGRAM_BYTES, program.length, true);
  bytes.set(program, start);
  return bytes;
}

export interface SortConfigSpec {
  /** The encoded program whose outputs are the rows' columns. */
  readonly program: Uint8Array;
  readonly keys: readonly SortKeySpec[];
  /** So many of the outputs, the last ones, take no part in the order. */
  readonly carried?: number | undefined;
  /** Rows to leave out at the front, and most rows to give after those; all when absent. */
  readonly offset?: number | undefined;
  readonly limit?: number | undefined;
  /** Fault switches for tests. */
  readonly faults?: SortFault | undefined;
}

export interface SortKeySpec {
  /** Index of a program output. */
  readonly output: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What the configuration says for "all rows", and more than any memory holds. */
const ALL_ROWS = 2 ** 32 - 1;
/** Most sort keys of one operator. */
const MAX_SORT_KEYS = 4096;

/** @throws ArgumentError for more keys than one operator takes. */
export function encodeSortConfig(spec: SortConfigSpec): Uint8Array {
  const { keys } = spec;
  if (keys.length > MAX_SORT_KEYS) {
    throw new ArgumentError(`${keys.length} sort keys: one operator takes at most ${MAX_SORT_KEYS}`, {
      value: keys.length,
    });
  }
  const start = align8(SortConfig.SIZE + keys.length * SortKeyConfig.SIZE);
  const bytes = new Uint8Array(align8(start + spec.program.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(SortConfig.VERSION, Abi.VERSION, true);
  view.setUint32(SortConfig.KEYS, keys.length, true);
  view.setUint32(SortConfig.CARRIED, spec.carried ?? 0, true);
  view.setUint32(SortConfig.OFFSET, Math.min(spec.offset ?? 0, ALL_ROWS), true);
  view.setUint32(SortConfig.LIMIT, Math.min(spec.limit ?? ALL_ROWS, ALL_ROWS), true);
  view.setUint32(SortConfig.PROGRAM, start, true);
  view.setUint32(SortConfig.PROGRAM_BYTES, spec.program.length, true);
  view.setUint32(SortConfig.FAULT, spec.faults ?? 0, true);
  keys.forEach((key, i) => {
    const at = SortConfig.SIZE + i * SortKeyConfig.SIZE;
    const flags =
      (key.descending ? SortFlag.DESCENDING : SortFlag.NONE) |
      (key.nullsFirst ? SortFlag.NULLS_FIRST : SortFlag.NONE);
    view.setUint32(at + SortKeyConfig.OUTPUT, key.output, true);
    view.setUint32(at + SortKeyConfig.FLAGS, flags, true);
  });
  bytes.set(spec.program, start);
  return bytes;
}

/**
 * @param outputs number of outputs of the program, all of which become columns
 * @param keys how many of them, from the first on, are keys
 */
export function encodePartitionConfig(
  program: Uint8Array,
  outputs: number,
  keys: number,
  parts: number,
): Uint8Array {
  const start = align8(PartitionConfig.SIZE);
  const bytes = new Uint8Array(align8(start + program.length));
  const view = new DataView(bytes.buffer);
  view.setUint32(PartitionConfig.VERSION, Abi.VERSION, true);
  view.setUint32(PartitionConfig.OUTPUTS, outputs, true);
  view.setUint32(PartitionConfig.PROGRAM, start, true);
  view.setUint32(PartitionConfig.PROGRAM_BYTES, program.length, true);
  view.setUint32(PartitionConfig.KEYS, keys, true);
  view.setUint32(PartitionConfig.PARTS, parts, true);
  view.setUint32(PartitionConfig.HASH, KEY_HASH, true);
  bytes.set(program, start);
  return bytes;
}

export interface JoinConfigSpec {
  readonly type: JoinType;
  /** The first so many outputs of both programs are the keys, of the same types. */
  readonly keys: number;
  readonly nullsEqual?: boolean | undefined;
  /** Of "anti" by one key: a null may be equal to anything, as in SQL's NOT IN. */
  readonly nullAware?: boolean | undefined;
  /** A hint: one port ends before the other begins. */
  readonly buildFirst?: boolean | undefined;
  /** Results stay valid until the operator is destroyed. */
  readonly keepResults?: boolean | undefined;
  /** With `keepResults`: texts that came by dictionary may leave as codes of one that lives as long. */
  readonly keepCodes?: boolean | undefined;
  readonly left: Uint8Array;
  readonly right: Uint8Array;
  /** Result columns. */
  readonly outputs: readonly JoinColumnSpec[];
  /** A program over pairs of rows, whose one output is the row index. */
  readonly residual?:
    | { readonly program: Uint8Array; readonly columns: readonly JoinColumnSpec[] }
    | undefined;
  /** Both programs' output after the keys is an int64 time then. */
  readonly time?: JoinTimeSpec | undefined;
  /** Per side the program's output that is the row kind, null where rows only come. Results end with a row kind then. */
  readonly kinds?: readonly [number | null, number | null] | undefined;
  /** Rows without a match leave at once, and are taken back when they have one. Results end with a row kind then, too. */
  readonly corrects?: boolean | undefined;
  /** All outputs of both programs are kept of rows that are kept, so that these can leave (`Operator.snapshot`). */
  readonly keepOutputs?: boolean | undefined;
  /** Per side whether its program's last output tells of a row that it has had a match before. */
  readonly matched?: readonly [boolean, boolean] | undefined;
  /** Per side whether its rows lie in a loaded table, where batches begin at multiples of 65,536 rows, which outlasts the join. */
  readonly loaded?: readonly [boolean, boolean] | undefined;
  /** Fault switches for tests. */
  readonly faults?: JoinFault | undefined;
}

/** Which right times match a left one. */
export type JoinTimeSpec =
  | { readonly mode: JoinTime.WITHIN; readonly low: bigint; readonly high: bigint }
  | {
      readonly mode: JoinTime.BACKWARD | JoinTime.FORWARD | JoinTime.NEAREST;
      /** Furthest distance; null for any. */
      readonly tolerance: bigint | null;
      /** Equal times are no match. */
      readonly strict: boolean;
    };

export interface JoinColumnSpec {
  /** 0 is the left side, 1 the right. */
  readonly port: number;
  /** Index of an output of that side's program. */
  readonly output: number;
}

/** @throws ArgumentError for more keys than one operator takes. */
export function encodeJoinConfig(spec: JoinConfigSpec): Uint8Array {
  if (spec.keys > MAX_KEYS)
    throw new ArgumentError(`${spec.keys} keys: one join takes at most ${MAX_KEYS}`, { value: spec.keys });
  const columns = [...spec.outputs, ...(spec.residual?.columns ?? [])];
  const left = align8(JoinConfig.SIZE + columns.length * JoinColumn.SIZE);
  const right = left + align8(spec.left.length);
  const residual = right + align8(spec.right.length);
  const bytes = new Uint8Array(residual + align8(spec.residual?.program.length ?? 0));
  const view = new DataView(bytes.buffer);
  const flags =
    (spec.nullsEqual ? JoinFlag.NULLS_EQUAL : JoinFlag.NONE) |
    (spec.nullAware ? JoinFlag.NULL_AWARE : JoinFlag.NONE) |
    (spec.buildFirst ? JoinFlag.BUILD_FIRST : JoinFlag.NONE) |
    (spec.keepResults ? JoinFlag.KEEP_RESULTS : JoinFlag.NONE) |
    (spec.keepCodes ? JoinFlag.KEEP_CODES : JoinFlag.NONE) |
    (spec.corrects ? JoinFlag.CORRECT : JoinFlag.NONE) |
    (spec.keepOutputs ? JoinFlag.KEEP_OUTPUTS : JoinFlag.NONE) |
    (spec.matched?.[0] ? JoinFlag.MATCHED_LEFT : JoinFlag.NONE) |
    (spec.matched?.[1] ? JoinFlag.MATCHED_RIGHT : JoinFlag.NONE) |
    (spec.loaded?.[0] ? JoinFlag.LOADED_LEFT : JoinFlag.NONE) |
    (spec.loaded?.[1] ? JoinFlag.LOADED_RIGHT : JoinFlag.NONE) |
    timeFlags(spec.time);
  const set = (field: JoinConfig, value: number) => view.setUint32(field, value, true);
  set(JoinConfig.VERSION, Abi.VERSION);
  set(JoinConfig.FLAGS, flags);
  set(JoinConfig.TYPE, spec.type);
  set(JoinConfig.KEYS, spec.keys);
  set(JoinConfig.LEFT_PROGRAM, left);
  set(JoinConfig.LEFT_PROGRAM_BYTES, spec.left.length);
  set(JoinConfig.RIGHT_PROGRAM, right);
  set(JoinConfig.RIGHT_PROGRAM_BYTES, spec.right.length);
  set(JoinConfig.OUTPUTS, spec.outputs.length);
  set(JoinConfig.FAULT, spec.faults ?? 0);
  if (spec.time !== undefined) writeTime(view, spec.time);
  const [leftKind, rightKind] = (spec.kinds ?? [null, null]).map((output) => (output ?? -1) + 1);
  set(JoinConfig.KINDS, leftKind! + rightKind! * 2 ** 16);
  columns.forEach(({ port, output }, i) => {
    view.setUint32(JoinConfig.SIZE + i * JoinColumn.SIZE + JoinColumn.PORT, port, true);
    view.setUint32(JoinConfig.SIZE + i * JoinColumn.SIZE + JoinColumn.OUTPUT, output, true);
  });
  bytes.set(spec.left, left);
  bytes.set(spec.right, right);
  if (spec.residual !== undefined) {
    set(JoinConfig.RESIDUAL_PROGRAM, residual);
    set(JoinConfig.RESIDUAL_PROGRAM_BYTES, spec.residual.program.length);
    set(JoinConfig.RESIDUAL_COLUMNS, spec.residual.columns.length);
    bytes.set(spec.residual.program, residual);
  }
  return bytes;
}

function timeFlags(time: JoinTimeSpec | undefined): number {
  if (time === undefined || !("strict" in time)) return JoinFlag.NONE;
  return (
    (time.strict ? JoinFlag.STRICT : JoinFlag.NONE) |
    (time.tolerance === null ? JoinFlag.NONE : JoinFlag.BOUNDED)
  );
}

function writeTime(view: DataView, time: JoinTimeSpec): void {
  const [low, high] = time.mode === JoinTime.WITHIN ? [time.low, time.high] : [0n, time.tolerance ?? 0n];
  view.setUint32(JoinConfig.TIME, time.mode, true);
  view.setBigInt64(JoinConfig.LOW, low, true);
  view.setBigInt64(JoinConfig.HIGH, high, true);
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}
