// Lowering: a bound plan to the stages that the scheduler runs.
//
// Filters and projections that follow one another become one program over the columns of the stage's input
// (expressions are substituted into each other; the compiler computes shared parts once), and those before
// an aggregation become the aggregation's own program. So a filter runs below every projection, and a
// column that nothing asks for is never read. Sorts and limits are stages of their own, moved first to
// where they cost least (arrange.ts).
//
// A chain never starts with a sort or limit: a projection, aggregation or join is what turns source batches into
// results (dictionaries into their values, memory of its own).
//
// A join ends the chain of its right input and goes on in that of its left one: its stage holds the lowered plan
// of the right side, so that a plan is a tree of chains. Filters and projections before it become the programs of
// its two ports, conditions after it move below it (push-down.ts), and a plain choice of columns after it
// is folded into it.

import { Type } from "../../../kernel/abi/layout.js";
import { JoinType, type OperatorKind } from "../../../kernel/abi/operator.js";
import {
  type AggregateConfigSpec,
  encodeAggregateConfig,
  encodeProjectConfig,
  type JoinColumnSpec,
  type JoinConfigSpec,
} from "../kernel/config.js";
import type { Register } from "../kernel/program.js";
import { aggregateFunction } from "../type/aggregate.js";
import {
  bool,
  type DataType,
  type Field,
  int64,
  isCarried,
  physicalType,
  type Schema,
  uint32,
  valueType,
} from "../type/data-type.js";
import { ArgumentError } from "../type/error.js";
import { arrange, isOrdered } from "./arrange.js";
import type { BoundJoinTime } from "./bind-join-time.js";
import { type BoundWindow, WINDOW_COLUMNS } from "./bind-window.js";
import type { BoundExpression } from "./bound.js";
import { ROW_KIND } from "./changelog.js";
import { type CompiledProgram, ProgramCompiler, registerType } from "./compile.js";
import { indicatorValue } from "./grouping.js";
import { type KeyPart, keyedArgument } from "./keyed-aggregate.js";
import {
  type BoundAggregate,
  type BoundGrouping,
  type BoundJoinChanges,
  type BoundOutput,
  type BoundPlan,
  boundInputs,
  joinedFields,
} from "./logical.js";
import { boundOverText, type OverPlan, overParts, overProgram } from "./lower-over.js";
import { isAsOf, neededColumns } from "./needed.js";
import { pushDown } from "./push-down.js";
import { conjuncts, filterGroups, folding, substitution } from "./rewrite.js";
import { timeLine } from "./time-scale.js";

interface ProgramStage extends CompiledProgram {
  /** Columns that leave the stage. */
  readonly schema: Schema;
  /** Per program output, what it computes: for messages. */
  readonly outputs: readonly string[];
}

/** Filter and compute, row by row. */
export interface ProjectStage extends ProgramStage {
  readonly kind: "project";
  /** For `op_create`. */
  readonly config: Uint8Array;
  /** Fields of the program's outputs, without the row index. */
  readonly output: readonly Field[];
  /**
   * Opaque columns, gathered by row index. Where there are any, the program's last output is the row index
   * within the pushed rows' batch, and `schema` is `output` with these put in at their positions.
   */
  readonly passthrough: readonly {
    readonly field: Field;
    /** Index in `schema`. */
    readonly position: number;
    /** Index in the stage's input. */
    readonly inputColumn: number;
  }[];
  readonly filters: readonly string[];
  /** Whether the stage only hands its input's rows and columns on (and turns dictionaries into values). */
  readonly identity: boolean;
}

interface GroupingStage extends ProgramStage {
  /** Changes after each push instead of one result at the end; the row kind is the last column. */
  readonly changelog: boolean;
  readonly output: readonly Field[];
  /** The first so many fields are keys. */
  readonly keys: number;
  readonly filters: readonly string[];
  /** As `count(*)`, in the order of `output`: the keys' expressions, then the aggregates. */
  readonly texts: readonly string[];
}

/** Filter, compute, group and aggregate. `schema` is the keys, then the aggregates. */
export interface AggregateStage extends GroupingStage {
  readonly kind: "aggregate";
  /** For `op_create`. */
  readonly config: Uint8Array;
}

/** The same for each window. `schema` is WINDOW_COLUMNS, the keys, then the aggregates. */
export interface WindowStage extends GroupingStage {
  readonly kind: "window";
  readonly window: BoundWindow;
  /** Index of the program's output that is the time's number on the window's scale. */
  readonly time: number;
  readonly aggregate: AggregateConfigSpec;
  /** The source's column that the time is, perhaps through an earlier window; null where it is computed. */
  readonly clock: number | null;
  /** Whether the times of all rows of the input are the operator's: no calendar, and, behind a filter, no cast. */
  readonly plain: boolean;
  /** Whether the operator filters. */
  readonly filtered: boolean;
}

/**
 * The same rows aggregated once for each set of keys, and the results widened to `schema`: keys that the set
 * leaves out are null, indicators say which.
 */
