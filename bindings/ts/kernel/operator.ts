/// <reference lib="esnext.disposable" preserve="true" />
// A handle on one operator: the ABI's calls with types, statuses turned into exceptions.

import { Abi } from "../../../kernel/abi/layout.js";
import { AggregateConfig, JoinConfig, OperatorKind, OperatorStats } from "../../../kernel/abi/operator.js";
import { FramesConfig, OverConfig } from "../../../kernel/abi/over.js";
import { Reason, Status } from "../../../kernel/abi/status.js";
import { WindowConfig } from "../../../kernel/abi/window.js";
import { type BatchData, nextDictionaryId } from "../type/column.js";
import { type Field, type Schema, sameType, typeName, valueType } from "../type/data-type.js";
import {
  ArgumentError,
  ClosedError,
  MemoryLimitError,
  type MillraceError,
  SchemaMismatchError,
} from "../type/error.js";
import { type BatchDescriptor, readBatch, readColumn, readU64 } from "./descriptor.js";
import type { KernelExports } from "./exports.js";
import { type FailureContext, failureError, readFailure } from "./failure.js";
import { fieldAt, type InputBatch, Stage, StagedBatch } from "./input.js";
import type { Kernel } from "./kernel.js";
import { BatchRoom, copyBatch } from "./output.js";
import { ResidentBatch } from "./resident.js";
import { type PartBatch, type PartitionedState, physicalSchema, type StateBatch } from "./state.js";

/** An operator as the kernel is told of it. */
export interface OperatorSpec {
  readonly kind: OperatorKind;
  /** The kind's configuration: `encodeAggregateConfig`, `encodeProjectConfig`, `encodeWindowConfig`. */
  readonly config: Uint8Array;
  /** Columns of the input batches that the program reads, in its order. */
  readonly columns: readonly number[];
  /** Fields of those columns. Where given, a batch with other names or types is refused before it is read. */
  readonly input?: readonly Field[] | undefined;
  readonly output: Schema;
  /** Every push yields output at once (a projection, a changelog): pull before the next push. */
  readonly emitsPerPush?: boolean | undefined;
  /** Batches of results stay where they are until the operator is destroyed: it is configured so. */
  readonly keepsResults?: boolean | undefined;
  /** Names of the results in messages, such as `sum "total"`. */
  readonly labels?: readonly string[] | undefined;
  /** Names of the program's instructions in messages. */
  readonly instruction?: ((index: number) => string | undefined) | undefined;
  /** Of windows: what their time is called in messages. */
  readonly time?: string | undefined;
  /** Port 1 of an operator that has two; what stands above is port 0's then. */
  readonly second?: PortSpec | undefined;
  /** Names of the instructions of a program that runs when results are pulled. */
  readonly pulled?: ((index: number) => string | undefined) | undefined;
}

/** What `OperatorSpec` says of a port. */
export interface PortSpec {
  readonly columns: readonly number[];
  readonly input?: readonly Field[] | undefined;
  readonly instruction?: ((index: number) => string | undefined) | undefined;
}

/** What an operator has done and holds. */
export interface OperatorCounts {
  readonly rowsIn: number;
  /** Rows that passed the filters. */
  readonly rowsSelected: number;
  readonly rowsOut: number;
  readonly batchesIn: number;
  readonly groups: number;
  readonly stateBytes: number;
  readonly tableSlots: number;
  /** Which key tier is in use: see kernel/group. */
  readonly keyTier: number;
  /** Slots of hash tables that lookups went past because another key was there. */
  readonly probes: number;
  // Of windows; 0 and null elsewhere.
  /** Rows that no window took any more. */
  readonly lateRows: number;
  /** Rows dropped because their time was null. */
  readonly nullTimes: number;
  /** No more rows at or before this tick; null while there is none. */
  readonly watermark: bigint | null;
  /** Slices or sessions held. */
  readonly openWindows: number;
  /** Watermarks that were ignored because they went backwards. */
  readonly backwardWatermarks: number;
  /**
   * Rows that came after some window that would have taken them, and count in the others only; of sessions, rows behind the
   * watermark that begin one, or move its beginning. A state does not carry it.
   */
  readonly partlyLateRows: number;
  /** A sort: whether all rows so far have come in order, or in reverse, by a numeric first key. */
  readonly isInOrder: boolean;
  /** Parts that rows were divided into: of an aggregation's backlog, of a sort; 0 where they were not. */
  readonly partitions: number;
}

/** Rows that were set aside, as the kernel packs them. */
export interface RowsAside {
  readonly rows: number;
  /** In kernel memory, until the next call. */
  readonly bytes: Uint8Array;
  /** That of their keys, of 256: the same in every operator of the kernel. */
  readonly partition: number;
  /** Whether all rows that were set aside would become far fewer groups. */
  readonly reduces: boolean;
}

