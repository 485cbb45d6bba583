// Several aggregations of the same rows pushed in one call, by one program (kernel/operator/aggregate-together.ts).

import { OperatorKind } from "../../../kernel/abi/operator.js";
import type { Status } from "../../../kernel/abi/status.js";
import type { InputBatch, Kernel, Operator } from "../kernel/index.js";
import type { TogetherProgram } from "../plan/index.js";

/** u32 handle, u32 address of the outputs. */
const SET_BYTES = 8;
/** Pushes in a row that found no room for all sets at once, after which they are pushed one by one for good. */
const MOST_REFUSED = 2;

export class PushTogether {
  readonly #kernel: Kernel;
  readonly #operators: readonly Operator[];
  /** The projection whose program all share. */
  readonly #leader: Operator;
  /** The sets as the kernel is told of them. */
  #sets = 0;
  #refused = 0;

  /** @param operators of the sets, in the order of `program.outputs` */
  constructor(kernel: Kernel, program: TogetherProgram, operators: readonly Operator[]) {
    this.#kernel = kernel;
    this.#operators = operators;
    const { config, columns, instructions } = program;
    this.#leader = kernel.operator({
      kind: OperatorKind.PROJECT,
      config,
      columns,
      output: { fields: [] },
      instruction: (index) => instructions[index],
    });
    try {
      this.#sets = this.#list(program.outputs);
    } catch (error) {
      this.free();
      throw error;
    }
  }

  #list(outputs: readonly (readonly number[])[]): number {
    const heads = SET_BYTES * outputs.length;
    const numbers = outputs.flat();
    const address = this.#kernel.allocate(heads + 4 * numbers.length);
    const { view } = this.#kernel.memory;
    let at = address + heads;
    for (const [index, own] of outputs.entries()) {
      view.setUint32(address + SET_BYTES * index, this.#operators[index]!.handle, true);
      view.setUint32(address + SET_BYTES * index + 4, at, true);
      at += 4 * own.length;
    }
    for (const [index, output] of numbers.entries())
      view.setUint32(address + heads + 4 * index, output, true);
    return address;
  }

  /** As `Operator.pushTogether`; null also where that has been so before. */
  push(input: InputBatch, start: number, rows: number, firstRow: number): Status | null {
    if (this.#refused === MOST_REFUSED) return null;
    const count = this.#operators.length;
    const status = this.#leader.pushTogether(input, start, rows, firstRow, this.#sets, count);
    this.#refused = status === null ? this.#refused + 1 : 0;
    return status;
  }

  free(): void {
    this.#leader.destroy();
    if (this.#sets !== 0 && this.#kernel.isAlive) this.#kernel.free(this.#sets);
    this.#sets = 0;
  }
}