export interface GroupingSetsStage {
  readonly kind: "groupingSets";
  readonly sets: readonly GroupingSetStage[];
  /** One program for all sets; null where there is but one, or the keys of all are too many for a program. */
  readonly together: TogetherProgram | null;
  /** Columns of the input that any of the sets reads, ascending. */
  readonly columns: readonly number[];
  readonly schema: Schema;
}

/** What all sets read of a row, worked out once. */
export interface TogetherProgram extends CompiledProgram {
  /** For `op_create` of a PROJECT. */
  readonly config: Uint8Array;
  /** Per set, for each output of its own program, which output here is the same. */
  readonly outputs: readonly (readonly number[])[];
}

export interface GroupingSetStage {
  readonly stage: AggregateStage;
  /** How often its rows are given: as often as the set was asked for. */
  readonly times: number;
  /** Where each column of the schema comes from: a column of the aggregation, a constant, or nowhere (null). */
  readonly layout: readonly ({ readonly column: number } | { readonly constant: bigint } | null)[];
}

export interface SortStage {
  readonly kind: "sort";
  /** Ties are broken by all other columns, in schema order, ascending, nulls last. */
  readonly by: readonly {
    readonly column: number;
    readonly descending: boolean;
    readonly nullsFirst: boolean;
  }[];
  /** Whether rows come in the order of the first key but for what one watermark brings: windows, by their ends. */
  readonly timed: boolean;
  readonly schema: Schema;
}

/** Window functions: rows in order, each with the functions' values. `schema` is `input`, then the functions. */
export interface OverStage extends CompiledProgram {
  readonly kind: "over";
  readonly operator: OperatorKind.OVER | OperatorKind.FRAMES;
  /** Whether rows come in order, from another such stage. */
  readonly sorted: boolean;
  /**
   * How far behind the watermark, in ticks of the first order column, rows may be when they leave; null where they wait
   * for others, whatever the watermark.
   */
  readonly delay: bigint | null;
  readonly input: Schema;
  /** As of SortStage. */
  readonly by: SortStage["by"];
  /** For `op_create`. */
  readonly config: Uint8Array;
  /** The source's column that rows are in the time order of, so that a watermark lets them go; null for none. */
  readonly clock: number | null;
  /** As `sum(amount)`, per column of the schema. */
  readonly texts: readonly string[];
  /** Such as `over (partition by seller, order by ts, ...)`. */
  readonly text: string;
  readonly schema: Schema;
}

export interface LimitStage {
  readonly kind: "limit";
  readonly count: number;
  readonly offset: number;
  /** Whether its input comes in order: then it takes rows as they come, else by the order of all columns. */
  readonly ordered: boolean;
  readonly schema: Schema;
}

/** What one side of a join computes of its input: the keys, then what results and the residual need. */
export interface JoinSide {
  /** Columns of the side's input that are read, in the order of the program's. */
  readonly columns: readonly number[];
  readonly instructions: readonly string[];
  readonly filters: readonly string[];
  /** As `id`, `lower(name)`. */
  readonly keys: readonly string[];
  /** Of a join by time, for PROJECT: numbers of the rows that the side takes, and their times. Of others null. */
  readonly times: Pick<ProjectStage, "config" | "columns" | "instructions" | "output"> | null;
}

/** Port 0 is the chain that the stage stands in, port 1 that of `input`. */
export interface JoinStage {
  readonly kind: "join";
  readonly how: Extract<BoundPlan, { kind: "join" }>["how"];
  /** Of a join that gives changes, whose last column is the row kind; else null. */
  readonly changes: BoundJoinChanges | null;
  readonly config: JoinConfigSpec;
  readonly left: JoinSide;
  readonly right: JoinSide;
  /** The right side: its stages may be none, then its source's batches come as they are. */
  readonly input: LoweredPlan;
  readonly nullsEqual: boolean;
  readonly nullAware: boolean;
  /** How times decide what matches: what they are ticks of, and per side the source's column that they are. */
  readonly time: {
    readonly type: DataType;
    readonly clocks: readonly [number | null, number | null];
    readonly text: string;
  } | null;
  /** What pairs of rows must pass besides, and its program's instructions. */
  readonly residual: { readonly text: string; readonly instructions: readonly string[] } | null;
  readonly schema: Schema;
}

/** All rows of the chain that the stage stands in, and of `input`. */
export interface UnionStage {
  readonly kind: "union";
  readonly input: LoweredPlan;
  /** Columns of the two sources whose event time one column of the union tells. */
  readonly clocks: readonly (readonly [number, number])[];
  readonly schema: Schema;
}

export type Stage =
  | ProjectStage
  | AggregateStage
  | GroupingSetsStage
  | WindowStage
  | SortStage
  | LimitStage
  | OverStage
  | JoinStage
  | UnionStage;

export interface LoweredPlan {
  readonly source: {
    readonly name: string;
    /** The table that the plan was built from; null for a source that is named. */
    readonly data: unknown;
    /** Of the batches as they arrive. */
    readonly schema: Schema;
    /** Indices of the columns that the plan reads, ascending. */
    readonly columns: readonly number[];
  };
  readonly stages: readonly Stage[];
  readonly output: Schema;
}

