/// <reference lib="esnext.disposable" preserve="true" />
// One kernel: a module instance, its memory and its context.
//
// Whatever leaves the kernel goes through `call`, so that a trap is noticed once and for all: the memory
// may be half-written then, and every later call throws at once.

import { Account, ContextFlag } from "../../../kernel/abi/layout.js";
import type { BatchData } from "../type/column.js";
import {
  ArgumentError,
  ClosedError,
  KernelTrapError,
  MemoryLimitError,
  type MillraceError,
} from "../type/error.js";
import { chooseBuild, type KernelBuild, loadModule } from "./build.js";
import { defaultBudget, formatBytes, parseBudget } from "./bytes.js";
import type { KernelExports } from "./exports.js";
import { type FailureContext, failureError, memoryError, readFailure } from "./failure.js";
import { type HashAggregateSpec, hashAggregateOperator } from "./hash-aggregate.js";
import { KernelMemory } from "./memory.js";
import { Operator, type OperatorSpec } from "./operator.js";
import { PartialAggregation } from "./partial.js";
import { Partition, type PartitionSpec } from "./partition.js";
import { type ProjectSpec, projectOperator } from "./project.js";
import { ResidentTable } from "./resident.js";
import { type SortSpec, sortOperator } from "./sort.js";
import type { WasmMemory, WasmModule, WasmSource } from "./wasm.js";

export interface KernelOptions {
  /** `auto` (the default) takes SIMD where the host has it. `threads` has a shared memory. */
  readonly build?: KernelBuild | "auto" | undefined;
  /** The module, or where to get it, instead of the package's own files. */
  readonly wasm?: WasmSource | undefined;
  /** Most memory in bytes, or a text such as "2 GiB". Default: half of the machine's, at most 3.5 GiB. */
  readonly budget?: number | string | undefined;
  /** Address of the root block, a multiple of 64; what lies below stays free for the host. */
  readonly base?: number | undefined;
  /**
   * Seed of the hash tables of operators, 1 to 2^32 - 1, so that nobody can choose keys that meet in the same slots.
   * Default: a random number. Changes no result, only the order of rows that have none.
   */
  readonly seed?: number | undefined;
}

/** What another worker needs to attach to the memory of a `threads` kernel; passes through postMessage. */
export interface KernelShare {
  readonly build: KernelBuild;
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  readonly base: number;
}

const PAGE = 65536;
const MAX_PAGES = 65536;
/** Memory that is there from the start: root block, one context, and a few small operators. */
const INITIAL_BYTES = 2 ** 21;
const DEFAULT_BASE = 1024;

/** What a kernel and those of its accounts share. */
interface KernelState {
  trap: KernelTrapError | null;
  watcher: ((start: number, end: number) => void) | null;
  isClosed: boolean;
  /** The account that the context charges now. */
  charged: number;
  /** See `Kernel.retire`. */
  readonly retired: Map<unknown, object>;
}

export class Kernel {
  readonly build: KernelBuild;
  readonly memory: KernelMemory;
  /** Seed of the hash tables of this kernel's operators. */
  readonly seed: number;
  readonly #module: WasmModule;
  readonly #exports: KernelExports;
  readonly #context: number;
  readonly #state: KernelState;
  /** What is charged for what is allocated from here; 0: nothing. */
  #account = 0;

  private constructor(
    build: KernelBuild,
    module: WasmModule,
    memory: KernelMemory,
    exports: KernelExports,
    context: number,
    seed: number,
    state: KernelState = { trap: null, watcher: null, isClosed: false, charged: 0, retired: new Map() },
  ) {
    this.build = build;
    this.memory = memory;
    this.seed = seed;
    this.#module = module;
    this.#exports = exports;
    this.#context = context;
    this.#state = state;
  }

