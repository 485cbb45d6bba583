// What a join by keys has written for want of memory, and its results: a grace hash join (Kitsuregawa, Tanaka and Moto-oka,
// 1983).
//
// A batch reads one side of a join after the other: the first one is kept, rows of the second meet it as they come. When
// memory ends the kept rows leave for files, divided by the key hash of their keys (which knows no encoding), and so do all rows
// that come afterwards, of both sides. At the end each part is joined by an empty operator over what was written of both
// sides, as many parts together as fit. Nothing is given twice, nor left out:
//   the first side still comes    nothing has been given; its rows leave as they are
//   the second side comes         its rows so far have met all that they can, and are not written. Of a kept side whose rows
//                                 leave when they have no match, a column says which have had one (MATCHED_LEFT, MATCHED_RIGHT); of
//                                 semi and anti joins rows that have had one stay behind, for nothing can come of them
//   nulls in NOT IN               are facts about all parts: one among the right keys, and nothing leaves; any right row, and left
//                                 rows without a key do not. The parts are joined without them
//
// A part that is too large is divided again, by finer cuts of the same hash, unless its size says that a few pieces
// do: the side whose rows leave alone comes in pieces that fit, each of which meets all of the other side. Where one key
// has most of the rows that is the only way. Of a full join pairs and left rows come so; its right rows without a match
// are those of an anti join with the sides turned, which are padded.

import { Opcode } from "../../../kernel/abi/instruction.js";
import { Type } from "../../../kernel/abi/layout.js";
import { JoinType, OperatorKind } from "../../../kernel/abi/operator.js";
import { Status } from "../../../kernel/abi/status.js";
import {
  END_OF_INPUT,
  encodeJoinConfig,
  encodePartitionConfig,
  type InputBatch,
  type Kernel,
  loadAll,
  type Operator,
  outputTypes,
  schemaOfTypes,
} from "../kernel/index.js";
import type { JoinStage } from "../plan/index.js";
import type { Extent, SpillFile } from "../spill/index.js";
import type { BatchData } from "../type/column.js";
import { columnBytes } from "../type/column-bytes.js";
import type { Schema } from "../type/data-type.js";
import { MemoryLimitError } from "../type/error.js";
import type { Relief } from "./relief.js";
import { concatBatches } from "./rows.js";
import { atWork, drainAsFits, drainOrRelieve, fittingRows, noRows, rowBytes } from "./step.js";

/** Parts at first, into how many each is divided again, and most cuts of the hash (MAX_PARTS of kernel/operator/partition.ts). */
const PARTS = 64;
const FINER = 16;
const MOST_CUTS = 65_536;
/** A part that should take at most so many pieces is not divided again: that reads and writes it once more. */
const FEW_PIECES = 3;
/** Rows that are divided together: they lie in memory so many times, and half of what is kept aside must do. */
const MOST_ROWS = 32_768;
const LEAST_ROWS = 64;
const COPIES = 4;
const ROWS_SHARE = 1 / 10;
/** Rows of a written batch, if so many come, and what of the budget may wait on the host until they do. */
const BATCH_ROWS = 1024;
const WAITING_SHARE = 1 / 8;
/** Rows of a batch of results that is written. */
const RESULT_ROWS = 4096;
/** Fewest rows of a push that is made smaller when it finds no memory. */
const LEAST_PUSH = 64;
/** Most bytes of texts of a batch that leaves. */
const PULL_BYTES = 2 ** 28;
/** What kept rows take: bytes of their files, and of an index, chains and flags a row. A guess to begin with. */
const KEEP_FACTOR = 1.25;
const ROW_BYTES = 48;
/** What of the free memory kept rows may take: results, and steps behind the join, need some of it. */
const ROOM_SHARE = 0.5;
/** What of it must be left for results, and for rows that meet them, when they are all there. */
const SPARE_SHARE = 0.25;

/** Bits of a leaving batch's section (kernel/operator/join-leave.ts). */
const PORT = 1;
const SOME = 2;
const NULLS = 4;

const PORTS = [0, 1] as const;
type Port = (typeof PORTS)[number];

/** Whether what the join keeps can leave for files. */
export function joinSpills({ config, time, changes }: JoinStage): boolean {
  return config.keys > 0 && time === null && changes === null;
}

