// Configurations that make no sense, each one change away from a sound one: refused as such, with the memory given back.

import { beforeAll, describe, expect, test } from "vitest";
import {
  type AggregateConfigSpec,
  type AggregateEntrySpec,
  encodeAggregateConfig,
  encodeFramesConfig,
  encodeJoinConfig,
  encodeOverConfig,
  encodePartitionConfig,
  encodeProjectConfig,
  encodeSortConfig,
  encodeWindowConfig,
  type FramesConfigSpec,
  type JoinConfigSpec,
  type OverConfigSpec,
  type SortConfigSpec,
  type WindowConfigSpec,
} from "../../bindings/ts/kernel/config.js";
import { ProgramBuilder } from "../../bindings/ts/kernel/program.js";
import { Opcode, type OrderKeyFlag } from "../abi/instruction.js";
import { ErrorRecord, Type } from "../abi/layout.js";
import {
  AggregateConfig,
  AggregateFunction,
  JoinTime,
  JoinType,
  OperatorKind,
  PartitionConfig,
  ProjectConfig,
  SortConfig,
} from "../abi/operator.js";
import {
  FrameFlag,
  FrameFunction,
  FramesConfig,
  FrameUnit,
  OverConfig,
  OverFrame,
  OverFunction,
} from "../abi/over.js";
import { Reason, Status } from "../abi/status.js";
import { WindowConfig, WindowKind } from "../abi/window.js";
import { compileBuild, RAW_BUILDS, Raw, writeConfig } from "./testing-raw.js";

/** Outputs of the program, in this order. */
const INPUT = [Type.I64, Type.F64, Type.BYTES, Type.BOOL, Type.I32, Type.U64, Type.I8, Type.I128];
const [I64, F64, TEXT, BOOL, I32, U64, I8, WIDE] = INPUT.keys() as unknown as number[];
const [SEPARATOR, NO_TEXT, COMPUTED] = [8, 9, 10];
const OUTPUTS = 11;
const MISSING = 99;

/** With `marks` a BOOL comes last. */
function program(marks = false): Uint8Array {
  const builder = new ProgramBuilder();
  const loads = INPUT.map((type) => builder.load(builder.column(type)));
  for (const register of loads) builder.output(register);
  builder.output(builder.literal(Type.BYTES, "-"));
  builder.output(builder.literal(Type.BYTES, null));
  builder.output(builder.emit(Opcode.ADD, Type.I64, { a: loads[0]!, b: loads[0]! }));
  if (marks) builder.output(loads[BOOL!]!);
  return builder.encode();
}

/** The program of a residual: its outputs are row numbers, `outputs` times. */
function residual(outputs: number): Uint8Array {
  const builder = new ProgramBuilder();
  builder.filter(builder.load(builder.column(Type.BOOL)));
  for (let output = 0; output < outputs; output++) builder.output(builder.emit(Opcode.ROW_INDEX, Type.U32));
  return builder.encode();
}

const aggregateOf = (fn: AggregateFunction, argument: number, rest: Partial<AggregateEntrySpec> = {}) => ({
  function: fn,
  argument,
  type: INPUT[argument] ?? Type.BYTES,
  ...rest,
});
const SUM = aggregateOf(AggregateFunction.SUM, I64!);

const aggregation = (change: Partial<AggregateConfigSpec> = {}) => ({
  program: program(),
  keys: [{ output: I32!, type: Type.I32 }],
  aggregates: [SUM],
  ...change,
});
const sums = (change: Partial<AggregateConfigSpec> = {}) => encodeAggregateConfig(aggregation(change));
const results = (...aggregates: AggregateEntrySpec[]) => sums({ aggregates });

const over = (change: Partial<OverConfigSpec> = {}) =>
  encodeOverConfig({
    frame: OverFrame.ROWS,
    carried: 4,
    order: [I64!],
    functions: [{ kind: OverFunction.AGGREGATE }, { kind: OverFunction.RANK }],
    aggregate: aggregation(),
    ...change,
  });