  /**
   * A kernel with a memory of its own.
   * @throws ArgumentError when an option is out of range or the module is not found.
   */
  static async open(options: KernelOptions = {}): Promise<Kernel> {
    const build = chooseBuild(options.build ?? "auto");
    const base = options.base ?? DEFAULT_BASE;
    if (!Number.isInteger(base) || base < 64 || base % 64 !== 0 || base > 2 ** 32 - PAGE - INITIAL_BYTES) {
      throw new ArgumentError(`base ${base} is not a multiple of 64 that leaves room in 4 GiB`, {
        value: base,
      });
    }
    const seed = options.seed ?? randomSeed();
    if (!Number.isInteger(seed) || seed < 1 || seed >= 2 ** 32) {
      throw new ArgumentError(`seed ${seed} is not a whole number from 1 to 2^32 - 1`, { value: seed });
    }
    const budget = options.budget === undefined ? await defaultBudget() : parseBudget(options.budget);
    const module = await loadModule(build, options.wasm);
    const initial = Math.ceil((base + INITIAL_BYTES) / PAGE);
    let memory: WasmMemory;
    try {
      memory = new WebAssembly.Memory({ initial, maximum: MAX_PAGES, shared: build === "threads" });
    } catch (error) {
      throw new MemoryLimitError(`the host refused a WebAssembly memory of ${formatBytes(initial * PAGE)}`, {
        cause: error,
      });
    }
    const kernel = await Kernel.#start(build, module, memory, base, ContextFlag.GROW, seed);
    kernel.#exports.mem_budget(kernel.#context, budget);
    return kernel;
  }