/** The chains of a lowered plan, one a source, from left to right as `sourcesOf` has them. */
export function chainsIn(plan: LoweredPlan): LoweredPlan[] {
  return [
    plan,
    ...plan.stages.flatMap((stage) =>
      stage.kind === "join" || stage.kind === "union" ? chainsIn(stage.input) : [],
    ),
  ];
}

/** Filters and projections that wait for the stage they become part of. */
interface Pending {
  /** Schema of the stage's input. */
  readonly input: Schema;
  /** Per column of it the source's column whose event time it tells; null where it is no event time. */
  readonly clocks: readonly (number | null)[];
  readonly filters: readonly BoundExpression[];
  /** Columns so far, over `input`. */
  readonly columns: readonly BoundOutput[];
}

/** Compiles a bound plan. */
export function lower(plan: BoundPlan): LoweredPlan {
  const arranged = arrange(pushDown(plan));
  const stages: Stage[] = [];
  const pending = lowerNode(arranged, stages, neededColumns(arranged));
  flush(pending, plan.schema, stages);
  return chain(arranged, stages, firstReads(stages[0]!), plan.schema);
}

/** Columns of a chain's input that its first stage reads. */
function firstReads(stage: Stage): readonly number[] {
  if (stage.kind === "join") return stage.left.columns;
  const first = stage as ProjectStage | AggregateStage | GroupingSetsStage | WindowStage;
  const gathered = first.kind === "project" ? first.passthrough.map(({ inputColumn }) => inputColumn) : [];
  return [...first.columns, ...gathered];
}

function chain(
  plan: BoundPlan,
  stages: readonly Stage[],
  reads: readonly number[],
  output: Schema,
): LoweredPlan {
  const columns = [...new Set(reads)].sort((a, b) => a - b);
  const { name, data, sourceSchema } = firstSource(plan);
  return { source: { name, data, schema: sourceSchema, columns }, stages, output };
}

/** The source at the left end of a plan. */
function firstSource(plan: BoundPlan): Extract<BoundPlan, { kind: "source" }> {
  let node = plan;
  while (node.kind !== "source") node = boundInputs(node)[0]!;
  return node;
}

type Needed = ReturnType<typeof neededColumns>;

function lowerNode(plan: BoundPlan, stages: Stage[], needed: Needed): Pending {
  if (plan.kind === "source") return sourcePending(plan);
  if (plan.kind === "join") return lowerJoin(plan, stages, needed);
  if (plan.kind === "union") return lowerUnion(plan, stages, needed);
  const pending = lowerNode(plan.input, stages, needed);
  switch (plan.kind) {
    case "filter": {
      const condition = over(pending)(plan.condition);
      return { ...pending, filters: [...pending.filters, ...conjuncts(folding()(condition))] };
    }
    case "project": {
      const move = over(pending);
      const columns = plan.columns.map((output) => moveOutput(output, pending, move));
      return { ...pending, columns };
    }
    case "aggregate": {
      const stage = aggregation(pending, plan);
      stages.push(stage);
      return untouched(plan.schema, stage.kind === "window" ? windowClocks(stage) : []);
    }
    case "over": {
      const clocks = pending.columns.map((output) => clockOf(output, pending));
      flush(pending, plan.input.schema, stages);
      return lowerOver(plan, clocks, stages);
    }
    case "sort":
    case "limit": {
      const clocks = pending.columns.map((output) => clockOf(output, pending));
      const timed = plan.kind === "sort" && isTimed(plan, pending, stages.at(-1));
      flush(pending, plan.input.schema, stages);
      const { schema } = plan;
      stages.push(
        plan.kind === "sort"
          ? { kind: "sort", by: plan.by, timed, schema }
          : { kind: "limit", count: plan.count, offset: plan.offset, ordered: isOrdered(plan.input), schema },
      );
      return untouched(schema, clocks);
    }
  }
}

/** What aggregates so far, counts and ranks, then what slides; rows before and after behind those that leave in order. */
function lowerOver(plan: OverPlan, clocks: readonly (number | null)[], stages: Stage[]): Pending {
  const { by, input } = plan;
  const [first] = by;
  const inTime = first !== undefined && !first.descending && !first.nullsFirst;
  let clock = inTime ? (clocks[first.column] ?? null) : null;
  let schema = input.schema;
  let sorted = false;
  const places: number[] = [];
  for (const part of overParts(plan)) {
    const before = schema.fields.length;
    const fields = part.functions.map((index) => plan.schema.fields[input.schema.fields.length + index]!);
    const compiled = overProgram(plan, part, schema);
    const { delay } = compiled;
    schema = { fields: [...schema.fields, ...fields] };
    stages.push({
      kind: "over",
      ...compiled,
      by,
      sorted,
      clock: compiled.waits ? null : clock,
      text: boundOverText(plan),
      schema,
    });
    if (compiled.waits || delay === null) clock = null;
    sorted = true;
    part.functions.forEach((index, at) => {
      places[index] = before + at;
    });
  }
  const pending = untouched(schema, clock === null ? [] : clocks);
  const columns = [...input.schema.fields.keys(), ...places].map((index) => pending.columns[index]!);
  return { ...pending, columns };
}