/** Watermark after the last row. */
export const END_OF_INPUT = 2n ** 63n - 1n;

const NO_WATERMARK = -(2n ** 63n);

const DEFAULT_MAX_ROWS = 65536;
const DEFAULT_MAX_BYTES = 2 ** 28;
const ALL_ROWS = 2 ** 32 - 1;
const ALL_BYTES = 2 ** 31 - 1;
const OUT_BYTES = 64;
/** Most partitions of a divided state. */
const MAX_PARTS = 256;

export class Operator {
  readonly kernel: Kernel;
  readonly kind: OperatorKind;
  readonly columns: readonly number[];
  readonly output: Schema;
  readonly #spec: OperatorSpec;
  /** A batch descriptor and, behind it, the operator's numbers: asking for these leaves a batch that waits there alone. */
  #out: number;
  #handle: number;
  #stage: Stage | null = null;
  /** Per port. */
  readonly #checked: (Schema | undefined)[] = [];
  #failure: MillraceError | null = null;
  #resident: ResidentBatch | null = null;
  /** Where batches that leave lie, one after the other; null: each has memory of its own. */
  #room: BatchRoom | null = null;
  /** Of results alone. */
  #resultRoom: BatchRoom | null = null;
  /** Numbers of the dictionaries that results have, by address. */
  readonly #dictionaryIds = new Map<number, number>();

  /** @throws ArgumentError for a configuration that the kernel refuses, MemoryLimitError past the budget. */
  constructor(kernel: Kernel, spec: OperatorSpec) {
    this.kernel = kernel;
    this.kind = spec.kind;
    this.columns = spec.columns;
    this.output = spec.output;
    this.#spec = spec;
    this.#out = kernel.allocate(OUT_BYTES + OperatorStats.SIZE);
    try {
      this.#handle = this.#create(spec);
    } catch (error) {
      kernel.free(this.#out);
      throw error;
    }
  }

  #create(spec: OperatorSpec): number {
    const { kernel } = this;
    const config = kernel.allocate(spec.config.length);
    try {
      kernel.memory.bytes.set(spec.config, config);
      const seed = seedOffset(spec);
      if (seed !== null) kernel.memory.view.setUint32(config + seed, kernel.seed, true);
      const handle =
        kernel.call((exports, context) =>
          exports.op_create(context, spec.kind, config, spec.config.length),
        ) >>> 0;
      if (handle === 0) throw kernel.lastError(this.#context(0));
      return handle;
    } finally {
      kernel.free(config);
    }
  }

  /** From now on a batch that leaves is valid until the next one only: for who writes it at once. */
  lend(): void {
    this.#room ??= new BatchRoom();
  }

  /** The same of results only, and not of the batches of its state. */
  lendResults(): void {
    this.#resultRoom ??= new BatchRoom();
  }

  get isOpen(): boolean {
    return this.#handle !== 0;
  }

  /** Whether it can only be destroyed. */
  get hasFailed(): boolean {
    return this.#failure !== null;
  }

  /** By what name the kernel knows it, in every context on its memory; 0 once it is closed. */
  get handle(): number {
    return this.#handle;
  }

  /**
   * Applies rows [start, start + rows) of a batch: all of them or, when it throws, none of the morsel at hand.
   * More than 65,536 rows are pushed in morsels, unless each push yields output: then use `process`.
   * @param input a plain batch (copied to kernel memory a morsel at a time) or one that is staged or resident
   * @param firstRow number of the batch's row 0 in the whole input, for messages
   * @param port 0, or 1 for the second input of a join
   * @returns NEED_INPUT, or HAS_MORE when output is ready
   */
  push(input: InputBatch | BatchData, start = 0, rows?: number, firstRow = 0, port = 0): Status {
    const batch = this.stage(input);
    const count = rows ?? batch.rows - start;
    if (count <= Abi.MORSEL_ROWS) return this.#push(batch, start, count, firstRow, port);
    if (this.#spec.emitsPerPush) {
      throw new ArgumentError(
        `${count} rows in one push: this operator takes at most ${Abi.MORSEL_ROWS}, as each push yields output; use process()`,
        { value: count },
      );
    }
    let status: Status = Status.NEED_INPUT;
    for (let at = start; at < start + count; at += Abi.MORSEL_ROWS) {
      status = this.#push(batch, at, Math.min(Abi.MORSEL_ROWS, start + count - at), firstRow, port);
    }
    return status;
  }

  #push(batch: InputBatch, start: number, rows: number, firstRow: number, port: number): Status {
    const { columns } = this.#port(port);
    const address = batch.describe(columns, start, rows, firstRow);
    const status = this.pushDescribed(address, batch.schema, firstRow + start, port);
    batch.accepted?.(columns, start, rows);
    return status;
  }