const frames = (change: Partial<FramesConfigSpec> = {}) =>
  encodeFramesConfig({
    unit: FrameUnit.VALUES,
    start: -5n,
    end: 5n,
    carried: 4,
    kept: 8,
    order: [I64!],
    functions: [
      { kind: FrameFunction.AGGREGATE, column: 0 },
      { kind: FrameFunction.SHIFT, column: F64!, offset: -1n },
    ],
    aggregate: aggregation({ retract: I8! }),
    ...change,
  });

const windows = (change: Partial<WindowConfigSpec> = {}) =>
  encodeWindowConfig({
    kind: WindowKind.TUMBLE,
    time: I64!,
    length: 10n,
    bound: 5n,
    aggregate: aggregation({ changelog: true }),
    ...change,
  });

const sort = (change: Partial<SortConfigSpec> = {}) =>
  encodeSortConfig({
    program: program(),
    keys: [{ output: I64!, descending: false, nullsFirst: false }],
    ...change,
  });

const join = (change: Partial<JoinConfigSpec> = {}) =>
  encodeJoinConfig({
    type: JoinType.INNER,
    keys: 1,
    left: program(),
    right: program(),
    outputs: [
      { port: 0, output: TEXT! },
      { port: 1, output: I64! },
    ],
    ...change,
  });

const WITHIN = { mode: JoinTime.WITHIN, low: 0n, high: 5n } as const;
const leftOnly = [{ port: 0, output: TEXT! }];
/** A join whose left rows say whether they have had a match. */
const matched = (change: Partial<JoinConfigSpec> = {}) =>
  join({ type: JoinType.LEFT, left: program(true), right: program(true), matched: [true, false], ...change });
const KINDS = [I8!, null] as const;
/** No more than a BOOL on each side, and nothing that leaves. */
const bools = { left: lone(Type.BOOL), right: lone(Type.BOOL), outputs: [] };
const nothing = new ProgramBuilder().encode();
const backward = (tolerance: bigint) => ({ mode: JoinTime.BACKWARD, tolerance, strict: false }) as const;
/** A program of one column. */
function lone(type: Type): Uint8Array {
  const builder = new ProgramBuilder();
  builder.output(builder.load(builder.column(type)));
  return builder.encode();
}

/** Places where a configuration says something else. */
function patched(config: Uint8Array, ...words: [at: number, value: number | bigint][]): Uint8Array {
  const bytes = config.slice();
  const view = new DataView(bytes.buffer);
  for (const [at, value] of words) {
    if (typeof value === "bigint") view.setBigInt64(at, value, true);
    else view.setUint32(at, value, true);
  }
  return bytes;
}

const word = (config: Uint8Array, at: number) => new DataView(config.buffer).getUint32(at, true);
/** Moves what an offset points to by half a word. */
const unaligned = (config: Uint8Array, at: number, bytes: number) =>
  patched(config, [at, word(config, at) + 4], [bytes, word(config, bytes) - 4]);

const PROJECT = encodeProjectConfig(program(), OUTPUTS);
const PARTITION = encodePartitionConfig(program(), OUTPUTS, 1, 3);
const distinct = aggregation({ aggregates: [{ ...SUM, distinct: true }] });
const SOUND: [OperatorKind, Uint8Array][] = [
  [OperatorKind.HASH_AGGREGATE, sums()],
  [OperatorKind.OVER, over()],
  [OperatorKind.FRAMES, frames()],
  [OperatorKind.WINDOW_AGGREGATE, windows()],
  [OperatorKind.SORT, sort()],
  [OperatorKind.JOIN, join()],
  [OperatorKind.JOIN, join({ keys: 0, time: WITHIN })],
  [OperatorKind.JOIN, join({ kinds: KINDS })],
  [OperatorKind.JOIN, join({ type: JoinType.LEFT, corrects: true })],
  [OperatorKind.JOIN, join({ keepOutputs: true })],
  [OperatorKind.JOIN, join({ keys: 0, left: nothing, right: nothing, outputs: [], keepOutputs: true })],
  [OperatorKind.JOIN, join({ loaded: [true, true] })],
  [OperatorKind.JOIN, matched()],
  [OperatorKind.JOIN, matched({ type: JoinType.RIGHT, matched: [false, true] })],
  [OperatorKind.JOIN, matched({ type: JoinType.FULL, matched: [true, true], keepOutputs: true })],
  [OperatorKind.JOIN, matched({ ...bools, keys: 0 })],
  [OperatorKind.PROJECT, PROJECT],
  [OperatorKind.PARTITION, PARTITION],
];