/** Results of windows leave in the order of their ends, which is that of their starts where all are equally long. */
function isTimed(
  { by }: Extract<BoundPlan, { kind: "sort" }>,
  pending: Pending,
  last: Stage | undefined,
): boolean {
  if (last?.kind !== "window" || last.clock === null || by[0]!.descending) return false;
  const column = inputColumn(pending.columns[by[0]!.column]!);
  const { kind } = last.window;
  return column === 1 || column === 2 || (column === 0 && (kind === "tumble" || kind === "hop"));
}

/** The source's column whose event time an output tells: the column itself, also as another kind of timestamp. */
function clockOf(output: BoundOutput, { clocks }: Pending): number | null {
  if ("opaque" in output) return null;
  let { expression } = output;
  while (expression.kind === "cast" && !expression.try && sameLine(expression.value.type, expression.type)) {
    expression = expression.value;
  }
  return expression.kind === "column" ? (clocks[expression.index] ?? null) : null;
}

function sameLine(from: DataType, to: DataType): boolean {
  return from.kind === to.kind && timeLine(from) === timeLine(to);
}

/** A window that closes at a watermark has its last moment before it, and its end right after. */
function windowClocks({ clock, schema }: WindowStage): (number | null)[] {
  const times: ReadonlySet<string> = new Set(WINDOW_COLUMNS.slice(1));
  return schema.fields.map(({ name }, index) =>
    index < WINDOW_COLUMNS.length && times.has(name) ? clock : null,
  );
}

/** Makes the pending columns leave as `schema`: by a projection, unless the last stage can do it, or does. */
function flush(pending: Pending, schema: Schema, stages: Stage[]): void {
  if (stages.length > 0 && isIdentity(pending)) return;
  const last = stages.at(-1);
  const chosen = pending.columns.map(inputColumn);
  if (last?.kind === "join" && pending.filters.length === 0 && isChoice(last, chosen)) {
    stages[stages.length - 1] = chooseColumns(last, chosen, schema);
  } else stages.push(projectStage(pending, schema));
}

/** Whether these are columns that a join can give: where it has a row kind, that is the last one, and no other. */
function isChoice({ changes, config }: JoinStage, chosen: readonly number[]): boolean {
  const kind = config.outputs.length;
  const columns = changes === null ? chosen : chosen.slice(0, -1);
  return columns.every((index) => index >= 0 && index < kind) && (changes === null || chosen.at(-1) === kind);
}

/** The join with these of its columns as its result. */
function chooseColumns(stage: JoinStage, chosen: readonly number[], schema: Schema): JoinStage {
  const columns = stage.changes === null ? chosen : chosen.slice(0, -1);
  const outputs = columns.map((index) => stage.config.outputs[index]!);
  return { ...stage, config: { ...stage.config, outputs }, schema };
}

function sourcePending(plan: Extract<BoundPlan, { kind: "source" }>): Pending {
  const columns = plan.schema.fields.map((field, index) => passed(field, plan.columns[index]!));
  const clocks = plan.sourceSchema.fields.map((_, index) => index);
  return { input: plan.sourceSchema, clocks, filters: [], columns };
}

function untouched(schema: Schema, clocks: readonly (number | null)[]): Pending {
  return { input: schema, clocks, filters: [], columns: schema.fields.map(passed) };
}

function passed({ name, type, nullable }: Field, index: number): BoundOutput {
  if (isCarried(type)) return { name, opaque: index };
  return { name, expression: { kind: "column", index, name, type, nullable, text: name } };
}

function isIdentity({ input, filters, columns }: Pending): boolean {
  return (
    filters.length === 0 &&
    columns.length === input.fields.length &&
    columns.every(
      (output, index) => output.name === input.fields[index]!.name && inputColumn(output) === index,
    )
  );
}

/** The input column that an output is, unchanged; -1 when it is computed. */
function inputColumn(output: BoundOutput): number {
  if ("opaque" in output) return output.opaque;
  return output.expression.kind === "column" ? output.expression.index : -1;
}

/** Expressions over the pending columns as expressions over the stage's input. */
function over({ columns }: Pending): (expression: BoundExpression) => BoundExpression {
  return substitution((index) => {
    const output = columns[index];
    if (output === undefined || "opaque" in output) throw new RangeError(`no column ${index} to compute on`);
    return output.expression;
  });
}

function moveOutput(
  output: BoundOutput,
  pending: Pending,
  move: (expression: BoundExpression) => BoundExpression,
): BoundOutput {
  if (!("opaque" in output)) return { name: output.name, expression: move(output.expression) };
  const source = pending.columns[output.opaque];
  if (source === undefined || !("opaque" in source))
    throw new RangeError(`no opaque column ${output.opaque}`);
  return { name: output.name, opaque: source.opaque };
}

/** Emits the filters; answers what they were, for `explain`. */
function emitFilters(compiler: ProgramCompiler, filters: readonly BoundExpression[]): string[] {
  return filterGroups(filters).map((group) => {
    compiler.filter(group);
    return group.map((condition) => condition.text).join(" and ");
  });
}