  /**
   * Pushes a morsel that lies described in kernel memory (`InputBatch.describe` over the port's columns).
   * @param schema of the batch that it is part of
   * @param firstRow number of the morsel's row 0 in the whole input, for messages
   */
  pushDescribed(address: number, schema: Schema, firstRow: number, port = 0): Status {
    const { columns, input } = this.#port(port);
    this.#checkSchema(schema, columns, input, port);
    return this.#run(
      (exports, context) => exports.op_push(context, this.#handle, port, address),
      () => this.#pushContext(schema, firstRow, port),
    );
  }

  /**
   * Pushes a morsel as `pushDescribed` does, but to the aggregations listed at `sets`, `count` of them, by the program of
   * this projection (`op_push_together`). HAS_MORE when any of them has changes to give; null when memory does not do for
   * several at once: then nothing has happened.
   */
  pushTogether(
    address: number,
    schema: Schema,
    firstRow: number,
    sets: number,
    count: number,
  ): Status | null {
    try {
      return this.#run(
        (exports, context) => exports.op_push_together(context, this.#handle, address, sets, count),
        () => this.#pushContext(schema, firstRow, 0),
      );
    } catch (error) {
      if (count > 1 && error instanceof MemoryLimitError && this.isSound()) return null;
      throw error;
    }
  }