const tail = { type: Type.I64, order: Type.I64, flags: 0 };

const REFUSED: [OperatorKind, [what: string, config: Uint8Array][]][] = [
  [
    OperatorKind.HASH_AGGREGATE,
    [
      ["another version", patched(sums(), [AggregateConfig.VERSION, 0])],
      ["nothing to do", sums({ keys: [], aggregates: [] })],
      ["kinds that are no I8", sums({ retract: I64! })],
      ["kinds of an output that is not", sums({ retract: MISSING })],
      ["an output of kinds without need", patched(sums(), [AggregateConfig.FLAGS, I8! << 16])],
      ["partial and a changelog", patched(sums(), [AggregateConfig.FLAGS, 3])],
      ["flags that are not known", patched(sums(), [AggregateConfig.FLAGS, 32768])],
      ["a changelog of codes", patched(sums(), [AggregateConfig.FLAGS, 8193])],
      ["a partial one of codes", patched(sums(), [AggregateConfig.FLAGS, 8194])],
      ["a changelog whose results stay", patched(sums(), [AggregateConfig.FLAGS, 65])],
      ["a partial one whose results stay", patched(sums(), [AggregateConfig.FLAGS, 66])],
      ["a changelog whose rows leave", patched(sums(), [AggregateConfig.FLAGS, 17])],
      ["a partial one whose rows leave", patched(sums(), [AggregateConfig.FLAGS, 18])],
      ["rows to be taken back that leave", patched(sums(), [AggregateConfig.FLAGS, (I8! << 16) | 20])],
      ["all rows set aside, to stay", patched(sums(), [AggregateConfig.FLAGS, 32])],
      ["rows that stay saved before they leave", patched(sums(), [AggregateConfig.FLAGS, 16384])],
      ["all rows set aside, and saved", patched(sums(), [AggregateConfig.FLAGS, 16384 | 48])],
      ["a key of another type", sums({ keys: [{ output: I32!, type: Type.I64 }] })],
      ["a key that is not", sums({ keys: [{ output: MISSING, type: Type.I64 }] })],
      ["a sum of nothing", results({ function: AggregateFunction.SUM, type: Type.I64 })],
      ["a number of rows of a column", results(aggregateOf(AggregateFunction.COUNT_ROWS, I64!))],
      ["an argument that is not", results(aggregateOf(AggregateFunction.SUM, MISSING))],
      ["a filter that is no truth", results({ ...SUM, filter: I64! })],
      [
        "the greatest distinct by another",
        results(aggregateOf(AggregateFunction.TOP, I64!, { distinct: true, second: F64!, limit: 2 })),
      ],
      [
        "a fast quantile",
        results(aggregateOf(AggregateFunction.QUANTILE, F64!, { fast: true, parameter: 0.5 })),
      ],
      ["a quantile above 1", results(aggregateOf(AggregateFunction.QUANTILE, F64!, { parameter: 1.5 }))],
      [
        "texts of numbers",
        results(aggregateOf(AggregateFunction.STRING, TEXT!, { second: SEPARATOR, tail })),
      ],
      [
        "an order without flags that are known",
        results(aggregateOf(AggregateFunction.ARRAY, TEXT!, { tail: { ...tail, flags: 8 as OrderKeyFlag } })),
      ],
      ["none of the greatest", results(aggregateOf(AggregateFunction.TOP, I64!, { limit: 0 }))],
      [
        "the greatest by what is not",
        results(aggregateOf(AggregateFunction.TOP, I64!, { second: MISSING, limit: 2 })),
      ],
      [
        "the greatest by below nothing",
        results(aggregateOf(AggregateFunction.TOP, I64!, { second: -2, limit: 2 })),
      ],
      [
        "the greatest by texts",
        results(aggregateOf(AggregateFunction.TOP, I64!, { second: TEXT!, limit: 2 })),
      ],
      ["texts without a separator", results(aggregateOf(AggregateFunction.STRING, TEXT!))],
      ["a separator that is not", results(aggregateOf(AggregateFunction.STRING, TEXT!, { second: MISSING }))],
      [
        "a separator that is a column",
        results(aggregateOf(AggregateFunction.STRING, TEXT!, { second: TEXT! })),
      ],
      [
        "a separator that is null",
        results(aggregateOf(AggregateFunction.STRING, TEXT!, { second: NO_TEXT })),
      ],
      [
        "a separator that is a number",
        results(aggregateOf(AggregateFunction.STRING, TEXT!, { second: I64! })),
      ],
      ["the least by nothing", results(aggregateOf(AggregateFunction.ARG_MIN, I64!))],
      [
        "the least by what is not",
        results(aggregateOf(AggregateFunction.ARG_MIN, I64!, { second: MISSING })),
      ],
      ["a covariance with nothing", results(aggregateOf(AggregateFunction.COVAR_SAMPLE, F64!))],
      [
        "a covariance with what is not",
        results(aggregateOf(AggregateFunction.COVAR_SAMPLE, F64!, { second: MISSING })),
      ],
      [
        "a covariance with texts",
        results(aggregateOf(AggregateFunction.COVAR_SAMPLE, F64!, { second: TEXT! })),
      ],
      [
        "a covariance of floats and integers",
        results(aggregateOf(AggregateFunction.COVAR_SAMPLE, F64!, { second: I64! })),
      ],
      [
        "a covariance of decimals and integers",
        results(aggregateOf(AggregateFunction.COVAR_SAMPLE, WIDE!, { second: I64! })),
      ],
      [
        "a scale of 39",
        results(aggregateOf(AggregateFunction.COVAR_SAMPLE, WIDE!, { second: WIDE!, secondScale: 39 })),
      ],
    ],
  ],
  [
    OperatorKind.OVER,
    [
      ["too short", over().slice(0, OverConfig.SIZE - 4)],
      ["no frame", patched(over(), [OverConfig.FRAME, 0])],
      ["orders without number", patched(over(), [OverConfig.ORDER, 0x10000])],
      ["nothing carried", over({ carried: 0 })],
      ["more carried than there is", over({ carried: OUTPUTS + 1 })],
      ["an order that is not carried", over({ order: [I32!] })],
      ["an aggregate of distinct values", over({ aggregate: distinct })],
      ["a function that is none", over({ functions: [{ kind: 0 as OverFunction }] })],
      ["a function past the last", over({ functions: [{ kind: 5 as OverFunction }] })],
      ["a rank of an aggregate", over({ functions: [{ kind: OverFunction.RANK, index: 1 }] })],
      ["an aggregate that is not", over({ functions: [{ kind: OverFunction.AGGREGATE, index: 1 }] })],
      ["a changelog", over({ aggregate: aggregation({ changelog: true }) })],
      ["aggregates off their place", unaligned(over(), OverConfig.AGGREGATE, OverConfig.AGGREGATE_BYTES)],
    ],
  ],
  [
    OperatorKind.FRAMES,
    [
      ["too short", frames().slice(0, FramesConfig.SIZE - 4)],
      ["no unit", patched(frames(), [FramesConfig.UNIT, 0])],
      ["nothing carried", frames({ carried: 0 })],
      ["more carried than kept", frames({ carried: 5, kept: 4 })],
      ["more kept than there is", frames({ kept: OUTPUTS + 1 })],
      ["an order that is not kept", frames({ order: [COMPUTED] })],
      ["values of two orders", frames({ order: [I64!, I32!] })],
      ["values of floats", frames({ order: [F64!] })],
      ["values of unsigned numbers that may not fit", frames({ order: [U64!] })],
      ["values of texts", frames({ order: [TEXT!] })],
      ["values of decimals", frames({ order: [WIDE!] })],
      ["an aggregate of distinct values", frames({ aggregate: { ...distinct, retract: I8! } })],
      [
        "an aggregate of what is not kept",
        frames({
          aggregate: aggregation({
            retract: I8!,
            aggregates: [aggregateOf(AggregateFunction.SUM, COMPUTED, { type: Type.I64 })],
          }),
        }),
      ],
      ["aggregates that take nothing back", frames({ aggregate: aggregation() })],
      [
        "aggregates off their place",
        unaligned(frames(), FramesConfig.AGGREGATE, FramesConfig.AGGREGATE_BYTES),
      ],
      ["aggregates past the end", patched(frames(), [FramesConfig.AGGREGATE_BYTES, 0x10000])],
      ["flags that are not known", patched(frames(), [FramesConfig.FLAGS, 8])],
      ["rows that descend", frames({ unit: FrameUnit.ROWS, descending: true })],
      ["an unbounded start at a row", patched(frames(), [FramesConfig.FLAGS, FrameFlag.START_UNBOUNDED])],
      ["an unbounded end at a row", patched(frames(), [FramesConfig.FLAGS, FrameFlag.END_UNBOUNDED])],
      ["an end before the start", frames({ start: 1n, end: 0n })],
      ["peers counted", frames({ unit: FrameUnit.PEERS })],
      ["rows far away", frames({ unit: FrameUnit.ROWS, end: 1n << 40n })],
      ["the least value there is", frames({ start: -(2n ** 63n) })],
      ["a function past the last", frames({ functions: [{ kind: 99 as FrameFunction, column: 0 }] })],
      [
        "an offset of a first value",
        frames({ functions: [{ kind: FrameFunction.FIRST, column: 0, offset: 1n }] }),
      ],
      ["an aggregate that is not", frames({ functions: [{ kind: FrameFunction.AGGREGATE, column: 1 }] })],
      ["a number of a column", frames({ functions: [{ kind: FrameFunction.NUMBER, column: 1 }] })],
      ["a value that is not kept", frames({ functions: [{ kind: FrameFunction.FIRST, column: COMPUTED }] })],
      [
        "a least value of numbers",
        frames({ functions: [{ kind: FrameFunction.MIN, column: I64!, other: F64! }] }),
      ],
      [
        "a first value of some",
        frames({ functions: [{ kind: FrameFunction.FIRST, column: I64!, other: BOOL! }] }),
      ],
      [
        "a shift of another type",
        frames({ functions: [{ kind: FrameFunction.SHIFT, column: I64!, other: F64! }] }),
      ],
      [
        "a shift far away",
        frames({ functions: [{ kind: FrameFunction.SHIFT, column: I64!, offset: 1n << 40n }] }),
      ],
      [
        "a shift forward, by values",
        frames({ functions: [{ kind: FrameFunction.SHIFT, column: I64!, offset: 1n }] }),
      ],
    ],
  ],
  [
    OperatorKind.WINDOW_AGGREGATE,
    [
      ["another version", patched(windows(), [WindowConfig.VERSION, 0])],
      ["no kind", windows({ kind: 0 as WindowKind })],
      ["a kind past the last", windows({ kind: 6 as WindowKind })],
      ["no length", windows({ length: 0n })],
      ["a step beyond the length", windows({ kind: WindowKind.HOP, step: 11n })],
      ["times that are no I64", windows({ time: F64! })],
      ["times that are not", windows({ time: MISSING })],
      ["all times without a bound", windows({ allTimes: true, bound: undefined })],
      ["all times of what is computed", windows({ allTimes: true, time: COMPUTED })],
      ["flags that are not known", patched(windows(), [WindowConfig.FLAGS, 8])],
      ["late below nothing", windows({ lateness: -1n })],
      ["late for ever", windows({ lateness: 1n << 61n })],
      ["early below nothing", windows({ early: -1n })],
      ["early for ever", windows({ early: 1n << 61n })],
      ["a bound below nothing", windows({ bound: -2n })],
      ["a bound for ever", windows({ bound: 1n << 61n })],
      ["late rows without a changelog", windows({ lateness: 1n, aggregate: aggregation() })],
      ["partial aggregates", windows({ aggregate: aggregation({ partial: true }) })],
      [
        "what does not combine: extremes of rows that are taken back",
        windows({
          aggregate: aggregation({ retract: I8!, aggregates: [aggregateOf(AggregateFunction.MIN, I64!)] }),
        }),
      ],
      [
        "aggregates off their place",
        unaligned(windows(), WindowConfig.AGGREGATE, WindowConfig.AGGREGATE_BYTES),
      ],
    ],
  ],
  [
    OperatorKind.SORT,
    [
      ["too short", sort().slice(0, SortConfig.SIZE - 4)],
      ["keys without number", patched(sort(), [SortConfig.KEYS, 0x10000])],
      ["a program off its place", unaligned(sort(), SortConfig.PROGRAM, SortConfig.PROGRAM_BYTES)],
      ["a program past the end", patched(sort(), [SortConfig.PROGRAM_BYTES, 0x10000])],
      ["more carried than there is", sort({ carried: OUTPUTS + 1 })],
      [
        "a key that is carried",
        sort({ keys: [{ output: COMPUTED, descending: false, nullsFirst: false }], carried: 1 }),
      ],
      ["a key that is not", sort({ keys: [{ output: MISSING, descending: false, nullsFirst: false }] })],
      ["flags that are not known", patched(sort(), [SortConfig.SIZE + 4, 4])],
    ],
  ],
  [
    OperatorKind.PROJECT,
    [
      ["too short", PROJECT.slice(0, ProjectConfig.SIZE - 4)],
      ["fewer columns than outputs", encodeProjectConfig(program(), OUTPUTS - 1)],
      ["a program off its place", unaligned(PROJECT, ProjectConfig.PROGRAM, ProjectConfig.PROGRAM_BYTES)],
      ["flags that are not known", patched(PROJECT, [ProjectConfig.FLAGS, 2])],
    ],
  ],
  [
    OperatorKind.PARTITION,
    [
      ["too short", PARTITION.slice(0, PartitionConfig.SIZE - 4)],
      ["another version", patched(PARTITION, [PartitionConfig.VERSION, 0])],
      ["another hash", patched(PARTITION, [PartitionConfig.HASH, 2])],
      ["fewer columns than outputs", encodePartitionConfig(program(), OUTPUTS - 1, 1, 3)],
      ["no keys", encodePartitionConfig(program(), OUTPUTS, 0, 3)],
      ["more keys than outputs", encodePartitionConfig(program(), OUTPUTS, OUTPUTS + 1, 3)],
      ["no parts", encodePartitionConfig(program(), OUTPUTS, 1, 0)],
      ["parts without number", encodePartitionConfig(program(), OUTPUTS, 1, 0x10001)],
    ],
  ],
  [
    OperatorKind.JOIN,
    [
      ["no type", join({ type: 6 as JoinType })],
      ["33 keys", patched(join(), [12, 33])],
      ["more keys than outputs", join({ keys: OUTPUTS + 1 })],
      ["keys of two types", join({ right: lone(Type.F64), outputs: leftOnly })],
      ["columns without number", patched(join(), [40, 4097])],
      ["residual columns without a residual", patched(join(), [44, 1])],
      ["a column of a third side", join({ outputs: [{ port: 2, output: 0 }] })],
      ["a column that is not", join({ outputs: [{ port: 0, output: OUTPUTS }] })],
      ["rows of the side that only decides", join({ type: JoinType.SEMI })],
      [
        "a residual of two outputs",
        join({ residual: { program: residual(2), columns: [{ port: 0, output: BOOL! }] } }),
      ],
      [
        "a residual of no row numbers",
        join({ residual: { program: lone(Type.BOOL), columns: [{ port: 0, output: BOOL! }] } }),
      ],
      ["nulls that may be anything, of matches", join({ nullAware: true })],
      ["a way of time past the last", join({ time: { ...backward(1n), mode: 5 as JoinTime.BACKWARD } })],
      [
        "times that are not",
        join({
          time: WITHIN,
          left: lone(Type.I64),
          right: lone(Type.I64),
          outputs: [{ port: 0, output: 0 }],
        }),
      ],
      ["times that are no I64", join({ time: WITHIN })],
      ["an end before the start", join({ keys: 0, time: { ...WITHIN, low: 6n } })],
      ["times further than sums allow", join({ keys: 0, time: { ...WITHIN, high: (1n << 62n) + 1n } })],
      ["the latest, of both sides", join({ keys: 0, type: JoinType.FULL, time: backward(1n) })],
      ["below no distance", join({ keys: 0, time: backward(-1n) })],
      ["rows that leave, by time", join({ keys: 0, time: WITHIN, keepOutputs: true })],
      ["rows that leave, and changes", join({ kinds: KINDS, keepOutputs: true })],
      ["rows that leave, and corrections", join({ type: JoinType.LEFT, corrects: true, keepOutputs: true })],
      ["loaded rows, by time", join({ keys: 0, time: WITHIN, loaded: [true, false] })],
      ["loaded rows, and changes", join({ kinds: KINDS, loaded: [false, true] })],
      ["loaded rows that leave", join({ keepOutputs: true, loaded: [false, true] })],
      ["loaded rows matched before", matched({ loaded: [true, false] })],
      ["rows matched before, by time", matched({ keys: 0, time: WITHIN })],
      ["rows matched before, and changes", matched({ kinds: KINDS })],
      ["rows matched before, and corrections", matched({ corrects: true })],
      ["left rows matched before where they need a match", matched({ type: JoinType.INNER })],
      ["left rows matched before of a right join", matched({ type: JoinType.RIGHT })],
      ["right rows matched before of a left join", matched({ matched: [false, true] })],
      ["rows matched before where such alone leave", matched({ type: JoinType.SEMI, outputs: leftOnly })],
      ["rows matched before where no such leave", matched({ type: JoinType.ANTI, outputs: leftOnly })],
      ["matches before that are no truth", matched({ left: program() })],
      [
        "matches before that are no truth, of the right side",
        matched({ type: JoinType.FULL, right: program(), matched: [true, true] }),
      ],
      ["matches before that are a key", matched(bools)],
      ["matches before of no column", matched({ keys: 0, left: nothing, right: nothing, outputs: [] })],
    ],
  ],
];

