// Pushing morsels by several workers, each into an operator of its own.
//
// The first morsel goes the way of one thread: most inputs are no longer, and what it brings may tell that sharing would
// not pay. Where nothing can tell, and the batch at hand is long, it is shared like the others. Morsels are described (or,
// if they lie on the host, copied) into slots and offered; the calling thread takes one itself whenever enough are
// waiting for the others. Which worker gets which rows is chance: only operators for which it makes no difference, once
// they are brought together (parallel-push.ts, shared-sort.ts), are pushed this way.

import { Abi } from "../../../kernel/abi/layout.js";
import {
  type InputBatch,
  type Kernel,
  type Operator,
  type Stage,
  StagedBatch,
  Stages,
} from "../kernel/index.js";
import { type Job, PushRounds, type QueryWorkers, type Task } from "../pool/index.js";
import type { Schema } from "../type/data-type.js";
import { SharedWork } from "./shared-work.js";

/** Places in a job's ring; morsels in kernel memory are offered this far ahead. */
const RING = 64;
/** Morsels after which the calling thread takes one itself, until it is that far ahead: to describe them all first takes 0.2 ms. */
const OFFERS_A_PIECE = 6;
/** Morsels that are copied ahead for each thread: they take memory, and grow cold. */
const STAGED_AHEAD = 3;

/** Rounds of one job at most; after that others wait for its end. */
const MOST_ROUNDS = 16;

/** Rows of a first batch from which on its first morsel is shared, too. */
const LONG_ROWS = 8 * Abi.MORSEL_ROWS;

/**
 * Whether sharing would not pay, by what the first morsel has brought: it would, it would not, or as long as texts are of
 * the same dictionaries.
 */
export type StaysAlone = boolean | "with other texts";

/** What a thread pushes into: an operator, or several together (push-together.ts). */
export interface Target {
  readonly kernel: Kernel;
  /** The operator that another thread is told of. */
  readonly handle: number;
  readonly columns: readonly number[];
  push(input: InputBatch, start: number, rows: number, firstRow: number): unknown;
  pushDescribed(address: number, schema: Schema, firstRow: number): unknown;
  /** The error of a push that failed in another thread. */
  pushError(record: number, schema: Schema, firstRow: number): unknown;
}

/** A morsel that is in the ring. */
interface Offered {
  readonly number: number;
  readonly slot: Stage;
  /** What the calling thread pushes it into. */
  readonly target: Target;
  /** Its rows: [start, start + rows) of `input`, whose row 0 is number `firstRow` of the whole input. */
  readonly input: InputBatch;
  readonly start: number;
  readonly rows: number;
  readonly firstRow: number;
}

export interface SharedPushOptions<T> {
  /** Whether, by what the first morsel has brought, sharing would not pay; null where it always does. */
  readonly staysAlone?: ((operator: T) => StaysAlone) | null;
  /** How the others push, into these of theirs. */
  readonly task?: ((others: readonly T[]) => Task) | null;
  /** Whether morsels go to other operators after a while (`renew`), as `push` tasks do. */
  readonly renews?: boolean;
  /** What is done to the calling thread's operator when no more morsels come, while the others do so to theirs. */
  readonly settle?: ((operator: T) => void) | null;
}

/** Numbers of the columns' dictionaries, 0 for those that have none. */
function dictionariesOf(input: InputBatch, columns: readonly number[]): number[] {
  return columns.map((column) => input.view(column)?.dictionary?.id ?? 0);
}

export class SharedPush<T extends Target = Operator> {
  readonly #kernel: Kernel;
  readonly #pool: QueryWorkers;
  readonly #create: () => T;
  readonly #staysAlone: ((operator: T) => StaysAlone) | null;
  readonly #task: ((others: readonly T[]) => Task) | null;
  /** The calling thread's first. */
  readonly operators: T[];
  /** Those of them that morsels go to now, the calling thread's first. */
  #active: T[];
  #work: SharedWork | null = null;
  #pushed = 0;
  #alone = false;
  /** Numbers of the dictionaries that the first morsel came with, where others would end the sharing. */
  #dictionaries: readonly number[] | null = null;
  /** The last batch whose dictionaries were looked at. */
  #seen: InputBatch | null = null;
  readonly #slots: Stages;
  readonly #offered = new Map<number, Offered>();
  readonly #renews: boolean;
  readonly #settle: ((operator: T) => void) | null;
  /** Address of the job's rounds (`PushRounds`), and how many there are; 0 where there are none. */
  #rounds = 0;
  #roundCount = 0;