function projectStage(pending: Pending, schema: Schema): ProjectStage {
  const compiler = new ProgramCompiler(pending.input);
  const filters = emitFilters(compiler, pending.filters);
  const fold = folding();
  const outputs: string[] = [];
  const output: Field[] = [];
  const passthrough: ProjectStage["passthrough"][number][] = [];
  pending.columns.forEach((column, position) => {
    const field = schema.fields[position]!;
    if ("opaque" in column) {
      passthrough.push({ field, position, inputColumn: column.opaque });
      return;
    }
    compiler.output(compiler.compute(fold(column.expression)));
    outputs.push(column.expression.text);
    output.push(field);
  });
  if (passthrough.length > 0) {
    compiler.output(compiler.rowIndex());
    outputs.push("row index");
  }
  const compiled = compiler.finish();
  const config = encodeProjectConfig(compiled.program, outputs.length);
  const identity = isIdentity(pending);
  return { kind: "project", ...compiled, config, output, outputs, passthrough, filters, identity, schema };
}

function lowerUnion(plan: Extract<BoundPlan, { kind: "union" }>, stages: Stage[], needed: Needed): Pending {
  const { schema } = plan;
  const left = lowerNode(plan.left, stages, needed);
  flush(left, schema, stages);
  const rightStages: Stage[] = [];
  const right = lowerNode(plan.right, rightStages, needed);
  flush(right, schema, rightStages);
  const input = chain(plan.right, rightStages, firstReads(rightStages[0]!), schema);
  const clocks = unionClocks(left, right);
  stages.push({ kind: "union", input, clocks, schema });
  return untouched(
    schema,
    left.columns.map((output) => {
      const clock = clockOf(output, left);
      return clocks.some(([one]) => one === clock) ? clock : null;
    }),
  );
}

/** Pairs of the sources' columns of time; one that stands beside several of the other side's tells nothing. */
function unionClocks(left: Pending, right: Pending): [number, number][] {
  const beside = new Map<number, Set<number | null>>();
  left.columns.forEach((output, index) => {
    const clock = clockOf(output, left);
    if (clock === null) return;
    const others = beside.get(clock) ?? new Set();
    beside.set(clock, others.add(clockOf(right.columns[index]!, right)));
  });
  return [...beside].flatMap(([clock, others]): [number, number][] => {
    const [other] = others;
    return others.size === 1 && typeof other === "number" ? [[clock, other]] : [];
  });
}

const JOIN_TYPES = {
  inner: JoinType.INNER,
  left: JoinType.LEFT,
  right: JoinType.RIGHT,
  full: JoinType.FULL,
  semi: JoinType.SEMI,
  anti: JoinType.ANTI,
} as const;

function lowerJoin(plan: Extract<BoundPlan, { kind: "join" }>, stages: Stage[], needed: Needed): Pending {
  const left = lowerNode(plan.left, stages, needed);
  const rightStages: Stage[] = [];
  const right = lowerNode(plan.right, rightStages, needed);
  const width = joinedFields(plan, "left").length;
  const leaving = [...needed.get(plan)!].sort((a, b) => a - b);
  const [leftClock, rightClock] = [left, right].map((side, port) =>
    timeClock(plan.time, port as 0 | 1, side),
  ) as [number | null, number | null];
  const { time } = plan;
  const sides = [
    new JoinProgram(
      left,
      plan.keys.map((key) => key.left),
      time?.left,
    ),
    new JoinProgram(
      right,
      plan.keys.map((key) => key.right),
      time?.right,
    ),
  ] as const;
  // In the order in which they tell right rows of one time apart.
  if (isAsOf(plan)) for (const index of plan.right.schema.fields.keys()) sides[1].column(index);
  const column = (index: number): JoinColumnSpec => {
    const port = index < width ? 0 : 1;
    return { port, output: sides[port].column(port === 0 ? index : index - width) };
  };
  const outputs = leaving.map(column);
  const { changes } = plan;
  const kind = (port: 0 | 1, { schema }: BoundPlan) => sides[port].column(schema.fields.length - 1);
  const kinds = changes && {
    kinds: [changes.left ? kind(0, plan.left) : null, changes.right ? kind(1, plan.right) : null] as const,
    corrects: changes.corrects,
  };
  const residual = plan.residual === null ? null : residualProgram(plan.residual, plan);
  const candidates = residual?.columns.map(column);
  const [leftSide, rightSide] = sides.map((side) => side.finish()) as [FinishedSide, FinishedSide];
  const chosen = leaving.map((index) => plan.schema.fields[index]!);
  const schema = { fields: changes === null ? chosen : [...chosen, plan.schema.fields.at(-1)!] };
  const reads = rightStages.length === 0 ? rightSide.columns : firstReads(rightStages[0]!);
  stages.push({
    kind: "join",
    how: plan.how,
    config: {
      type: JOIN_TYPES[plan.how],
      keys: plan.keys.length,
      nullsEqual: plan.nullsEqual,
      nullAware: plan.nullAware,
      left: leftSide.program,
      right: rightSide.program,
      outputs,
      residual: residual === null ? undefined : { program: residual.program, columns: candidates! },
      time: time?.spec,
      ...kinds,
    },
    changes,
    left: leftSide,
    right: rightSide,
    input: chain(plan.right, rightStages, reads, right.input),
    nullsEqual: plan.nullsEqual,
    nullAware: plan.nullAware,
    time: time === null ? null : { type: time.type, clocks: [leftClock, rightClock], text: time.text },
    residual: residual === null ? null : { text: plan.residual!.text, instructions: residual.instructions },
    schema,
  });
  const columns = plan.schema.fields.map((field, index) => {
    const isKind = changes !== null && index === plan.schema.fields.length - 1;
    const at = isKind ? leaving.length : leaving.indexOf(index);
    return at < 0 ? notNeeded(field) : passed(field, at);
  });
  // Watermarks of left times go on behind a join: of one by time, of its own.
  const clocks = leaving.map((index) => {
    const clock = index < width ? clockOf(left.columns[index]!, left) : null;
    return time === null || clock === leftClock ? clock : null;
  });
  return { input: schema, clocks, filters: [], columns };
}

