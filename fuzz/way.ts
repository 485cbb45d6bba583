// Ways to run one plan over one set of tables: what must never change a result.

import { tableToIPC } from "apache-arrow";
import { toTable } from "../bindings/ts/arrow/index.js";
import {
  CheckpointError,
  ClosedError,
  type Engine,
  from,
  readCheckpoint,
  type StreamOptions,
} from "../bindings/ts/index.js";
import { Plan } from "../bindings/ts/plan/index.js";
import { inputsOf, type PlanNode } from "../bindings/ts/plan/logical.js";
import type { BatchData } from "../bindings/ts/type/column.js";
import {
  type DataType,
  dictionary,
  type Field,
  int8,
  int16,
  valueType,
} from "../bindings/ts/type/data-type.js";
import { RowRandom } from "../fixtures/random.js";
import { consolidate, resultRows } from "../test/testing-result.js";
import { type Value, writeBatch } from "../twin/values.js";
import type { Draw } from "./draw.js";
import { leavePieces } from "./faulty-job.js";
import { type Faults, type FaultyEngine, NO_FAULTS } from "./faulty-kernel.js";
import type { PlanCase } from "./plan.js";
import type { TableCase } from "./table.js";

type WatermarkOptions = NonNullable<StreamOptions["watermarks"]>[string];
const ROW_KIND: Field = { name: "row_kind", type: int8, nullable: false };

type Rows = readonly (readonly Value[])[];

/** Memory that does not do, with files for what does not fit. */
export interface Spilling {
  /** KiB of memory besides what the engine holds when nothing runs; null: plenty. */
  readonly room: number | null;
  /** Whether it is the query's memory, and not the engine's, that does not do. */
  readonly own?: boolean;
}

export interface Way {
  /** Index of the build. */
  readonly build: number;
  /** Threads, the calling one among them; more than one take the threads build. */
  readonly workers: number;
  /** So many times the calling thread leaves a piece of shared work to the others. */
  readonly shy: number;
  /** Null: all memory, and no files. */
  readonly spill: Spilling | null;
  /** `update`: the changes of a stream, folded together. `kernel`: results that stay in the kernel's memory. `profile`: a batch that is measured. */
  readonly mode: "collect" | "stream" | "update" | "kernel" | "profile";
  /** `kernel`: what stays there is read by another plan, which gives it as it is. */
  readonly chains: boolean;
  /** Where tables are cut into batches, in 64ths of their rows; or a batch a row. */
  readonly cuts: readonly number[] | "rows";
  /** Rows of rubbish before the first of each batch; odd ones also have a bitmap that they do not need. */
  readonly offset: number;
  readonly encoding: "given" | "plain" | "dictionary" | "mixed";
  /** Seed of another order of arrival; 0: as it is. */
  readonly order: number;
  readonly form: "batches" | "async" | "resident" | "ipc";
  readonly batchRows: number;
  /** Rows come roughly by time, and watermarks follow them (in a stream of a plan that goes by time). */
  readonly watermarks: boolean;
  /**
   * How they follow: `bound` so far behind that no row is late; `function` the same, said row by row; `hasty` not behind at
   * all: rows may be late, and then there is nothing to compare, unless windows wait for them; `idle` as `bound`,
   * and a source that says nothing for a millisecond does not count.
   */
  readonly clock: "bound" | "function" | "hasty" | "idle";
  readonly faults: Faults;
  /**
   * A stream is saved when its sources have handed over so many batches, or at its first result after that, and another
   * goes on from there; 0: not.
   */
  readonly checkpoint: number;
  /** So many rows come once too often in a changelog, and are taken back; null: no changelog. */
  readonly retracted: number | null;
  /** Bits of the tables that only add rows beside it, by their numbers. */
  readonly adding: number;
}

