// Views of one kernel memory, and the root block's numbers.
//
// Growing detaches the views of an unshared memory and leaves those of a shared one short, so nobody
// keeps a view: `bytes` and `view` are looked up for every use, at the price of one comparison.

import { Root } from "../../../kernel/abi/layout.js";
import type { WasmMemory } from "./wasm.js";

/** Bytes of the 4 GiB that are ever addressed; a Uint8Array over all 2^32 does not exist on every host. */
const ADDRESSABLE = 2 ** 32 - 65536;

export class KernelMemory {
  readonly memory: WasmMemory;
  /** Address of the root block. */
  readonly root: number;
  #buffer: ArrayBufferLike | null = null;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));

  constructor(memory: WasmMemory, root: number) {
    this.memory = memory;
    this.root = root;
  }

  /** Every byte of the memory; stale after any call that may grow it. */
  get bytes(): Uint8Array {
    if (this.memory.buffer !== this.#buffer) this.#look();
    return this.#bytes;
  }

  /** The same as a DataView. */
  get view(): DataView {
    if (this.memory.buffer !== this.#buffer) this.#look();
    return this.#view;
  }

  /**
   * Makes sure that the views reach as far as `end`, where the kernel has allocated: when another worker has grown a
   * shared memory, this thread's buffer may be short for a moment.
   */
  reach(end: number): void {
    if (end <= this.bytes.length) return;
    this.memory.grow(0);
    this.#look();
  }

  /** The same as far as anybody has allocated, whose work is over. */
  reachAll(): void {
    this.reach(this.#root(Root.HEAP_TOP));
  }

  #look(): void {
    this.#buffer = this.memory.buffer;
    const length = Math.min(this.#buffer.byteLength, ADDRESSABLE);
    this.#bytes = new Uint8Array(this.#buffer, 0, length);
    this.#view = new DataView(this.#buffer, 0, length);
  }

  /** Bytes in use, block headers and contexts included. */
  get usedBytes(): number {
    return this.#root(Root.USED);
  }

  get peakBytes(): number {
    return this.#root(Root.PEAK);
  }

  get budgetBytes(): number {
    return this.#root(Root.BUDGET);
  }

  /** Blocks in use. */
  get blocks(): number {
    return this.#root(Root.BLOCKS);
  }

  #root(field: Root): number {
    return this.view.getUint32(this.root + field, true);
  }
}