  /** A second context on the memory of a `threads` kernel, for another worker. Its budget and heap are shared. */
  static attach(share: KernelShare): Promise<Kernel> {
    return Kernel.#start(
      share.build,
      share.module,
      share.memory,
      share.base,
      ContextFlag.ATTACH,
      randomSeed(),
    );
  }

  static async #start(
    build: KernelBuild,
    module: WasmModule,
    memory: WasmMemory,
    base: number,
    flags: number,
    seed: number,
  ) {
    const imports = { env: { memory: memory as WebAssembly.Memory } };
    const instance = await WebAssembly.instantiate(module as WebAssembly.Module, imports);
    const exports = instance.exports as unknown as KernelExports;
    const length = memory.buffer.byteLength - base;
    const context = exports.ctx_init(base, length, flags) >>> 0;
    if (context === 0)
      throw new MemoryLimitError("the kernel found no room for its context", { value: base });
    return new Kernel(build, module, new KernelMemory(memory, base), exports, context, seed);
  }

  /** What `Kernel.attach` needs in another worker. Only a `threads` kernel can be shared. */
  share(): KernelShare {
    if (this.build !== "threads") {
      throw new ArgumentError(
        `the ${this.build} build has no shared memory: open the kernel with build: "threads"`,
      );
    }
    return { build: this.build, module: this.#module, memory: this.memory.memory, base: this.memory.root };
  }

  /**
   * The same kernel for one query: what is allocated from there is counted by itself, and is `limit` at most. Ends with
   * `closeAccount`.
   * @throws ArgumentError for a limit that is none, or more than the budget
   */
  account(limit: number | string): Kernel {
    const bytes = this.checkLimit(limit);
    const kernel = new Kernel(
      this.build,
      this.#module,
      this.memory,
      this.#exports,
      this.#context,
      this.seed,
      this.#state,
    );
    const account = this.call((exports, context) => exports.mem_account(context, bytes)) >>> 0;
    if (account === 0) throw memoryError(this.memory, Account.SIZE);
    this.memory.reach(account + Account.SIZE);
    kernel.#account = account;
    return kernel;
  }

  /**
   * Bytes of a limit for `account`.
   * @throws ArgumentError for a limit that is none, or more than the budget
   */
  checkLimit(limit: number | string): number {
    const bytes = parseBudget(limit);
    const { budgetBytes } = this.memory;
    if (bytes <= budgetBytes) return bytes;
    throw new ArgumentError(
      `memory: ${formatBytes(bytes)} is more than the ${formatBytes(budgetBytes)} of the engine`,
      { value: limit, expected: `at most ${budgetBytes} bytes` },
    );
  }

  /** Nothing more is counted; what is in use still goes on counting until it is freed. Safe to call twice. */
  closeAccount(): void {
    const account = this.#account;
    this.#account = 0;
    if (account === 0 || !this.isAlive) return;
    this.call((exports, context) => exports.mem_account_close(context, account));
  }

  /** What a kernel of `account` has in use, and may have; null elsewhere. */
  get ownUse(): { readonly usedBytes: number; readonly limitBytes: number } | null {
    if (this.#account === 0) return null;
    const { view } = this.memory;
    return {
      usedBytes: view.getUint32(this.#account + Account.USED, true),
      limitBytes: view.getUint32(this.#account + Account.LIMIT, true),
    };
  }

  /** Bytes that can be allocated from here, if nobody else does. */
  get freeBytes(): number {
    const free = this.memory.budgetBytes - this.memory.usedBytes;
    const own = this.ownUse;
    return Math.max(0, own === null ? free : Math.min(free, own.limitBytes - own.usedBytes));
  }

  /** Bytes in use: inputs, state, results and headers. */
  get usedBytes(): number {
    return this.memory.usedBytes;
  }

  /** Highest `usedBytes` so far. */
  get peakBytes(): number {
    return this.memory.peakBytes;
  }

  /** What may be in use; of a kernel of `account` by it alone. */
  get budgetBytes(): number {
    return Math.min(this.memory.budgetBytes, this.ownUse?.limitBytes ?? Number.POSITIVE_INFINITY);
  }

  /** Blocks in use. */
  get blocks(): number {
    return this.memory.blocks;
  }

  /** Whether calls are still possible: not closed, and no trap happened. */
  get isAlive(): boolean {
    return !this.#state.isClosed && this.#state.trap === null;
  }

  /** Changes the budget; what is over it already stays. */
  setBudget(budget: number | string): void {
    const bytes = parseBudget(budget);
    this.call((exports, context) => exports.mem_budget(context, bytes));
  }

  /**
   * Address of `bytes` fresh bytes, 64-byte aligned, contents undefined.
   * @throws MemoryLimitError past the budget or the 4 GiB.
   */
  allocate(bytes: number): number {
    const address =
      bytes <= 0xffffffff ? this.call((exports, context) => exports.mem_alloc(context, bytes)) >>> 0 : 0;
    if (address === 0) throw this.worded(memoryError(this.memory, bytes));
    this.memory.reach(address + bytes);
    return address;
  }

  /** Gives back what `allocate` answered; nothing happens when the kernel is closed or dead. */
  free(address: number): void {
    if (!this.isAlive || address === 0) return;
    if (this.call((exports, context) => exports.mem_free(context, address)) === 0) {
      throw new ArgumentError(`address ${address} is not that of a block in use`, { value: address });
    }
  }

  /** Fault switch for tests: the `nth` allocation from now fails once; 0 turns it off. */
  failAllocation(nth: number): void {
    this.call((exports, context) => exports.mem_fail(context, nth));
  }

  /**
   * Runs one export. Addresses in its answer are signed: `>>> 0`.
   * @throws KernelTrapError when the kernel traps, and on every call after that.
   * @throws ClosedError after `close`.
   */
  call<T>(run: (exports: KernelExports, context: number) => T): T {
    const state = this.#state;
    if (state.trap !== null) throw state.trap;
    if (state.isClosed) throw new ClosedError("the kernel is closed");
    const { watcher } = state;
    const start = watcher === null ? 0 : performance.now();
    try {
      if (state.charged !== this.#account) {
        state.charged = this.#account;
        this.#exports.mem_charge(this.#context, this.#account);
      }
      const answer = run(this.#exports, this.#context);
      watcher?.(start, performance.now());
      return answer;
    } catch (error) {
      throw this.poison(error);
    }
  }

  /** From now on `watcher` is told when each call began and ended, by `performance.now()`; null: nobody is. */
  watch(watcher: ((start: number, end: number) => void) | null): void {
    this.#state.watcher = watcher;
  }

  /** Makes every later call fail: the kernel trapped, here or in another worker on its memory. Answers the error. */
  poison(cause: unknown): KernelTrapError {
    this.#state.trap ??= new KernelTrapError(
      `the kernel trapped (${String(cause)}): this is a defect of Millrace; open another kernel`,
      { cause },
    );
    return this.#state.trap;
  }

  /** The exception for the error record that the last call left. */
  lastError(context: FailureContext = {}): MillraceError {
    const record = this.call((exports, ctx) => exports.last_error(ctx)) >>> 0;
    return this.worded(failureError(readFailure(this.memory, record), this.memory, context));
  }

  /** An error that says whose memory has ended: that of `account`, or the kernel's. */
  worded(error: MillraceError): MillraceError {
    const own = this.ownUse;
    if (!(error instanceof MemoryLimitError) || own === null) return error;
    const { usedBytes, limitBytes } = own;
    if (this.memory.budgetBytes - this.memory.usedBytes < limitBytes - usedBytes) return error;
    const asked = typeof error.value === "number" ? error.value : 0;
    const wanted = asked > 0 ? `${formatBytes(asked)} more do` : "the next allocation does";
    return new MemoryLimitError(
      `memory limit of the query: ${wanted} not fit, ${formatBytes(usedBytes)} of the ${formatBytes(limitBytes)} that it may take are in use`,
      { value: asked, expected: `at most ${limitBytes} bytes` },
    );
  }

  /**
   * @internal
   * Keeps an object that is done, the last one of its class. With the last object of a class V8 forgets what such objects
   * look like when it collects garbage, and drops all optimised code that has read them: without this the next query
   * begins in the interpreter, and the compiler takes the cores that its workers are to have (two of them on two cores took
   * twice as long for it). So the object is empty: it holds nothing of the caller's any more.
   */
  retire(object: object): void {
    if (this.isAlive) this.#state.retired.set(object.constructor, object);
  }

  /** An operator from configuration bytes (config.ts); `hashAggregate`, `project` and `sort` are the friendlier forms. */
  operator(spec: OperatorSpec): Operator {
    return new Operator(this, spec);
  }

  /**
   * Groups rows by keys and aggregates them. See `HashAggregateSpec`. With `partial: true` its state leaves instead of
   * results, for an aggregation elsewhere to merge: see `PartialAggregation`.
   */
  hashAggregate(spec: HashAggregateSpec & { readonly partial: true }): PartialAggregation;
  hashAggregate(spec: HashAggregateSpec): Operator;
  hashAggregate(spec: HashAggregateSpec & { readonly partial?: boolean }): Operator | PartialAggregation {
    const operator = hashAggregateOperator(this, spec, spec.partial === true);
    return spec.partial ? new PartialAggregation(operator) : operator;
  }

  /** Divides rows by their keys, the same way on every machine. See `PartitionSpec`. */
  partition(spec: PartitionSpec): Partition {
    return new Partition(this, spec);
  }

  /** Filters rows and computes columns. See `ProjectSpec`. */
  project(spec: ProjectSpec): Operator {
    return projectOperator(this, spec);
  }

  /** Puts all rows in order, or the first so many of them. See `SortSpec`. */
  sort(spec: SortSpec): Operator {
    return sortOperator(this, spec);
  }

  /**
   * Copies batches into kernel memory, where operators read them without another copy.
   * @param columns names of the columns to load; all that the kernel can compute on when absent.
   * @param readsOften whether small integers lie in bytes, too (narrow.ts): what is read but once is not worth that
   */
  load(batches: readonly BatchData[], columns?: readonly string[], readsOften = true): ResidentTable {
    return ResidentTable.load(this, batches, columns, readsOften);
  }

  /** Gives the context back; operators and tables of this kernel cannot be used afterwards. */
  close(): void {
    if (this.#state.isClosed) return;
    if (this.#state.trap === null) this.#exports.mem_free(this.#context, this.#context);
    this.#state.isClosed = true;
    this.#state.retired.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Never 0: in a configuration that stands for none. */
function randomSeed(): number {
  return globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! || 1;
}