/** The source's column that a side's time is, perhaps as another kind of timestamp; null where it is computed. */
function timeClock(time: BoundJoinTime | null, port: 0 | 1, side: Pending): number | null {
  return time === null ? null : clockOf({ name: "", expression: over(side)(time.instants[port]) }, side);
}

/** Stands for a column that nobody asks for, in expressions that nobody computes. */
function notNeeded({ name, type, nullable }: Field): BoundOutput {
  return { name, expression: { kind: "column", index: -1, name, type, nullable, text: name } };
}

interface FinishedSide extends JoinSide {
  readonly program: Uint8Array;
}

/** The program of one side of a join: its filters, its keys, and columns as they are asked for. */
class JoinProgram {
  readonly #compiler: ProgramCompiler;
  readonly #pending: Pending;
  readonly #filters: readonly string[];
  readonly #keys: readonly string[];
  readonly #time: BoundExpression | undefined;
  readonly #outputs = new Map<number, number>();
  readonly #fold = folding();

  /** @param time comes after the keys, where there is one */
  constructor(pending: Pending, keys: readonly BoundExpression[], time: BoundExpression | undefined) {
    this.#pending = pending;
    this.#time = time;
    this.#compiler = new ProgramCompiler(pending.input);
    this.#filters = emitFilters(this.#compiler, pending.filters);
    const move = over(pending);
    for (const key of time === undefined ? keys : [...keys, time]) {
      const register = this.#compiler.compute(this.#fold(move(key)));
      // Keys are the first outputs, one each: the second of two equal keys is an output of its own.
      const output = this.#compiler.output(register);
      if (!this.#outputs.has(register)) this.#outputs.set(register, output);
    }
    this.#keys = keys.map(({ text }) => text);
  }

  /** The program's output that holds a column of the side's plan. */
  column(index: number): number {
    const { expression } = this.#pending.columns[index] as { expression: BoundExpression };
    const register = this.#compiler.compute(this.#fold(expression));
    let output = this.#outputs.get(register);
    if (output === undefined) {
      output = this.#compiler.output(register);
      this.#outputs.set(register, output);
    }
    return output;
  }

  finish(): FinishedSide {
    const { columns, program, instructions } = this.#compiler.finish();
    const times = this.#time === undefined ? null : timesOf(this.#pending, this.#time);
    return { columns, program, instructions, filters: this.#filters, keys: this.#keys, times };
  }
}

function timesOf(pending: Pending, time: BoundExpression): JoinSide["times"] {
  const compiler = new ProgramCompiler(pending.input);
  emitFilters(compiler, pending.filters);
  compiler.output(compiler.rowIndex());
  compiler.output(compiler.compute(folding()(over(pending)(time))));
  const { program, columns, instructions } = compiler.finish();
  const output = [
    { name: "row_index", type: uint32, nullable: false },
    { name: "time", type: int64, nullable: true },
  ];
  return { config: encodeProjectConfig(program, output.length), columns, instructions, output };
}

/** Keeps the pairs that pass, and tells which they are. */
function residualProgram(
  residual: BoundExpression,
  plan: Extract<BoundPlan, { kind: "join" }>,
): CompiledProgram {
  const fields = [...joinedFields(plan, "left"), ...joinedFields(plan, "right")];
  const compiler = new ProgramCompiler({
    fields: fields.map((field) => ({ ...field, type: valueType(field.type) })),
  });
  const conditions = conjuncts(folding()(residual));
  emitFilters(compiler, conditions);
  compiler.output(compiler.rowIndex());
  return compiler.finish();
}

/** Outputs of an aggregation's program: one per register, however many keys and arguments share it. */
export class SharedOutputs {
  readonly texts: string[] = [];
  readonly #compiler: ProgramCompiler;
  readonly #indices = new Map<number, number>();
  readonly #reached: BoundExpression | null;

  /** @param reached which rows count; of others nothing is asked, so nothing of theirs can fail. Null: all. */
  constructor(compiler: ProgramCompiler, reached: BoundExpression | null) {
    this.#compiler = compiler;
    this.#reached = reached;
  }

  add(expression: BoundExpression, reachedBy: BoundExpression | null = null): number {
    return this.#addRegister(this.#compute(expression, reachedBy), expression.text);
  }

  /** One output that orders as the parts do: see `ProgramCompiler.orderKey`. */
  addKey(parts: readonly KeyPart[], reachedBy: BoundExpression | null): number {
    const registers = parts.map(({ expression, flags }) => ({
      register: this.#compute(expression, reachedBy),
      flags,
    }));
    const text = parts.map((part) => part.expression.text).join(", ");
    return this.#addRegister(this.#compiler.orderKey(registers), `key (${text})`);
  }

  #compute(expression: BoundExpression, reachedBy: BoundExpression | null): Register {
    const conditions = [this.#reached, reachedBy].filter((condition) => condition !== null);
    return this.#compiler.compute(
      expression,
      conditions.length < 2 ? (conditions[0] ?? null) : all(conditions),
    );
  }

  #addRegister(register: Register, text: string): number {
    let index = this.#indices.get(register);
    if (index === undefined) {
      index = this.#compiler.output(register);
      this.#indices.set(register, index);
      this.texts.push(text);
    }
    return index;
  }
}

