// Window functions compiled: which operator computes which of them, and its program.
//
//   OVER     aggregates of the rows so far, or of the whole partition; counts and ranks
//   FRAMES   aggregates of frames that slide, first and last rows, and rows before and after
//
// Rows before and after go apart where the frame is one by range: such rows leave in order, and one that waits for a row
// of its partition would hold up those behind it.

import { AggregateFunction, OperatorKind } from "../../../kernel/abi/operator.js";
import { FrameFunction, FrameUnit, OverFrame, OverFunction } from "../../../kernel/abi/over.js";
import { type AggregateConfigSpec, encodeFramesConfig, encodeOverConfig } from "../kernel/index.js";
import { int8, type Schema } from "../type/data-type.js";
import type { BoundExpression } from "./bound.js";
import { type CompiledProgram, ProgramCompiler, registerType } from "./compile.js";
import type { BoundFrame, BoundOverFunction, BoundPlan } from "./logical.js";
import { aggregateEntry, SharedOutputs } from "./lower.js";
import { overText } from "./over.js";
import { folding } from "./rewrite.js";

export type OverPlan = Extract<BoundPlan, { kind: "over" }>;

/** Functions, by their places in the plan, that one operator computes. */
export interface OverPart {
  readonly operator: OperatorKind.OVER | OperatorKind.FRAMES;
  readonly frame: BoundFrame;
  readonly functions: readonly number[];
}

export interface OverProgram extends CompiledProgram {
  readonly operator: OperatorKind.OVER | OperatorKind.FRAMES;
  readonly config: Uint8Array;
  readonly input: Schema;
  readonly texts: readonly string[];
  /** Whether rows wait for the end of input. */
  readonly waits: boolean;
  /** See `OverStage`. */
  readonly delay: bigint | null;
}

const COUNTING = {
  rowNumber: OverFunction.ROW_NUMBER,
  rank: OverFunction.RANK,
  denseRank: OverFunction.DENSE_RANK,
} as const;

/** The frame of OVER, null where it is none of its own. */
function runningFrame({ unit, from, to }: BoundFrame): OverFrame | null {
  if (from !== null) return null;
  if (to === null) return OverFrame.ALL;
  if (to !== 0n) return null;
  return unit === "rows" ? OverFrame.ROWS : OverFrame.RANGE;
}

/** Each function to its operator, in the order in which they run. */
export function overParts({ functions, frame }: OverPlan): readonly OverPart[] {
  const running = runningFrame(frame) !== null;
  const row: BoundFrame = { unit: "rows", from: 0n, to: 0n, text: "" };
  const counts: BoundFrame = { unit: "range", from: null, to: 0n, text: "" };
  const kindOf = (fn: BoundOverFunction) => {
    if ("counting" in fn) return fn.counting === "frameNumber" ? "sliding" : "running";
    if ("aggregate" in fn) return running ? "running" : "sliding";
    return fn.value.fn === "shift" && frame.unit === "range" ? "shifted" : "sliding";
  };
  const of = (kind: string) => functions.flatMap((fn, index) => (kindOf(fn) === kind ? [index] : []));
  const parts: OverPart[] = [
    { operator: OperatorKind.OVER, frame: running ? frame : counts, functions: of("running") },
    { operator: OperatorKind.FRAMES, frame, functions: of("sliding") },
    { operator: OperatorKind.FRAMES, frame: row, functions: of("shifted") },
  ];
  return parts.filter((part) => part.functions.length > 0);
}

export function overProgram(plan: OverPlan, part: OverPart, input: Schema): OverProgram {
  return part.operator === OperatorKind.OVER
    ? runningProgram(plan, part, input)
    : framesProgram(plan, part, input);
}

interface Draft {
  readonly compiler: ProgramCompiler;
  readonly outputs: SharedOutputs;
  /** Outputs of the input's columns. */
  readonly columns: readonly number[];
  readonly keys: AggregateConfigSpec["keys"];
  readonly functions: readonly BoundOverFunction[];
}

function draftOf(plan: OverPlan, part: OverPart, input: Schema): Draft {
  const compiler = new ProgramCompiler(input);
  const outputs = new SharedOutputs(compiler, null);
  const columns = input.fields.map(({ name, type, nullable }, index) => {
    const column: BoundExpression = { kind: "column", index, name, type, nullable, text: name };
    return outputs.add(column);
  });
  const keys = plan.partition.map((column) => ({
    output: columns[column]!,
    type: registerType(input.fields[column]!.type),
  }));
  return {
    compiler,
    outputs,
    columns,
    keys,
    functions: part.functions.map((index) => plan.functions[index]!),
  };
}

/** What has no partition and no aggregate still is an aggregation of something. */
function someAggregate(
  entries: AggregateConfigSpec["aggregates"],
  keys: AggregateConfigSpec["keys"],
): AggregateConfigSpec["aggregates"] {
  return entries.length + keys.length > 0 ? entries : [{ function: AggregateFunction.COUNT_ROWS }];
}