/** A batch over whole tables as they are. */
export const PLAIN_WAY: Way = {
  mode: "collect",
  chains: false,
  cuts: [],
  order: 0,
  offset: 0,
  encoding: "given",
  form: "batches",
  batchRows: 65_536,
  watermarks: false,
  clock: "bound",
  retracted: null,
  adding: 0,
  faults: NO_FAULTS,
  checkpoint: 0,
  build: 0,
  workers: 1,
  shy: 0,
  spill: null,
};

export function drawWay(draw: Draw, builds: number): Way {
  const workers = draw.chance(30) ? 2 + draw.below(3) : 1;
  const spill = draw.chance(workers > 1 ? 10 : 25) ? drawSpilling(draw) : null;
  const way: Omit<Way, "chains"> = {
    workers,
    shy: workers > 1 ? draw.below(4) : 0,
    spill,
    // Streams run on one thread.
    mode: draw.pick(
      workers > 1 ? (["collect", "kernel"] as const) : (["collect", "stream", "update", "kernel"] as const),
    ),
    cuts: draw.chance(20) ? "rows" : draw.list(5, 2, () => draw.below(65)),
    order: draw.chance(50) ? 1 + draw.below(1000) : 0,
    offset: draw.pick([0, 1, 3, 8]),
    encoding: draw.pick(["given", "plain", "dictionary", "mixed"] as const),
    form: draw.pick(["batches", "async", "resident", "ipc"] as const),
    batchRows: draw.pick([65536, 1, 7, 64]),
    watermarks: draw.chance(40),
    clock: draw.pick(["bound", "bound", "function", "hasty", "idle"] as const),
    retracted: draw.chance(20) ? draw.below(6) : null,
    adding: draw.chance(30) ? draw.below(8) : 0,
    build: draw.below(builds),
    checkpoint: draw.chance(50) ? 1 + draw.below(12) : 0,
    faults: draw.chance(spill === null ? 60 : 30) ? NO_FAULTS : drawFaults(draw),
  };
  // A draw of its own would make other cases of all numbers; checkpoints are of streams.
  return { ...way, chains: spill === null && way.checkpoint > 0 };
}

function drawSpilling(draw: Draw): Spilling {
  return draw.pick([
    { room: null },
    { room: null },
    { room: 1024 },
    { room: 512, own: true },
    { room: 256 },
    { room: 128 },
    { room: 4096, own: true },
  ]);
}

function drawFaults(draw: Draw): Faults {
  return {
    bits: draw.below(32),
    restart: draw.pick([0, 1, 2, 3]),
    split: draw.chance(30),
    refuse: draw.pick([0, 1, 2, 3]),
  };
}

/** What happens to a run from outside. */
export interface Disturbance {
  readonly signal?: AbortSignal;
  /** Called with the number of batches that sources have handed over, before the next one. */
  readonly before?: ((batch: number) => void) | undefined;
  /** The consumer leaves a stream after so many batches. */
  readonly leaveAfter?: number;
  /** Bytes of IPC instead of a table's own. */
  readonly bytes?: (bytes: Uint8Array) => Uint8Array;
  /** A checkpoint instead of what was saved. */
  readonly saved?: (bytes: Uint8Array) => Uint8Array;
}