export class SpilledJoin {
  readonly #relief: Relief;
  readonly #kernel: Kernel;
  readonly #stage: JoinStage;
  /** Of each side what its program gives. */
  readonly #types: readonly [Type[], Type[]];
  /** Sides whose rows say whether they have had a match. */
  readonly #marks: [boolean, boolean] = [false, false];
  #division: Division | null = null;
  #rows: number;
  /** Results that were found when rows left, and no step had taken yet. */
  #early: { readonly file: SpillFile; readonly extents: Extent[] } | null = null;
  /** Of NOT IN: whether the right side has a row, and one without a key. */
  #some = false;
  #nulls = false;

  constructor(relief: Relief, stage: JoinStage) {
    this.#relief = relief;
    this.#kernel = relief.kernel;
    this.#stage = stage;
    this.#types = [outputTypes(stage.config.left), outputTypes(stage.config.right)];
    const widest = Math.max(...PORTS.map((port) => rowBytes(this.#written(port))));
    const rows = Math.floor((relief.kernel.budgetBytes * ROWS_SHARE) / (COPIES * widest));
    this.#rows = Math.max(LEAST_ROWS, Math.min(rows, MOST_ROWS));
  }

  /**
   * Writes results that the operator has found and nobody has taken; yields in between. Answers what ended it before all
   * were written: no memory for them, or for the index of a side that has ended, which is no reason to keep its rows.
   */
  *keep(operator: Operator): Generator<void, MemoryLimitError | null> {
    this.#early ??= { file: this.#relief.file(this.#stage.schema), extents: [] };
    const { file, extents } = this.#early;
    try {
      for (const batch of drainAsFits(operator, fittingRows(operator, RESULT_ROWS))) {
        if (batch.length > 0) extents.push(file.append(batch));
        yield;
      }
      return null;
    } catch (error) {
      if (!(error instanceof MemoryLimitError)) throw error;
      return error;
    }
  }

  /**
   * Writes all rows that the operator keeps, and destroys it; yields after each batch. When it throws, the operator is as it
   * was, and nothing counts as written.
   * @param ended the ports whose last row has come
   */
  *write(operator: Operator, ended: readonly boolean[]): Generator<void> {
    for (const port of PORTS) this.#marks[port] = ended[port]! && preserves(this.#stage.config.type, port);
    for (;;) {
      const division = this.#divided(PARTS, 0, PARTS);
      try {
        yield* this.#leave(operator, division);
        this.#division = division;
        operator.destroy();
        return;
      } catch (error) {
        division.close();
        if (!(error instanceof MemoryLimitError) || this.#rows <= LEAST_ROWS) throw error;
        this.#rows = Math.max(LEAST_ROWS, this.#rows >> 2);
      }
    }
  }

  *#leave(operator: Operator, division: Division): Generator<void> {
    const dividers: (Operator | null)[] = [null, null];
    operator.lend();
    try {
      for (const batch of operator.snapshot(this.#rows)) {
        const port = (batch.section & PORT) as Port;
        this.#some ||= (batch.section & SOME) !== 0;
        this.#nulls ||= (batch.section & NULLS) !== 0;
        if (batch.length === 0) continue;
        dividers[port] ??= this.#again(port, division);
        const schema = this.#written(port);
        const columns = batch.columns.slice(0, schema.fields.length);
        const written = { ...batch, schema, columns };
        yield* this.#divide(dividers[port], division, port, written, 0, batch.length, 0);
      }
    } finally {
      for (const divider of dividers) divider?.destroy();
    }
  }

  /** Writes rows that have come since. */
  *push(port: Port, input: InputBatch, start: number, rows: number, firstRow: number): Generator<void> {
    const { config, left, right } = this.#stage;
    const side = port === 0 ? left : right;
    const division = this.#division!;
    const divider = this.#divider({
      program: port === 0 ? config.left : config.right,
      columns: side.columns,
      cuts: division.cuts,
      output: schemaOfTypes(this.#types[port]),
      instruction: (at) => side.instructions[at],
    });
    try {
      yield* this.#divide(divider, division, port, input, start, rows, firstRow);
    } finally {
      divider.destroy();
    }
  }

  *#divide(
    divider: Operator,
    division: Division,
    port: Port,
    input: InputBatch | BatchData,
    start: number,
    rows: number,
    firstRow: number,
  ): Generator<void> {
    const batch = divider.stage(input);
    for (let at = start; at < start + rows; ) {
      const some = Math.min(this.#rows, start + rows - at);
      let status: Status;
      try {
        status = divider.push(batch, at, some, firstRow);
      } catch (error) {
        if (!(error instanceof MemoryLimitError) || this.#rows <= LEAST_ROWS) throw error;
        this.#rows = Math.max(LEAST_ROWS, this.#rows >> 1);
        continue;
      }
      at += some;
      if (status === Status.HAS_MORE) {
        for (let part = divider.pullSection(); part !== null; part = divider.pullSection()) {
          if (port === 1) this.#some = true;
          if (port === 1 && part.columns[0]!.nullCount > 0) this.#nulls = true;
          division.add(port, part.section, part);
        }
      }
      yield;
    }
  }

  #divider({ program, columns, cuts, output, instruction }: Divider): Operator {
    return this.#kernel.operator({
      kind: OperatorKind.PARTITION,
      config: encodePartitionConfig(program, output.fields.length, this.#stage.config.keys, cuts),
      columns,
      output,
      emitsPerPush: true,
      instruction,
    });
  }

  /** What divides rows that have been written, or are about to be: all of them, as they are. */
  #again(port: Port, { cuts }: Division): Operator {
    const types = this.#columns(port);
    return this.#divider({
      program: loadAll(types),
      columns: [...types.keys()],
      cuts,
      output: this.#written(port),
    });
  }

  /** Types of what is written of a side. */
  #columns(port: Port): Type[] {
    return this.#marks[port] ? [...this.#types[port], Type.BOOL] : this.#types[port];
  }

  #written(port: Port): Schema {
    return schemaOfTypes(this.#columns(port));
  }

  #divided(cuts: number, first: number, count: number): Division {
    return new Division(this.#relief, [this.#written(0), this.#written(1)], cuts, first, count);
  }

  // ---- results

  /** What nobody has taken yet, and the results of all that was written. Yields an empty batch after each that was read. */
  *results(batchRows: number): Generator<BatchData> {
    const { type, nullAware } = this.#stage.config;
    if (this.#early !== null) {
      const { file, extents } = this.#early;
      for (const extent of extents) yield file.take(extent);
      this.#relief.drop(file);
    }
    const isEmpty = type === JoinType.ANTI && nullAware === true && this.#nulls;
    const division = this.#division;
    if (division === null) return;
    if (!isEmpty) {
      division.flush();
      yield* this.#joined(division, batchRows);
    }
    division.close();
  }

  *#joined(division: Division, batchRows: number): Generator<BatchData> {
    const { parts } = division;
    for (let from = 0; from < parts.length; ) {
      const room = this.#room;
      const sums = [0, 0];
      let to = from;
      for (; to < parts.length; to++) {
        for (const port of PORTS) sums[port]! += costOf(parts[to]!, port);
        if (to > from && Math.min(...sums) > room) break;
      }
      yield* this.#round(division, from, to, batchRows);
      from = to;
    }
  }

  /** Parts from `from` to `to`, together or, where memory does not do, each half by itself. */
  *#round(division: Division, from: number, to: number, batchRows: number): Generator<BatchData> {
    const parts = division.parts.slice(from, to);
    if (!this.#gives(parts)) return;
    const cost = (port: Port) => parts.reduce((sum, part) => sum + costOf(part, port), 0);
    const kept = cost(0) <= cost(1) ? 0 : 1;
    const batches = (port: Port) => parts.flatMap((part) => part.batches[port]);
    const others = batches((1 - kept) as Port);
    const all = yield* this.#piece(this.#plain, division, kept, batches(kept), true, others, batchRows);
    if (all.isDone) return;
    if (to - from === 1) {
      yield* this.#large(division, from, batchRows);
      return;
    }
    const middle = (from + to + 1) >> 1;
    yield* this.#round(division, from, middle, batchRows);
    yield* this.#round(division, middle, to, batchRows);
  }

  /** Whether anything can come of these parts. */
  #gives(parts: readonly Part[]): boolean {
    const has = (port: Port) => parts.some(({ batches }) => batches[port].length > 0);
    const { type } = this.#stage.config;
    if (type === JoinType.FULL) return has(0) || has(1);
    if (type === JoinType.RIGHT) return has(1);
    return has(0) && (type === JoinType.LEFT || type === JoinType.ANTI || has(1));
  }

  /** A part neither of whose sides fits. */
  *#large(division: Division, index: number, batchRows: number): Generator<BatchData> {
    const part = division.parts[index]!;
    const { type } = this.#stage.config;
    const cheaper = costOf(part, 0) <= costOf(part, 1) ? 0 : 1;
    const kept = type === JoinType.INNER ? cheaper : type === JoinType.RIGHT ? 1 : 0;
    const isFew = costOf(part, kept) <= FEW_PIECES * this.#room;
    if (!isFew && !part.isWhole && division.cuts * FINER <= MOST_CUTS) {
      const finer = this.#divided(division.cuts * FINER, (division.first + index) * FINER, FINER);
      yield* this.#finer(division, part, finer);
      yield* this.#joined(finer, batchRows);
      finer.close();
      return;
    }
    const isFull = type === JoinType.FULL;
    const shape = isFull ? this.#shape(JoinType.LEFT) : this.#plain;
    yield* this.#pieces(shape, division, part, kept, batchRows);
    if (isFull) yield* this.#padded(this.#pieces(this.#turned, division, part, 1, batchRows), batchRows);
  }

  *#pieces(
    shape: Shape,
    division: Division,
    part: Part,
    kept: Port,
    batchRows: number,
  ): Generator<BatchData> {
    const batches = part.batches[kept];
    const others = part.batches[(1 - kept) as Port];
    let most = batches.length;
    for (let at = 0; at < batches.length; ) {
      const rest = batches.slice(at, at + most);
      const { taken, isDone } = yield* this.#piece(shape, division, kept, rest, false, others, batchRows);
      if (isDone) at += taken;
      else most = Math.max(1, taken >> 1);
    }
  }

  /** Right rows beside nulls. They are written first: what finds them takes memory. */
  *#padded(rows: Iterable<BatchData>, batchRows: number): Generator<BatchData> {
    const file = this.#relief.file(this.#written(1));
    const extents: Extent[] = [];
    for (const batch of rows) {
      if (batch.length > 0) extents.push(file.append(batch));
      yield this.#nothing;
    }
    const operator = this.#shape(JoinType.RIGHT, false).create();
    try {
      yield* this.#end(operator, 0, batchRows);
      for (const extent of extents) yield* this.#met(operator, file.read(extent), 1, batchRows);
    } finally {
      operator.destroy();
    }
    this.#relief.drop(file);
  }

  /** Divides a part by finer cuts of the hash. */
  *#finer(division: Division, part: Part, finer: Division): Generator<BatchData> {
    for (const port of PORTS) {
      const divider = this.#again(port, finer);
      try {
        for (const { extent, rows } of part.batches[port]) {
          const batch = division.read(port, extent);
          yield* atWork(this.#divide(divider, finer, port, batch, 0, rows, 0), this.#stage.schema);
        }
      } finally {
        divider.destroy();
      }
    }
    finer.flush();
    for (const one of finer.parts) {
      one.isWhole = PORTS.every((port) => one.rows[port] === part.rows[port]);
    }
  }

  /**
   * Joins the first so many batches of one side, as many as fit, with all of the other. Where nothing was done so many were
   * too many: not all of them fit (`all`), or none beside what joining takes.
   */
  *#piece(
    shape: Shape,
    division: Division,
    kept: Port,
    batches: readonly Written[],
    all: boolean,
    others: readonly Written[],
    batchRows: number,
  ): Generator<BatchData, { readonly taken: number; readonly isDone: boolean }> {
    const other = (1 - kept) as Port;
    const [keeping, meeting] = [shape.portOf(kept), shape.portOf(other)];
    const spare = this.#kernel.freeBytes * SPARE_SHARE;
    let taken = 0;
    let operator: Operator | null = null;
    try {
      try {
        operator = shape.create();
        taken = yield* this.#fill(operator, keeping, division, kept, batches, all);
        if (all && taken < batches.length) return { taken, isDone: false };
        yield* this.#end(operator, keeping, batchRows);
        if (taken > 1 && this.#kernel.freeBytes < spare) return { taken, isDone: false };
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        const isLeast = !all && batches.length === 1;
        if (isLeast && !(yield* atWork(this.#relief.relieve(), this.#stage.schema))) throw error;
        return { taken, isDone: false };
      }
      for (const { extent } of others)
        yield* this.#met(operator, division.read(other, extent), meeting, batchRows);
      yield* this.#end(operator, meeting, batchRows);
      return { taken, isDone: true };
    } finally {
      operator?.destroy();
    }
  }

  /** Pushes batches of one side until they take more than they may; answers how many were pushed. */
  *#fill(
    operator: Operator,
    port: number,
    division: Division,
    side: Port,
    batches: readonly Written[],
    all: boolean,
  ): Generator<BatchData, number> {
    const most = operator.stats().stateBytes + this.#room;
    let taken = 0;
    for (const { extent, rows } of batches) {
      try {
        operator.push(division.read(side, extent), 0, rows, 0, port);
      } catch (error) {
        if (!(error instanceof MemoryLimitError) || all || taken === 0) throw error;
        break;
      }
      taken++;
      yield this.#nothing;
      if (operator.stats().stateBytes > most) break;
    }
    return taken;
  }

  /** Lets rows meet those that the operator keeps, as many at a time as fit. */
  *#met(operator: Operator, batch: BatchData, port: number, batchRows: number): Generator<BatchData> {
    const input = operator.stage(batch);
    let most = batch.length;
    for (let at = 0; at < batch.length; ) {
      const rows = Math.min(most, batch.length - at);
      let status: Status;
      try {
        status = operator.push(input, at, rows, 0, port);
      } catch (error) {
        if (!(error instanceof MemoryLimitError)) throw error;
        if (rows > LEAST_PUSH) most = rows >> 1;
        else if (!(yield* atWork(this.#relief.relieve(), operator.output))) throw error;
        continue;
      }
      at += rows;
      if (status === Status.HAS_MORE) yield* drainOrRelieve(this.#relief, operator, batchRows, PULL_BYTES);
      else yield this.#nothing;
    }
  }

  *#end(operator: Operator, port: number, batchRows: number): Generator<BatchData> {
    if (operator.watermark(END_OF_INPUT, port) === Status.HAS_MORE)
      yield* drainOrRelieve(this.#relief, operator, batchRows, PULL_BYTES);
  }

  /** What joins what is written as the plan says. */
  get #plain(): Shape {
    return this.#shape(this.#stage.config.type);
  }

  /** The same by another type of join. */
  #shape(type: JoinType, hasResidual = true): Shape {
    const { config, schema, residual } = this.#stage;
    const [left, right] = [this.#columns(0), this.#columns(1)];
    const marks = PORTS.map((port) => this.#marks[port] && preserves(type, port)) as [boolean, boolean];
    // A left row without a key stays away where the right side has any row.
    const isSome = config.nullAware === true && this.#some;
    const create = () =>
      this.#kernel.operator({
        kind: OperatorKind.JOIN,
        config: encodeJoinConfig({
          ...config,
          type,
          nullAware: false,
          left: loadAll(left, isSome ? { column: 0, opcode: Opcode.IS_NOT_NULL } : null),
          right: loadAll(right),
          matched: marks,
          residual: hasResidual ? config.residual : undefined,
        }),
        columns: [...left.keys()],
        second: { columns: [...right.keys()] },
        pulled: (index) => residual?.instructions[index],
        output: schema,
        emitsPerPush: true,
      });
    return { create, portOf: (side) => side };
  }

  /** What gives right rows that have no match, as they are written. */
  get #turned(): Shape {
    const { config, residual } = this.#stage;
    const [left, right] = [this.#columns(0), this.#columns(1)];
    const unmatched = this.#marks[1] ? { column: right.length - 1, opcode: Opcode.NOT } : null;
    const columns = config.residual?.columns.map(({ port, output }) => ({ port: 1 - port, output })) ?? [];
    const create = () =>
      this.#kernel.operator({
        kind: OperatorKind.JOIN,
        config: encodeJoinConfig({
          type: JoinType.ANTI,
          keys: config.keys,
          nullsEqual: config.nullsEqual,
          left: loadAll(right, unmatched),
          right: loadAll(left),
          outputs: right.map((_, output) => ({ port: 0, output })),
          residual: config.residual && { ...config.residual, columns },
        }),
        columns: [...right.keys()],
        second: { columns: [...left.keys()] },
        pulled: (index) => residual?.instructions[index],
        output: this.#written(1),
        emitsPerPush: true,
      });
    return { create, portOf: (side) => 1 - side };
  }

  /** Bytes that kept rows may take. */
  get #room(): number {
    return this.#kernel.freeBytes * ROOM_SHARE;
  }

  get #nothing(): BatchData {
    return noRows(this.#stage.schema);
  }
}