describe.each(RAW_BUILDS)("configurations that make no sense, %s build", (_build, file, shared, base) => {
  let raw: Raw;
  beforeAll(async () => {
    raw = new Raw(await compileBuild(file), shared, base);
  });
  const create = (kind: OperatorKind, config: Uint8Array) =>
    raw.call("op_create", raw.context, kind, writeConfig(raw, config), config.length) >>> 0;

  test("sound ones are taken", () => {
    for (const [kind, config] of SOUND) {
      const handle = create(kind, config);
      expect([kind, handle]).not.toEqual([kind, 0]);
      expect(raw.status("op_destroy", handle)).toBe(0);
    }
  });

  describe.each(REFUSED)("kind %i", (kind, rows) => {
    test.each(rows)("%s", (_what, config) => {
      const idle = raw.used;
      expect(create(kind, config)).toBe(0);
      const record = raw.call("last_error", raw.context) >>> 0;
      expect(raw.view.getInt32(record + ErrorRecord.STATUS, true)).toBe(Status.BAD_ARGUMENT);
      expect(raw.view.getUint32(record + ErrorRecord.REASON, true)).toBe(Reason.BAD_CONFIG);
      expect(raw.view.getUint32(record + ErrorRecord.KIND, true)).toBe(kind);
      expect(raw.used).toEqual(idle);
    });
  });
});