/** The result's rows; null where the plan cannot be run in this way. */
export async function runWay(
  faulty: FaultyEngine,
  { plan, tables }: PlanCase,
  way: Way,
  disturbance: Disturbance = {},
): Promise<Value[][] | null> {
  const marks = way.watermarks && way.retracted === null ? watermarksOf(plan, tables) : null;
  const changed = changelogsOf(Object.keys(tables), way);
  const node = asChangelog(plan, changed);
  const arriving = Object.fromEntries(
    Object.entries(tables).map(([name, table]) => {
      const inTime = marks?.[name];
      const rows =
        inTime === undefined ? shuffled(table.rows, way.order) : byTime(table, inTime.column, way.order);
      return [
        name,
        changed.has(name)
          ? withRetractions({ ...table, rows }, way, looksOnce(plan, way.mode))
          : { ...table, rows },
      ];
    }),
  );
  const watermarks = Object.fromEntries(
    Object.entries(marks ?? {}).map(([name, mark]) => [name, clockOf(arriving[name]!, mark, way.clock)]),
  );
  const { engine, kernel } = faulty;
  const { budgetBytes } = kernel;
  const loaded: { free(): void }[] = [];
  const free = () => {
    for (const table of loaded.splice(0)) table.free();
  };
  const stop = new Stop(isSaved(way, node, disturbance) ? way.checkpoint : Number.POSITIVE_INFINITY);
  const inputsFrom = async (read: Readonly<Record<string, number>>, before: Disturbance["before"]) => {
    const inputs: Record<string, object> = {};
    for (const [name, table] of Object.entries(arriving)) {
      const rows = table.rows.slice(read[name] ?? 0);
      inputs[name] = await inputOf(engine, way, { ...table, rows }, { ...disturbance, before }, loaded);
    }
    return inputs;
  };
  try {
    leavePieces(way.shy);
    if (way.spill !== null && way.spill.room !== null && way.spill.own !== true)
      kernel.setBudget(kernel.usedBytes + 1024 * way.spill.room);
    return await resultOf(engine, new Plan(node, null), inputsFrom, free, way, watermarks, disturbance, stop);
  } finally {
    leavePieces(0);
    free();
    if (kernel.isAlive) kernel.setBudget(budgetBytes);
  }
}

/** Whether a way saves its stream: what reads a table twice may have read it to two places. */
function isSaved({ checkpoint, mode }: Way, plan: PlanNode, { signal, leaveAfter }: Disturbance): boolean {
  const names = sourceNames(plan);
  const isStream = mode === "stream" || mode === "update";
  const isLeft = signal !== undefined || leaveAfter !== undefined;
  return checkpoint > 0 && isStream && !isLeft && new Set(names).size === names.length;
}

/** Counts the batches that sources hand over, up to where the run is to be saved. */
class Stop {
  readonly #after: number;
  #batches = 0;
  reached: () => void = () => {};

  constructor(after: number) {
    this.#after = after;
  }

  get isAsked(): boolean {
    return this.#after !== Number.POSITIVE_INFINITY;
  }

  get isReached(): boolean {
    return this.#batches >= this.#after;
  }