function all(conditions: readonly BoundExpression[]): BoundExpression {
  const text = conditions.map((condition) => condition.text).join(" and ");
  return { kind: "call", fn: "and", args: conditions, type: bool, nullable: true, text };
}

type AggregatePlan = Extract<BoundPlan, { kind: "aggregate" }>;

function aggregation(
  pending: Pending,
  plan: AggregatePlan,
): AggregateStage | WindowStage | GroupingSetsStage {
  if (plan.window !== undefined) return windowStage(pending, plan);
  return plan.grouping === null
    ? aggregateStage(pending, plan)
    : groupingSetsStage(pending, plan, plan.grouping);
}

function aggregateStage(pending: Pending, plan: AggregatePlan): AggregateStage {
  return encoded(groupingStage(pending, plan, null));
}

function encoded({ stage, aggregate }: ReturnType<typeof groupingStage>): AggregateStage {
  return { kind: "aggregate", ...stage, config: encodeAggregateConfig(aggregate) };
}

const NUMBER = { type: int64, nullable: false };

function windowStage(pending: Pending, plan: AggregatePlan): WindowStage {
  const window = plan.window!;
  const { stage, aggregate, time } = groupingStage(pending, plan, window.time);
  const instant = over(pending)(window.instant);
  const clock = clockOf({ name: window.column, expression: instant }, pending);
  const filtered = stage.filters.length > 0;
  const isColumn = instant.kind === "column" && window.scale.kind === "ticks";
  // Where the program makes nulls of times, it is asked for each.
  const guarded = window.time.kind === "case";
  const plain = isColumn && !guarded && (!filtered || physicalType(valueType(instant.type)) === Type.I64);
  const [start, end] = WINDOW_COLUMNS;
  const output = [
    { name: start, ...NUMBER },
    { name: end, ...NUMBER },
    ...stage.output.slice(WINDOW_COLUMNS.length),
  ];
  return {
    kind: "window",
    ...stage,
    output,
    texts: [start, end, ...stage.texts],
    window,
    aggregate,
    time,
    clock,
    plain,
    filtered,
  };
}

/** The program of an aggregation, and (of a window) of the time. */
function groupingStage(
  pending: Pending,
  plan: AggregatePlan,
  time: BoundExpression | null,
): { stage: GroupingStage; aggregate: AggregateConfigSpec; time: number } {
  const compiler = new ProgramCompiler(pending.input);
  const filters = emitFilters(compiler, pending.filters);
  const move = over(pending);
  const fold = folding();
  const place = (expression: BoundExpression) => fold(move(expression));
  // A window drops rows without a time that fits before anything else is asked of them.
  const fits = plan.window?.fits ?? null;
  const outputs = new SharedOutputs(compiler, fits === null ? null : place(fits));
  const timeOutput = time === null ? -1 : outputs.add(place(time));
  const keys = plan.keys.map(({ expression }) => ({
    output: outputs.add(place(expression)),
    type: registerType(expression.type),
  }));
  const aggregates = plan.aggregates.map((aggregate) =>
    aggregateEntry(aggregate, outputs, place, plan.retracts),
  );
  const retract = plan.retracts ? outputs.add(place(lastColumn(plan.input.schema))) : undefined;
  const compiled = compiler.finish();
  const { changelog } = plan;
  const stage = {
    ...compiled,
    changelog,
    output: plan.schema.fields,
    outputs: outputs.texts,
    keys: keys.length,
    filters,
    texts: [
      ...plan.keys.map(({ expression }) => expression.text),
      ...plan.aggregates.map(({ text }) => text),
      ...(changelog ? [ROW_KIND] : []),
    ],
    schema: plan.schema,
  };
  const aggregate = { program: compiled.program, keys, aggregates, retract, changelog };
  return { stage, aggregate, time: timeOutput };
}

function lastColumn({ fields }: Schema): BoundExpression {
  const index = fields.length - 1;
  const { name, type, nullable } = fields[index]!;
  return { kind: "column", index, name, type, nullable, text: name };
}