function textsOf(input: Schema, functions: readonly BoundOverFunction[]): string[] {
  return [...input.fields.map(({ name }) => name), ...functions.map(boundFunctionText)];
}

function runningProgram(plan: OverPlan, part: OverPart, input: Schema): OverProgram {
  const { compiler, outputs, columns, keys, functions } = draftOf(plan, part, input);
  const fold = folding();
  const entries: AggregateConfigSpec["aggregates"][number][] = [];
  const listed = functions.map((fn) => {
    if ("counting" in fn) return { kind: COUNTING[fn.counting as keyof typeof COUNTING] };
    if ("aggregate" in fn) entries.push(aggregateEntry(fn.aggregate, outputs, fold, false));
    return { kind: OverFunction.AGGREGATE, index: entries.length - 1 };
  });
  const compiled = compiler.finish();
  const frame = runningFrame(part.frame) ?? OverFrame.RANGE;
  const config = encodeOverConfig({
    frame,
    carried: columns.length,
    order: plan.by.map(({ column }) => columns[column]!),
    functions: listed,
    aggregate: { program: compiled.program, keys, aggregates: someAggregate(entries, keys) },
  });
  const waits = frame === OverFrame.ALL;
  return {
    ...compiled,
    operator: OperatorKind.OVER,
    config,
    input,
    texts: textsOf(input, functions),
    waits,
    delay: 0n,
  };
}

function framesProgram(plan: OverPlan, part: OverPart, input: Schema): OverProgram {
  const { compiler, outputs, columns, keys, functions } = draftOf(plan, part, input);
  const { unit, from, to } = part.frame;
  const fold = folding();
  const entries: AggregateConfigSpec["aggregates"][number][] = [];
  const listed = functions.map((fn) => {
    if ("value" in fn) {
      const { value } = fn;
      const other = value.otherwise === null ? {} : { other: outputs.add(fold(value.otherwise)) };
      const column = outputs.add(fold(value.argument));
      if (value.fn === "shift") return { kind: FrameFunction.SHIFT, column, ...other, offset: value.offset };
      return { kind: value.fn === "firstValue" ? FrameFunction.FIRST : FrameFunction.LAST, column };
    }
    if ("counting" in fn) return { kind: FrameFunction.NUMBER, column: 0 };
    const entry = aggregateEntry(fn.aggregate, outputs, fold, false);
    if (entry.function === AggregateFunction.MIN || entry.function === AggregateFunction.MAX) {
      const kind = entry.function === AggregateFunction.MIN ? FrameFunction.MIN : FrameFunction.MAX;
      return { kind, column: entry.argument!, other: entry.filter };
    }
    entries.push(entry);
    return { kind: FrameFunction.AGGREGATE, column: entries.length - 1 };
  });
  const kept = outputs.texts.length;
  // Never read: what comes and goes is the operator's to say.
  const retract = outputs.add({ kind: "literal", type: int8, value: 0, nullable: false, text: "0" });
  const compiled = compiler.finish();
  const aggregates = someAggregate(entries, keys);
  const bounded = [from, to].some((bound) => bound !== null && bound !== 0n);
  const values = unit === "range" && bounded;
  const shifts = functions.map((fn) => ("value" in fn && fn.value.fn === "shift" ? fn.value.offset : 0n));
  const config = encodeFramesConfig({
    unit: unit === "rows" ? FrameUnit.ROWS : values ? FrameUnit.VALUES : FrameUnit.PEERS,
    start: from,
    end: to,
    descending: values && plan.by[0]!.descending,
    carried: columns.length,
    kept,
    order: plan.by.map(({ column }) => columns[column]!),
    functions: listed,
    aggregate: { program: compiled.program, keys, aggregates, retract },
  });
  const follows = shifts.some((offset) => offset > 0n) || (unit === "rows" && to !== null && to > 0n);
  const delay = follows ? null : unit === "range" && to !== null && to > 0n ? to : 0n;
  const texts = textsOf(input, functions);
  return { ...compiled, operator: OperatorKind.FRAMES, config, input, texts, waits: to === null, delay };
}

/** How `explain` shows what functions are over. */
export function boundOverText({ input, partition, by, frame }: OverPlan): string {
  const nameOf = (column: number) => input.schema.fields[column]!.name;
  const order = by.map(({ column, descending }) => `${nameOf(column)}${descending ? " descending" : ""}`);
  return overText(partition.map(nameOf), order, frame.text);
}

export function boundFunctionText(fn: BoundOverFunction): string {
  if ("aggregate" in fn) return fn.aggregate.text;
  return "counting" in fn ? `${fn.counting}()` : fn.value.text;
}