  count(): void {
    if (++this.#batches === this.#after) this.reached();
  }
}

/** Makes the tables' rows inputs, from the given ones on. */
type Inputs = (
  read: Readonly<Record<string, number>>,
  before: Disturbance["before"],
) => Promise<Record<string, object>>;

async function resultOf(
  engine: Engine,
  plan: Plan<unknown>,
  inputs: Inputs,
  free: () => void,
  { mode, chains, batchRows, clock, spill }: Way,
  watermarks: Record<string, WatermarkOptions>,
  { signal, leaveAfter = Number.POSITIVE_INFINITY, before, saved: changed }: Disturbance,
  stop: Stop,
): Promise<Value[][] | null> {
  const memory = spill?.own === true && spill.room !== null ? { memory: 1024 * spill.room } : {};
  const aborting = { ...(signal === undefined ? {} : { signal }), ...memory };
  const counting: Disturbance["before"] = (batch) => {
    stop.count();
    before?.(batch);
  };
  const given = await inputs({}, stop.isAsked ? counting : before);
  if (mode === "collect") return folded(await engine.collect(plan, given, aborting));
  if (mode === "profile") return folded((await engine.profile(plan, given, aborting)).result);
  if (mode === "kernel") {
    const table = await engine.collect(plan, given, { ...aborting, result: "kernel" });
    // The result may lie in the inputs, and must outlive them.
    free();
    try {
      if (!chains) return folded(table.toArrow());
      const names = table.schema.fields.map(({ name }) => name);
      return folded(await engine.collect(from("kept").select(...names), { kept: table }, aborting));
    } finally {
      table.free();
    }
  }
  const emit = mode === "update" ? "onUpdate" : "onClose";
  const options: StreamOptions = { ...aborting, batchRows, watermarks, emit };
  let run = engine.stream(plan, given, options);
  const rows: Value[][] = [];
  let names: readonly string[] = [];
  let taken = 0;
  let saved: Uint8Array | null = null;
  const failures: unknown[] = [];
  const save = () =>
    run.snapshot().then(
      (bytes) => {
        saved = bytes;
      },
      (error: unknown) => {
        if (!isRefusal(error)) failures.push(error);
      },
    );
  const check = () => {
    if (failures.length > 0) throw failures[0];
  };
  stop.reached = () => void save();
  for await (const batch of run) {
    if (taken++ >= leaveAfter) return rows;
    names = batch.schema.fields.map(({ name }) => name);
    rows.push(...resultRows(batch));
    if (stop.isAsked) stop.count();
    if (stop.isReached && saved === null) await save();
    check();
    if (saved !== null) break;
  }
  check();
  if (saved !== null) {
    // What has come since then comes again.
    const { sources, rowsOut } = readCheckpoint(saved);
    rows.length = rowsOut;
    const read = Object.fromEntries(sources.map((source) => [source.name, source.rows]));
    const restore = changed === undefined ? saved : changed(saved);
    run = engine.stream(plan, await inputs(read, before), { ...options, restore });
    for await (const batch of run) {
      names = batch.schema.fields.map(({ name }) => name);
      rows.push(...resultRows(batch));
    }
  }
  const mayBeLate = clock === "hasty" || clock === "idle";
  const late = run.stats.lateRows + run.stats.partlyLateRows;
  if (late !== 0 && mayBeLate && Object.keys(watermarks).length > 0) return null;
  if (late !== 0) throw new RangeError(`${late} rows are late`);
  return names.at(-1) === ROW_KIND.name ? consolidate(rows) : rows;
}

/** Steps that cannot be saved, and runs that are over, go on without. */
function isRefusal(error: unknown): boolean {
  return error instanceof CheckpointError || error instanceof ClosedError;
}

function folded(table: ReturnType<typeof toTable>): Value[][] {
  const rows = resultRows(table);
  return table.schema.fields.at(-1)?.name === ROW_KIND.name ? consolidate(rows) : rows;
}

async function inputOf(
  engine: Engine,
  way: Way,
  table: TableCase,
  { before, bytes }: Disturbance,
  loaded: { free(): void }[],
): Promise<object> {
  const { form, mode } = way;
  const batches = batchesOf(table, way);
  const whole = batches.length === 0 ? [writeBatch(table.columns, [])] : batches;
  if (form === "resident") {
    const resident = await engine.load(whole);
    loaded.push(resident);
    return resident;
  }
  if (
    form === "ipc" &&
    whole.every(({ columns }) => columns.every(({ dictionary }) => dictionary === null))
  ) {
    const ipc = tableToIPC(toTable(whole[0]!.schema, whole), mode === "collect" ? "file" : "stream");
    return bytes === undefined ? ipc : bytes(ipc);
  }
  // What can be iterated once only cannot be read twice, and a plan may read a table twice.
  if (form === "async" || before !== undefined)
    return { [Symbol.asyncIterator]: () => slowly(batches, before) };
  return batches;
}

async function* slowly(
  batches: readonly BatchData[],
  before: Disturbance["before"],
): AsyncGenerator<BatchData> {
  for (const [at, batch] of batches.entries()) {
    if (at % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
    before?.(at);
    yield batch;
  }
  before?.(batches.length);
}

function batchesOf({ columns, rows }: TableCase, { cuts, offset, encoding }: Way): BatchData[] {
  const edges =
    cuts === "rows" && rows.length <= 300
      ? rows.map((_, row) => row + 1)
      : [
          ...(cuts === "rows" ? [] : cuts)
            .map((part) => Math.floor((part * rows.length) / 64))
            .sort((a, b) => a - b),
          rows.length,
        ];
  return edges.map((end, at) => {
    const fields = columns.map((field) =>
      field.name === ROW_KIND.name ? field : { ...field, type: encoded(field.type, encoding, at) },
    );
    const skipped = offset === 0 ? 0 : (offset + at) % 9;
    return writeBatch(fields, rows.slice(edges[at - 1] ?? 0, end), {
      offset: skipped,
      bitmap: skipped % 2 === 1,
    });
  });
}

function encoded(type: DataType, encoding: Way["encoding"], at: number): DataType {
  if (encoding === "given") return type;
  const value = valueType(type);
  const isDictionary = encoding === "dictionary" || (encoding === "mixed" && at % 2 === 1);
  return isDictionary && value.kind !== "list" ? dictionary(value, int16) : value;
}

function shuffled(rows: Rows, seed: number): Rows {
  if (seed === 0) return rows;
  const random = new RowRandom(seed, "order");
  return rows
    .map((row, at) => ({ row, at: random.at(at) }))
    .sort((a, b) => a.at - b.at)
    .map(({ row }) => row);
}

// ---- watermarks

/** By the name of the source: the time column of what goes by time over it. Null where nothing does. */
function watermarksOf(
  plan: PlanNode,
  tables: PlanCase["tables"],
): Record<string, { readonly column: string }> | null {
  const found: Record<string, { readonly column: string }> = {};
  const mark = (node: PlanNode, column: string): void => {
    for (const { source, name } of origins(node, column)) {
      const { columns, rows } = tables[source]!;
      const at = columns.findIndex((one) => one.name === name);
      const isTime = at >= 0 && ["int", "date", "timestamp"].includes(valueType(columns[at]!.type).kind);
      // An unsigned number past these is refused.
      if (isTime && rows.every((row) => row[at] === null || (row[at] as bigint) < 2n ** 63n)) {
        found[source] ??= { column: name };
      }
    }
  };
  const visit = (node: PlanNode): void => {
    if (node.kind === "aggregate" && node.window !== undefined) mark(node.input, node.window.column);
    if (node.kind === "over" && node.orderBy.length > 0) mark(node.input, node.orderBy[0]!.column);
    if (node.kind === "join" && node.time !== null) {
      mark(node.left, node.time.left);
      mark(node.right, node.time.right);
    }
    for (const input of inputsOf(node)) visit(input);
  };
  visit(plan);
  return Object.keys(found).length === 0 ? null : found;
}

interface Origin {
  readonly source: string;
  readonly name: string;
}

/** Where a column comes from as it is: of a union from both sides. */
function origins(node: PlanNode, column: string): Origin[] {
  switch (node.kind) {
    case "source":
      return [{ source: node.name, name: column }];
    case "select":
    case "withColumns": {
      const computed = node.columns.find(({ name }) => name === column);
      if (computed === undefined) return node.kind === "select" ? [] : origins(node.input, column);
      const { expression } = computed;
      return expression.kind === "column" ? origins(node.input, expression.name) : [];
    }
    case "rename": {
      const renamed = [...node.names].find(([, name]) => name === column);
      return origins(node.input, renamed?.[0] ?? column);
    }
    case "aggregate":
      return [];
    case "join":
      return origins(node.left, column);
    case "set":
      return [...origins(node.left, column), ...origins(node.right, column)];
    default:
      return origins(node.input, column);
  }
}

/** Rows without a time are anywhere, the others at most a few rows from where they belong. */
function byTime({ columns, rows }: TableCase, column: string, seed: number): Rows {
  const at = columns.findIndex(({ name }) => name === column);
  const time = (row: (typeof rows)[number]) => row[at] as bigint | null;
  const sorted = rows
    .filter((row) => time(row) !== null)
    .sort((a, b) => (time(a)! < time(b)! ? -1 : Number(time(a)! > time(b)!)));
  const random = new RowRandom(seed, "time");
  return [...sorted, ...rows.filter((row) => time(row) === null)]
    .map((row, index) => ({ row, due: index + (seed === 0 ? 0 : random.below(index, 5)) }))
    .sort((a, b) => a.due - b.due)
    .map(({ row }) => row);
}

/** What says how far time has come. */
function clockOf(
  { columns, rows }: TableCase,
  { column }: { readonly column: string },
  clock: Way["clock"],
): WatermarkOptions {
  const at = columns.findIndex(({ name }) => name === column);
  let [newest, behind]: [bigint | null, bigint] = [null, 0n];
  for (const row of rows) {
    const time = row[at] as bigint | null;
    if (time === null) continue;
    if (newest === null || time > newest) newest = time;
    else if (newest - time > behind) behind = newest - time;
  }
  if (clock === "hasty") return { column };
  if (clock === "function") return { column, advance: following(behind) };
  const idle = clock === "idle" ? { idleTimeout: "1 ms" } : {};
  const type = valueType(columns[at]!.type);
  if (type.kind === "int") return { column, outOfOrderness: behind, ...idle };
  if (type.kind === "timestamp") return { column, outOfOrderness: `${behind} ${type.unit}`, ...idle };
  // Dates in milliseconds are whole days too.
  const days = type.kind === "date" && type.unit === "ms" ? behind / 86_400_000n + 1n : behind;
  return { column, outOfOrderness: `${days} days`, ...idle };
}

/** The watermark after each row, so far behind it (it never goes back); null where that would be before all times. */
function following(behind: bigint): (time: bigint) => bigint | null {
  return (time) => {
    const mark = time - behind - 1n;
    return mark < -(2n ** 63n) ? null : mark;
  };
}

// ---- changelogs

function sourceNames(plan: PlanNode): string[] {
  return plan.kind === "source" ? [plan.name] : inputsOf(plan).flatMap(sourceNames);
}

/** The tables whose rows come as changes. */
function changelogsOf(names: readonly string[], { retracted, adding }: Way): Set<string> {
  return new Set(retracted === null ? [] : names.filter((_, at) => ((adding >> at) & 1) === 0));
}

/** The plan over sources of which some are changelogs. */
function asChangelog(node: PlanNode, names: ReadonlySet<string>): PlanNode {
  if (node.kind === "source") return { ...node, changelog: names.has(node.name) };
  if (node.kind === "join" || node.kind === "set") {
    return { ...node, left: asChangelog(node.left, names), right: asChangelog(node.right, names) };
  }
  return { ...node, input: asChangelog(node.input, names) };
}

/**
 * The rows as +I, and some of them once more as +I and -D, or +U and -U. Where nobody looks before the end of input
 * a row may be taken back before it comes; else it is taken back later.
 */
function withRetractions(
  { columns, rows }: TableCase,
  { retracted, order }: Way,
  anyOrder: boolean,
): TableCase {
  const random = new RowRandom(order, "retracted");
  const extra = rows.length === 0 ? 0 : retracted!;
  const changes = rows.map((row, at) => ({ row: [...row, 0n], due: random.at(at) }));
  for (let at = 0; at < extra; at++) {
    const row = rows[random.below(rows.length + at, rows.length)]!;
    const [came, went] = [random.at(2 * rows.length + 2 * at), random.at(2 * rows.length + 2 * at + 1)];
    const isUpdate = at % 2 === 1;
    changes.push({ row: [...row, isUpdate ? 2n : 0n], due: anyOrder ? came : Math.min(came, went) });
    changes.push({ row: [...row, isUpdate ? 1n : 3n], due: anyOrder ? went : Math.max(came, went) });
  }
  const arriving = changes.sort((a, b) => a.due - b.due).map(({ row }) => row);
  return { columns: [...columns, ROW_KIND], rows: arriving };
}

/** Whether the results of a changelog are looked at once, when all of it has come. */
function looksOnce(plan: PlanNode, mode: Way["mode"]): boolean {
  const aggregations = (node: PlanNode): number =>
    Number(looksItself(node)) + inputsOf(node).reduce((sum, input) => sum + aggregations(input), 0);
  return mode !== "update" && aggregations(plan) <= 1;
}

function looksItself(node: PlanNode): boolean {
  return (
    node.kind === "aggregate" ||
    node.kind === "distinct" ||
    (node.kind === "set" && node.operation !== "union all")
  );
}