/** Whether rows of a side leave beside nulls when they have no match. */
function preserves(type: JoinType, port: Port): boolean {
  return type === JoinType.FULL || type === (port === 0 ? JoinType.LEFT : JoinType.RIGHT);
}

/** An operator that joins what is written, and the port of it that a side comes on. */
interface Shape {
  readonly create: () => Operator;
  readonly portOf: (side: Port) => number;
}

/** What a divider does with rows of a side: the program, what it takes and gives, and by how many cuts of their keys' hash. */
interface Divider {
  readonly program: Uint8Array;
  readonly columns: readonly number[];
  readonly cuts: number;
  readonly output: Schema;
  readonly instruction?: (index: number) => string | undefined;
}

/** A batch that lies in a side's file. */
interface Written {
  readonly extent: Extent;
  readonly rows: number;
}

/** Rows that wait on the host until a batch of them is worth writing. */
interface Waiting {
  batches: BatchData[];
  rows: number;
  bytes: number;
}

const nothingWaits = (): Waiting => ({ batches: [], rows: 0, bytes: 0 });

/** Rows of both sides whose keys have hashes between two cuts. */
interface Part {
  readonly waiting: [Waiting, Waiting];
  readonly batches: readonly [Written[], Written[]];
  readonly bytes: [number, number];
  readonly rows: [number, number];
  /** Whether all rows of what was divided have come here: then dividing it again is of no use. */
  isWhole: boolean;
}