  /** @param create makes another operator like `first` */
  constructor(
    pool: QueryWorkers,
    first: T,
    create: () => T,
    { staysAlone = null, task = null, renews = false, settle = null }: SharedPushOptions<T> = {},
  ) {
    this.#kernel = first.kernel;
    this.#slots = new Stages(first.kernel);
    this.#pool = pool;
    this.#create = create;
    this.#staysAlone = staysAlone;
    this.#task = task;
    this.#renews = renews;
    this.#settle = settle;
    this.operators = [first];
    this.#active = [first];
  }

  /** Takes a morsel; yields while it waits for the others. What goes wrong with its rows may come up later. */
  *push(input: InputBatch, start: number, rows: number, firstRow: number): Generator<void> {
    const isFirst = this.#pushed === 0 && (this.#staysAlone !== null || input.rows < LONG_ROWS);
    if (this.#hasOtherTexts(input)) {
      yield* this.rest();
      this.#alone = true;
    }
    if (isFirst || this.#alone) {
      const [operator] = this.#active;
      operator!.push(input, start, rows, firstRow);
      if (isFirst) this.#judge(operator!, input);
      this.#pushed += 1;
      return;
    }
    yield* this.offer(input, start, rows, firstRow);
  }

  #judge(operator: T, input: InputBatch): void {
    const stays = this.#staysAlone?.(operator) ?? false;
    this.#alone = stays === true;
    if (stays !== "with other texts") return;
    this.#dictionaries = dictionariesOf(input, operator.columns);
    this.#seen = input;
  }

  /** Whether a batch comes with other dictionaries than the first one, where that matters. */
  #hasOtherTexts(input: InputBatch): boolean {
    if (this.#dictionaries === null || this.#alone || input === this.#seen) return false;
    this.#seen = input;
    const ids = dictionariesOf(input, this.#active[0]!.columns);
    return ids.some((id, index) => id !== this.#dictionaries![index]);
  }

  /** Whether what comes now goes to the first operator alone. */
  get isAlone(): boolean {
    return this.#alone;
  }

  /**
   * Lets everybody claim a morsel.
   * @param wakes as of `SharedWork.offer`
   * @param isOwn asked of the morsel once it lies described: whether it is the calling thread's after all
   * @returns the morsel's address in that case, else 0; it stays as it is until the next one
   */
  *offer(
    input: InputBatch,
    start: number,
    rows: number,
    firstRow: number,
    wakes = true,
    isOwn: ((address: number) => boolean) | null = null,
  ): Generator<void, number> {
    const work = this.#begin();
    const { job } = work;
    const ahead = input instanceof StagedBatch ? STAGED_AHEAD * this.#pool.threads : RING - 1;
    if (job.filled % OFFERS_A_PIECE === OFFERS_A_PIECE - 1 && job.waiting > this.#pool.threads)
      yield* work.help(this.#own);
    for (;;) {
      this.#collect(job);
      if (this.#offered.size <= ahead + this.#pool.threads && job.waiting <= ahead && job.hasPlace) break;
      yield* work.help(this.#own);
    }
    // It counts as free until it is described: memory may end in the middle of that.
    const { columns } = this.#active[0]!;
    const slot = this.#slots.next(input, columns.length);
    const address = slot.describe(input, columns, start, rows, firstRow);
    if (isOwn?.(address)) return address;
    this.#slots.take();
    this.#offered.set(job.filled, {
      number: job.filled,
      slot,
      target: this.#active[0]!,
      input,
      start,
      rows,
      firstRow,
    });
    work.offer(address, wakes);
    this.#pushed += 1;
    return 0;
  }

  /** Finishes what was offered; the others wait for more. */
  *rest(): Generator<void> {
    if (this.#work === null) return;
    yield* this.#work.rest(this.#own);
    this.#collect(this.#work.job);
  }

  /** Lets morsels go to other operators from now on. */
  *renew(): Generator<void> {
    if (this.#rounds === 0 || this.#roundCount === MOST_ROUNDS) {
      yield* this.finish();
      this.#active = [this.another()];
      return;
    }
    const next: T[] = [];
    while (next.length <= this.#pool.threads) next.push(this.another());
    this.#active = next;
    this.#beginRound(this.#work!.job.filled);
  }

  /** One more operator, which is pushed into from elsewhere, or next. */
  another(): T {
    const operator = this.#create();
    this.operators.push(operator);
    return operator;
  }

  /** Finishes what was offered. Afterwards no other thread is at work here. */
  *finish(): Generator<void> {
    this.#seen = null;
    if (this.#work === null) return;
    yield* this.#work.finish(this.#own, () => this.#settle?.(this.#active[0]!));
    this.#collect(this.#work.job);
    this.#work = null;
    this.#endRounds();
    this.#slots.free();
  }

  /**
   * Folds what all operators hold into the first one, the only one from then on. After `finish`.
   * @param folded those whose share it has already
   */
  *fold(this: SharedPush, folded: readonly Operator[] = []): Generator<void> {
    const [first, ...others] = this.operators;
    for (const other of others) {
      if (!folded.includes(other)) yield* first!.absorb(other);
      other.destroy();
    }
    this.operators.length = 1;
  }

  #begin(): SharedWork {
    if (this.#work !== null) return this.#work;
    const { threads } = this.#pool;
    while (this.#active.length <= threads) this.#active.push(this.another());
    const others = this.#active.slice(1);
    if (this.#renews) this.#beginRounds();
    this.#work = new SharedWork(this.#kernel, this.#pool, {
      task: this.#task?.(others) ?? { kind: "push", rounds: this.#rounds, settles: this.#settle !== null },
      handles: others.map(({ handle }) => handle),
      ring: RING,
      failure: (number, record) => {
        const { input, start, firstRow } = this.#offered.get(number)!;
        return this.#active[0]!.pushError(record, input.schema, firstRow + start);
      },
    });
    return this.#work;
  }

  readonly #own = (address: number, number: number): void => {
    const { target, input, start, firstRow } = this.#offered.get(number)!;
    target.pushDescribed(address, input.schema, firstRow + start);
  };

  get #roundBytes(): number {
    return PushRounds.HANDLES + 4 * this.#pool.threads;
  }

  #beginRounds(): void {
    this.#endRounds();
    const bytes = PushRounds.ROUNDS + MOST_ROUNDS * this.#roundBytes;
    this.#rounds = this.#kernel.allocate(bytes);
    this.#kernel.memory.bytes.fill(0xff, this.#rounds, this.#rounds + bytes);
    this.#beginRound(0);
  }

  /** Morsels from number `first` on are of another round, whose operators are the active ones. */
  #beginRound(first: number): void {
    const { view } = this.#kernel.memory;
    const at = this.#rounds + PushRounds.ROUNDS + this.#roundCount * this.#roundBytes;
    for (let worker = 0; worker < this.#pool.threads; worker++)
      view.setUint32(at + PushRounds.HANDLES + 4 * worker, this.#active[worker + 1]!.handle, true);
    view.setUint32(at + PushRounds.FIRST, first, true);
    this.#roundCount += 1;
    view.setUint32(this.#rounds + PushRounds.COUNT, this.#roundCount, true);
  }

  #endRounds(): void {
    if (this.#rounds !== 0) this.#kernel.free(this.#rounds);
    this.#rounds = 0;
    this.#roundCount = 0;
  }

  /** Takes slots back whose morsels are done; there are none among those that nobody has claimed. */
  #collect(job: Job): void {
    const { claimed } = job;
    for (const { number, slot, target, input, start, rows } of this.#offered.values()) {
      if (number >= claimed) return;
      if (!job.isDone(number)) continue;
      input.accepted?.(target.columns, start, rows);
      this.#offered.delete(number);
      this.#slots.giveBack(slot);
    }
  }

  /** Stops what is going on; resolves when no other thread uses the operators or the input any more. */
  async abandon(): Promise<void> {
    await this.#work?.abandon();
  }

  /** Gives all memory back but that of the operators, which the caller destroys. Nobody may be at work (`abandon`). */
  free(): void {
    this.#work?.free();
    this.#work = null;
    this.#endRounds();
    for (const { slot } of this.#offered.values()) this.#slots.giveBack(slot);
    this.#offered.clear();
    this.#slots.free();
  }
}