  /**
   * Of an aggregation whose push found no memory: whether nothing of the push has happened. Else memory ended in the midst
   * of the rows, and the kernel has marked the operator as failed: it does not even take a watermark that says nothing.
   */
  isSound(): boolean {
    return (
      this.kernel.call((exports, context) => exports.op_watermark(context, this.#handle, 0, NO_WATERMARK)) >=
      0
    );
  }

  /** The exception for the record (at `address`) of a push, or of the pull after it, that failed in another worker. */
  pushError(address: number, schema: Schema, firstRow: number, port = 0): MillraceError {
    const { memory } = this.kernel;
    const context = this.#pushContext(schema, firstRow, port);
    const instruction = this.#spec.pulled ?? context.instruction;
    const error = failureError(readFailure(memory, address), memory, { ...context, instruction });
    return this.kernel.worded(error);
  }

  /** Where `processDescribed`, or another thread in its place, leaves the description of a batch. */
  get out(): number {
    return this.#out;
  }

  /**
   * Pushes a morsel that lies described in kernel memory, and pulls once where that gives something: the batch is left
   * where it lies (`taken`, `takenResident`). HAS_MORE when there is more to pull.
   */
  processDescribed(
    address: number,
    schema: Schema,
    firstRow: number,
    port: number,
    maxRows: number,
    maxBytes: number,
  ): Status {
    this.kernel.memory.view.setUint32(this.#out, 0, true);
    const status = this.pushDescribed(address, schema, firstRow, port);
    return status === Status.HAS_MORE ? this.#pullOnce(maxRows, maxBytes) : status;
  }

  /** A copy of the batch that lies described at `out`; null when it has no rows. */
  taken(): BatchData | null {
    const batch = readBatch(this.kernel.memory.view, this.#out);
    return batch.rows === 0 ? null : this.#copied(batch);
  }

  /** The same where it lies, or one that is described at `at`: see `tryPullResident`. */
  takenResident(at: number = this.#out): ResidentBatch | null {
    const batch = readBatch(this.kernel.memory.view, at);
    if (batch.rows === 0) return null;
    return ResidentBatch.keep(this.kernel, this.output, batch, (address) => this.#dictionaryId(address));
  }

  /** The input columns of a port. */
  columnsOf(port: number): readonly number[] {
    return this.#port(port).columns;
  }

  /** Lets this join, which has no rows, read what another of the same configuration has kept on `port`, while that lives. */
  attach(owner: Operator, port: number): void {
    this.#run((exports, context) => exports.op_attach(context, this.#handle, owner.#handle, port));
  }

  #pushContext(schema: Schema, firstRow: number, port: number): FailureContext {
    const { columns, instruction } = this.#port(port);
    const inputs = columns.map((column) => fieldAt(schema, column));
    return { ...this.#context(firstRow), instruction, inputs };
  }

  #port(port: number): PortSpec {
    if (port === 0) return this.#spec;
    if (port === 1 && this.#spec.second !== undefined) return this.#spec.second;
    throw new ArgumentError(`the operator has no port ${port}`, { value: port });
  }

  /** Pushes a whole batch, a morsel at a time, and yields the output that becomes ready meanwhile. */
  *process(input: InputBatch | BatchData, firstRow = 0, port = 0): Generator<BatchData> {
    const batch = this.stage(input);
    for (let start = 0; start < batch.rows; start += Abi.MORSEL_ROWS) {
      const status = this.#push(batch, start, Math.min(Abi.MORSEL_ROWS, batch.rows - start), firstRow, port);
      if (status === Status.HAS_MORE) yield* this.#drain();
    }
  }

  /** No more rows at or before `time` will come; `END_OF_INPUT` ends the input. */
  watermark(time: bigint, port = 0): Status {
    return this.#run((exports, context) => exports.op_watermark(context, this.#handle, port, time));
  }

  /** Ends the input (of one port) and yields the results that follow from it. */
  *finish(maxRows?: number, port = 0): Generator<BatchData> {
    this.watermark(END_OF_INPUT, port);
    yield* this.#drain(maxRows);
  }

  *#drain(maxRows?: number): Generator<BatchData> {
    for (let batch = this.pull(maxRows); batch !== null; batch = this.pull(maxRows)) yield batch;
  }

  /** The next result batch in memory of its own; null when there is none (now). */
  pull(maxRows = DEFAULT_MAX_ROWS, maxBytes = DEFAULT_MAX_BYTES): BatchData | null {
    const batch = this.#pull(maxRows, maxBytes);
    return batch === null ? null : this.#copied(batch);
  }

  #copied(batch: BatchDescriptor): BatchData {
    return copyBatch(this.kernel, batch, this.output, this.#resultRoom ?? this.#room);
  }

  /** The next batch and its section: of a partition operator, the partition. */
  pullSection(maxRows = DEFAULT_MAX_ROWS, maxBytes = DEFAULT_MAX_BYTES): StateBatch | null {
    const batch = this.#pull(maxRows, maxBytes);
    return batch === null
      ? null
      : { ...copyBatch(this.kernel, batch, this.output, this.#room), section: batch.section };
  }

  /** The next batch of the state of a partial aggregation, which leaves; null when there is none (now). */
  pullState(maxRows = DEFAULT_MAX_ROWS): StateBatch | null {
    const batch = this.#pull(maxRows, DEFAULT_MAX_BYTES);
    if (batch === null) return null;
    return {
      ...copyBatch(this.kernel, batch, physicalSchema(this.kernel.memory.view, batch), this.#room),
      section: batch.section,
    };
  }

  /**
   * As `pull`, but gives up after a bounded amount of work: null, and `more` where there may be results still.
   */
  tryPull(
    maxRows = DEFAULT_MAX_ROWS,
    maxBytes = DEFAULT_MAX_BYTES,
  ): { batch: BatchData | null; more: boolean } {
    const status = this.#pullOnce(maxRows, maxBytes);
    return { batch: this.taken(), more: status === Status.HAS_MORE };
  }

  /** As `tryPull`, of a divided sort: rows of one part at a time, as they lie. */
  tryPullPart(
    maxRows = DEFAULT_MAX_ROWS,
    maxBytes = DEFAULT_MAX_BYTES,
  ): { batch: PartBatch | null; more: boolean } {
    const { batch, more } = this.tryPull(maxRows, maxBytes);
    const { partition } = readBatch(this.kernel.memory.view, this.#out);
    return { batch: batch === null ? null : { ...batch, partition }, more };
  }

  /**
   * As `tryPull`, but leaves the batch where it lies: valid until the operator's next call or, where it keeps its
   * results, until it is destroyed.
   */
  tryPullResident(maxRows = ALL_ROWS, maxBytes = ALL_BYTES): { batch: ResidentBatch | null; more: boolean } {
    const status = this.#pullOnce(maxRows, maxBytes);
    return { batch: this.takenResident(), more: status === Status.HAS_MORE };
  }

  /**
   * The next result batch where it lies in kernel memory, without a copy: valid until this operator's next
   * call. `copy()` keeps it for longer. Null when there is none (now).
   */
  pullResident(maxRows = DEFAULT_MAX_ROWS, maxBytes = DEFAULT_MAX_BYTES): ResidentBatch | null {
    this.#resident?.free();
    this.#resident = null;
    const batch = this.#pull(maxRows, maxBytes);
    if (batch === null) return null;
    this.#resident = ResidentBatch.borrow(this.kernel, this.output, batch);
    return this.#resident;
  }

  /**
   * Ends the input and leaves the results in kernel memory: where the operator made them, valid until it is destroyed, if
   * it `keepsResults`, else the last batch there, and earlier ones as copies. Free them all, then the operator.
   */
  finishResident(): ResidentBatch[] {
    const batches: ResidentBatch[] = [];
    try {
      for (let more = this.watermark(END_OF_INPUT) === Status.HAS_MORE; more; ) {
        more = this.pullHere(ALL_ROWS, ALL_BYTES);
        const batch = this.takenResident();
        if (batch !== null) batches.push(more && !this.#spec.keepsResults ? batch.copy() : batch);
      }
    } catch (error) {
      for (const batch of batches) batch.free();
      throw error;
    }
    return batches;
  }

  /** The number of a dictionary that results have, by where it lies. */
  #dictionaryId(address: number): number {
    const known = this.#dictionaryIds.get(address);
    if (known !== undefined) return known;
    const id = nextDictionaryId();
    this.#dictionaryIds.set(address, id);
    return id;
  }

  #pull(maxRows: number, maxBytes: number): BatchDescriptor | null {
    for (;;) {
      const status = this.#pullOnce(maxRows, maxBytes);
      const batch = readBatch(this.kernel.memory.view, this.#out);
      if (batch.rows > 0) return batch;
      if (status !== Status.HAS_MORE) return null;
    }
  }

  #pullOnce(maxRows: number, maxBytes: number, at: number = this.#out): Status {
    return this.#run(
      (exports, context) => exports.op_pull(context, this.#handle, at, maxRows, maxBytes),
      () => ({ ...this.#context(0), instruction: this.#spec.pulled ?? this.#spec.instruction }),
    );
  }

  /**
   * The state as batches, in the order in which `merge` takes them; of a join with `keepOutputs` the rows that it keeps, which
   * leave by port (bit 0 of `section`; see kernel/ABI.md). The operator takes no input meanwhile.
   */
  snapshot(maxRows = DEFAULT_MAX_ROWS): Generator<StateBatch> {
    return this.#snapshot((exports, context) =>
      exports.op_snapshot(context, this.#handle, this.#out, maxRows),
    );
  }

  /**
   * The state as one state after the other, of each partition of `parts` (1 to 256, by the key hash) that has groups:
   * what several operators hold can be merged a partition at a time.
   */
  snapshotParts(parts: number, maxRows = DEFAULT_MAX_ROWS): Generator<PartitionedState> {
    if (!Number.isInteger(parts) || parts < 1 || parts > MAX_PARTS) {
      throw new ArgumentError(`a state can be divided among 1 to ${MAX_PARTS} partitions, not ${parts}`, {
        value: parts,
      });
    }
    return this.#snapshot((exports, context) =>
      exports.op_snapshot_parts(context, this.#handle, this.#out, maxRows, parts),
    );
  }

  *#snapshot(next: (exports: KernelExports, context: number) => number): Generator<PartitionedState> {
    let open = true;
    try {
      while (open) {
        const status = this.#run(next);
        open = status === Status.HAS_MORE;
        const { memory } = this.kernel;
        const batch = readBatch(memory.view, this.#out);
        if (batch.columns === 0) continue;
        const { section, partition } = batch;
        const schema = physicalSchema(memory.view, batch);
        yield { ...copyBatch(this.kernel, batch, schema, this.#room), section, partition };
      }
    } finally {
      this.#releaseIf(open);
    }
  }

  /**
   * Rows that an aggregation `asLeaving` has set aside, piece by piece: the operator takes nothing meanwhile, and holds them
   * afterwards as before.
   */
  *rowsOut(): Generator<RowsAside> {
    let open = true;
    try {
      for (;;) {
        const status = this.#run((exports, context) => exports.op_rows_out(context, this.#handle, this.#out));
        open = status === Status.HAS_MORE;
        if (!open) return;
        const { memory } = this.kernel;
        const {
          rows,
          columns: width,
          descriptors: at,
          section,
          partition,
        } = readBatch(memory.view, this.#out);
        yield {
          rows,
          bytes: memory.bytes.subarray(at, at + rows * width),
          partition,
          reduces: section === 0,
        };
      }
    } finally {
      this.#releaseIf(open);
    }
  }

  /**
   * Applies `rows` rows that have left an operator of the same kernel and configuration, all of one partition, and lie at
   * `address` in kernel memory. After an error the operator can only be destroyed.
   * @param here about how many groups come in this partition, these included
   * @param waiting the same of all partitions
   */
  rowsIn(address: number, rows: number, partition: number, here: number, waiting: number): void {
    this.#run((exports, context) =>
      exports.op_rows_in(context, this.#handle, address, rows, partition, here, waiting),
    );
  }

  /** Gives up what was being read. */
  #releaseIf(open: boolean): void {
    // Where memory that ended has made the operator fail this is refused, too: the first error tells why.
    if (open && this.isOpen && this.#failure === null && this.kernel.isAlive)
      this.kernel.call((exports, context) => exports.op_release(context, this.#handle));
  }

  /** Merges one batch of another operator's (or an earlier run's) snapshot in. */
  merge(state: StateBatch): Status {
    this.#stage ??= new Stage(this.kernel);
    const staged = new StagedBatch(this.#stage, state, state.section);
    const columns = state.columns.map((_, index) => index);
    const address = staged.describe(columns, 0, state.length);
    return this.#run(
      (exports, context) => exports.op_merge(context, this.#handle, address),
      () => ({
        ...this.#context(0),
        inputs: state.schema.fields,
      }),
    );
  }

  /**
   * Takes in what another operator of the same kernel and configuration holds, bit by bit; yields in between. Nothing
   * may be done with either meanwhile; the other is as it was afterwards, but windows, which can only be destroyed.
   */
  *absorb(other: Operator): Generator<void> {
    for (;;) {
      const status: Status = this.kernel.call((exports, context) =>
        exports.op_combine(context, this.#handle, other.#handle),
      );
      if (status === Status.NEED_INPUT) return;
      if (status !== Status.HAS_MORE) {
        const record = this.kernel.call((exports, context) => exports.last_error(context)) >>> 0;
        // Not every state combines in memory; each merges.
        if (readFailure(this.kernel.memory, record).reason === Reason.STATE_KIND) break;
        throw this.kernel.lastError(this.#context(0));
      }
      yield;
    }
    for (let status: Status = Status.HAS_MORE; status === Status.HAS_MORE; ) {
      status = other.#run((exports, context) =>
        exports.op_snapshot(context, other.#handle, other.#out, Abi.MORSEL_ROWS),
      );
      if (readBatch(this.kernel.memory.view, other.#out).columns === 0) continue;
      this.#run((exports, context) => exports.op_merge(context, this.#handle, other.#out));
      yield;
    }
  }

  /**
   * Begins to take in what another aggregation of the same configuration holds in parts (`foldPart`, by any thread), all of
   * which are to be done: how many there are. 0: there is little, or `absorb` is to do it.
   */
  fold(other: Operator): number {
    return this.#run((exports, context) => exports.op_fold(context, this.#handle, other.#handle));
  }

  /** Does a part of what `fold` has begun. */
  foldPart(other: Operator, part: number): void {
    this.#run((exports, context) => exports.op_fold_part(context, this.#handle, other.#handle, part));
  }

  /** Whether `absorb` can take what another operator of the same configuration holds without going through batches. */
  combines(): boolean {
    return this.kernel.call((exports, context) => exports.op_combine(context, this.#handle, 0)) >= 0;
  }

  /**
   * Whether a batch that lies described in kernel memory may go to another of the operators that share a stream's windows
   * with this one, which keeps the time: its times, which count as seen then, close no window.
   */
  passes(address: number, schema: Schema, firstRow: number): boolean {
    const status = this.#run(
      (exports, context) => exports.op_pass(context, this.#handle, address),
      () => this.#pushContext(schema, firstRow, 0),
    );
    return status === Status.NEED_INPUT;
  }

  /** Whether an aggregation of the same configuration numbers its groups as this one does: then `absorb` adds arrays up. */
  isAlike(other: Operator): boolean {
    return this.#run((exports, context) => exports.op_alike(context, this.#handle, other.#handle)) % 2 === 1;
  }

  /**
   * Whether all texts that the other knows of its keys have the same ids here, as those of dictionaries have that both
   * have learnt whole. Of an operator and itself: whether its texts are such.
   */
  sharesTexts(other: Operator): boolean {
    return this.#run((exports, context) => exports.op_alike(context, this.#handle, other.#handle)) >= 2;
  }

  /** Whether groups of this aggregation can be divided by their keys' hash, to be brought together part by part. */
  divides(): boolean {
    return this.kernel.call((exports, context) => exports.op_divide(context, this.#handle, 0, 0)) >= 0;
  }

  /**
   * Divides the groups into `parts`; from now on the operator gives nothing but these (`combinePart`).
   * @param like an operator that all which are brought together share their texts with (`sharesTexts`), null where not
   */
  divide(parts: number, like: Operator | null = null): void {
    const lead = like === null ? 0 : like.#handle;
    this.#run((exports, context) => exports.op_divide(context, this.#handle, parts, lead));
  }

  /**
   * Lets an aggregation that shares rows with others (`asShared`) keep several keys in one word: as those are that it has seen, where
   * rows are set aside; or, one that has had no rows, as another of the same configuration does. False: nothing has changed.
   */
  pack(like: Operator | null = null): boolean {
    const other = like === null ? 0 : like.#handle;
    const status = this.#run((exports, context) => exports.op_pack(context, this.#handle, other));
    return status === Status.HAS_MORE;
  }

  /** Takes in a part of another operator of the same configuration that is divided, and stays as it is. */
  combinePart(source: Operator, part: number): void {
    this.#run((exports, context) => exports.op_combine_part(context, this.#handle, source.#handle, part));
  }

  /**
   * Begins to ready the results of this aggregation, which has ended, or the index of the side of this join that has: how
   * many parts of that there are to be done (`readyPart`, by any thread); 0 where it does not take long. What is not done the
   * first pull does.
   */
  ready(): number {
    return this.#run((exports, context) => exports.op_ready(context, this.#handle));
  }

  /** Does a part of what `ready` has begun. */
  readyPart(part: number): void {
    this.#run((exports, context) => exports.op_ready_part(context, this.#handle, part));
  }

  /**
   * Makes this aggregation, which has no rows, give part `part` of `parts` of what another of its configuration, which has
   * ended, has not given yet, while that lives. False where results of such aggregates are not shared.
   */
  shareResults(owner: Operator, part: number, parts: number): boolean {
    const status = this.kernel.call((exports, context) =>
      exports.op_share(context, this.#handle, owner.#handle, part, parts),
    );
    if (status >= 0) return true;
    const record = this.kernel.call((exports, context) => exports.last_error(context)) >>> 0;
    if (readFailure(this.kernel.memory, record).reason === Reason.STATE_KIND) return false;
    throw this.kernel.lastError(this.#context(0));
  }

  /** Learns the ranges of a sort's columns, as `split` needs them. */
  measure(): void {
    this.#run((exports, context) => exports.op_measure(context, this.#handle));
  }

  /**
   * Makes this sort the leader of others: finds what divides their rows into `parts`. Rows that it has are looked at for
   * that, else some of the others'.
   */
  split(sources: readonly Operator[], parts: number): void {
    const { kernel } = this;
    const handles = kernel.allocate(4 * sources.length);
    try {
      const { view } = kernel.memory;
      for (const [index, source] of sources.entries())
        view.setUint32(handles + 4 * index, source.#handle, true);
      this.#run((exports, context) =>
        exports.op_split(context, this.#handle, handles, sources.length, parts),
      );
    } finally {
      kernel.free(handles);
    }
  }

  /**
   * Divides the rows of this sort as its leader says, to be read by `takeParts` from then on, or to leave part by part once
   * its input has ended; false: there is more to do.
   */
  divideBy(leader: Operator): boolean {
    const status = this.#run((exports, context) =>
      exports.op_divide_by(context, this.#handle, leader.#handle),
    );
    return status !== Status.HAS_MORE;
  }

  /** Makes this sort, which has no rows, give parts [first, first + count) of what `leader` leads, while that lives. */
  takeParts(leader: Operator, first: number, count: number): void {
    this.#run((exports, context) =>
      exports.op_take_parts(context, this.#handle, leader.#handle, first, count),
    );
  }

  /**
   * Pulls once and leaves the batch where it lies, described at `at` (`taken`, `takenResident`). True: there is more.
   */
  pullHere(maxRows: number, maxBytes: number, at: number = this.#out): boolean {
    return this.#pullOnce(maxRows, maxBytes, at) === Status.HAS_MORE;
  }

  /** The exception for the record (at `address`) of a call other than a push that failed in another worker. */
  errorAt(address: number): MillraceError {
    const { memory } = this.kernel;
    return this.kernel.worded(failureError(readFailure(memory, address), memory, this.#context(0)));
  }

  /** Ends an open pull or snapshot, and the division of a sort that has found no memory for it. */
  release(): void {
    this.#run((exports, context) => exports.op_release(context, this.#handle));
  }

  /**
   * Numbers of the late rows within the last push, ascending; of a windowed aggregation that keeps them.
   * A push of more than 65,536 rows is several: push them one by one.
   */
  late(): Uint32Array {
    this.#run((exports, context) => exports.op_late(context, this.#handle, this.#out));
    const { view, bytes } = this.kernel.memory;
    const batch = readBatch(view, this.#out);
    if (batch.rows === 0) return new Uint32Array(0);
    const { values } = readColumn(view, batch.descriptors);
    return new Uint32Array(bytes.slice(values, values + batch.rows * 4).buffer);
  }

  /** The watermark of `stats()`: of a windowed aggregation, or of what a join by time lets go. */
  get watermarkTime(): bigint | null {
    const time = this.kernel.call((exports, context) => exports.op_time(context, this.#handle));
    return time === NO_WATERMARK ? null : time;
  }

  stats(): OperatorCounts {
    const at = this.#out + OUT_BYTES;
    this.#run((exports, context) => exports.op_stats(context, this.#handle, at));
    const { view } = this.kernel.memory;
    const watermark = view.getBigInt64(at + OperatorStats.WATERMARK, true);
    return {
      rowsIn: readU64(view, at + OperatorStats.ROWS_IN),
      rowsSelected: readU64(view, at + OperatorStats.ROWS_SELECTED),
      rowsOut: readU64(view, at + OperatorStats.ROWS_OUT),
      batchesIn: readU64(view, at + OperatorStats.BATCHES_IN),
      groups: readU64(view, at + OperatorStats.GROUPS),
      stateBytes: readU64(view, at + OperatorStats.STATE_BYTES),
      tableSlots: readU64(view, at + OperatorStats.TABLE_SLOTS),
      keyTier: readU64(view, at + OperatorStats.KEY_TIER),
      probes: readU64(view, at + OperatorStats.PROBES),
      lateRows: readU64(view, at + OperatorStats.LATE_ROWS),
      nullTimes: readU64(view, at + OperatorStats.NULL_TIMES),
      watermark: watermark === NO_WATERMARK ? null : watermark,
      openWindows: readU64(view, at + OperatorStats.OPEN_WINDOWS),
      backwardWatermarks: readU64(view, at + OperatorStats.BACKWARD_WATERMARKS),
      partitions: readU64(view, at + OperatorStats.PARTITIONS),
      partlyLateRows: readU64(view, at + OperatorStats.PARTLY_LATE_ROWS),
      isInOrder: readU64(view, at + OperatorStats.IN_ORDER) !== 0,
    };
  }

  /** Gives the operator's memory back. Safe to call twice, and after a failure. */
  destroy(): void {
    if (this.#handle === 0) return;
    const handle = this.#handle;
    this.#handle = 0;
    if (!this.kernel.isAlive) return;
    this.#resident?.free();
    this.#stage?.free();
    this.kernel.call((exports, context) => exports.op_destroy(context, handle));
    this.kernel.free(this.#out);
    this.kernel.retire(this);
  }

  [Symbol.dispose](): void {
    this.destroy();
  }

  /** A batch as `push` takes it several times without copying it again. */
  stage(input: InputBatch | BatchData): InputBatch {
    if ("describe" in input) {
      if (input.kernel.memory.memory === this.kernel.memory.memory) return input;
      throw new ArgumentError("the batch lies in the memory of another kernel");
    }
    this.#stage ??= new Stage(this.kernel);
    return this.#stage.batch(input);
  }

  #context(firstRow: number): FailureContext {
    const { labels, instruction, time } = this.#spec;
    return { outputs: this.output.fields, labels, instruction, time, firstRow };
  }

  /** Runs one export; a negative status becomes the exception for the error record, of which `context` says more. */
  #run(
    run: (exports: KernelExports, context: number) => number,
    context: () => FailureContext = () => this.#context(0),
  ): Status {
    if (this.#handle === 0) throw new ClosedError("the operator is closed");
    const status: Status = this.kernel.call(run);
    if (status >= 0) return status;
    const error = this.kernel.lastError(context());
    if (status !== Status.FAILED) {
      if (status !== Status.OUT_OF_MEMORY && status !== Status.BUSY) this.#failure ??= error;
      throw error;
    }
    throw new ClosedError(
      `the operator failed earlier${this.#failure === null ? "" : ` (${this.#failure.message})`}: it can only be destroyed`,
      { cause: this.#failure ?? error },
    );
  }

  /** Batches differ in their schemas more often by mistake than on purpose: look at each schema once. */
  #checkSchema(
    schema: Schema,
    columns: readonly number[],
    expected: readonly Field[] | undefined,
    port: number,
  ): void {
    if (schema === this.#checked[port] || expected === undefined) return;
    columns.forEach((column, i) => {
      const field = fieldAt(schema, column);
      const wanted = expected[i]!;
      if (field.name !== wanted.name) {
        throw new SchemaMismatchError(
          `column ${column} of the batch is "${field.name}" where "${wanted.name}" is expected`,
          { column: wanted.name, value: field.name, expected: wanted.name },
        );
      }
      if (!sameType(valueType(field.type), valueType(wanted.type))) {
        throw new SchemaMismatchError(
          `column "${field.name}" is ${typeName(field.type)} in this batch where ${typeName(wanted.type)} is expected`,
          { column: field.name, value: typeName(field.type), expected: typeName(wanted.type) },
        );
      }
    });
    this.#checked[port] = schema;
  }
}

/**
 * Where in the configuration a seed is to be written: tables are hashed by the kernel's, unless it has one or is
 * that of a test. Null for nowhere.
 */
function seedOffset({ kind, config }: OperatorSpec): number | null {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  const free = (at: number, size: number, seed: number, fault: number) =>
    config.length >= at + size && (view.getUint32(at + seed, true) | view.getUint32(at + fault, true)) === 0
      ? at + seed
      : null;
  if (kind === OperatorKind.JOIN) return free(0, JoinConfig.SIZE, JoinConfig.SEED, JoinConfig.FAULT);
  let at = 0;
  if (kind === OperatorKind.WINDOW_AGGREGATE && config.length >= WindowConfig.SIZE)
    at = view.getUint32(WindowConfig.AGGREGATE, true);
  else if (kind === OperatorKind.OVER && config.length >= OverConfig.SIZE)
    at = view.getUint32(OverConfig.AGGREGATE, true);
  else if (kind === OperatorKind.FRAMES && config.length >= FramesConfig.SIZE)
    at = view.getUint32(FramesConfig.AGGREGATE, true);
  else if (kind !== OperatorKind.HASH_AGGREGATE) return null;
  return free(at, AggregateConfig.SIZE, AggregateConfig.SEED, AggregateConfig.FAULT);
}

/** Rows that operators have taken together, those that a filter has left out not counted. */
export function selectedRows(operators: readonly Operator[]): number {
  return operators.reduce((sum, operator) => sum + operator.stats().rowsSelected, 0);
}