/** What keeping the rows of one side takes, about. */
function costOf({ bytes, rows }: Part, port: Port): number {
  return bytes[port] * KEEP_FACTOR + rows[port] * ROW_BYTES;
}

/** Rows that lie in files, one a side, by the parts of their keys' hash. */
class Division {
  /** By how many cuts the whole hash is divided, and the number of the first part here. */
  readonly cuts: number;
  readonly first: number;
  readonly parts: readonly Part[];
  readonly #relief: Relief;
  readonly #schemas: readonly [Schema, Schema];
  readonly #files: (SpillFile | null)[] = [null, null];
  /** Bytes of rows that wait to be written. */
  #waiting = 0;

  constructor(
    relief: Relief,
    schemas: readonly [Schema, Schema],
    cuts: number,
    first: number,
    count: number,
  ) {
    this.#relief = relief;
    this.#schemas = schemas;
    this.cuts = cuts;
    this.first = first;
    this.parts = Array.from({ length: count }, () => ({
      waiting: [nothingWaits(), nothingWaits()],
      batches: [[], []],
      bytes: [0, 0],
      rows: [0, 0],
      isWhole: false,
    }));
  }

  /** @param number of the part among all parts of the hash */
  add(port: Port, number: number, batch: BatchData): void {
    const part = this.parts[number - this.first]!;
    const waiting = part.waiting[port];
    const bytes = batch.columns.reduce((sum, column) => sum + columnBytes(column, 0, batch.length), 0);
    waiting.batches.push(batch);
    waiting.rows += batch.length;
    waiting.bytes += bytes;
    part.rows[port] += batch.length;
    this.#waiting += bytes;
    if (waiting.rows >= BATCH_ROWS) this.#write(part, port);
    else if (this.#waiting > this.#relief.kernel.budgetBytes * WAITING_SHARE) this.flush();
  }

  /** Writes all rows that wait. */
  flush(): void {
    for (const part of this.parts) for (const port of PORTS) this.#write(part, port);
  }

  #write(part: Part, port: Port): void {
    const { batches, rows, bytes } = part.waiting[port];
    if (rows === 0) return;
    part.waiting[port] = nothingWaits();
    this.#waiting -= bytes;
    const schema = this.#schemas[port];
    this.#files[port] ??= this.#relief.file(schema);
    const extent = this.#files[port].append(concatBatches(schema, batches));
    part.batches[port].push({ extent, rows });
    part.bytes[port] += extent.bytes;
  }

  /** A batch that is valid until the next one of the same side is read. */
  read(port: Port, extent: Extent): BatchData {
    return this.#files[port]!.read(extent);
  }

  /** Removes the files. */
  close(): void {
    for (const file of this.#files.splice(0)) if (file !== null) this.#relief.drop(file);
  }
}
