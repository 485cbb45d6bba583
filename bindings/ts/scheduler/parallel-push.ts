// An aggregation that several workers push into operators of their own (shared-push.ts; the rows of a stream by way of
// spread-push.ts), brought together at the end.
//
// What an operator keeps beside its sums (kernel/operator/mixed-sums.ts) is added to these by its own thread when no more rows
// come: asked whether it divides, it has none.
//
// Their states merge to the same bits whatever the division of the rows. Few groups are folded into the first operator,
// as are those that all operators number alike: that adds arrays up. Others are divided by their keys' hash, by each
// operator's groups and the rows that it has set aside, and partitions are claimed: whoever takes one folds it, from all
// operators, into an operator of his own. These have no group in common and are the result.
//
// Where they are to stay in the kernel's memory, or a projection reads them there, what a part has brought is written at once,
// and its groups are forgotten (kernel/operator/aggregate-drain.ts). Else the results are written by whoever is free, an
// operator by one at a time (shared-results.ts). Where one operator has them all, others are made that read it, each of which
// gives a part (kernel/operator/aggregate-share.ts), if by the time that the first rows take writing the others would take long.
//
// What takes long before the first result leaves, laying many values group by group and selecting among them, is done
// by all, too, in parts that the kernel names (kernel/operator/aggregate-ready.ts).

import { Abi } from "../../../kernel/abi/layout.js";
import { OperatorKind } from "../../../kernel/abi/operator.js";
import {
  END_OF_INPUT,
  type InputBatch,
  type Kernel,
  type Operator,
  type ResidentBatch,
  selectedRows,
} from "../kernel/index.js";
import type { QueryWorkers, Task } from "../pool/index.js";
import { MemoryLimitError } from "../type/error.js";
import { SharedPush, type StaysAlone } from "./shared-push.js";
import { ALL_BYTES, ALL_ROWS, finished, firstRows, SharedResults, type Written } from "./shared-results.js";
import { SharedWork } from "./shared-work.js";
import { SpreadPush } from "./spread-push.js";
import { atWork, rowsOf, type StepBatch, type Take } from "./step.js";

/**
 * One thread goes on alone when the first morsel, of so many rows or more, has brought a group for nearly each of them
 * and its aggregates cannot be divided: then folding costs what sharing saves. Over 3 M rows, five results, all CPU
 * time added up, 100,000 groups (a ratio of 0.73) cost 63 ms alone and 85 shared, of which 2 are folding; a million
 * (0.97) 372 alone, and 456 shared, 264 of them folding.
 *
 * Where texts are among the keys that every thread numbers in its own way, dividing costs more, too: over 10 M rows, as
 * many groups by three texts and three integers take 1.55 s alone, 4 s divided among two. With 400,000 groups, a ratio of
 * 0.92, two gain over a long input, and lose nothing that tells over a shorter one. Texts of a dictionary that is learnt
 * whole are numbered alike: then two take 1.2 s, as long as no others come.
 */
const ALONE_ROWS = 16_384;
const ALONE_RATIO = 0.9;
const ALONE_TEXTS_RATIO = 0.98;
const MORSEL_ROWS: number = Abi.MORSEL_ROWS;
/** Groups besides those of the first operator from which on they are divided: folding them takes some 5 ms. */
const DIVIDE_GROUPS = 65_536;
/** Parts into which the kernel divides. */
const PARTS = 256;
/**
 * Rows of results that one thread writes before the others are shared, and how many milliseconds these would have to
 * take: to call a thread, and to make operators that read, takes a fifth of that.
 */
const LOOK_ROWS = 2048;
const SHARE_MS = 1;
/** Parts of shared results for each thread: group numbers have not all as many rows of results. */
const PARTS_EACH = 2;
/** Most of them: handles are a thousand in all. */
const MOST_READERS = 64;

export class ParallelPush {
  readonly #kernel: Kernel;
  readonly #pool: QueryWorkers;
  readonly #create: () => Operator;
  /** Where results of parts may leave as these come together: makes operators that they stay in. */
  readonly #createKeeping: (() => Operator) | null;
  readonly #push: SharedPush;
  /** Whether keys of the operators are words; null before there is a second one. */
  #packs: boolean | null = null;
  /** As `SharedPush` is told. */
  readonly staysAlone: ((operator: Operator) => StaysAlone) | null;
  /** How rows of a stream are pushed. */
  readonly spread: SpreadPush;
  /** The calling thread's first. Those of the result, once it has been brought together. */
  #operators: Operator[];
  /** What is brought into `operators` when many groups are. */
  #sources: Operator[] = [];
  #work: SharedWork | null = null;
  /** Where several operators have the results, and others write them. */
  #results: SharedResults | null = null;
  /** Those that read the one operator which has the results. */
  readonly #readers: Operator[] = [];
  /** The first rows of results, which one thread has written. */
  #first: ResidentBatch | null = null;
  #isFinishing = false;
  /** States of several threads that were brought together. */
  merged = 0;