function groupingSetsStage(
  pending: Pending,
  plan: Extract<BoundPlan, { kind: "aggregate" }>,
  grouping: BoundGrouping,
): GroupingSetsStage {
  const asked = new Map<string, { keys: readonly number[]; times: number }>();
  for (const keys of grouping.sets) {
    const known = asked.get(keys.join());
    if (known === undefined) asked.set(keys.join(), { keys, times: 1 });
    else known.times += 1;
  }
  const own: OwnProgram[] = [];
  const sets = [...asked.values()].map(({ keys, times }): GroupingSetStage => {
    const bare = keys.length + plan.aggregates.length === 0;
    const layout = layoutOf(plan, grouping, keys, bare ? 1 : 0);
    const fields = plan.schema.fields.filter((_, index) => isColumn(layout[index]!));
    const subset = {
      ...plan,
      keys: keys.map((key) => plan.keys[key]!),
      aggregates: bare ? [ROW_COUNT] : plan.aggregates,
      schema: { fields: bare ? [{ name: ROW_COUNT.name, type: int64, nullable: false }, ...fields] : fields },
    };
    const lowered = groupingStage(pending, subset, null);
    own.push({ keys, aggregate: lowered.aggregate });
    return { stage: encoded(lowered), times, layout };
  });
  const columns = [...new Set(sets.flatMap(({ stage }) => stage.columns))].sort((a, b) => a - b);
  const together = sets.length < 2 ? null : togetherProgram(pending, plan, own);
  return { kind: "groupingSets", sets, together, columns, schema: plan.schema };
}

/** A set's keys among those of all, and what its own program's outputs are for. */
interface OwnProgram {
  readonly keys: readonly number[];
  readonly aggregate: AggregateConfigSpec;
}

/** What the kernel takes of all sets. */
const MAX_TOGETHER_OUTPUTS = 16_384;

function togetherProgram(
  pending: Pending,
  plan: AggregatePlan,
  sets: readonly OwnProgram[],
): TogetherProgram | null {
  try {
    const { stage, aggregate } = groupingStage(pending, plan, null);
    const { columns, program, instructions } = stage;
    const outputs = sets.map((set) => outputsAmong(set, aggregate));
    if (outputs.flat().length > MAX_TOGETHER_OUTPUTS) return null;
    const config = encodeProjectConfig(program, stage.outputs.length);
    return { columns, program, instructions, config, outputs };
  } catch (error) {
    if (error instanceof ArgumentError) return null;
    throw error;
  }
}

/** For each output of a set's program that of the program of all, by what both are for. */
function outputsAmong({ keys, aggregate: own }: OwnProgram, all: AggregateConfigSpec): number[] {
  const outputs: number[] = [];
  for (const [index, { output }] of own.keys.entries()) outputs[output] = all.keys[keys[index]!]!.output;
  for (const [index, entry] of own.aggregates.entries()) {
    for (const part of ["argument", "second", "filter"] as const) {
      if (entry[part] !== undefined) outputs[entry[part]] = all.aggregates[index]![part]!;
    }
  }
  if (own.retract !== undefined) outputs[own.retract] = all.retract!;
  return outputs;
}

/** An aggregation must compute something: what the set without keys does when there are no aggregates. */
const ROW_COUNT: BoundAggregate = {
  name: "rows",
  fn: "count",
  argument: null,
  filter: null,
  fast: false,
  text: "count(*)",
};

function layoutOf(
  plan: Extract<BoundPlan, { kind: "aggregate" }>,
  { indicators }: BoundGrouping,
  set: readonly number[],
  first: number,
): GroupingSetStage["layout"] {
  let next = first;
  return plan.schema.fields.map((_, index) => {
    if (index < plan.keys.length) return set.includes(index) ? { column: next++ } : null;
    const indicator = indicators.find(({ column }) => column === index);
    return indicator === undefined ? { column: next++ } : { constant: indicatorValue(indicator.keys, set) };
  });
}

function isColumn(place: GroupingSetStage["layout"][number]): boolean {
  return place !== null && "column" in place;
}

export function aggregateEntry(
  aggregate: BoundAggregate,
  outputs: SharedOutputs,
  place: (expression: BoundExpression) => BoundExpression,
  retracts: boolean,
): AggregateConfigSpec["aggregates"][number] {
  const { fn, argument, second, filter, fast, distinct, parameter, limit } = aggregate;
  const condition = filter === null ? null : place(filter);
  const reached = condition === null ? {} : { filter: outputs.add(condition) };
  if (argument === null) return { function: aggregateFunction(fn, false), type: Type.NONE, ...reached };
  const keyed = keyedArgument(aggregate, retracts);
  if (keyed !== null) {
    const { parts, ...entry } = keyed;
    const placed = parts.map(({ expression, flags }) => ({ expression: place(expression), flags }));
    const separator = fn === "stringAgg" ? { second: outputs.add(place(second!)) } : {};
    return {
      ...entry,
      argument: outputs.addKey(placed, condition),
      type: Type.BYTES,
      ...separator,
      ...reached,
    };
  }
  return {
    function: aggregateFunction(fn, true),
    argument: outputs.add(place(argument), condition),
    type: registerType(argument.type),
    scale: argument.type.kind === "decimal" ? argument.type.scale : 0,
    limit,
    ...(second === undefined
      ? {}
      : {
          second: outputs.add(place(second), condition),
          secondScale: second.type.kind === "decimal" ? second.type.scale : 0,
        }),
    fast,
    distinct,
    parameter,
    ...reached,
  };
}