  /**
   * @param create makes another operator like `first`
   * @param staysAlone whether, by what the first morsel has brought, sharing would not pay; null where it always does
   * @param keepsTime of a stream: whether `first` keeps the time by the rows that it sees
   * @param createKeeping where results stay in the kernel's memory (`keep`), or are lent, and may before the last of them are
   *   known: makes another operator that is asked for nothing else
   */
  constructor(
    pool: QueryWorkers,
    first: Operator,
    create: () => Operator,
    staysAlone: ((operator: Operator) => StaysAlone) | null,
    keepsTime = false,
    createKeeping: (() => Operator) | null = null,
  ) {
    this.#kernel = first.kernel;
    this.#pool = pool;
    this.#create = create;
    this.#createKeeping = createKeeping;
    this.staysAlone = staysAlone;
    const another = createKeeping === null ? create : () => this.#packed(create());
    const settles = first.kind === OperatorKind.HASH_AGGREGATE;
    const settle = settles ? (operator: Operator) => void operator.divides() : null;
    this.#push = new SharedPush(pool, first, another, { staysAlone, settle });
    this.#operators = this.#push.operators;
    const spreadsNot = staysAlone && ((operator: Operator) => staysAlone(operator) !== false);
    this.spread = new SpreadPush(this.#push, spreadsNot, keepsTime, pool);
  }

  /** Of a stream those that no other thread is at work with: they may be asked at any time. */
  get operators(): readonly Operator[] {
    if (this.spread.isWaiting || this.#isFinishing) return [this.#operators[0]!];
    return this.#readers.length === 0 ? this.#operators : [...this.#operators, ...this.#readers];
  }

  /** Lets another operator keep keys in the words of the first, where that has seen what comes. */
  #packed(operator: Operator): Operator {
    const [first] = this.#push.operators;
    this.#packs ??= first!.pack();
    try {
      if (this.#packs) operator.pack(first!);
    } catch (error) {
      operator.destroy();
      throw error;
    }
    return operator;
  }

  /** Takes rows, a morsel at a time; yields while it waits for the others. What goes wrong with them may come up later. */
  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<void> {
    const end = start + rows;
    for (let from = start; from < end; from += MORSEL_ROWS)
      yield* this.#push.push(input, from, Math.min(MORSEL_ROWS, end - from), firstRow);
  }

  /** One more operator, that morsels go to from elsewhere: nobody is at work on it when `finish` is called. */
  another(): Operator {
    return this.#push.another();
  }

  /** Finishes what was offered and brings it together: `operators` then have the result. */
  finish(): Generator<void> {
    return this.#finishing(this.#bringTogether());
  }

  *#bringTogether(): Generator<void> {
    yield* this.#push.finish();
    if (this.#operators.length > 1) {
      this.merged = this.#operators.length;
      if (this.#isDivided()) yield* this.#divide();
      else yield* this.#push.fold(yield* this.#foldParts());
    }
    for (const operator of this.#operators) yield* this.#ready(operator);
  }

  /** Does work meanwhile that others take part in. */
  *#finishing<T>(work: Generator<T>): Generator<T> {
    this.#isFinishing = true;
    try {
      yield* work;
    } finally {
      this.#isFinishing = false;
    }
  }

  #isDivided(): boolean {
    const [first, ...others] = this.#operators;
    // The first has nearly all where the others had to stop: they are fewer to be translated.
    if (!first!.divides() || this.#push.isAlone) return false;
    const { divideGroups } = this.#pool.faults;
    if (divideGroups === undefined && others.every((other) => first!.isAlike(other))) return false;
    const counts = others.map((operator) => operator.stats());
    const groups = counts.reduce((sum, count) => sum + count.groups, 0);
    return counts.some(({ partitions }) => partitions > 0) || groups >= (divideGroups ?? DIVIDE_GROUPS);
  }

  *#divide(): Generator<void> {
    this.#sources = this.#operators;
    this.#operators = [];
    while (this.#operators.length <= this.#pool.threads)
      this.#operators.push((this.#createKeeping ?? this.#create)());
    const [own, ...others] = this.#operators;
    const byHandle = new Map(this.#sources.map((source) => [source.handle, source]));
    const handles = others.map(({ handle }) => handle);
    const first = this.#sources.find((source) => source.stats().rowsSelected > 0);
    const isLed = first !== undefined && this.#sources.every((source) => first.sharesTexts(source));
    const like = isLed ? first : null;
    const task = { kind: "divide", parts: PARTS, like: like?.handle ?? 0 } as const;
    yield* this.#share(task, handles, [...byHandle.keys()], (handle) => {
      const source = byHandle.get(handle)!;
      source.divide(PARTS, like);
    });
    if (this.#createKeeping !== null) this.#results = new SharedResults(this.#pool, this.#operators);
    const results = this.#results;
    const [order, ...orders] = results?.place(selectedRows(this.#sources), PARTS + 1) ?? [];
    const sources = [...byHandle.keys()];
    const combine = { kind: "combine", sources, orders, maxRows: ALL_ROWS, maxBytes: ALL_BYTES } as const;
    yield* this.#share(combine, handles, [...Array(PARTS).keys()], (part) => {
      for (const source of this.#sources) own!.combinePart(source, part);
      if (order !== undefined) results!.pullPart(order);
    });
    for (const source of this.#sources.splice(0)) source.destroy();
  }

  /** Folds operators into the first one whose groups are many, and numbered alike, by parts that are claimed: which. */
  *#foldParts(): Generator<void, Operator[]> {
    const [first, ...others] = this.#operators;
    if (first!.kind !== OperatorKind.HASH_AGGREGATE) return [];
    let parts = 0;
    const sources = others.filter((other) => {
      const here = first!.fold(other);
      parts = Math.max(parts, here);
      return here > 0;
    });
    if (sources.length === 0) return [];
    const task = {
      kind: "fold",
      target: first!.handle,
      sources: sources.map(({ handle }) => handle),
    } as const;
    const none = Array.from({ length: this.#pool.threads }, () => 0);
    yield* this.#share(task, none, [...Array(parts).keys()], (part) => {
      for (const source of sources) first!.foldPart(source, part);
    });
    return sources;
  }

  /** Readies results that take long: no more rows come. */
  *#ready(operator: Operator): Generator<void> {
    if (operator.kind !== OperatorKind.HASH_AGGREGATE) return;
    operator.watermark(END_OF_INPUT);
    const parts = operator.ready();
    if (parts === 0) return;
    const none = Array.from({ length: this.#pool.threads }, () => 0);
    yield* this.#share({ kind: "ready", operator: operator.handle }, none, [...Array(parts).keys()], (part) =>
      operator.readyPart(part),
    );
  }

  /**
   * The results of what has been brought together, in batches of `batchRows` at most; empty ones while others are at work.
   * @param take as of `SharedResults.leave`
   */
  *results(batchRows: number, take: Take<StepBatch>): Generator<StepBatch> {
    const [operator] = this.#operators;
    let written: Written | null = null;
    if (this.#results !== null) {
      yield* this.#keptParts();
      return;
    }
    if (this.#operators.length === 1) {
      const groups = groupsOf(operator!);
      if (groups > this.#lookRows) {
        const looking = firstRows(operator!, Math.min(this.#lookRows, batchRows), take);
        const first = yield* atWork(looking, operator!.output);
        written = first.written;
        const rows = first.batch === null ? 0 : rowsOf(first.batch);
        if (first.batch !== null) yield first.batch;
        if (!first.more) return;
        if (!this.#makeReaders(operator!, groups, rows, written.writingMs)) written = null;
      }
      if (written === null) {
        yield* finished(operator!, batchRows, take);
        return;
      }
    }
    this.#results = new SharedResults(this.#pool, written === null ? this.#operators : this.#readers);
    yield* this.#finishing(this.#results.leave(batchRows, written, take));
  }

  /** Results that have been written, part by part, where they were brought together: one batch after the other is lent. */
  *#keptParts(): Generator<StepBatch> {
    yield* atWork(this.keep(), this.#operators[0]!.output);
    const batches = this.takeKept()!;
    try {
      for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) yield batch;
    } finally {
      for (const batch of batches) batch.free();
    }
  }

  /** Writes the results into the operators' memory, where they are shared; else they are still to be asked for. */
  *keep(): Generator<void> {
    const [operator] = this.#operators;
    let rows: number;
    if (this.#operators.length === 1) {
      rows = groupsOf(operator!);
      if (rows <= this.#lookRows) return;
      const take = (from: Operator) => from.takenResident();
      const { batch, more, written } = yield* firstRows(operator!, this.#lookRows, take, ALL_BYTES);
      this.#first = batch;
      if (!more || !this.#makeReaders(operator!, rows, batch?.rows ?? 0, written.writingMs)) return;
    } else rows = selectedRows(this.#operators);
    const isRead = this.#readers.length > 0;
    this.#results ??= new SharedResults(this.#pool, isRead ? this.#readers : this.#operators);
    yield* this.#finishing(this.#results.keep(rows));
  }

  /** The batches that `keep` has left in the memory of `operators`; null where it has left none. */
  takeKept(): ResidentBatch[] | null {
    const [operator] = this.#operators;
    const first = this.#first;
    this.#first = null;
    if (this.#results !== null) return [...(first === null ? [] : [first]), ...this.#results.takeKept()];
    return first === null ? null : [first, ...operator!.finishResident()];
  }

  get #lookRows(): number {
    return this.#pool.faults.lookRows ?? LOOK_ROWS;
  }

  /**
   * Makes operators that give what `operator` has not given yet, a part each, if that would take long.
   * @param rows of all results
   * @param given those that it has given, and what that took
   */
  #makeReaders(operator: Operator, rows: number, given: number, ms: number): boolean {
    const { lookRows, leavesPieces } = this.#pool.faults;
    const isForced = lookRows !== undefined || leavesPieces === true;
    if (!isForced && (ms * (rows - given)) / Math.max(1, given) < SHARE_MS) return false;
    const parts = Math.min(MOST_READERS, PARTS_EACH * (this.#pool.threads + 1));
    try {
      for (let part = 0; part < parts; part++) {
        const reader = this.#create();
        this.#readers.push(reader);
        if (reader.shareResults(operator, part, parts)) continue;
        this.#dropReaders();
        return false;
      }
    } catch (error) {
      this.#dropReaders();
      // One thread needs less.
      if (!(error instanceof MemoryLimitError)) throw error;
    }
    return this.#readers.length > 0;
  }

  #dropReaders(): void {
    for (const reader of this.#readers.splice(0)) reader.destroy();
  }

  *#share(task: Task, handles: readonly number[], values: readonly number[], own: (value: number) => void) {
    const [first] = this.#operators;
    this.#work = new SharedWork(this.#kernel, this.#pool, {
      task,
      handles,
      ring: values.length,
      failure: (_, record) => first!.errorAt(record),
    });
    for (const value of values) this.#work.offer(value);
    yield* this.#work.finish(own);
    this.#work = null;
  }

  /** Stops what is going on; resolves when no other thread uses the operators or the input any more. */
  async abandon(): Promise<void> {
    await this.#push.abandon();
    await this.#work?.abandon();
    await this.#results?.abandon();
  }

  /** Gives all memory back. Nobody may be at work (`abandon`). */
  free(): void {
    this.#push.free();
    this.#work?.free();
    this.#work = null;
    this.#results?.free();
    this.#dropReaders();
    for (const operator of [...this.#sources.splice(0), ...this.#operators]) operator.destroy();
  }
}

/** Groups of an aggregation; 0 of another operator. Those of small ranges are counted, which takes a while. */
function groupsOf(operator: Operator): number {
  return operator.kind === OperatorKind.HASH_AGGREGATE ? operator.stats().groups : 0;
}

/** Whether an aggregation stays on one thread by what its first morsel has brought; null where that does not matter. */
export function aloneWhere(
  divides: boolean,
  hasTextKeys: boolean,
): ((operator: Operator) => StaysAlone) | null {
  if (divides && !hasTextKeys) return null;
  const ratio = divides ? ALONE_TEXTS_RATIO : ALONE_RATIO;
  return (operator) => {
    if (!bringsManyGroups(operator, ratio)) return false;
    return divides && operator.sharesTexts(operator) ? "with other texts" : true;
  };
}

/** Whether an operator has so many rows that they tell, and more than `ratio` groups for each. */
export function bringsManyGroups(operator: Operator, ratio: number): boolean {
  const { groups, rowsSelected } = operator.stats();
  return rowsSelected >= ALONE_ROWS && groups > ratio * rowsSelected;
}
